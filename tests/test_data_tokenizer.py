"""Text to ids and back, for every kind of tokenizer."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tokenizers

from seqjax.checks import InputError
from seqjax.data import DataConfig, Tokenizer, read_splits, train_tokenizer
from seqjax.data import tokenizer as tokenizer_module
from seqjax.data.decoder import Joiner

KINDS = ("char", "byte", "word", "bpe", "wordpiece", "unigram")
EXACT = ("char", "byte", "bpe", "wordpiece", "unigram")
NASTY = (
    "Hi  there,\r\n\tñandú é e\u0301 🙂👩\u200d👧 हिन्दी 中文 <doc> <unk> ## ##x   a\n\n  b?! "
    '"x y" don\'t 3.14 well-known\x0b\u2028z \n'
)


def train(kind, *documents, **options):
    return train_tokenizer(DataConfig(tokenizer=kind, **{"vocabulary": 500, **options}), documents or [NASTY * 3])


@pytest.fixture(scope="module")
def splits():
    return read_splits(DataConfig())


@pytest.fixture(scope="module", params=KINDS)
def trained(request, splits):
    return train(request.param, *splits.train, vocabulary=1500)


@pytest.mark.parametrize("kind", EXACT)
def test_text_comes_back_exactly(kind):
    tokenizer = train(kind)
    assert tokenizer.decode(tokenizer.encode(NASTY)) == NASTY


@pytest.mark.parametrize("kind", ("byte", "bpe"))
def test_bytes_read_what_they_never_saw(kind):
    tokenizer = train(kind, "plain words only")
    assert tokenizer.unknown is None
    assert tokenizer.decode(tokenizer.encode(NASTY, strict=True)) == NASTY


def test_words_come_back_as_one_would_type_them():
    text = 'He said: "Why (not)?"\nI don\'t know 3.14 well-known <unk> things; you do!\r\n'
    tokenizer = train("word", text)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert "don't" in tokenizer.pieces(tokenizer.encode(text))
    assert tokenizer.decode(tokenizer.encode("  I\t know  (things )")) == "I know (things)"


def test_spelled_out_unknown_words_are_unknown():
    tokenizer = train("word", "the <unk> sat on <unk> mats")
    assert tokenizer.encode("the <unk>").tolist()[1] == tokenizer.unknown == 1
    assert sorted(set(tokenizer.encode("the <unk> sat on mats").tolist())) == list(range(1, tokenizer.size))


def test_straight_quotes_open_and_close_within_a_line():
    joiner = Joiner()
    assert "".join(map(joiner.push, ['"', "a", '"', "\n", '"', "b", '"', "c"])) == '"a"\n"b" c'


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_makes_a_document_boundary(kind):
    text = "<doc> <doc><doc> a <unk> <doc>" * 20
    tokenizer = train(kind, text)
    ids = tokenizer.encode(text)
    assert ids.dtype == np.int32
    assert ids.min() >= 1
    assert tokenizer.pieces([0]) == ["<doc>"]
    assert tokenizer.decode([0]) == ""


def test_ids_are_in_range_and_all_have_names(trained, splits):
    ids = trained.encode("".join(splits.train)[:50_000])
    assert 1 <= ids.min() <= ids.max() < trained.size
    names = trained.pieces(np.arange(trained.size))
    assert names[0] == "<doc>"
    assert trained.unknown is None or names[trained.unknown] == "<unk>"
    assert trained.kind in ("char", "byte") or 1000 < trained.size <= 1500


def test_a_saved_tokenizer_is_the_same(trained, splits, tmp_path):
    trained.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    assert os.listdir(tmp_path) == ["tokenizer.json"]
    assert (loaded.kind, loaded.size, loaded.unknown) == (trained.kind, trained.size, trained.unknown)
    text = splits.valid[0][:20_000] + NASTY
    np.testing.assert_array_equal(loaded.encode(text), trained.encode(text))
    assert loaded.decode(loaded.encode(text)) == trained.decode(trained.encode(text))


def test_the_library_reads_the_saved_file_to_the_same_ids(trained, splits, tmp_path):
    trained.save(tmp_path / "tokenizer.json")
    library = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    text = splits.train[0] + NASTY
    assert library.encode(text).ids == trained.encode(text).tolist()


def test_text_in_chunks_gives_the_ids_of_text_in_one(trained, splits, monkeypatch):
    text = "".join(splits.train)[:30_000] + NASTY * 5
    whole = trained.encode(text)
    monkeypatch.setattr(tokenizer_module, "_CHUNK", 50)
    np.testing.assert_array_equal(trained.encode(text), whole)


def test_documents_together_are_documents_one_by_one(trained, splits):
    documents = [*splits.train[:5], "", NASTY]
    for ids, document in zip(trained.encode_documents(documents), documents, strict=True):
        np.testing.assert_array_equal(ids, trained.encode(document))


def test_training_again_gives_the_same_file(trained, splits):
    again = train(trained.kind, *splits.train, vocabulary=1500)
    assert again.library.to_str() == trained.library.to_str()


def test_another_process_learns_the_same_pieces(splits):
    """Sets of strings have another order in each process; a vocabulary must not."""
    program = (
        "from seqjax.data import *; import hashlib; text = read_splits(DataConfig()).train[:9]\n"
        "for kind in ('wordpiece', 'unigram', 'bpe', 'word'):\n"
        "    made = train_tokenizer(DataConfig(tokenizer=kind, vocabulary=900), text)\n"
        "    print(hashlib.sha256(made.library.to_str().encode()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    once, twice = (
        subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True).stdout
        for env in (environment, {**environment, "PYTHONHASHSEED": "2"})
    )
    assert once == twice
    assert len(once.split()) == 4


def test_only_training_text_is_learned_from(tmp_path):
    (tmp_path / "train.txt").write_text("abab cdcd\n" * 20)
    (tmp_path / "valid.txt").write_text("xyz\n" * 20)
    splits = read_splits(DataConfig(path=(str(tmp_path / "train.txt"),), valid_path=(str(tmp_path / "valid.txt"),)))
    for kind in ("char", "word", "wordpiece", "unigram"):
        tokenizer = train(kind, *splits.train)
        assert not set("xyz") & set("".join(tokenizer.pieces(np.arange(2, tokenizer.size))))
        assert set(tokenizer.encode("xyz").tolist()) == {tokenizer.unknown}


def test_pieces_join_to_the_words_of_the_text(splits):
    tokenizer = train("bpe", *splits.train, vocabulary=1500)
    ids = tokenizer.encode("The statement is é.")
    assert "".join(tokenizer.pieces(ids)).replace("\\xc3\\xa9", "é") == "The statement is é."
    assert len(ids) < 10


@pytest.mark.parametrize("kind", KINDS)
def test_a_streaming_decoder_prints_what_decode_gives_and_no_half_characters(kind):
    tokenizer = train(kind)
    ids = tokenizer.encode(NASTY).tolist()
    decoder = tokenizer.decoder()
    parts = [decoder.push(symbol) for symbol in ids]
    assert "".join(parts) + decoder.flush() == tokenizer.decode(ids)
    assert not any("\N{REPLACEMENT CHARACTER}" in part for part in parts)


def test_half_a_character_at_the_end_is_marked():
    tokenizer = train("byte")
    decoder = tokenizer.decoder()
    assert [decoder.push(symbol) for symbol in tokenizer.encode("🙂").tolist()] == ["", "", "", "🙂"]
    assert decoder.push(int(tokenizer.encode("é")[0])) + decoder.flush() == "\N{REPLACEMENT CHARACTER}"


def test_unseen_characters_are_unknown_or_refused():
    tokenizer = train("char", "abc abc")
    assert tokenizer.decode(tokenizer.encode("a🙂b")) == "a\N{REPLACEMENT CHARACTER}b"
    assert tokenizer.encode("a🙂b")[1] == tokenizer.unknown == 1
    with pytest.raises(InputError, match=r"'🙂' \(U\+1F642\) at character 1, 'Z' \(U\+005A\) at character 3"):
        tokenizer.encode("a🙂bZ🙂", strict=True)
    with pytest.raises(InputError, match="and 3 more"):
        tokenizer.encode("DEFGHIJK", strict=True)
    assert tokenizer.encode("cab", strict=True).size == 3


@pytest.mark.parametrize("kind", ("word", "wordpiece", "unigram"))
def test_new_words_of_known_characters_are_not_refused(kind):
    tokenizer = train(kind, "stone note tones")
    assert tokenizer.encode("tons\t\n seen", strict=True).size >= 2
    if kind == "word":  # an unknown word, whatever its letters
        assert tokenizer.encode("noß", strict=True).tolist() == [tokenizer.unknown]
        return
    with pytest.raises(InputError, match=r"'ß' \(U\+00DF\) at character 2"):
        tokenizer.encode("noß", strict=True)


@pytest.mark.parametrize("kind", ("char", "word"))
def test_rare_symbols_become_unknown(kind):
    tokenizer = train(kind, "a a a b b c", min_count=2)
    assert tokenizer.encode("a b c").tolist()[-1] == tokenizer.unknown
    assert "c" not in tokenizer.pieces(np.arange(tokenizer.size))
    assert "b" in tokenizer.pieces(np.arange(tokenizer.size))  # as often as is asked for


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_of_one_symbol_is_refused(kind):
    for text in ("aaaa", ""):
        with pytest.raises(InputError, match="vocabulary of one symbol"):
            train(kind, text)
    with pytest.raises(InputError, match="vocabulary of 1 symbol"):
        train("word", "one one one")


@pytest.mark.parametrize("kind", ("bpe", "wordpiece", "unigram"))
def test_a_vocabulary_smaller_than_the_alphabet_is_refused(kind):
    with pytest.raises(InputError, match=r"--data\.vocabulary"):
        train(kind, NASTY, vocabulary=20)


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_surrogate_pair_is_not_text(kind):
    with pytest.raises(InputError, match="U\\+D83D"):
        train(kind).encode("ab\ud83d", strict=True)


def test_one_text_is_not_several():
    with pytest.raises(InputError, match=r"train_tokenizer: `documents` should be several texts.*Try `\[text\]`"):
        train_tokenizer(DataConfig(tokenizer="word"), "the cat sat")
    with pytest.raises(InputError, match="encode_documents: `documents` should be several texts"):
        train("char").encode_documents("the cat")


@pytest.mark.parametrize("ids", ([-1], [0, 9999], [0.5]), ids=str)
def test_ids_out_of_range_are_refused(ids):
    for method in (train("char").decode, train("char").pieces):
        with pytest.raises(InputError, match=r"ids"):
            method(ids)


def foreign(text):
    saved = json.loads(text)
    saved["model"]["vocab"] = {word: index + 1 for word, index in saved["model"]["vocab"].items()}
    return json.dumps(saved)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda text: text[: len(text) // 2], "is broken"),
        (lambda text: "", "is broken"),
        (lambda text: '{"a": 1}', "is broken"),
        (foreign, "was not saved by seqjax"),
        (None, "cannot be read: No such file"),
    ],
    ids=["cut", "empty", "other", "foreign", "missing"],
)
def test_broken_tokenizer_files_are_refused(tmp_path, change, message):
    path = tmp_path / "tokenizer.json"
    if change:
        train("char").save(path)
        path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=message):
        Tokenizer.load(path)

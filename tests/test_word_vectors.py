"""Files of word vectors: what is written is read back, by gensim too, and what is damaged is refused."""

import gzip

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.interop.word_vectors import Shape, WordVectors, read_shape, read_vectors, write_vectors
from seqjax.tasks.word_embeddings import EmbeddingsConfig, fill_vectors, kept_features, known_vectors, start_with
from seqjax.training.folder import RunFolder

WORDS = ("of", "casa", "maçã", "日本", "1984", "'s")
VECTORS = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
FORMATS = ("word2vec", "word2vec-binary", "glove")
formats = pytest.mark.parametrize("format", FORMATS)


@pytest.fixture
def files(tmp_path):
    """The same vectors in every format."""
    for format in FORMATS:
        write_vectors(tmp_path / format, WORDS, VECTORS, format)
    return tmp_path


def assert_same(found, words=WORDS, vectors=VECTORS):
    assert tuple(found.words) == tuple(words)
    np.testing.assert_array_equal(found.vectors, vectors)
    assert found.vectors.dtype == np.float32


@formats
def test_what_is_written_is_read_back_to_the_bit(files, format):
    assert_same(read_vectors(files / format))
    assert read_shape(files / format) == Shape(format, None if format == "glove" else 6, 5)


@formats
def test_a_file_is_cut_to_a_vocabulary_and_to_its_beginning(files, format):
    kept = [1, 3]
    assert_same(read_vectors(files / format, {"日本", "casa", "nada"}), [WORDS[i] for i in kept], VECTORS[kept])
    assert_same(read_vectors(files / format, limit=2), WORDS[:2], VECTORS[:2])
    assert_same(read_vectors(files / format, {"of", "日本"}, limit=3), WORDS[:1], VECTORS[:1])


@formats
def test_a_packed_file_is_read_alike(files, format):
    packed = files / "packed.gz"
    packed.write_bytes(gzip.compress((files / format).read_bytes()))
    assert_same(read_vectors(packed))
    packed.write_bytes(packed.read_bytes()[:-12])
    with pytest.raises(InputError, match="truncated"):
        read_vectors(packed)


@formats
def test_gensim_reads_what_we_write(files, format):
    keyed = pytest.importorskip("gensim.models").KeyedVectors
    found = keyed.load_word2vec_format(
        str(files / format), binary=format == "word2vec-binary", no_header=format == "glove"
    )
    assert_same(WordVectors(tuple(found.index_to_key), found.vectors))


@formats
def test_we_read_what_gensim_writes(tmp_path, format):
    keyed = pytest.importorskip("gensim.models").KeyedVectors(5)
    keyed.add_vectors(list(WORDS), VECTORS)
    path = tmp_path / "written"
    keyed.save_word2vec_format(str(path), binary=format == "word2vec-binary", write_header=format != "glove")
    assert_same(read_vectors(path))


def test_what_other_programs_write_is_read_too(tmp_path):
    path = tmp_path / "vectors"
    path.write_bytes(
        "2 3\n\u00a0 1 2 3 \r\nat name 4 5e-1 -.6 \n\n".encode()
    )  # trailing spaces, a word with one inside
    assert_same(read_vectors(path), ["\u00a0", "at name"], np.float32([[1, 2, 3], [4, 0.5, -0.6]]))
    path.write_text("a 1 2\nb 3 4\na 5 6\n")  # a word that comes twice
    assert_same(read_vectors(path), "ab", np.float32([[1, 2], [3, 4]]))
    rows = b"".join(word + row.tobytes() for word, row in zip([b"a ", b"b "], VECTORS[:2], strict=True))
    path.write_bytes(b"2 5\n" + rows)  # no line end between vectors
    assert_same(read_vectors(path), "ab", VECTORS[:2])


BROKEN = {
    "a wrong dimension": (b"3 2\na 1 2\nb 1 2 3\nc 1 2\n", "line 3: the vector of 'b' has 3 numbers, but 2"),
    "a wrong dimension in the first line": (b"2 3\na 1 2\nb 1 2\n", "line 2: .* 2 numbers, but 3"),
    "too few in GloVe's": (b"a 1 2 3\nb 1 2\n", "line 2: .* 2 numbers, but 3"),
    "no number": (b"2 2\na 1 2\nb 1 x2\n", "line 3: 'x2' stands where a number should"),
    "infinity": (b"a 1 2\nb 1 inf\n", "line 2: .* not finite"),
    "fewer than promised": (b"3 2\na 1 2\nb 1 2\n", "truncated: the header promises 3 vectors, but 2"),
    "more than promised": (b"1 2\na 1 2\nb 1 2\n", "promises 1 vectors, but 2"),
    "a header alone": (b"3 2\n", "truncated: .* nothing follows"),
    "a header of nothing": (b"0 2\n", "there is nothing"),
    "a story": (b"Once upon a time\nthere was\n", "no file of word vectors.*Once upon"),
    "nothing": (b"", "no file of word vectors"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_damaged_file_is_refused_by_line(tmp_path, kind):
    content, message = BROKEN[kind]
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_vectors(tmp_path / "bad")
    assert "bad" in str(caught.value)


def test_a_truncated_or_foreign_binary_is_refused(files):
    whole = (files / "word2vec-binary").read_bytes()
    bad = files / "bad"
    bad.write_bytes(whole[:-9])
    with pytest.raises(InputError, match=r"truncated: .* ends in vector 6"):
        read_vectors(bad)
    bad.write_bytes(whole + b"of " + bytes(20))
    with pytest.raises(InputError, match="more follows after the 6 vectors"):
        read_vectors(bad)
    bad.write_bytes(b"9 5\n" + b"\xff" * 20_000)
    with pytest.raises(InputError, match="vector 1: no word begins here"):
        read_vectors(bad)


def test_what_is_no_file_or_has_none_of_the_words_is_refused(files):
    with pytest.raises(InputError, match="no such file"):
        read_vectors(files / "nowhere")
    with pytest.raises(InputError, match="this is a folder"):
        read_vectors(files)
    for format in FORMATS:
        with pytest.raises(InputError, match=r"no word in common: none of the 2 words wanted \(a, b, …\)"):
            read_vectors(files / format, {"b", "a"})


def test_what_no_file_can_hold_is_not_written(tmp_path):
    for words, message in (
        (["a b", "c"], "'a b' cannot stand"),
        (["", "c"], "'' cannot"),
        (["a"], r"\(V, E\) = \(1, any\)"),
    ):
        with pytest.raises(InputError, match=message):
            write_vectors(tmp_path / "bad", words, VECTORS[:2])
    with pytest.raises(InputError, match="Did you mean `glove`"):
        write_vectors(tmp_path / "bad", "ab", VECTORS[:2], "glov")


def test_a_table_is_filled_and_the_coverage_said(files):
    config = EmbeddingsConfig(path=str(files / "glove"), tuned=False)
    words = ["<unk>", "Casa", "of", "nada"]
    table, line = fill_vectors(np.full((4, 5), 7.0, np.float32), words, config)
    np.testing.assert_array_equal(table, np.stack([[7.0] * 5, VECTORS[1], VECTORS[0], [7.0] * 5]))
    assert line.startswith("2 of 3 words (66.7 %) have a vector of 5 features in")
    assert line.endswith("frozen")
    with pytest.raises(InputError, match=r"should be \(V, E\) = \(4, 5\), but it is \(4, 3\)"):
        fill_vectors(np.zeros((4, 3)), words, config)


def test_a_run_keeps_the_vectors_it_began_with(files):
    (files / "run").mkdir()
    folder, words = RunFolder(files / "run"), ["<unk>", "casa", "nada"]
    config = EmbeddingsConfig(path=str(files / "word2vec-binary"))
    first = known_vectors(config, words, folder)
    (files / "word2vec-binary").unlink()
    again = known_vectors(config, words, folder)
    assert first.line == again.line
    np.testing.assert_array_equal(first.vectors, again.vectors)
    assert (kept_features(config, folder, 100), kept_features(EmbeddingsConfig(), folder, 100)) == (5, 100)
    assert known_vectors(EmbeddingsConfig(), words, folder) is None
    table = np.random.default_rng(1).standard_normal((3, 5)).astype(np.float32)
    params = start_with(lambda key: {"words": {"table": table}, "rest": 1}, "words/table", first)(None)
    np.testing.assert_array_equal(params["words"]["table"][1], VECTORS[1])
    np.testing.assert_allclose(params["words"]["table"][2], table[2] * VECTORS[1].std() / table.std(), rtol=1e-5)

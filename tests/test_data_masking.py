"""Rows for masked language models: what is hidden, how often, and from what chance; pairs of texts; sentences."""

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.data import DataConfig, train_tokenizer
from seqjax.data.example_batches import Examples, example_batches
from seqjax.data.masked_config import MaskedTextConfig
from seqjax.data.masking import choose, masker
from seqjax.data.sentence_pairs import pair_rows, trim, whole_rows
from seqjax.data.sentences import Special, cut_sentences, encode_sentences, encode_words, read_sentences, word_starts

SPECIAL = Special(100, 101, 102, 103)
STARTS = np.arange(103) % 3 != 0  # every third symbol goes on with a word


def rows(count: int = 200, length: int = 62, seed: int = 0) -> Examples:
    """Random rows of one text."""
    random = np.random.default_rng(seed)
    return whole_rows([[random.integers(1, 100, size=length)] for _ in range(count)], SPECIAL, length + 2)


def batch_of(examples: Examples, epoch: int = 0, **how) -> dict[str, np.ndarray]:
    """All of the examples, masked."""
    change = masker(SPECIAL, **how)
    whole = example_batches(examples, rows=len(examples.lengths), train=False, buckets=1)[0]
    return change(whole, epoch) | {"before": whole["tokens"]}


@pytest.mark.parametrize("starts", [None, STARTS], ids=["tokens", "whole words"])
def test_fifteen_percent_are_chosen_and_eighty_ten_ten_shown(starts):
    batch = batch_of(rows(), starts=starts)
    ordinary = (batch["before"] > 1) & (batch["before"] < 100) & batch["mask"]
    chosen = batch["scored"].sum(axis=1)
    wanted = np.round(0.15 * ordinary.sum(axis=1))
    if starts is None:
        np.testing.assert_array_equal(chosen, wanted)
    else:
        assert (chosen <= wanted).all()
        assert chosen.sum() > 0.97 * wanted.sum()
    shown = np.take_along_axis(batch["tokens"], batch["places"], axis=1)[batch["scored"]]
    targets = batch["targets"][batch["scored"]]
    masked, kept = np.mean(shown == SPECIAL.mask), np.mean(shown == targets)
    assert abs(masked - 0.8) < 0.03
    assert abs(kept - 0.1) < 0.03
    others = shown[(shown != SPECIAL.mask) & (shown != targets)]
    assert others.min() > 1
    assert others.max() < 100
    assert len(np.unique(others)) > 60
    assert targets.min() > 1
    assert targets.max() < 100
    untouched = np.ones_like(batch["mask"])
    np.put_along_axis(untouched, np.where(batch["scored"], batch["places"], 0), False, axis=1)
    np.testing.assert_array_equal(batch["tokens"][untouched], batch["before"][untouched])


def test_all_pieces_of_a_word_are_chosen_together():
    batch = batch_of(rows(), starts=STARTS)
    for row, tokens in enumerate(batch["before"]):
        chosen = np.isin(np.arange(len(tokens)), batch["places"][row][batch["scored"][row]])
        goes_on = ~STARTS[tokens] & (tokens > 1) & np.roll((tokens > 1) & (tokens < 100), 1)
        np.testing.assert_array_equal(chosen[goes_on], np.roll(chosen, 1)[goes_on])


def test_draws_belong_to_the_seed_the_epoch_and_the_example():
    examples, names = rows(8), ("tokens", "places", "targets", "scored")
    first, again = batch_of(examples), batch_of(examples)
    for name in names:
        np.testing.assert_array_equal(first[name], again[name])
    for other in (batch_of(examples, epoch=1), batch_of(examples, seed=1)):
        assert (other["places"] != first["places"]).any(axis=1).all()
    shuffled = example_batches(examples, rows=8, train=True, buckets=1, change=masker(SPECIAL))[0]
    assert shuffled["example"].tolist() != list(range(8))
    for name in names:
        np.testing.assert_array_equal(shuffled[name], first[name][shuffled["example"]])
    few = Examples({"tokens": [*examples.steps["tokens"][:2], np.array([100, *range(2, 70), 101])]}, {})
    longer = batch_of(few)  # in another batch, beside a longer row
    for row in range(2):
        count = first["scored"][row].sum()
        np.testing.assert_array_equal(longer["tokens"][row, :64], first["tokens"][row])
        np.testing.assert_array_equal(longer["places"][row, :count], first["places"][row, :count])


def test_epochs_of_training_hide_other_tokens():
    made = example_batches(rows(8), rows=8, train=True, change=masker(SPECIAL))
    first, second = (dict(zip(b["example"], b["places"], strict=True)) for b in (made[0], made[1]))
    assert first.keys() == second.keys()
    assert all((first[example] != second[example]).any() for example in first)


def test_a_row_without_ordinary_tokens_hides_none_and_padding_neither():
    examples = whole_rows([[np.array([1, 1])], [np.array([5])], [np.array([7, 8])]], SPECIAL, 6)
    batch = example_batches(examples, rows=4, train=False, buckets=1, change=masker(SPECIAL))[0]
    assert batch["scored"].sum(axis=1).tolist() == [0, 1, 1, 0]
    masked = np.array([[SPECIAL.mask] * 5 + [7]])
    for tokens in (masked, masked[:, -2:]):  # of two steps, too, a share is one
        batch = {"tokens": tokens, "mask": tokens > 0, "example": np.array([0])}
        changed = masker(SPECIAL)(batch, 0)
        assert changed["places"][changed["scored"]].tolist() == [tokens.shape[1] - 1]
    with pytest.raises(InputError, match="`share` should lie between 0 and 1"):
        masker(SPECIAL, share=0.0)


def test_a_special_token_parts_words():
    tokens, ordinary = np.array([4, 0, 5]), np.array([False, True, True, True, True, True])
    starts = np.arange(6) == 4  # 5 goes on with a word, but not with the one before 0
    draws = np.array([0.9, 0.1, 0.5])
    assert choose(tokens, ordinary, draws, 0.5, starts).tolist() == [2]


def documents(count: int = 6, sentences: int = 40) -> list[list[np.ndarray]]:
    """Sentences whose every token says the document (ten thousands) and the place in it."""
    random = np.random.default_rng(3)
    made = []
    for number in range(1, count + 1):
        ids = iter(range(10_000 * number, 10_000 * number + 9_999))
        made.append([np.array([next(ids) for _ in range(random.integers(2, 9))]) for _ in range(sentences)])
    return made


BIG = Special(100_000, 100_001, 100_002, 100_003)


@pytest.mark.parametrize("count", [6, 1], ids=["many documents", "one document"])
def test_half_of_the_pairs_follow_and_half_come_from_elsewhere(count):
    made = pair_rows(documents(count, 1200 // count if count > 1 else 120), BIG, 32)
    moved = made.rows["elsewhere"]
    for tokens, segments, elsewhere in zip(*made.steps.values(), moved, strict=True):
        assert tokens[0] == BIG.cls
        assert tokens[-1] == BIG.sep
        assert (tokens == BIG.sep).sum() == 2
        assert len(tokens) <= 32
        first, second = tokens[segments == 0], tokens[segments == 1]
        assert first[-1] == BIG.sep
        assert len(first) > 2
        assert len(second) > 1
        assert (np.diff(first[1:-1]) == 1).all()
        assert (np.diff(second[:-1]) == 1).all()
        assert (second[0] == first[-2] + 1) == (not elsewhere)
        if count > 1:
            assert (second[0] // 10_000 == first[1] // 10_000) == (not elsewhere)
    assert abs(moved.mean() - 0.5) < (0.12 if count > 1 else 0.3)


def test_pairs_come_from_the_seed():
    first, same, other = (pair_rows(documents(), BIG, 32, seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first.steps["tokens"], same.steps["tokens"], strict=True))
    assert not np.array_equal(first.rows["elsewhere"][:20], other.rows["elsewhere"][:20])


def test_whole_rows_hold_every_token_once():
    found = np.concatenate([row[1:-1] for row in whole_rows(documents(), BIG, 32).steps["tokens"]])
    np.testing.assert_array_equal(found, np.concatenate([s for d in documents() for s in d]))


@pytest.mark.parametrize("sizes", [(1, 1), (30, 1), (1, 30), (30, 30), (16, 14)])
def test_what_is_trimmed_keeps_both_texts_side_by_side(sizes):
    first, second = trim(np.arange(sizes[0]), np.arange(sizes[1]), 29)
    assert len(first) + len(second) == min(29, sum(sizes))
    assert len(first)
    assert len(second)
    assert first[-1] == sizes[0] - 1
    assert second[0] == 0


def test_a_text_without_a_sentence_boundary_is_refused():
    with pytest.raises(InputError, match="no sentence boundary was found in any of the 2"):
        pair_rows([[np.array([5])], [np.array([6]), np.zeros(0, int)]], SPECIAL, 16)
    with pytest.raises(InputError, match="nothing but blanks"):
        read_sentences(["  \n \n"], MaskedTextConfig())


def test_sentences_end_at_marks_and_blank_lines_or_at_lines():
    text = "One is 3.5.\r\nTwo?! (Is it.) “Yes.” And\n \nthree\nlines"
    assert cut_sentences(text) == ["One is 3.5.", "Two?!", "(Is it.)", "“Yes.”", "And", "three\nlines"]
    assert cut_sentences(text, "line") == ["One is 3.5.", "Two?! (Is it.) “Yes.” And", "three", "lines"]
    assert cut_sentences("") == []


def test_a_word_is_the_same_symbol_wherever_it_stands():
    config = MaskedTextConfig(vocabulary=60)
    sentences = read_sentences(["The cat sat. The dog sat! A cat, the\ncat"] * 3, config)
    tokenizer = train_tokenizer(config, ["".join(document) for document in sentences])
    first = encode_sentences(tokenizer, sentences)[0]
    cat = tokenizer.encode(" cat")
    assert sum(np.isin(cat[0], ids) for ids in first) == 2
    assert len(cat) == 1
    ids, firsts = encode_words(tokenizer, ["CAT", "catsat", "\u2603"], lower=True)
    starts = word_starts(tokenizer)
    assert ids[0] == cat[0]
    assert starts[ids[firsts]].all()
    assert len(firsts) == 3
    assert not starts[ids[firsts[1] + 1 : firsts[2]]].any()
    assert ids[-1] == tokenizer.unknown


@pytest.mark.parametrize("kind", ["bpe", "unigram", "word", "char"])
def test_every_kind_of_symbol_knows_where_words_begin(kind):
    config = DataConfig(tokenizer=kind, vocabulary=300)
    tokenizer = train_tokenizer(config, [" the cat sat on the mat, cats sat"] * 20)
    starts, ids = word_starts(tokenizer), tokenizer.encode(" the cat")
    assert len(starts) == tokenizer.size + 3
    assert starts[ids[0]]
    assert starts[-3:].all()


def test_settings_out_of_range_are_refused():
    wrong = ({"masked": 0.0}, "above 0"), ({"length": 4}, "`length`"), ({"sentences": "marks"}, "Did you mean `mark`")
    for setting, said in (*wrong, ({"valid_path": ("a",)}, "no training text")):
        with pytest.raises(InputError, match=said):
            MaskedTextConfig(**setting)
    with pytest.raises(InputError, match="`share` should lie"):
        masker(SPECIAL, share=1.0)

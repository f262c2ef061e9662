"""ELMo: vectors of a sentence depend on that sentence alone, on the side they should; the parts equal their oracles."""

import functools

import jax
import numpy as np
import pytest
from oracles import elmo as oracle
from parameters import drawn

from seqjax.checks import InputError
from seqjax.data.word_list import count_words, spell
from seqjax.data.word_sentences import (
    Lists,
    SentencesConfig,
    sentence_batches,
    split_words,
    unigram_nats,
    word_sentences,
)
from seqjax.models.character_words import SpellingConfig
from seqjax.models.elmo import ElmoConfig, ElmoModel, elmo, neighbours
from seqjax.ops.scalar_mix import scalar_mix
from seqjax.plots.scalar_mix import scalar_mix as drawn_mix
from seqjax.tasks import elmo_use
from seqjax.tasks.elmo_use import ROWS, Reader, read_sentences

SWIFT = {"xla_backend_optimization_level": 0}
V, SYMBOLS, T, C, P = 11, 8, 7, 5, 4
SHAPE = ElmoConfig(
    spelling=SpellingConfig(embedding=3, widths=(1, 3), filters=(2, 3), highways=2), features=P, hidden=6, dropout=0.0
)
LENGTHS = (5, 1, 7, 0)


@functools.cache
def made():
    """The model, and parameters away from zero."""
    model = elmo(SHAPE, V, SYMBOLS)
    return model, jax.tree.map(np.asarray, drawn(model.init))


@functools.cache
def compiled():
    model, params = made()

    def run(params, batch):
        return model.read(params, batch), model.predict(params, batch)

    run = jax.jit(run, compiler_options=SWIFT)
    return lambda batch: jax.device_get(run(params, batch))


def rows(seed: int = 0) -> dict[str, np.ndarray]:
    """Sentences of several lengths, padded on the right."""
    random = np.random.default_rng(seed)
    spelled = random.integers(1, SYMBOLS + 1, size=(len(LENGTHS), T, C))
    spelled *= np.arange(C) < random.integers(1, C + 1, size=(len(LENGTHS), T, 1))
    mask = np.arange(T) < np.array(LENGTHS)[:, None]
    return {"words": random.integers(0, V, size=mask.shape), "characters": spelled, "mask": mask}


def test_vectors_are_those_of_the_papers_equations():
    batch, (_, params) = rows(), made()
    wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params["elmo"])
    layers, _ = compiled()(batch)
    for row, length in enumerate(LENGTHS[:3]):
        wanted = oracle.elmo(wide, batch["characters"][row, :length], SYMBOLS + 1, SHAPE.spelling.widths)
        np.testing.assert_allclose(layers[row, :, :length], wanted, atol=2e-6)
    assert layers.shape == (4, SHAPE.layers + 1, T, 2 * P)
    assert (layers[~np.broadcast_to(batch["mask"][:, None], layers.shape[:3])] == 0).all()


def test_each_side_knows_its_own_side_alone():
    batch, other = rows(), rows(seed=9)
    at = 3
    later, earlier = (np.arange(T) > at), (np.arange(T) < at)
    wanted, said = compiled()(batch)
    for changed, half, place in ((later, slice(0, P), slice(0, at + 1)), (earlier, slice(P, None), slice(at, T))):
        pick = changed[None, :, None]
        found, resaid = compiled()(batch | {"characters": np.where(pick, other["characters"], batch["characters"])})
        np.testing.assert_array_equal(found[:, :, place, half], wanted[:, :, place, half])
        opposite = slice(P, None) if half.start == 0 else slice(0, P)
        assert (np.abs(found - wanted)[[0, 2], 1:, at, opposite].max(axis=-1) > 1e-4).all()
        name = "forward" if half.start == 0 else "backward"
        seen = slice(0, at + 2) if half.start == 0 else slice(at, T + 1)  # what is said after these words were read
        np.testing.assert_array_equal(resaid[name][0][:, seen], said[name][0][:, seen])


def test_every_word_is_predicted_from_the_words_on_one_side():
    batch, other = rows(), rows(seed=9)
    _, said = compiled()(batch)
    for at in range(4):  # changing word `at` leaves alone what says it
        pick = (np.arange(T) == at)[None, :, None]
        _, changed = compiled()(batch | {"characters": np.where(pick, other["characters"], batch["characters"])})
        for name, place in (("forward", at), ("backward", at + 1)):
            logits, targets, mask = changed[name]
            np.testing.assert_array_equal(logits[:, place], said[name][0][:, place])
            np.testing.assert_array_equal(targets[[0, 2], place], batch["words"][[0, 2], at])
            assert mask[[0, 2], place].all()


def test_targets_skip_padding_wherever_it_stands():
    random = np.random.default_rng(3)
    words, mask = random.integers(0, V, size=(6, T)), random.random((6, T)) < 0.6
    mask[0] = False
    after, before = (np.asarray(side) for side in jax.jit(neighbours, static_argnums=2)(words, mask, V))
    for row in range(6):
        real = np.flatnonzero(mask[row])
        for place in range(T + 1):
            later, earlier = real[real >= place], real[real < place]
            assert after[row, place] == (words[row, later[0]] if len(later) else V + 1)
            assert before[row, place] == (words[row, earlier[-1]] if len(earlier) else V)


def test_a_mix_is_that_of_its_equation():
    random = np.random.default_rng(0)
    layers, scores = random.normal(size=(2, 3, 5, 4)), random.normal(size=3)
    found = scalar_mix(jax.numpy.asarray(layers), jax.numpy.asarray(scores), 1.7)
    np.testing.assert_allclose(found[1], oracle.scalar_mix(layers[1], scores, 1.7), atol=1e-6)
    with pytest.raises(InputError, match=r"`scores` should be \(L,\) = \(3,\), but it is \(2,\)"):
        scalar_mix(jax.numpy.asarray(layers), jax.numpy.zeros(2))
    with pytest.raises(InputError, match=r"should be \(\*B, L, T, D\)"):
        scalar_mix(jax.numpy.zeros((3, 4)), jax.numpy.zeros(3))


SENTENCES = [text.split() for text in ("a bank by the river", "the bank lent money", "she sat by the old bank")]


@functools.cache
def reader() -> Reader:
    """A model that was never trained."""
    data = SentencesConfig(min_count=1, characters=C)
    lists = Lists.of(SENTENCES, data)
    model = elmo(SHAPE, lists.words.size, lists.characters.size)
    return Reader(model, lists, data, SHAPE, jax.jit(model.init, compiler_options=SWIFT)(jax.random.key(1)))


def test_a_sentence_gives_the_same_vectors_whatever_came_before():
    alone = [next(read_sentences(reader(), [words])) for words in SENTENCES]
    several = [*SENTENCES[::-1], *SENTENCES * ROWS]  # some calls later, and in other rows
    found = list(read_sentences(reader(), several))
    for read, words in zip(found, several, strict=True):
        wanted = alone[SENTENCES.index(words)]
        np.testing.assert_allclose(read.layers, wanted.layers, atol=1e-6)
        np.testing.assert_allclose(read.nats, wanted.nats, atol=1e-5)
        assert read.perplexity == pytest.approx(wanted.perplexity, rel=1e-5)
    assert np.abs(alone[0].layers[1:, 1] - alone[1].layers[1:, 1]).max() > 1e-3  # two banks
    np.testing.assert_allclose(alone[0].layers[0, 1], alone[1].layers[0, 1], atol=1e-6)  # spelled alike


def test_batches_hold_words_and_their_spelling():
    lists = Lists.of(SENTENCES, SentencesConfig(min_count=2))
    data = sentence_batches(SENTENCES, lists, characters=3, rows=2, train=False, buckets=1)
    seen = []
    for batch in data:
        assert batch.keys() == {"words", "characters", "mask", "real", "example"}
        for row in np.flatnonzero(batch["real"]):
            sentence = SENTENCES[batch["example"][row]]
            seen.append(sentence)
            np.testing.assert_array_equal(batch["words"][row][batch["mask"][row]], lists.words.encode(sentence))
            np.testing.assert_array_equal(
                batch["characters"][row, : len(sentence)], spell(lists.characters, sentence, 3)
            )
        assert (batch["characters"][~batch["mask"]] == 0).all()
    assert sorted(seen) == sorted(SENTENCES)


def test_text_becomes_sentences_of_words():
    text = "Is it so? It's 10% (or so).\n\nA heading\n\n\n*****"
    assert word_sentences([text], SentencesConfig()) == [
        ["Is", "it", "so", "?"], ["It's", "10", "%", "(", "or", "so", ")", "."],
        ["A", "heading"], ["*****"],
    ]  # fmt: skip
    assert split_words("Ça va; l'état!", SentencesConfig(lower=True)) == ["ça", "va", ";", "l'état", "!"]
    assert word_sentences(["a b c d e"], SentencesConfig(words="blank", length=2)) == [["a", "b"], ["c", "d"], ["e"]]
    with pytest.raises(InputError, match="nothing but blanks"):
        word_sentences([" \n "], SentencesConfig())


def test_the_baseline_knows_how_frequent_words_are():
    words = count_words([["a", "a", "b"]])
    nats = -np.log(np.array([1, 3, 2]) / 6 * 0.75)  # <unk>, a, b; one in four ends
    assert unigram_nats([["a", "b", "c"]], words) == pytest.approx((nats[1] + nats[2] + nats[0] - np.log(0.25)) / 4)


@pytest.mark.parametrize(
    "kind, options, message",
    [
        (SentencesConfig, {"length": 0}, "`length` should be at least 1, but it is 0"),
        (SentencesConfig, {"words": "marks"}, "Did you mean `mark`"),
        (SentencesConfig, {"split": (0.5, 0.5, 0.5)}, "three fractions that sum to 1"),
        (SpellingConfig, {"widths": (1, 2), "filters": (3,)}, "as many `filters` as `widths`"),
        (SpellingConfig, {"kind": "rnn"}, "should be a known name"),
        (SpellingConfig, {"features": 3}, "should be even, but it is 3"),
        (SpellingConfig, {"highways": -1}, "`highways` at least 0"),
        (ElmoConfig, {"layers": 0}, "`layers` should be at least 1, but it is 0"),
        (ElmoConfig, {"dropout": 1.0}, r"in \[0, 1\), but it is 1.0"),
    ],
)
def test_shapes_that_cannot_be_are_refused(kind, options, message):
    with pytest.raises(InputError, match=message):
        kind(**options)


def test_a_picture_shows_the_weights_of_layers():
    axes = drawn_mix({"tags": [0.0, 2.0, 0.0], "classes": [0.0, 0.0, 0.0]}, title="mix").axes[0]
    heights = [bar.get_height() for bar in axes.patches]
    np.testing.assert_allclose(heights[:3], np.exp([0, 2, 0]) / np.exp([0, 2, 0]).sum())
    np.testing.assert_allclose(heights[3:], 1 / 3)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["tags", "classes"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["words", "layer 1", "layer 2"]
    for scores, message in (([], "no layer"), ([np.nan, 1.0], "finite"), ({"a": [1.0], "b": [1.0, 2.0]}, r"\(L,\)")):
        with pytest.raises(InputError, match=message):
            drawn_mix(scores)


def test_the_surprise_of_a_word_is_the_mean_of_both_sides_and_ends_count(monkeypatch):
    random, mask = np.random.default_rng(0), np.array([[True, True, False]])
    sides = {name: random.normal(size=(1, 4, 5)).astype(np.float32) for name in ("forward", "backward")}
    real = {"forward": [[True, True, True, False]], "backward": [[True, True, True, False]]}  # its end, its beginning
    said = {name: (logits, np.zeros((1, 4), np.int32), np.array(real[name])) for name, logits in sides.items()}
    model = ElmoModel(None, lambda params, batch: np.zeros((1, 1, 3, 1)), lambda params, batch: said)
    monkeypatch.setattr(elmo_use, "padded", lambda reader, rows: {"mask": mask})
    (found,) = read_sentences(Reader(model, None, None, None, None), [("a", "b")])
    left, right = (np.log(np.exp(side[0]).sum(-1)) - side[0, :, 0] for side in sides.values())
    np.testing.assert_allclose(found.nats, (left[:2] + right[1:3]) / 2, rtol=1e-5)
    assert found.ends == pytest.approx((left[2] + right[0]) / 2, rel=1e-5)
    assert found.perplexity == pytest.approx(np.exp((left[:3].sum() + right[:3].sum()) / 6), rel=1e-5)

"""Taggers: what a token's tag may depend on, and what a conditional random field adds."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from parameters import drawn

from seqjax.checks import InputError
from seqjax.data.tag_schemes import first_illegal, legal_transitions
from seqjax.models.reading import RecurrentReaderConfig
from seqjax.models.tagger import RecurrentTaggerConfig, WordReader, read_on, tagger
from seqjax.models.word_features import WordFeaturesConfig
from seqjax.ops import crf

TAGS = ("O", "B-X", "I-X", "B-Y", "I-Y")
V, C, K, T = 11, 6, len(TAGS), 7
LENGTHS = (5, 3, 1, 0)
DELAY = 2
SWIFT = {"xla_backend_optimization_level": 0}
WORDS = WordFeaturesConfig(embedding=4, character_embedding=3, character_features=2, dropout=0.0)


def config(**changes) -> RecurrentTaggerConfig:
    """One direction, few features."""
    reader = RecurrentReaderConfig(cell="gru", features=5, bidirectional=False)
    return RecurrentTaggerConfig(words=WORDS, reader=reader, **changes)


@functools.cache
def compiled():
    """A delayed tagger with a CRF, weights away from zero: its emissions, nats, gradient and tags."""
    legal = crf.Transitions(*map(jnp.asarray, legal_transitions(TAGS, "bio")))
    model = tagger(lambda rngs: WordReader(config(delay=DELAY), V, C, rngs=rngs), K, legal=legal)
    params = drawn(model.init)

    def run(batch):
        nats, gradient = jax.value_and_grad(model.nats)(params, batch, None)
        emissions, transitions = model.scores(params, batch)
        own = -crf.log_likelihood(emissions, batch["tags"], transitions, batch["mask"]).sum()
        return emissions, nats, gradient, model.decode(params, batch), own

    return jax.jit(run, compiler_options=SWIFT)


def made(batch):
    """What it makes of a batch, on the host."""
    return jax.device_get(compiled()(batch))


def batch(seed: int = 0, side: str = "right", fill: int = 0) -> dict[str, np.ndarray]:
    """Rows of words, spellings and tags, with padding on one side."""
    random = np.random.default_rng(seed)
    sizes = {"words": (V, ()), "characters": (C + 1, (3,)), "tags": (K, ())}
    found = {name: np.full((len(LENGTHS), T, *tail), fill, np.int32) for name, (_, tail) in sizes.items()}
    found["mask"] = np.zeros((len(LENGTHS), T), bool)
    for row, length in enumerate(LENGTHS):
        place = slice(0, length) if side == "right" else slice(T - length, T)
        for name, (size, tail) in sizes.items():
            found[name][row, place] = random.integers(1, size, (length, *tail))
        found["tags"][row, place] = [1, 2, 0, 3, 4][:length]
        found["mask"][row, place] = True
    return found


@pytest.mark.parametrize("side, fill", [("right", 10**6), ("right", -7), ("left", 1)])
def test_padding_changes_nothing(side, fill):
    plain, padded = batch(), batch(side=side, fill=fill)
    wanted, found = made(plain), made(padded)
    np.testing.assert_allclose(found[0][padded["mask"]], wanted[0][plain["mask"]], atol=1e-5)
    assert found[3][padded["mask"]].tolist() == wanted[3][plain["mask"]].tolist()
    assert found[1] == pytest.approx(wanted[1], rel=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), found[2], wanted[2])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found[2]))


def test_a_token_sees_as_far_ahead_as_the_delay_and_no_further():
    plain = batch()
    other = {name: leaf.copy() for name, leaf in plain.items()}
    changed = 3  # in the row of five
    other["words"][0, changed] = plain["words"][0, changed] % (V - 1) + 1
    before, after = made(plain)[0], made(other)[0]
    np.testing.assert_array_equal(after[0, : changed - DELAY], before[0, : changed - DELAY])
    assert (np.abs(after - before)[0, changed - DELAY : LENGTHS[0]].max(axis=-1) > 1e-6).all()


def test_a_delayed_reader_gives_each_token_what_a_plain_one_says_later():
    random = np.random.default_rng(0)
    xs, mask = random.normal(size=(2, 5, 3)), np.array([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0]], bool)

    def sums(xs, *, mask, keys=None):  # the simplest reader there is
        return jnp.cumsum(jnp.where(mask[..., None], xs, 0), axis=1)

    ys = np.asarray(read_on(sums, jnp.asarray(xs), jnp.asarray(mask), 1))
    total = xs[0, [0, 2, 3]].cumsum(axis=0)
    np.testing.assert_allclose(ys[0, [0, 2, 3]], total[[1, 2, 2]], atol=1e-6)
    assert not ys[0, [1, 4]].any()
    assert not ys[1].any()


def test_the_loss_is_that_of_whole_sentences_and_no_illegal_one_is_made():
    found = made(batch())
    assert found[1] == pytest.approx(found[4], rel=1e-6)
    for seed in range(5):
        plain = batch(seed)
        for tags, real in zip(made(plain)[3], plain["mask"], strict=True):
            assert first_illegal([TAGS[tag] for tag in tags[real]], "bio") is None


def test_a_delay_for_a_reader_that_sees_all_is_refused():
    with pytest.raises(InputError, match="reads both ways"):
        RecurrentTaggerConfig(delay=1)
    with pytest.raises(InputError, match="`delay` should be at least 0"):
        RecurrentTaggerConfig(delay=-1)


def test_without_a_crf_every_tag_stands_by_itself():
    model = tagger(lambda rngs: WordReader(config(crf=False), V, C, rngs=rngs), K, chained=False)
    shapes = nnx.eval_shape(model.init, jax.random.key(0))
    assert "transitions" not in shapes
    assert jax.eval_shape(model.decode, shapes, batch()).shape == (len(LENGTHS), T)

"""Pooling against float64 NumPy, wherever the real steps stand; empty rows and garbage in padding."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.ops import pooling

B, T, M, BACKWARD, FIRST = 5, 6, 4, 2, 3
SWIFT = {"xla_backend_optimization_level": 0}
MASK = np.array(["111000", "000111", "011010", "000000", "111111"])
MASK = np.array([[flag == "1" for flag in row] for row in MASK])
POOLS = {
    "last": lambda xs, scores, mask: pooling.pool_last(xs, mask, BACKWARD),
    "mean": lambda xs, scores, mask: pooling.pool_mean(xs, mask),
    "max": lambda xs, scores, mask: pooling.pool_max(xs, mask),
    "sum": lambda xs, scores, mask: pooling.pool_sum(xs, mask),
    "attention": pooling.pool_attention,
    "first": lambda xs, scores, mask: pooling.pool_first(xs, mask, FIRST),
}
WIDTHS = {name: M * FIRST if name == "first" else M for name in POOLS}


def oracle(name, xs, scores):
    """One row of real steps (T, M) and their scores (T,), in float64."""
    if name == "first":
        return np.concatenate([*xs[:FIRST], *np.zeros((max(0, FIRST - len(xs)), M))])
    if not len(xs):
        return np.zeros(M)
    if name == "attention":
        powers = np.exp(scores - scores.max())
        return powers @ xs / powers.sum()
    if name == "last":
        return np.concatenate([xs[-1, : M - BACKWARD], xs[0, M - BACKWARD :]])
    return getattr(np, name)(xs, axis=0)


@functools.cache
def compiled():
    """All poolings, and the gradient of their squares, in one program."""

    def total(xs, scores, mask):
        found = {name: pool(xs, scores, mask) for name, pool in POOLS.items()}
        return sum((leaf**2).sum() for leaf in found.values()), found

    return jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True), compiler_options=SWIFT)


def drawn():
    random = np.random.default_rng(0)
    return random.normal(size=(B, T, M)), 30 * random.normal(size=(B, T))


def test_poolings_equal_numpy():
    xs, scores = drawn()
    _, found = compiled()(xs.astype("float32"), scores.astype("float32"), MASK)
    for name in POOLS:
        wanted = [oracle(name, row[real], score[real]) for row, score, real in zip(xs, scores, MASK, strict=True)]
        np.testing.assert_allclose(found[name], wanted, atol=2e-6, err_msg=name)
        assert found[name].shape == (B, WIDTHS[name])


def test_padding_reaches_neither_values_nor_gradients():
    xs, scores = (array.astype("float32") for array in drawn())
    wanted = compiled()(xs, scores, MASK)
    for garbage in (np.inf, -np.inf, np.nan):
        dirty = np.where(MASK[..., None], xs, garbage), np.where(MASK, scores, garbage)
        jax.tree.map(np.testing.assert_array_equal, compiled()(*dirty, MASK), wanted)
    assert jax.tree.all(jax.tree.map(lambda leaf: np.isfinite(leaf).all(), wanted))
    assert all((np.asarray(leaf)[~MASK] == 0).all() for leaf in wanted[0])


def test_weights_are_a_distribution_over_real_steps():
    _, scores = drawn()
    weights = np.asarray(pooling.attention_weights(jnp.asarray(scores), jnp.asarray(MASK)))
    np.testing.assert_allclose(weights.sum(axis=1), MASK.any(axis=1), atol=1e-6)
    assert (weights[~MASK] == 0).all()
    far = pooling.attention_weights(jnp.array([[1e4, 1e4, -1e4]]), jnp.ones((1, 3), bool))
    assert far.tolist() == [[0.5, 0.5, 0.0]]
    half = pooling.attention_weights(jnp.zeros((1, 3), jnp.bfloat16), jnp.ones((1, 3), bool))
    assert (half.dtype, half.tolist()) == (jnp.float32, [[np.float32(1 / 3)] * 3])


def test_means_of_half_precision_are_summed_in_more():
    large = pooling.pool_mean(jnp.full((1, 100, 1), 1000, jnp.float16), jnp.ones((1, 100), bool))
    many = pooling.pool_mean(jnp.ones((1, 70_000, 1), jnp.float16), jnp.ones((1, 70_000), bool))
    assert (large.tolist(), many.tolist(), many.dtype) == ([[1000.0]], [[1.0]], jnp.float16)


def test_the_largest_of_nothing_but_minus_infinity_is_that():
    assert pooling.pool_max(jnp.full((1, 2, 1), -jnp.inf), jnp.ones((1, 2), bool)).tolist() == [[-np.inf]]


def test_no_steps_are_rows_without_a_real_step():
    xs, mask = jnp.ones((2, 0, 3)), jnp.ones((2, 0), bool)
    for pool in (pooling.pool_last, pooling.pool_mean, pooling.pool_max, pooling.pool_sum):
        np.testing.assert_array_equal(pool(xs, mask), np.zeros((2, 3)))
    np.testing.assert_array_equal(pooling.pool_attention(xs, mask.astype(float), mask), np.zeros((2, 3)))
    short = pooling.pool_first(jnp.ones((2, 1, 3)), jnp.ones((2, 1), bool), 2)
    np.testing.assert_array_equal(short, [[1, 1, 1, 0, 0, 0]] * 2)
    np.testing.assert_array_equal(pooling.pool_first(xs, mask, 2), np.zeros((2, 6)))


def test_what_does_not_fit_is_refused():
    xs = jnp.ones((2, 3, 4))
    with pytest.raises(InputError, match=r"`mask` should be \(B, T\)"):
        pooling.pool_mean(xs, jnp.ones((2, 4), bool))
    with pytest.raises(InputError, match="boolean"):
        pooling.pool_max(xs, jnp.ones((2, 3)))
    with pytest.raises(InputError, match="backward"):
        pooling.pool_last(xs, jnp.ones((2, 3), bool), backward=5)
    with pytest.raises(InputError, match="steps"):
        pooling.pool_first(xs, jnp.ones((2, 3), bool), 0)

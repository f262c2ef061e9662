"""Dilated causal convolutions against float64 NumPy, documents in one row, and the windows that are carried."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from seqjax.checks import InputError
from seqjax.layers import TCN, functional
from seqjax.models.tcn import ConvolutionReaderConfig
from seqjax.ops.convolution import causal_convolution
from seqjax.ops.dropout import row_keys

B, T, D, H, LEVELS, WIDTH = 3, 9, 2, 3, 2, 3
SWIFT = {"xla_backend_optimization_level": 0}


def convolve(xs, taps, dilation):
    """One row (T, D), step by step and tap by tap."""
    ys = np.zeros((len(xs), taps.shape[-1]))
    for t in range(len(xs)):
        for k in range(len(taps)):
            source = t - (len(taps) - 1 - k) * dilation
            if source >= 0:
                ys[t] += xs[source] @ taps[k]
    return ys


def network(params, xs):
    """The whole network on one row (T, D), in float64."""
    for level, block in sorted(params["blocks"].items()):
        ys = xs
        for name in ("first", "second"):
            part = block[name]
            taps = part["taps"] / np.sqrt((part["taps"] ** 2).sum(axis=(0, 1))) * part["scale"]
            ys = np.maximum(convolve(ys, taps, 2**level) + part["bias"], 0)
        kept = xs if "residual" not in block else xs @ block["residual"]["kernel"] + block["residual"]["bias"]
        xs = np.maximum(kept + ys, 0)
    return xs


@functools.cache
def made():
    """Parameters away from zero, and the compiled layer: always with a state, a mask and flags, so once."""
    params, apply = functional(TCN(D, H, levels=LEVELS, width=WIDTH, rngs=nnx.Rngs(0)))
    random = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: leaf + random.normal(size=leaf.shape, scale=0.2).astype("float32"), params)

    def run(state, xs, mask, reset):
        return apply(params, xs, state=state, mask=mask, reset=reset)

    return params, jax.jit(run, compiler_options=SWIFT)


def start():
    """Windows of zeros."""
    return TCN(D, H, levels=LEVELS, width=WIDTH, rngs=nnx.Rngs(0)).start(B)


def features(seed: int = 0):
    return np.random.default_rng(seed).normal(size=(B, T, D)).astype("float32")


def test_the_network_equals_numpy():
    params, run = made()
    xs, whole = features(), np.ones((B, T), bool)
    _, ys = run(start(), xs, whole, ~whole)
    wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    np.testing.assert_allclose(ys, [network(wide, row) for row in xs.astype(np.float64)], atol=1e-5)


@pytest.mark.parametrize("at", [3, T - 3])  # the window is as long as the new document, or longer
def test_documents_do_not_see_each_other_wherever_the_flag_stands(at):
    _, run = made()
    xs, mask, reset = features(), np.ones((B, T), bool), np.zeros((B, T), bool)
    mask[:, at], reset[:, at] = False, True  # a new document begins where nothing is real
    xs[:, at] = np.nan
    state, ys = run(start(), xs, mask, reset)
    after, rest = np.zeros_like(xs), T - at - 1
    after[:, :rest] = xs[:, at + 1 :]
    there = np.arange(T)[None] < np.full((B, 1), rest)
    final, alone = run(start(), after, there, np.zeros_like(reset))
    np.testing.assert_allclose(ys[:, at + 1 :], alone[:, :rest], atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), state, final)


def test_rows_that_end_at_different_steps_carry_their_own_windows():
    _, run = made()
    xs, no = features(), np.zeros((B, T), bool)
    _, whole = run(start(), xs, ~no, no)
    first = np.array([[3], [0], [9]])  # steps of each row in the first part
    mask = np.arange(T) < first
    state, one = run(start(), np.where(mask[..., None], xs, np.inf), mask, no)
    _, two = run(state, xs, ~mask, no)  # the others, wherever they stand
    np.testing.assert_allclose(np.where(mask[..., None], one, two), whole, atol=1e-6)
    assert (np.asarray(one)[~mask] == 0).all()
    none = jax.eval_shape(run, state, *(leaf[:, :0] for leaf in (xs, mask, no)))
    assert jax.tree.map(np.shape, none) == (jax.tree.map(np.shape, state), (B, 0, H))


def test_weights_whose_length_is_apart_begin_as_those_whose_is_not():
    apart, whole = (TCN(D, H, levels=1, width=WIDTH, weight_norm=flag, rngs=nnx.Rngs(0)) for flag in (True, False))
    xs = jnp.asarray(features())
    np.testing.assert_allclose(apart(xs)[1], whole(xs)[1], atol=1e-6)


def test_a_step_is_reached_by_as_many_steps_as_said_and_no_more():
    layer = TCN(D, H, levels=LEVELS, width=WIDTH, rngs=nnx.Rngs(0))
    params, apply = functional(layer)
    params = jax.tree.map(abs, params)  # no rectifier shuts
    last = jax.jit(jax.grad(lambda xs: apply(params, xs)[1][0, -1].sum()), compiler_options=SWIFT)
    slope = last(jnp.ones((1, 20, D)))[0]
    assert np.flatnonzero(np.any(slope, axis=-1)).tolist() == list(range(20 - layer.reach, 20))


def test_dropout_takes_whole_features_of_a_row():
    layer = TCN(D, 16, levels=1, width=WIDTH, dropout=0.5, rngs=nnx.Rngs(0))
    xs, keys = jnp.zeros((2, 5, D)), row_keys(jax.random.key(0), jnp.arange(2))
    params, apply = functional(layer)
    params["blocks"][0]["second"]["bias"] = jnp.ones(16)
    ys = np.asarray(jax.jit(lambda params: apply(params, xs, keys=keys)[1], compiler_options=SWIFT)(params))
    assert set(np.unique(ys)) == {0.0, 2.0}
    assert (ys == ys[:, :1]).all()
    assert (ys[0] != ys[1]).any()


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="dilation"):
        causal_convolution(jnp.ones((1, 2, 1)), jnp.ones((2, 1, 1)), dilation=0)
    with pytest.raises(InputError, match="at least 1 tap"):
        causal_convolution(jnp.ones((1, 2, 1)), jnp.ones((0, 1, 1)))
    with pytest.raises(InputError, match="2 taps"):
        TCN(D, H, levels=1, width=1, rngs=nnx.Rngs(0))
    for shape in ({"layers": 0}, {"width": 1}, {"dropout": 1.0}):
        with pytest.raises(InputError, match=next(iter(shape))):
            ConvolutionReaderConfig(**shape)

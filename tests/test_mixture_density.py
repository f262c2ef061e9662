"""The mixture density against float64 NumPy, its integral, its edges, and what is drawn from it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.ops.dropout import row_keys
from seqjax.ops.mixture_density import LARGEST, LEAST, MOST, draw_point, point_nats, read_mixture, width

K = 3
SWIFT = {"xla_backend_optimization_level": 0}


@jax.jit
def nats_and_gradient(raw, offsets, pen, mask):
    """Of every point, and of their sum."""
    gradient = jax.grad(lambda raw: point_nats(raw, offsets, pen, mask).sum())(raw)
    return point_nats(raw, offsets, pen, mask), gradient


def oracle(raw, offsets, pen):
    """−log p in float64, component by component."""
    raw = np.asarray(raw, np.float64)
    logits, x, y, wide, tall, turned = np.split(raw[:-3], 6)
    shares = np.exp(logits) / np.exp(logits).sum()
    total = 0.0
    for k in range(len(shares)):
        deviations, rho = LEAST + np.exp([wide[k], tall[k]]), MOST * np.tanh(turned[k])
        covariance = np.outer(deviations, deviations) * [[1, rho], [rho, 1]]
        apart = offsets - [x[k], y[k]]
        square = apart @ np.linalg.inv(covariance) @ apart
        total += shares[k] * np.exp(-0.5 * square) / (2 * np.pi * np.sqrt(np.linalg.det(covariance)))
    states = np.exp(raw[-3:]) / np.exp(raw[-3:]).sum()
    return -np.log(total) - np.log(states[pen])


def test_it_is_what_float64_says():
    random = np.random.default_rng(0)
    raw, offsets = random.normal(size=(40, width(K))), random.normal(size=(40, 2)) * 2
    pen = random.integers(0, 3, 40)
    found, _ = nats_and_gradient(*map(jnp.float32, (raw, offsets)), jnp.asarray(pen), jnp.ones(40, bool))
    np.testing.assert_allclose(found, [oracle(*row) for row in zip(raw, offsets, pen, strict=True)], rtol=2e-5)


def test_it_integrates_to_one():
    raw = jnp.asarray(np.random.default_rng(1).normal(size=width(K)), jnp.float32)
    places, step = np.linspace(-14, 14, 281, retstep=True)
    offsets = jnp.asarray(np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2), jnp.float32)
    each = jnp.broadcast_to(raw, (len(offsets), len(raw)))
    pen = jax.nn.softmax(raw[-3:])
    found, _ = nats_and_gradient(each, offsets, jnp.zeros(len(offsets), int), jnp.ones(len(offsets), bool))
    assert float(np.exp(-np.asarray(found, np.float64)).sum() * step**2) == pytest.approx(float(pen[0]), rel=1e-3)


def test_any_output_and_any_padding_give_finite_nats_and_gradients():
    raw = jnp.concatenate([jnp.full((2, width(K)), 1e9), jnp.full((2, width(K)), -1e9), jnp.zeros((2, width(K)))])
    offsets = jnp.array([[0.0, 0], [1e4, -1e4], [0, 0], [1e4, 1e4], [jnp.nan, jnp.inf], [0, 0]])
    mask = jnp.array([True] * 4 + [False, True])
    found, gradient = nats_and_gradient(raw, offsets, jnp.array([0, 1, 2, 0, 99, 1]), mask)
    assert np.isfinite(found).all()
    assert np.isfinite(gradient).all()
    assert found[4] == 0
    assert not np.asarray(gradient[4]).any()
    mixture = read_mixture(raw)
    assert float(mixture.deviations.min()) >= LEAST
    assert float(mixture.deviations.max()) <= LARGEST * 1.001
    assert float(abs(mixture.correlations).max()) < 1
    assert {leaf.dtype for leaf in jax.eval_shape(read_mixture, raw.astype(jnp.bfloat16))} == {jnp.dtype(jnp.float32)}


def test_what_is_drawn_has_the_moments_of_the_mixture_and_belongs_to_its_key():
    raw = np.full(width(2), 0.0, np.float32)
    raw[:2], raw[2:4], raw[4:6] = [0, 1], [-3, 3], [0, 1]  # weights, x, y
    raw[6:10], raw[10:12], raw[12:] = -1, [0.5, -0.5], [0, 0.5, -0.5]  # deviations, correlations, pen
    keys, many = row_keys(jax.random.key(0), jnp.arange(4000)), jnp.tile(raw, (4000, 1))
    draw = jax.jit(draw_point)
    drawn = np.asarray(draw(many, keys, 1.0))
    mixture = jax.tree.map(np.asarray, read_mixture(jnp.asarray(raw)))
    second = drawn[:, 0] > 0
    assert second.mean() == pytest.approx(np.exp(mixture.weights[1]), abs=0.03)
    for k, rows in enumerate((drawn[~second, :2], drawn[second, :2])):
        np.testing.assert_allclose(rows.mean(axis=0), mixture.means[k], atol=0.05)
        np.testing.assert_allclose(rows.std(axis=0), mixture.deviations[k], atol=0.03)
        assert np.corrcoef(rows.T)[0, 1] == pytest.approx(mixture.correlations[k], abs=0.08)
    assert np.bincount(drawn[:, 2].astype(int)) / 4000 == pytest.approx(np.exp(mixture.pen), abs=0.03)
    turned = np.asarray(draw(many, keys[::-1], 1.0))
    np.testing.assert_array_equal(turned[::-1], drawn)
    cool = np.asarray(draw(many, keys, 0.25))  # half the deviation, and probabilities to the fourth power
    np.testing.assert_allclose(cool[cool[:, 0] > 0, :2].std(axis=0), mixture.deviations[1] / 2, atol=0.03)
    assert (cool[:, 0] > 0).mean() == pytest.approx(1 / (1 + np.exp(-4)), abs=0.02)
    fourth = np.exp(4 * raw[12:])
    assert np.bincount(cool[:, 2].astype(int)) / 4000 == pytest.approx(fourth / fourth.sum(), abs=0.03)
    sharp = np.asarray(draw(many, keys, 1e-6))
    np.testing.assert_allclose(sharp[:, :2], np.tile(mixture.means[1], (4000, 1)), atol=0.01)


def test_outputs_of_another_width_are_refused():
    with pytest.raises(InputError, match=r"6K \+ 3"):
        read_mixture(jnp.zeros((2, 10)))

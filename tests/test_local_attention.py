"""Local attention: its formula, padding, and the gradient of the place it looks at."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import local_attention as oracle

from seqjax.checks import InputError
from seqjax.ops.local_attention import local_m, local_p

B, T, S, WIDTH = 3, 4, 7, 2
KINDS = {"m": (local_m, oracle.local_m), "p": (local_p, oracle.local_p)}
each_kind = pytest.mark.parametrize("kind", KINDS)


def case(kind: str, dtype=np.float32):
    """Scores (B, T, S), places (B, T) and a mask (B, S): left padding, right padding, holes."""
    random = np.random.default_rng(0)
    place = np.tile(np.arange(T), (B, 1)) + 1 if kind == "m" else random.normal(size=(B, T), scale=2)
    mask = np.array([[0, 0, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0, 0], [1, 0, 1, 1, 0, 1, 1]], bool)
    return random.normal(size=(B, T, S)).astype(dtype), place.astype(dtype), mask


@functools.cache
def runner(kind: str):
    """Compiled: weights, and the gradients of a weighted sum of them by scores and places."""
    weigh = jnp.cos(jnp.arange(B * T * S, dtype=jnp.float32)).reshape(B, T, S)

    def total(scores, place, mask):
        weights = KINDS[kind][0](scores, place, mask, width=WIDTH)
        return (weights * weigh).sum(), weights

    return jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))


def run(kind: str, *given):
    """Gradients and weights, on the host."""
    return jax.device_get(runner(kind)(*given))


@each_kind
def test_local_attention_equals_its_formula(kind):
    scores, place, mask = case(kind)
    weights = run(kind, scores, place, mask)[1]
    for b, t in np.ndindex(B, T):
        wanted = KINDS[kind][1](scores[b, t].astype(np.float64), float(place[b, t]), mask[b], WIDTH)
        np.testing.assert_allclose(weights[b, t], wanted, atol=1e-6)


def test_steps_may_be_of_any_type():
    steps = [jnp.array([1000], "uint32"), jnp.array([100], "int8"), jnp.array([1000], "bfloat16")]

    @jax.jit
    def weigh(steps):
        return [local_m(jnp.zeros((1, 1200)), step, jnp.ones((1200,), bool), width=1) for step in steps]

    for step, weights in zip(steps, weigh(steps), strict=True):
        assert np.flatnonzero(weights).tolist() == [int(step[0]) + more for more in (-1, 0, 1)]


def test_only_the_predicted_place_has_a_gaussian():
    scores, place, mask = case("m")
    assert set(run("m", scores, place, mask)[1].sum(-1).round(5).ravel()) <= {0.0, 1.0}
    scores, place, mask = case("p")
    assert (run("p", scores, place, mask)[1].sum(-1) < 1).all()


@each_kind
@pytest.mark.parametrize("garbage", [np.nan, np.inf, 1e30])
def test_masked_scores_change_nothing(kind, garbage):
    scores, place, mask = case(kind)
    (by_scores, by_place), weights = run(kind, scores, place, mask)
    (dirty_scores, dirty_place), dirty = run(kind, np.where(mask[:, None], scores, garbage), place, mask)
    np.testing.assert_array_equal(dirty, weights)
    np.testing.assert_array_equal(dirty_scores, by_scores)
    np.testing.assert_array_equal(dirty_place, by_place)
    assert (weights[~np.broadcast_to(mask[:, None], weights.shape)] == 0).all()


@each_kind
def test_where_nothing_is_in_reach_there_are_zeros_and_finite_gradients(kind):
    scores, place, mask = case(kind)
    mask[0] = False
    place[1] = 99.0  # local-m: far beyond the source; local-p: its end
    (by_scores, by_place), weights = run(kind, scores, place, mask)
    assert (weights[0] == 0).all()
    assert kind == "p" or (weights[1] == 0).all()
    assert (by_scores[0] == 0).all()
    assert np.isfinite(by_scores).all()
    assert np.isfinite(by_place).all()


def test_the_place_learns_through_the_gaussian():
    scores, place, mask = case("p")
    by_place, step = run("p", scores, place, mask)[0][1], 1e-5
    weigh = np.cos(np.arange(B * T * S)).reshape(B, T, S)
    for b, t in np.ndindex(B, T):
        low, high = (
            oracle.local_p(scores[b, t].astype(np.float64), float(place[b, t]) + move, mask[b], WIDTH) @ weigh[b, t]
            for move in (-step, step)
        )
        np.testing.assert_allclose(by_place[b, t], (high - low) / (2 * step), atol=1e-4)
    assert (np.abs(by_place) > 1e-4).mean() > 0.5


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda scores, place, mask: (scores, place[:, :1], mask), r"place.*\(3, 4\), but it is \(3, 1\)"),
        (lambda scores, place, mask: (scores, place, mask * 1), "mask.*boolean"),
        (lambda scores, place, mask: (scores, place, mask[:, 1:]), r"mask.*\(3, 7\), but it is \(3, 6\)"),
    ],
)
def test_what_does_not_fit_is_refused(change, said):
    with pytest.raises(InputError, match=said):
        local_p(*map(jnp.asarray, change(*case("p"))), width=WIDTH)
    with pytest.raises(InputError, match="width"):
        local_m(*map(jnp.asarray, case("m")), width=0)

"""Positions and norms: their formulas as loops, what rotation and linear biases promise, and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import attention as oracle

from seqjax.checks import InputError
from seqjax.ops.normalization import layer_norm, rms_norm
from seqjax.ops.positions import alibi, alibi_bias, rotary, sinusoidal

random = np.random.default_rng(0)
PLACES = np.array([[0, 1, 2, 3], [7, 700, 7000, 7000]])
X = random.normal(size=(2, 4, 3, 6))


@pytest.mark.parametrize("features", [1, 5, 8])
def test_sines_and_cosines_are_the_oracles(features):
    with jax.enable_x64(True):
        got = sinusoidal(jnp.asarray(PLACES), features)
    for b in range(2):
        np.testing.assert_allclose(got[b], oracle.sinusoidal(PLACES[b], features), atol=1e-11)
    np.testing.assert_allclose(sinusoidal(jnp.asarray(PLACES[0]), features), got[0], atol=1e-6)


@pytest.mark.parametrize("pairing", ["halves", "neighbours"])
@pytest.mark.parametrize("base", [10000.0, 50.0])
def test_rotations_are_the_oracles(pairing, base):
    with jax.enable_x64(True):
        got = rotary(jnp.asarray(X), jnp.asarray(PLACES), base=base, pairing=pairing)
    for b in range(2):
        np.testing.assert_allclose(got[b], oracle.rotary(X[b], PLACES[b], base, pairing), atol=1e-11)


@pytest.mark.parametrize("pairing", ["halves", "neighbours"])
def test_products_of_rotated_vectors_see_only_distances(pairing):
    query, key = (jnp.asarray(X[:1, i : i + 1], jnp.float32) for i in (0, 1))

    def product(p, q):
        turned = [rotary(x, jnp.full((1, 1), place), pairing=pairing) for x, place in ((query, p), (key, q))]
        return jnp.sum(turned[0] * turned[1], axis=-1)

    np.testing.assert_allclose(product(12, 9), product(3, 0), atol=1e-5)
    assert jnp.abs(product(12, 9) - product(12, 8)).max() > 0.01
    np.testing.assert_allclose(product(5, 5), jnp.sum(query * key, axis=-1), atol=1e-5)


def test_positions_of_all_rows_may_be_given_once():
    places = jnp.arange(X.shape[1])
    wanted = rotary(jnp.asarray(X), jnp.broadcast_to(places, X.shape[:2]))
    np.testing.assert_array_equal(rotary(jnp.asarray(X), places), wanted)


@pytest.mark.parametrize("pairing", ["halves", "neighbours"])
def test_rotation_keeps_the_type_and_turns_in_float32(pairing):
    half = jnp.asarray(X, jnp.bfloat16)
    turned = rotary(half, jnp.asarray(PLACES), pairing=pairing)
    assert turned.dtype == jnp.bfloat16
    want = rotary(half.astype(jnp.float32), jnp.asarray(PLACES), pairing=pairing).astype(jnp.bfloat16)
    np.testing.assert_array_equal(turned.astype(jnp.float32), want.astype(jnp.float32))


def test_slopes_are_geometric_and_other_numbers_of_heads_borrow_from_the_next_power_of_two():
    np.testing.assert_allclose(alibi(8), [2.0**-n for n in range(1, 9)])
    np.testing.assert_allclose(alibi(16), [2.0 ** (-n / 2) for n in range(1, 17)], rtol=1e-6)
    np.testing.assert_allclose(alibi(1), [2.0**-8])
    between = np.asarray(alibi(12))
    np.testing.assert_allclose(between[:8], alibi(8))
    np.testing.assert_allclose(between[8:], [2.0 ** (-n / 2) for n in (1, 3, 5, 7)], rtol=1e-6)


def test_the_linear_bias_falls_with_the_distance_on_both_sides():
    bias = alibi_bias(jnp.asarray(PLACES), jnp.asarray(PLACES[:, :3]), 4)
    assert bias.shape == (2, 4, 4, 3)
    for n, slope in enumerate(np.asarray(alibi(4))):
        for b in range(2):
            want = [[-slope * abs(p - q) for q in PLACES[b, :3]] for p in PLACES[b]]
            np.testing.assert_allclose(bias[b, n], want, rtol=1e-6)
    unsigned = alibi_bias(jnp.asarray(PLACES, jnp.uint16), jnp.asarray(PLACES[:, :3], jnp.uint16), 4)
    np.testing.assert_array_equal(unsigned, bias)


def test_norms_are_the_oracles():
    x, scale, bias = random.normal(size=(4, 6)) * 3 + 1, random.normal(size=6), random.normal(size=6)
    with jax.enable_x64(True):
        given = [jnp.asarray(array) for array in (x, scale, bias)]
        np.testing.assert_allclose(layer_norm(*given, 1e-3), oracle.layer_norm(x, scale, bias, 1e-3), atol=1e-12)
        unshifted = layer_norm(given[0], given[1], None, 1e-3)
        np.testing.assert_allclose(unshifted, oracle.layer_norm(x, scale, 0 * bias, 1e-3), atol=1e-12)
        np.testing.assert_allclose(rms_norm(*given[:2], 1e-3), oracle.rms_norm(x, scale, 1e-3), atol=1e-12)


SCALE = jnp.linspace(0.3, 3.0, 64)


@pytest.mark.parametrize(
    "norm", [lambda x: layer_norm(x, SCALE, jnp.zeros(64)), lambda x: rms_norm(x, SCALE)], ids=["layer", "rms"]
)
def test_norms_compute_in_float32_and_keep_zeros_finite(norm):
    far = jnp.asarray(300 + random.normal(size=(2, 64)), jnp.bfloat16)
    assert norm(far).dtype == jnp.bfloat16
    np.testing.assert_allclose(norm(far).astype(jnp.float32), norm(far.astype(jnp.float32)), rtol=0.01, atol=1e-6)
    np.testing.assert_array_equal(norm(far), norm(far.astype(jnp.float32)).astype(jnp.bfloat16))  # rounded once
    to_zeros = jax.grad(lambda x: jnp.sum(norm(x) ** 2))(jnp.zeros((2, 64)))
    assert np.isfinite(to_zeros).all()


REFUSED = {
    "even K": lambda: rotary(jnp.ones((1, 2, 3)), jnp.zeros(1, int)),
    "`positions` should be \\(\\*B, T\\) = \\(2, 4\\)": lambda: rotary(jnp.asarray(X), jnp.arange(5)),
    "Did you mean `halves`": lambda: rotary(jnp.asarray(X), jnp.asarray(PLACES), pairing="half"),
    "`heads` should be at least 1": lambda: alibi(0),
    "layer_norm: `scale`": lambda: layer_norm(jnp.ones((2, 3)), jnp.ones(2), None),
    "layer_norm: `bias`": lambda: layer_norm(jnp.ones((2, 3)), jnp.ones(3), jnp.ones(2)),
    "rms_norm: `scale`": lambda: rms_norm(jnp.ones((2, 3)), jnp.ones(2)),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_does_not_fit_is_refused(said):
    with pytest.raises(InputError, match=said):
        REFUSED[said]()

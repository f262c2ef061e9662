"""Whole numbers where what comes out has the type of what goes in: refused, not cut off in silence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.decoding import Decodable, make_values
from seqjax.ops.attention import read
from seqjax.ops.lambdas import lambda_layer
from seqjax.ops.normalization import layer_norm, rms_norm
from seqjax.ops.pooling import pool_attention, pool_max
from seqjax.ops.positions import rotary
from seqjax.ops.quantiles import pinball
from seqjax.ops.spectrogram import log_mel

WHOLE, REAL = jnp.array([[[1, 0, 0, 0]]]), jnp.ones((1, 1), bool)
WALK = Decodable(lambda params, inputs: ((), ()), lambda params, memory, state, last: (state, last + params))
KEYS = jax.random.split(jax.random.key(0), 2)


def walk(first, prefix=None):
    """Steps of a half from ``first``."""
    return make_values(WALK, 0.5, None, first, KEYS, choose=lambda y, *_: (y, y >= 9.0), max_steps=4, prefix=prefix)


@pytest.mark.parametrize(
    "function, name",
    [
        (lambda: read(jnp.ones((1, 1, 1)), WHOLE), "values"),
        (lambda: pool_max(WHOLE, REAL), "xs"),
        (lambda: pool_attention(WHOLE, jnp.zeros((1, 1)), REAL), "xs"),
        (lambda: rotary(WHOLE, jnp.array([1])), "x"),
        (lambda: layer_norm(WHOLE, jnp.ones(4), None), "x"),
        (lambda: rms_norm(WHOLE, jnp.ones(4)), "x"),
        (lambda: lambda_layer(jnp.ones((1, 1, 1, 1)), jnp.zeros((1, 1, 1)), WHOLE, jnp.zeros((1, 1))), "value"),
        (
            lambda: log_mel(jnp.ones((1, 800), jnp.int16), np.ones((1, 800), bool), rate=80, window=20, hop=8, bands=2),
            "samp",
        ),
        (lambda: walk(jnp.array([0, 2])), "first"),
        (lambda: walk(jnp.array([0, 2]), (jnp.array([[0.7], [0.7]]), jnp.ones((2, 1), bool))), "prefix"),
    ],
)
def test_they_are_refused(function, name):
    with pytest.raises(InputError, match=f"`{name}.*(should be floating|Give `first` as float32)"):
        function()


def test_numbers_with_fractions_are_taken():
    assert walk(jnp.array([0.0, 2.0])).values.tolist() == [[0.5, 1.0, 1.5, 2.0], [2.5, 3.0, 3.5, 4.0]]


def test_quantiles_of_counts_are_no_counts():
    found = pinball(np.array([[1, 2]]), np.array([3]), (0.25, 0.75))
    np.testing.assert_array_equal(found, [[0.5, 0.75]])
    np.testing.assert_allclose(
        pinball(np.array([[0, 0]]), np.array([12345]), (0.1, 0.9)), [[1234.5, 11110.5]], rtol=1e-6
    )
    with pytest.raises(
        InputError, match=r"pinball: `forecasts` should be \(\*B, Q\) = \(3, 1, 2\), but it is \(3, 2\)"
    ):
        pinball(np.ones((3, 2)), np.ones((3, 1)), (0.25, 0.75))

"""What cells are before they have learned: open forget gates, and kernels that are drawn each for itself."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax import cells
from seqjax.cells.initializers import chrono

H = 3
FORGETFUL = (cells.lstm, cells.lstm_peephole, cells.lstm_projected, cells.lstm_time_aware)
DRAWN = (*FORGETFUL, cells.lstm_1997, cells.gru, cells.gru_reset_before)
named = {"ids": lambda make: make.__name__}


def made(make, **options):
    """A cell and its parameters, as many inputs as features."""
    cell = make(**options)
    return cell, cell.init(jax.random.key(0), H, H)


@pytest.mark.parametrize("make", FORGETFUL, **named)
def test_the_bias_of_the_forget_gate_is_that_of_the_forget_gate(make):
    cell, params = made(make, forget_bias=2.0)
    weights, xs = cell.prepare(params), jnp.zeros((1, H))
    drive = cell.project(weights, cells.Visits(xs, xs[:, :1]) if make is cells.lstm_time_aware else xs)
    _, gates = cell.step(weights, cell.initial_state(params, ()), jax.tree.map(lambda leaf: leaf[0], drive))
    np.testing.assert_allclose(gates.forget, jax.nn.sigmoid(2.0), rtol=1e-6)
    np.testing.assert_allclose([gates.input, gates.output], 0.5, rtol=1e-6)


@pytest.mark.parametrize("make", DRAWN, **named)
def test_no_two_kernels_are_drawn_alike(make):
    normal = jax.nn.initializers.normal()
    options = {"projection": H} if make is cells.lstm_projected else {}
    _, params = made(make, input_init=normal, hidden_init=normal, **options)
    gates = [gate for leaf in params if leaf.ndim == 2 for gate in np.split(np.asarray(leaf), leaf.shape[1] // H, 1)]
    assert len(gates) > 4
    assert not any(np.array_equal(one, other) for one, other in itertools.combinations(gates, 2))


def test_memories_longer_than_half_precision_counts_are_drawn():
    long = chrono(jax.random.key(0), 8, 1e5, jnp.float16)
    assert long.dtype == jnp.float16
    assert bool((long >= 0).all() & (long <= np.log(1e5)).all() & (long > 5).any())

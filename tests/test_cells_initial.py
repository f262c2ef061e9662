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


@pytest.mark.parametrize("make, second", [(cells.elman, "hidden"), (cells.jordan, "memory"), (cells.janet, "hidden")])
def test_no_kernel_of_few_is_drawn_as_another(make, second):
    normal = jax.nn.initializers.normal()
    _, params = made(make, **{"input_init": normal, f"{second}_init": normal})
    gates = [gate for leaf in params if leaf.ndim == 2 for gate in np.split(np.asarray(leaf), leaf.shape[1] // H, 1)]
    assert len(gates) > 1
    assert not any(np.array_equal(one, other) for one, other in itertools.combinations(gates, 2))


def test_peepholes_are_drawn_each_for_itself():
    _, params = made(cells.lstm_peephole, peephole_init=jax.nn.initializers.normal())
    peepholes = [leaf for name, leaf in params._asdict().items() if name.endswith("peephole")]
    assert not any(np.array_equal(one, other) for one, other in itertools.combinations(peepholes, 2))


@pytest.mark.parametrize("make", (cells.gru, cells.gru_reset_before), **named)
def test_the_bias_of_the_update_gate_is_that_of_the_update_gate(make):
    cell, params = made(make, update_bias=2.0)
    drive = jax.tree.map(lambda leaf: leaf[0], cell.project(cell.prepare(params), jnp.zeros((1, H))))
    _, gates = cell.step(cell.prepare(params), cell.initial_state(params, ()), drive)
    np.testing.assert_allclose(gates.update, jax.nn.sigmoid(2.0), rtol=1e-6)
    np.testing.assert_allclose(gates.reset, 0.5, rtol=1e-6)


def test_half_as_many_features_are_projected_to_where_nothing_is_said():
    state = cells.LSTMProjected.initial_state(cells.LSTMProjected.init(jax.random.key(0), H, 8), ())
    assert (state.hidden.shape, state.cell.shape) == ((4,), (8,))


def test_memories_longer_than_half_precision_counts_are_drawn():
    long = chrono(jax.random.key(0), 8, 1e5, jnp.float16)
    assert long.dtype == jnp.float16
    assert bool((long >= 0).all() & (long <= np.log(1e5)).all() & (long > 5).any())

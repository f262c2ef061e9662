"""What one sees inside a run is what the run did."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import CELLS, B, T, name_of
from cell_runs import DIRECTIONS, QUICKLY, assert_same, host, make_case, outcome

from seqjax import cells

each_cell = pytest.mark.parametrize("row", CELLS, ids=name_of)


@pytest.fixture(autouse=True, scope="module")
def float64():
    with jax.enable_x64(True):
        yield


def flags_of(case):
    return {
        "mask": case.mask,
        "reset": case.reset,
        "state": case.state,
        "initial": case.initial,
        "context": case.context,
    }


@functools.cache
def scans(row):
    """A compiled function from a case to ``{reverse: outcome}`` of the plain scan."""
    run = jax.jit(
        lambda case: {reverse: outcome(row, case, reverse, "scan") for reverse in DIRECTIONS}, compiler_options=QUICKLY
    )
    return lambda case: host(run(case))


@each_cell
def test_traced_states_are_those_of_the_run(row):
    case = host(make_case(row))

    def look(case):
        flags = flags_of(case)
        found = [cells.trace(row.cell, case.params, case.xs, reverse=reverse, **flags)[0] for reverse in DIRECTIONS]
        return [(states, row.cell.output(states)) for states in found]

    traced = host(jax.jit(look, compiler_options=QUICKLY)(case))
    for reverse, (states, outputs) in zip(DIRECTIONS, traced, strict=True):
        wanted = scans(row)(case)[reverse]
        last = 0 if reverse else T - 1
        assert_same(np.where(case.mask[..., None], outputs, 0), wanted.ys)
        assert_same(jax.tree.map(lambda leaf, last=last: leaf[:, last], states), wanted.final)


@each_cell
def test_the_gradient_at_a_state_is_that_of_starting_there(row):
    """∂L/∂s_t is the gradient of a run that starts from s_t and sees only what comes after."""
    case = host(make_case(row))._replace(mask=np.ones((B, T), bool), reset=np.zeros((B, T), bool))
    case = case._replace(ys_weight=np.zeros_like(case.ys_weight))

    def look(case, reverse):
        def loss(result):
            return sum(jax.tree.leaves(jax.tree.map(lambda a, b: (a * b).sum(), result[0], case.state_weight)))

        flags = {**flags_of(case), "reverse": reverse}
        states, _ = cells.trace(row.cell, case.params, case.xs, **flags)
        return states, cells.state_gradients(row.cell, case.params, case.xs, loss, **flags)

    found = host(jax.jit(lambda case: [look(case, reverse) for reverse in DIRECTIONS], compiler_options=QUICKLY)(case))
    for reverse, (states, gradients) in zip(DIRECTIONS, found, strict=True):
        for t in (1, 3, 5):
            rest = np.broadcast_to(np.arange(T) < t if reverse else np.arange(T) > t, (B, T))
            here = jax.tree.map(lambda leaf, t=t: leaf[:, t], states)
            wanted = scans(row)(case._replace(state=here, mask=rest))[reverse].gradients[2]
            assert_same(jax.tree.map(lambda leaf, t=t: leaf[:, t], gradients), wanted)
        last = 0 if reverse else T - 1
        assert_same(jax.tree.map(lambda leaf, last=last: leaf[:, last], gradients), case.state_weight)


def test_the_loss_may_look_at_outputs_which_are_zero_where_masked():
    params = cells.IRNN.init(jax.random.key(0), 3, 4, jnp.float64)
    mask = jnp.array([True, True, False, True])
    start = cells.ElmanState(jnp.ones(4))
    seen = cells.state_gradients(
        cells.IRNN, params, jnp.full((4, 3), np.nan).at[mask].set(0.0), lambda r: r[1].sum(), state=start, mask=mask
    )
    assert seen.hidden[:, 0].tolist() == [3.0, 2.0, 1.0, 1.0]


def test_masked_steps_show_the_state_that_stays_and_closed_gates():
    params = cells.LSTM.init(jax.random.key(0), 3, 4)
    mask = jnp.array([True, False, True])
    states, gates = cells.trace(cells.LSTM, params, jnp.ones((3, 3)), mask=mask)
    assert (states.hidden[0] == states.hidden[1]).all()
    assert not gates.forget[1].any()
    assert gates.forget[2].all()

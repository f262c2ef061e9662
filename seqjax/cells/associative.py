r"""Time in log T turns, for cells whose state is a linear recurrence.

Where a step takes every number h of the state to a·h + b, a and b known from the input alone, two steps are one such
step: :math:`(a_1, b_1)` and then :math:`(a_2, b_2)` are :math:`(a_1 a_2,\; a_2 b_1 + b_2)`. So time is gathered in
pairs, pairs of pairs and so on, each turn one elementwise operation over all that is left. That is several times the
arithmetic of the loop over time, in log T dependent turns where the loop has T: it pays where a turn of a loop costs
more than its arithmetic, as on GPUs and TPUs, and not on CPUs (benchmarks/RESULTS.md).

Nothing is written twice for it: b is what the cell's own step makes of a state of zeros, and a its derivative.

Source: Blelloch (1990), Prefix Sums and Their Applications, section 1.4.
"""

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.cells.contract import Cell, State
from seqjax.cells.scan import Constants, Inputs, Moment, advance
from seqjax.cells.smooth import like
from seqjax.checks import InputError
from seqjax.precision import wide


def run_associative(
    cell: Cell, reverse: bool, constants: Constants, inputs: Inputs, start: State
) -> tuple[State, Array]:
    """Like :func:`seqjax.cells.scan.run_scan`, by a parallel scan in float32 at least."""
    if not cell.linear:
        raise InputError(
            'unroll: method "associative" is for cells whose state is a linear recurrence, as that of MinGRU and '
            f'MinLSTM, but the cell is {cell.name}. Try method="fused".'
        )
    weights, initial, context = constants
    axis = jax.tree.leaves(start)[0].ndim - 1
    drive, begin, initial = _widened((cell.project(weights, inputs.xs), start, initial))
    moments = Moment(drive, inputs.mask, inputs.reset)
    always = jax.tree.map(lambda leaf: jnp.expand_dims(leaf, axis), initial)

    def after(states):
        return advance(cell, weights, states, always, moments, context=context)[0]

    time = jax.tree.leaves(inputs)[0].shape[axis]
    states = jax.tree.map(lambda leaf: jnp.zeros_like(leaf, shape=(*leaf.shape[:-1], time, leaf.shape[-1])), begin)
    given, kept = jax.jvp(after, (states,), (jax.tree.map(jnp.ones_like, states),))
    first, last = (time - 1, 0) if reverse else (0, time - 1)
    given = jax.tree.map(lambda b, a, leaf: b.at[..., first, :].add(a[..., first, :] * leaf), given, kept, begin)
    _, states = jax.lax.associative_scan(_follow, (kept, given), reverse=reverse, axis=axis)
    states = like(states, start)
    return jax.tree.map(lambda leaf: leaf[..., last, :], states), cell.output(states)


def _widened(tree):
    """Every leaf in float32 at least."""
    return jax.tree.map(lambda leaf: leaf.astype(wide(leaf.dtype)), tree)


def _follow(earlier, later):
    """Two stretches of time as one, each ``(a, b)`` of the steps in it."""
    (kept, given), (still, new) = earlier, later
    both = jax.tree.map(jnp.multiply, kept, still)
    return both, jax.tree.map(lambda b, a, more: a * b + more, given, still, new)

"""The reference way to run time: ``jax.lax.scan`` over a cell's step, and autodiff.

Everything here is time-major: leaves are (T, *B, ·), masks and resets (T, *B).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.cells.contract import Cell, Dot, Gates, State


class Moment(NamedTuple):
    """What arrives at one step, or, with a leading axis T, over all of time."""

    drive: Any  # (*B, ·), the cell's projected input
    mask: Array | None  # (*B,), True on real steps; None: all are
    reset: Array | None  # (*B,), True where a new document starts; None: nowhere


def choose(condition: Array, yes, no):
    """Leafwise ``where``, ``condition`` (*B,) against leaves (*B, ·)."""
    return jax.tree.map(lambda a, b: jnp.where(condition[..., None], a, b), yes, no)


def advance(
    cell: Cell, weights, state: State, initial: State, moment: Moment, dot: Dot = jnp.dot, context=None
) -> tuple[State, Gates]:
    """One step with its reset before and its mask after: a masked step keeps the state."""
    if moment.reset is not None:
        state = choose(moment.reset, initial, state)
    after, gates = cell.step(weights, state, moment.drive, dot, context)
    if moment.mask is not None:
        after = choose(moment.mask, after, state)
    return after, gates


def run_scan(cell: Cell, weights, moments: Moment, state: State, initial: State, context, reverse: bool):
    """Return the final state and the states after every step, leaves (T, *B, ·)."""

    def body(state, moment):
        after, _ = advance(cell, weights, state, initial, moment, context=context)
        return after, after

    return jax.lax.scan(body, state, moments, reverse=reverse)

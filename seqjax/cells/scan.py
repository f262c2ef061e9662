"""The reference way to run time: ``jax.lax.scan`` over a cell's step, and autodiff."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.cells.contract import Cell, Dot, Gates, State
from seqjax.cells.products import product
from seqjax.cells.smooth import for_each_turn, like, split_smooth
from seqjax.precision import wide


class Constants(NamedTuple):
    """What stays the same for all of time."""

    weights: Any  # prepared
    initial: State  # where a reset returns to, leaves (*B, ·)
    context: Any


class Inputs(NamedTuple):
    """What arrives over time."""

    xs: Any  # (*B, T, D), no garbage where masked
    mask: Array | None  # (*B, T), True on real steps; None: all are
    reset: Array | None  # (*B, T), True where a new document starts; None: nowhere


class Moment(NamedTuple):
    """What arrives at one step; leaves (*B, ·), flags (*B,)."""

    drive: Any  # the cell's projected input
    mask: Array | None
    reset: Array | None


def choose(condition: Array, yes, no):
    """Leafwise ``where``, ``condition`` (*B,) against leaves (*B, ·)."""
    return jax.tree.map(lambda a, b: jnp.where(condition[..., None], a, b), yes, no)


def advance(
    cell: Cell, weights, state: State, initial: State, moment: Moment, dot: Dot = product, context=None
) -> tuple[State, Gates]:
    """One step with its reset before and its mask after: a masked step keeps the state."""
    if moment.reset is not None:
        state = choose(moment.reset, initial, state)
    after, gates = cell.step(weights, state, moment.drive, dot, context)
    if moment.mask is not None:
        after = choose(moment.mask, after, state)
    return after, gates


def run_scan(cell: Cell, reverse: bool, constants: Constants, inputs: Inputs, start: State) -> tuple[State, Array]:
    """Return the final state and the outputs (*B, T, H)."""
    axis = jax.tree.leaves(start)[0].ndim - 1
    again = for_each_turn(constants)

    def body(state, moment):
        weights, initial, context = again()
        after, _ = advance(cell, weights, state, initial, moment, context=context)
        return after, cell.output(after)

    moments = Moment(_project(cell, constants.weights, inputs.xs), inputs.mask, inputs.reset)
    time_first = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, axis, 0), moments)
    final, ys = jax.lax.scan(body, start, time_first, reverse=reverse)
    return final, jnp.moveaxis(ys, 0, axis)


def _project(cell: Cell, weights, xs):
    """Drive every step. On CPU half precision is multiplied in float32, and rounded.

    XLA does so by itself until it comes with JAX 0.12, which adds some gradients up in bfloat16.
    """
    smooth, whole = split_smooth((weights, xs))
    if jax.default_backend() != "cpu" or all(leaf.dtype == wide(leaf.dtype) for leaf in smooth):
        return cell.project(weights, xs)
    drive = cell.project(*whole([leaf.astype(wide(leaf.dtype)) for leaf in smooth]))
    return like(drive, jax.eval_shape(cell.project, weights, xs))

"""What the products of a cell's step are, found by tracing it once without computing anything."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.extend.core import Var

from seqjax.cells.contract import Cell, Dot
from seqjax.cells.products import product
from seqjax.cells.scan import Moment, advance

Shape = jax.ShapeDtypeStruct


class Plan(NamedTuple):
    """One entry a ``dot`` of a step, in order, unless said otherwise."""

    matrices: tuple[int, ...]  # which leaf of the weights it multiplies by
    slots: tuple[int | None, ...]  # which leaf of the drive it adds, if that leaf serves nothing else
    sums: tuple[Shape, ...]  # what it returns, (*B, J)
    read: tuple[int, ...]  # which of the vectors it multiplies
    vectors: tuple[Shape, ...]  # (*B, I), each once
    kept: tuple[int, ...]  # the leaves of the drive that the backward pass needs
    output: int | None  # which leaf of the state ``cell.output`` returns as it is
    small: tuple[int, ...]  # the leaves of the weights that a step reads by another way than ``dot``


def make_plan(cell: Cell, weights, moment: Moment, state, initial, context) -> Plan:
    """Trace one step of ``cell`` and say what its products are.

    Args:
        cell: the recurrence.
        weights: prepared.
        moment: one step of drive, mask and reset, leaves (*B, ·): shapes are enough.
        state: leaves (*B, ·).
        initial: likewise.
        context: any pytree.

    Raises:
        TypeError: a matrix is not a leaf of the weights as it stands: a fault of the cell.
    """
    drive, tree = jax.tree.flatten(moment.drive)
    found: list[tuple[Any, ...]] = []

    def step(drive, sums, weights, state, initial, flags, context):
        found.clear()
        vectors: list[Array] = []
        added: list[Array] = []  # what is no leaf of the drive as it stands

        @for_all_rows(jax.tree.leaves(state)[0].ndim)
        def dot(vector, matrix, add=None):
            value = product(vector, matrix, add)
            slot = next((i for i, leaf in enumerate(drive) if leaf is add), None)
            if slot is not None and (value.shape != add.shape or value.dtype != add.dtype):
                slot = None
            if slot is None and add is not None:
                added.append(add)
            number = next((i for i, seen in enumerate(vectors) if seen is vector), len(vectors))
            if number == len(vectors):
                vectors.append(vector)
            found.append((_place(cell, matrix, weights), slot, _shape(value), number))
            return value if sums is None else sums[len(found) - 1]

        moment = flags._replace(drive=jax.tree.unflatten(tree, drive))
        return advance(cell, weights, state, initial, moment, dot, context)[0], vectors, added

    rest = (weights, state, initial, moment._replace(drive=None), context)
    _, made, _ = jax.eval_shape(lambda drive, *rest: step(drive, None, *rest), drive, *rest)
    matrices, slots, sums, read = zip(*found, strict=True) if found else ((), (), (), ())
    shapes = tuple(_shape(vector) for vector in made)
    used, read_too = _used_elsewhere(step, drive, list(sums), rest)
    alone = [slot if slot not in used and slots.count(slot) == 1 else None for slot in slots]
    kept = tuple(i for i in range(len(drive)) if i not in alone)
    return Plan(matrices, tuple(alone), sums, read, shapes, kept, _output_leaf(cell, state), tuple(sorted(read_too)))


def _used_elsewhere(step, drive, sums, rest) -> tuple[set[int], set[int]]:
    """Which leaves of the drive, and of the weights, reach the state, a vector or an addend by another way."""
    traced = jax.make_jaxpr(step)(drive, sums, *rest).jaxpr
    live = {v for v in traced.outvars if isinstance(v, Var)}
    for equation in reversed(traced.eqns):
        if any(out in live for out in equation.outvars):
            live.update(v for v in equation.invars if isinstance(v, Var))
    weights = traced.invars[len(drive) + len(sums) :][: len(jax.tree.leaves(rest[0]))]
    drives, others = ({i for i, v in enumerate(given) if v in live} for given in (traced.invars[: len(drive)], weights))
    return drives, others


def _output_leaf(cell: Cell, state) -> int | None:
    traced = jax.make_jaxpr(cell.output)(state).jaxpr
    return next((i for i, v in enumerate(traced.invars) if v is traced.outvars[0]), None)


def for_all_rows(axes: int):
    """A decorator of a ``dot`` of vectors (*B, I), ``axes`` in number: it takes those that all rows share too, (I,)."""

    def decorated(dot: Dot) -> Dot:
        def shared(vector, matrix, add=None):
            if vector.ndim >= axes:
                return dot(vector, matrix, add)
            value = dot(jax.lax.broadcast_to_rank(vector, axes), matrix)
            value = value.reshape(value.shape[axes - vector.ndim :])
            return value if add is None else jax.lax.broadcast_to_rank(add, value.ndim) + value

        return shared

    return decorated


def _place(cell: Cell, matrix, weights) -> int:
    for index, leaf in enumerate(jax.tree.leaves(weights)):
        if leaf is matrix and jnp.ndim(matrix) == 2:
            return index
    raise TypeError(
        f"{cell.name}: every matrix given to `dot` should be a leaf (I, J) of the prepared weights as it stands, "
        f"but one of shape {jnp.shape(matrix)} is not. Slice, transpose or stack it in `prepare`."
    )


def _shape(array) -> Shape:
    return Shape(array.shape, array.dtype)

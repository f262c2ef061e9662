"""A recurrence that reads symbols: their products with the input kernel are done once a symbol, not once a step.

A recurrence multiplies the vector of every step by its input kernel once forward and twice for the gradient. But V
symbols have V vectors, and characters are few: at 100 symbols and 4,096 steps those products are done forty times
over. Here the whole table is multiplied, and a step looks up what its symbol drives the gates with; the gradient adds
up the steps of each symbol and multiplies their sums. Nothing is approximated, only the order of additions is another;
but rows that no step reads are multiplied too, so all of the table should be finite.

V symbols, E features of a vector, H hidden features, T time, ``*B`` zero or more batch axes.
"""

import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from seqjax.cells.contract import Cell, Params, sized
from seqjax.cells.products import product
from seqjax.cells.ready import Ready
from seqjax.precision import wide
from seqjax.spread import by_compiler

NARROW = 32  # features of a vector, from which on a product costs more than a look-up (benchmarks/RESULTS.md)


class Symbols(NamedTuple):
    """Vectors that are not looked up yet: what a recurrence may read in their place."""

    ids: Array  # (*B, T), integers in [0, V); they are not checked: one of V or more gives NaN, -1 the last row
    table: Array  # (V, E), the vector of each symbol

    def vectors(self) -> Array:
        """Look them up: (*B, T, E)."""
        return by_compiler(lambda ids, table: look_up(table, ids), np.ndim(self.ids), self.ids, self.table)


class SymbolParams(NamedTuple):
    table: Array  # (V, E), the vector of each symbol
    reader: Params  # of the cell that reads those vectors


class SymbolWeights(NamedTuple):
    drives: Any  # what each symbol drives the gates with, leaves (V, ·)
    reader: Any  # the cell's own, prepared


@functools.cache
def of_symbols(cell: Cell, symbols: int = 0) -> Cell:
    """``cell`` with a table of vectors before it: it reads ids (*B, T, 1), integers in [0, V). The same cell each time.

    It is what ``unroll`` makes of ``cell`` where ``xs`` are :class:`Symbols`.

    Args:
        cell: the recurrence; one that reads plain vectors.
        symbols: V, for ``init``; a table that exists says itself how long it is.

    Example:
        >>> from seqjax import cells, unroll
        >>> cell = of_symbols(cells.GRU, 5)
        >>> params = cell.init(jax.random.key(0), 3, 4)
        >>> ids = jnp.array([[0, 4, 4]])
        >>> _, ys = unroll(cell, params, ids[..., None])
        >>> _, same = unroll(cells.GRU, params.reader, params.table[ids])
        >>> ys.shape, bool(jnp.allclose(ys, same, atol=1e-6))
        ((1, 3, 4), True)
    """

    def init(key: Array, in_features: int, features: int, dtype=jnp.float32) -> SymbolParams:
        table_key, key = jax.random.split(key)
        table = jax.random.normal(table_key, (symbols, in_features), dtype)
        return SymbolParams(table, cell.init(key, in_features, features, dtype))

    def initial_state(params: SymbolParams, batch_shape: tuple[int, ...], dtype=jnp.float32):
        return cell.initial_state(params.reader, batch_shape, dtype)

    def prepare(params: SymbolParams) -> SymbolWeights:
        weights = cell.prepare(params.reader)
        return SymbolWeights(cell.project(weights, params.table), weights)

    def project(weights: SymbolWeights, ids: Array):
        if ids.shape[-1] != 1 or not jnp.issubdtype(ids.dtype, jnp.integer):
            raise TypeError(f"ids should be integers (*B, T, 1), but they are {ids.dtype} {ids.shape}.")
        return jax.tree.map(lambda drive: look_up(drive, ids[..., 0]), weights.drives)

    def step(weights: SymbolWeights, state, drive, dot=product, context=None):
        return cell.step(weights.reader, state, drive, dot, context)

    return Cell(f"{cell.name} of symbols", sized(init), initial_state, project, step, cell.output, prepare, cell.linear)


def reads_symbols(weights: Ready) -> bool:
    """Whether these were made ready for :func:`of_symbols`."""
    return isinstance(weights.params, SymbolParams)


@jax.custom_jvp
def look_up(table: Array, ids: Array) -> Array:
    """Rows (*B, ·) of a table (V, ·). Their gradients add up in float32 at least, however many a symbol has."""
    return jnp.take(table, ids, axis=0)


@look_up.defjvp
def _look_up_forward(primals, tangents):
    (table, ids), (change, _) = primals, tangents
    return look_up(table, ids), jnp.take(change.astype(wide(table.dtype)), ids, axis=0).astype(table.dtype)


def choose_products(symbols: int, steps: int, features: int) -> tuple[Literal["symbols", "steps"], str]:
    """Whether a recurrence should multiply once a symbol or once a step, and why.

    Args:
        symbols: V.
        steps: of all rows.
        features: E.

    Example:
        >>> print(*choose_products(100, 4096, 256), sep=": ")
        symbols: each symbol's products serve 41 steps
        >>> print(*choose_products(10_000, 700, 256), sep=": ")
        steps: 700 steps of 10000 symbols are not two for each
        >>> print(*choose_products(100, 4096, 8), sep=": ")
        steps: a product with vectors of 8 features costs no more than looking its result up
    """
    if features < NARROW:
        return "steps", f"a product with vectors of {features} features costs no more than looking its result up"
    if not isinstance(steps, int):
        return "steps", "how many steps there are is left open"  # by jax.export
    if not symbols or 2 * symbols > steps:
        return "steps", f"{steps} steps of {symbols} symbols are not two for each"
    return "symbols", f"each symbol's products serve {round(steps / symbols)} steps"

"""Weights prepared once, for many runs of the same cell: a text is written one step a run."""

import functools
from typing import Any, NamedTuple

from seqjax.cells.contract import Cell, Params


class Ready(NamedTuple):
    """What a run needs that begins at its first step."""

    params: Params  # as ``cell.init`` gave them
    weights: Any  # what ``cell.prepare`` made of them


def make_ready(cell: Cell, params: Params) -> Ready:
    """Do once what every run of ``cell`` would do to its parameters before its first step.

    Args:
        cell: the recurrence.
        params: what ``cell.init`` gave.

    Returns:
        What :func:`of_ready` gives the cell to read in place of ``params``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from seqjax import cells, unroll
        >>> params = make_ready(cells.LSTM, cells.LSTM.init(jax.random.key(0), 3, 4))
        >>> state, ys = unroll(of_ready(cells.LSTM), params, jnp.ones((2, 5, 3)))
        >>> ys.shape
        (2, 5, 4)
    """
    return Ready(params, cell.prepare(params))


@functools.cache
def of_ready(cell: Cell) -> Cell:
    """The cell that reads what :func:`make_ready` gives. The same one each time."""

    def initial_state(params: Ready, *how):
        return cell.initial_state(params.params, *how)

    return cell._replace(initial_state=initial_state, prepare=lambda params: params.weights)

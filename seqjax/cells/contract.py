"""What a recurrence is: a value, a NamedTuple of pure functions.

Adding a cell is adding one file that ends in one ``Cell(...)``. The functions are called in the order
``init``, ``prepare``, ``project``, then ``step`` once per time step, and ``output`` on what comes out.

D input features, H hidden features, T time, ``*B`` zero or more batch axes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from seqjax.checks import InputError, check_widths

State = Any  # a NamedTuple of arrays (*B, ·); the cell's own
Params = Any  # a NamedTuple of arrays; the cell's own
Gates = Any  # a NamedTuple of arrays (*B, H) to look at
Dot = Callable[..., Array]  # (vector, matrix, add=None) -> vector @ matrix + add


def identity(value):
    """Return ``value``: the default for the parts of a cell that do nothing."""
    return value


class Cell(NamedTuple):
    """One recurrence.

    Attributes:
        name: what error messages and ``--model.cell`` call it.
        init: ``(key, in_features, features, dtype=float32) -> params``.
        initial_state: ``(params, batch_shape, dtype) -> state``, where a sequence starts: zeros.
        project: ``(weights, xs) -> drive``: all that does not depend on the state, for all of
            time in one product. ``xs`` (*B, T, D) to a pytree of (*B, T, ·). Axes before the last are
            all treated alike, so time may stand anywhere among them.
        step: ``(weights, state, drive, dot, context) -> (state, gates)``: one step. Every product
            with a weight matrix goes through ``dot(vector, matrix)``, where ``matrix`` is a leaf of
            ``weights`` as it stands (slice and stack in ``prepare``): this is what lets the fused
            gradient do those products for all of time at once. ``dot(vector, matrix, drive)`` adds the
            drive to the product, and lets the sum take the drive's place in memory.
        output: ``state -> y`` (*B, H): what the next layer sees.
        prepare: ``params -> weights``, once before time: folded scales, packed gates.
        linear: whether a step takes every number of the state to a multiple of itself, plus something, both known
            from the drive alone: what ``method="associative"`` needs.
    """

    name: str
    init: Callable[..., Params]
    initial_state: Callable[..., State]
    project: Callable[[Any, Any], Any]
    step: Callable[..., tuple[State, Gates]]
    output: Callable[[State], Array]
    prepare: Callable[[Params], Any] = identity
    linear: bool = False

    def __reduce__(self):
        """By its name, for what a cell is made of are functions within functions, which pickle does not take."""
        name = next((name for name, cell in _known().items() if cell is self), None)
        return (type(self), tuple(self)) if name is None else (_named, (name,))


def _known() -> dict[str, Cell]:
    from seqjax.cells import BY_NAME  # which is made of cells

    return BY_NAME


def _named(name: str) -> Cell:
    return _known()[name]


def check_cell(where: str, cell) -> None:
    """Refuse what is no :class:`Cell`, such as its name.

    Example:
        >>> check_cell("unroll", "lstm")
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: unroll: `cell` should be a cell, such as `cells.LSTM`, but it is 'lstm'. Try ...
    """
    if not isinstance(cell, Cell):
        advice = "Call it: it makes cells." if callable(cell) else "Try `cells.BY_NAME`, which has all of them by name."
        raise InputError(f"{where}: `cell` should be a cell, such as `cells.LSTM`, but it is {cell!r:.60}. {advice}")


def zeros(batch_shape: tuple[int, ...], features: int, dtype) -> Array:
    """The usual start of a state: zeros (*B, features)."""
    return jnp.zeros((*batch_shape, features), dtype)


def sized(init: Callable[..., Params]) -> Callable[..., Params]:
    """``init``, which then refuses widths that are none.

    Example:
        >>> import jax
        >>> from seqjax import cells
        >>> cells.LSTM.init(jax.random.key(0), 3, 0)
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: init: `features` should be at least 1, but it is 0.
    """

    def checked(key: Array, in_features: int, features: int, dtype=jnp.float32) -> Params:
        check_widths("init", in_features=in_features, features=features)
        return init(key, in_features, features, dtype)

    return checked

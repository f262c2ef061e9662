"""Run a cell along time.

D input features, H hidden features, T time, ``*B`` zero or more batch axes.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from seqjax.cells.associative import run_associative
from seqjax.cells.contract import Cell, State, check_cell
from seqjax.cells.fused import run_fused
from seqjax.cells.remat import run_in_chunks
from seqjax.cells.scan import Constants, Inputs, run_scan
from seqjax.cells.symbols import SymbolParams, Symbols, of_symbols
from seqjax.checks import InputError, check_choice, check_mask, check_shape
from seqjax.spread import alike, by_compiler

METHODS: dict[str, Callable] = {"scan": run_scan, "fused": run_fused, "associative": run_associative}


def unroll(
    cell: Cell,
    params,
    xs,
    *,
    state: State | None = None,
    initial: State | None = None,
    mask: Array | None = None,
    reset: Array | None = None,
    reverse: bool = False,
    context=None,
    method: str = "auto",
    remat: str = "none",
) -> tuple[State, Array]:
    """Run ``cell`` over ``xs`` and return the final state and the outputs.

    A masked step keeps its state, emits zeros, and never sees its input, so left padding, right padding
    and holes all work, whatever they contain; the final state is that of the last real step.

    Args:
        cell: which recurrence, e.g. ``cells.LSTM``.
        params: what ``cell.init`` gave.
        xs: (*B, T, D), or a pytree of (*B, T, ·) for cells with several inputs, or ``cells.Symbols(ids, table)``
            for ``table[ids]``: the same to rounding, its products done once a symbol.
        state: where this run starts, leaves (*B, ·): a carried state, cast to the type of ``params`` and ``xs``.
        initial: where a ``reset`` returns to, and where the run starts when ``state`` is None; leaves
            (*B, ·). Default: ``cell.initial_state``.
        mask: (*B, T) boolean, True on real steps. Default: all real.
        reset: (*B, T) boolean, True on the first step of a new document, masked or not. Forward, the
            state returns to ``initial`` before that step; in reverse, before the step to its left.
        reverse: read from the last step to the first; outputs stay in input order.
        context: a pytree that is constant over time and differentiated, e.g. an encoder's memory.
        method: ``"scan"`` is ``lax.scan`` with autodiff, on which, without ``remat``, forward mode works too;
            ``"fused"`` has the gradient of :mod:`seqjax.cells.fused`; ``"associative"`` takes log T turns, for
            minGRU and minLSTM, see :mod:`seqjax.cells.associative`; ``"auto"`` picks, see :func:`choose_method`.
        remat: ``"chunk"`` keeps √T states and recomputes the rest: far less memory, one more forward pass; reverse
            mode only.

    Returns:
        ``(final_state, ys)``: leaves (*B, ·), and ``ys`` (*B, T, H), zero where masked.

    Raises:
        InputError: a shape, a type or a name is wrong.

    Example:
        >>> from seqjax import cells
        >>> params = cells.LSTM.init(jax.random.key(0), 3, 4)
        >>> xs = jnp.ones((2, 5, 3))                               # B=2, T=5, D=3
        >>> mask = jnp.arange(5) < jnp.array([[5], [2]])           # the second row has 2 real steps
        >>> state, ys = unroll(cells.LSTM, params, xs, mask=mask)
        >>> ys.shape, bool(jnp.allclose(state.hidden[1], ys[1, 1])), float(abs(ys[1, 2:]).max())
        ((2, 5, 4), True, 0.0)
    """
    check_choice("unroll", "method", method, ["auto", *METHODS])
    check_choice("unroll", "remat", remat, ["none", "chunk"])
    if method == "auto":
        method, _ = choose_method(cell)
    run = arrange(cell, params, xs, state, initial, mask, reset, reverse, context)
    if run.time == 0:
        width = jax.eval_shape(cell.output, run.start).shape[-1]
        return run.start, jnp.zeros((*np.shape(jax.tree.leaves(run.inputs.xs)[0])[:-1], width), run.dtype)
    along_time = functools.partial(_along_time, run.cell, method, remat, reverse)
    final, ys = by_compiler(along_time, run.axes, *alike((run.inputs, run.constants, run.start)))
    return final, silence(ys, mask)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _along_time(cell: Cell, method: str, remat: str, reverse: bool, inputs, constants, start):
    """Run the chosen method. Jitted so that eager calls with known shapes compile nothing."""
    check_features(cell, constants.weights, inputs.xs)
    if remat == "none":
        return METHODS[method](cell, reverse, constants, inputs, start)
    return run_in_chunks(METHODS[method], cell, reverse, constants, inputs, start)


def check_features(cell: Cell, weights, xs) -> None:
    """Refuse features that ``cell.project`` cannot read with these weights."""
    try:
        jax.eval_shape(cell.project, weights, xs)
    except (TypeError, ValueError, AttributeError) as error:
        features = [leaf.shape[-1] for leaf in jax.tree.leaves(xs)]
        shapes = {jax.tree_util.keystr(path)[1:]: leaf.shape for path, leaf in jax.tree.leaves_with_path(weights)}
        raise InputError(
            f"unroll: `xs` should be what {cell.name} reads with weights {shapes}, but "
            f"its features are D = {features[0] if len(features) == 1 else features}. "
            f"Was `init` called with the same `in_features`, and for this cell?"
        ) from error


class Run(NamedTuple):
    """What a run along time needs, checked."""

    cell: Cell  # with a table before it, if symbols are read
    constants: Constants
    inputs: Inputs
    start: State
    axes: int  # of the batch
    time: int  # T
    dtype: Any  # of the computation


def arrange(cell: Cell, params, xs, state, initial, mask, reset, reverse: bool, context) -> Run:
    """Check the arguments of :func:`unroll`, and clean what is masked."""
    check_cell("unroll", cell)
    if isinstance(xs, Symbols):
        check_symbols(cell, params, xs)
        cell, params, xs = of_symbols(cell), SymbolParams(xs.table, params), jnp.asarray(xs.ids)[..., None]
    batch_shape, time = check_inputs(xs, mask, reset)
    if mask is not None:
        xs = jax.tree.map(lambda leaf: jnp.where(mask[..., None], leaf, jnp.zeros_like(leaf)), xs)
    leaves = jax.tree.leaves((params, xs))
    floating = [leaf for leaf in leaves if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)]
    dtype = jnp.result_type(*(floating or leaves))
    with reading(cell, params):
        weights, zero = cell.prepare(params), cell.initial_state(params, batch_shape, dtype)
    check_own_state(cell, zero, batch_shape)
    initial = broadcast_state(cell, zero, initial, "initial")
    start = initial if state is None else broadcast_state(cell, zero, state, "state")
    inputs = Inputs(xs, mask, reset if reset is None or not reverse else _towards_the_left(reset))
    return Run(cell, Constants(weights, initial, context), inputs, start, len(batch_shape), time, dtype)


@contextlib.contextmanager
def reading(cell: Cell, params) -> Iterator[None]:
    """Refuse ``params`` that ``cell`` cannot read."""
    try:
        yield
    except InputError:
        raise
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        raise InputError(
            f"unroll: `params` should be what the `init` of {cell.name} makes, but they are "
            f"{type(params).__name__} {[np.shape(leaf) for leaf in jax.tree.leaves(params)]}, "
            f"which it cannot read ({error}). Was `init` called for this cell?"
        ) from error


def check_symbols(cell: Cell, params, symbols: Symbols) -> None:
    """Refuse ids that are no integers, and a table that is not (V, E) or that ``cell`` cannot read."""
    ids, table = symbols
    check_shape("unroll", "table of Symbols", table, "(V, E)", (None, None))
    if not np.shape(table)[0] or not jnp.issubdtype(jnp.result_type(ids), jnp.integer):
        raise InputError(
            "unroll: `Symbols` should be integers and a table with a row for each symbol, but they are "
            f"{jnp.result_type(ids)} {np.shape(ids)} and {np.shape(table)}."
        )
    with reading(cell, params):
        weights = jax.eval_shape(cell.prepare, params)
    check_features(cell, weights, table)


def silence(values, mask: Array | None):
    """Leaves (*B, T, ·), zero where masked."""
    if mask is None:
        return values
    return jax.tree.map(lambda leaf: jnp.where(mask[..., None], leaf, jnp.zeros_like(leaf)), values)


def choose_method(cell: Cell) -> tuple[Literal["scan", "fused"], str]:
    """What ``method="auto"`` takes for ``cell``, and why.

    Example:
        >>> from seqjax import cells
        >>> print(*choose_method(cells.LSTM), sep=": ")
        fused: its reverse-mode gradient is the scan's, in fewer products; take "scan" and no remat for jax.jvp
        >>> print(*choose_method(cells.MinGRU), sep=": ")
        fused: on CPU it takes two thirds of the time of "associative"; on GPUs and TPUs, not measured yet, try that
    """
    if cell.linear:
        return (
            "fused",
            'on CPU it takes two thirds of the time of "associative"; on GPUs and TPUs, not measured yet, try that',
        )
    return (
        "fused",
        'its reverse-mode gradient is the scan\'s, in fewer products; take "scan" and no remat for jax.jvp',
    )


def check_inputs(xs, mask, reset) -> tuple[tuple[int, ...], int]:
    """Refuse inputs that do not fit together; return the batch shape and T."""
    leaves = jax.tree.leaves(xs)
    if not leaves or any(np.ndim(leaf) < 2 for leaf in leaves):
        shapes = [np.shape(leaf) for leaf in leaves]
        raise InputError(
            f"unroll: `xs` should be (*B, T, D), features last, but it is {shapes[0] if len(shapes) == 1 else shapes}. "
            "One number a step is (T, 1): try `xs[..., None]`."
        )
    *batch_shape, time, _ = leaves[0].shape
    for leaf in leaves[1:]:
        check_shape("unroll", "xs", leaf, "(*B, T, ·), all leaves alike,", (*batch_shape, time, None))
    for name, flags in (("mask", mask), ("reset", reset)):
        if flags is not None:
            check_mask("unroll", name, flags, "(*B, T)", (*batch_shape, time))
    return tuple(batch_shape), time


def check_own_state(cell: Cell, zero: State, batch_shape: tuple[int, ...]) -> None:
    """Refuse a cell whose state is not vectors of numbers: a fault of the cell."""
    leaves = jax.tree.leaves(zero)
    if not leaves:
        raise InputError(f"unroll: the state of {cell.name} should be floating vectors (*B, ·), but it holds none.")
    for leaf in leaves:
        shape, kind = jnp.shape(leaf), jnp.result_type(leaf)
        if shape[:-1] != batch_shape or not shape or not jnp.issubdtype(kind, jnp.inexact):
            raise InputError(
                f"unroll: the state of {cell.name} should be floating vectors (*B, ·), here {(*batch_shape, 'any')}, "
                f"but one is {kind} {shape}. A matrix is a vector too: (*B, H·H), reshaped in `step`."
            )


def broadcast_state(cell: Cell, own: State, state, name: str) -> State:
    """``state``, or the cell's ``own`` start, in the type of the computation; leaves (·,) are given to every row."""
    if state is None:
        return own
    wanted_tree: Any = jax.tree.structure(own)
    if wanted_tree != jax.tree.structure(state):
        wanted = type(own).__name__
        raise InputError(f"unroll: `{name}` should be a {wanted} as {cell.name} makes it, but it is {state!r:.80}.")

    def fit(leaf, like):
        leaf = jnp.asarray(leaf)
        if leaf.shape == like.shape[-1:]:
            leaf = jnp.broadcast_to(leaf, like.shape)
        check_shape("unroll", name, leaf, "(*B, H)", like.shape)
        return leaf.astype(like.dtype)

    return jax.tree.map(fit, state, own)


def _towards_the_left(reset: Array) -> Array:
    """Read right to left, a document ends where its right neighbour's begins."""
    return jnp.concatenate([reset[..., 1:], jnp.zeros_like(reset[..., :1])], axis=-1)

"""Weights of recurrent layers, from and to Flax: cells of linen and of NNX.

A cell there is made of linear maps, one a gate or one for all gates, in the order of ours. What is not among the
weights (the activation, a residual) is for the caller to make alike.

D input features, H hidden features.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from seqjax.checks import InputError, check_choice
from seqjax.interop.recurrences import SHAPES, Weights, check_fit, check_names, check_own, directions, fits, layer


class Maps(NamedTuple):
    """Which linear maps of a Flax cell hold a parameter of ours: one, or one a gate."""

    input_kernel: str
    hidden_kernel: str
    bias: str
    candidate_bias: str = ""  # none: it is zero


CELLS = {  # ours, and where its parameters are
    "linen.LSTMCell": ("LSTM", Maps("ii if ig io", "hi hf hg ho", "hi hf hg ho")),
    "linen.OptimizedLSTMCell": ("LSTM", Maps("ii if ig io", "hi hf hg ho", "hi hf hg ho")),
    "linen.GRUCell": ("GRU", Maps("ir iz in", "hr hz hn", "ir iz in", "hn")),
    "linen.SimpleCell": ("Elman", Maps("i", "h", "i")),
    "nnx.LSTMCell": ("LSTM", Maps("ii if_ ig io", "hi hf hg ho", "hi hf hg ho")),
    "nnx.OptimizedLSTMCell": ("LSTM", Maps("dense_i", "dense_h", "dense_h")),
    "nnx.GRUCell": ("GRU", Maps("dense_i", "dense_h", "dense_i")),
    "nnx.SimpleCell": ("Elman", Maps("dense_i", "dense_h", "dense_i")),
}


def from_flax(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a recurrent layer, from those of a cell of Flax: linen's or NNX's.

    Args:
        params: nested, of one ``LSTMCell``, ``OptimizedLSTMCell``, ``GRUCell`` or ``SimpleCell``: linen's
            ``variables["params"]``, below ``linen.RNN`` its ``["cell"]``; NNX's ``nnx.state(cell, nnx.Param)``.

    Returns:
        The parameters of :class:`seqjax.layers.Recurrent`. The names and shapes tell the cell: ``LSTM``, ``GRU``, or
        ``Elman`` and ``ElmanReLU``.

    Raises:
        InputError: an array is missing, has a name that none has, or a shape that does not fit the others.

    Source:
        The equations in Flax's documentation. NNX's GRU has no ``candidate_bias``: it is zero.

    Example:
        >>> cell = {"i": {"kernel": np.ones((3, 4)), "bias": np.zeros(4)}, "h": {"kernel": np.ones((4, 4))}}
        >>> {name: array.shape for name, array in from_flax(cell)["params"].items()}
        {'hidden_kernel': (4, 4), 'input_kernel': (3, 4), 'bias': (4,)}
    """
    arrays = _flat(params)
    name = max(CELLS, key=lambda name: _likeness(arrays, _shapes(name)))
    check_names(f"from_flax, {name}", arrays, _shapes(name))
    check_fit(f"from_flax, {name}", arrays, _shapes(name))
    own = {field: np.concatenate([arrays[place] for place in row], axis=-1) for field, row in _places(name).items()}
    if CELLS[name][0] == "GRU" and "candidate_bias" not in own:
        own["candidate_bias"] = np.zeros_like(own["hidden_kernel"][:, 0])
    return layer([own])


def to_flax(params: Mapping[str, Any], cell: str) -> dict[str, Any]:
    """Parameters of a cell of Flax: :func:`from_flax` backwards.

    Args:
        params: of ``Recurrent``; of a bare cell, ``{"params": params._asdict()}``.
        cell: which of Flax's, e.g. ``"linen.GRUCell"`` or ``"nnx.OptimizedLSTMCell"``.

    Returns:
        A nested dict: linen's ``variables["params"]``, or what ``nnx.update(cell, ...)`` takes.

    Raises:
        InputError: an unknown cell, parameters that are not its own, or a ``candidate_bias`` that it has no place for.

    Example:
        >>> own = {"input_kernel": np.ones((3, 4)), "hidden_kernel": np.ones((4, 4)), "bias": np.zeros(4)}
        >>> to_flax({"params": own}, "linen.SimpleCell")["i"]["kernel"].shape
        (3, 4)
    """
    check_choice("to_flax", "cell", cell, CELLS)
    own, *more = directions("to_flax", params)
    if more:
        raise InputError("to_flax: `params` should be of one direction. Give `params['forward']`, then the other.")
    check_own("to_flax", own, CELLS[cell][0])
    places = _places(cell)
    if "candidate_bias" in own and "candidate_bias" not in places and own["candidate_bias"].any():
        raise InputError(
            f"to_flax: `candidate_bias` should be zero, as {cell} has none, but it is not. Try linen.GRUCell."
        )
    tree: dict[str, Any] = {}
    for field, row in places.items():
        for place, part in zip(row, np.split(own[field], len(row), axis=-1), strict=True):
            name, leaf = place.split(".")
            tree.setdefault(name, {})[leaf] = np.array(part, order="C")
    return tree


def _places(name: str) -> dict[str, list[str]]:
    """Which arrays of a Flax cell, by their names with dots, are a parameter of ours."""
    cell, maps = CELLS[name]
    found: dict[str, list[str]] = {}
    for field in SHAPES[cell]:
        leaf = field.split("_")[-1]  # kernel or bias
        if row := [f"{one}.{leaf}" for one in getattr(maps, field).split()]:
            found[field] = row
    return found


def _shapes(name: str) -> dict[str, str]:
    """The shapes of a Flax cell's arrays; one of several gates is H wide."""
    found: dict[str, str] = {}
    for field, row in _places(name).items():
        shape = SHAPES[CELLS[name][0]][field]
        found |= dict.fromkeys(row, re.sub(r"\dH", "H", shape) if len(row) > 1 else shape)
    return found


def _likeness(arrays: Weights, shapes: Mapping[str, str]) -> tuple[float, bool]:
    """How many names are common, of all; where that decides nothing, whether the shapes fit."""
    return len(arrays.keys() & shapes.keys()) / len(arrays.keys() | shapes.keys()), fits(arrays, shapes)


def _flat(tree: Any, above: str = "") -> Weights:
    """Nested arrays by their names with dots."""
    if not isinstance(tree, Mapping):
        return {above: np.asarray(tree)}
    found: Weights = {}
    for name, branch in tree.items():
        found |= _flat(branch, f"{above}.{name}" if above else str(name))
    return found

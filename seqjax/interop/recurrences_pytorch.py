"""Weights of recurrent layers, from and to PyTorch.

Kernels are turned there, and a bias is two. Gates stand as here: i, f, g, o and r, z, n. What is not among the weights
(the activation, dropout) is for the caller to make alike.

D input features, H hidden features, P features of a projected state.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from seqjax.checks import InputError
from seqjax.interop.recurrences import (
    SHAPES,
    Weights,
    check_fit,
    check_names,
    directions,
    fits,
    holds,
    layer,
    one_bias,
    two_biases,
)

KERNELS = {"input_kernel": "weight_ih", "hidden_kernel": "weight_hh", "projection_kernel": "weight_hr"}
BIASES = ("bias_ih", "bias_hh")  # added to the product with the inputs, with the state
WAYS = ("", "_reverse")  # what names end in
CELLS = ("LSTM", "LSTMProjected", "GRU", "Elman")


def from_pytorch(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Parameters of a recurrent layer, from those of ``torch.nn.LSTM``, ``GRU`` or ``RNN``.

    Args:
        arrays: ``{name: tensor.numpy() for name, tensor in module.state_dict().items()}``: of each layer and direction
            ``weight_ih`` (4H, D), ``weight_hh`` (4H, H), or (4H, P) with ``weight_hr`` (P, H), ``bias_ih`` and
            ``bias_hh`` (4H,); 3H of a GRU, H of an RNN. Without biases, they are zero.

    Returns:
        The parameters of :class:`seqjax.layers.Recurrent`; of two directions, of ``Bidirectional``; of several layers,
        of ``Stack``. The shapes tell the cell: ``LSTM``, ``LSTMProjected``, ``GRU``, or ``Elman`` and ``ElmanReLU``.

    Raises:
        InputError: an array is missing, has a name that none has, or a shape that does not fit the others.

    Source:
        The equations in the documentation of ``torch.nn``: gates i, f, g, o and r, z, n; the GRU resets after the
        product, so that its third ``bias_hh`` is the ``candidate_bias`` here.

    Example:
        >>> found = from_pytorch({"weight_ih_l0": np.ones((12, 3)), "weight_hh_l0": np.ones((12, 4))})
        >>> {name: array.shape for name, array in found["params"].items()}
        {'hidden_kernel': (4, 12), 'input_kernel': (3, 12), 'bias': (12,), 'candidate_bias': (4,)}
    """
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    endings = _endings(arrays)
    cell = _check("from_pytorch", arrays, endings)
    layers = [layer([_from(arrays, ending, cell) for ending in row]) for row in endings]
    return layers[0] if len(layers) == 1 else {"layers": dict(enumerate(layers))}


def to_pytorch(params: Mapping[str, Any]) -> Weights:
    """Arrays for ``load_state_dict`` of ``torch.nn.LSTM``, ``GRU`` or ``RNN``: :func:`from_pytorch` backwards.

    Args:
        params: of ``Recurrent``, ``Bidirectional`` or ``Stack`` with one of the same cells; of a bare cell,
            ``{"params": params._asdict()}``.

    Returns:
        By their names there. All of ``bias_hh`` is zero but a GRU's last third.

    Raises:
        InputError: no such parameters, or of another cell, or of layers that do not fit each other.

    Example:
        >>> arrays = to_pytorch(from_pytorch({"weight_ih_l0": np.ones((4, 3)), "weight_hh_l0": np.ones((4, 4))}))
        >>> list(arrays), arrays["weight_ih_l0"].shape
        (['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0'], (4, 3))
    """
    layers = params["layers"] if holds(params, ["layers"]) and isinstance(params["layers"], Mapping) else {0: params}
    arrays: Weights = {}
    for number, one in layers.items():
        for way, own in zip(WAYS, directions("to_pytorch", one), strict=False):
            arrays |= {f"{name}_l{number}{way}": array for name, array in _to(own).items()}
    _check("to_pytorch", arrays, _endings(arrays))
    return arrays


def _endings(arrays: Weights) -> list[list[str]]:
    """What names end in: a row a layer, in it one or two directions."""
    layers = {match[1] for name in arrays if (match := re.search(r"_l(\d+)(_reverse)?$", name))}
    ways = WAYS if any(name.endswith(WAYS[1]) for name in arrays) else WAYS[:1]
    return [[f"_l{number}{way}" for way in ways] for number in range(max(len(layers), 1))]


def _check(where: str, arrays: Weights, endings: list[list[str]]) -> str:
    """Refuse arrays that are not those of one recurrent layer or stack; its cell."""
    projected, biased = (any(name.startswith(kind) for name in arrays) for kind in ("weight_hr", "bias"))
    biases = BIASES if biased else ()
    names = ["weight_ih", "weight_hh", *biases, *["weight_hr"] * projected]
    check_names(where, arrays, [name + ending for row in endings for ending in row for name in names])
    cell = "LSTMProjected" if projected else _cell(where, arrays["weight_hh_l0"].shape)
    kernels = [(field, shape) for field, shape in SHAPES[cell].items() if field in KERNELS]
    shapes = {KERNELS[field]: " ".join(reversed(shape.split())) for field, shape in kernels}
    shapes |= dict.fromkeys(biases, SHAPES[cell]["bias"])
    sizes: dict[str, int] = {}
    for row in endings:
        for ending in row:
            sizes = check_fit(where, arrays, {name + ending: shape for name, shape in shapes.items()}, sizes)
        sizes["D"] = sizes["P" if projected else "H"] * len(row)  # of the layer above
    return cell


def _cell(where: str, shape: tuple[int, ...]) -> str:
    """Which cell has such a ``weight_hh``."""
    for gates, cell in ((4, "LSTM"), (3, "GRU"), (1, "Elman")):
        if len(shape) == 2 and shape[0] == gates * shape[1]:
            return cell
    raise InputError(f"{where}: `weight_hh_l0` should be (4H, H), (3H, H) or (H, H), but it is {shape}.")


def _from(arrays: Weights, ending: str, cell: str) -> Weights:
    """The parameters of one layer and direction."""
    own = {field: np.array(arrays[KERNELS[field] + ending].T, order="C") for field in SHAPES[cell] if field in KERNELS}
    none = np.zeros(own["input_kernel"].shape[-1], own["input_kernel"].dtype)
    inputs, hidden = (arrays.get(name + ending, none) for name in BIASES)
    return own | one_bias(inputs, hidden, cell)


def _to(own: Weights) -> Weights:
    """The arrays of one layer and direction."""
    if not any(fits(own, SHAPES[cell]) for cell in CELLS):
        given = ", ".join(f"{name} {array.shape}" for name, array in own.items())
        raise InputError(
            f"to_pytorch: the parameters should be of LSTM, LSTMProjected, GRU or Elman, but they are {given}."
        )
    kernels = {name: np.array(own[field].T, order="C") for field, name in KERNELS.items() if field in own}
    return kernels | dict(zip(BIASES, two_biases(own), strict=True))

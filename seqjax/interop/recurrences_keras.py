"""Weights of recurrent layers, from and to Keras.

Kernels stand as here, the gates of a GRU in another order. What is not among the weights (the activation, the
direction, dropout) is for the caller to make alike.

D input features, H hidden features.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seqjax.checks import InputError, check_choice
from seqjax.interop.recurrences import SHAPES, Weights, check_fit, check_own, directions, layer, one_bias, two_biases

ORDERS = {  # of the gates' columns: here, there
    "LSTM": ("ifgo", "ifgo"),
    "GRU": ("rzn", "zrn"),
    "GRUResetBefore": ("rzn", "zrn"),
    "Elman": ("h", "h"),
}


def from_keras(weights: Sequence[np.ndarray], cell: str) -> dict[str, Any]:
    """Parameters of a recurrent layer, from those of Keras's ``LSTM``, ``GRU`` or ``SimpleRNN``.

    Args:
        weights: ``layer.get_weights()``: the kernel (D, 4H), the recurrent kernel (H, 4H) and, if there is one, the
            bias (4H,); 3H of a GRU, whose bias is (2, 3H) if it resets after the product; H of a ``SimpleRNN``.
            Of a ``Bidirectional`` layer, those of the layer that reads forward, then those of the other.
        cell: which of ours reads them: ``LSTM``; ``GRU``, or ``GRUResetBefore`` for ``reset_after=False``; ``Elman``.

    Returns:
        The parameters of :class:`seqjax.layers.Recurrent`, or of ``Bidirectional``.

    Raises:
        InputError: an unknown cell, another number of arrays, or a shape that does not fit.

    Source:
        Keras 3's documentation and arrays: gates i, f, c, o and z, r, h.

    Example:
        >>> columns = np.array([[1.0, 2.0, 3.0]])  # of z, r, h
        >>> from_keras([columns, columns], "GRU")["params"]["input_kernel"]
        array([[2., 1., 3.]])
    """
    check_choice("from_keras", "cell", cell, ORDERS)
    if len(weights) not in (2, 3, 4, 6):
        raise InputError(
            "from_keras: `weights` should be a kernel, a recurrent kernel and perhaps a bias, or twice as many of two "
            f"directions, but they are {len(weights)} arrays."
        )
    arrays = [np.asarray(array) for array in weights]
    half = len(arrays) // 2
    ways = [arrays] if len(arrays) < 4 else [arrays[:half], arrays[half:]]
    return layer([_from(way, cell) for way in ways])


def to_keras(params: Mapping[str, Any], cell: str) -> list[np.ndarray]:
    """Arrays for Keras's ``layer.set_weights``, of a layer with biases: :func:`from_keras` backwards.

    Args:
        params: of ``Recurrent``, or of ``Bidirectional``; of a bare cell, ``{"params": params._asdict()}``.
        cell: ``LSTM``, ``GRU``, ``GRUResetBefore`` or ``Elman``, whose parameters they are.

    Returns:
        Three arrays; of two directions, six.

    Raises:
        InputError: an unknown cell, or parameters that are not its own.

    Example:
        >>> own = {"input_kernel": np.ones((3, 4)), "hidden_kernel": np.ones((4, 4)), "bias": np.zeros(4)}
        >>> [array.shape for array in to_keras({"params": own}, "Elman")]
        [(3, 4), (4, 4), (4,)]
    """
    check_choice("to_keras", "cell", cell, ORDERS)
    here, there = ORDERS[cell]
    arrays: list[np.ndarray] = []
    for own in directions("to_keras", params):
        check_own("to_keras", own, cell)
        inputs, hidden = (_ordered(bias, here, there) for bias in two_biases(own))
        arrays += [_ordered(own[name], here, there) for name in ("input_kernel", "hidden_kernel")]
        arrays.append(np.stack([inputs, hidden]) if cell == "GRU" else inputs)
    return arrays


def _from(weights: Sequence[np.ndarray], cell: str) -> Weights:
    """The parameters of one direction."""
    arrays = dict(zip(("kernel", "recurrent_kernel", "bias"), weights, strict=False))
    bias = "2 3H" if cell == "GRU" else SHAPES[cell]["bias"]
    letters = {"recurrent_kernel": SHAPES[cell]["hidden_kernel"], "kernel": SHAPES[cell]["input_kernel"], "bias": bias}
    check_fit("from_keras", arrays, {name: shape for name, shape in letters.items() if name != "bias"})
    other = {"GRU": "GRUResetBefore", "GRUResetBefore": "GRU"}.get(cell)
    if other and "bias" in arrays and arrays["bias"].ndim == 3 - len(bias.split()):
        raise InputError(f"from_keras: a bias {arrays['bias'].shape} is not one of {cell}. Try {other}.")
    check_fit("from_keras", arrays, {name: shape for name, shape in letters.items() if name in arrays})
    here, there = ORDERS[cell]
    inputs, hidden = (_ordered(arrays[name], there, here) for name in ("kernel", "recurrent_kernel"))
    none = np.zeros_like(hidden[0])
    biases = [_ordered(row, there, here) for row in np.atleast_2d(arrays.get("bias", none))]
    first, second = [*biases, none][:2]
    return {"input_kernel": inputs, "hidden_kernel": hidden} | one_bias(first, second, cell)


def _ordered(array: np.ndarray, gates: str, wanted: str) -> np.ndarray:
    """Columns of gates in another order."""
    blocks = dict(zip(gates, np.split(array, len(gates), axis=-1), strict=True))
    return np.concatenate([blocks[gate] for gate in wanted], axis=-1)

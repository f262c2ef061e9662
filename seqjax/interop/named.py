"""Arrays by the names that another program gave them."""

from collections.abc import Mapping

import numpy as np

from seqjax.checks import InputError

NORM = {"scale": "weight", "bias": "bias"}  # of a layer norm: here, there


def array_of(where: str, model: str, arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """One of them.

    Args:
        where: the function that speaks.
        model: whose weights they should be.
        arrays: all.
        name: of the one.

    Raises:
        InputError: it is missing.
    """
    if name not in arrays:
        raise InputError(
            f"{where}: `{name}` is missing among {len(arrays)} arrays. Are these the weights of a {model}, by the "
            "names of the transformers library?"
        )
    return np.asarray(arrays[name])


def count_layers(where: str, arrays: Mapping[str, np.ndarray], before: str) -> int:
    """How many layers there are, whose names begin with ``before`` and a number.

    Raises:
        InputError: they are not numbered from 0 on.
    """
    numbers = [name.removeprefix(before).split(".")[0] for name in arrays if name.startswith(before)]
    found = {int(number) for number in numbers if number.isdecimal()}
    if found != set(range(len(found))) or not found:
        raise InputError(f"{where}: the layers should be numbered from 0 on, but they are {sorted(found)}.")
    return len(found)


def stacked(where: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Arrays of layers alike as one, (L, ...), in their order.

    Raises:
        InputError: their shapes differ.
    """
    first, *others = arrays
    for name in others:
        if arrays[name].shape != (wanted := arrays[first].shape):
            raise InputError(f"{where}: `{name}` should be {wanted} as `{first}` is, but it is {arrays[name].shape}.")
    return np.stack(list(arrays.values()))

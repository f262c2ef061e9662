"""Parameters of recurrent layers as plain dicts of arrays: which there are, whether they fit, how two biases are one.

D input features, H hidden features, P features of a projected state.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from seqjax.checks import InputError, check_shape, nearest

Weights = dict[str, np.ndarray]  # of one cell

SHAPES = {  # first what tells H
    "LSTM": {"hidden_kernel": "H 4H", "input_kernel": "D 4H", "bias": "4H"},
    "LSTMProjected": {"projection_kernel": "H P", "hidden_kernel": "P 4H", "input_kernel": "D 4H", "bias": "4H"},
    "GRU": {"hidden_kernel": "H 3H", "input_kernel": "D 3H", "bias": "3H", "candidate_bias": "H"},
    "GRUResetBefore": {"hidden_kernel": "H 3H", "input_kernel": "D 3H", "bias": "3H"},
    "Elman": {"hidden_kernel": "H H", "input_kernel": "D H", "bias": "H"},
}
WAYS = ("forward", "backward")


def layer(directions: list[Weights]) -> dict[str, Any]:
    """The parameters of ``Recurrent``; of two directions, of ``Bidirectional``."""
    found = [{"params": own} for own in directions]
    return found[0] if len(found) == 1 else dict(zip(WAYS, found, strict=True))


def directions(where: str, params: Mapping[str, Any]) -> list[Weights]:
    """The parameters of a layer's one cell, or of its two: :func:`layer` backwards."""
    found = [params[way] for way in WAYS] if holds(params, WAYS) else [params]
    for one in found:
        if not holds(one, ["params"]) or not isinstance(one["params"], Mapping):
            came = f"a dict of {', '.join(map(str, one))}" if isinstance(one, Mapping) else f"a {type(one).__name__}"
            first = " A learned first state has no place elsewhere." if holds(one, ["params", "initial"]) else ""
            raise InputError(
                f"{where}: `params` should be those of a layer, {{'params': ...}} of Recurrent or {{'forward': ..., "
                f"'backward': ...}} of Bidirectional, but it is {came}.{first}"
            )
    return [{name: np.asarray(array) for name, array in one["params"].items()} for one in found]


def holds(params: Any, names: Iterable[str]) -> bool:
    """Whether parameters are a dict with these names, none more and none less."""
    return isinstance(params, Mapping) and set(params) == set(names)


def check_names(where: str, given: Iterable[str], wanted: Iterable[str]) -> None:
    """Refuse a name that none has, and suggest the nearest; then the first that is missing."""
    given, wanted = list(given), list(wanted)
    for name in given:
        if name not in wanted:
            raise InputError(f"{where}: there should be no {name!r}. {nearest(str(name), wanted)}")
    for name in wanted:
        if name not in given:
            raise InputError(f"{where}: `{name}` is missing. There is {', '.join(given) or 'nothing'}.")


def check_fit(
    where: str, arrays: Mapping[str, np.ndarray], letters: Mapping[str, str], known: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Refuse the first array in which a letter has another size than before.

    Args:
        where: the function that speaks.
        arrays: by name, those of ``letters`` at least.
        letters: the shape of each, e.g. ``{"kernel": "D 4H"}``.
        known: sizes that letters have already.

    Returns:
        The size of every letter.

    Example:
        >>> check_fit("Example", {"kernel": np.ones((2, 8)), "bias": np.ones(5)}, {"kernel": "H 4H", "bias": "4H"})
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: Example: `bias` should be (4H,) = (8,), but it is (5,).
    """
    sizes = {"2": 2} | dict(known or {})
    for name, parts in ((name, shape.split()) for name, shape in letters.items()):
        for part, size in zip(parts, arrays[name].shape, strict=False):
            if part.isalpha():
                sizes.setdefault(part, size)
        wanted = [int(part[:-1] or 1) * sizes[part[-1]] if part[-1] in sizes else None for part in parts]
        said = f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
        check_shape(where, name, arrays[name], said, wanted)
        if 0 in arrays[name].shape:
            raise InputError(f"{where}: `{name}` should be {said}, none of them 0, but it is {arrays[name].shape}.")
    return sizes


def check_own(where: str, own: Weights, cell: str) -> None:
    """Refuse parameters that are not those of a cell."""
    check_names(where, own, SHAPES[cell])
    check_fit(where, own, SHAPES[cell])


def fits(arrays: Mapping[str, np.ndarray], letters: Mapping[str, str]) -> bool:
    """Whether these are the arrays of such shapes, none more and none less."""
    try:
        check_names("", arrays, letters)
        check_fit("", arrays, letters)
    except InputError:
        return False
    return True


def one_bias(inputs: np.ndarray, hidden: np.ndarray, cell: str) -> Weights:
    """What is here of two biases (4H,) or (3H,), of the inputs' product and of the state's.

    Only the sum counts, but where a GRU's reset gate multiplies the state's part of the candidate.
    """
    if cell != "GRU":
        return {"bias": inputs + hidden}
    reset, update, candidate = np.split(hidden, 3)
    outside = np.concatenate([reset, update, np.zeros_like(candidate)])
    return {"bias": inputs + outside, "candidate_bias": candidate.copy()}


def two_biases(own: Weights) -> tuple[np.ndarray, np.ndarray]:
    """:func:`one_bias` backwards: all that can be is in the first."""
    inputs, hidden = own["bias"].copy(), np.zeros_like(own["bias"])
    if "candidate_bias" in own:
        hidden[-len(own["candidate_bias"]) :] = own["candidate_bias"]
    return inputs, hidden

"""Drawings as the way of a pen: stroke-3.

A drawing of T points is an array (T, 3): how far the pen moves to each point, to the right and down, and 1 where it is
lifted after the point, else 0. The pen starts on the paper, at the origin.

Source:
    Ha & Eck (2017), A Neural Representation of Sketch Drawings, section 3.1; Ramer (1972), Douglas & Peucker (1973) for
    leaving points out.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError


class Drawing(NamedTuple):
    """One drawing."""

    strokes: np.ndarray  # (T, 3) float32, stroke-3
    name: str = ""  # of its class; "" where it has none


def check_strokes(where: str, array) -> np.ndarray:
    """The array as float32, or a refusal of what is no drawing.

    Raises:
        InputError: not (T, 3), no point at all, a number that is not finite, a pen state other than 0 and 1.

    Example:
        >>> check_strokes("cat.npz, train drawing 3", [[1, 2, 0], [3, 4, 2]])
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: cat.npz, train drawing 3: point 2 has the pen state 2.0, but 0 or 1 is wanted: ...
    """
    try:
        found = np.asarray(array, np.float32)
    except (TypeError, ValueError):
        raise InputError(f"{where}: this is no array of numbers. Stroke-3 is wanted: (T, 3).") from None
    if found.ndim != 2 or found.shape[1] != 3 or not len(found):
        raise InputError(
            f"{where}: a drawing should be (T, 3), rows of dx, dy and pen lifted, but it is {found.shape}. "
            "Stroke-5 becomes this with its last two columns left out, and column 3 taken from pen state 2."
        )
    broken = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(broken):
        raise InputError(f"{where}: point {broken[0] + 1} is {found[broken[0]].tolist()}: numbers should be finite.")
    broken = np.flatnonzero((found[:, 2] != 0) & (found[:, 2] != 1))
    if len(broken):
        raise InputError(
            f"{where}: point {broken[0] + 1} has the pen state {found[broken[0], 2]}, but 0 or 1 is wanted: "
            "1 where the pen is lifted after the point."
        )
    return found


def from_lines(lines: Sequence[np.ndarray]) -> np.ndarray:
    """Lines of absolute points (N, 2) to stroke-3, from the first point on; lines of one point are left out.

    Example:
        >>> from_lines([np.array([[1, 1], [3, 1]]), np.array([[0, 2], [0, 5]])]).tolist()
        [[2.0, 0.0, 1.0], [-3.0, 1.0, 0.0], [0.0, 3.0, 1.0]]
    """
    kept = [np.asarray(line, np.float64) for line in lines if len(line) > 1]
    if not kept:
        return np.zeros((0, 3), np.float32)
    points = np.concatenate(kept)
    lifted = np.zeros(len(points))
    lifted[np.cumsum([len(line) for line in kept]) - 1] = 1
    return np.column_stack([np.diff(points, axis=0), lifted[1:]]).astype(np.float32)


def to_lines(strokes: np.ndarray) -> list[np.ndarray]:
    """Stroke-3 to lines of absolute points (N, 2), the pen starting at the origin.

    Example:
        >>> [line.tolist() for line in to_lines(np.array([[2, 0, 1], [-3, 1, 0], [0, 3, 1]]))]
        [[[0.0, 0.0], [2.0, 0.0]], [[-1.0, 1.0], [-1.0, 4.0]]]
    """
    points = np.concatenate([np.zeros((1, 2)), np.cumsum(np.asarray(strokes, np.float64)[:, :2], axis=0)])
    ends = np.flatnonzero(np.asarray(strokes)[:, 2] > 0) + 2
    return [line for line in np.split(points, ends) if len(line) > 1]


def simplify(points: np.ndarray, tolerance: float) -> np.ndarray:
    """Leave out points of a line (N, 2) that lie within ``tolerance`` of the line without them.

    Example:
        >>> simplify(np.array([[0, 0], [1, 0.1], [2, 0], [2, 2]]), 0.5).tolist()
        [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0]]
    """
    points = np.asarray(points, np.float64)
    kept = np.zeros(len(points), bool)
    kept[[0, -1]] = True
    ranges = [(0, len(points) - 1)]
    while ranges:
        first, last = ranges.pop()
        if last - first < 2:
            continue
        inner, whole = points[first + 1 : last] - points[first], points[last] - points[first]
        length = np.hypot(*whole)
        across = np.abs(inner @ [whole[1], -whole[0]]) / length if length else np.hypot(*inner.T)
        if across.max() > tolerance:
            place = first + 1 + int(across.argmax())
            kept[place] = True
            ranges += [(first, place), (place, last)]
    return points[kept]


def simplify_strokes(strokes: np.ndarray, tolerance: float) -> np.ndarray:
    """Stroke-3 with the points left out that :func:`simplify` leaves out of each line."""
    if not tolerance:
        return strokes
    return from_lines([simplify(line, tolerance) for line in to_lines(strokes)])


def spread(drawings: Sequence[Drawing]) -> float:
    """The standard deviation of all offsets, of both axes together: what drawings are divided by.

    Raises:
        InputError: there are none, or none that move.

    Example:
        >>> spread([Drawing(np.array([[3, 0, 0], [0, 3, 0], [-3, 0, 0], [0, -3, 1]]))])
        2.1213203435596424
    """
    offsets = np.concatenate([one.strokes[:, :2] for one in drawings]) if drawings else np.zeros((0, 2))
    found = float(offsets.astype(np.float64).std()) if len(offsets) else 0.0
    if not found:
        raise InputError(f"strokes: {len(drawings)} drawings do not move the pen, so that there is nothing to learn.")
    return found

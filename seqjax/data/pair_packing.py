"""Packing with two sides: rows that hold several pairs, as much of both rooms used as comes easily."""

import numpy as np

from seqjax.checks import InputError

OPEN = 256  # rows that still take pairs; older ones are full enough


def pack_pairs(lengths: np.ndarray, room: tuple[int, int]) -> list[list[int]]:
    """Put pairs into rows, the longest first, each into the oldest open row in which both sides fit (first fit).

    Args:
        lengths: (P, 2), S and T of each pair.
        room: S and T of a row.

    Returns:
        The pairs of each row, by index.

    Raises:
        InputError: a pair longer than a row.

    Example:
        >>> pack_pairs(np.array([[3, 1], [4, 4], [2, 3], [1, 1]]), (5, 5))
        [[1, 3], [0, 2]]
    """
    over = (lengths > np.array(room)).any(axis=1)
    if over.any():
        source, target = lengths[over.argmax()].tolist()
        raise InputError(
            f"pack_pairs: {int(over.sum())} pairs do not fit a row of (S, T) = {room}, the first with {source} and "
            f"{target} symbols. Try a larger --data.source-length and --data.target-length, or --data.too-long drop."
        )
    rows: list[list[int]] = []
    left = np.zeros((0, 2), np.int64)  # room in the last rows
    for pair in np.argsort(-(lengths / np.array(room)).max(axis=1), kind="stable").tolist():
        fits = (left >= lengths[pair]).all(axis=1)
        if not fits.any():
            rows.append([])
            left = np.concatenate([left[-(OPEN - 1) :], [room]])
            fits = np.arange(len(left)) == len(left) - 1
        place = int(fits.argmax())
        left[place] -= lengths[pair]
        rows[len(rows) - len(left) + place].append(pair)
    return rows

"""Packed rows: several documents in a row of T steps, a reset at each.

Documents longer than T are cut. Each piece goes into the open row with the least room that still holds it (best fit),
which leaves a few per cent of padding.
"""

import functools

import numpy as np

from seqjax.data.corpus import NOTHING, Corpus, Layout, Places, Plan, check_enough, cut


def pack(lengths: np.ndarray, room: int) -> list[list[int]]:
    """Put pieces into rows, in the order given, each where it fits best.

    Args:
        lengths: (P,), steps of each piece, at most ``room``.
        room: steps of a row.

    Returns:
        The pieces of each row, by index.

    Example:
        >>> pack(np.array([3, 4, 2, 1]), 5)
        [[0, 2], [1, 3]]
    """
    rows: list[list[int]] = []
    open_rows: list[list[int]] = [[] for _ in range(room + 1)]  # by the room that is left
    left = 0  # bit r is set while there is an open row with room r
    for piece, size in enumerate(lengths.tolist()):
        fits = left >> size
        if fits:
            space = size + (fits & -fits).bit_length() - 1
            row = open_rows[space].pop()
            if not open_rows[space]:
                left &= ~(1 << space)
        else:
            space, row = room, len(rows)
            rows.append([])
        rows[row].append(piece)
        if space > size:
            open_rows[space - size].append(row)
            left |= 1 << (space - size)
    return rows


def packed(corpus: Corpus, plan: Plan) -> Layout:
    """Lay documents into rows of T steps.

    The rows are planned once, from the lengths alone (for training the longest first, which packs closest); in each
    epoch of training, pieces of the same length change places with one another, and the rows are shuffled. So each
    epoch has as many batches.

    Args:
        corpus: N steps of text.
        plan: B rows, T steps.

    Raises:
        InputError: training text that fills fewer than B rows.
    """
    pieces = cut(corpus, plan.length)
    lengths = pieces[:, 1] - pieces[:, 0]
    turns = np.argsort(-lengths, kind="stable") if plan.train else np.arange(len(pieces))
    rows = [turns[row] for row in pack(lengths[turns], plan.length)]
    if plan.train:
        advice = "Try a smaller --batch-size or --data.length, or more text."
        check_enough("packed", len(rows), plan.rows, f"rows of {plan.length} steps", advice)
    by_length = np.argsort(lengths, kind="stable")

    @functools.lru_cache(maxsize=2)
    def order(epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Which row comes when, and which piece stands in for which."""
        stand_in = np.arange(len(pieces))
        if not plan.train:
            return np.arange(len(rows)), stand_in
        random = plan.random(epoch)
        stand_in[by_length] = np.lexsort([random.random(len(pieces)), lengths])
        return random.permutation(len(rows)), stand_in

    def place(epoch: int, step: int) -> Places:
        sequence, stand_in = order(epoch)
        at = np.full((plan.rows, plan.length), NOTHING)
        fresh = np.zeros(at.shape, bool)
        for line, row in enumerate(sequence[step * plan.rows : (step + 1) * plan.rows]):
            column = 0
            for start, end in pieces[stand_in[rows[row]]].tolist():
                at[line, column : column + end - start] = np.arange(start, end)
                fresh[line, column] = True
                column += end - start
        return Places(at, fresh)

    return Layout(-(-len(rows) // plan.rows), (plan.length,), place)

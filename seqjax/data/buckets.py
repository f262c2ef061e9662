"""Buckets: one document a row, rows of similar length together, a few lengths only.

Each length is one compilation, so there are at most six, placed where they leave the least padding.
"""

import functools
from collections.abc import Sequence

import numpy as np

from seqjax.data.corpus import NOTHING, Corpus, Layout, Places, Plan, check_enough, cut

MOST = 6


def plan_buckets(lengths: np.ndarray, longest: int, most: int = MOST) -> tuple[int, ...]:
    """The bucket lengths with the least padding, by dynamic programming over multiples of 8 (of more, if T > 2048).

    Args:
        lengths: (P,), steps of each document, from 1 to ``longest``.
        longest: T; always a bucket, so that documents of any other split find a place.
        most: how many buckets.

    Returns:
        Increasing lengths, the last one ``longest``.

    Example:
        >>> plan_buckets(np.array([7, 8, 8, 30, 31, 90]), 128, most=4)
        (8, 32, 96, 128)
    """
    grain = 8 * -(-longest // 2048)
    ends = np.unique(np.append(np.arange(grain, longest, grain), longest))
    slots = np.searchsorted(ends, lengths)
    below = np.concatenate([[0], np.cumsum(np.bincount(slots, minlength=len(ends)))])  # documents in the first i slots
    cost = (below[1:] * ends).astype(float)  # steps, padding included, when one bucket holds all slots up to i
    choices: list[np.ndarray] = []
    for _ in range(min(most, len(ends)) - 1):
        # the last bucket holds slots j+1 … i; the ones before it, the first j + 1 slots
        whole = cost[:, None] + (below[None, 1:] - below[1:, None]) * ends[None, :]
        whole[np.tril_indices(len(ends))] = np.inf
        best = whole.argmin(axis=0)
        better = whole[best, np.arange(len(ends))]
        choices.append(np.where(better < cost, best, NOTHING))
        cost = np.minimum(better, cost)
    found, slot = [], len(ends) - 1
    for choice in [*reversed(choices), np.full(len(ends), NOTHING)]:
        previous = int(choice[slot])
        if previous != NOTHING:
            found.append(int(ends[slot]))
            slot = previous
    return tuple(sorted([*found, int(ends[slot])]))


def bucketed(corpus: Corpus, plan: Plan, buckets: Sequence[int] | None = None) -> Layout:
    """Lay each document into a row of the shortest bucket that holds it; longer ones than the last are cut.

    For training, documents are shuffled within their bucket, and batches among one another, in each epoch.

    Args:
        corpus: N steps of text.
        plan: B rows; T, the longest bucket where ``buckets`` are not given.
        buckets: lengths, increasing: those of the training batches, so that no other shape is compiled.

    Raises:
        InputError: training text with fewer than B documents.
    """
    pieces = cut(corpus, buckets[-1] if buckets else plan.length)
    lengths = pieces[:, 1] - pieces[:, 0]
    if plan.train:
        check_enough("bucketed", len(pieces), plan.rows, "documents", "Try a smaller --batch-size, or more documents.")
    buckets = tuple(buckets) if buckets else plan_buckets(lengths, plan.length)
    home = np.searchsorted(buckets, lengths)
    members = [np.flatnonzero(home == bucket) for bucket in range(len(buckets))]
    batches = [
        (bucket, first) for bucket, held in enumerate(members) for first in range(0, len(held), plan.rows)
    ]  # which bucket, and its first member

    @functools.lru_cache(maxsize=2)
    def order(epoch: int) -> tuple[np.ndarray, list[np.ndarray]]:
        if not plan.train:
            return np.arange(len(batches)), members
        random = plan.random(epoch)
        return random.permutation(len(batches)), [random.permutation(held) for held in members]

    def place(epoch: int, step: int) -> Places:
        sequence, shuffled = order(epoch)
        bucket, first = batches[sequence[step]]
        chosen = pieces[shuffled[bucket][first : first + plan.rows]]
        at = chosen[:, :1] + np.arange(buckets[bucket])
        at = np.where(at < chosen[:, 1:], at, NOTHING)
        at = np.pad(at, ((0, plan.rows - len(at)), (0, 0)), constant_values=NOTHING)
        fresh = np.zeros(at.shape, bool)
        fresh[:, 0] = True
        return Places(at, fresh)

    return Layout(len(batches), buckets, place)

"""Streams: the text in B long rows, read T steps at a time, the state carried from batch to batch.

Row r of batch n + 1 goes on where row r of batch n ended.

Source: truncated backpropagation through time, Williams & Peng (1990).
"""

import functools

import numpy as np

from seqjax.data.corpus import NOTHING, Corpus, Layout, Places, Plan, check_enough


def stream(corpus: Corpus, plan: Plan) -> Layout:
    """Lay the concatenated documents into contiguous rows.

    For training, the documents are permuted in each epoch, and the row of them is turned by a random number of
    steps, so that rows and windows begin elsewhere each time, for a single document too.

    Args:
        corpus: N steps of text.
        plan: B rows, T steps.

    Raises:
        InputError: training text with fewer than B·T steps.
    """
    rows, length = plan.rows, plan.length
    if plan.train:
        advice = "Try a smaller --batch-size or --data.length, or more text."
        check_enough("stream", corpus.steps, rows * length, "symbols", f"({rows} rows of {length} steps) {advice}")
    edges = np.arange(rows + 1) * corpus.steps // rows
    steps = -(-int(np.diff(edges).max()) // length)
    sizes = np.diff(corpus.starts)

    @functools.lru_cache(maxsize=2)
    def order(epoch: int) -> tuple[np.ndarray, np.ndarray, int]:
        """The documents in this epoch's order, where each ends in it, and by how many steps it is turned."""
        if not plan.train:
            return np.arange(len(sizes)), corpus.starts[1:], 0
        random = plan.random(epoch)
        permuted = random.permutation(len(sizes))
        return permuted, np.cumsum(sizes[permuted]), int(random.integers(corpus.steps))

    def place(epoch: int, step: int) -> Places:
        at = edges[:-1, None] + step * length + np.arange(length)
        real = at < edges[1:, None]
        permuted, ends, turn = order(epoch)
        at = (at + turn) % corpus.steps
        rank = np.searchsorted(ends, at, side="right")
        source = corpus.starts[1:][permuted][rank] - (ends[rank] - at)
        fresh = np.zeros(real.shape, bool)
        fresh[:, 0] = step == 0
        return Places(np.where(real, source, NOTHING), fresh)

    return Layout(steps, (length,), place)

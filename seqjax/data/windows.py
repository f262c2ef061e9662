"""Windows: the last T symbols predict the next one, at every place of the text (many-to-one).

Source: the n-gram context of Bengio, Ducharme, Vincent & Jauvin (2003), A Neural Probabilistic Language Model.
"""

import functools

import numpy as np

from seqjax.data.corpus import NOTHING, Corpus, Layout, Places, Plan, check_enough


def window(corpus: Corpus, plan: Plan) -> Layout:
    """Lay one window a row, right-aligned; near the start of a document, the left is padding.

    For training the places are shuffled in each epoch. Only the last step of a row counts.

    Args:
        corpus: N steps of text.
        plan: B rows, T steps.

    Raises:
        InputError: training text with fewer than B symbols.
    """
    rows, length = plan.rows, plan.length
    if plan.train:
        check_enough("window", corpus.steps, rows, "symbols", "Try a smaller --batch-size, or more text.")

    @functools.lru_cache(maxsize=1)
    def order(epoch: int) -> np.ndarray:
        return plan.random(epoch).permutation(corpus.steps)

    def place(epoch: int, step: int) -> Places:
        index = np.arange(step * rows, min((step + 1) * rows, corpus.steps))
        last = order(epoch)[index] if plan.train else index
        start = corpus.starts[np.searchsorted(corpus.starts, last, side="right") - 1]
        first = np.maximum(start, last - length + 1)[:, None]
        at = last[:, None] + np.arange(1 - length, 1)
        missing = ((0, rows - len(index)), (0, 0))
        places = np.pad(np.where(at >= first, at, NOTHING), missing, constant_values=NOTHING)
        return Places(places, np.pad(at == first, missing), last=True)

    return Layout(-(-corpus.steps // rows), (length,), place)

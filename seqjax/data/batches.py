"""Text to batches: batch number n is a pure function of (seed, n)."""

import sys
from collections.abc import Callable, Sequence

import numpy as np

from seqjax.checks import InputError, check_count
from seqjax.data.buckets import bucketed
from seqjax.data.config import DataConfig
from seqjax.data.corpus import Corpus, Layout, Plan, fill, join
from seqjax.data.packing import packed
from seqjax.data.streams import stream
from seqjax.data.windows import window

Batch = dict[str, np.ndarray]


class Numbered:
    """Batches by number, as ``grain.MapDataset.source`` wants them.

    Attributes:
        steps_per_epoch: batches in which everything comes once.
        tokens_per_epoch: targets that count in an epoch.
    """

    def __init__(self, read: Callable[[int, int], Batch], steps: int, tokens: int, train: bool):
        self._read, self._train = read, train
        self.steps_per_epoch = steps
        self.tokens_per_epoch = tokens

    def __len__(self) -> int:
        """Batches in all: one epoch, or for training as many as anyone asks for."""
        return sys.maxsize if self._train else self.steps_per_epoch

    def __getitem__(self, n) -> Batch:
        """Batch number ``n``, counted over all epochs."""
        if not 0 <= n < len(self):
            raise IndexError(f"batches: there is no batch {n}; there are {len(self)}.")
        return self._read(*divmod(int(n), self.steps_per_epoch))


class Batches(Numbered):
    """Batches of text. Made by :func:`batches`.

    Batch n is a dict of arrays (B, T):

    - ``inputs``, ``targets``: int32 ids; the targets are one symbol on, and 0 at the end of a document;
    - ``mask``: True on real steps, False on padding, where ids are 0;
    - ``reset``: True on the first step of a document, and where a row begins anew: at the start of an epoch in
      streams, at each row, piece and window in the others;
    - ``scored``: True where the target counts: where ``mask`` is, but in windows only at the last step.

    Attributes:
        steps_per_epoch: batches in which the whole text comes once.
        lengths: every T that occurs.
        tokens_per_epoch: targets that count in an epoch.
    """

    def __init__(self, corpus: Corpus, layout: Layout, train: bool):
        super().__init__(lambda epoch, n: fill(corpus, layout.place(epoch, n)), layout.steps, corpus.steps, train)
        self.lengths = layout.lengths


def batches(
    config: DataConfig,
    documents: Sequence[np.ndarray],
    *,
    rows: int,
    seed: int = 0,
    train: bool,
    length: int | None = None,
    buckets: Sequence[int] | None = None,
    vocabulary: int | None = None,
) -> Batches:
    """Lay encoded documents into batches, as ``config.batches`` says.

    For training there is no end: epoch n // steps_per_epoch has an order of its own. Else every symbol comes once, in
    order, and the last batch is filled up with rows of padding.

    Args:
        config: its ``batches`` and ``length``.
        documents: ids (T,) of each, as :meth:`Tokenizer.encode_documents` gives them.
        rows: B.
        seed: of the order.
        train: shuffled without end, or once in order.
        length: T, instead of the one in ``config``.
        buckets: with ``bucketed``, the ``lengths`` of the training batches.
        vocabulary: V, to refuse ids of another tokenizer.

    Raises:
        InputError: text too short for one batch of training; ids out of range; sizes below 1.

    Example:
        >>> data = batches(DataConfig(length=4), [np.array([5, 6, 7]), np.array([8, 9])], rows=1, train=False)
        >>> [batch["inputs"].tolist() for batch in data]
        [[[0, 5, 6, 7]], [[0, 8, 9, 0]]]
        >>> [batch["targets"].tolist() for batch in data]
        [[[5, 6, 7, 0]], [[8, 9, 0, 0]]]
        >>> data[1]["mask"].tolist()
        [[True, True, True, False]]
    """
    length = config.length if length is None else length
    for name, value in (("rows", rows), ("length", length)):
        check_count("batches", name, value)
    if seed < 0:
        raise InputError(f"batches: `seed` should not be negative, but it is {seed}.")
    corpus, plan = join(documents, vocabulary), Plan(rows, length, seed, train)
    if config.batches == "bucketed":
        return Batches(corpus, bucketed(corpus, plan, buckets), train)
    layout = {"stream": stream, "packed": packed, "window": window}[config.batches]
    return Batches(corpus, layout(corpus, plan), train)

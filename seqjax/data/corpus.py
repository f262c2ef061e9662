"""Documents as one row of ids, and the language every layout speaks: places in that row.

The row is ``<doc> d1 <doc> d2 … <doc>``. A step reads the id at a place p and is to predict the id at p + 1, so the
end of a document is predicted as ``<doc>``. A layout only says which place stands where in a batch.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError, check_ids

NOTHING = -1  # the place of padding


class Corpus(NamedTuple):
    """Documents one after the other.

    Attributes:
        ids: (N + 1,) int32, a 0 before each document and one at the end.
        starts: (D + 1,) places of those 0s; the last is N, the number of steps.
    """

    ids: np.ndarray
    starts: np.ndarray

    @property
    def steps(self) -> int:
        """N: symbols to predict, the ends of documents included."""
        return int(self.starts[-1])


class Plan(NamedTuple):
    """What a layout is asked for: B rows of T steps, in the order of a seed or (``train`` False) of the text."""

    rows: int
    length: int
    seed: int
    train: bool

    def random(self, epoch: int) -> np.random.Generator:
        """The only source of chance in an epoch."""
        return np.random.default_rng([self.seed, epoch])


class Places(NamedTuple):
    """One batch before it is filled.

    Attributes:
        at: (B, T) places in the corpus, :data:`NOTHING` where there is padding.
        fresh: (B, T), True where the state must not come from the step before, document start or not.
        last: whether only the last step of each row counts.
    """

    at: np.ndarray
    fresh: np.ndarray
    last: bool = False


class Layout(NamedTuple):
    """A way to lay text into batches.

    Attributes:
        steps: batches in one epoch.
        lengths: every T that occurs.
        place: ``(epoch, step) -> Places``, a pure function.
    """

    steps: int
    lengths: tuple[int, ...]
    place: Callable[[int, int], Places]


def join(documents: Sequence[np.ndarray], vocabulary: int | None = None, name: str = "documents") -> Corpus:
    """Put encoded documents behind one another.

    Args:
        documents: ids (T,) each, without boundaries.
        vocabulary: V; ids from it on are refused.
        name: what a refusal calls them.

    Raises:
        InputError: no documents; ids that are no integers, 0 (the boundary) or less, or V or more.

    Example:
        >>> corpus = join([np.array([5, 6]), np.array([7])])
        >>> corpus.ids.tolist(), corpus.starts.tolist(), corpus.steps
        ([0, 5, 6, 0, 7, 0], [0, 3, 5], 5)
    """
    if not documents:
        raise InputError(f"batches: `{name}` should hold at least one document, but it is empty.")
    lengths = np.array([len(document) for document in documents], np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths + 1)])
    row = np.zeros(starts[-1] + 1, np.int32)
    for document, start in zip(documents, starts, strict=False):
        document = np.asarray(document)
        if document.size:
            check_ids("batches", name, document, np.iinfo(np.int32).max if vocabulary is None else vocabulary)
            if not document.all():
                raise InputError(f"batches: `{name}` should hold ids from 1; 0 is the boundary, which is added here.")
            row[start + 1 : start + 1 + len(document)] = document
    return Corpus(row, starts)


def cut(corpus: Corpus, length: int) -> np.ndarray:
    """Pieces of documents with at most ``length`` steps, in order: (P, 2) places, start and end.

    Example:
        >>> cut(join([np.arange(1, 6), np.array([7])]), 4).tolist()
        [[0, 4], [4, 6], [6, 8]]
    """
    sizes = np.diff(corpus.starts)
    parts = -(-sizes // length)
    within = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
    first = np.repeat(corpus.starts[:-1], parts) + within * length
    return np.stack([first, np.minimum(first + length, np.repeat(corpus.starts[1:], parts))], axis=1)


def fill(corpus: Corpus, places: Places) -> dict[str, np.ndarray]:
    """Read a batch: see :class:`seqjax.data.Batches` for what is in it."""
    mask = places.at != NOTHING
    at = np.where(mask, places.at, 0)
    starts = (corpus.ids[at] == 0) & mask
    scored = mask.copy()
    if places.last:
        scored[:, :-1] = False
    return {
        "inputs": np.where(mask, corpus.ids[at], 0).astype(np.int32),
        "targets": np.where(mask, corpus.ids[at + 1], 0).astype(np.int32),
        "mask": mask,
        "reset": starts | (places.fresh & mask),
        "scored": scored,
    }


def check_enough(name: str, held: int, wanted: int, unit: str, advice: str) -> None:
    """Refuse training text that does not fill one batch."""
    if held < wanted:
        raise InputError(
            f"batches: the training text is too short: it holds {held} {unit}, and one batch of `{name}` "
            f"wants {wanted}. {advice}"
        )

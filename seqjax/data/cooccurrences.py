"""How often words stand near each other, counted over a text of any length in bounded memory; batches for GloVe.

V vocabulary, M pairs of words that occur, B entries of a batch.
"""

import dataclasses
import functools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError, check_count
from seqjax.data.batches import Numbered
from seqjax.data.word_text import KnownWords

CHUNK = 1 << 20  # words that are counted at once


@dataclasses.dataclass(frozen=True, kw_only=True)
class CountsConfig:
    """Which words stand near each other."""

    window: int = 10  # words to each side
    by_distance: bool = True  # a word d places away counts 1/d; else 1

    def __post_init__(self):
        if self.window < 1:
            raise InputError(f"--counts.window should be at least 1, but it is {self.window}.")


class Cooccurrences(NamedTuple):
    """The entries of a symmetric matrix that are not zero, in the order of rows, then columns."""

    rows: np.ndarray  # (M,) int32 ids
    columns: np.ndarray  # (M,) int32 ids
    counts: np.ndarray  # (M,) float32


def count_cooccurrences(parts: Iterable[KnownWords], config: CountsConfig, vocabulary: int) -> Cooccurrences:
    """Add up over the parts of a text, one part in memory at a time.

    What is held is the sum so far and the counts of one chunk. A sentence belongs to one part.

    Args:
        parts: of the text.
        config: how near.
        vocabulary: V.

    Raises:
        InputError: no two words stand near each other.

    Source:
        Pennington et al. (2014), GloVe: Global Vectors for Word Representation, sections 3 and 4.2.

    Example:
        >>> text = KnownWords(np.array([1, 2, 1], np.int32), np.zeros(3, np.int32), 3)
        >>> found = count_cooccurrences([text], CountsConfig(window=2), vocabulary=3)
        >>> [tuple(map(float, entry)) for entry in zip(*found, strict=True)]
        [(1.0, 1.0, 1.0), (1.0, 2.0, 2.0), (2.0, 1.0, 2.0)]
    """
    keys, totals = np.zeros(0, np.int64), np.zeros(0)
    for part in parts:
        for first in range(0, len(part.ids), CHUNK):
            more = _count(part, first, config, vocabulary)
            keys, totals = _add(np.concatenate([keys, more[0]]), np.concatenate([totals, more[1]]))
    if not len(keys):
        raise InputError("cooccurrences: no two known words stand near each other. Give more text.")
    rows, columns = np.divmod(keys, vocabulary)
    return Cooccurrences(rows.astype(np.int32), columns.astype(np.int32), totals.astype(np.float32))


def _count(text: KnownWords, first: int, config: CountsConfig, vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs whose left word stands in the chunk that begins at ``first``."""
    ids, sentence = (of[first : first + CHUNK + config.window] for of in (text.ids, text.sentence))
    keys, weights = [np.zeros(0, np.int64)], [np.zeros(0)]
    for distance in range(1, min(config.window, len(ids) - 1) + 1):
        left, right = ids[:-distance][:CHUNK].astype(np.int64), ids[distance:][:CHUNK].astype(np.int64)
        near = sentence[:-distance][:CHUNK] == sentence[distance:][:CHUNK]
        left, right = left[near], right[near]
        keys += [left * vocabulary + right, right * vocabulary + left]
        weights.append(np.full(2 * len(left), 1 / distance if config.by_distance else 1.0))
    return _add(np.concatenate(keys), np.concatenate(weights))


def _add(keys: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    unique, place = np.unique(keys, return_inverse=True)
    return unique, np.bincount(place, weights, len(unique))


def entry_batches(found: Cooccurrences, *, rows: int, seed: int = 0, train: bool) -> Numbered:
    """Batches of entries: ``row`` and ``column`` (B,) int32 ids, ``count`` (B,) float32, 0 in padding.

    For training without end, in an order that each epoch draws anew; else once, in order.
    """
    check_count("entry_batches", "rows", rows)
    entries = len(found.counts)

    @functools.lru_cache(maxsize=2)
    def order(epoch: int) -> np.ndarray:
        return np.random.default_rng([seed, epoch]).permutation(entries) if train else np.arange(entries)

    def read(epoch: int, step: int) -> dict[str, np.ndarray]:
        at = order(epoch)[step * rows : (step + 1) * rows]
        short = (0, rows - len(at))
        return {
            "row": np.pad(found.rows[at], short),
            "column": np.pad(found.columns[at], short),
            "count": np.pad(found.counts[at], short),
        }

    return Numbered(read, -(-entries // rows), entries, train)

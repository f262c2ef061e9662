"""Windows of words around words: batches for skip-gram and for the continuous bag of words.

A row is a stretch of text: T centre words and, to each side, as many words as a window reaches at most; and S words
drawn for the row, which all its pairs take as their negatives.

B rows, T centre words, W reach, S negatives of a row, V vocabulary, N known words of the text.
"""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError, check_count
from seqjax.data.batches import Numbered
from seqjax.data.word_list import WordList
from seqjax.data.word_text import KnownWords

BALLS = 1 << 20  # in the urn of negatives, at least
SPARE = 5.0  # standard deviations above what subsampling leaves on average, for which an epoch has room


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowsConfig:
    """Which words are paired."""

    window: int = 5  # words to each side at most; each centre word draws its own reach from 1 to this
    subsample: float = 1e-3  # words whose share of the text is above this are dropped at random; 0: none
    power: float = 0.75  # negatives are drawn in proportion to their counts to this power
    span: int = 16  # centre words in a row of the batch
    shared: int = 96  # negatives drawn for a row, and shared by all its pairs

    def __post_init__(self):
        for name in ("window", "span", "shared"):
            if getattr(self, name) < 1:
                raise InputError(f"--windows.{name} should be at least 1, but it is {getattr(self, name)}.")
        for name in ("subsample", "power"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"--windows.{name} should lie in [0, 1], but it is {getattr(self, name)}.")


class Stretch(NamedTuple):
    """The text of one epoch, what was drawn of it, with room for a window at either end."""

    ids: np.ndarray  # (steps·B·T + 2W,) int32
    sentence: np.ndarray  # the same, −1 where there is no text
    order: np.ndarray  # (steps·B,) which stretch of T words is which row


class WindowBatches(Numbered):
    """Batches of windows. Made by :func:`window_batches`.

    Batch n is a dict of arrays:

    - ``words`` (B, 2W + T) int32: the text, centre words in the middle; ids from 1 on;
    - ``sentence`` (B, 2W + T) int32: which sentence each belongs to, −1 where there is no text;
    - ``reach`` (B, T) int32: how far the window of each centre word goes;
    - ``negatives`` (B, S) int32: ids.

    Attributes:
        pairs_per_batch: the mean number of (centre, context) pairs.
        centres_per_batch: the mean number of centre words.
    """

    def __init__(self, read, steps: int, train: bool, pairs: float, centres: float):
        super().__init__(read, steps, round(centres), train)
        self.pairs_per_batch, self.centres_per_batch = pairs / steps, centres / steps


def window_batches(
    text: KnownWords, words: WordList, config: WindowsConfig, *, rows: int, seed: int = 0, train: bool
) -> WindowBatches:
    """Lay a text into windows. All draws are functions of (seed, epoch, batch).

    For training, stretches of T words come in an order that each epoch draws anew, and there is no end; else once, in
    the order of the text.

    Args:
        text: what :func:`seqjax.data.word_text.known_words` gives.
        words: with the counts of the training text, for dropping and drawing.
        config: of windows and draws.
        rows: B.
        seed: of all draws.
        train: shuffled without end.

    Source:
        Mikolov et al. (2013), Distributed Representations of Words and Phrases and their Compositionality, sections
        2.2 and 2.3, with the rule for dropping words of the authors' program.

    Example:
        >>> words = WordList(["a", "b"], [0, 2, 2])
        >>> text = KnownWords(np.array([1, 2, 1, 2], np.int32), np.array([0, 0, 0, 1], np.int32), 4)
        >>> config = WindowsConfig(window=1, span=2, shared=3, subsample=0)
        >>> batch = window_batches(text, words, config, rows=2, train=False)[0]
        >>> batch["words"].tolist(), batch["sentence"].tolist()
        ([[0, 1, 2, 1], [2, 1, 2, 0]], [[-1, 0, 0, 0], [0, 0, 1, -1]])
    """
    check_count("window_batches", "rows", rows)
    keep, urn = keep_probability(words, config.subsample), noise(words, config.power)
    mean = float(keep[text.ids].sum())
    deviation = float(np.sqrt((keep * (1 - keep))[text.ids].sum()))
    per_batch, reach = rows * config.span, config.window
    steps = max(1, int(np.ceil((mean + SPARE * deviation) / per_batch)))

    @functools.lru_cache(maxsize=2)
    def stretch(epoch: int) -> Stretch:
        random = np.random.default_rng([seed, epoch])
        kept = random.random(len(text.ids), np.float32) < keep[text.ids]
        ids, sentence = text.ids[kept][: steps * per_batch], text.sentence[kept][: steps * per_batch]
        sides = (reach, steps * per_batch - len(ids) + reach)
        order = random.permutation(steps * rows) if train else np.arange(steps * rows)
        return Stretch(np.pad(ids, sides), np.pad(sentence, sides, constant_values=-1), order)

    def read(epoch: int, step: int) -> dict[str, np.ndarray]:
        text = stretch(epoch)
        first = text.order[step * rows : (step + 1) * rows, None] * config.span
        at = first + np.arange(2 * reach + config.span)
        random = np.random.default_rng([seed, epoch, step])
        return {
            "words": text.ids[at],
            "sentence": text.sentence[at],
            "reach": random.integers(1, reach, (rows, config.span), np.int32, endpoint=True),
            "negatives": urn[random.integers(0, len(urn), (rows, config.shared), np.int32)],
        }

    return WindowBatches(read, steps, train, expected_pairs(stretch(0), reach), mean)


def keep_probability(words: WordList, threshold: float) -> np.ndarray:
    """The probability with which each word is kept, (V,): √(t/f) + t/f for a share f of the known text, at most 1.

    Example:
        >>> keep_probability(WordList(["the", "cat"], [0, 99, 1]), 0.01).round(3).tolist()
        [1.0, 0.111, 1.0]
    """
    if not threshold:
        return np.ones(len(words))
    share = np.maximum(words.counts, 1) / max(1, words.counts[1:].sum())
    share[0] = threshold
    return np.minimum(1.0, np.sqrt(threshold / share) + threshold / share)


def noise(words: WordList, power: float) -> np.ndarray:
    """An urn to draw negatives from: ids (≥ V,) int32, each as often as its count to ``power`` says; id 0 never.

    Drawing from an urn takes a fifth of the time of a search in the distribution function.

    Example:
        >>> np.bincount(noise(WordList(["the", "cat"], [0, 16, 1]), 0.5)).round(-5).tolist()
        [0, 800000, 200000]
    """
    weights = words.counts.astype(float) ** power
    weights[0] = 0
    balls = np.maximum(np.round(weights / weights.sum() * max(BALLS, 64 * len(words))), weights > 0)
    return np.repeat(np.arange(len(words), dtype=np.int32), balls.astype(np.int64))


def expected_pairs(text: Stretch, reach: int) -> float:
    """The mean number of (centre, context) pairs of an epoch, over the draws of reaches."""
    total = 0.0
    for distance in range(1, reach + 1):
        near = (text.sentence[distance:] == text.sentence[:-distance]) & (text.sentence[distance:] >= 0)
        total += 2 * near.sum() * (reach - distance + 1) / reach
    return total

"""Copy memory: ten symbols to be said again after T steps of nothing. What plain recurrences cannot carry that far.

T blanks between what is to be remembered and where it is asked for.

Source:
    Hochreiter & Schmidhuber (1997) for the idea; Arjovsky, Shah & Bengio (2016), Unitary Evolution Recurrent Neural
    Networks, section 4.1, for this form; Bai, Kolter & Koltun (2018) for the temporal convolutional network on it.
"""

import dataclasses
import math

import numpy as np

from seqjax.checks import InputError
from seqjax.data.batches import Batch
from seqjax.data.conll import Tagged
from seqjax.data.tag_config import SchemeOption, TagsConfig
from seqjax.data.tag_schemes import OUTSIDE

SYMBOLS = tuple("12345678")
COUNT = 10  # symbols to remember
BLANK, ASK = "·", "?"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CopyMemoryConfig(TagsConfig):
    """Sequences of symbols to be remembered, or files of them in the columns of tagged sentences; ``--data.*``."""

    scheme: SchemeOption = "none"  # how tags mark spans: not at all
    min_count: int = 1  # symbols that training has less often are <unk>
    buckets: int = 1  # most lengths of batches; all sequences are equally long
    blanks: int = 100  # T, steps between the symbols and the request to say them again
    sequences: tuple[int, int, int] = (1024, 512, 512)  # of an epoch of training, drawn anew each time; of the others

    def __post_init__(self):
        super().__post_init__()
        if self.blanks < 1 or min(self.sequences) < 1:
            raise InputError(
                "data: there should be at least 1 blank and 1 sequence of each split, "
                f"but `blanks` is {self.blanks} and `sequences` is {self.sequences}."
            )
        if self.steps > self.longest:
            raise InputError(
                f"data: {self.blanks} blanks make {self.steps} steps, but `longest` is {self.longest}. "
                f"Try --data.longest {self.steps}."
            )

    @property
    def steps(self) -> int:
        """T + 20, of a whole sequence."""
        return self.blanks + 2 * COUNT


def memoryless(blanks: int) -> float:
    """The mean cross-entropy of saying nothing until asked, and then every symbol with probability 1/8, in nats.

    Example:
        >>> round(memoryless(100), 4)
        0.1733
    """
    return COUNT * math.log(len(SYMBOLS)) / (blanks + 2 * COUNT)


def copy_of(symbols: np.ndarray, blanks: int) -> Tagged:
    """The sequence to be read, and at each of its T + 20 steps what is to be said.

    Args:
        symbols: (10,) integers in [0, 8).
        blanks: T; the last of them asks.

    Example:
        >>> one = copy_of(np.arange(10) % 8, 3)
        >>> print(" ".join(one.words), " ".join(one.tags), sep="\\n")
        1 2 3 4 5 6 7 8 1 2 · · ? · · · · · · · · · ·
        O O O O O O O O O O O O O 1 2 3 4 5 6 7 8 1 2
    """
    said = tuple(SYMBOLS[symbol] for symbol in symbols)
    words = (*said, *[BLANK] * (blanks - 1), ASK, *[BLANK] * COUNT)
    return Tagged(words, (*[OUTSIDE] * (COUNT + blanks), *said))


def write_copies(config: CopyMemoryConfig) -> list[list[Tagged]]:
    """Sequences for training, validation and test, the same in every run.

    Those of training give it its shape alone, where batches are written anew by :func:`redraw_copies`.
    """
    parts = []
    for number, count in enumerate(config.sequences):
        random = np.random.default_rng([number, config.blanks, 0, 1])  # four numbers: never those of an epoch
        drawn = random.integers(len(SYMBOLS), size=(count, COUNT))
        parts.append([copy_of(symbols, config.blanks) for symbols in drawn])
    return parts


def redraw_copies(batch: Batch, epoch: int, *, seed: int, blanks: int, words: np.ndarray, tags: np.ndarray) -> Batch:
    """The same batch with other symbols, a function of the seed, the epoch and the numbers of its examples.

    Args:
        batch: ``words`` (B, T + 20) and ``tags`` (B, T + 20), ids, as :func:`copy_of` lays them out; changed in place.
        epoch: which.
        seed: of the run.
        blanks: T.
        words: (8,), id of each symbol as it is read.
        tags: (8,), id of each symbol as it is said.
    """
    for row in np.flatnonzero(batch["real"]):
        symbols = np.random.default_rng([seed, epoch, batch["example"][row]]).integers(len(SYMBOLS), size=COUNT)
        batch["words"][row, :COUNT] = words[symbols]
        batch["tags"][row, COUNT + blanks : 2 * COUNT + blanks] = tags[symbols]
    return batch

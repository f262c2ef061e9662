"""Text as known words, sentence by sentence, for vectors of words.

N known words of a text.
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError
from seqjax.data.config import DataConfig, check_split
from seqjax.data.word_list import WordList

WORD = re.compile(r"\w+")


@dataclasses.dataclass(frozen=True, kw_only=True)
class WordTextConfig:
    """Text whose lines are sentences; on the command line, ``--data.*``."""

    path: tuple[str, ...] = ()  # files or folders of text, a sentence a line; empty: Python's own documentation
    valid_path: tuple[str, ...] = ()  # files of validation text, instead of a split
    test_path: tuple[str, ...] = ()  # files of test text, instead of a split
    encoding: str = "utf-8"  # of the files, e.g. latin-1
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)  # train, validation and test, as fractions of the characters
    vocabulary: int = 30_000  # most words that get a vector
    min_count: int = 5  # words that stand less often in the training text get none
    lower: bool = True  # put words into lower case first

    def __post_init__(self):
        check_split(self.split)
        for name, least in (("vocabulary", 2), ("min_count", 1)):
            if getattr(self, name) < least:
                raise InputError(f"data: `{name}` should be at least {least}, but it is {getattr(self, name)}.")

    @property
    def text(self) -> DataConfig:
        """The same, as the readers of text take it."""
        names = ("path", "valid_path", "test_path", "encoding", "split")
        return DataConfig(documents="line", **{name: getattr(self, name) for name in names})


class KnownWords(NamedTuple):
    """A text without the words that have no vector, as if they had never stood there."""

    ids: np.ndarray  # (N,) int32, from 1 on
    sentence: np.ndarray  # (N,) int32, the number of the sentence, which no window leaves
    running: int  # words of the text, the unknown too


def cut_words(line: str) -> list[str]:
    """Letters, digits and underscores that stand together.

    Example:
        >>> cut_words("God`s Spirit, 1 day!")
        ['God', 's', 'Spirit', '1', 'day']
    """
    return WORD.findall(line)


def known_words(lines: Iterable[str], words: WordList, where: str = "data") -> KnownWords:
    """Encode a text and drop what ``words`` does not know.

    Raises:
        InputError: fewer than two known words stand in any sentence.

    Example:
        >>> known_words(["a b c", "c a"], WordList(["a", "c"], [1, 2, 2]))
        KnownWords(ids=array([1, 2, 2, 1], dtype=int32), sentence=array([0, 0, 1, 1], dtype=int32), running=5)
    """
    parts = [words.encode(cut_words(line)) for line in lines]
    ids = np.concatenate([*parts, np.zeros(0, np.int32)])
    sentence = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])
    known = ids > 0
    kept = sentence[known]
    if not (kept[1:] == kept[:-1]).any():
        raise InputError(
            f"{where}: no line holds two known words, so no word has another near it. "
            "Give more text, or a smaller --data.min-count."
        )
    return KnownWords(ids[known], kept, len(ids))


def split_lines(lines: Iterable[str]) -> Iterator[list[str]]:
    """The words of every line, one line at a time."""
    return (cut_words(line) for line in lines)

"""Which pictures and captions are read, or drawn and written, and how they become batches."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple, get_args

import numpy as np

from seqjax.checks import InputError, check_choice
from seqjax.data.config import Kind, check_split
from seqjax.data.digits import SIDE

NUMERALS = {
    "pt": ("zero", "um", "dois", "três", "quatro", "cinco", "seis", "sete", "oito", "nove"),
    "es": ("cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve"),
    "en": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
}
FILES_SIZE = (64, 64)  # pixels, where nothing else is said


class Caption(NamedTuple):
    """What is said of a picture."""

    image: str  # where the picture is from: its file, or a name of its own
    text: str
    language: str = ""  # "": nobody says


class Pictured(NamedTuple):
    """Captions and their pictures.

    Attributes:
        captions: N of them; pictures may come more than once.
        draw: ``(numbers (n,), epoch) -> (n, Y, X, C) float32``, 0 to 1: the pictures of the captions with these
            numbers. Another epoch may see the same thing written anew.
    """

    captions: list[Caption]
    draw: Callable[[np.ndarray, int], np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DigitRowsConfig:
    """The default data: handwritten digits in a row, and what they are in words; ``--data.digits.*``.

    Raises:
        InputError: an unknown language, or one twice; numbers below 1.
    """

    examples: int = 20_000  # rows to train on; in every epoch they are written by other hands
    held: int = 1_000  # rows of the validation split; as many of the test split
    most: int = 3  # digits in a row, at most
    languages: tuple[str, ...] = ("pt", "es", "en")  # of the captions
    changes: bool = True  # move, fade, blot and erase a little of what is trained on
    seed: int = 0  # of digits, languages and places

    def __post_init__(self):
        for name, least in (("examples", 1), ("held", 1), ("most", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"data.digits: `{name}` should be at least {least}, but it is {getattr(self, name)}.")
        for language in self.languages:
            check_choice("data.digits", "languages", language, NUMERALS)
        if not self.languages or len(set(self.languages)) < len(self.languages):
            raise InputError(
                f"data.digits: `languages` should name one language at least, and each once, but it is "
                f"{self.languages}. Try pt es en."
            )

    @property
    def size(self) -> tuple[int, int]:
        """(Y, X) in pixels: the digits, and one more of paper."""
        return SIDE, SIDE * (self.most + 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CaptionsConfig:
    """Pictures, captions, a tokenizer and batches; on the command line, ``--data.*``.

    A file holds ``image TAB caption`` in each line, or ``image TAB caption TAB language``; images are named from the
    file's own folder. A folder holds such a file, ``captions.tsv`` or ``captions.txt``, or beside every picture a text
    of the same name, ``.txt``, with a caption in each line.

    Raises:
        InputError: fractions that do not sum to 1, unknown names, sizes out of range.

    Example:
        >>> CaptionsConfig().pixels, CaptionsConfig(path=("photos",), colour=True).channels
        ((8, 32), 3)
    """

    path: tuple[str, ...] = ()  # files or folders of pictures with captions; empty: digits, see `digits`
    valid_path: tuple[str, ...] = ()  # for validation, instead of a split
    test_path: tuple[str, ...] = ()  # for the test, instead of a split
    encoding: str = "utf-8"  # of the captions, e.g. latin-1
    skip_broken: bool = False  # skip lines that are wrong and pictures that are missing or broken, and count them
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)  # train, validation and test, as fractions of captions
    size: tuple[int, int] = (0, 0)  # height and width, pixels, that pictures are resized to; 0 0: 64 64, digits 8 32
    colour: bool = False  # keep red, green and blue; else all is grey
    tokenizer: Kind = "word"  # what counts as one symbol of a caption
    vocabulary: int = 8_000  # most symbols (word, bpe, wordpiece, unigram)
    min_count: int = 1  # rarer words and characters are <unk> (word, char)
    longest: int = 64  # most symbols of a caption; longer ones are refused
    buckets: int = 4  # most lengths T of batches; each is compiled once
    digits: DigitRowsConfig = DigitRowsConfig()

    def __post_init__(self):
        check_choice("data", "tokenizer", self.tokenizer, get_args(Kind))
        check_split(self.split)
        for name, least in (("vocabulary", 2), ("min_count", 1), ("longest", 1), ("buckets", 1)):
            if getattr(self, name) < least:
                raise InputError(f"data: `{name}` should be at least {least}, but it is {getattr(self, name)}.")
        if self.size != (0, 0) and min(self.size) < 1:
            raise InputError(f"data: `size` should be two numbers of pixels, but it is {self.size}. Try 64 64.")
        if (self.valid_path or self.test_path) and not self.path:
            raise InputError(
                "data: validation or test files are given, but nothing to train on. Try --data.path FILE beside them."
            )
        if not self.path and (self.colour or self.size not in ((0, 0), self.digits.size)):
            raise InputError(
                "data: `size` and `colour` are of pictures in files, but no --data.path is given: digits are grey, and "
                f"{self.digits.size[0]} × {self.digits.size[1]} pixels."
            )

    @property
    def pixels(self) -> tuple[int, int]:
        """(Y, X) of every picture."""
        return self.size if self.size != (0, 0) else FILES_SIZE if self.path else self.digits.size

    @property
    def channels(self) -> int:
        """C of every picture."""
        return 3 if self.colour else 1

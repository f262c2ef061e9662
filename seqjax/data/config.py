"""What text is read, how it is cut into symbols, and how symbols become batches."""

import dataclasses
import math
from typing import Literal, Protocol, get_args

from seqjax.checks import InputError, check_choice

Documents = Literal["file", "paragraph", "line"]
Kind = Literal["char", "byte", "word", "bpe", "wordpiece", "unigram"]
Embedded = Literal["python", "tunes", "pixels"]
LayoutName = Literal["stream", "packed", "bucketed", "window"]


class Symbols(Protocol):
    """The part of a configuration that says what counts as one symbol."""

    @property
    def tokenizer(self) -> Kind: ...

    @property
    def vocabulary(self) -> int: ...

    @property
    def min_count(self) -> int: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Text, tokenizer and batches; on the command line, ``--data.*``.

    Raises:
        InputError: fractions that do not sum to 1 or leave a split empty, unknown names, sizes below 1.

    Example:
        >>> DataConfig(tokenizer="word", length=35).vocabulary
        10000
        >>> DataConfig(split=(0.9, 0.2, 0.1))
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: data: `split` should be three fractions that sum to 1, ... Try 0.8 0.1 0.1.
    """

    path: tuple[str, ...] = ()  # files or folders of text; empty: what `embedded` names
    embedded: Embedded = "python"  # text without a file: Python's documentation, ABC tunes, digits as rows of greys
    valid_path: tuple[str, ...] = ()  # files of validation text, instead of a split
    test_path: tuple[str, ...] = ()  # files of test text, instead of a split
    encoding: str = "utf-8"  # of the files, e.g. latin-1
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)  # train, validation and test, as fractions of the characters
    documents: Documents = "file"  # what counts as one document
    tokenizer: Kind = "char"  # what counts as one symbol
    vocabulary: int = 10_000  # most symbols (word, bpe, wordpiece, unigram)
    min_count: int = 1  # rarer words and characters are <unk> (word, char)
    batches: LayoutName = "stream"  # stream carries state from batch to batch; window predicts one word from the last T
    length: int = 128  # steps T of one window; of the longest bucket

    def __post_init__(self):
        check_choice("data", "embedded", self.embedded, get_args(Embedded))
        check_choice("data", "documents", self.documents, get_args(Documents))
        check_choice("data", "tokenizer", self.tokenizer, get_args(Kind))
        check_choice("data", "batches", self.batches, get_args(LayoutName))
        check_split(self.split)
        for name, least in (("vocabulary", 2), ("min_count", 1), ("length", 1)):
            value = getattr(self, name)
            if value < least:
                raise InputError(f"data: `{name}` should be at least {least}, but it is {value}.")
        if (self.valid_path or self.test_path) and not self.path:
            raise InputError(
                "data: validation or test files are given, but no training text. Try --data.path FILE beside them."
            )


def check_split(fractions: tuple[float, float, float]) -> None:
    """Refuse fractions that are not three, do not sum to 1, or leave a split empty."""
    good = len(fractions) == 3 and all(math.isfinite(f) and f >= 0 for f in fractions)
    if not good or abs(sum(fractions) - 1) > 1e-6:
        raise InputError(
            f"data: `split` should be three fractions that sum to 1, but it is {tuple(fractions)}. Try 0.8 0.1 0.1."
        )
    if min(fractions) == 0:
        raise InputError(
            f"data: `split` {tuple(fractions)} leaves a split empty. Give every split some text, "
            f"or give files of their own: --data.valid-path, --data.test-path."
        )

"""What pairs are read or written, how they are cut into symbols, and how they become batches."""

import dataclasses
from typing import Literal, NamedTuple, get_args

from seqjax.checks import InputError, check_choice
from seqjax.data.config import Kind, check_split

TooLong = Literal["refuse", "drop", "truncate"]
PairLayoutName = Literal["bucketed", "packed"]
LANGUAGES = ("pt", "es", "en", "fr", "it", "de", "ru", "el", "tr", "ar", "hi", "zh", "ja", "ko")


class Pair(NamedTuple):
    """A text, and what is to become of it: its translation, or the answer to it."""

    source: str
    target: str


def _check_least(where: str, name: str, value: int, least: int) -> None:
    if value < least:
        raise InputError(f"{where}: `{name}` should be at least {least}, but it is {value}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatesConfig:
    """The default data: dates in many languages and what they are in ISO 8601; ``--data.dates.*``.

    Raises:
        InputError: no languages, one of them twice; sizes below 1.
    """

    lines: int = 20_000  # lines to train on
    held: int = 1_000  # lines of the validation split; as many of the test split
    most: int = 4  # dates in a line, at most
    languages: tuple[str, ...] = LANGUAGES  # as CLDR names them, e.g. pt, pt_BR, zh_Hant
    seed: int = 0  # of days, languages and forms

    def __post_init__(self):
        for name in ("lines", "held", "most"):
            _check_least("data.dates", name, getattr(self, name), 1)
        _check_least("data.dates", "seed", self.seed, 0)
        if not self.languages or len(set(self.languages)) < len(self.languages):
            raise InputError(
                f"data.dates: `languages` should name one language at least, and each once, "
                f"but it is {self.languages}. Try pt es en."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairsConfig:
    """Pairs of texts, tokenizers and batches; on the command line, ``--data.*``.

    A file has two columns, ``source TAB target`` in each line. Where a ``target_path`` is given, its lines are the
    targets instead, and those of ``path`` are sources and nothing else.

    Raises:
        InputError: fractions that do not sum to 1, unknown names, sizes out of range, targets without sources.

    Example:
        >>> PairsConfig(tokenizer="bpe", joint=True).too_long
        'refuse'
        >>> PairsConfig(target_path=("train.en",))
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: data: `target_path` is given without `path`. Try --data.path FILE beside it, ...
    """

    path: tuple[str, ...] = ()  # files or folders of pairs; empty: dates, see `dates`
    target_path: tuple[str, ...] = ()  # their targets, line by line, where `path` holds sources only
    valid_path: tuple[str, ...] = ()  # validation pairs, instead of a split
    valid_target_path: tuple[str, ...] = ()
    test_path: tuple[str, ...] = ()  # test pairs, instead of a split
    test_target_path: tuple[str, ...] = ()
    swap: bool = False  # from the second column to the first
    encoding: str = "utf-8"  # of the files, e.g. latin-1
    skip_broken: bool = False  # skip lines without two columns, and those with an empty side, and count them
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)  # train, validation and test, as fractions of lines (of days)
    tokenizer: Kind = "char"  # what counts as one symbol
    vocabulary: int = 8_000  # most symbols of each side (word, bpe, wordpiece, unigram)
    min_count: int = 1  # rarer words and characters are <unk> (word, char)
    joint: bool = False  # one tokenizer for both sides
    source_length: int = 0  # longest source, and steps S of a packed row; 0: no limit, rows as long as the longest
    target_length: int = 0  # longest target, and one step less than T of a packed row; 0: likewise
    too_long: TooLong = "refuse"  # what to do with pairs that are longer
    ratio: float = 0.0  # drop training pairs with a side this many times as long as the other; 0: keep all
    batches: PairLayoutName = "bucketed"  # one pair a row, or (for models with attention only) several
    buckets: int = 6  # most shapes (S, T) of batches; each is compiled once
    dates: DatesConfig = DatesConfig()

    def __post_init__(self):
        check_choice("data", "tokenizer", self.tokenizer, get_args(Kind))
        check_choice("data", "too_long", self.too_long, get_args(TooLong))
        check_choice("data", "batches", self.batches, get_args(PairLayoutName))
        check_split(self.split)
        leasts = (("vocabulary", 2), ("min_count", 1), ("source_length", 0), ("target_length", 0), ("buckets", 1))
        for name, least in leasts:
            _check_least("data", name, getattr(self, name), least)
        if not (self.ratio == 0 or 1 < self.ratio < float("inf")):
            raise InputError(f"data: `ratio` should be more than 1, or 0 to keep all, but it is {self.ratio}. Try 3.")
        self._check_paths()

    def _check_paths(self) -> None:
        for prefix in ("", "valid_", "test_"):
            path, target = f"{prefix}path", f"{prefix}target_path"
            if getattr(self, target) and not getattr(self, path):
                flag = path.replace("_", "-")
                raise InputError(
                    f"data: `{target}` is given without `{path}`. Try --data.{flag} FILE beside it, with the sources."
                )
        if (self.valid_path or self.test_path) and not self.path:
            raise InputError(
                "data: validation or test files are given, but nothing to train on. Try --data.path FILE beside them."
            )

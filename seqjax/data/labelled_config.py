"""What labelled texts are read, how they are cut into symbols, and how they become batches."""

import dataclasses
from typing import Literal, NamedTuple, get_args

from seqjax.checks import InputError, check_choice
from seqjax.data.config import Kind, check_split

FileForm = Literal["auto", "columns", "json"]
WhenLong = Literal["refuse", "truncate"]
LANGUAGES = ("pt", "es", "it", "fr", "en", "de", "nl", "sv", "pl", "tr", "fi", "hu", "ru", "el", "ar", "hi")


class Labelled(NamedTuple):
    """A text, and the class it belongs to."""

    label: str
    text: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class NamesConfig:
    """The default data: names of territories, months, weekdays and languages; ``--data.names.*``.

    Raises:
        InputError: fewer than two languages, or one of them twice.
    """

    languages: tuple[str, ...] = LANGUAGES  # as CLDR names them, e.g. pt, pt_PT, zh_Hant
    seed: int = 0  # of which concepts are held out

    def __post_init__(self):
        if len(self.languages) < 2 or len(set(self.languages)) < len(self.languages):
            raise InputError(
                "data.names: `languages` should name two languages at least, and each once, "
                f"but it is {self.languages}. Try pt es it fr."
            )
        if self.seed < 0:
            raise InputError(f"data.names: `seed` should be at least 0, but it is {self.seed}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelledConfig:
    """Texts with labels, a tokenizer and batches; on the command line, ``--data.*``.

    A file has two columns, ``label TAB text`` in each line, or a JSON object in each line. A column in double quotes is
    read without them, as spreadsheets write it.

    Raises:
        InputError: fractions that do not sum to 1, unknown names, sizes out of range.

    Example:
        >>> LabelledConfig(tokenizer="word", lower=True).too_long
        'refuse'
        >>> LabelledConfig(text_field="label")
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: data: `text_field` and `label_field` should differ, but both are 'label'.
    """

    path: tuple[str, ...] = ()  # files or folders of labelled texts; empty: names in many languages, see `names`
    valid_path: tuple[str, ...] = ()  # validation texts, instead of a split
    test_path: tuple[str, ...] = ()  # test texts, instead of a split
    form: FileForm = "auto"  # columns: label TAB text; json: an object a line; auto: by the name, .jsonl is json
    text_field: str = "text"  # of a JSON object: where its text stands
    label_field: str = "label"  # of a JSON object: where its label stands
    swap: bool = False  # of two columns: the text stands first
    encoding: str = "utf-8"  # of the files, e.g. latin-1
    skip_broken: bool = False  # skip lines without a label or without a text, and count them
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)  # train, validation and test, as fractions of each class
    tokenizer: Kind = "char"  # what counts as one symbol
    vocabulary: int = 10_000  # most symbols (word, bpe, wordpiece, unigram)
    min_count: int = 1  # rarer words and characters are <unk> (word, char)
    lower: bool = False  # put texts into lower case first
    length: int = 0  # most symbols of a text; 0: no limit
    too_long: WhenLong = "refuse"  # what to do with texts that are longer
    buckets: int = 4  # most lengths of batches; each is compiled once
    names: NamesConfig = NamesConfig()

    def __post_init__(self):
        for name, choices in (("tokenizer", Kind), ("too_long", WhenLong), ("form", FileForm)):
            check_choice("data", name, getattr(self, name), get_args(choices))
        check_split(self.split)
        for name, least in (("vocabulary", 2), ("min_count", 1), ("length", 0), ("buckets", 1)):
            if getattr(self, name) < least:
                raise InputError(f"data: `{name}` should be at least {least}, but it is {getattr(self, name)}.")
        if self.text_field == self.label_field:
            raise InputError(
                f"data: `text_field` and `label_field` should differ, but both are {self.text_field!r}."
            )  # fmt: skip
        if (self.valid_path or self.test_path) and not self.path:
            raise InputError(
                "data: validation or test files are given, but nothing to train on. Try --data.path FILE beside them."
            )

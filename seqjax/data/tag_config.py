"""What sentences with a tag for each token are read or written, and how they become batches."""

import dataclasses
from typing import Literal, get_args

from seqjax.checks import InputError, check_choice
from seqjax.data.config import check_split

Tokens = Literal["words", "characters"]
SchemeOption = Literal["auto", "bio", "bioes", "runs", "none"]
ConlluColumn = Literal["UPOS", "XPOS", "FEATS", "DEPREL", "MISC"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaggedDatesConfig:
    """The default data: sentences with dates in them, and what every part of a date is; ``--data.dates.*``.

    Raises:
        InputError: sizes below 1.
    """

    sentences: int = 6_000  # sentences to train on
    held: int = 1_000  # sentences of the validation split; as many of the test split
    languages: tuple[str, ...] = ("pt", "es", "en", "fr", "it", "de", "nl", "sv")  # of the sentences, each of these
    seed: int = 0  # of days, languages, sentences and forms

    def __post_init__(self):
        for name, least in (("sentences", 1), ("held", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"data.dates: `{name}` should be at least {least}, but it is {getattr(self, name)}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TagsConfig:
    """Sentences, their tags, and batches; on the command line, ``--data.*``.

    A file of words has a token a line, in columns, and a blank line after each sentence (CoNLL), or it is CoNLL-U. A
    file of characters has a sequence a line, ``SEQUENCE TAB TAGS``, with a tag of one letter for every character.

    Raises:
        InputError: fractions that do not sum to 1, unknown names, sizes out of range.

    Example:
        >>> TagsConfig(scheme="iob")
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: data: `scheme` should be a known name, but it is 'iob'. Did you mean `bio`? Known: ...
    """

    path: tuple[str, ...] = ()  # files or folders of tagged sentences; empty: dates in sentences, see `dates`
    valid_path: tuple[str, ...] = ()  # validation sentences, instead of a split
    test_path: tuple[str, ...] = ()  # test sentences, instead of a split
    encoding: str = "utf-8"  # of the files, e.g. latin-1
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)  # train, validation and test, as fractions of sentences
    tokens: Tokens = "words"  # words: a token a line, in columns; characters: SEQUENCE TAB TAGS, a letter for each
    word_column: int = 0  # column of the token, from 0; -1 is the last
    tag_column: int = -1  # column of its tag
    conllu_column: ConlluColumn = "UPOS"  # column of CoNLL-U that is the tag
    scheme: SchemeOption = "auto"  # how tags mark spans; runs: equal neighbours; none: not at all; auto: by the tags
    repair: bool = False  # mend BIO or BIOES that is not valid, such as an I- that opens a span, instead of refusing it
    longest: int = 512  # most tokens of a sentence; a longer one is refused: blank lines may be missing
    vocabulary: int = 30_000  # most words known, and most characters
    min_count: int = 2  # words that training has less often are <unk>
    lower: bool = False  # look words up in lower case; their spelling keeps its case
    buckets: int = 4  # most lengths of batches; each is compiled once
    dates: TaggedDatesConfig = TaggedDatesConfig()

    def __post_init__(self):
        check_choice("data", "tokens", self.tokens, get_args(Tokens))
        check_choice("data", "scheme", self.scheme, get_args(SchemeOption))
        check_choice("data", "conllu_column", self.conllu_column, get_args(ConlluColumn))
        check_split(self.split)
        for name, least in (("longest", 1), ("vocabulary", 2), ("min_count", 1), ("buckets", 1)):
            if getattr(self, name) < least:
                raise InputError(f"data: `{name}` should be at least {least}, but it is {getattr(self, name)}.")
        if self.word_column == self.tag_column:
            raise InputError(
                f"data: `word_column` and `tag_column` should be two columns, but both are {self.word_column}."
            )
        if (self.valid_path or self.test_path) and not self.path:
            raise InputError(
                "data: validation or test files are given, but nothing to train on. Try --data.path FILE beside them."
            )

"""What text a masked language model reads, how it is cut into rows, and how much of it is masked."""

import dataclasses
from typing import Literal, get_args

from seqjax.checks import InputError, check_choice
from seqjax.data.config import DataConfig, Documents, Kind

SentenceEnd = Literal["mark", "line"]
SPECIAL = 3  # [CLS], [SEP] and [MASK], behind the symbols of the tokenizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskedTextConfig:
    """Text, tokenizer, rows and masks; on the command line, ``--data.*``.

    Raises:
        InputError: fractions out of range, unknown names, rows without room for a token.

    Example:
        >>> MaskedTextConfig(whole_word=True).tokenizer
        'wordpiece'
        >>> MaskedTextConfig(masked=1.5)
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: data: `masked` should be a share of the tokens, above 0 and below 1, but ...
    """

    path: tuple[str, ...] = ()  # files or folders of text; empty: the Python documentation inside Python
    valid_path: tuple[str, ...] = ()  # files of validation text, instead of a split
    test_path: tuple[str, ...] = ()  # files of test text, instead of a split
    encoding: str = "utf-8"  # of the files, e.g. latin-1
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)  # train, validation and test, as fractions of the characters
    documents: Documents = "file"  # what counts as one document
    sentences: SentenceEnd = "mark"  # a sentence ends at . ! ? … and blank lines (mark), or at a line's end (line)
    lower: bool = True  # read lower case only
    tokenizer: Kind = "wordpiece"  # what counts as one symbol
    vocabulary: int = 6_000  # most symbols (word, bpe, wordpiece, unigram)
    min_count: int = 1  # rarer words and characters are <unk> (word, char)
    length: int = 64  # tokens of a row at most, [CLS] and [SEP] included; the model has so many positions
    masked: float = 0.15  # share of the tokens to predict: 80 % of them masked, 10 % replaced, 10 % left as they are
    whole_word: bool = False  # all pieces of a word are chosen together
    buckets: int = 2  # most lengths of batches; each is compiled once

    def __post_init__(self):
        check_choice("data", "sentences", self.sentences, get_args(SentenceEnd))
        check_choice("data", "tokenizer", self.tokenizer, get_args(Kind))
        for name, least in (("vocabulary", 2), ("min_count", 1), ("length", 8), ("buckets", 1)):
            value = getattr(self, name)
            if value < least:
                raise InputError(f"data: `{name}` should be at least {least}, but it is {value}.")
        if not 0 < self.masked < 1:
            raise InputError(
                f"data: `masked` should be a share of the tokens, above 0 and below 1, but it is {self.masked}. "
                "Try 0.15."
            )
        self.files  # noqa: B018  its own checks

    @property
    def files(self) -> DataConfig:
        """Which files, and what counts as one document."""
        names = ("path", "valid_path", "test_path", "encoding", "split", "documents")
        return DataConfig(**{name: getattr(self, name) for name in names})

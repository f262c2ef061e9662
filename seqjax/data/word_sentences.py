"""Text to sentences of words, each word with its characters, for models that read words by their spelling.

T words of a sentence, C characters of a word.
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from seqjax.checks import InputError, check_choice
from seqjax.data.batches import Batch
from seqjax.data.config import DataConfig, Documents
from seqjax.data.example_batches import ExampleBatches, Examples, example_batches
from seqjax.data.masked_config import SentenceEnd
from seqjax.data.sentences import cut_sentences
from seqjax.data.word_list import WordList, count_words, spell

WordEnd = Literal["mark", "blank"]
_WORDS = re.compile(r"\w+(?:['’-]\w+)*|([^\w\s])\1*")
ALPHABET = 1000  # most characters known


@dataclasses.dataclass(frozen=True, kw_only=True)
class SentencesConfig:
    """Text, and how it becomes sentences of words; on the command line, ``--data.*``."""

    path: tuple[str, ...] = ()  # files or folders of text; empty: the Python documentation inside Python
    valid_path: tuple[str, ...] = ()  # files of validation text, instead of a split
    test_path: tuple[str, ...] = ()  # files of test text, instead of a split
    encoding: str = "utf-8"  # of the files, e.g. latin-1
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)  # train, validation and test, as fractions of the characters
    documents: Documents = "file"  # what counts as one document
    sentences: SentenceEnd = "mark"  # a sentence ends at . ! ? … and blank lines (mark), or at a line's end (line)
    words: WordEnd = (
        "mark"  # a word ends at blanks and at marks, which are words too (mark), or at blanks alone (blank)
    )
    lower: bool = False  # read lower case only
    vocabulary: int = 10_000  # most words that are predicted, <unk> included; all words are read
    min_count: int = 2  # rarer words are predicted as <unk>
    length: int = 40  # words of a sentence of training at most; longer ones are cut
    characters: int = 16  # of a word, the first of them, that are read
    buckets: int = 4  # most lengths of batches; each is compiled once

    def __post_init__(self):
        check_choice("data", "sentences", self.sentences, get_args(SentenceEnd))
        check_choice("data", "words", self.words, get_args(WordEnd))
        for name, least in (("vocabulary", 2), ("min_count", 1), ("length", 1), ("characters", 1), ("buckets", 1)):
            if getattr(self, name) < least:
                raise InputError(f"data: `{name}` should be at least {least}, but it is {getattr(self, name)}.")
        self.files  # noqa: B018  its own checks

    @property
    def files(self) -> DataConfig:
        """Which files, and what counts as one document."""
        names = ("path", "valid_path", "test_path", "encoding", "split", "documents")
        return DataConfig(**{name: getattr(self, name) for name in names})


def split_words(text: str, config: SentencesConfig = SentencesConfig()) -> list[str]:
    """The words of a sentence.

    Example:
        >>> split_words("Don't panic: it's a well-known sign ...")
        ["Don't", 'panic', ':', "it's", 'a', 'well-known', 'sign', '...']
        >>> split_words("Don't panic: it's", SentencesConfig(words="blank"))
        ["Don't", 'panic:', "it's"]
    """
    text = text.lower() if config.lower else text
    return text.split() if config.words == "blank" else [found.group() for found in _WORDS.finditer(text)]


def word_sentences(documents: Sequence[str], config: SentencesConfig) -> list[list[str]]:
    """All sentences, in order, without those that hold no word; longer ones than ``length`` are cut.

    Raises:
        InputError: there is no word at all.

    Example:
        >>> word_sentences(["One is. Two are many."], SentencesConfig(length=3))
        [['One', 'is', '.'], ['Two', 'are', 'many'], ['.']]
    """
    whole = (split_words(part, config) for text in documents for part in cut_sentences(text, config.sentences))
    most = config.length
    found = [words[first : first + most] for words in whole for first in range(0, len(words), most)]
    if not found:
        raise InputError("data: the text holds nothing but blanks.")
    return found


class Lists(NamedTuple):
    """What a run knows of its language."""

    words: WordList
    characters: WordList

    @classmethod
    def of(cls, sentences: Sequence[Sequence[str]], config: SentencesConfig) -> "Lists":
        """Count the words, and their characters, of the training split."""
        words = count_words(sentences, vocabulary=config.vocabulary, min_count=config.min_count)
        return cls(words, count_words((word for words in sentences for word in words), vocabulary=ALPHABET))


def sentence_batches(
    sentences: Sequence[Sequence[str]],
    lists: Lists,
    *,
    characters: int,
    rows: int,
    seed: int = 0,
    train: bool,
    buckets: int | Sequence[int],
) -> ExampleBatches:
    """Batches of sentences: ``words`` (B, T) ids to predict, ``characters`` (B, T, C) to read, and their ``mask``.

    Args:
        sentences: words of each.
        lists: of the run.
        characters: C.
        rows: B.
        seed: of the order.
        train: shuffled without end, or once.
        buckets: see :func:`seqjax.data.example_batches.example_batches`.

    Raises:
        InputError: fewer sentences than one batch of training.

    Example:
        >>> sentences = [["ab", "b"]]
        >>> lists = Lists.of(sentences, SentencesConfig(min_count=1))
        >>> batch = sentence_batches(sentences, lists, characters=2, rows=1, train=False, buckets=1)[0]
        >>> batch["words"][0, :3].tolist(), batch["characters"][0, :3].tolist()
        ([1, 2, 0], [[3, 2], [2, 0], [0, 0]])
    """
    kinds = {word: number for number, word in enumerate(dict.fromkeys(word for words in sentences for word in words))}
    spelled = spell(lists.characters, list(kinds), characters)  # once for every different word
    examples = Examples(
        {
            "words": [lists.words.encode(words) for words in sentences],
            "kinds": [np.array([kinds[word] for word in words], np.int32) for words in sentences],
        },
        {},
    )

    def change(batch: Batch, epoch: int) -> Batch:
        ids = np.where(batch["mask"][..., None], spelled[batch.pop("kinds")], 0)
        return batch | {"characters": ids.astype(np.int32)}

    return example_batches(examples, rows=rows, seed=seed, train=train, buckets=buckets, change=change)


def unigram_nats(sentences: Sequence[Sequence[str]], words: WordList) -> float:
    """Nats a word of a model that knows only how frequent each word is, one added to every count.

    The end of a sentence is a word too, and as frequent as it is in ``sentences``.

    Args:
        sentences: of the split to measure.
        words: with the counts of training.

    Example:
        >>> words = count_words([["a", "b"]])
        >>> round(float(np.exp(2 * unigram_nats([["a"]], words))), 6)     # 1 in 2 ends; <unk>, a, b have 1, 2, 2 of 5
        10.0
    """
    ids = np.concatenate([words.encode(sentence) for sentence in sentences])
    counts = words.counts + 1.0
    ends = len(sentences) / (len(ids) + len(sentences))
    nats = -np.log((1 - ends) * counts / counts.sum())
    return float((1 - ends) * nats[ids].mean() - ends * np.log(ends))

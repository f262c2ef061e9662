"""Words, characters and labels as ids, for data that comes already cut into words.

T words of a sentence, C characters of a word, V words known.
"""

import collections
import functools
import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np

from seqjax.checks import InputError, nearest

UNKNOWN = "<unk>"
MOST_CHARACTERS = 16  # of a word, the first of them, that are looked at


class WordList:
    """Words in the order of their ids. Id 0 stands for every other word, and fills padding.

    Args:
        words: id 1 and on.
        counts: how often each stood in the training text, ``<unk>`` first: one more than ``words``.
        lower: whether words are put into lower case before they are looked up.

    Example:
        >>> words = WordList(["the", "cat"], [1, 2, 1], lower=True)
        >>> words.encode(["The", "dog"]).tolist(), words.size
        ([1, 0], 3)
    """

    def __init__(self, words: Sequence[str], counts: Sequence[int], *, lower: bool = False):
        if len(counts) != len(words) + 1:
            raise InputError(f"WordList: there should be {len(words) + 1} counts, but there are {len(counts)}.")
        self.words = (UNKNOWN, *words)
        self.counts = np.asarray(counts, np.int64)
        self.lower = lower

    @property
    def size(self) -> int:
        """V, ``<unk>`` included."""
        return len(self.words)

    def __len__(self) -> int:
        return self.size

    @functools.cached_property
    def ids(self) -> dict[str, int]:
        """The id of every word but ``<unk>``."""
        return {word: number for number, word in enumerate(self.words) if number}

    def encode(self, words: Iterable[str]) -> np.ndarray:
        """Ids (T,) int32."""
        ids = self.ids
        return np.array([ids.get(word.lower() if self.lower else word, 0) for word in words], np.int32)

    def save(self, path: str | Path) -> None:
        """Write as JSON."""
        saved = {"lower": self.lower, "words": self.words[1:], "counts": self.counts.tolist()}
        Path(path).write_text(json.dumps(saved, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "WordList":
        """Read back what :meth:`save` wrote.

        Raises:
            InputError: the file cannot be read, or is something else.
        """
        saved = _read(path, ("words", "counts", "lower"))
        return cls(saved["words"], saved["counts"], lower=saved["lower"])


def count_words(
    sentences: Iterable[Sequence[str]],
    *,
    vocabulary: int = 30_000,
    min_count: int = 1,
    lower: bool = False,
    wanted: Collection[str] = (),
) -> WordList:
    """The words of the training split, the most frequent first; of equals, the one that came first.

    Args:
        sentences: words of each; given a string, its characters.
        vocabulary: most ids, ``<unk>`` included.
        min_count: rarer words are ``<unk>``.
        lower: put them into lower case.
        wanted: words that are kept however rare they are.

    Raises:
        InputError: no word is left.

    Example:
        >>> words = count_words([["a", "rose", "is", "a", "rose"]], min_count=2)
        >>> words.words, words.counts.tolist()
        (('<unk>', 'a', 'rose'), [1, 2, 2])
        >>> count_words([["a", "rose", "is", "a", "rose"]], min_count=2, wanted={"is"}).size
        4
    """
    counts: collections.Counter[str] = collections.Counter()
    for sentence in sentences:
        counts.update([word.lower() for word in sentence] if lower else sentence)
    common = counts.most_common(max(vocabulary - 1, 0))
    kept = [(word, count) for word, count in common if count >= min_count or word in wanted]
    if not kept:
        raise InputError(
            f"words: of {len(counts)} different words none stands {min_count} times. "
            "Give more text, a smaller --data.min-count or a larger --data.vocabulary."
        )
    words, numbers = zip(*kept, strict=True)
    return WordList(words, [counts.total() - sum(numbers), *numbers], lower=lower)


def spell(characters: WordList, words: Sequence[str], most: int = MOST_CHARACTERS) -> np.ndarray:
    """The first ``most`` characters of each word, (T, most) int32: ids of ``characters`` and one more; 0 is nothing.

    Example:
        >>> spell(count_words(["abba"]), ["ab", "cab"], 4)
        array([[2, 3, 0, 0],
               [1, 2, 3, 0]], dtype=int32)
    """
    ids = np.zeros((len(words), most), np.int32)
    for number, word in enumerate(words):
        found = characters.encode(word[:most])
        ids[number, : len(found)] = found + 1
    return ids


class LabelList:
    """Names of classes in the order of their ids; there is no unknown one.

    Args:
        names: each once.

    Example:
        >>> labels = LabelList(["no", "yes"])
        >>> labels.encode(["yes", "no"], "test.tsv").tolist()
        [1, 0]
        >>> labels.encode(["maybe"], "test.tsv")
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: test.tsv: the label 'maybe' (number 1) was never seen in training. ...
    """

    def __init__(self, names: Sequence[str]):
        self.names = tuple(names)
        self.ids = {name: number for number, name in enumerate(self.names)}
        if len(self.ids) < len(self.names):
            raise InputError("LabelList: every name should stand there once.")

    def __len__(self) -> int:
        return len(self.names)

    def encode(self, labels: Sequence[str], where: str) -> np.ndarray:
        """Ids (T,) int32; ``where`` is what a refusal begins with."""
        for number, label in enumerate(labels, 1):
            if label not in self.ids:
                raise InputError(
                    f"{where}: the label {label!r} (number {number}) was never seen in training. "
                    f"{nearest(label, self.names)}"
                )
        return np.array([self.ids[label] for label in labels], np.int32)

    def save(self, path: str | Path) -> None:
        """Write as JSON."""
        Path(path).write_text(json.dumps({"labels": self.names}, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "LabelList":
        """Read back what :meth:`save` wrote.

        Raises:
            InputError: the file cannot be read, or is something else.
        """
        return cls(_read(path, ("labels",))["labels"])


def _read(path: str | Path, names: Sequence[str]) -> dict:
    try:
        saved = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}). Is this the folder of a run of this task?") from None
    if not isinstance(saved, dict) or not set(names) <= set(saved):
        raise InputError(f"{path}: should hold {', '.join(names)}, but it does not. Was it written by something else?")
    return saved

"""What vectors of words know: nearest neighbours, analogies, and how far they agree with people.

V words, E features, Q questions.
"""

import difflib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError
from seqjax.data.word_questions import Analogy, Similarity

ROWS = 256  # questions that are answered by one product


class Near(NamedTuple):
    """A word and the cosine of the angle to it."""

    word: str
    cosine: float


class Judged(NamedTuple):
    """A measure, and how many of the questions it could be taken from."""

    value: float
    known: int
    asked: int


class Vocabulary:
    """Words with vectors of length 1, looked up as they are written or else in lower case.

    Args:
        words: V.
        vectors: (V, E).

    Example:
        >>> animals = Vocabulary(["cat", "dog", "car"], np.array([[1, 0.2], [1, 0], [0, 1]]))
        >>> [near.word for near in animals.neighbours("Dog", 2)]
        ['cat', 'car']
        >>> animals.place("dogs")
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: `dogs` is not among the 3 words that have a vector. Did you mean `dog`?
    """

    def __init__(self, words: Sequence[str], vectors: np.ndarray):
        self.words = tuple(words)
        lengths = np.linalg.norm(np.asarray(vectors, np.float32), axis=1, keepdims=True)
        self.unit = np.asarray(vectors, np.float32) / np.maximum(lengths, 1e-12)
        self.places = {word: place for place, word in enumerate(self.words)}

    def find(self, word: str) -> int | None:
        """The place of a word, None if it has no vector."""
        return self.places.get(word, self.places.get(word.lower()))

    def place(self, word: str) -> int:
        """The place of a word.

        Raises:
            InputError: it has no vector; the words that are spelled most alike are named.
        """
        found = self.find(word)
        if found is None:
            similar = difflib.get_close_matches(word.lower(), self.words, n=3, cutoff=0.6)
            names = " or ".join(f"`{name}`" for name in similar)
            raise InputError(
                f"`{word}` is not among the {len(self.words):,} words that have a vector."
                + (f" Did you mean {names}?" if similar else "")
            )
        return found

    def neighbours(self, word: str, count: int) -> list[Near]:
        """The ``count`` words nearest to a word, without itself."""
        place = self.place(word)
        return self._nearest(self.unit[place], [place], count)

    def analogy(self, a: str, b: str, c: str, count: int) -> list[Near]:
        """What is to ``c`` as ``b`` is to ``a``: the words nearest to b − a + c, without these three.

        Source:
            Mikolov et al. (2013), Linguistic Regularities in Continuous Space Word Representations; called 3CosAdd by
            Levy & Goldberg (2014).
        """
        places = [self.place(word) for word in (a, b, c)]
        target = self.unit[places[1]] - self.unit[places[0]] + self.unit[places[2]]
        return self._nearest(target / max(np.linalg.norm(target), 1e-12), places, count)

    def _nearest(self, target: np.ndarray, without: Sequence[int], count: int) -> list[Near]:
        cosines = self.unit @ target
        cosines[list(without)] = -np.inf
        order = np.argsort(-cosines, kind="stable")[: max(0, min(count, len(self.words) - len(set(without))))]
        return [Near(self.words[place], float(cosines[place])) for place in order]

    def agree(self, pairs: Sequence[Similarity], where: str) -> Judged:
        """Spearman's correlation of cosines with what people said, over the pairs whose words are both known.

        Raises:
            InputError: fewer than two pairs are known.
        """
        known = [
            (one, other, pair.score)
            for pair in pairs
            if (one := self.find(pair.one)) is not None and (other := self.find(pair.other)) is not None
        ]
        if len(known) < 2:
            raise InputError(
                f"{where}: of {len(pairs):,} pairs, {len(known)} are of words that have a vector, and two at least are "
                "wanted. Are the words of another language?"
            )
        ones, others, scores = zip(*known, strict=True)
        cosines = (self.unit[list(ones)] * self.unit[list(others)]).sum(axis=1)
        return Judged(spearman(cosines, np.array(scores)), len(known), len(pairs))

    def solve(self, sections: Mapping[str, Sequence[Analogy]], where: str) -> dict[str, Judged]:
        """Accuracy of 3CosAdd in every section, over the questions whose four words are all known.

        Raises:
            InputError: no question is known.
        """
        judged = {}
        for name, questions in sections.items():
            found = [[self.find(word) for word in question] for question in questions]
            places = np.array([row for row in found if None not in row], np.int64).reshape(-1, 4)
            right = sum(int(self._right(places[first : first + ROWS]).sum()) for first in range(0, len(places), ROWS))
            judged[name] = Judged(right / max(1, len(places)), len(places), len(questions))
        if not any(one.known for one in judged.values()):
            raise InputError(
                f"{where}: no question has four words that all have a vector. Are the words of another language?"
            )
        return judged

    def _right(self, places: np.ndarray) -> np.ndarray:
        a, b, c, d = places.T
        scores = (self.unit[b] - self.unit[a] + self.unit[c]) @ self.unit.T
        np.put_along_axis(scores, places[:, :3], -np.inf, axis=1)
        return scores.argmax(axis=1) == d


def spearman(xs: np.ndarray, ys: np.ndarray) -> float:
    """The correlation of ranks; equals share the mean of their ranks. 0 where one side is all equal.

    Source:
        Spearman (1904), The Proof and Measurement of Association between Two Things.

    Example:
        >>> spearman(np.array([1.0, 2.0, 9.0]), np.array([10.0, 20.0, 30.0]))
        1.0
    """
    one, other = (_ranks(values) - (len(values) - 1) / 2 for values in (xs, ys))
    scale = np.sqrt((one**2).sum() * (other**2).sum())
    return float((one * other).sum() / scale) if scale else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return ((ends - counts) + (ends - 1))[place] / 2

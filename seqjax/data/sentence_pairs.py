"""Rows for an encoder: [CLS] text [SEP], or [CLS] A [SEP] B [SEP] where B follows A, or stood elsewhere.

T tokens of a row at most.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError
from seqjax.data.example_batches import Examples
from seqjax.data.sentences import Special

Document = Sequence[np.ndarray]  # ids (T,) of each sentence


def whole_rows(documents: Sequence[Document], special: Special, length: int) -> Examples:
    """Every document's tokens in rows as long as they may be, one text each; the last row of a document is shorter.

    Args:
        documents: ids of sentences.
        special: the ids of [CLS] and [SEP].
        length: T, with both.

    Example:
        >>> made = whole_rows([[np.array([5, 6]), np.array([7, 8, 9])]], Special(20, 21, 22, 23), 6)
        >>> [row.tolist() for row in made.steps["tokens"]]
        [[20, 5, 6, 7, 8, 21], [20, 9, 21]]
    """
    room = length - 2
    rows = []
    for sentences in documents:
        ids = np.concatenate([np.zeros(0, np.int32), *sentences])
        rows += [enclose(special, ids[start : start + room])[0] for start in range(0, len(ids), room)]
    return Examples({"tokens": rows}, {})


def enclose(special: Special, first: np.ndarray, second: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """``(tokens, segments)``, (T,) int32 each: [CLS] first [SEP], and, if there is one, second [SEP] in segment 1.

    Example:
        >>> tokens, segments = enclose(Special(20, 21, 22, 23), np.array([5]), np.array([6, 7]))
        >>> tokens.tolist(), segments.tolist()
        ([20, 5, 21, 6, 7, 21], [0, 0, 0, 1, 1, 1])
    """
    start, end = np.array([special.cls]), np.array([special.sep])
    parts = [start, first, end] if second is None else [start, first, end, second, end]
    tokens = np.concatenate(parts).astype(np.int32)
    return tokens, (np.arange(len(tokens)) >= len(first) + 2).astype(np.int32)


class Place(NamedTuple):
    """A sentence."""

    document: int
    sentence: int


def pair_rows(documents: Sequence[Document], special: Special, length: int, seed: int = 0) -> Examples:
    """Rows of two texts, of which every second one, by chance, is no continuation.

    Sentences of a document are collected until they fill a row, and cut into A and B at a random sentence. With
    probability ½, B is instead as much text from a random place of another document (of the same one if there is no
    other), and what stood there comes later. Pairs that are too long lose the beginning of A or the end of B, so that
    what follows stays beside what it follows. A sentence that is left alone at the end of a document is dropped.

    Args:
        documents: ids of sentences.
        special: the ids of [CLS] and [SEP].
        length: T, with the three of them.
        seed: of all chance.

    Returns:
        ``tokens`` and ``segments`` (T,) of each row; ``elsewhere`` (N,) int32, 1 where B does not follow A.

    Raises:
        InputError: no document has two sentences.

    Source:
        Devlin et al. (2019), appendix A.2.

    Example:
        >>> documents = [[np.array([n]) for n in numbers] for numbers in (range(2, 8), range(12, 18))]
        >>> made = pair_rows(documents, Special(20, 21, 22, 23), 7)
        >>> [row.tolist() for row in made.steps["tokens"]][:2], made.rows["elsewhere"].tolist()[:2]
        ([[20, 2, 3, 4, 21, 13, 21], [20, 5, 21, 15, 16, 17, 21]], [1, 1])
    """
    documents = [[sentence for sentence in document if len(sentence)] for document in documents]
    check_sentences(documents)
    random, room = np.random.default_rng(seed), length - 3
    places = [Place(d, s) for d, document in enumerate(documents) for s in range(len(document))]
    tokens, segments, elsewhere = [], [], []
    for number, document in enumerate(documents):
        at = 0
        while at + 1 < len(document):
            chunk = _collect(document, at, room, least=2)
            cut = int(random.integers(1, len(chunk)))
            first, second, moved = chunk[:cut], chunk[cut:], random.random() < 0.5
            if moved:
                place = _elsewhere(places, Place(number, at), len(chunk), random)
                wanted = max(room - sum(map(len, first)), 1)
                second = _collect(documents[place.document], place.sentence, wanted, least=1)
            row = enclose(special, *trim(np.concatenate(first), np.concatenate(second), room))
            tokens.append(row[0])
            segments.append(row[1])
            elsewhere.append(moved)
            at += cut if moved else len(chunk)
    return Examples({"tokens": tokens, "segments": segments}, {"elsewhere": np.array(elsewhere, np.int32)})


def check_sentences(documents: Sequence[Document]) -> None:
    """Refuse a text in which nothing follows anything.

    Example:
        >>> check_sentences([[np.array([5])], [np.array([6])]])
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: data: next-sentence prediction needs documents of two sentences at least, but ...
    """
    if max(map(len, documents), default=0) < 2:
        raise InputError(
            "data: next-sentence prediction needs documents of two sentences at least, but no sentence boundary was "
            f"found in any of the {len(documents)}. Try --data.sentences line, another --data.documents, or --no-nsp."
        )


def trim(first: np.ndarray, second: np.ndarray, room: int) -> tuple[np.ndarray, np.ndarray]:
    """Both texts in so many tokens: the longer one gives first, ``first`` at its beginning, ``second`` at its end.

    Example:
        >>> [part.tolist() for part in trim(np.arange(5), np.arange(10, 13), 5)]
        [[2, 3, 4], [10, 11]]
    """
    most = max(room - len(second), -(-room // 2))
    first = first[max(len(first) - most, 0) :]
    return first, second[: room - len(first)]


def _collect(document: Document, at: int, room: int, least: int) -> list[np.ndarray]:
    """Sentences from a place on until they fill ``room`` tokens, ``least`` of them at any rate, if there are."""
    end, held = at, 0
    while end < len(document) and (end - at < least or held < room):
        held += len(document[end])
        end += 1
    return list(document[at:end])


def _elsewhere(places: Sequence[Place], here: Place, count: int, random: np.random.Generator) -> Place:
    """A random sentence of another document; of this one, but none of the ``count`` from ``here`` on, if need be."""
    single = places[-1].document == 0
    for _ in range(100):
        place = places[int(random.integers(len(places)))]
        near = here.sentence <= place.sentence < here.sentence + count
        if not near if single else place.document != here.document:
            return place
    return places[0] if here != places[0] else places[-1]

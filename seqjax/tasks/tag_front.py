"""What stands between the tokens of a sentence and the vectors that its tags are read off: what presets change.

A front turns sentences into arrays, and makes the encoder that maps a batch of them to vectors (B, T, M). A preset
with an encoder of its own adds one function to ``FRONTS``, by the type of its configuration.
"""

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from seqjax.data import LabelList, WordList, count_words
from seqjax.data.batches import Batch
from seqjax.data.tagged import encode_words
from seqjax.models.tagger import WordReader
from seqjax.tasks.word_embeddings import kept_features, known_vectors, start_with
from seqjax.training.devices import writer_first
from seqjax.training.folder import RunFolder

Sentence = Sequence[str]


class Front(NamedTuple):
    """Tokens to vectors.

    Attributes:
        arrays: ``sentences -> {name: arrays (T, ...)}``, what a batch holds of each.
        make: builds the encoder, a module that maps ``(batch, keys)`` to (B, T, M) and has ``out_features``, M.
        summary: what to show before training.
        start: ``init -> init``, where parts of the parameters come from elsewhere: see
            :func:`seqjax.tasks.pretrained.start_from`. The paths of the encoder's begin with ``encoder``.
        redraw: ``(labels, seed) -> (batch, epoch) -> batch``, where training sees everything once: batches are written
            anew in every epoch. None: training goes through its sentences again and again.
        beside: what a naive method reaches, reported beside the metrics of the test split.
    """

    arrays: Callable[[Sequence[Sentence]], dict[str, list[np.ndarray]]]
    make: Callable[[Any], Any]
    summary: list[tuple[str, str]]
    start: Callable[[Any], Any] = lambda init: init
    redraw: Callable[[LabelList, int], Callable[[Batch, int], Batch]] | None = None
    beside: Mapping[str, float] = MappingProxyType({})


def word_front(config, folder: RunFolder, sentences: Sequence[Sentence] | None) -> Front:
    """Words and their spelling, and a reader over them.

    Args:
        config: of the run; its model has ``words`` and ``reader``, its ``embeddings`` may name a file of vectors.
        folder: of the run; lists of words and of characters are kept there.
        sentences: of the training split; None: the lists are there.
    """
    words, characters = word_lists(config, folder, sentences)
    spelled = config.model.words.characters != "none"
    sizes = words.size, characters.size if spelled else 0

    def arrays(sentences):
        return encode_words(sentences, words, characters if spelled else None)

    frozen = bool(config.embeddings.path) and not config.embeddings.tuned
    vectors = None if sentences is None else known_vectors(config.embeddings, words.words, folder)
    features = kept_features(config.embeddings, folder, config.model.words.embedding)
    shape = dataclasses.replace(config.model, words=dataclasses.replace(config.model.words, embedding=features))

    def make(rngs):
        return WordReader(shape, *sizes, frozen=frozen, longest=config.data.longest, rngs=rngs)

    def start(init):
        return start_with(init, f"encoder/features/words/{'frozen/' if frozen else ''}table", vectors)

    spelling = f" and {characters.size - 1:,} characters" if spelled else ""
    summary = [("known", f"{words.size - 1:,} words{spelling}, the rest are <unk>")]
    return Front(arrays, make, summary + ([("vectors", vectors.line)] if vectors else []), start)


def word_lists(config, folder: RunFolder, sentences: Sequence[Sentence] | None) -> tuple[WordList, WordList]:
    """The run's lists of words and of characters; counted in the training split if they are not there yet.

    Where vectors of words are given, a word that has one is known, however rare it is.
    """
    data, known = config.data, frozenset[str]()
    if config.embeddings.path and sentences is not None:
        every = count_words(sentences, vocabulary=sys.maxsize, lower=data.lower).words
        if vectors := known_vectors(config.embeddings, every, folder):
            known = frozenset(word for word, has in zip(every, vectors.known, strict=True) if has)

    def prepare(first: bool) -> tuple[WordList, WordList]:
        if first and sentences is not None and not folder.words.exists():
            sizes: dict[str, Any] = {"vocabulary": data.vocabulary, "min_count": 1}
            count_words(("".join(sentence) for sentence in sentences), **sizes).save(folder.characters)
            sizes |= {"min_count": data.min_count, "lower": data.lower, "wanted": known}
            count_words(sentences, **sizes).save(folder.words)
        return WordList.load(folder.words), WordList.load(folder.characters)

    return writer_first(prepare)


FRONTS: dict[type, Callable[[Any, RunFolder, Sequence[Sentence] | None], Front]] = {}


def front_of(config, folder: RunFolder, sentences: Sequence[Sentence] | None) -> Front:
    """The front that a configuration asks for; that of words where ``FRONTS`` has none of its own."""
    return FRONTS.get(type(config), word_front)(config, folder, sentences)

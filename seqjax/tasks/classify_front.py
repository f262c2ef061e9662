"""What stands between a text and the vectors that its class is read off: what presets change.

A front turns texts into arrays, and makes the encoder that maps a batch of them to vectors (B, T, M). A preset with an
encoder of its own adds one function to ``FRONTS``, by the type of its configuration. Where data is no text, a front
takes what stands for a text there: see :mod:`seqjax.tasks.classify_source`.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from seqjax.checks import InputError
from seqjax.data import Tokenizer, train_tokenizer
from seqjax.data.labelled import encode_texts, prepared
from seqjax.models.classifier import SymbolReader
from seqjax.tasks.word_embeddings import kept_features, known_vectors, start_with
from seqjax.training.devices import writer_first
from seqjax.training.folder import RunFolder

Init = Callable[[Any], Any]


class Front(NamedTuple):
    """Texts to vectors.

    Attributes:
        arrays: ``(texts, where) -> {name: arrays (T, ...)}``, what a batch holds of each; ``where`` is what a refusal
            begins with, before the number of the text.
        make: ``rngs ->`` the encoder: a module that maps ``(batch, keys)`` to (B, T, M) and has ``out_features``, M,
            and ``backward``, how many of them read from right to left.
        pieces: ``text ->`` what each of its steps stands for, to be shown.
        summary: what to show before training.
        begin: ``init -> init``, where parameters start from something else than random numbers; the encoder's own
            stand below ``encoder``.
    """

    arrays: Callable[..., dict[str, list[np.ndarray]]]
    make: Callable[[Any], Any]
    pieces: Callable[[Any], list[str]]
    summary: list[tuple[str, str]]
    begin: Callable[[Init], Init] = lambda init: init


def symbol_front(config, folder: RunFolder, texts: Sequence[str] | None) -> Front:
    """The symbols of a tokenizer, their vectors, and a reader over them.

    Args:
        config: of the run; its model has ``symbols`` and ``reader``.
        folder: of the run; the tokenizer is kept there.
        texts: of the training split; None: the tokenizer is there.

    Raises:
        InputError: what the tokenizer refuses; vectors of words for symbols that are no words.
    """
    tokenizer = tokenizer_of(config, folder, texts)
    model, begin = dataclasses.replace(config.model, symbols=config.model.symbols.of(tokenizer.kind)), None
    summary: list[tuple[str, str]] = []
    if config.embeddings.path:
        path = "encoder/embedding/table" if config.embeddings.tuned else "encoder/embedding/frozen/table"
        if texts is not None:
            known = known_vectors(config.embeddings, tokenizer.pieces(range(tokenizer.size)), folder)
            summary = [("vectors", known.line)] if known else []
            begin = functools.partial(start_with, path=path, known=known)
        width = kept_features(config.embeddings, folder, model.symbols.embedding)
        model = dataclasses.replace(model, symbols=dataclasses.replace(model.symbols, embedding=width))
    longest = config.data.length or 512

    def arrays(texts, where: str = "data: text"):
        return {"symbols": encode_texts(config.data, tokenizer, texts, where=where)[0]}

    def make(rngs):
        frozen = bool(config.embeddings.path) and not config.embeddings.tuned
        unknown = tokenizer.unknown or 0
        return SymbolReader(model, tokenizer.size, unknown=unknown, frozen=frozen, longest=longest, rngs=rngs)

    def pieces(text: str) -> list[str]:
        return tokenizer.pieces(arrays([text])["symbols"][0])

    symbols = ("symbols", f"{tokenizer.size:,} ({config.data.tokenizer})")
    front = Front(arrays, make, pieces, [symbols, *summary])
    return front if begin is None else front._replace(begin=begin)


def tokenizer_of(config, folder: RunFolder, texts: Sequence[str] | None) -> Tokenizer:
    """The run's tokenizer; trained on the training split if there is none yet."""

    def prepare(first: bool) -> Tokenizer:
        if first and texts is not None and not folder.tokenizer.exists():
            train_tokenizer(config.data, [prepared(config.data, text) for text in texts]).save(folder.tokenizer)
        return Tokenizer.load(folder.tokenizer)

    return writer_first(prepare)


def check_words(config) -> None:
    """Refuse vectors of words where symbols are no words.

    Raises:
        InputError: with the flag to give.
    """
    if config.embeddings.path and config.data.tokenizer != "word":
        raise InputError(
            f"--embeddings.path holds vectors of words, but the symbols are those of --data.tokenizer "
            f"{config.data.tokenizer}. Try --data.tokenizer word."
        )


FRONTS: dict[type, Callable[[Any, RunFolder, Sequence[Any] | None], Front]] = {}

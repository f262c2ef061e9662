"""Models that read whole sequences, one row each: what the laws of tests/test_reading_models.py speak of.

A model joins with one row: ``ReadingRow(name, build, inputs)``.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from seqjax.models import classifier as models
from seqjax.models.pure import pure
from seqjax.models.reading import AttentionReaderConfig, RecurrentReaderConfig, make_reader
from seqjax.models.tcn import ConvolutionReaderConfig

V, CLASSES = 9, 3


def symbols(random: np.random.Generator, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Ids (B, T) of a tokenizer, none of them the boundary."""
    return {"symbols": random.integers(1, V, size=shape).astype(np.int32)}


class ReadingRow(NamedTuple):
    """A model that reads.

    Attributes:
        name: of the row.
        build: ``() -> (init, apply)``: ``init(key)`` gives parameters, ``apply(params, batch, keys)`` a pytree whose
            leaves are (B, ...), or with ``per_step`` (B, T, ...). Without dropout while ``keys`` is None.
        inputs: ``(random, (B, T)) -> {name: array (B, T, ...)}``, every step real; the tests add ``mask``.
        per_step: the leaves have a value for every step.
        causal: no step knows of a later one.
    """

    name: str
    build: Callable[[], tuple[Callable, Callable]]
    inputs: Callable[..., dict[str, np.ndarray]] = symbols
    per_step: bool = False
    causal: bool = False


def classify(name: str, config: Any, pooling: str, **output) -> ReadingRow:
    """One row: a classifier of symbols, with dropout everywhere."""
    shape = models.SymbolsConfig(embedding=4, embedding_dropout=0.3, symbol_dropout=0.3)
    head = models.PoolingConfig(pooling=pooling, attention=3, window=3, dropout=0.3, **output)
    config = dataclasses.replace(config, symbols=shape, output=head)

    def build():
        model = models.classifier(lambda rngs: models.SymbolReader(config, V, rngs=rngs), CLASSES, head)
        return model.init, model.logits

    return ReadingRow(f"classify-{name}-{pooling}", build)


def features(random: np.random.Generator, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Vectors (B, T, 4)."""
    return {"xs": random.normal(size=(*shape, 4)).astype(np.float32)}


def read(name: str, config: Any, *, causal: bool) -> ReadingRow:
    """One row: a reader of vectors."""

    def build():
        init, apply = pure(lambda rngs: make_reader(config, 4, rngs=rngs))
        return init, lambda params, batch, keys=None: apply(params, batch["xs"], mask=batch["mask"], keys=keys)

    return ReadingRow(f"read-{name}", build, features, per_step=True, causal=causal)


LSTM = RecurrentReaderConfig(features=3, dropout=0.3)
READING_MODELS = [
    classify("bilstm", models.RecurrentClassifierConfig(reader=LSTM), "last"),
    classify(
        "lstm", models.RecurrentClassifierConfig(reader=dataclasses.replace(LSTM, bidirectional=False)), "attention"
    ),
    classify("bag", models.BagClassifierConfig(), "first", hidden=4),
    classify("bag", models.BagClassifierConfig(), "sum"),
    classify("tcn", models.ConvolutionClassifierConfig(reader=ConvolutionReaderConfig(features=3, layers=2)), "max"),
    classify(
        "transformer",
        models.AttentionClassifierConfig(reader=AttentionReaderConfig(features=6, layers=1, heads=2, hidden=5)),
        "mean",
    ),
    read("tcn", ConvolutionReaderConfig(features=3, layers=1, weight_norm=False), causal=True),
]

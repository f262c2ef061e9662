"""What ``classify`` can be asked for: configurations, and presets of them."""

import dataclasses
from typing import Any, Literal

from seqjax.checks import InputError
from seqjax.data.labelled_config import LabelledConfig
from seqjax.models.classifier import (
    AttentionClassifierConfig,
    BagClassifierConfig,
    ConvolutionClassifierConfig,
    PoolingConfig,
    RecurrentClassifierConfig,
    SymbolsConfig,
)
from seqjax.models.reading import AttentionReaderConfig, RecurrentReaderConfig
from seqjax.models.tcn import ConvolutionReaderConfig
from seqjax.tasks.classify_front import check_words
from seqjax.tasks.word_embeddings import EmbeddingsConfig
from seqjax.training.configuration import ShowingConfig
from seqjax.training.optimizers import OptimizerConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassConfig(ShowingConfig):
    """Train a model that gives a class. Configurations of it have ``data`` and ``model``."""

    optimizer: OptimizerConfig = OptimizerConfig()
    class_weights: Literal["none", "balanced"] = "none"  # balanced: an error counts by how rare its class is
    label_smoothing: float = 0.0  # share of each target spread over all classes
    baseline: bool = True  # report what a logistic regression that knows of no order reaches on the test split
    shown: int = 4  # validation examples shown with their guesses at each validation; 0: none

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.label_smoothing < 1:
            raise InputError(f"--label-smoothing should be a probability below 1, but it is {self.label_smoothing}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifyConfig(ClassConfig):
    """Train a model that gives a text a class."""

    data: LabelledConfig = LabelledConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class SymbolClassifyConfig(ClassifyConfig):
    """Train a model of symbols, whose vectors may come from a file."""

    embeddings: EmbeddingsConfig = EmbeddingsConfig()

    def __post_init__(self):
        super().__post_init__()
        check_words(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentClassifyConfig(SymbolClassifyConfig):
    """Train recurrent layers that give a text a class."""

    model: RecurrentClassifierConfig = RecurrentClassifierConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class BagClassifyConfig(SymbolClassifyConfig):
    """Train vectors of symbols, pooled without any recurrence, that give a text a class."""

    model: BagClassifierConfig = BagClassifierConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvolutionClassifyConfig(SymbolClassifyConfig):
    """Train a temporal convolutional network that gives a text a class."""

    model: ConvolutionClassifierConfig = ConvolutionClassifierConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionClassifyConfig(SymbolClassifyConfig):
    """Train the encoder of a Transformer that gives a text a class."""

    model: AttentionClassifierConfig = AttentionClassifierConfig()

    def __post_init__(self):
        super().__post_init__()
        if self.model.reader.positions == "learned" and not self.data.length:
            raise InputError(
                "--model.reader.positions learned has a vector for each place, so --data.length should say how many "
                "there are. Try --data.length 128 --data.too-long truncate."
            )


OPTIMIZER = OptimizerConfig(learning_rate=4e-3, warmup=100)
SHARED: dict[str, Any] = {
    "steps": 3000, "batch_size": 64, "evaluate_every": 300, "label_smoothing": 0.1, "optimizer": OPTIMIZER,
}  # fmt: skip
SYMBOLS = SymbolsConfig(embedding=64, embedding_dropout=0.2, symbol_dropout=0.2, ngrams=0)
PRESETS: dict[str, ClassConfig] = {
    "bilstm": RecurrentClassifyConfig(
        **SHARED,
        model=RecurrentClassifierConfig(
            symbols=SYMBOLS, reader=RecurrentReaderConfig(features=128), output=PoolingConfig(pooling="max+mean")
        ),
    ),
    "lstm": RecurrentClassifyConfig(
        **SHARED,
        model=RecurrentClassifierConfig(
            symbols=SYMBOLS, reader=RecurrentReaderConfig(features=128, bidirectional=False),
            output=PoolingConfig(pooling="last"),
        ),
    ),
    "bag": BagClassifyConfig(
        **SHARED,
        model=BagClassifierConfig(
            symbols=SYMBOLS, output=PoolingConfig(pooling="mean", hidden=128, dropout=0.2)
        ),
    ),
    "tcn": ConvolutionClassifyConfig(
        **SHARED,
        model=ConvolutionClassifierConfig(symbols=SYMBOLS, reader=ConvolutionReaderConfig(layers=2)),
    ),
    "transformer": AttentionClassifyConfig(
        **SHARED | {"optimizer": dataclasses.replace(OPTIMIZER, learning_rate=1e-3)},
        model=AttentionClassifierConfig(
            symbols=SYMBOLS, reader=AttentionReaderConfig(positions="rotary"), output=PoolingConfig(pooling="mean")
        ),
    ),
}  # fmt: skip

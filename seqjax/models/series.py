"""Encoders of series of numbers: any reader over them, or one that knows how much time passes between two steps.

B rows, T steps, D numbers of a step, M features that an encoder gives, H features of a layer.
Source: Baytas et al. (2017), Patient Subtyping via Time-Aware LSTM Networks, for elapsed time.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, get_args

import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.cells import Visits, inverse_decay, log_decay, lstm_time_aware, reversed_elapsed
from seqjax.checks import check_choice, check_count, check_share
from seqjax.layers import Recurrent
from seqjax.models.classifier import PoolingConfig
from seqjax.models.reading import AttentionReaderConfig, RecurrentReaderConfig, make_reader
from seqjax.models.tcn import ConvolutionReaderConfig
from seqjax.ops.dropout import dropout, fold

Decay = Literal["log", "inverse"]
DECAYS = {"log": log_decay, "inverse": inverse_decay}
ONE_WAY = RecurrentReaderConfig(bidirectional=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimeAwareReaderConfig:
    """Time-aware LSTMs, whose short-term memory fades with the time between two steps."""

    features: int = 64  # H, width of every layer, of each direction
    layers: int = 1  # on top of each other
    bidirectional: bool = False  # read both ways in every layer
    decay: Decay = "log"  # how memory fades with elapsed time: log, 1 / log(e + Δt); inverse, 1 / Δt beyond 1
    dropout: float = 0.0  # probability of zeroing an activation, between and after the layers

    def __post_init__(self):
        for name in ("features", "layers"):
            check_count("TimeAwareReaderConfig", name, getattr(self, name))
        check_choice("TimeAwareReaderConfig", "decay", self.decay, get_args(Decay))
        check_share("TimeAwareReaderConfig", "dropout", self.dropout)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeriesModelConfig:
    """What every classifier of series has."""

    output: PoolingConfig = PoolingConfig(pooling="last", dropout=0.0)
    input_dropout: float = 0.0  # probability of zeroing a number that is read, while training

    def __post_init__(self):
        check_share("SeriesModelConfig", "input_dropout", self.input_dropout)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentSeriesConfig(SeriesModelConfig):
    """Recurrent layers over a series."""

    reader: RecurrentReaderConfig = ONE_WAY


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvolutionSeriesConfig(SeriesModelConfig):
    """A temporal convolutional network over a series."""

    reader: ConvolutionReaderConfig = ConvolutionReaderConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionSeriesConfig(SeriesModelConfig):
    """The encoder of a Transformer over a series."""

    reader: AttentionReaderConfig = AttentionReaderConfig()
    output: PoolingConfig = PoolingConfig(pooling="mean", dropout=0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimeAwareSeriesConfig(SeriesModelConfig):
    """Time-aware LSTMs over visits."""

    reader: TimeAwareReaderConfig = TimeAwareReaderConfig()


class SeriesReader(nnx.Module):
    """A reader over numbers.

    Args:
        config: of the model; its ``reader`` and ``input_dropout``.
        in_features: D.
        longest: the most steps, where positions are learned.
        rngs: the stream ``params`` initialises the weights.

    Attributes:
        out_features: M.
        backward: how many of the M features, the last ones, read from right to left.
    """

    def __init__(self, config, in_features: int, *, longest: int = 512, rngs: nnx.Rngs):
        self.dropout = config.input_dropout
        self.reader = make_reader(config.reader, in_features, longest=longest, rngs=rngs)
        self.out_features, self.backward = self.reader.out_features, self.reader.backward

    def __call__(self, batch, keys: Array | None = None) -> Array:
        """Map ``xs`` (B, T, D) and ``mask`` (B, T) to (B, T, M), zero where masked."""
        mask = batch["mask"]
        xs = dropout(jnp.where(mask[..., None], batch["xs"], 0), self.dropout, fold(keys, 0))
        return self.reader(xs, mask=mask, keys=fold(keys, 1))


class TimeAwareReader(nnx.Module):
    """Time-aware LSTMs over numbers and the time since the step before; backwards, to the step after.

    Args:
        config: of the model; its ``reader`` and ``input_dropout``.
        in_features: D.
        rngs: the stream ``params`` initialises the weights.

    Attributes:
        out_features: M = H, or 2H in both directions.
        backward: how many of them, the last ones, read from right to left.
    """

    def __init__(self, config: TimeAwareSeriesConfig, in_features: int, *, longest: int = 0, rngs: nnx.Rngs):
        reader, self.dropouts = config.reader, (config.input_dropout, config.reader.dropout)
        cell = lstm_time_aware(decay=DECAYS[reader.decay])
        self.backward = reader.features if reader.bidirectional else 0
        self.out_features = reader.features + self.backward
        self.layers: nnx.List = nnx.List([])
        for layer in range(reader.layers):
            width = self.out_features if layer else in_features
            self.layers.append(
                nnx.List(
                    Recurrent(cell, width, reader.features, reverse=reverse, rngs=rngs)
                    for reverse in (False, True)[: 1 + reader.bidirectional]
                )
            )

    def __call__(self, batch, keys: Array | None = None) -> Array:
        """Map ``xs`` (B, T, D), ``elapsed`` (B, T, 1) and ``mask`` (B, T) to (B, T, M), zero where masked."""
        mask = batch["mask"]
        xs, elapsed = (jnp.where(mask[..., None], batch[name], 0) for name in ("xs", "elapsed"))
        sides = elapsed, reversed_elapsed(elapsed, mask) if self.backward else elapsed
        xs = dropout(xs, self.dropouts[0], fold(keys, 0))
        for number, layer in enumerate(self.layers, 1):
            pairs = zip(layer, sides, strict=False)
            read = [part(Visits(xs, time), mask=mask)[1] for part, time in pairs]
            xs = dropout(jnp.concatenate(read, axis=-1), self.dropouts[1], fold(keys, number))
        return xs


ENCODERS: dict[type, Callable[..., Any]] = {TimeAwareSeriesConfig: TimeAwareReader}
"""Those of models that read more than ``xs``, by the type of their configuration."""


def make_series_encoder(config, in_features: int, *, longest: int = 512, rngs: nnx.Rngs) -> Any:
    """The encoder that a configuration describes: a module that maps ``(batch, keys)`` to (B, T, M).

    Args:
        config: of a classifier of series.
        in_features: D.
        longest: the most steps, where positions are learned.
        rngs: the stream ``params`` initialises the weights.

    Example:
        >>> config = TimeAwareSeriesConfig(reader=TimeAwareReaderConfig(features=4, bidirectional=True))
        >>> encoder = make_series_encoder(config, 3, rngs=nnx.Rngs(0))
        >>> xs, elapsed = jnp.ones((1, 2, 3)), jnp.array([[[0.0], [30.0]]])
        >>> encoder({"xs": xs, "elapsed": elapsed, "mask": jnp.array([[True, True]])}).shape, encoder.backward
        ((1, 2, 8), 4)
    """
    return ENCODERS.get(type(config), SeriesReader)(config, in_features, longest=longest, rngs=rngs)

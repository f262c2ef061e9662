"""Forecasts of a series: a reader over the steps that were seen, and one answer for all the steps to come.

B rows, T steps that were seen, D columns that are read, K columns that are forecast, H steps that are forecast, Q
quantiles, M features of a reader.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.checks import InputError, check_choice
from seqjax.decoding.decodable import Decodable
from seqjax.layers import Linear
from seqjax.models.pure import pure
from seqjax.models.reading import AttentionReaderConfig, RecurrentReaderConfig, make_reader
from seqjax.models.tcn import ConvolutionReaderConfig
from seqjax.ops.quantiles import ordered

Anchor = Literal["none", "last", "season"]
FLOOR = 1e-4  # variance added to that of a window, in units of the training split's


@dataclasses.dataclass(frozen=True, kw_only=True)
class ForecasterConfig:
    """What every forecaster has."""

    anchor: Anchor = "last"  # what a forecast is a difference to: the last value seen, that of a season ago, or nothing
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)  # of what is to come, rising; none: a single number is forecast

    def __post_init__(self):
        check_choice(type(self).__name__, "anchor", self.anchor, get_args(Anchor))
        rising = all(a < b for a, b in zip(self.quantiles, self.quantiles[1:], strict=False))
        if not rising or not all(0 < q < 1 for q in self.quantiles):
            raise InputError(
                f"model: `quantiles` should be probabilities between 0 and 1 that rise, but they are {self.quantiles}. "
                "Try 0.1 0.5 0.9."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentForecasterConfig(ForecasterConfig):
    """Recurrent layers; all steps to come at once."""

    reader: RecurrentReaderConfig = RecurrentReaderConfig(features=64, bidirectional=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvolutionForecasterConfig(ForecasterConfig):
    """A temporal convolutional network; all steps to come at once."""

    reader: ConvolutionReaderConfig = ConvolutionReaderConfig(features=32, layers=5)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionForecasterConfig(ForecasterConfig):
    """The encoder of a Transformer; all steps to come at once."""

    reader: AttentionReaderConfig = AttentionReaderConfig(features=64)


class SeriesShape(NamedTuple):
    """What a model must know of a series.

    Attributes:
        columns: D.
        targets: which of the columns are forecast, K of them.
        horizon: H.
        season: steps of a season, 1: none.
    """

    columns: int
    targets: tuple[int, ...]
    horizon: int
    season: int = 1


class Forecast(NamedTuple):
    """What is said of the steps to come.

    Attributes:
        point: (B, H, K), one number each.
        quantiles: (B, H, K, Q), which never cross.
    """

    point: Array
    quantiles: Array


class Frame(NamedTuple):
    """How a window is seen: relative to its own last values, in units of its own spread.

    Attributes:
        inputs: (B, T, D), what a reader reads, zero where masked.
        last: (B, 1, K), the last values of the columns that are forecast, as they are.
        level: (B, 1, K), what those columns are seen relative to.
        base: (B, H, K), what forecasts are added to.
        spread: (B, 1, K), the unit of forecasts.
    """

    inputs: Array
    last: Array
    level: Array
    base: Array
    spread: Array


class ForecastModel(NamedTuple):
    """A forecaster as pure functions. ``batch`` has ``xs`` (B, T, D) and ``mask`` (B, T).

    Attributes:
        init: ``key -> params``.
        forecast: ``(params, batch, keys) -> Forecast``; without dropout while ``keys`` is None.
        taught: ``(params, batch, keys) -> (Forecast, free (B,))``, where ``batch["targets"]`` (B, H, K) may be read,
            each step before the next is forecast; ``free``: in which rows that was not done; all,
            where it is done in every row, for quantiles would learn from none.
        steps: the same step by step, for models that forecast so; else None.
    """

    init: Callable[[Any], Any]
    forecast: Callable[..., Forecast]
    taught: Callable[..., tuple[Forecast, Array]]
    steps: Decodable | None


def last_steps(xs: Array, mask: Array, count: int) -> Array:
    """The last ``count`` real steps of each row, in order: (B, count, E); zeros come before them where there are fewer.

    Args:
        xs: (B, T, E), T at least ``count``.
        mask: (B, T), True on real steps.
        count: steps.

    Example:
        >>> mask = jnp.array([[True, True, True, False]])
        >>> last_steps(jnp.arange(4.0)[None, :, None], mask, 2)[0, :, 0].tolist()
        [1.0, 2.0]
    """
    if count > xs.shape[1]:
        raise InputError(f"forecast: a season of {count} steps is longer than the {xs.shape[1]} steps that are seen.")
    places = jnp.argsort(mask, axis=1, stable=True)[:, -count:]  # the real ones come last
    real = jnp.take_along_axis(mask, places, axis=1)
    return jnp.where(real[..., None], jnp.take_along_axis(xs, places[..., None], axis=1), 0)


def frame(xs: Array, mask: Array, anchor: str, shape: SeriesShape) -> Frame:
    """See each window relative to its last values, in units of its spread; with anchor ``none`` as it is.

    Args:
        xs: (B, T, D).
        mask: (B, T), True on real steps.
        anchor: none, last or season.
        shape: of the series.

    Source:
        Kim et al. (2022), Reversible Instance Normalization for Accurate Time-Series Forecasting, around the last value
        in place of the mean.
    """
    real, targets = mask[..., None], jnp.array(shape.targets)
    xs = jnp.where(real, xs, 0)
    wanted = len(xs), shape.horizon, len(shape.targets)
    last = last_steps(xs, mask, 1)
    own = last[..., targets]
    if anchor == "none":
        return Frame(xs, own, jnp.zeros_like(own), jnp.zeros(wanted, xs.dtype), jnp.ones_like(own))
    count = jnp.maximum(real.sum(axis=1, keepdims=True), 1).astype(xs.dtype)
    mean = xs.sum(axis=1, keepdims=True) / count
    variance = jnp.where(real, (xs - mean) ** 2, 0).sum(axis=1, keepdims=True) / count
    spread = jnp.sqrt(variance + FLOOR)
    base = own
    if anchor == "season":
        base = last_steps(xs, mask, shape.season)[..., targets][:, jnp.arange(shape.horizon) % shape.season]
    inputs = jnp.where(real, (xs - last) / spread, 0)
    return Frame(inputs, own, own, jnp.broadcast_to(base, wanted), spread[..., targets])


def finished(raw: Array, base: Array, spread: Array) -> Forecast:
    """From what a network says, (B, H, K, 1 + Q), to a forecast: a number, and quantiles around it."""
    raw = raw.astype(base.dtype)
    point = base + spread * raw[..., 0]
    return Forecast(point, point[..., None] + spread[..., None] * ordered(raw[..., 1:]))


class DirectForecaster(nnx.Module):
    """Read a window, and say all the steps to come at once, from what the reader says of the last step.

    Args:
        config: the shape.
        shape: of the series.
        longest: the most steps that are seen, where positions are learned.
        rngs: the stream ``params`` initialises the weights.

    Example:
        >>> config = RecurrentForecasterConfig(reader=RecurrentReaderConfig(features=4, bidirectional=False))
        >>> model = DirectForecaster(config, SeriesShape(3, (0, 2), horizon=5), rngs=nnx.Rngs(0))
        >>> found = model({"xs": jnp.ones((1, 8, 3)), "mask": jnp.ones((1, 8), bool)})
        >>> found.point.shape, found.quantiles.shape
        ((1, 5, 2), (1, 5, 2, 3))
    """

    def __init__(self, config, shape: SeriesShape, *, longest: int = 512, rngs: nnx.Rngs):
        self.anchor, self.shape, self.each = config.anchor, shape, 1 + len(config.quantiles)
        self.reader = make_reader(config.reader, shape.columns, longest=longest, rngs=rngs)
        answers = shape.horizon * len(shape.targets) * self.each
        self.head = Linear(self.reader.out_features, answers, rngs=rngs)

    def __call__(self, batch, keys: Array | None = None) -> Forecast:
        """Map a batch to a forecast."""
        mask, shape = batch["mask"], self.shape
        seen = frame(batch["xs"], mask, self.anchor, shape)
        ys = self.reader(seen.inputs.astype(self.head.kernel.dtype), mask=mask, keys=keys)
        raw = self.head(last_steps(ys, mask, 1)[:, 0])
        raw = raw.reshape(len(raw), shape.horizon, len(shape.targets), self.each)
        return finished(raw, seen.base, seen.spread)


def direct_forecaster(config, shape: SeriesShape, longest: int = 512) -> ForecastModel:
    """A forecaster that says all the steps to come at once, as pure functions.

    Args:
        config: one of the kinds above.
        shape: of the series.
        longest: the most steps that are seen, where positions are learned.
    """
    init, forecast = pure(lambda rngs: DirectForecaster(config, shape, longest=longest, rngs=rngs))

    def taught(params, batch, keys=None):
        return forecast(params, batch, keys), batch["mask"].any(axis=1)

    return ForecastModel(init, forecast, taught, None)

"""Forecasts made one step after the other, each from the one before: a recurrent encoder and a recurrent decoder.

B rows, T steps that were seen, D columns that are read, K columns that are forecast, H steps that are forecast, Q
quantiles.
Source: Williams & Zipser (1989), A Learning Algorithm for Continually Running Fully Recurrent Neural Networks, for
teacher forcing; Sutskever, Vinyals & Le (2014) for the pair of networks.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax import cells
from seqjax.cells.smooth import for_each_turn
from seqjax.checks import InputError, check_choice, check_count
from seqjax.decoding.decodable import Decodable
from seqjax.layers import Linear, Stack
from seqjax.models.forecaster import Forecast, ForecasterConfig, ForecastModel, Frame, SeriesShape, finished, frame
from seqjax.models.pure import pure
from seqjax.ops.dropout import fold
from seqjax.spread import alike


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoregressiveForecasterConfig(ForecasterConfig):
    """Recurrent layers that forecast step by step."""

    cell: str = "lstm"  # which recurrence; a wrong name lists them all
    features: int = 64  # H, width of every layer
    layers: int = 1  # recurrent layers on top of each other
    dropout: float = 0.0  # probability of zeroing an activation between layers
    forcing: float = 0.5  # share of training rows that read what came (teacher forcing); the others their own forecasts

    def __post_init__(self):
        super().__post_init__()
        check_choice(type(self).__name__, "cell", self.cell, cells.BY_NAME)
        for name in ("features", "layers"):
            check_count("model", name, getattr(self, name))
        if not 0 <= self.dropout < 1 or not 0 <= self.forcing <= 1:
            raise InputError(
                f"model: `dropout` should lie in [0, 1) and `forcing` in [0, 1], but they are {self.dropout} and "
                f"{self.forcing}."
            )


class Told(NamedTuple):
    """What stays the same while steps are forecast: leaves (B, ·); see :class:`seqjax.models.forecaster.Frame`."""

    last: Array
    level: Array
    base: Array
    spread: Array


class ForecastState(NamedTuple):
    """Where a forecast is; leaves (B, ·)."""

    layers: Any
    number: Array  # (B,) steps forecast so far


class AutoregressiveForecaster(nnx.Module):
    """An encoder of what was seen, and a decoder that reads one step and forecasts the next.

    Args:
        config: the shape.
        shape: of the series.
        rngs: the stream ``params`` initialises the weights.
    """

    def __init__(self, config: AutoregressiveForecasterConfig, shape: SeriesShape, *, rngs: nnx.Rngs):
        cell, targets = cells.BY_NAME[config.cell], len(shape.targets)
        self.anchor, self.shape, self.each = config.anchor, shape, 1 + len(config.quantiles)
        layers, drop = config.layers, config.dropout
        self.encoder = Stack(cell, shape.columns, config.features, layers=layers, dropout=drop, rngs=rngs)
        self.decoder = Stack(cell, targets, config.features, layers=layers, dropout=drop, rngs=rngs)
        self.head = Linear(self.decoder.out_features, targets * self.each, rngs=rngs)

    def start(self, batch, keys: Array | None = None) -> tuple[Told, ForecastState]:
        """Read what was seen."""
        seen: Frame = frame(batch["xs"], batch["mask"], self.anchor, self.shape)
        layers, _ = self.encoder(seen.inputs.astype(self.head.kernel.dtype), mask=batch["mask"], keys=keys)
        return Told(*seen[1:]), ForecastState(layers, jnp.zeros(len(seen.base), jnp.int32))

    def read(self, values: Array, told: Told, state: ForecastState, keys: Array | None = None):
        """Read steps (B, T, K) and forecast the one after each: ``(state, Forecast)`` of T steps."""
        count = values.shape[1]
        places = jnp.clip(state.number[:, None] + jnp.arange(count)[None], 0, self.shape.horizon - 1)
        base = jnp.take_along_axis(told.base, places[..., None], axis=1)
        seen = ((values - told.level) / told.spread).astype(self.head.kernel.dtype)
        layers, ys = self.decoder(seen, state=state.layers, keys=keys)
        raw = self.head(ys).reshape(*values.shape, self.each)
        return ForecastState(layers, state.number + count), finished(raw, base, told.spread)


def autoregressive_forecaster(config: AutoregressiveForecasterConfig, shape: SeriesShape) -> ForecastModel:
    """A forecaster that goes step by step, as pure functions.

    While it is trained, a share ``forcing`` of the rows reads what really came, and the others what they forecast
    themselves, as all do afterwards. Rows that read what came know more than they will, so that the quantiles of the
    others alone should count.

    Args:
        config: the shape.
        shape: of the series.

    Example:
        >>> model = autoregressive_forecaster(AutoregressiveForecasterConfig(features=4), SeriesShape(2, (1,), 5))
        >>> batch = {"xs": jnp.ones((3, 8, 2)), "mask": jnp.ones((3, 8), bool)}
        >>> jax.eval_shape(model.forecast, jax.eval_shape(model.init, jax.random.key(0)), batch).quantiles.shape
        (3, 5, 1, 3)
    """
    init, apply = pure(lambda rngs: AutoregressiveForecaster(config, shape, rngs=rngs))

    def start(params, batch, keys=None):
        return apply(params, batch, keys, method="start")

    def advance(params, memory, state, last, keys=None):
        state, found = apply(params, last[:, None], memory, state, keys, method="read")
        return state, jax.tree.map(lambda leaf: leaf[:, 0], found)

    def alone(params, memory, state, came, forced, keys):
        """Step by step; rows that are ``forced`` read what came, where it is given."""

        again = for_each_turn((params, memory))

        def step(carry, now):
            state, last = carry
            number, true = now
            weights, told = again()
            state, found = advance(weights, told, state, last, fold(keys, number))
            return (state, jnp.where(forced[:, None], true, found.point)), found

        seen = (jnp.arange(shape.horizon), jnp.swapaxes(came, 0, 1))
        _, found = jax.lax.scan(step, alike((state, memory.last[:, 0]), seen), seen)
        return jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), found)

    def forecast(params, batch, keys=None) -> Forecast:
        memory, state = start(params, batch, fold(keys, 0))
        return alone(params, memory, state, memory.base, jnp.zeros(len(memory.base), bool), fold(keys, 1))

    def taught(params, batch, keys=None):
        memory, state = start(params, batch, fold(keys, 0))
        if keys is None or config.forcing == 1:
            before = jnp.concatenate([memory.last, batch["targets"][:, :-1]], axis=1)
            _, found = apply(params, before, memory, state, fold(keys, 1), method="read")
            return found, jnp.ones(len(before), bool)
        forced = jax.vmap(lambda key: jax.random.uniform(key))(fold(keys, 2)) < config.forcing
        return alone(params, memory, state, batch["targets"], forced, fold(keys, 1)), ~forced

    return ForecastModel(init, forecast, taught, Decodable(start, advance))

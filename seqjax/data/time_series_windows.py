"""A series to examples: windows of steps that were seen, and the steps that came after them.

T steps of a series, C steps that a forecast is made from (context), H steps that are forecast (horizon), D columns that
are read, K columns that are forecast, N origins. The origin of a forecast is its first step.
"""

import json
import pathlib
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError
from seqjax.data.example_batches import Examples
from seqjax.data.linear_autoregression import fit_linear
from seqjax.data.time_series import TimeSeries
from seqjax.data.time_series_ahead import season_of, working_days
from seqjax.data.time_series_bundled import SEASONS
from seqjax.data.time_series_config import TimeSeriesConfig

SPLITS = ("train", "valid", "test")


class Scaling(NamedTuple):
    """What the training split decides once and for all: how columns are scaled, and what a linear forecast does.

    Attributes:
        columns: names of the D columns.
        targets: names of the K columns that are forecast.
        mean: (D,), of the training split, in the units of the file.
        deviation: (D,), likewise.
        season: steps; 1: none.
        linear: weights of the linear autoregressive forecast of scaled columns.
        time: the name of the column of times in the file; empty: there was no file, or the run is older than this.
        working: whether times are days without Saturdays and Sundays.
    """

    columns: tuple[str, ...]
    targets: tuple[str, ...]
    mean: np.ndarray
    deviation: np.ndarray
    season: int
    linear: np.ndarray
    time: str = ""
    working: bool = False

    @property
    def places(self) -> tuple[int, ...]:
        """Which of the D columns the K targets are."""
        return tuple(self.columns.index(name) for name in self.targets)

    def scale(self, series: TimeSeries) -> np.ndarray:
        """(T, D) float32: of each column, less its mean, in units of its standard deviation."""
        return ((series.values - self.mean) / self.deviation).astype(np.float32)

    def back(self, scaled: np.ndarray) -> np.ndarray:
        """(..., K) forecasts in the units of the file again."""
        places = list(self.places)
        return np.asarray(scaled, np.float64) * self.deviation[places] + self.mean[places]

    def save(self, path: pathlib.Path) -> None:
        """Write JSON."""
        data = {
            name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in self._asdict().items()
        }
        path.write_text(json.dumps(data) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: pathlib.Path) -> "Scaling":
        """Read what :meth:`save` wrote."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            columns, targets = tuple(data["columns"]), tuple(data["targets"])
            mean, deviation, linear = (np.array(data[name], np.float64) for name in ("mean", "deviation", "linear"))
            time, working = str(data.get("time", "")), bool(data.get("working", False))
            return cls(columns, targets, mean, deviation, int(data["season"]), linear, time, working)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: should be the scaling of a run, but it cannot be read ({error}).") from None


def fit_scaling(series: TimeSeries, config: TimeSeriesConfig) -> Scaling:
    """Mean and standard deviation of the training split alone.

    Raises:
        InputError: a column that holds one and the same number.

    Example:
        >>> series = TimeSeries("t", False, np.arange(10.0), ("x",), np.arange(10.0)[:, None] ** 2)
        >>> scaling = fit_scaling(series, TimeSeriesConfig(path="x.csv", split=(0.4, 0.3, 0.3)))
        >>> scaling.mean.tolist(), scaling.scale(series)[:4].mean().round(6).tolist()       # of 0, 1, 4, 9
        ([3.5], 0.0)
    """
    train = series.values[: bounds(series.steps, config)["train"][1]]
    constant = np.flatnonzero(train.max(axis=0) == train.min(axis=0)) if len(train) else np.arange(0)
    if len(constant):
        name, value = series.names[constant[0]], train[0, constant[0]]
        whole = np.ptp(series.values[:, constant[0]]) == 0
        raise InputError(
            f"data: column `{name}` is constant: it holds {value:g} in every row"
            f"{'' if whole else ' of the training split'}. Leave it out, with --data.columns of the others."
        )
    season = config.season or (1 if config.path else SEASONS.get(config.name, 0))
    season = season if season > 1 else season_of(series, config.season)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    linear = fit_linear((train - mean) / deviation, config.context)
    targets, time = config.targets or series.names, series.time if config.path else ""
    return Scaling(series.names, targets, mean, deviation, season, linear, time, working_days(series))


def bounds(steps: int, config: TimeSeriesConfig) -> dict[str, tuple[int, int]]:
    """First and last step (the end left out) of each split.

    Example:
        >>> bounds(10, TimeSeriesConfig(split=(0.6, 0.2, 0.2)))
        {'train': (0, 6), 'valid': (6, 8), 'test': (8, 10)}
    """
    ends = [0, *(round(steps * sum(config.split[:count])) for count in (1, 2, 3))]
    return {name: (ends[place], ends[place + 1]) for place, name in enumerate(SPLITS)}


class Windows(NamedTuple):
    """Forecasts to be made of one series, and what came.

    Attributes:
        seen: (N, C, D) float32, scaled; a view, not a copy.
        came: (N, H, K) float32, scaled.
        origins: (N,) steps of the series at which the forecasts begin.
    """

    seen: np.ndarray
    came: np.ndarray
    origins: np.ndarray

    @property
    def examples(self) -> Examples:
        """As arrays for batches: ``xs`` (C, D) of each, and ``targets`` (N, H, K)."""
        return Examples({"xs": list(self.seen)}, {"targets": self.came})


def cut_windows(series: TimeSeries, scaling: Scaling, config: TimeSeriesConfig, first: int, end: int) -> Windows:
    """Every origin whose whole horizon lies in ``first`` to ``end``; what a forecast is made from may lie before it.

    Raises:
        InputError: there is none.

    Example:
        >>> series = TimeSeries("t", False, np.arange(9.0), ("x",), np.arange(9.0)[:, None])
        >>> scaling = Scaling(("x",), ("x",), np.zeros(1), np.ones(1), 1, np.zeros((2, 1)))
        >>> found = cut_windows(series, scaling, TimeSeriesConfig(context=3, horizon=2), 5, 9)
        >>> found.origins.tolist(), found.seen[0, :, 0].tolist(), found.came[0, :, 0].tolist()
        ([5, 6, 7], [2.0, 3.0, 4.0], [5.0, 6.0])
    """
    context, horizon = config.context, config.horizon
    origins = np.arange(max(first, context), end - horizon + 1)
    if not len(origins):
        raise InputError(
            f"data: {end - first:,} steps (of {series.steps:,}) are too few for one forecast of {horizon} steps"
            f"{f' from {context} steps before them' if first < context else ''}. "
            "Try a smaller --data.horizon, a smaller --data.context, or a longer series."
        )
    scaled = scaling.scale(series)
    seen = np.lib.stride_tricks.sliding_window_view(scaled, context, axis=0).swapaxes(1, 2)
    came = np.lib.stride_tricks.sliding_window_view(scaled[:, list(scaling.places)], horizon, axis=0).swapaxes(1, 2)
    return Windows(seen[origins[0] - context : origins[-1] - context + 1], came[origins], origins)


def split_windows(series: TimeSeries, scaling: Scaling, config: TimeSeriesConfig) -> dict[str, Windows]:
    """The windows of each split; no forecast reaches from one split into the next.

    Raises:
        InputError: a series shorter than what one window of each split needs.
    """
    places = bounds(series.steps, config)
    found = {}
    for name, (first, end) in places.items():
        need = config.horizon + (config.context if name == "train" else 0)
        if end - first < need:
            raise InputError(
                f"data: the series has {series.steps:,} steps, of which {end - first:,} are for {name}, but there one "
                f"forecast of {config.horizon} steps{f' from {config.context} before them' if name == 'train' else ''} "
                f"needs {need:,}. Try a smaller --data.context or --data.horizon, another --data.split, or a longer "
                "series."
            )
        found[name] = cut_windows(series, scaling, config, first, end)
    return found

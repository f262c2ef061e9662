"""Use a forecaster: forecast from rows of CSV, measure it over rolling origins, and draw it.

N origins, C steps that were seen, H steps to come, D columns that are read, K that are forecast, Q quantiles.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from seqjax.checks import InputError
from seqjax.data import Examples, example_batches
from seqjax.data.time_series import TimeSeries, parse_series
from seqjax.data.time_series_ahead import next_moments, next_times, time_text, working_days
from seqjax.data.time_series_config import TimeSeriesConfig
from seqjax.data.time_series_windows import Scaling, Windows
from seqjax.models.forecaster import ForecastModel
from seqjax.tasks.forecast_baselines import baseline_of, error_of, simple_forecasts
from seqjax.training.folder import RunFolder

ROWS = 256  # windows read in one call, at most


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowsOption:
    """What the rows of CSV hold."""

    time: str = ""  # the column of times; default: that of the run's own file


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictSeries:
    """Forecast what comes after the rows of CSV on standard input, with the best checkpoint of a run: rows of CSV."""

    data: RowsOption = RowsOption()
    picture: str = ""  # a file to draw the forecast in, with its band: .png, .svg or .pdf


class ForecastUse(NamedTuple):
    """A model, what it knows of a series, and its parameters.

    Attributes:
        model: pure functions.
        scaling: of the columns.
        data: what is read, and how far it looks.
        quantiles: Q probabilities, none if only a number is forecast.
        error: what it is measured by, mae or mse.
        params: of the model.
    """

    model: ForecastModel
    scaling: Scaling
    data: TimeSeriesConfig
    quantiles: tuple[float, ...]
    error: str
    params: Any

    def forecast(self, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From windows (N, C, D), scaled: (N, H, K), and quantiles (N, H, K, Q)."""
        rows = min(ROWS, 1 << (len(seen) - 1).bit_length())
        batches = example_batches(Examples({"xs": list(seen)}, {}), rows=rows, train=False, buckets=1)
        run, parts = compiled(self.model), []
        for number in range(len(batches)):
            batch = batches[number]
            found = jax.device_get(run(self.params, {name: batch[name] for name in ("xs", "mask")}))
            parts.append([np.asarray(leaf)[batch["real"]] for leaf in found])
        point, quantiles = (np.concatenate(leaves) for leaves in zip(*parts, strict=True))
        return point, quantiles

    def reading(self, path: str, time: str) -> TimeSeriesConfig:
        """How another file is read: the run's columns, and its column of times unless ``time`` names one."""
        time = time or self.scaling.time or self.data.time
        return dataclasses.replace(
            self.data, path=path, time=time, columns=self.scaling.columns, targets=self.scaling.targets
        )  # fmt: skip

    def names(self) -> list[str]:
        """Of the columns of a forecast, without the time: each target, and behind it its quantiles."""
        each = ["", *(f"_{quantile:g}" for quantile in self.quantiles)]
        return [name + end for name in self.scaling.targets for end in each]

    def back(self, point: np.ndarray, quantiles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scaled forecasts in the units of the file."""
        return self.scaling.back(point), np.moveaxis(self.scaling.back(np.moveaxis(quantiles, -1, 0)), 0, -1)


@functools.lru_cache(maxsize=8)
def compiled(model: ForecastModel) -> Callable[..., Any]:
    """Jitted ``forecast``; the same one for the same model."""
    return jax.jit(model.forecast)


def predict(use: ForecastUse, lines: list[str], options: PredictSeries) -> Iterator[str]:
    """What ``seqjax predict`` prints: a first row of names, and a row for each step to come."""
    config = use.reading("-", options.data.time)
    series = parse_series("\n".join(lines), "standard input", config)
    context = config.context
    if series.steps < context:
        raise InputError(
            f"standard input: a forecast is made from {context} rows (--data.context when it was trained), but there "
            f"are {series.steps}."
        )
    seen = use.scaling.scale(series)[None, -context:]
    point, quantiles = (part[0] for part in use.back(*use.forecast(seen)))  # (H, K) and (H, K, Q)
    working = use.scaling.working or working_days(series)
    times = next_times(series.part(series.steps - context, series.steps), len(point), working)
    if options.picture:
        draw_ahead(use, series, point, quantiles, options.picture)
    yield ",".join([series.time, *use.names()])
    cells = np.concatenate([point[..., None], quantiles], axis=-1).reshape(len(point), -1)
    for time, row in zip(times, cells, strict=True):
        yield ",".join([time, *(f"{value:.7g}" for value in row)])


def examine(use: ForecastUse, parts: Mapping[str, Windows], series: TimeSeries, folder: RunFolder | None):
    """``(params, split) -> metrics``: what simple forecasts reach from the same origins, and how often the band holds.

    ``baseline`` is the least error of the naive, the seasonal naive and the drift forecast, and in the units of
    ``loss``: of the training split's standard deviations. Given a folder, forecasts of the test split are drawn there.
    """
    simple = {name: simple_forecasts(part, use.scaling) for name, part in parts.items() if name != "train"}
    wrong = {
        name: {method: error_of(found, parts[name].came, use.error) for method, found in methods.items()}
        for name, methods in simple.items()
    }

    def measure(params, split: str) -> dict[str, float]:
        windows = parts[split]
        point, quantiles = use._replace(params=params).forecast(windows.seen)
        metrics = {"baseline": baseline_of(wrong[split])}
        if len(use.quantiles) > 1:
            held = (quantiles[..., 0] <= windows.came) & (windows.came <= quantiles[..., -1])
            metrics["coverage"] = float(held.mean())
        if split != "test":
            return metrics
        if folder is not None:
            draw_backtest(use, series, windows, point, quantiles, simple[split], folder)
        return metrics | wrong[split] | in_units(use, point, windows.came)

    return measure


def in_units(use: ForecastUse, point: np.ndarray, came: np.ndarray) -> dict[str, float]:
    """Mean absolute error of each target in the units of the file."""
    off = np.abs(use.scaling.back(point) - use.scaling.back(came)).mean(axis=(0, 1))
    names = use.scaling.targets
    return {"mae" if len(names) == 1 else f"mae_{name}": float(value) for name, value in zip(names, off, strict=True)}


def show(use: ForecastUse, series: TimeSeries, windows: Windows, count: int) -> Callable[[Any, int], str]:
    """``(params, step) -> text``: forecasts from a few origins, and what came."""
    places = np.unique(np.linspace(0, len(windows.origins) - 1, count).astype(int))

    def draw(params, step: int) -> str:
        seen, came = windows.seen[places], use.scaling.back(windows.came[places])
        point, quantiles = use.back(*use._replace(params=params).forecast(seen))
        lines = []
        for number, place in enumerate(places):
            for ahead in sorted({1, (point.shape[1] + 1) // 2, point.shape[1]}):
                time = time_text(series, series.moments[windows.origins[place] + ahead - 1])
                values = [
                    f"{name} {point[number, ahead - 1, k]:.5g}{_band(quantiles[number, ahead - 1, k])}, "
                    f"came {came[number, ahead - 1, k]:.5g}"
                    for k, name in enumerate(use.scaling.targets)
                ]
                lines.append(f"{time} ({ahead} ahead): {'; '.join(values)}")
        return "\n".join(lines)

    return draw


def _band(quantiles: np.ndarray) -> str:
    return f" [{quantiles[0]:.5g} to {quantiles[-1]:.5g}]" if len(quantiles) > 1 else ""


def _band_name(quantiles: Sequence[float]) -> str:
    return f"{100 * (quantiles[-1] - quantiles[0]):.0f} % band" if len(quantiles) > 1 else ""


def _ends(quantiles: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Lowest and highest of quantiles (H, Q), if there are two or more."""
    return (quantiles[:, 0], quantiles[:, -1]) if quantiles.shape[1] > 1 else (None, None)


def draw_backtest(
    use: ForecastUse,
    series: TimeSeries,
    windows: Windows,
    point: np.ndarray,
    quantiles: np.ndarray,
    simple: Mapping[str, np.ndarray],
    folder: RunFolder,
) -> None:
    """Write forecast.png, if matplotlib is there: the first target from three origins, and errors by steps ahead."""
    from seqjax.plots.forecast import Drawn, forecasts

    back, came = use.back(point, quantiles), use.scaling.back(windows.came)
    drawn = []
    for place in np.unique(np.linspace(0, len(point) - 1, 3).astype(int)):
        origin = int(windows.origins[place])
        first, end = max(0, origin - min(use.data.context, 4 * use.data.horizon)), origin + use.data.horizon
        column = series.names.index(use.scaling.targets[0])
        title = f"from {time_text(series, series.moments[origin])}"
        times, before = series.local[first:end], series.values[first:origin, column]
        low, high = _ends(back[1][place, :, 0])
        drawn.append(Drawn(times, before, back[0][place, :, 0], low, high, came[place, :, 0], title))
    ways = {"this model": point} | dict(simple)
    off = {name: np.abs(use.scaling.back(way) - came)[..., 0].mean(axis=0) for name, way in ways.items()}
    try:
        figure = forecasts(
            drawn, ylabel=use.scaling.targets[0], band=_band_name(use.quantiles), dates=series.dates,
            errors=off, error="mean absolute error",
        )  # fmt: skip
        figure.savefig(folder.path / "forecast.png")
    except (InputError, OSError):  # the extra `viz` is missing, or the disk is full: the curves say so
        return


def draw_ahead(use: ForecastUse, series: TimeSeries, point: np.ndarray, quantiles: np.ndarray, path: str) -> None:
    """Draw a forecast (H, K) with its quantiles (H, K, Q), one panel for each target."""
    from seqjax.plots.forecast import Drawn, forecasts

    part = series.part(max(0, series.steps - max(use.data.context, 1)), series.steps)
    working = use.scaling.working or working_days(series)
    times = np.concatenate([part.local, next_moments(part, len(point), working)])
    drawn = []
    for k, name in enumerate(use.scaling.targets):
        low, high = _ends(quantiles[:, k])
        drawn.append(Drawn(times, part.values[:, series.names.index(name)], point[:, k], low, high, title=name))
    figure = forecasts(drawn, band=_band_name(use.quantiles), dates=series.dates)
    try:
        figure.savefig(path)
    except ValueError as error:
        raise InputError(f"predict: --picture {path}: {error}. Try a name that ends in .png.") from None

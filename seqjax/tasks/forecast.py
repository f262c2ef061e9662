"""What comes next in a series of numbers, over a horizon, with how sure that is. Task ``forecast``.

A batch is what :mod:`seqjax.data.example_batches` makes of windows: ``xs`` (B, T, D), ``mask`` (B, T), and ``targets``
(B, H, K), what came after them. The preset ``adding`` is the adding problem, see :mod:`seqjax.tasks.forecast_adding`.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp

from seqjax.checks import InputError
from seqjax.data import example_batches, iterate
from seqjax.data.time_series import TimeSeries, read_series
from seqjax.data.time_series_config import TimeSeriesConfig
from seqjax.data.time_series_windows import Scaling, Windows, cut_windows, fit_scaling, split_windows
from seqjax.models.autoregressive import AutoregressiveForecasterConfig, autoregressive_forecaster
from seqjax.models.forecaster import (
    AttentionForecasterConfig,
    ConvolutionForecasterConfig,
    ForecastModel,
    RecurrentForecasterConfig,
    SeriesShape,
    direct_forecaster,
)
from seqjax.models.pure import count_parameters
from seqjax.ops.quantiles import pinball
from seqjax.tasks import forecast_adding as adding
from seqjax.tasks.contract import Built, Task
from seqjax.tasks.forecast_use import ForecastUse, PredictSeries, examine, predict, show
from seqjax.training.configuration import ShowingConfig
from seqjax.training.devices import writer_first
from seqjax.training.evaluation import Evaluator, Totals
from seqjax.training.folder import RunFolder
from seqjax.training.loop import Job
from seqjax.training.optimizers import OptimizerConfig
from seqjax.training.step import Objective

POINT, BAND = "error", "pinball"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ForecastConfig(ShowingConfig):
    """Train a model that forecasts a series of numbers."""

    data: TimeSeriesConfig = TimeSeriesConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    error: Literal["mae", "mse"] = "mae"  # of the point forecast: mean absolute or squared, in standard deviations
    shown: int = 1  # validation forecasts shown at each validation; 0: none


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentForecastConfig(ForecastConfig):
    """Train recurrent layers that forecast all steps at once."""

    model: RecurrentForecasterConfig = RecurrentForecasterConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoregressiveForecastConfig(ForecastConfig):
    """Train recurrent layers that forecast step by step."""

    model: AutoregressiveForecasterConfig = AutoregressiveForecasterConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvolutionForecastConfig(ForecastConfig):
    """Train a temporal convolutional network that forecasts all steps at once."""

    model: ConvolutionForecasterConfig = ConvolutionForecasterConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionForecastConfig(ForecastConfig):
    """Train the encoder of a Transformer that forecasts all steps at once."""

    model: AttentionForecasterConfig = AttentionForecasterConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class OtherSeries:
    """Which series."""

    path: str = ""  # a CSV file with the columns of the run's; default: the run's own test split
    time: str = ""  # its column of times; default: that of the run's own file


PRESETS = {
    "lstm": RecurrentForecastConfig(
        steps=1000, batch_size=32, evaluate_every=200, optimizer=OptimizerConfig(learning_rate=3e-3, warmup=50)
    ),
    "autoregressive": AutoregressiveForecastConfig(
        steps=1000, batch_size=32, evaluate_every=200, optimizer=OptimizerConfig(learning_rate=3e-3, warmup=50)
    ),
    "tcn": ConvolutionForecastConfig(
        steps=1000, batch_size=32, evaluate_every=200, optimizer=OptimizerConfig(learning_rate=3e-3, warmup=50)
    ),
    "transformer": AttentionForecastConfig(
        steps=1000, batch_size=32, evaluate_every=200, optimizer=OptimizerConfig(learning_rate=1e-3, warmup=100)
    ),
    "adding": adding.AddingForecastConfig(),
}  # fmt: skip


def forecast_model(config, scaling: Scaling) -> ForecastModel:
    """The model that a configuration describes, as pure functions."""
    shape = SeriesShape(len(scaling.columns), scaling.places, config.data.horizon, scaling.season)
    if config.model.anchor == "season" and not 1 < scaling.season <= config.data.context:
        raise InputError(
            f"model: the anchor `season` needs a season of 2 to {config.data.context} steps (--data.context), but "
            f"that of the series is {scaling.season}. Try --data.season, or --model.anchor last."
        )
    if isinstance(config.model, AutoregressiveForecasterConfig):
        return autoregressive_forecaster(config.model, shape)
    return direct_forecaster(config.model, shape, longest=config.data.context + 8)


def objective(model: ForecastModel, error: str, quantiles: tuple[float, ...]) -> Objective:
    """The error of the point forecast, and the pinball loss of the quantiles, each over all steps and targets.

    In training the quantiles learn from rows that run free alone, so that the share of these is their weight.
    """
    names = (POINT, BAND) if quantiles else (POINT,)

    def counts(batch):
        each = batch["targets"].shape[1] * batch["targets"].shape[2]
        return dict.fromkeys(names, batch["real"].sum() * each)

    def terms(params, batch, carry, keys, train):
        if train:
            found, free = model.taught(params, batch, keys)
        else:
            found, free = model.forecast(params, batch), batch["real"]
        off, real = found.point - batch["targets"], batch["real"][:, None, None]
        sums = {POINT: jnp.where(real, jnp.abs(off) if error == "mae" else off**2, 0).sum()}
        if quantiles:
            lost = pinball(found.quantiles, batch["targets"], quantiles).mean(axis=-1)
            sums[BAND] = jnp.where(real & free[:, None, None], lost, 0).sum()
        return sums, carry, {}

    return Objective(counts, terms, dict.fromkeys(names, 1.0))


def report(totals: Totals, split: str) -> dict[str, float]:
    """``loss``: the error of the point forecast; ``pinball``: the mean over the quantiles; in standard deviations."""
    means = {name: total / count for name, (total, count) in totals.items() if name in (POINT, BAND)}
    band = {BAND: means[BAND]} if BAND in means and split != "train" else {}
    return {"loss": means[POINT]} | band


def scaling_of(folder: RunFolder, series: TimeSeries, config: TimeSeriesConfig) -> Scaling:
    """The run's scaling; that of the training split if there is none yet."""

    def prepare(first: bool) -> Scaling:
        if first and not folder.scaling.exists():
            fit_scaling(series, config).save(folder.scaling)
        return Scaling.load(folder.scaling)

    return writer_first(prepare)


def build(config, folder: RunFolder) -> Built:
    """Read the series, scale it, cut it into windows, and make the job of training."""
    if isinstance(config, adding.AddingForecastConfig):
        return adding.build(config, folder)
    series = read_series(config.data)
    scaling = scaling_of(folder, series, config.data)
    parts = split_windows(series, scaling, config.data)
    model, rows = forecast_model(config, scaling), config.batch_size
    train = example_batches(parts["train"].examples, rows=rows, seed=config.seed, train=True, buckets=1)
    valid, test = (
        example_batches(parts[name].examples, rows=rows, train=False, buckets=train.lengths)
        for name in ("valid", "test")
    )
    use = ForecastUse(model, scaling, config.data, config.model.quantiles, config.error, None)
    job = Job(
        objective=objective(model, config.error, config.model.quantiles),
        init=model.init,
        batches=train,
        iterate=iterate,
        validation=valid,
        test=test,
        report=report,
        sample=show(use, series, parts["valid"], config.shown) if config.shown else None,
        counted=POINT,
        examine=examine(use, parts, series, folder),
    )
    return Built(job, summary(config, series, parts, use))


def summary(config, series: TimeSeries, parts: dict[str, Windows], use: ForecastUse) -> list[tuple[str, str]]:
    """What is about to be trained, in a few lines."""
    numbers = count_parameters(use.model.init)
    scaling, data = use.scaling, config.data
    season = f"a season of {scaling.season}" if scaling.season > 1 else "no season"
    filled = f", {series.filled} of them filled in" if series.filled else ""
    return [
        ("series", f"{data.path or data.name}: {series.steps:,} steps of {', '.join(series.names)}{filled}"),
        ("origins", " + ".join(f"{len(part.origins):,}" for part in parts.values()) + " (train + valid + test)"),
        ("forecast", f"{data.horizon} steps of {', '.join(scaling.targets)} from {data.context}, {season}"),
        ("loss", f"{config.error} in standard deviations of the training split"),
        ("model", f"{type(config.model).__name__.removesuffix('Config')}, {numbers:,} parameters"),
        ("batch", f"{config.batch_size} windows on {jax.device_count()} device(s)"),
    ]


def use(config, folder: RunFolder, read_params):
    """The trained model of a run."""
    if isinstance(config, adding.AddingForecastConfig):
        return adding.use(config, folder, read_params)
    scaling = Scaling.load(folder.scaling)
    model = forecast_model(config, scaling)
    params = read_params(jax.eval_shape(model.init, jax.random.key(0)))
    return ForecastUse(model, scaling, config.data, config.model.quantiles, config.error, params)


def evaluate(config, folder: RunFolder, params, data: OtherSeries) -> dict[str, float]:
    """Metrics of ``params`` over every origin of the series that ``data`` names, or of the run's own test split."""
    if isinstance(config, adding.AddingForecastConfig):
        return adding.evaluate(config, folder, params, data.path)
    run = use(config, folder, lambda shapes: params)
    scaling = run.scaling
    if data.time and not data.path:
        raise InputError(
            "evaluate: --data.time is of another file, but none is given. Try --data.path FILE.csv beside it."
        )
    if data.path:
        other = run.reading(data.path, data.time)
        series = read_series(other)
        windows = cut_windows(series, scaling, other, 0, series.steps)
    else:
        series = read_series(config.data)
        windows = split_windows(series, scaling, config.data)["test"]
    batches = example_batches(windows.examples, rows=config.batch_size, train=False, buckets=1)
    model = objective(run.model, config.error, run.quantiles)
    totals = Evaluator(model, config.compute_dtype)(params, batches)
    return report(totals, "test") | examine(run, {"test": windows}, series, None)(params, "test")


def predict_series(run, lines: list[str], options: PredictSeries):
    """What ``seqjax predict`` prints, in order."""
    return (predict if isinstance(run, ForecastUse) else adding.predict)(run, lines, options)


FORECAST = Task(
    name="forecast",
    what="series of numbers: what comes next, with how sure that is",
    presets=PRESETS,
    default="lstm",
    build=build,
    use=use,
    evaluate=evaluate,
    verbs={"predict": predict_series},
    evaluated=OtherSeries,
    predicted=PredictSeries,
    unit="mean error of a forecast",
)

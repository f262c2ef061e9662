"""The adding problem as a preset of ``forecast``: of many numbers, add the two that are marked.

Source:
    Hochreiter & Schmidhuber (1997), Long Short-Term Memory, experiment 4.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.checks import InputError
from seqjax.data import iterate
from seqjax.data.adding import AddingBatches, AddingConfig
from seqjax.data.tables import table_rows
from seqjax.models.forecaster import ForecastModel, RecurrentForecasterConfig, SeriesShape, direct_forecaster
from seqjax.models.pure import count_parameters
from seqjax.models.reading import RecurrentReaderConfig
from seqjax.tasks.contract import Built
from seqjax.training.configuration import RunConfig
from seqjax.training.evaluation import Evaluator, Totals
from seqjax.training.folder import RunFolder
from seqjax.training.loop import Job
from seqjax.training.optimizers import OptimizerConfig
from seqjax.training.step import Objective

TERM = "squared_error"
MEAN = 1.0  # of the sum of two numbers even in [0, 1); its variance is 1/6


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdderConfig:
    """Recurrent layers that read the numbers; the sum comes from the last step."""

    reader: RecurrentReaderConfig = RecurrentReaderConfig(features=64, bidirectional=False)
    input_deviation: float = 0.0  # of the first weights that inputs meet; 0: as the cell has them. IRNN: try 0.03

    def __post_init__(self):
        if not (np.isfinite(self.input_deviation) and self.input_deviation >= 0):
            raise InputError(f"model: `input_deviation` should be at least 0, but it is {self.input_deviation}.")
        if self.input_deviation and self.reader.bidirectional:
            raise InputError(
                "model: `input_deviation` is for readers that go one way. Try --model.reader.no-bidirectional."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AddingForecastConfig(RunConfig):
    """Train recurrent layers on the adding problem."""

    steps: int = 3000  # training steps in all; a larger number continues a finished run
    batch_size: int = 50  # rows of the global batch, over all devices and processes
    log_every: int = 100  # steps between lines of metrics.jsonl
    data: AddingConfig = AddingConfig()
    model: AdderConfig = AdderConfig()
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-2, warmup=100)


class AddingUse(NamedTuple):
    """A model and its parameters."""

    model: ForecastModel
    params: Any


def adder(config: AdderConfig) -> ForecastModel:
    """The model that a configuration describes: two columns are read, one number is said."""
    shape = RecurrentForecasterConfig(reader=config.reader, anchor="none", quantiles=())
    model = direct_forecaster(shape, SeriesShape(2, (0,), 1))
    if not config.input_deviation:
        return model

    def init(key):
        params = model.init(key)
        first = params["reader"]["stack"]["layers"][0]["params"]
        drawn = jax.random.normal(jax.random.fold_in(key, 1), first["input_kernel"].shape)
        first["input_kernel"] = config.input_deviation * drawn
        return params

    return model._replace(init=init)


def objective(model: ForecastModel) -> Objective:
    """The squared error of the sums."""

    def counts(batch):
        return {TERM: batch["real"].sum()}

    def terms(params, batch, carry, keys, train):
        off = model.forecast(params, batch, keys).point - batch["targets"]
        return {TERM: jnp.where(batch["real"][:, None, None], off**2, 0).sum()}, carry, {}

    return Objective(counts, terms, {TERM: 1.0})


def report(totals: Totals, split: str) -> dict[str, float]:
    """``loss``: the mean squared error."""
    total, count = totals[TERM]
    return {"loss": total / count}


def baseline(held: np.ndarray) -> dict[str, float]:
    """The mean squared error of answering the mean, 1, whatever the numbers: about 1/6.

    Example:
        >>> round(baseline(np.array([0.5, 1.5, 1.0]))["baseline"], 4)
        0.1667
    """
    return {"baseline": float(np.mean((np.asarray(held, np.float64) - MEAN) ** 2))}


def build(config: AddingForecastConfig, folder: RunFolder) -> Built:
    """Make the job of training; its data are drawn step by step."""
    rows, model = config.batch_size, adder(config.model)
    held = {name: AddingBatches(config.data, name, rows=rows) for name in ("valid", "test")}
    job = Job(
        objective=objective(model),
        init=model.init,
        batches=AddingBatches(config.data, "train", rows=rows, seed=config.seed),
        iterate=iterate,
        validation=held["valid"],
        test=held["test"],
        report=report,
        sample=None,
        counted=TERM,
        examine=lambda params, split: baseline(held[split].held),
    )
    numbers = count_parameters(model.init)
    reader = config.model.reader
    return Built(job, [
        ("problem", f"add the two marked ones of {config.data.length} numbers in [0, 1)"),
        ("sequences", f"drawn afresh for every step; {config.data.held:,} held out for validation, as many for test"),
        ("loss", "mean squared error; always answering the mean reaches 0.167"),
        ("model", f"{reader.cell}, {reader.features} features, {numbers:,} parameters"),
        ("batch", f"{rows} sequences on {jax.device_count()} device(s)"),
    ])  # fmt: skip


def use(config: AddingForecastConfig, folder: RunFolder, read_params) -> AddingUse:
    """The trained model of a run."""
    model = adder(config.model)
    return AddingUse(model, read_params(jax.eval_shape(model.init, jax.random.key(0))))


def evaluate(config: AddingForecastConfig, folder: RunFolder, params, path: str) -> dict[str, float]:
    """Metrics of ``params`` on the held-out sequences."""
    if path:
        raise InputError("evaluate: the adding problem is drawn, not read, so that --data.path has no meaning here.")
    test = AddingBatches(config.data, "test", rows=config.batch_size)
    totals = Evaluator(objective(adder(config.model)), config.compute_dtype)(params, test)
    return report(totals, "test") | baseline(test.held)


def predict(run: AddingUse, lines: list[str], options) -> Iterator[str]:
    """The sum of one sequence, whose steps are the lines: a number, a comma, and 1 where it is marked, else 0."""
    rows = []
    for number, row in enumerate(table_rows("\n".join(lines), "standard input"), 1):
        try:
            value, mark = map(float, row)
        except ValueError:
            raise InputError(
                f"line {number}: should be a number and a mark, such as 0.25,1, but it is {row}."
            ) from None
        rows.append((value, mark))
    if not rows:
        raise InputError("standard input: there is no line to read.")
    xs = np.array(rows, np.float32)[None]
    found = jax.jit(run.model.forecast)(run.params, {"xs": xs, "mask": np.ones(xs.shape[:2], bool)})
    yield f"{float(found.point[0, 0, 0]):.4f}"

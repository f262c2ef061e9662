"""The adding problem at T = 200: which cells remember, each with the best of the same learning rates.

``python -m benchmarks.adding --out FOLDER`` trains tanh, IRNN, LSTM and GRU networks of 64 features for 4,000 steps of
50 sequences, each with four learning rates: about 14 minutes of one core. Every run is a folder of ``forecast adding``
below FOLDER: the same command goes on where it was stopped. It prints a table and draws ``adding.png`` there;
``--write`` appends the table to ``benchmarks/RESULTS.md``.
"""

import dataclasses
import math
import sys
from pathlib import Path

import tyro

from benchmarks import timing
from seqjax.checks import InputError
from seqjax.data.adding import AddingConfig
from seqjax.models.reading import RecurrentReaderConfig
from seqjax.plots import figure, quiet_axes
from seqjax.process import exit_with
from seqjax.tasks import TASKS
from seqjax.tasks.command import Command
from seqjax.tasks.forecast_adding import AdderConfig, AddingForecastConfig
from seqjax.tasks.session import begin, finish, session
from seqjax.training.journal import read
from seqjax.training.optimizers import OptimizerConfig

CELLS = {"tanh": "elman", "IRNN": "irnn", "LSTM": "lstm", "GRU": "gru"}
INPUTS = {"IRNN": 0.03}  # deviation of its first input weights: with 0.001, as published, it needs many more steps
COLORS = {"tanh": "0.55", "IRNN": "#b9770e", "LSTM": "#1f4e79", "GRU": "#c0392b"}
NAIVE, SOLVED = 1 / 6, 0.01  # mean squared error of answering the mean, and what counts as solved


@dataclasses.dataclass(frozen=True)
class Options:
    out: str = "runs/adding"  # folder of the runs and of the picture
    cells: tuple[str, ...] = tuple(CELLS)  # which of tanh, IRNN, LSTM, GRU
    learning_rates: tuple[float, ...] = (1e-2, 3e-3, 1e-3, 3e-4)
    length: int = 200  # T
    steps: int = 4000
    features: int = 64
    seed: int = 0
    write: bool = False  # append to benchmarks/RESULTS.md


@dataclasses.dataclass(frozen=True)
class Result:
    """One run: validation losses against steps, and the loss on the test split."""

    cell: str
    rate: float
    steps: list[int]
    losses: list[float]
    test: float


def run(options: Options, name: str, rate: float) -> Result:
    """Train one network, or go on with it."""
    folder = Path(options.out) / f"{name}-{rate:g}"
    reader = RecurrentReaderConfig(cell=CELLS[name], features=options.features, bidirectional=False)
    config = AddingForecastConfig(
        out=str(folder), steps=options.steps, seed=options.seed, log_every=500, evaluate_every=100, keep=1,
        data=AddingConfig(length=options.length),
        model=AdderConfig(reader=reader, input_deviation=INPUTS.get(name, 0.0)),
        optimizer=OptimizerConfig(learning_rate=rate, warmup=100),
    )  # fmt: skip
    command = Command(TASKS["forecast"], "adding", config)
    try:
        with session(command) as (opened, recorder):
            trainer = begin(command, opened, recorder)
            if finish(trainer.run(recorder), command, trainer, recorder):
                raise SystemExit("stopped; the same command goes on")
    except InputError as error:
        if "not finite" not in str(error):
            raise
        print(error)  # it diverged: its curve ends there
    rows = read(folder / "metrics.jsonl")
    valid = [row for row in rows if row["split"] == "valid"]
    test = [row["loss"] for row in rows if row["split"] == "test"]
    steps, losses = ([row[field] for row in valid] for field in ("step", "loss"))
    return Result(name, rate, steps, losses, test[-1] if test else math.nan)


def best_of(results: list[Result], name: str) -> Result:
    """The run of a cell with the lowest validation loss; it is chosen without the test split."""
    return min((one for one in results if one.cell == name), key=lambda one: min(one.losses, default=math.inf))


def draw(results: list[Result], options: Options) -> Path:
    """Validation loss against steps: of each cell the best learning rate, the others faint."""
    made = figure(figsize=(8, 4.5), dpi=150)
    axes = made.subplots()
    for name in options.cells:
        best = best_of(results, name)
        for one in results:
            if one.cell == name:
                bold = one is best
                label = f"{name}, learning rate {one.rate:g}: {one.test:.2g} on test" if bold else None
                width, alpha = (1.8, 1.0) if bold else (0.8, 0.3)
                axes.plot(one.steps, one.losses, color=COLORS[name], linewidth=width, alpha=alpha, label=label)
    for level, what in ((NAIVE, "always the mean, 1/6"), (SOLVED, "solved, 0.01")):
        axes.axhline(level, color="0.3", linewidth=0.8, linestyle="--")
        axes.annotate(what, (options.steps, level), ha="right", va="bottom", fontsize=8, color="0.3")
    axes.set(yscale="log", xlabel="step", ylabel="mean squared error", xlim=(0, options.steps))
    axes.set_title(f"The adding problem, {options.length} steps", loc="left", fontsize=11, color="0.2")
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    quiet_axes(axes)
    path = Path(options.out) / "adding.png"
    made.savefig(path)
    return path


def main(options: Options) -> None:
    """Train, print, draw, and perhaps write."""
    if unknown := [name for name in options.cells if name not in CELLS]:
        raise SystemExit(f"--cells: {unknown[0]} is none of {', '.join(CELLS)}")
    results = [run(options, name, rate) for name in options.cells for rate in options.learning_rates]
    rows = []
    for name in options.cells:
        best = best_of(results, name)
        tests = [f"{one.test:.4f}" for one in results if one.cell == name]
        solved = next((f"{step:,}" for step, loss in zip(best.steps, best.losses, strict=True) if loss < SOLVED), "")
        rows.append([name, *tests, f"{best.rate:g}", f"{best.test:.4f}", solved])
    header = ["cell", *(f"rate {rate:g}" for rate in options.learning_rates), "best rate", "test", "below 0.01 at"]
    note = (
        f"Mean squared error on 1,000 test sequences of {options.length} steps; {options.features} features, "
        f"{options.steps:,} steps of 50 sequences. Always answering the mean reaches 0.167. The best rate is the one "
        "with the lowest validation loss; `below 0.01 at` is the first validation of that run below 0.01."
    )
    timing.report("The adding problem", f"{note}\n\n{timing.table(header, rows)}", options.write)
    print(f"curves: {draw(results, options)}")


if __name__ == "__main__":
    exit_with(lambda words: main(tyro.cli(Options, args=words, description=__doc__)), sys.argv[1:])

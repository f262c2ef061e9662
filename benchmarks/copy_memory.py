"""Copy memory at T = 100: which networks say ten symbols again after a hundred steps of nothing.

``python -m benchmarks.copy_memory --out FOLDER`` trains a tanh network, an LSTM, a GRU, JANET and a temporal
convolutional network: about 7 minutes of one core. Every run is a folder of ``tag copy-memory`` below FOLDER: the same
command goes on where it was stopped. It prints a table and draws ``copy-memory.png`` there; ``--write`` appends the
table to ``benchmarks/RESULTS.md``.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any

import tyro

from benchmarks import timing
from seqjax.checks import InputError
from seqjax.data.copy_memory import CopyMemoryConfig, memoryless
from seqjax.models.reading import RecurrentReaderConfig
from seqjax.plots import figure, quiet_axes
from seqjax.process import prepare_process
from seqjax.tasks import TASKS
from seqjax.tasks.command import Command
from seqjax.tasks.session import begin, finish, session
from seqjax.training.journal import read
from seqjax.training.optimizers import OptimizerConfig

CELLS = {"tanh": "elman", "LSTM": "lstm", "GRU": "gru", "JANET": "janet"}
RATES = {"tanh": 1e-3}  # of the others, --learning-rate; a tanh network breaks down at 5e-3
COLORS = {"tanh": "0.55", "LSTM": "#1f4e79", "GRU": "#c0392b", "JANET": "#b9770e", "TCN": "#2d7d46"}


@dataclasses.dataclass(frozen=True)
class Options:
    out: str = "runs/copy-memory"  # folder of the runs and of the picture
    networks: tuple[str, ...] = tuple(COLORS)  # which of tanh, LSTM, GRU, JANET, TCN
    blanks: int = 100  # T
    steps: int = 5000  # of each recurrent network; the convolutional one takes a tenth of them
    learning_rate: float = 5e-3
    features: int = 128  # of each recurrent network
    seed: int = 0
    write: bool = False  # append to benchmarks/RESULTS.md


@dataclasses.dataclass(frozen=True)
class Result:
    """One run: validation losses against steps, and how it did on the test split."""

    name: str
    steps: list[int]
    losses: list[float]
    test: dict[str, float]


def configured(options: Options, name: str) -> Any:
    """The configuration of one network: that of a preset, with other sizes."""
    presets = TASKS["tag"].presets
    data = CopyMemoryConfig(blanks=options.blanks, longest=max(512, options.blanks + 20))
    shared: dict[str, Any] = {
        "out": str(Path(options.out) / name.lower()), "data": data, "seed": options.seed, "keep": 1, "shown": 0,
        "log_every": 500,
    }  # fmt: skip
    if name == "TCN":
        return dataclasses.replace(presets["copy-memory-tcn"], steps=options.steps // 10, evaluate_every=50, **shared)
    base: Any = presets["copy-memory"]
    reader = RecurrentReaderConfig(cell=CELLS[name], features=options.features, bidirectional=False)
    rate = OptimizerConfig(learning_rate=RATES.get(name, options.learning_rate), warmup=50)
    model = dataclasses.replace(base.model, reader=reader)
    return dataclasses.replace(base, model=model, optimizer=rate, steps=options.steps, evaluate_every=200, **shared)


def run(options: Options, name: str) -> Result:
    """Train one network, or go on with it."""
    config = configured(options, name)
    command = Command(TASKS["tag"], "copy-memory-tcn" if name == "TCN" else "copy-memory", config)
    try:
        with session(command) as (opened, recorder):
            trainer = begin(command, opened, recorder)
            if finish(trainer.run(recorder), command, trainer, recorder):
                raise SystemExit("stopped; the same command goes on")
    except InputError as error:  # it diverged
        print(error)
    rows = read(Path(config.out) / "metrics.jsonl")
    valid = [row for row in rows if row["split"] == "valid"]
    test = [row for row in rows if row["split"] == "test"]
    return Result(name, *([row[field] for row in valid] for field in ("step", "loss")), test[-1] if test else {})


def draw(results: list[Result], options: Options) -> Path:
    """Validation loss against steps."""
    made = figure(figsize=(8, 4.5), dpi=150)
    axes = made.subplots()
    for one in results:
        label = f"{one.name}: {one.test.get('loss', math.nan):.2g} on test"
        axes.plot(one.steps, one.losses, color=COLORS[one.name], linewidth=1.8, label=label)
    level = memoryless(options.blanks)
    axes.axhline(level, color="0.3", linewidth=0.8, linestyle="--")
    told = f"memoryless, {level:.3f}"
    axes.annotate(told, (options.steps, level), ha="right", va="bottom", fontsize=8, color="0.3")
    axes.set(yscale="log", xlabel="step", ylabel="cross-entropy (nats per step)", xlim=(0, options.steps))
    axes.set_title(f"Ten symbols, remembered over {options.blanks} steps", loc="left", fontsize=11, color="0.2")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    quiet_axes(axes)
    path = Path(options.out) / "copy-memory.png"
    made.savefig(path)
    return path


def main(options: Options) -> None:
    """Train, print, draw, and perhaps write."""
    if unknown := [name for name in options.networks if name not in COLORS]:
        raise SystemExit(f"--networks: {unknown[0]} is none of {', '.join(COLORS)}")
    results = [run(options, name) for name in options.networks]
    level, rows = memoryless(options.blanks), []
    for one in results:
        loss = one.test.get("loss", math.nan)
        halved = next((f"{at:,}" for at, now in zip(one.steps, one.losses, strict=True) if now < level / 2), "")
        rows.append([one.name, f"{one.steps[-1]:,}", f"{loss:.2g}", f"{loss / level:.1%}", halved])
    header = ["network", "steps", "test loss", "of memoryless", "below half of it at"]
    note = (
        f"Cross-entropy in nats per step over all {options.blanks + 20} steps of 512 test sequences; a model that "
        f"remembers nothing reaches 10 ln 8 / {options.blanks + 20} = {level:.4f}. Every training sequence is new; "
        f"{options.features} features, batches of 32; the TCN has 32 features, 4 levels of 8 taps, batches of 64."
    )
    timing.report("Copy memory", f"{note}\n\n{timing.table(header, rows)}", options.write)
    print(f"curves: {draw(results, options)}")


if __name__ == "__main__":
    prepare_process()
    main(tyro.cli(Options, description=__doc__))

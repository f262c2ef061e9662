"""A recurrent layer in seqjax, Flax NNX, Flax linen, Keras 3 on JAX and PyTorch, and the floor under it.

``python -m benchmarks.recurrence`` times forward, and forward + gradient with respect to inputs and
parameters, interleaved in one process, and ends with the targets and what was measured. ``--quick`` looks at
the LSTM alone with few rounds; ``--write`` appends the tables to ``benchmarks/RESULTS.md``.
"""

import dataclasses
import time
from collections.abc import Iterable

import tyro

from benchmarks import timing
from benchmarks.floor import floors
from benchmarks.libraries import LIBRARIES, Shape, contenders

SHAPES = ("1,256,256,256", "20,35,650,650", "32,100,128,128", "32,128,256,256", "64,64,512,512")
MODES = ("forward", "gradient")
COLUMNS = ("seqjax fused", "seqjax scan", "nnx", "linen", "keras", "torch", "products in JAX", "products in torch")
CELLS = {"lstm": "LSTM", "gru": "GRU", "elman": "Elman"}
BASE = "seqjax fused"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    cells: tuple[str, ...] = ("lstm", "gru", "elman")
    shapes: tuple[str, ...] = SHAPES  # batch,time,in_features,features
    libraries: tuple[str, ...] = LIBRARIES
    rounds: int = 7  # timings of each; the median counts
    quick: bool = False  # LSTM, three rounds
    write: bool = False  # append to benchmarks/RESULTS.md


@dataclasses.dataclass(frozen=True)
class Row:
    """Medians of one cell at one shape, seconds; Flax's better cell stands for its library."""

    cell: str
    shape: Shape
    mode: str
    seconds: dict[str, float]
    chosen: dict[str, str]  # which Flax cell was taken

    def ratio(self, name: str, base: str = BASE) -> float:
        """How many times as long as ``base`` it takes."""
        return self.seconds[name] / self.seconds[base]

    def flax(self) -> float:
        """How many times as long as seqjax the faster of the two Flax libraries takes."""
        return min(self.ratio(name) for name in ("nnx", "linen") if name in self.seconds)


def measure(cell: str, shape: Shape, libraries: Iterable[str], rounds: int) -> list[Row]:
    """Time every library at one cell and shape, all of it interleaved."""
    entries = contenders(cell, shape, libraries) | floors(cell, shape, libraries)
    calls = {f"{name}|{mode}": getattr(entry, mode) for name, entry in entries.items() for mode in MODES}
    times = timing.interleaved(calls, rounds)
    return [
        _row(cell, shape, mode, {name: timing.median(times[f"{name}|{mode}"]) for name in entries}) for mode in MODES
    ]


def _row(cell: str, shape: Shape, mode: str, medians: dict[str, float]) -> Row:
    seconds, chosen = dict(medians), {}
    for library in ("nnx", "linen"):
        kinds = {name: value for name, value in medians.items() if name.startswith(f"{library} ")}
        if kinds:
            best = min(kinds, key=lambda name: kinds[name])
            seconds[library], chosen[library] = kinds[best], best.split(" ")[1]
    return Row(cell, shape, mode, {name: seconds[name] for name in COLUMNS if name in seconds}, chosen)


def times_table(rows: list[Row]) -> str:
    """Milliseconds, one row for each cell, mode and shape."""
    names = list(rows[0].seconds)
    lines = [[_title(row), *(timing.milliseconds(row.seconds[name]) for name in names)] for row in rows]
    return timing.table(["ms (batch,time,D,H)", *names], lines)


def ratios_table(rows: list[Row]) -> str:
    """Times as multiples of seqjax fused."""
    names = [name for name in rows[0].seconds if name != BASE]
    lines = [[_title(row), *(f"{row.ratio(name):.2f}" for name in names)] for row in rows]
    return timing.table(["times seqjax fused", *names], lines)


def flax_note(rows: list[Row]) -> str:
    """How often each of Flax's two LSTMs was the faster."""
    chosen = [f"{library} {kind}" for row in rows if row.cell == "LSTM" for library, kind in row.chosen.items()]
    counts = ", ".join(f"{name} {chosen.count(name)}" for name in sorted(set(chosen)))
    return f"The faster of Flax's LSTM cells was taken: {counts}." if counts else ""


def torch_note(rows: list[Row]) -> str:
    """What is to be reported of PyTorch."""
    means = {
        mode: timing.geometric_mean(row.ratio("torch") for row in rows if row.mode == mode)
        for mode in MODES
        if "torch" in rows[0].seconds
    }
    text = ", ".join(f"{mode} {mean:.2f}" for mode, mean in means.items())
    return f"PyTorch's time as a multiple of seqjax's, geometric means: {text}." if text else ""


def verdicts(rows: list[Row]) -> str:
    """The targets of a training step (forward + gradient) against what was measured."""
    steps = [row for row in rows if row.mode == "gradient"]
    claims: list[tuple[str, float, str, float]] = []
    if {"nnx", "linen"} & set(rows[0].seconds):
        gated = [row.flax() for row in steps if row.cell in ("LSTM", "GRU")]
        slowest = min(steps, key=Row.flax)
        claims.append((f"faster than Flax everywhere: worst is {_title(slowest)}", slowest.flax(), "≥", 1.0))
        claims += [(f"faster than Flax at batch 1, {r.cell}", r.flax(), "≥", 3.0) for r in steps if r.shape.batch == 1]
        if gated:
            claims.append(("faster than Flax, geometric mean of LSTM and GRU", timing.geometric_mean(gated), "≥", 1.4))
    for row in steps:
        if row.shape.batch >= 20 and "products in JAX" in row.seconds:
            claims.append((f"whole step over its products, {_title(row)}", 1 / row.ratio("products in JAX"), "≤", 1.3))
    return timing.verdict(claims)


def _title(row: Row) -> str:
    return f"{row.cell} {row.mode} {','.join(map(str, row.shape))}"


def main(options: Options) -> None:
    """Measure, print, and perhaps write."""
    cells = ("lstm",) if options.quick else options.cells
    rounds = 3 if options.quick else options.rounds
    rows: list[Row] = []
    started = time.perf_counter()
    with timing.Others() as others:
        for cell in cells:
            for text in options.shapes:
                shape = Shape(*map(int, text.split(",")))
                rows += measure(CELLS[cell], shape, options.libraries, rounds)
                print(f"{cell} {text}: {time.perf_counter() - started:.0f} s", flush=True)
    parts = [
        f"Medians of {rounds} interleaved rounds, float32; other processes took {others.share:.0%} of the cores.",
        flax_note(rows),
        times_table(rows),
    ]
    if "seqjax" in options.libraries:
        parts += [ratios_table(rows), torch_note(rows), verdicts(rows)]
    timing.report("Recurrences", "\n\n".join(part for part in parts if part), options.write)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

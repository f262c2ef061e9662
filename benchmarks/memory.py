"""What ``remat="chunk"`` saves in memory and costs in time, for full backpropagation through time.

``python -m benchmarks.memory`` takes the LSTM at T=4096, D=H=256, batch 8; ``--write`` appends the table to
``benchmarks/RESULTS.md``.
"""

import dataclasses
from collections.abc import Callable
from typing import Literal

import jax
import tyro

from benchmarks import timing
from seqjax import cells, unroll

METHODS: tuple[Literal["fused", "scan"], ...] = ("fused", "scan")
REMATS: tuple[Literal["none", "chunk"], ...] = ("none", "chunk")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    batch: int = 8
    time: int = 4096  # steps
    features: int = 256  # D and H
    rounds: int = 5  # timings of each; the median counts
    write: bool = False  # append to benchmarks/RESULTS.md


def compiled(options: Options, method, remat) -> tuple[Callable[[], object], int]:
    """One compiled layer, forward and back, and its temporary memory in bytes: what is neither argument nor result."""
    params = cells.LSTM.init(jax.random.key(0), options.features, options.features)
    xs = jax.random.normal(jax.random.key(1), (options.batch, options.time, options.features))

    cotangent = jax.random.normal(jax.random.key(2), (options.batch, options.time, options.features))

    def forward_and_back(params, xs, cotangent):
        ys, pull = jax.vjp(lambda params, xs: unroll(cells.LSTM, params, xs, method=method, remat=remat)[1], params, xs)
        return ys, pull(cotangent)

    step = jax.jit(forward_and_back).lower(params, xs, cotangent).compile()
    analysis = step.memory_analysis()
    if analysis is None:
        raise RuntimeError(f"benchmarks.memory: {jax.default_backend()} does not say what memory a program needs.")
    return lambda: jax.block_until_ready(step(params, xs, cotangent)), analysis.temp_size_in_bytes


def main(options: Options) -> None:
    """Measure, print, and perhaps write."""
    steps = {(method, remat): compiled(options, method, remat) for method in METHODS for remat in REMATS}
    with timing.Others() as others:
        times = timing.interleaved({" ".join(key): step for key, (step, _) in steps.items()}, options.rounds)
    seconds = {key: timing.median(times[" ".join(key)]) for key in steps}
    rows, claims = [], []
    for method in METHODS:
        none, chunk = ((steps[method, remat][1], seconds[method, remat]) for remat in REMATS)
        rows += [
            [
                f"{method}, {remat}",
                f"{steps[method, remat][1] / 2**20:.1f}",
                timing.milliseconds(seconds[method, remat]),
            ]
            for remat in REMATS
        ]
        claims.append((f"memory, none over chunk, {method}", none[0] / chunk[0], "≥", 6.0))
        claims.append((f"time, chunk over none, {method}", chunk[1] / none[1], "≤", 1.4))
    shape = f"LSTM, batch {options.batch}, T={options.time}, D=H={options.features}, forward + gradient"
    note = f"{shape}; medians of {options.rounds} rounds; other processes took {others.share:.0%} of the cores."
    body = [note, timing.table(["method, remat", "temporary MiB", "ms"], rows), timing.verdict(claims)]
    timing.report("Memory of backpropagation through time", "\n\n".join(body), options.write)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

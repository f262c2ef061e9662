"""Libraries that train in processes of their own and take turns, block by block.

A process of its own gives time to first step (imports and compilation included) and peak memory; turns let a busy
machine disturb all of them alike.
"""

import json
import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import timing

Learn = Callable[[np.ndarray, np.ndarray], Any]  # (inputs, targets), ids (B, T): one step; float(result) is its loss
Pairs = Iterator[tuple[np.ndarray, np.ndarray]]
HEADER = ["tokens/s", "first step, s", "peak MiB", "steps", "bits/char"]


def work(learn: Learn, stream: Pairs) -> None:
    """Be one library's process: one step at once, then as many as each line of standard input says."""
    _say(loss=float(learn(*next(stream))))
    for line in sys.stdin:
        start, losses = time.perf_counter(), []
        for _ in range(int(line)):
            losses.append(learn(*next(stream)))
        last = float(losses[-1])  # waits for the work to end
        seconds = time.perf_counter() - start
        mean = statistics.fmean([last, *map(float, losses[-50:-1])])
        _say(seconds=seconds, loss=mean, peak=_peak_bytes())


def _say(**values) -> None:
    print(json.dumps(values), flush=True)


def _peak_bytes() -> int:
    """The most memory this process ever held; ``ru_maxrss`` would count its parent's too."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Worker:
    """A library's process, seen from outside."""

    def __init__(self, module: str, library: str, setting: str):
        self.library = library
        command = [sys.executable, "-m", *module.split(), "--worker", library, "--settings", setting]
        start = time.perf_counter()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.loss = self._hear()["loss"]
        self.first_step = time.perf_counter() - start  # seconds since the process began
        self.speeds: list[float] = []  # steps a second
        self.steps, self.peak = 1, 0

    def block(self, steps: int, keep: bool = True) -> None:
        """Train ``steps`` steps and note the speed."""
        assert self.process.stdin is not None
        print(steps, file=self.process.stdin, flush=True)
        heard = self._hear()
        self.loss, self.peak, self.steps = heard["loss"], int(heard["peak"]), self.steps + steps
        if keep:
            self.speeds.append(steps / heard["seconds"])

    def _hear(self) -> dict[str, float]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"benchmarks: {self.library}'s process ended with {self.process.wait()}.")
        return json.loads(line)

    def close(self) -> None:
        """Let the process end."""
        self.process.communicate()

    def row(self, name: str, tokens: int) -> list[object]:
        """What the table says of it, a step being so many tokens."""
        speed = timing.median(self.speeds) * tokens
        bits = f"{self.loss / math.log(2):.2f}"
        seen = f"{speed:,.0f}", f"{self.first_step:.1f}", f"{self.peak / 2**20:.0f}"
        return [f"{name} {self.library}", *seen, self.steps, bits]


def compare(module: str, setting: str, libraries: Sequence[str], rounds: int, seconds: float) -> dict[str, Worker]:
    """Start each library's process, one after the other, then let them take turns.

    Args:
        module: what is run, and its flags: ``python -m MODULE --worker LIBRARY --settings SETTING``.
        setting: what they train.
        libraries: by name.
        rounds: blocks of each; the median counts.
        seconds: how long a block lasts.
    """
    workers = {library: Worker(module, library, setting) for library in libraries}
    for worker in workers.values():
        worker.block(5, keep=False)
        worker.block(5)
    steps = max(2, round(seconds * statistics.fmean(w.speeds.pop() for w in workers.values())))
    for turn in range(rounds):
        for worker in list(workers.values())[:: 1 if turn % 2 else -1]:
            time.sleep(timing.REST)
            worker.block(steps)
    for worker in workers.values():
        worker.close()
    return workers

"""A whole character language model, trained on the same text in seqjax and in plain PyTorch.

Embedding, LSTM layers, softmax; Adam, gradients clipped to norm 1, truncated backpropagation with carried
state; the text is the Python documentation that ships inside Python. Each library runs in a process of its
own, which gives time to first step (imports and compilation included) and peak memory; both processes
stay alive and take turns, block by block, which gives tokens a second.

``python -m benchmarks.language_model``; ``--write`` appends the table to ``benchmarks/RESULTS.md``.
"""

import dataclasses
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tyro

from benchmarks import timing

LEARNING_RATE, CLIP = 2e-3, 1.0
TARGETS = {1: 1.0, 20: 0.75, 32: 0.75}  # batch: the share of PyTorch's tokens a second to reach


class Setting(NamedTuple):
    batch: int  # B
    time: int  # T, steps of truncated backpropagation
    features: int  # H, also the embedding's
    layers: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    settings: tuple[str, ...] = ("1,256,256,1", "20,35,650,1", "32,128,256,1")  # batch,time,features,layers
    libraries: tuple[str, ...] = ("seqjax", "torch")
    rounds: int = 7  # blocks of each library; the median counts
    seconds: float = 1.5  # how long a block lasts
    write: bool = False  # append to benchmarks/RESULTS.md
    worker: str = ""  # internal: be the process of this library, at the first setting


Learn = Callable[[np.ndarray, np.ndarray], Any]  # (inputs, targets), ids (B, T): one step; float(result) is its loss


def text() -> str:
    """The documentation inside Python: topics in alphabetical order, the first 80 % of the characters."""
    from pydoc_data.topics import topics

    whole = "".join(topics[name] for name in sorted(topics))
    return whole[: len(whole) * 8 // 10]


def batches(setting: Setting) -> tuple[int, Iterator[tuple[np.ndarray, np.ndarray]]]:
    """The number of characters, and windows (B, T) of B contiguous streams with the next characters, for ever."""
    symbols, ids = np.unique(np.array(list(text())), return_inverse=True)
    rows = ids[: len(ids) // setting.batch * setting.batch].reshape(setting.batch, -1).astype(np.int32)
    starts = range(0, rows.shape[1] - setting.time - 1, setting.time)

    def windows():
        while True:
            for start in starts:
                window = rows[:, start : start + setting.time + 1]
                yield np.ascontiguousarray(window[:, :-1]), np.ascontiguousarray(window[:, 1:])

    return len(symbols), windows()


def seqjax_learner(setting: Setting, vocabulary: int) -> Learn:
    """The model, the objective and the pmapped step that ``python train.py`` uses."""
    import jax
    import optax

    from seqjax.models import LanguageModelConfig, whole_past
    from seqjax.tasks.lm import objective
    from seqjax.training.devices import local_rows, place
    from seqjax.training.state import create_state
    from seqjax.training.step import make_train_step, parallel

    model = whole_past(LanguageModelConfig(features=setting.features, layers=setting.layers), vocabulary)
    optimizer = optax.chain(optax.clip_by_global_norm(CLIP), optax.adam(LEARNING_RATE))
    step = parallel(make_train_step(objective(model), optimizer))
    key = jax.random.key(0)
    start = jax.jit(lambda key: create_state(model.init(key), optimizer))(key)
    memory = [place(start._replace(carry=model.carry(setting.batch)))]
    real, never = np.ones((setting.batch, setting.time), bool), np.zeros((setting.batch, setting.time), bool)

    def learn(inputs, targets):
        batch = {"inputs": inputs, "targets": targets, "mask": real, "reset": never, "scored": real}
        memory[0], metrics = step(memory[0], local_rows(batch), key)
        return metrics["loss"][0]

    return learn


def torch_learner(setting: Setting, vocabulary: int) -> Learn:
    """The same model as PyTorch's own tutorials would write it."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    width = setting.features
    embedding, head = torch.nn.Embedding(vocabulary, width), torch.nn.Linear(width, vocabulary)
    lstm = torch.nn.LSTM(width, width, setting.layers, batch_first=True)
    params = [*embedding.parameters(), *lstm.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(params, LEARNING_RATE)
    zeros = torch.zeros(setting.layers, setting.batch, width)
    memory = [(zeros, zeros)]

    def learn(inputs, targets):
        optimizer.zero_grad()
        ys, state = lstm(embedding(torch.from_numpy(inputs)), memory[0])
        loss = torch.nn.functional.cross_entropy(head(ys).flatten(0, 1), torch.from_numpy(targets).long().flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, CLIP)
        optimizer.step()
        memory[0] = tuple(leaf.detach() for leaf in state)
        return loss.detach()

    return learn


LEARNERS = {"seqjax": seqjax_learner, "torch": torch_learner}


def work(library: str, setting: Setting) -> None:
    """Be one library's process: one step at once, then as many as each line of standard input says."""
    vocabulary, stream = batches(setting)
    learn = LEARNERS[library](setting, vocabulary)
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

    def __init__(self, library: str, setting: str):
        self.library = library
        command = [sys.executable, "-m", "benchmarks.language_model", "--worker", library, "--settings", setting]
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
            raise RuntimeError(f"benchmarks.language_model: {self.library}'s process ended with {self.process.wait()}.")
        return json.loads(line)

    def close(self) -> None:
        """Let the process end."""
        self.process.communicate()


def compare(setting: str, options: Options) -> dict[str, Worker]:
    """Start each library's process, one after the other, then let them take turns."""
    workers = {library: Worker(library, setting) for library in options.libraries}
    for worker in workers.values():
        worker.block(5, keep=False)
        worker.block(5)
    steps = max(2, round(options.seconds * statistics.fmean(w.speeds.pop() for w in workers.values())))
    for turn in range(options.rounds):
        for worker in list(workers.values())[:: 1 if turn % 2 else -1]:
            time.sleep(timing.REST)
            worker.block(steps)
    for worker in workers.values():
        worker.close()
    return workers


def main(options: Options) -> None:
    """Measure, print, and perhaps write."""
    if options.worker:
        work(options.worker, Setting(*map(int, options.settings[0].split(","))))
        return
    rows, claims = [], []
    with timing.Others() as others:
        for name in options.settings:
            setting, workers = Setting(*map(int, name.split(","))), compare(name, options)
            speeds = {k: timing.median(w.speeds) * setting.batch * setting.time for k, w in workers.items()}
            for library, w in workers.items():
                measured = [f"{speeds[library]:,.0f}", f"{w.first_step:.1f}", f"{w.peak / 2**20:.0f}"]
                rows.append([f"{name} {library}", *measured, w.steps, f"{w.loss / math.log(2):.2f}"])
            if {"seqjax", "torch"} <= set(workers):
                ratio = speeds["seqjax"] / speeds["torch"]
                claims.append((f"tokens a second over PyTorch's, {name}", ratio, "≥", TARGETS.get(setting.batch, 0.75)))
    header = ["batch,time,H,layers", "tokens/s", "first step, s", "peak MiB", "steps", "bits/char"]
    note = f"Medians of {options.rounds} blocks; other processes took {others.share:.0%} of the cores."
    note += " Bits per character are the mean of the last 50 training steps: a sign that both train."
    body = [note, timing.table(header, rows), timing.verdict(claims)]
    timing.report("Language model", "\n\n".join(body), options.write)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

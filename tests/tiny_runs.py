"""Tiny runs of a language model, here or in processes of their own, and what they left behind.

``.ci/kill_test.py`` uses this too, so nothing here imports pytest.
"""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from seqjax.tasks.command import read_command
from seqjax.tasks.session import begin, finish, session
from seqjax.training.checkpoint import Checkpoints
from seqjax.training.journal import read
from seqjax.training.store import Store

TRAIN = Path(__file__).parent.parent / "train.py"
TIMES = ("tokens_per_second", "seconds")  # what two equal runs need not agree on
TEXT = "".join(f"{n} bottles on the wall, {n} bottles: take {n % 7} down, pass {n * n} around.\n\n" for n in range(99))


def flags(folder: Path, **changes) -> list[str]:
    """The command of a tiny run into ``folder``/run, on a text beside it; ``model__layers=2`` is --model.layers 2."""
    text = folder / "text.txt"
    folder.mkdir(parents=True, exist_ok=True)
    text.write_text(TEXT)
    options = {
        "out": folder / "run", "data.path": text, "data.documents": "paragraph", "data.length": 16, "steps": 40,
        "batch-size": 4, "model.features": 8, "model.dropout": 0.3, "log-every": 5, "evaluate-every": 10,
        "sample-tokens": 20, "optimizer.warmup": 5,
    }  # fmt: skip
    options |= {name.replace("__", ".").replace("_", "-"): value for name, value in changes.items()}
    pairs = [(f"--{name}", str(value)) for name, value in options.items()]
    return [word for pair in pairs for word in pair]


def run_here(arguments: list[str], *, at: int | None = None, act=None) -> int:
    """Train in this process; ``act()`` after the step number ``at`` of this start. The exit code."""
    command = read_command(arguments)
    with session(command) as (folder, recorder):
        trainer = begin(command, folder, recorder)
        step, taken = trainer.step, itertools.count(1)

        def counted(*values):
            if next(taken) == at:
                act()
            return step(*values)

        trainer.step = counted
        return finish(trainer.run(recorder), command, trainer, recorder)


def ask_to_stop() -> None:
    """What a cluster does before it takes a machine away."""
    signal.raise_signal(signal.SIGTERM)


def start(arguments: list[str], *, script: Path = TRAIN, **environment) -> subprocess.Popen:
    """Train in a process with one device, which shares the compilation cache of the tests."""
    flags = [flag for flag in os.environ.get("XLA_FLAGS", "").split() if "device_count" not in flag]
    own = os.environ | {"XLA_FLAGS": " ".join(flags), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    return subprocess.Popen(
        [sys.executable, str(script), *arguments], env=own | environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def output_of(process: subprocess.Popen, code: int = 0) -> str:
    """What a process said, once it has ended with this exit code; it is killed after a minute and a half."""
    try:
        said = process.communicate(timeout=90)[0]
    finally:
        process.kill()
    assert process.returncode == code, f"exit code {process.returncode}, not {code}:\n{said}"
    return said


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Record(NamedTuple):
    """What a run left behind, times left out."""

    rows: list[dict]
    samples: str
    step: int  # of the newest checkpoint
    meta: dict
    arrays: dict[str, dict[str, np.ndarray]]


def record(folder: Path) -> Record:
    """Read ``folder``/run; its newest checkpoint must verify."""
    run = folder / "run"
    found = read(run / "metrics.jsonl") if (run / "metrics.jsonl").exists() else []
    rows = [{name: value for name, value in row.items() if name not in TIMES} for row in found]
    with Checkpoints(run / "checkpoints") as checkpoints:
        newest = checkpoints.statuses()[-1]
    assert newest.ok, newest.reason
    store = Store((run / "checkpoints").absolute())
    document = store.read_document(newest.step)
    arrays = store.read(newest.step, document["arrays"])
    store.close()
    samples = run / "samples.txt"
    return Record(rows, samples.read_text() if samples.exists() else "", newest.step, document["meta"], arrays)


def difference(one: Record, other: Record) -> str:
    """Where two records differ in so much as a bit; "" if nowhere."""
    for a, b in zip(one.rows, other.rows, strict=False):
        if json.dumps(a) != json.dumps(b):
            return f"metrics.jsonl: {a} and {b}"
    for name in ("rows", "samples", "step", "meta"):
        if getattr(one, name) != getattr(other, name):
            return f"{name}: {getattr(one, name)!r:.2000} and {getattr(other, name)!r:.2000}"
    names = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), found.arrays) for found in (one, other)]
    if names[0] != names[1]:
        return f"the checkpoints hold other arrays: {names[0]} and {names[1]}"
    for item, arrays in one.arrays.items():
        for name, array in arrays.items():
            if array.tobytes() != other.arrays[item][name].tobytes():
                return f"checkpoint of step {one.step}: {item} {name}"
    return ""

"""Kill a training run twenty times with SIGKILL, then let it end: it must be, bit for bit, the run left alone.

Kills fall at random moments of the start, of the steps, while a checkpoint is being written, and between a
checkpoint and its manifest. Prints one line a kill and the verdict; exit code 1 on any difference.

Usage: python .ci/kill_test.py [SEED]
"""

import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", os.path.join(tempfile.gettempdir(), "seqjax-test-cache"))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from tiny_runs import difference, flags, output_of, record, start

KINDS = ["start"] * 2 + ["steps"] * 8 + ["save"] * 5 + ["unsealed"] * 5
RUN = {
    "steps": 400, "log_every": 4, "evaluate_every": 8, "keep": 2, "sample_tokens": 5, "average": 0.9,
    "optimizer__schedule": "plateau", "optimizer__patience": 1,
}  # fmt: skip
PATIENCE = 60.0  # seconds until a moment that does not come is given up


def names(folder: Path) -> set[str]:
    """What lies in a folder that may not be there."""
    try:
        return {entry.name for entry in os.scandir(folder)}
    except FileNotFoundError:
        return set()


def being_saved(checkpoints: Path, before: set[str]) -> bool:
    """Whether Orbax is writing a step that was not there before."""
    return any(".orbax-checkpoint-tmp" in name for name in names(checkpoints) - before)


def unsealed(checkpoints: Path, before: set[str]) -> bool:
    """Whether a new step lies whole in its place but has no manifest yet."""
    new = (name for name in names(checkpoints) - before if name.isdecimal())
    return any(not (checkpoints / name / "manifest.json").exists() for name in new)


def size_of(path: Path) -> int:
    """Bytes of a file that may not be there."""
    return path.stat().st_size if path.exists() else 0


def kill_once(command: list[str], folder: Path, kind: str, pick: random.Random) -> str:
    """Start the run, kill it at a moment of this kind, and say what lay on the disk; "" if it ended before that."""
    checkpoints, metrics = folder / "run" / "checkpoints", folder / "run" / "metrics.jsonl"
    before, length, begun = names(checkpoints), size_of(metrics), time.monotonic()
    process = start(command)
    moment = {
        "start": lambda: True,
        "steps": lambda: size_of(metrics) > length,
        "save": lambda: being_saved(checkpoints, before),
        "unsealed": lambda: unsealed(checkpoints, before),
    }[kind]
    while not moment() and process.poll() is None and time.monotonic() - begun < PATIENCE:
        time.sleep(0.0003)
    time.sleep(pick.random() * {"start": 2.0, "steps": 0.4, "save": 0.004, "unsealed": 0.0}[kind])
    if process.poll() is not None:
        output_of(process)
        return ""
    process.kill()
    said = output_of(process, -9)
    state = (
        "in a save" if being_saved(checkpoints, before) else "unsealed" if unsealed(checkpoints, before) else "whole"
    )
    from_step = said.partition("continuing at step ")[2].partition(" ")[0] or "0"
    return f"from step {from_step}, {time.monotonic() - begun:.1f} s, checkpoints {state}"


def finished(folder: Path, alone: Path) -> str:
    """Let a run come to its end; where it differs from the one left alone, or ""."""
    output_of(start(flags(folder, **RUN)))
    return difference(record(alone), record(folder))


def main(seed: int) -> int:
    """Kill one run again and again, another one if that ended meanwhile, and compare; the exit code."""
    pick, begun = random.Random(seed), time.monotonic()
    states: Counter[str] = Counter()
    found: list[str] = []
    kinds = pick.sample(KINDS, len(KINDS))
    with tempfile.TemporaryDirectory() as name:
        alone, killed = Path(name) / "alone", Path(name) / "killed-0"
        output_of(start(flags(alone, **RUN)))
        for number, kind in enumerate(kinds, 1):
            while not (line := kill_once(flags(killed, **RUN), killed, kind, pick)):
                found.append(finished(killed, alone))
                killed = Path(name) / f"killed-{len(found)}"
            states[line.rpartition("checkpoints ")[2]] += 1
            print(f"kill {number:2}  {kind:8}  {line}", flush=True)
        found.append(finished(killed, alone))
    windows = ", ".join(f"{count} {state}" for state, count in states.items())
    verdict = "; ".join(filter(None, found)) or "no difference"
    print(f"{len(kinds)} kills (seed {seed}; {windows}) in {time.monotonic() - begun:.0f} s: {verdict}")
    return 1 if any(found) else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(10**6)))

"""From a command to a run, and from a run back to its model."""

import contextlib
import dataclasses
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from seqjax.checks import InputError, nearest
from seqjax.tasks import TASKS
from seqjax.tasks.contract import Built, Task
from seqjax.training.checkpoint import Checkpoints
from seqjax.training.configuration import from_dict
from seqjax.training.devices import join_cluster
from seqjax.training.folder import Identity, RunFolder, as_identity, open_run, read_run
from seqjax.training.loop import Outcome, Trainer
from seqjax.training.progress import reporter
from seqjax.training.recorder import Recorder

STARTED = time.perf_counter()


class Command(NamedTuple):
    """What ``python train.py`` was asked to do."""

    task: Task
    preset: str
    config: Any


def read_command(arguments: Sequence[str], program: str = "train.py") -> Command:
    """``[TASK] [PRESET] [--flags]``: flags win over ``--config FILE``, which wins over the preset.

    Raises:
        InputError: an unknown task or preset; a configuration file that does not fit.
        SystemExit: ``--help`` (0), or a flag that is wrong (2).
    """
    import tyro

    words = list(arguments)
    task = TASKS[_word(words, "task", TASKS, "lm")]
    preset = _word(words, "preset", task.presets, task.default)
    config = task.presets[preset]
    if "--config" in words:
        place = words.index("--config")
        if place + 1 == len(words):
            raise InputError("--config should be followed by a file, such as runs/NAME/config.json.")
        config = _from_file(words[place + 1], task)
        del words[place : place + 2]
    tasks = "\n".join(f"  {t.name}: {t.what}; presets {', '.join(t.presets)}" for t in TASKS.values())
    config = tyro.cli(
        task.config, default=config, args=words, prog=f"{program} {task.name} {preset}",
        description=f"{task.config.__doc__}\n\nusage: {program} [TASK] [PRESET] [--config FILE] [--flags]\n{tasks}",
    
    )  # fmt: skip
    return Command(task, preset, dataclasses.replace(config, out=config.out or f"runs/{task.name}-{preset}"))


def _word(words: list[str], what: str, choices, default: str) -> str:
    """Take the first word off the command if it is no flag."""
    if not words or words[0].startswith("-"):
        return default
    if words[0] not in choices and what == "task" and any(words[0] in task.presets for task in TASKS.values()):
        return default
    word = words.pop(0)
    if word not in choices:
        raise InputError(f"`{word}` is no {what}. {nearest(word, choices)}")
    return word


def _from_file(path: str, task: Task):
    from seqjax.training.configuration import read_json

    data = read_json(Path(path))
    if isinstance(data, dict) and data.get("task", task.name) != task.name:
        raise InputError(f"--config {path}: this is of the task {data['task']}, not {task.name}.")
    config = from_dict(task.config, data.get("config", data) if isinstance(data, dict) else data, where=path)
    return dataclasses.replace(config, out="")


@contextlib.contextmanager
def session(command: Command) -> Iterator[tuple[RunFolder, Recorder]]:
    """The folder of a run, new or continued, and the record kept in it."""
    task, preset, config = command
    if config.distributed:
        join_cluster()
    writer = jax.process_index() == 0
    folder, identity = open_run(config.out, as_identity(task.name, preset, config), writer=writer)
    show = reporter(config.steps, silent=not writer)
    with Recorder(folder, show, keep=config.keep, agree_every=config.log_every, started=STARTED) as recorder:
        yield folder, recorder

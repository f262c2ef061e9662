"""What ``python train.py`` was asked to do: a task, a preset, a file, flags."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seqjax.checks import InputError, nearest
from seqjax.tasks import TASKS
from seqjax.tasks.contract import Task
from seqjax.tasks.flags import parse_flags
from seqjax.training.configuration import from_dict, read_json


class Command(NamedTuple):
    """A command to train."""

    task: Task
    preset: str
    config: Any


def read_command(arguments: Sequence[str], program: str = "train.py") -> Command:
    """``[TASK] [PRESET] [--flags]``: flags win over ``--config FILE``, which wins over the preset.

    Raises:
        InputError: an unknown task or preset; a configuration file that does not fit.
        SystemExit: ``--help`` (0), or a flag that is wrong (2).
    """
    words = list(arguments)
    file = _config_file(words)
    task = TASKS[_task(words, file)]
    preset = _preset(words, task)
    start = _from_preset(task, preset) if file is None else _from_file(file, task, preset)
    presets = "\n".join(f"  {t.name}: {', '.join(t.presets)}" for t in TASKS.values())
    config = parse_flags(
        type(start.config), words, default=start.config, program=f"{program} {task.name} {start.preset}",
        description=f"{type(start.config).__doc__}\n\n{program} [TASK] [PRESET] [--config FILE] [--flags]\n{presets}",
    )  # fmt: skip
    out = config.out or f"runs/{task.name}-{start.preset}"
    return start._replace(config=dataclasses.replace(config, out=out))


def _task(words: list[str], file: str | None) -> str:
    """Take the task off the command; without one, that of the configuration file, or else ``lm``."""
    presets = [preset for task in TASKS.values() for preset in task.presets]
    if not words or words[0].startswith("-"):
        data = None if file is None else read_json(Path(file))
        said = data.get("task") if isinstance(data, dict) else None
        return said if isinstance(said, str) and said in TASKS else "lm"
    if words[0] in TASKS["lm"].presets:
        return "lm"
    if words[0] in presets and words[0] not in TASKS:
        commands = " or ".join(f"{task.name} {words[0]}" for task in TASKS.values() if words[0] in task.presets)
        raise InputError(
            f"`{words[0]}` is a preset, but not of lm, which is meant where no task is named. Try {commands}."
        )
    if words[0] not in TASKS:
        raise InputError(f"`{words[0]}` is no task and no preset. {nearest(words[0], [*TASKS, *presets])}")
    return words.pop(0)


def _preset(words: list[str], task: Task) -> str | None:
    """Take the preset off the command, if one is there."""
    if not words or words[0].startswith("-"):
        return None
    if words[0] not in task.presets:
        raise InputError(f"`{words[0]}` is no preset of {task.name}. {nearest(words[0], task.presets)}")
    return words.pop(0)


def _config_file(words: list[str]) -> str | None:
    """Take ``--config FILE`` or ``--config=FILE`` off the command, if it is there."""
    for place, word in enumerate(words):
        flag, equals, path = word.partition("=")
        if flag != "--config":
            continue
        path = path if equals else "".join(words[place + 1 : place + 2])
        if not path or path.startswith("-"):
            raise InputError("--config should be followed by a file, such as runs/NAME/config.json.")
        del words[place : place + (1 if equals else 2)]
        return path
    return None


def _from_preset(task: Task, preset: str | None) -> Command:
    return Command(task, preset or task.default, task.presets[preset or task.default])


def _from_file(path: str, task: Task, preset: str | None) -> Command:
    """The configuration in a file; what it leaves out is as in the preset, or, in that of a run, as it was for the run.

    A saved horizon that equals the saved steps follows the steps of the new run.
    """
    data = read_json(Path(path))
    of_a_run = isinstance(data, dict) and "config" in data
    if of_a_run:
        if data.get("task", task.name) != task.name:
            raise InputError(f"--config {path}: this is of the task {data['task']}, not {task.name}.")
        preset = preset or data.get("preset")
        if not isinstance(preset, str | None) or preset not in (None, *task.presets):
            known = nearest(preset if isinstance(preset, str) else "", task.presets)
            raise InputError(
                f"--config {path}: `preset` should be one of {task.name}, but it is {preset!r:.60}. {known}"
            )
        data = data["config"]
    start = _from_preset(task, preset)
    config = from_dict(type(start.config), data, where=path, base=None if of_a_run else start.config)
    if config.optimizer.horizon == config.steps:
        config = dataclasses.replace(config, optimizer=dataclasses.replace(config.optimizer, horizon=None))
    return start._replace(config=dataclasses.replace(config, out=""))

"""What a task is to the command line: a configuration, presets, a job to train, and uses of a finished run."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from seqjax.checks import InputError, nearest
from seqjax.training.folder import RunFolder
from seqjax.training.loop import Job


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataOption:
    """Which files."""

    path: tuple[str, ...] = ()  # files or folders; default: the run's own test split


def check_own_split(data, flags: Sequence[str]) -> None:
    """Refuse to read a run's own data otherwise than in training: another reading deals other examples to the test.

    Args:
        data: an object of ``Task.evaluated``.
        flags: its boolean fields that change how files are read.

    Raises:
        InputError: one of them is set, and no files are named.
    """
    asked = [f"--data.{name.replace('_', '-')}" for name in flags if getattr(data, name)]
    if asked and not data.path:
        raise InputError(
            f"evaluate: {asked[0]} is for other files, and none are named: the run's own files are read as in "
            "training, or its test split would hold what it was trained on. Mend them, or try --data.path FILE."
        )


class Built(NamedTuple):
    """A task made concrete: its data read, its tokenizer trained, its model shaped."""

    job: Job
    summary: list[tuple[str, str]]  # what to show before training: (what, how much)


class Task(NamedTuple):
    """One task.

    Attributes:
        name: what the command line calls it.
        what: one sentence for ``--help``.
        presets: named configurations; the type of each is the dataclass that its flags and files are read as.
        default: the preset of the bare command.
        build: ``(config, folder) -> Built``; a tokenizer that is in the folder is kept.
        use: ``(config, folder, read_params) ->`` what the task's own verbs work on.
        evaluate: ``(config, folder, params, data) -> {metric: value}``; ``data`` is an object of ``evaluated``, and
            where it names no files, the run's own test split is meant.
        verbs: ``{verb: function of what ``use`` gave and the verb's options}``.
        evaluated: the dataclass of ``--data.*`` of ``seqjax evaluate``.
        predicted: the dataclass of the flags of ``seqjax predict``, for tasks that have the verb.
        generated: the dataclass of the flags of ``seqjax generate``; None: those of text.
        own: ``{verb: the dataclass of its flags}``, for verbs that no other task has. ``verbs`` has them too: given
            what ``use`` gave and those flags, they make lines to print.
        unit: of the loss, as its curves say it.
    """

    name: str
    what: str
    presets: Mapping[str, Any]
    default: str
    build: Callable[[Any, RunFolder], Built]
    use: Callable[[Any, RunFolder, Any], Any]
    evaluate: Callable[[Any, RunFolder, Any, Any], dict[str, float]]
    verbs: Mapping[str, Callable[..., Any]]
    evaluated: type = DataOption
    predicted: type | None = None
    generated: type | None = None
    own: Mapping[str, type] = MappingProxyType({})
    unit: str = "nats per token"

    def kind(self, preset: str) -> type:
        """The dataclass of a preset's configuration."""
        if preset not in self.presets:
            raise InputError(f"`{preset}` is no preset of {self.name}. {nearest(preset, self.presets)}")
        return type(self.presets[preset])

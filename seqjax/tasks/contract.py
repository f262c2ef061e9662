"""What a task is to the command line: a configuration, presets, a job to train, and uses of a finished run."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from seqjax.training.folder import RunFolder
from seqjax.training.loop import Job


class Built(NamedTuple):
    """A task made concrete: its data read, its tokenizer trained, its model shaped."""

    job: Job
    summary: list[tuple[str, str]]  # what to show before training: (what, how much)


class Task(NamedTuple):
    """One task.

    Attributes:
        name: what the command line calls it.
        what: one sentence for ``--help``.
        config: the dataclass of its configuration.
        presets: named configurations.
        default: the preset of the bare command.
        build: ``(config, folder) -> Built``; a tokenizer that is in the folder is kept.
        use: ``(config, folder, read_params) ->`` what the task's own verbs work on.
        evaluate: ``(config, folder, params, paths) -> {metric: value}``, on the run's test split if no paths.
        verbs: ``{verb: function of what ``use`` gave and the verb's options}``.
    """

    name: str
    what: str
    config: type
    presets: Mapping[str, Any]
    default: str
    build: Callable[[Any, RunFolder], Built]
    use: Callable[[Any, RunFolder, Any], Any]
    evaluate: Callable[[Any, RunFolder, Any, tuple[str, ...]], dict[str, float]]
    verbs: Mapping[str, Callable[..., Any]]

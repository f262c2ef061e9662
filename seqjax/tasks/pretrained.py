"""Start from another run: its shape and vocabulary are copied, its parameters are the first ones here.

The new run never needs the old one again once it has a checkpoint: ``pretrained/`` in its folder holds the old run's
configuration and vocabulary.
"""

import dataclasses
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from seqjax.checks import InputError
from seqjax.tasks.contract import Task
from seqjax.training.best import best_params
from seqjax.training.configuration import from_dict
from seqjax.training.devices import writer_first
from seqjax.training.folder import RunFolder, read_run
from seqjax.training.manifest import is_sealed
from seqjax.training.state import with_leaves


@dataclasses.dataclass(frozen=True, kw_only=True)
class StartConfig:
    """Which run to start from."""

    run: str = ""  # folder of the run whose model is the start


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainedConfig(StartConfig):
    """Which run to start from, and what becomes of its model."""

    tuned: bool = True  # train what comes from there too; else it stays as it is


def open_pretrained(config: StartConfig, folder: RunFolder, task: Task, advice: str) -> Any:
    """What ``task.use`` makes of the run to start from, for a run that begins or goes on.

    The first call copies what describes that run into ``folder``. Parameters are read from the run itself as long as
    ``folder`` has no checkpoint of its own; after that they are shapes only, for nobody asks for them.

    Args:
        config: names the run.
        folder: of the run that begins.
        task: of the run to start from.
        advice: what a refusal tells to try, e.g. the command that trains such a run.

    Raises:
        InputError: no run is named, it is of another task, or has no checkpoint.
    """

    def keep(writer: bool) -> bool:
        if folder.pretrained.exists() and begun(folder):
            return False
        if not config.run:
            raise InputError(f"--pretrained.run should name the folder of a run of the task {task.name}. {advice}")
        source = run_of("--pretrained.run", config.run, task, advice)
        if writer:
            copy_description(source, folder.pretrained)
        return True

    if writer_first(keep):
        return use_run(task, RunFolder(Path(config.run)))
    return kept_pretrained(folder, task)


def run_of(flag: str, path: str, task: Task, advice: str) -> RunFolder:
    """The run that a flag names; refused, with advice, if it is none, or one of another task."""
    try:
        folder, identity = read_run(path)
    except InputError as error:
        raise InputError(f"{flag} {error}") from None
    if identity.task != task.name:
        raise InputError(
            f"{flag} {path}: this is a run of the task {identity.task}, but one of {task.name} is wanted. {advice}"
        )
    return folder


def settings_of(task: Task, folder: RunFolder) -> Any:
    """The configuration of a run of ``task``, read back strictly."""
    kept, identity = read_run(folder.path)
    return from_dict(task.kind(identity.preset), identity.config, where=str(kept.config))


def use_run(task: Task, folder: RunFolder, *, trained: bool = True) -> Any:
    """What ``task.use`` makes of a run, with its best parameters, or, if they are not wanted, their shapes."""
    settings = settings_of(task, folder)
    return task.use(settings, folder, lambda shapes: best_params(settings, folder, shapes)[0] if trained else shapes)


def kept_pretrained(folder: RunFolder, task: Task) -> Any:
    """What ``task.use`` makes of the run that this one started from: its functions and vocabulary, but only shapes."""
    return use_run(task, RunFolder(folder.pretrained), trained=False)


def copy_description(source: RunFolder, to: Path) -> None:
    """Copy the configuration and what was learned from the training split, of the run it started from too."""
    to.mkdir(parents=True, exist_ok=True)
    for path in (source.config, *source.learned):
        if path.exists():
            shutil.copyfile(path, to / path.name)
    if source.pretrained.exists():
        shutil.copytree(source.pretrained, to / source.pretrained.name, dirs_exist_ok=True)


def only_shapes(params: Any) -> bool:
    """Whether these parameters were never read, because nobody asks for them."""
    return any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(params))


def begun(folder: RunFolder) -> bool:
    """Whether a run has a checkpoint that was written to its end."""
    steps = (path for path in folder.checkpoints.glob("*") if path.name.isdigit())
    return any(is_sealed(path, int(path.name)) for path in steps)


def start_from(init: Callable[[Any], Any], loaded: Mapping[str, Any]) -> Callable[[Any], Any]:
    """The same ``key -> params``, whose parts are replaced.

    Args:
        init: makes a nested dict.
        loaded: ``{"path/of/part": a nested dict of the same shapes}``.

    Returns:
        A pytree that can be called, its leaves those of ``loaded``: given to a jitted function, they are no constants
        of its program.

    Raises:
        InputError: there is no such part, or its shapes are others.

    Example:
        >>> init = start_from(lambda key: {"a": {"b": 1.0, "c": 2.0}}, {"a/b": 5.0})
        >>> init(None)
        {'a': {'b': 5.0, 'c': 2.0}}
    """

    def begin(init, loaded, key):
        params = init(key)
        for path, part in loaded.items():
            params = _put(params, path.split("/"), part, path)
        return params

    return jax.tree_util.Partial(begin, with_leaves(init), dict(loaded))


def _put(params, names: list[str], part, path: str):
    if not names:
        shapes = [jax.tree.map(lambda leaf: getattr(leaf, "shape", ()), tree) for tree in (params, part)]
        if shapes[0] != shapes[1]:
            raise InputError(f"pretrained: `{path}` should have the shapes {shapes[0]}, but they are {shapes[1]}.")
        return part
    if not isinstance(params, dict) or names[0] not in params:
        raise InputError(f"pretrained: the new model has no part `{path}`.")
    return params | {names[0]: _put(params[names[0]], names[1:], part, path)}

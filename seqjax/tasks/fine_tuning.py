"""A run that begins with the weights and the symbols of another run of its task."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from seqjax.checks import InputError
from seqjax.tasks.contract import Task
from seqjax.tasks.pretrained import StartConfig, only_shapes, open_pretrained, settings_of, start_from
from seqjax.training.configuration import differences
from seqjax.training.folder import RunFolder

PUBLISHED = {"lm": "a GPT-2", "mlm": "a BERT"}  # whose files become a run of the task
ALIKE = ("tokenizer", "lower")  # of the data, where a task has them: by them text becomes symbols
FREE = ("dropout", "embedding_dropout", "remat")  # of a model: what another run may have otherwise


def open_start(config, folder: RunFolder, task: Task) -> Any:
    """What ``task.use`` makes of the run to start from; None where none is named.

    Its parameters are only shapes where this run goes on.

    Args:
        config: of this run; its ``pretrained`` names the other.
        folder: of this run.
        task: of both.

    Raises:
        InputError: it is of another task, has no checkpoint, or its model has another shape, or its symbols are
            of another kind.
    """
    pretrained: StartConfig = config.pretrained
    if not pretrained.run:
        return None
    advice = f"Train one, or turn the files of {PUBLISHED[task.name]} into one: seqjax import FOLDER --out RUN."
    start = open_pretrained(pretrained, folder, task, advice)
    settings = settings_of(task, RunFolder(folder.pretrained))
    beside = f"Try --config {pretrained.run}/config.json beside it."
    for name in (name for name in ALIKE if hasattr(config.data, name)):
        wanted, found = getattr(settings.data, name), getattr(config.data, name)
        if found != wanted:
            raise InputError(
                f"--data.{name} should be {wanted}, as of the run to start from, whose symbols are kept, "
                f"but it is {found}. {beside}"
            )
    theirs, own = dataclasses.asdict(settings.model), dataclasses.asdict(config.model)
    if rows := differences(theirs, own, ignore=FREE):
        both = [row for row in rows if row[0] in theirs.keys() & own.keys()]
        shown = ", ".join(f"{name} {had}, not {wanted}" for name, had, wanted in (both or rows)[:4])
        raise InputError(
            f"--pretrained.run {pretrained.run}: the model should have the shape of that run's: {shown}. {beside}"
        )
    return start


def begin_with(init: Callable[[Any], Any], params: dict[str, Any], part: str = "") -> Callable[[Any], Any]:
    """The same ``key -> params``, which are those given; of learned positions, the first.

    Args:
        init: makes a nested dict.
        params: of the same model; where they are only shapes, because the run goes on, nothing changes.
        part: the key below which the table of positions stands, if there is one; empty: at the top.

    Raises:
        InputError: more positions are wanted than there are.
    """
    if only_shapes(params):
        return init
    own, loaded = jax.eval_shape(init, jax.random.key(0)), dict(params)
    inner, wanted = (loaded[part], own[part]) if part else (loaded, own)
    if "positions" in inner:
        cut = inner | {"positions": _first(inner["positions"]["table"], len(wanted["positions"]["table"]))}
        loaded = loaded | {part: cut} if part else cut
    return start_from(init, loaded)


def _first(table, positions: int) -> dict[str, Any]:
    if positions > len(table):
        raise InputError(
            f"--data.length should be at most {len(table)}, the positions of the run to start from, "
            f"but it is {positions}."
        )
    return {"table": table[:positions]}

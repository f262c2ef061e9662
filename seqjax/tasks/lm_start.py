"""A language model that begins with the weights and the symbols of another run of ``lm``: fine-tuning."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from seqjax.checks import InputError
from seqjax.tasks.contract import Task
from seqjax.tasks.lm_use import LanguageModel
from seqjax.tasks.pretrained import StartConfig, only_shapes, open_pretrained, start_from
from seqjax.training.configuration import differences, from_dict
from seqjax.training.folder import RunFolder, read_run

ADVICE = "Train one, or turn the files of a GPT-2 into one: seqjax import FOLDER --out RUN."
FREE = ("dropout", "embedding_dropout", "remat")  # of a model: what another run may have otherwise


def open_start(config, folder: RunFolder, task: Task) -> LanguageModel | None:
    """The run to start from; None where none is named. Its parameters are only shapes where this run goes on.

    Args:
        config: of this run; its ``pretrained`` names the other.
        folder: of this run.
        task: ``lm``.

    Raises:
        InputError: it is of another task, has no checkpoint, or its model has another shape, or its symbols are
            of another kind.
    """
    pretrained: StartConfig = config.pretrained
    if not pretrained.run:
        return None
    start = open_pretrained(pretrained, folder, task, ADVICE)
    kept, identity = read_run(folder.pretrained)
    settings: Any = from_dict(task.kind(identity.preset), identity.config, where=str(kept.config))
    theirs, own = dataclasses.asdict(settings.model), dataclasses.asdict(config.model)
    if config.data.tokenizer != start.tokenizer.kind:
        raise InputError(
            f"--data.tokenizer should be {start.tokenizer.kind}, as of the run to start from, whose symbols are kept, "
            f"but it is {config.data.tokenizer}. Try --config {pretrained.run}/config.json beside it."
        )
    if rows := differences(theirs, own, ignore=FREE):
        both = [row for row in rows if row[0] in theirs.keys() & own.keys()]
        shown = ", ".join(f"{name} {had}, not {wanted}" for name, had, wanted in (both or rows)[:4])
        raise InputError(
            f"--pretrained.run {pretrained.run}: the model should have the shape of that run's: {shown}. "
            f"Try --config {pretrained.run}/config.json beside it."
        )
    return start


def begin_with(init: Callable[[Any], Any], start: LanguageModel | None) -> Callable[[Any], Any]:
    """The same ``key -> params``, which are those of ``start``; of positions, the first.

    Raises:
        InputError: more positions are wanted than it has.
    """
    if start is None or only_shapes(start.params):
        return init
    loaded = dict(start.params)
    if "positions" in loaded:
        table, own = loaded["positions"]["table"], jax.eval_shape(init, jax.random.key(0))
        wanted, _ = own["positions"]["table"].shape
        if wanted > len(table):
            raise InputError(
                f"--data.length should be at most {len(table)}, the positions of the run to start from, "
                f"but it is {wanted}."
            )
        loaded["positions"] = {"table": table[:wanted]}
    return start_from(init, loaded)

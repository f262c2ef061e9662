"""Which parameters of a run are used once it has been trained."""

from typing import Any

import jax

from seqjax.checks import InputError
from seqjax.training.checkpoint import CheckpointError, Checkpoints
from seqjax.training.configuration import RunConfig
from seqjax.training.devices import on_first
from seqjax.training.folder import RunFolder


def best_params(config: RunConfig, folder: RunFolder, shapes) -> tuple[Any, int]:
    """The parameters with the lowest validation loss, on a device, and their step; without a validation, the newest.

    With ``config.average_last``, the mean of the newest validated checkpoints instead, and the newest of their steps.

    Args:
        config: of the run.
        folder: of the run.
        shapes: abstract parameters.

    Raises:
        CheckpointError: no checkpoint can be used.
    """
    item = "average" if config.average else "params"
    with Checkpoints(folder.checkpoints, keep_last=config.keep) as checkpoints:
        newest = checkpoints.restore({item: shapes})
        if newest is None:
            raise InputError(
                f"{folder.path}: the run has no checkpoint yet. Train it first: "
                f"seqjax train --config {folder.config} --out {folder.path}"
            )
        if config.average_last:
            params, step = averaged(checkpoints, item, shapes, config)
            return on_first(params), step
        best = newest.meta["memory"]["best_step"]
        restored = newest
        if best not in (None, newest.step):
            try:
                restored = checkpoints.restore({item: shapes}, step=best) or newest
            except CheckpointError as error:
                checkpoints.warn(f"WARNING: {error} The newest step, {newest.step}, is used instead of the best.")
    return on_first(restored.items[item]), restored.step


def averaged(checkpoints: Checkpoints, item: str, shapes, config: RunConfig) -> tuple[Any, int]:
    """The mean of the parameters of the newest checkpoints that can be read, and the newest step among them.

    Those that a signal left between validations do not count, unless there are no others: a run that was stopped has
    the mean of the one that was not.

    Source:
        Vaswani et al. (2017), Attention Is All You Need, section 6.1.
    """
    intact = [status.step for status in checkpoints.statuses() if status.ok]
    steps = ([step for step in intact if config.validates(step)] or intact)[-config.average_last :]
    found = [restored for step in steps if (restored := checkpoints.restore({item: shapes}, step=step)) is not None]
    return jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *(one.items[item] for one in found)), steps[-1]

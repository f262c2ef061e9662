"""Which parameters of a run are used once it has been trained."""

from typing import Any

import jax

from seqjax.checks import InputError
from seqjax.training.checkpoint import CheckpointError, Checkpoints
from seqjax.training.configuration import RunConfig
from seqjax.training.folder import RunFolder


def best_params(config: RunConfig, folder: RunFolder, shapes) -> tuple[Any, int]:
    """The parameters with the lowest validation loss, and their step; without a validation, the newest.

    With ``config.average_last``, the mean of the newest checkpoints instead, and the newest step.

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
            return averaged(checkpoints, item, shapes, config.average_last), newest.step
        best = newest.meta["memory"]["best_step"]
        if best in (None, newest.step):
            return newest.items[item], newest.step
        try:
            restored = checkpoints.restore({item: shapes}, step=best) or newest
        except CheckpointError as error:
            checkpoints.warn(f"WARNING: {error} The newest step, {newest.step}, is used instead of the best.")
            restored = newest
        return restored.items[item], restored.step


def averaged(checkpoints: Checkpoints, item: str, shapes, count: int):
    """The mean of the parameters of the newest ``count`` checkpoints that can be read.

    Source:
        Vaswani et al. (2017), Attention Is All You Need, section 6.1.
    """
    steps = [status.step for status in checkpoints.statuses() if status.ok][-count:]
    found = [restored for step in steps if (restored := checkpoints.restore({item: shapes}, step=step)) is not None]
    return jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *(one.items[item] for one in found))

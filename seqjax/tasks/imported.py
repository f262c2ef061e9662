"""``seqjax import``: the files of a model of another program become a run."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from seqjax.checks import InputError, nearest
from seqjax.data import Tokenizer
from seqjax.interop.model_files import CONFIG, read_config
from seqjax.models.pure import count_parameters
from seqjax.tasks.pretrained import begun
from seqjax.training.checkpoint import Checkpoints
from seqjax.training.folder import as_identity, open_run, undone_unless_begun
from seqjax.training.loop import Memory


@dataclasses.dataclass(frozen=True)
class Imported:
    """What files hold, as a task has it."""

    task: str
    preset: str
    config: Any  # of the task
    tokenizer: Tokenizer
    params: Any
    what: str  # one line about it
    tries: tuple[str, ...]  # commands that use it, with {run} and {config}


def import_files(source: str, out: str) -> list[str]:
    """Make a run of the files in a folder: ``config.json``, ``model.safetensors`` and a tokenizer's.

    Args:
        source: the folder with the files.
        out: the folder of the run; it is made.

    Returns:
        Lines that say what was made, and what to do with it.

    Raises:
        InputError: files are missing, broken or of another model; ``out`` holds something.
    """
    made = _reader(source)(source)
    identity = as_identity(made.task, made.preset, dataclasses.replace(made.config, out=out))
    folder, _ = open_run(out, identity, kind=type(made.config))
    if begun(folder):
        raise InputError(f"--out {out}: the folder holds this run already. Choose another --out.")
    with undone_unless_begun(folder):
        made.tokenizer.save(folder.tokenizer)
        with Checkpoints(folder.checkpoints) as checkpoints:
            checkpoints.save(0, {"params": made.params}, {"memory": dataclasses.asdict(Memory()), "data": None})
    number = count_parameters(lambda key: made.params)
    tries = [line.format(run=folder.path, config=folder.config) for line in made.tries]
    return [
        f"{folder.path}: {made.what}; {made.tokenizer.size:,} symbols, {number:,} parameters",
        *(f"{'' if index else 'try:':<5}{line}" for index, line in enumerate(tries)),
    ]


def _reader(source: str) -> Callable[[str], Imported]:
    """What reads the model in a folder."""
    from seqjax.tasks.lm_import import read_gpt2
    from seqjax.tasks.mlm_import import read_bert

    readers = {"gpt2": read_gpt2, "bert": read_bert}
    kind = read_config(source).get("model_type")
    if kind not in readers:
        raise InputError(
            f"{source}/{CONFIG}: `model_type` should be one that is known here, but it is {kind!r}. "
            f"{nearest(str(kind), readers)}"
        )
    return readers[kind]


def check_parameters(source: str, params: Any, init: Callable[[Any], Any]) -> None:
    """Refuse weights that are not of the shapes that ``init`` makes."""
    wanted = jax.tree.map(np.shape, jax.eval_shape(init, jax.random.key(0)))
    if (found := jax.tree.map(np.shape, params)) != wanted:
        raise InputError(f"{source}: config.json speaks of arrays {wanted}, but the weights are {found}.")

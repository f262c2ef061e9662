"""``seqjax import``: the files of a GPT-2, such as its authors published, become a run of ``lm``.

It can write, score and be evaluated as any other, and another run can start from it.
"""

import dataclasses
from typing import Any

import jax
import numpy as np

from seqjax.checks import InputError, check_shape
from seqjax.data import DataConfig, Tokenizer
from seqjax.data.adopted import adopt_tokenizer
from seqjax.interop.gpt2 import gpt2_parameters
from seqjax.interop.gpt2_files import read_arrays, read_shape
from seqjax.models import GPTConfig
from seqjax.models.pure import count_parameters
from seqjax.tasks.lm import GPTLmConfig, symbols
from seqjax.tasks.pretrained import begun
from seqjax.training.checkpoint import Checkpoints
from seqjax.training.folder import as_identity, open_run, undone_unless_begun
from seqjax.training.loop import Memory
from seqjax.training.optimizers import OptimizerConfig


@dataclasses.dataclass(frozen=True)
class Imported:
    """What was made."""

    config: GPTLmConfig
    tokenizer: Tokenizer
    params: Any


def import_gpt2(source: str, out: str) -> list[str]:
    """Make a run of the files in a folder: ``config.json``, ``model.safetensors`` and a tokenizer's.

    Args:
        source: the folder with the files.
        out: the folder of the run; it is made.

    Returns:
        Lines that say what was made, and what to do with it.

    Raises:
        InputError: files are missing, broken or of another model; ``out`` holds something.
    """
    made = read_gpt2(source)
    folder, _ = open_run(out, as_identity("lm", "gpt", dataclasses.replace(made.config, out=out)), kind=GPTLmConfig)
    if begun(folder):
        raise InputError(f"--out {out}: the folder holds this run already. Choose another --out.")
    with undone_unless_begun(folder):
        made.tokenizer.save(folder.tokenizer)
        with Checkpoints(folder.checkpoints) as checkpoints:
            checkpoints.save(0, {"params": made.params}, {"memory": dataclasses.asdict(Memory()), "data": None})
    shape, number = made.config.model, count_parameters(lambda key: made.params)
    size = f"{made.tokenizer.size:,} symbols, {made.config.data.length:,} positions"
    length = min(128, made.config.data.length)
    tuned = f"--pretrained.run {folder.path} --data.path FILE --data.length {length} --out runs/tuned"
    return [
        f"{folder.path}: GPT-2 of {shape.layers} × {shape.features}, {number:,} parameters, {size}",
        f"try: seqjax generate {folder.path} --prompt TEXT    seqjax score {folder.path} < lines",
        f"     seqjax train --config {folder.config} {tuned}",
    ]


def read_gpt2(source: str) -> Imported:
    """The configuration, the tokenizer and the parameters that the files of a folder hold."""
    shape = read_shape(source)
    params, (tokenizer, ids) = gpt2_parameters(read_arrays(source)), adopt_tokenizer(source)
    table = params["embedding"]["table"]
    check_shape(source, "the table of symbols", table, "(V, D)", (None, shape.features))
    if ids.max() >= len(table):
        raise InputError(f"{source}: the tokenizer has a symbol {ids.max()}, but the weights know {len(table)} only.")
    params["embedding"] = {"table": table[ids]}  # rows of padding are left out
    if "head" in params:
        params["head"] = {name: array[..., ids] for name, array in params["head"].items()}
    config = GPTLmConfig(
        batch_size=4, evaluate_every=50, steps=200, sample_tokens=60,
        model=GPTConfig(
            features=shape.features, layers=shape.layers, heads=shape.heads,
            hidden=0 if shape.hidden == 4 * shape.features else shape.hidden,
            activation=shape.activation, dropout=0.1, tied="head" not in params,
        ),
        data=DataConfig(tokenizer="bpe", vocabulary=len(ids), batches="packed", length=shape.context),
        optimizer=OptimizerConfig(name="adamw", learning_rate=5e-5, warmup=20),
    )  # fmt: skip
    wanted = jax.eval_shape(symbols(config, len(ids)).init, jax.random.key(0))
    if (found := jax.tree.map(np.shape, params)) != (shapes := jax.tree.map(np.shape, wanted)):
        raise InputError(f"{source}: config.json speaks of arrays {shapes}, but the weights are {found}.")
    return Imported(config, tokenizer, params)

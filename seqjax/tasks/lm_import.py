"""The files of a GPT-2, such as its authors published, as a run of ``lm``.

It can write, score and be evaluated as any other, and another run can start from it.
"""

from seqjax.checks import InputError, check_shape
from seqjax.data import DataConfig
from seqjax.data.adopted import adopt_tokenizer
from seqjax.interop.gpt2 import gpt2_parameters
from seqjax.interop.gpt2_files import read_shape
from seqjax.interop.model_files import read_arrays
from seqjax.models import GPTConfig
from seqjax.tasks.imported import Imported, check_parameters
from seqjax.tasks.lm import GPTLmConfig, symbols
from seqjax.training.optimizers import OptimizerConfig


def read_gpt2(source: str) -> Imported:
    """The configuration, the tokenizer and the parameters that the files of a folder hold.

    Raises:
        InputError: files are missing, broken, or do not fit each other.
    """
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
    check_parameters(source, params, symbols(config, len(ids)).init)
    what = f"GPT-2 of {shape.layers} × {shape.features}"
    length = f"--data.length {min(128, shape.context)}"
    tries = (
        "seqjax generate {run} --prompt TEXT    seqjax score {run} < lines",
        f"seqjax train --config {{config}} --pretrained.run {{run}} --data.path FILE {length} --out runs/tuned",
    )
    return Imported("lm", "gpt", config, tokenizer, params, f"{what}, {shape.context:,} positions", tries)

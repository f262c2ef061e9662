"""The files of a BERT, such as its authors published, as a run of ``mlm``.

It fills in masks and is evaluated as any other; ``tag bert`` and ``classify bert`` start from it.
"""

import jax

from seqjax.checks import InputError, check_shape
from seqjax.data.adopted_wordpiece import adopt_wordpiece
from seqjax.data.masked_config import MaskedTextConfig
from seqjax.interop.bert import bert_parameters
from seqjax.interop.bert_files import read_shape
from seqjax.interop.model_files import read_arrays
from seqjax.models.bert import BertConfig, bert
from seqjax.tasks.imported import Imported, check_parameters
from seqjax.tasks.mlm import MlmConfig
from seqjax.training.optimizers import OptimizerConfig


def read_bert(source: str) -> Imported:
    """The configuration, the tokenizer and the parameters that the files of a folder hold.

    Heads that are not there, because nobody was to fill in masks, are those of a model that was not trained.

    Raises:
        InputError: files are missing, broken, or do not fit each other.
    """
    shape = read_shape(source)
    params, (tokenizer, ids, lower) = bert_parameters(read_arrays(source)), adopt_wordpiece(source)
    table = params["bert"]["tokens"]["table"]
    check_shape(source, "the table of symbols", table, "(V, D)", (None, shape.features))
    if ids.max() >= len(table):
        raise InputError(f"{source}: the tokenizer has a symbol {ids.max()}, but the weights know {len(table)} only.")
    params["bert"]["tokens"] = {"table": table[ids]}  # in the order here; rows of padding are left out
    if "bias" in params:
        params["bias"] = params["bias"][ids]
    config = MlmConfig(
        batch_size=8, evaluate_every=50, steps=200, nsp="relation" in params,
        model=BertConfig(
            features=shape.features, layers=shape.layers, heads=shape.heads,
            hidden=0 if shape.hidden == 4 * shape.features else shape.hidden,
        ),
        data=MaskedTextConfig(
            tokenizer="wordpiece", vocabulary=max(2, tokenizer.size), lower=lower, length=shape.longest
        ),
        optimizer=OptimizerConfig(name="adamw", learning_rate=5e-5, warmup=20),
    )  # fmt: skip
    init = bert(config.model, len(ids), shape.longest).init
    absent = [name for name in jax.eval_shape(init, jax.random.key(0)) if name not in params]
    if absent or "pooler" not in params["bert"]:
        fresh = jax.jit(init)(jax.random.key(0))
        params = fresh | params | {"bert": fresh["bert"] | params["bert"]}
    check_parameters(source, params, init)
    fills = "predict makes nothing of sense, for the head is not there" if "bias" in absent else "fills in [MASK]"
    what = (
        f"BERT of {shape.layers} × {shape.features}, {shape.longest:,} positions, {'lower case' if lower else 'cased'}"
    )
    length = f"--data.length {min(shape.longest, 128)}"
    tries = (
        f"seqjax train mlm --config {{config}} --pretrained.run {{run}} --data.path FILE {length} --out runs/tuned",
        "seqjax train tag bert --pretrained.run {run} --optimizer.learning-rate 5e-5 --data.path FILE",
        "seqjax train classify bert --pretrained.run {run} --optimizer.learning-rate 5e-5 --data.path FILE",
        *(["echo 'The [MASK] sat.' | seqjax predict {run} --n-best 5"] if "bias" not in absent else []),
    )
    return Imported("mlm", "bert", config, tokenizer, params, f"{what}; {fills}", tries)

"""What ``classify bert`` and ``tag bert`` have in common: a run of ``mlm`` to start from."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from seqjax.models.bert_reading import BertSizes
from seqjax.tasks.mlm import MLM
from seqjax.tasks.mlm_use import Filler
from seqjax.tasks.pretrained import PretrainedConfig, kept_pretrained, only_shapes, open_pretrained, start_from
from seqjax.training.folder import RunFolder

ADVICE = "Train one on plain text: python train.py mlm --data.path FILE --out runs/mlm; then --pretrained.run runs/mlm."


class Start(NamedTuple):
    """A trained BERT: its tokenizer, its sizes, and its parameters as long as they are wanted."""

    filler: Filler
    sizes: BertSizes
    begin: Callable[[Any], Any]  # init -> init, which begins with its parameters; unchanged where a run goes on


def open_bert(pretrained: PretrainedConfig, folder: RunFolder, dropout: float, *, begins: bool) -> Start:
    """The run to start from, or what was kept of it.

    Args:
        pretrained: names the run.
        folder: of the new run.
        dropout: of the encoder, in place of that of the run.
        begins: whether the run is to be trained; else only its description is read.

    Raises:
        InputError: no run is named, it is of another task, or has no checkpoint.
    """
    filler = open_pretrained(pretrained, folder, MLM, ADVICE) if begins else kept_pretrained(folder, MLM)
    shape = dataclasses.replace(filler.shape, dropout=dropout)
    special = filler.special
    sizes = BertSizes(shape, special.vocabulary, filler.model.longest, special.cls, special.sep)
    loaded = filler.params["bert"]
    path = "encoder/bert" if pretrained.tuned else "encoder/bert/frozen"
    begin = functools.partial(start_from, loaded={path: loaded} if not only_shapes(loaded) else {})
    return Start(filler, sizes, begin)


def describe(start: Start, pretrained: PretrainedConfig) -> list[tuple[str, str]]:
    """What to show of it before training."""
    shape, how = start.sizes.shape, "trained on" if pretrained.tuned else "left as it is"
    what = f"BERT of {shape.layers} × {shape.features}, at most {start.sizes.longest} tokens, {how}"
    return [("start", f"{pretrained.run or 'kept'}: {what}"), ("symbols", f"{start.sizes.vocabulary:,}")]

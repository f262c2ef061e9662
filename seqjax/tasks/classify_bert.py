"""``classify bert``: a trained BERT gives a text a class. Adds a preset and a front to ``classify``."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from seqjax.checks import InputError, check_share
from seqjax.data.sentence_pairs import enclose
from seqjax.data.sentences import plain
from seqjax.models.bert_reading import TextBERT
from seqjax.models.classifier import PoolingConfig
from seqjax.tasks.bert_start import describe, open_bert
from seqjax.tasks.classify_config import PRESETS, ClassifyConfig
from seqjax.tasks.classify_front import FRONTS, Front
from seqjax.tasks.pretrained import PretrainedConfig
from seqjax.training.folder import RunFolder
from seqjax.training.optimizers import OptimizerConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class BertClassifierConfig:
    """A trained BERT, and scores of classes from what it says of the tokens."""

    output: PoolingConfig = PoolingConfig(pooling="mean", dropout=0.1)  # first, window 1: BERT's own pooled vector
    dropout: float = 0.1  # of BERT: probability of zeroing an activation, or a weight of attention

    def __post_init__(self):
        check_share("BertClassifierConfig", "dropout", self.dropout)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BertClassifyConfig(ClassifyConfig):
    """Train a BERT that a run of `mlm` made to give a text a class. Its tokenizer is used, whatever `data` says."""

    model: BertClassifierConfig = BertClassifierConfig()
    pretrained: PretrainedConfig = PretrainedConfig()


def bert_front(config: BertClassifyConfig, folder: RunFolder, texts: Sequence[str] | None) -> Front:
    """The tokens of the run to start from, and its BERT over them.

    Args:
        config: of the run.
        folder: of the run; what describes the run to start from is kept there.
        texts: of the training split; None: it is there.
    """
    start = open_bert(config.pretrained, folder, config.model.dropout, begins=texts is not None)
    filler = start.filler
    room = min(config.data.length or start.sizes.longest, start.sizes.longest - 2)

    def arrays(texts, where: str = "data: text"):
        ids = filler.tokenizer.encode_documents([plain(text, filler.lower or config.data.lower) for text in texts])
        if config.data.too_long == "refuse":
            check_room(ids, texts, room, where)
        return {"tokens": [enclose(filler.special, row[:room])[0] for row in ids]}

    def make(rngs):
        pooled = config.model.output.pooling == "first"
        return TextBERT(start.sizes, pooled=pooled, frozen=not config.pretrained.tuned, rngs=rngs)

    def pieces(text: str) -> list[str]:
        row = arrays([text])["tokens"][0]
        return ["[CLS]", *filler.tokenizer.pieces(row[1:-1]), "[SEP]"]

    return Front(arrays, make, pieces, describe(start, config.pretrained), start.begin)


def check_room(ids: Sequence[np.ndarray], texts: Sequence[str], room: int, where: str) -> None:
    """Refuse texts that have more tokens than the model has positions for.

    Example:
        >>> check_room([np.arange(9)], ["too long a text"], 6, "data: train text")
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: data: train text 1 has 9 tokens, but the model takes 6, and so for 1 of 1: ...
    """
    long = [number for number, row in enumerate(ids) if len(row) > room]
    if long:
        raise InputError(
            f"{where} {long[0] + 1} has {len(ids[long[0]])} tokens, but the model takes {room}, and so for {len(long)} "
            f"of {len(ids)}: {texts[long[0]][:60]!r}. Try --data.too-long truncate, or a run of mlm with a larger "
            "--data.length."
        )


FRONTS[BertClassifyConfig] = bert_front
PRESETS["bert"] = BertClassifyConfig(
    steps=1000, batch_size=32, evaluate_every=125,
    optimizer=OptimizerConfig(name="adamw", learning_rate=3e-4, warmup=100, options={"weight_decay": 0.01}),
)  # fmt: skip

"""``tag bert``: a trained BERT gives every token a tag. Adds a preset and a front to ``tag``."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from seqjax.checks import InputError, check_share
from seqjax.data.sentences import encode_words
from seqjax.models.bert_reading import WordBERT
from seqjax.tasks.bert_start import describe, open_bert
from seqjax.tasks.pretrained import PretrainedConfig
from seqjax.tasks.tag import PRESETS, TagConfig
from seqjax.tasks.tag_front import FRONTS, Front, Sentence
from seqjax.training.folder import RunFolder
from seqjax.training.optimizers import OptimizerConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class BertTaggerConfig:
    """A trained BERT, and scores of tags from what it says of each word's first piece."""

    crf: bool = True  # score whole sequences of tags; else every tag by itself
    pieces: int = 6  # of a word that are read at most, from its beginning
    dropout: float = 0.1  # of BERT: probability of zeroing an activation, or a weight of attention

    def __post_init__(self):
        check_share("BertTaggerConfig", "dropout", self.dropout)
        if self.pieces < 1:
            raise InputError(f"BertTaggerConfig: `pieces` should be at least 1, but it is {self.pieces}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BertTagConfig(TagConfig):
    """Train a BERT that a run of `mlm` made to give every token a tag. Words are cut by that run's tokenizer."""

    model: BertTaggerConfig = BertTaggerConfig()
    pretrained: PretrainedConfig = PretrainedConfig()


def bert_front(config: BertTagConfig, folder: RunFolder, sentences: Sequence[Sentence] | None) -> Front:
    """The pieces of words by the run to start from, and its BERT over them.

    Args:
        config: of the run.
        folder: of the run; what describes the run to start from is kept there.
        sentences: of the training split; None: it is there.
    """
    start = open_bert(config.pretrained, folder, config.model.dropout, begins=sentences is not None)
    filler, most = start.filler, config.model.pieces

    def arrays(sentences):
        cut = [spread(*encode_words(filler.tokenizer, words, filler.lower), most) for words in sentences]
        check_room(cut, sentences, start.sizes.longest - 2)
        return {"pieces": cut}

    def make(rngs):
        return WordBERT(start.sizes, frozen=not config.pretrained.tuned, rngs=rngs)

    return Front(arrays, make, describe(start, config.pretrained), start.begin)


def spread(ids: np.ndarray, firsts: np.ndarray, most: int) -> np.ndarray:
    """The pieces of each word in a row of its own: (W, most), 0 behind its last.

    Example:
        >>> spread(np.array([5, 6, 7, 8]), np.array([0, 3]), 2).tolist()
        [[5, 6], [8, 0]]
    """
    ends = np.append(firsts[1:], len(ids))
    places = firsts[:, None] + np.arange(most)
    return np.where(places < ends[:, None], np.append(ids, 0)[np.minimum(places, len(ids))], 0).astype(np.int32)


def check_room(cut: Sequence[np.ndarray], sentences: Sequence[Sentence], room: int) -> None:
    """Refuse sentences that have more pieces than the model has positions for.

    Example:
        >>> check_room([np.ones((3, 2), int)], [["a", "b", "c"]], 4)
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: tag: sentence 1 (a b c) has 6 pieces, but the model takes 4, and so for 1 of 1. ...
    """
    sizes = [int((rows != 0).sum()) for rows in cut]
    long = [number for number, size in enumerate(sizes) if size > room]
    if long:
        text = " ".join(sentences[long[0]])
        raise InputError(
            f"tag: sentence {long[0] + 1} ({text[:60]}) has {sizes[long[0]]} pieces, but the model takes {room}, and "
            f"so for {len(long)} of {len(cut)}. Try a smaller --model.pieces, shorter sentences, or a run of mlm with "
            "a larger --data.length."
        )


FRONTS[BertTagConfig] = bert_front
PRESETS["bert"] = BertTagConfig(
    steps=600, batch_size=32, evaluate_every=100,
    optimizer=OptimizerConfig(name="adamw", learning_rate=5e-4, warmup=60, options={"weight_decay": 0.01}),
)  # fmt: skip

"""``tag copy-memory``: ten symbols, said again after a long nothing. Adds presets and a front to ``tag``.

The loss is the mean cross-entropy over all T + 20 steps, as it is published; ``baseline`` is that of a model which
remembers nothing, 10 ln 8 / (T + 20).
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from seqjax.data import LabelList
from seqjax.data.copy_memory import SYMBOLS, CopyMemoryConfig, memoryless, redraw_copies
from seqjax.models.reading import RecurrentReaderConfig
from seqjax.models.tagger import ConvolutionTaggerConfig, RecurrentTaggerConfig
from seqjax.models.tcn import ConvolutionReaderConfig
from seqjax.models.word_features import WordFeaturesConfig
from seqjax.tasks.tag import PRESETS, RecurrentTagConfig, WordTagConfig
from seqjax.tasks.tag_front import FRONTS, Front, Sentence, word_front
from seqjax.training.folder import RunFolder
from seqjax.training.optimizers import OptimizerConfig

WORDS = WordFeaturesConfig(embedding=16, characters="none", dropout=0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentCopyConfig(RecurrentTagConfig):
    """Train recurrent layers that say symbols again after a long nothing."""

    data: CopyMemoryConfig = CopyMemoryConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvolutionCopyConfig(WordTagConfig):
    """Train a temporal convolutional network that says symbols again after a long nothing."""

    data: CopyMemoryConfig = CopyMemoryConfig()
    model: ConvolutionTaggerConfig = ConvolutionTaggerConfig()


def copy_front(config: Any, folder: RunFolder, sentences: Sequence[Sentence] | None) -> Front:
    """The front of words, with training sequences that are drawn anew in every epoch, unless they come from files.

    Args:
        config: of the run.
        folder: of the run; the list of symbols is kept there.
        sentences: of the training split; None: the list is there.
    """
    front = word_front(config, folder, sentences)
    if config.data.path:
        return front
    blanks = config.data.blanks
    words = np.array([row[0] for row in front.arrays([[symbol] for symbol in SYMBOLS])["words"]])

    def redraw(labels: LabelList, seed: int):
        tags = labels.encode(SYMBOLS, "copy memory")
        return functools.partial(redraw_copies, seed=seed, blanks=blanks, words=words, tags=tags)

    told = ("memoryless", f"{memoryless(blanks):.4f} nats a step over {blanks} blanks")
    return front._replace(redraw=redraw, beside={"baseline": memoryless(blanks)}, summary=[*front.summary, told])


FRONTS[RecurrentCopyConfig] = FRONTS[ConvolutionCopyConfig] = copy_front
PRESETS["copy-memory"] = RecurrentCopyConfig(
    steps=5000, batch_size=32, evaluate_every=500, shown=1, optimizer=OptimizerConfig(learning_rate=5e-3, warmup=50),
    model=RecurrentTaggerConfig(
        words=WORDS, crf=False, reader=RecurrentReaderConfig(cell="gru", features=128, bidirectional=False)
    ),
)  # fmt: skip
PRESETS["copy-memory-tcn"] = ConvolutionCopyConfig(
    steps=400, batch_size=64, evaluate_every=100, shown=1, optimizer=OptimizerConfig(learning_rate=3e-3, warmup=50),
    model=ConvolutionTaggerConfig(
        words=WORDS, crf=False, reader=ConvolutionReaderConfig(features=32, layers=4, width=8, dropout=0.0)
    ),
)  # fmt: skip

"""``tag elmo``: vectors of a trained ELMo beside the words' own. Adds a preset and a front to ``tag``."""

import dataclasses
from collections.abc import Sequence

from seqjax.checks import check_share
from seqjax.models.elmo_reading import ElmoReader
from seqjax.models.tagger import RecurrentTaggerConfig
from seqjax.tasks.elmo_start import open_elmo
from seqjax.tasks.pretrained import PretrainedConfig
from seqjax.tasks.tag import PRESETS, WordTagConfig
from seqjax.tasks.tag_front import FRONTS, Front, Sentence, word_front
from seqjax.training.folder import RunFolder


@dataclasses.dataclass(frozen=True, kw_only=True)
class ElmoTaggerConfig(RecurrentTaggerConfig):
    """Words' own vectors and those of a trained ELMo, side by side, under recurrent layers."""

    elmo_dropout: float = 0.5  # probability of zeroing a feature of the mix of ELMo's layers

    def __post_init__(self):
        super().__post_init__()
        check_share("ElmoTaggerConfig", "elmo_dropout", self.elmo_dropout)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ElmoTagConfig(WordTagConfig):
    """Train recurrent layers over the vectors of a run of `elmo` to give every token a tag."""

    model: ElmoTaggerConfig = ElmoTaggerConfig()
    pretrained: PretrainedConfig = PretrainedConfig(tuned=False)


def elmo_front(config: ElmoTagConfig, folder: RunFolder, sentences: Sequence[Sentence] | None) -> Front:
    """Words and their spelling, as this run knows them and as the run to start from does.

    Args:
        config: of the run.
        folder: of the run; what describes the run to start from is kept there.
        sentences: of the training split; None: it is there.
    """
    start = open_elmo(config.pretrained, folder, begins=sentences is not None)
    own = word_front(config, folder, sentences)

    def arrays(sentences):
        return own.arrays(sentences) | {"spelling": start.spell(sentences)}

    def make(rngs):
        return ElmoReader(
            own.make(rngs).features, start.vectors(config.model.elmo_dropout, rngs), config.model.reader,
            delay=config.model.delay, longest=config.data.longest, rngs=rngs,
        )  # fmt: skip

    return Front(arrays, make, own.summary + start.summary, lambda init: start.begin(own.start(init)))


FRONTS[ElmoTagConfig] = elmo_front
PRESETS["elmo"] = ElmoTagConfig(
    **{name: getattr(PRESETS["bilstm-crf"], name) for name in ("steps", "batch_size", "evaluate_every", "optimizer")}
)

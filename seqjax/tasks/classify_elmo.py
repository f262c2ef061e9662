"""``classify elmo``: vectors of a trained ELMo beside the words' own. Adds a preset and a front to ``classify``."""

import dataclasses
from collections.abc import Sequence

from seqjax.checks import InputError, check_share
from seqjax.data import WordList, count_words
from seqjax.data.word_sentences import split_words
from seqjax.models.classifier import PoolingConfig
from seqjax.models.elmo_reading import ElmoReader
from seqjax.models.reading import RecurrentReaderConfig
from seqjax.models.word_features import WordFeatures, WordFeaturesConfig
from seqjax.tasks.classify_config import PRESETS, ClassifyConfig
from seqjax.tasks.classify_front import FRONTS, Front
from seqjax.tasks.elmo_start import open_elmo
from seqjax.tasks.pretrained import PretrainedConfig
from seqjax.training.devices import writer_first
from seqjax.training.folder import RunFolder
from seqjax.training.optimizers import OptimizerConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class ElmoClassifierConfig:
    """Words' own vectors and those of a trained ELMo, side by side, under recurrent layers, pooled."""

    words: WordFeaturesConfig = WordFeaturesConfig(embedding=64, characters="none")
    reader: RecurrentReaderConfig = RecurrentReaderConfig(features=32)
    output: PoolingConfig = PoolingConfig(pooling="mean")
    elmo_dropout: float = 0.5  # probability of zeroing a feature of the mix of ELMo's layers

    def __post_init__(self):
        check_share("ElmoClassifierConfig", "elmo_dropout", self.elmo_dropout)
        if self.words.characters != "none":
            raise InputError(
                f"ElmoClassifierConfig: ELMo reads the spelling of words already, so `words.characters` should be "
                f"none, but it is {self.words.characters}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ElmoClassifyConfig(ClassifyConfig):
    """Train recurrent layers over the vectors of a run of `elmo` to give a text a class.

    Texts are cut into words as that run cuts them, whatever --data.tokenizer says; --data.lower is for the words' own
    vectors alone.
    """

    model: ElmoClassifierConfig = ElmoClassifierConfig()
    pretrained: PretrainedConfig = PretrainedConfig(tuned=False)


def elmo_front(config: ElmoClassifyConfig, folder: RunFolder, texts: Sequence[str] | None) -> Front:
    """The words of a text as the run to start from cuts and spells them, and by their own vectors.

    Args:
        config: of the run.
        folder: of the run; its list of words, and what describes the run to start from, are kept there.
        texts: of the training split; None: all that is there.
    """
    start, data = open_elmo(config.pretrained, folder, begins=texts is not None), config.data

    def cut(text: str) -> list[str]:
        return split_words(text, start.reader.data)

    def prepare(first: bool) -> WordList:
        if first and texts is not None and not folder.words.exists():
            words = count_words(
                map(cut, texts), vocabulary=data.vocabulary, min_count=data.min_count, lower=data.lower
            )  # fmt: skip
            words.save(folder.words)
        return WordList.load(folder.words)

    words = writer_first(prepare)

    def arrays(texts, where: str = "data: text"):
        sentences = [cut(text) for text in texts]
        if data.too_long == "refuse":
            check_room(sentences, texts, data.length, where)
        sentences = [sentence[: data.length or None] for sentence in sentences]
        return {"words": [words.encode(sentence) for sentence in sentences], "spelling": start.spell(sentences)}

    def make(rngs):
        own = WordFeatures(config.model.words, words.size, 0, rngs=rngs)
        return ElmoReader(own, start.vectors(config.model.elmo_dropout, rngs), config.model.reader, rngs=rngs)

    known = ("words", f"{words.size - 1:,} have a vector of their own, the rest are <unk>")
    return Front(arrays, make, cut, [known, *start.summary], start.begin)


def check_room(sentences: Sequence[Sequence[str]], texts: Sequence[str], room: int, where: str) -> None:
    """Refuse texts of more words than are allowed; 0 allows all.

    Example:
        >>> check_room([["too", "long"]], ["too long"], 1, "data: train text")
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: data: train text 1 has 2 words, but at most 1 are allowed, and so for 1 of 1: ...
    """
    long = [number for number, words in enumerate(sentences) if room and len(words) > room]
    if long:
        raise InputError(
            f"{where} {long[0] + 1} has {len(sentences[long[0]])} words, but at most {room} are allowed, and so for "
            f"{len(long)} of {len(sentences)}: {texts[long[0]][:60]!r}. Try --data.too-long truncate."
        )


FRONTS[ElmoClassifyConfig] = elmo_front
PRESETS["elmo"] = ElmoClassifyConfig(
    steps=400, batch_size=64, evaluate_every=100, label_smoothing=0.1,
    optimizer=OptimizerConfig(learning_rate=4e-3, warmup=100),
)  # fmt: skip

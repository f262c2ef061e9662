"""Vectors of words from plain text: skip-gram, the continuous bag of words, GloVe. Task ``embeddings``.

The objective is the mean loss times the examples of a batch, so the learning rate is that of one pair, as in the
papers, whatever the batch: all pairs of a batch move the tables at once, where the papers' programs move them pair by
pair. What is reported is the mean, in nats a pair with its negatives (GloVe: the weighted square of an entry).
"""

import dataclasses
from typing import Any, NamedTuple

import jax

from seqjax.data import iterate
from seqjax.data.batches import Numbered
from seqjax.data.cooccurrences import CountsConfig, count_cooccurrences, entry_batches
from seqjax.data.skipgrams import WindowsConfig, window_batches
from seqjax.data.splits import read_splits
from seqjax.data.text import read_documents
from seqjax.data.word_list import WordList, count_words
from seqjax.data.word_text import KnownWords, WordTextConfig, known_words, split_lines
from seqjax.models.pure import count_parameters
from seqjax.models.word_vectors import (
    GloveConfig,
    SoftmaxVectorsConfig,
    VectorModel,
    VectorsConfig,
    cbow,
    glove,
    skipgram,
    skipgram_softmax,
)
from seqjax.tasks.contract import Built, Task
from seqjax.tasks.embeddings_use import (
    AnalogyOptions,
    ExportOptions,
    LearnedVectors,
    NeighboursOptions,
    VectorsData,
    export,
    judge,
    show_analogy,
    show_neighbours,
    some_neighbours,
)
from seqjax.training.configuration import ShowingConfig
from seqjax.training.devices import writer_first
from seqjax.training.evaluation import Evaluator, Totals
from seqjax.training.folder import RunFolder
from seqjax.training.loop import Job
from seqjax.training.optimizers import OptimizerConfig
from seqjax.training.step import Objective

TERM = "nats"
SHOWN = 8  # neighbours of a word in the samples


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbeddingsRunConfig(ShowingConfig):
    """Train vectors of words on text."""

    data: WordTextConfig = WordTextConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    shown: int = 5  # words whose neighbours are shown at each validation; 0: none


@dataclasses.dataclass(frozen=True, kw_only=True)
class SkipGramRunConfig(EmbeddingsRunConfig):
    """Train skip-gram vectors, each pair told from drawn words."""

    windows: WindowsConfig = WindowsConfig()
    model: VectorsConfig = VectorsConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class CbowRunConfig(EmbeddingsRunConfig):
    """Train vectors whose mean over a window tells the word in the middle from drawn words."""

    windows: WindowsConfig = WindowsConfig()
    model: VectorsConfig = VectorsConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class SoftmaxRunConfig(EmbeddingsRunConfig):
    """Train skip-gram vectors that predict each neighbour among all words."""

    windows: WindowsConfig = WindowsConfig()
    model: SoftmaxVectorsConfig = SoftmaxVectorsConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class GloveRunConfig(EmbeddingsRunConfig):
    """Train GloVe vectors on counts of what stands near what."""

    counts: CountsConfig = CountsConfig()
    model: GloveConfig = GloveConfig()


PAIRWISE = OptimizerConfig(name="sgd", learning_rate=0.025, schedule="linear", final=0.004, clip=0.0)
PRESETS: dict[str, EmbeddingsRunConfig] = {
    "skipgram": SkipGramRunConfig(steps=1000, batch_size=32, evaluate_every=250, log_every=250, optimizer=PAIRWISE),
    "skipgram-softmax": SoftmaxRunConfig(
        steps=1000, batch_size=32, evaluate_every=250, log_every=250, optimizer=PAIRWISE
    ),
    "cbow": CbowRunConfig(
        steps=1000, batch_size=32, evaluate_every=250, log_every=250,
        optimizer=dataclasses.replace(PAIRWISE, learning_rate=0.1),
    ),
    "glove": GloveRunConfig(
        steps=1500, batch_size=4096, evaluate_every=500, log_every=250,
        optimizer=OptimizerConfig(
            name="adagrad", learning_rate=0.05, schedule="constant", clip=0.0,
            options={"initial_accumulator_value": 1.0},
        ),
    ),
}  # fmt: skip


def vector_model(config: EmbeddingsRunConfig, vocabulary: int) -> VectorModel:
    """The model that a configuration describes, as pure functions."""
    if isinstance(config, SkipGramRunConfig):
        return skipgram(config.model, vocabulary)
    if isinstance(config, CbowRunConfig):
        return cbow(config.model, vocabulary)
    if isinstance(config, SoftmaxRunConfig):
        return skipgram_softmax(config.model, vocabulary)
    assert isinstance(config, GloveRunConfig)
    return glove(config.model, vocabulary)


class Laid(NamedTuple):
    """Text laid into batches."""

    batches: Numbered
    examples: float  # the mean number of examples in a batch


def lay(config, text: KnownWords, words: WordList, *, train: bool) -> Laid:
    """The batches that a configuration wants of a text."""
    rows, seed = config.batch_size, config.seed
    if isinstance(config, GloveRunConfig):
        found = count_cooccurrences([text], config.counts, len(words))
        batches = entry_batches(found, rows=rows, seed=seed, train=train)
        return Laid(batches, len(found.counts) / batches.steps_per_epoch)
    windows = window_batches(text, words, config.windows, rows=rows, seed=seed, train=train)
    return Laid(windows, windows.centres_per_batch if isinstance(config, CbowRunConfig) else windows.pairs_per_batch)


def objective(model: VectorModel, examples: float = 1.0) -> Objective:
    """The loss of a batch; ``examples`` is how many a batch has on average."""

    def counts(batch):
        return {TERM: model.examples(batch)}

    def terms(params, batch, carry, keys, train):
        words = model.words(batch)
        return {TERM: model.loss(params, batch)}, carry, {"words": (words, words)}

    return Objective(counts, terms, {TERM: examples})


def report(totals: Totals, split: str) -> dict[str, float]:
    """The true mean loss."""
    nats, count = totals[TERM]
    return {"loss": nats / max(count, 1)}


def build(config, folder: RunFolder) -> Built:
    """Read the text, count its words, lay it into batches, and make the job of training."""
    splits = read_splits(config.data.text)
    words = writer_first(lambda first: _words(config, folder, splits.train, first))
    texts = {name: known_words(lines, words, f"data, {name}") for name, lines in splits._asdict().items()}
    laid = {name: lay(config, text, words, train=name == "train") for name, text in texts.items()}
    model = vector_model(config, len(words))
    train, shown = laid["train"], words.words[1:][:: max(1, len(words) // 20)][: config.shown]

    def sample(params, step: int) -> str:
        return some_neighbours(LearnedVectors.of(model, words, params), shown, SHOWN)

    job = Job(
        objective=objective(model, train.examples),
        init=model.init,
        batches=train.batches,
        iterate=iterate,
        validation=laid["valid"].batches,
        test=laid["test"].batches,
        report=report,
        sample=sample if config.shown else None,
        counted="words",
    )
    numbers = count_parameters(model.init)
    running = " + ".join(f"{text.running:,}" for text in texts.values())
    size = f"{config.batch_size} rows, about {train.examples:,.0f} {model.unit}"
    covered = len(texts["train"].ids) / max(1, texts["train"].running)
    return Built(job, [
        ("text", f"{running} words (train + valid + test)"),
        ("vocabulary", f"{len(words) - 1:,} words, {100 * covered:.1f} % of the training text"),
        ("model", f"{config.model.features} features a word, {numbers:,} parameters"),
        ("batch", f"{size}, on {jax.device_count()} device(s)"),
        ("epoch", f"{train.batches.steps_per_epoch:,} steps"),
    ])  # fmt: skip


def _words(config, folder: RunFolder, lines: list[str], first: bool) -> WordList:
    data = config.data
    if first and not folder.words.exists():
        count_words(split_lines(lines), vocabulary=data.vocabulary, min_count=data.min_count, lower=data.lower).save(
            folder.words
        )
    return WordList.load(folder.words)


def use(config, folder: RunFolder, read_params) -> LearnedVectors:
    """The trained vectors of a run."""
    words = WordList.load(folder.words)
    model = vector_model(config, len(words))
    return LearnedVectors.of(model, words, read_params(jax.eval_shape(model.init, jax.random.key(0))))


def evaluate(config, folder: RunFolder, params, data: VectorsData) -> dict[str, Any]:
    """Agreement with people and analogies, when files of them are named; else, or beside them, the loss on a text."""
    words = WordList.load(folder.words)
    model = vector_model(config, len(words))
    metrics: dict[str, Any] = {}
    if data.path or not (data.similarity or data.analogies):
        lines = read_documents(data.path, config.data.text) if data.path else read_splits(config.data.text).test
        batches = lay(config, known_words(lines, words, "data.path"), words, train=False).batches
        totals = Evaluator(objective(model), config.compute_dtype)(params, batches)
        metrics |= report(totals, "test")
    return metrics | judge(LearnedVectors.of(model, words, params), data)


EMBEDDINGS = Task(
    name="embeddings",
    what="vectors of words from plain text: skip-gram, continuous bag of words, GloVe",
    presets=PRESETS,
    default="skipgram",
    build=build,
    use=use,
    evaluate=evaluate,
    verbs={"neighbours": show_neighbours, "analogy": show_analogy, "export": export},
    evaluated=VectorsData,
    own={"neighbours": NeighboursOptions, "analogy": AnalogyOptions, "export": ExportOptions},
    unit="nats per example",
)

"""Language models from both sides, whose layers are vectors of words in context. Task ``elmo``.

A batch is what :mod:`seqjax.data.word_sentences` makes of text: words to predict, and their characters to read.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from seqjax.checks import InputError
from seqjax.data import WordList, iterate, read_documents, read_splits
from seqjax.data.example_batches import ExampleBatches
from seqjax.data.word_sentences import Lists, SentencesConfig, sentence_batches, unigram_nats, word_sentences
from seqjax.models.elmo import ElmoConfig, ElmoModel, elmo
from seqjax.models.pure import count_parameters
from seqjax.ops.losses import token_cross_entropy
from seqjax.ops.metrics import perplexity
from seqjax.tasks.contract import Built, DataOption, Task
from seqjax.tasks.elmo_use import Reader, Vectors, predict, show
from seqjax.training.configuration import ShowingConfig
from seqjax.training.devices import writer_first
from seqjax.training.evaluation import Evaluator, Totals
from seqjax.training.folder import RunFolder
from seqjax.training.loop import Job
from seqjax.training.optimizers import OptimizerConfig
from seqjax.training.step import Objective

Sentences = Sequence[Sequence[str]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ElmoTaskConfig(ShowingConfig):
    """Train ELMo on text: a language model from the left and one from the right, over words read by their spelling."""

    data: SentencesConfig = SentencesConfig()
    model: ElmoConfig = ElmoConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    shown: int = 2  # validation sentences shown at each validation, with what each direction expected; 0: none

    def __post_init__(self):
        super().__post_init__()
        if self.shown > 16:
            raise InputError(f"--shown counts sentences, at most 16, but it is {self.shown}.")


PRESETS = {
    "elmo": ElmoTaskConfig(
        steps=1000, batch_size=32, evaluate_every=250,
        optimizer=OptimizerConfig(learning_rate=3e-3, warmup=50),
    )
}  # fmt: skip


def model_of(config: ElmoTaskConfig, lists: Lists) -> ElmoModel:
    """The model that a configuration describes, as pure functions."""
    return elmo(config.model, lists.words.size, lists.characters.size)


def objective(model: ElmoModel) -> Objective:
    """Nats of every word and of a sentence's end from the left, of every word and its beginning from the right."""

    def counts(batch):
        words = batch["mask"].sum() + batch["mask"].any(axis=1).sum()
        return {"forward": words, "backward": words}

    def terms(params, batch, carry, keys, train):
        said = model.predict(params, batch, keys)
        return {name: token_cross_entropy(*of)[0] for name, of in said.items()}, carry, {}

    return Objective(counts, terms, {"forward": 0.5, "backward": 0.5})


def load_lists(folder: RunFolder) -> Lists:
    """The words and characters of a run."""
    return Lists(WordList.load(folder.words), WordList.load(folder.characters))


def batches(config: ElmoTaskConfig, sentences: Sentences, lists: Lists, *, train: bool, shapes=None) -> ExampleBatches:
    """Sentences in batches."""
    return sentence_batches(
        sentences, lists, characters=config.data.characters, rows=config.batch_size, seed=config.seed, train=train,
        buckets=shapes or config.data.buckets,
    )  # fmt: skip


def build(config: ElmoTaskConfig, folder: RunFolder) -> Built:
    """Read the text, count or load its words, and make the job of training."""
    splits = read_splits(config.data.files)
    sentences = {name: word_sentences(texts, config.data) for name, texts in splits._asdict().items()}

    def prepare(first: bool) -> Lists:
        if first and not folder.characters.exists():
            words, characters = Lists.of(sentences["train"], config.data)
            words.save(folder.words)
            characters.save(folder.characters)
        return load_lists(folder)

    lists = writer_first(prepare)
    train = batches(config, sentences["train"], lists, train=True)
    whole = functools.partial(batches, config, lists=lists, train=False, shapes=train.lengths)
    reader = Reader(model_of(config, lists), lists, config.data, config.model, None)
    job = Job(
        objective=objective(reader.model),
        init=reader.model.init,
        batches=train,
        iterate=iterate,
        validation=whole(sentences["valid"]),
        test=whole(sentences["test"]),
        report=reporter(sentences, lists),
        sample=show(reader, sentences["valid"][: config.shown]) if config.shown else None,
        counted="forward",
    )
    return Built(job, summary(config, sentences, reader))


def summary(config: ElmoTaskConfig, sentences: Mapping[str, Sentences], reader: Reader) -> list[tuple[str, str]]:
    """What is about to be trained, in a few lines."""
    numbers = count_parameters(reader.model.init)
    words, characters = reader.lists
    read = " + ".join(f"{sum(map(len, found)):,}" for found in sentences.values())
    model, data = config.model, config.data
    return [
        ("sentences", " + ".join(f"{len(found):,}" for found in sentences.values()) + " (train + valid + test)"),
        ("words", f"{read}, {words.size:,} of them predicted, {words.counts[0] / words.counts.sum():.1%} as <unk>"),
        ("spelling", f"{characters.size:,} characters, {data.characters} of a word at most"),
        ("model", f"2 × {model.layers} × LSTM of {model.hidden} to {model.features}, {numbers:,} parameters"),
        ("batch", f"{config.batch_size} sentences of at most {data.length} words on {jax.device_count()} device(s)"),
    ]


def reporter(sentences: Mapping[str, Sentences], lists: Lists):
    """``(totals, split) -> metrics``: nats a word, the mean of both directions; perplexities of both and of each.

    ``baseline`` is the perplexity of a model that knows how frequent each word is in training, and no more.
    """
    measured = {name: found for name, found in sentences.items() if name != "train"}
    baseline = {name: float(np.exp(unigram_nats(found, lists.words))) for name, found in measured.items()}

    def report(totals: Totals, split: str) -> dict[str, float]:
        sides = {name: totals[name] for name in ("forward", "backward")}
        nats, count = (sum(part) for part in zip(*sides.values(), strict=True))
        row = {"loss": nats / max(count, 1), "perplexity": perplexity(nats, count)}
        row |= {f"{name}_perplexity": perplexity(*side) for name, side in sides.items()}
        return row | ({"baseline": baseline[split]} if split in baseline else {})

    return report


def evaluate(config: ElmoTaskConfig, folder: RunFolder, params, data: DataOption) -> dict[str, float]:
    """Metrics of ``params`` on the text that ``data`` names, or on the run's own test split."""
    lists, files = load_lists(folder), config.data.files
    texts = read_documents(data.path, files) if data.path else read_splits(files).test
    sentences = word_sentences(texts, config.data)
    measured = batches(config, sentences, lists, train=False)
    totals = Evaluator(objective(model_of(config, lists)), config.compute_dtype)(params, measured)
    return reporter({"test": sentences}, lists)(totals, "test")


def use(config: ElmoTaskConfig, folder: RunFolder, read_params) -> Reader:
    """The trained model of a run."""
    lists = load_lists(folder)
    model = model_of(config, lists)
    params = read_params(jax.eval_shape(model.init, jax.random.key(0)))
    return Reader(model, lists, config.data, config.model, params)


ELMO = Task(
    name="elmo",
    what="ELMo: language models from the left and from the right, whose layers are vectors of words in context",
    presets=PRESETS,
    default="elmo",
    build=build,
    use=use,
    evaluate=evaluate,
    verbs={"predict": predict},
    predicted=Vectors,
    unit="nats per word",
)

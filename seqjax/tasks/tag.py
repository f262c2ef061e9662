"""A tag for every token of a sentence: names, parts of speech, parts of dates, exons. Task ``tag``.

A batch is what :mod:`seqjax.data.example_batches` makes of the arrays of a front, and ``tags`` (B, T).
"""

import dataclasses

import jax
import jax.numpy as jnp

from seqjax.data import Examples, LabelList, example_batches, iterate
from seqjax.data.conll import Tagged, read_tagged
from seqjax.data.tag_config import TagsConfig
from seqjax.data.tag_schemes import Scheme, legal_transitions
from seqjax.data.tagged import TagSplits, check_tags, encode_tags, list_tags, read_tag_splits, scheme_of
from seqjax.models.pure import count_parameters
from seqjax.models.tagger import AttentionTaggerConfig, RecurrentTaggerConfig, TagModel, tagger
from seqjax.ops import crf
from seqjax.tasks.contract import Built, DataOption, Task
from seqjax.tasks.tag_front import Front, front_of
from seqjax.tasks.tag_use import PredictTags, TagUse, examine, predict, show
from seqjax.tasks.word_embeddings import EmbeddingsConfig
from seqjax.training.configuration import ShowingConfig
from seqjax.training.devices import writer_first
from seqjax.training.evaluation import Evaluator, Totals
from seqjax.training.folder import RunFolder
from seqjax.training.loop import Job
from seqjax.training.optimizers import OptimizerConfig
from seqjax.training.step import Objective

TERM = "negative_log_likelihood"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TagConfig(ShowingConfig):
    """Train a model that gives every token of a sentence a tag."""

    data: TagsConfig = TagsConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    shown: int = 3  # validation sentences shown with their tags at each validation; 0: none


@dataclasses.dataclass(frozen=True, kw_only=True)
class WordTagConfig(TagConfig):
    """Train a model that gives every word a tag, over vectors of words of its own."""

    embeddings: EmbeddingsConfig = EmbeddingsConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentTagConfig(WordTagConfig):
    """Train recurrent layers that give every token a tag."""

    model: RecurrentTaggerConfig = RecurrentTaggerConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionTagConfig(WordTagConfig):
    """Train the encoder of a Transformer that gives every token a tag."""

    model: AttentionTaggerConfig = AttentionTaggerConfig()


LOWER = TagsConfig(lower=True)  # words are looked up in lower case: their spelling keeps its case
PRESETS: dict[str, TagConfig] = {
    "bilstm-crf": RecurrentTagConfig(
        steps=1000, batch_size=32, evaluate_every=200, data=LOWER, model=RecurrentTaggerConfig(crf=True),
        optimizer=OptimizerConfig(learning_rate=3e-3, warmup=50),
    ),
    "bilstm": RecurrentTagConfig(
        steps=1000, batch_size=32, evaluate_every=200, data=LOWER, model=RecurrentTaggerConfig(crf=False),
        optimizer=OptimizerConfig(learning_rate=3e-3, warmup=50),
    ),
    "transformer": AttentionTagConfig(
        steps=1000, batch_size=32, evaluate_every=200, data=LOWER, model=AttentionTaggerConfig(crf=False),
        optimizer=OptimizerConfig(learning_rate=2e-3, warmup=100),
    ),
}  # fmt: skip


def tag_model(config, front: Front, labels: LabelList, scheme: Scheme) -> TagModel:
    """The model that a configuration describes, as pure functions."""
    legal = crf.Transitions(*map(jnp.asarray, legal_transitions(labels.names, scheme)))
    return tagger(front.make, len(labels), legal=legal, chained=config.model.crf)


def objective(model: TagModel) -> Objective:
    """The negative log-likelihood of the tags, in nats: of whole sentences with a CRF, else of every token."""

    def counts(batch):
        return {TERM: batch["mask"].sum()}

    def terms(params, batch, carry, keys, train):
        return {TERM: model.nats(params, batch, keys)}, carry, {}

    return Objective(counts, terms, {TERM: 1.0})


def report(totals: Totals, split: str) -> dict[str, float]:
    """``loss``: nats a token, whether tags are scored each by itself or, with a CRF, as whole sentences."""
    nats, count = totals[TERM]
    return {"loss": nats / count}


def labels_of(folder: RunFolder, splits: TagSplits) -> LabelList:
    """The run's tags; those of the training split if there are none yet."""

    def prepare(first: bool) -> LabelList:
        if first and not folder.labels.exists():
            list_tags(splits.train).save(folder.labels)
        return LabelList.load(folder.labels)

    return writer_first(prepare)


def examples(front: Front, sentences: list[Tagged], labels: LabelList) -> Examples:
    """Sentences as arrays, their tags among them."""
    return Examples(front.arrays([one.words for one in sentences]) | {"tags": encode_tags(sentences, labels)}, {})


def build(config, folder: RunFolder) -> Built:
    """Read the sentences, list words and tags, and make the job of training."""
    splits = read_tag_splits(config.data)
    labels = labels_of(folder, splits)
    front = front_of(config, folder, [one.words for one in splits.train])
    parts = {name: getattr(splits, name) for name in ("train", "valid", "test")}
    found = {name: examples(front, part, labels) for name, part in parts.items()}
    rows = config.batch_size
    redraw = front.redraw(labels, config.seed) if front.redraw else None
    train = example_batches(
        found["train"], rows=rows, seed=config.seed, train=True, buckets=config.data.buckets, change=redraw
    )
    valid, test = (
        example_batches(found[name], rows=rows, train=False, buckets=train.lengths) for name in ("valid", "test")
    )
    model = tag_model(config, front, labels, splits.scheme)
    use = TagUse(model, front, labels, splits.scheme, config.data, None)
    job = Job(
        objective=objective(model),
        init=front.start(model.init),
        batches=train,
        iterate=iterate,
        validation=valid,
        test=test,
        report=report,
        sample=show(use, parts["valid"][: config.shown]) if config.shown else None,
        counted=TERM,
        examine=examine(use, parts, folder),
    )
    return Built(job, summary(config, splits, found, use))


def summary(config, splits: TagSplits, found: dict[str, Examples], use: TagUse) -> list[tuple[str, str]]:
    """What is about to be trained, in a few lines."""
    numbers = count_parameters(use.model.init)
    lengths = found["train"].lengths
    head = "conditional random field" if config.model.crf else "softmax for each token"
    rows = [
        ("sentences", " + ".join(f"{len(part.lengths):,}" for part in found.values()) + " (train + valid + test)"),
        ("tokens", f"{lengths.mean():.0f} a sentence, at most {lengths.max()}"),
        ("tags", f"{len(use.labels)}, {splits.scheme.upper()}" if splits.scheme != "none" else f"{len(use.labels)}"),
        *use.front.summary,
        ("model", f"{type(config.model).__name__.removesuffix('Config')}, {head}, {numbers:,} parameters"),
        ("batch", f"{config.batch_size} sentences on {jax.device_count()} device(s)"),
    ]
    mended = ", ".join(f"{count:,} of {name}" for name, count in splits.repaired.items() if count)
    return rows + ([("repaired", f"tags of {mended} sentences")] if mended else [])


def use(config, folder: RunFolder, read_params) -> TagUse:
    """The trained model of a run."""
    labels = LabelList.load(folder.labels)
    scheme = scheme_of(config.data, labels.names)
    front = front_of(config, folder, None)
    model = tag_model(config, front, labels, scheme)
    params = read_params(jax.eval_shape(model.init, jax.random.key(0)))
    return TagUse(model, front, labels, scheme, config.data, params)


def evaluate(config, folder: RunFolder, params, data: DataOption) -> dict[str, float]:
    """Metrics of ``params`` on the sentences that ``data`` names, or on the run's own test split."""
    run = use(config, folder, lambda shapes: params)
    if data.path:
        sentences, _ = check_tags(read_tagged(data.path, config.data), run.scheme, mend=config.data.repair)
        run = run._replace(front=run.front._replace(beside={}))  # a naive method was measured on the run's own split
    else:
        sentences = read_tag_splits(config.data).test
    batches = example_batches(
        examples(run.front, sentences, run.labels), rows=config.batch_size, train=False, buckets=config.data.buckets
    )
    totals = Evaluator(objective(run.model), config.compute_dtype)(params, batches)
    return report(totals, "test") | examine(run, {"test": sentences}, None)(params, "test")


TAG = Task(
    name="tag",
    what="sentences: a tag for every token (parts of dates, names, parts of speech, exons)",
    presets=PRESETS,
    default="bilstm-crf",
    build=build,
    use=use,
    evaluate=evaluate,
    verbs={"predict": predict},
    evaluated=DataOption,
    predicted=PredictTags,
)

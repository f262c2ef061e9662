"""Dependency parsing: which word each word of a sentence hangs on, and by which relation. Task ``parse``.

A batch is what :mod:`seqjax.data.example_batches` makes of sentences: ``words`` (B, T), ``characters`` (B, T, C),
``heads`` (B, T) in [0, T], ``labels`` (B, T), -1 where training never saw the relation, and ``mask`` (B, T).
"""

import dataclasses

import jax
import jax.numpy as jnp

from seqjax.data import Examples, LabelList, example_batches, iterate
from seqjax.data.conllu import Tree
from seqjax.data.trees import TreesConfig, TreeSplits, encode_trees, list_labels, read_tree_splits, read_trees
from seqjax.models.parser import ParserConfig, ParserModel, parser
from seqjax.models.pure import count_parameters
from seqjax.ops.losses import token_cross_entropy
from seqjax.ops.metrics import token_accuracy
from seqjax.tasks.contract import Built, Task
from seqjax.tasks.parse_use import ParseUse, PredictTrees, TreesOption, examine, predict, show
from seqjax.tasks.tag_front import word_lists
from seqjax.tasks.word_embeddings import EmbeddingsConfig, kept_features, known_vectors, start_with
from seqjax.training.configuration import ShowingConfig
from seqjax.training.devices import writer_first
from seqjax.training.evaluation import Evaluator, Totals
from seqjax.training.folder import RunFolder
from seqjax.training.loop import Job
from seqjax.training.optimizers import OptimizerConfig
from seqjax.training.step import Objective


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParseConfig(ShowingConfig):
    """Train a parser that finds the dependency tree of a sentence."""

    data: TreesConfig = TreesConfig()
    model: ParserConfig = ParserConfig()
    embeddings: EmbeddingsConfig = EmbeddingsConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    skip_punctuation: bool = False  # leave punctuation out of uas and las
    shown: int = 3  # validation sentences shown with their mistakes at each validation; 0: none


PRESETS = {
    "biaffine": ParseConfig(
        steps=1000, batch_size=32, evaluate_every=250,
        optimizer=OptimizerConfig(learning_rate=3e-3, warmup=50, options={"b2": 0.9}),
    )
}  # fmt: skip


def objective(model: ParserModel) -> Objective:
    """Two terms, in nats a word: the negative log-likelihood of its head, and of its relation to its true head."""

    def known(batch):
        return batch["mask"] & (batch["labels"] >= 0)

    def counts(batch):
        return {"arcs": batch["mask"].sum(), "labels": known(batch).sum()}

    def terms(params, batch, carry, keys, train):
        parsed = model.read(params, batch, keys)
        arcs = parsed.arcs, batch["heads"], batch["mask"]
        relations = model.relate(params, parsed, batch["heads"], batch["mask"])
        labels = relations, jnp.maximum(batch["labels"], 0), known(batch)
        sums = {"arcs": token_cross_entropy(*arcs)[0], "labels": token_cross_entropy(*labels)[0]}
        return sums, carry, {"accuracy": token_accuracy(*arcs)}

    return Objective(counts, terms, {"arcs": 1.0, "labels": 1.0})


def report(totals: Totals, split: str) -> dict[str, float]:
    """``loss``, nats a word, is that of heads and that of relations; ``accuracy``, heads found each by itself."""
    losses = {name: total / max(count, 1) for name, (total, count) in totals.items()}
    parts = {"arc_loss": losses["arcs"], "label_loss": losses["labels"]}
    return {"loss": sum(parts.values())} | parts | {"accuracy": losses["accuracy"]}


def parse_use(config: ParseConfig, folder: RunFolder, trees: list[Tree] | None) -> ParseUse:
    """The model that a configuration describes, and the lists of words and relations of the run.

    Args:
        config: of the run.
        folder: of the run; the lists are kept there.
        trees: the training split, to make the lists from; None: they are there.
    """
    words, characters = word_lists(config, folder, None if trees is None else [tree.forms for tree in trees])

    def prepare(first: bool) -> LabelList:
        if first and trees is not None and not folder.labels.exists():
            list_labels(trees).save(folder.labels)
        return LabelList.load(folder.labels)

    labels = writer_first(prepare)
    how, given = config.model.words, config.embeddings
    if trees is not None:
        known_vectors(given, words.words, folder)
    how = dataclasses.replace(how, embedding=kept_features(given, folder, how.embedding))
    shape, spelled = dataclasses.replace(config.model, words=how), characters if how.characters != "none" else None
    frozen = bool(given.path) and not given.tuned
    model = parser(shape, words.size, spelled.size if spelled else 0, len(labels), frozen=frozen)
    return ParseUse(model, words, spelled, labels, config.data, None)


def build(config: ParseConfig, folder: RunFolder) -> Built:
    """Read the trees, list words and relations, and make the job of training."""
    splits = read_tree_splits(config.data)
    use = parse_use(config, folder, splits.train)
    found = {
        name: encode_trees(part, use.words, use.characters, use.labels, config.data.unseen)
        for name, part in splits._asdict().items()
    }
    known = known_vectors(config.embeddings, use.words.words, folder)
    place = "features/words/table" if config.embeddings.tuned else "features/words/frozen/table"
    rows = config.batch_size
    train = example_batches(found["train"], rows=rows, seed=config.seed, train=True, buckets=config.data.buckets)
    valid, test = (
        example_batches(found[name], rows=rows, train=False, buckets=train.lengths) for name in ("valid", "test")
    )
    job = Job(
        objective=objective(use.model),
        init=start_with(use.model.init, place, known),
        batches=train,
        iterate=iterate,
        validation=valid,
        test=test,
        report=report,
        sample=show(use, splits.valid[: config.shown]) if config.shown else None,
        counted="arcs",
        examine=examine(use, splits._asdict(), config.skip_punctuation),
    )
    return Built(job, summary(config, splits, found, use) + ([("embeddings", known.line)] if known else []))


def summary(
    config: ParseConfig, splits: TreeSplits, found: dict[str, Examples], use: ParseUse
) -> list[tuple[str, str]]:
    """What is about to be trained, in a few lines."""
    numbers = count_parameters(use.model.init)
    lengths = found["train"].lengths
    characters = f" and {use.characters.size - 1:,} characters" if use.characters else ""
    rows = [
        ("sentences", " + ".join(f"{len(part):,}" for part in splits) + " (train + valid + test)"),
        ("words", f"{lengths.mean():.0f} a sentence, at most {lengths.max()}"),
        ("known", f"{use.words.size - 1:,} words{characters}, the rest are <unk>"),
        ("relations", f"{len(use.labels)}"),
        (
            "model",
            f"{config.model.reader.layers} × {config.model.reader.cell}, biaffine scores, {numbers:,} parameters",
        ),
        ("batch", f"{config.batch_size} sentences on {jax.device_count()} device(s)"),
    ]
    for name in ("valid", "test"):
        unseen = sum(int((labels < 0).sum()) for labels in found[name].steps["labels"])
        if unseen:
            rows.append((f"{name}, unseen", f"{unseen:,} words have a relation that training never saw"))
    return rows


def use(config: ParseConfig, folder: RunFolder, read_params) -> ParseUse:
    """The trained model of a run."""
    found = parse_use(config, folder, None)
    return found._replace(params=read_params(jax.eval_shape(found.model.init, jax.random.key(0))))


def evaluate(config: ParseConfig, folder: RunFolder, params, data: TreesOption) -> dict[str, float]:
    """Metrics of ``params`` on the sentences that ``data`` names, or on the run's own test split."""
    run = use(config, folder, lambda shapes: params)
    trees = read_trees(data.path, config.data) if data.path else read_tree_splits(config.data).test
    unseen = config.data.unseen if data.unseen == "refuse" else data.unseen
    batches = example_batches(
        encode_trees(trees, run.words, run.characters, run.labels, unseen),
        rows=config.batch_size, train=False, buckets=config.data.buckets,
    )  # fmt: skip
    totals = Evaluator(objective(run.model), config.compute_dtype)(params, batches)
    skip = config.skip_punctuation or data.skip_punctuation
    return report(totals, "test") | examine(run, {"test": trees}, skip)(params, "test")


PARSE = Task(
    name="parse",
    what="sentences: the dependency tree over their words, in CoNLL-U",
    presets=PRESETS,
    default="biaffine",
    build=build,
    use=use,
    evaluate=evaluate,
    verbs={"predict": predict},
    evaluated=TreesOption,
    predicted=PredictTrees,
    unit="nats per word",
)

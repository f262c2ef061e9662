"""A class for a whole sequence: the language of a name, the kind of a gene, how visits end. Task ``classify``.

A batch is what :mod:`seqjax.data.example_batches` makes of the arrays of a front, and ``label`` (B,).
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.data import Examples, LabelList, example_batches, iterate
from seqjax.models.classifier import ClassModel, classifier
from seqjax.models.pure import count_parameters
from seqjax.tasks.classify_config import PRESETS, ClassConfig
from seqjax.tasks.classify_front import Front
from seqjax.tasks.classify_source import contents_of, front_of, labels_in, source_of
from seqjax.tasks.classify_use import ClassesOption, ClassUse, PredictClass, examine, predict, show
from seqjax.tasks.contract import Built, Task
from seqjax.training.devices import writer_first
from seqjax.training.evaluation import Evaluator, Totals
from seqjax.training.folder import RunFolder
from seqjax.training.loop import Job
from seqjax.training.step import Objective

TERM = "cross_entropy"


def class_model(config, front: Front, labels: LabelList) -> ClassModel:
    """The model that a configuration describes, as pure functions."""
    return classifier(front.make, len(labels), config.model.output)


def objective(model: ClassModel, config: ClassConfig, weights: np.ndarray | None = None) -> Objective:
    """The negative log-likelihood of the labels, in nats.

    Args:
        model: of K classes.
        config: its ``label_smoothing``, which is of training alone.
        weights: (K,), how much an example of each class counts; None: all alike. Of training alone.
    """
    counted = None if weights is None else jnp.asarray(weights, jnp.float32)

    def weigh(batch):
        return batch["real"] * (1.0 if counted is None else counted[batch["label"]])

    def counts(batch):
        return {TERM: weigh(batch).sum()}

    def terms(params, batch, carry, keys, train):
        logits = model.logits(params, batch, keys).astype(jnp.float32)
        scores = jax.nn.log_softmax(jnp.where(batch["real"][:, None], logits, 0))
        nats = -jnp.take_along_axis(scores, batch["label"][:, None], axis=1)[:, 0]
        spread = config.label_smoothing if train else 0.0
        total = (weigh(batch) * ((1 - spread) * nats - spread * scores.mean(axis=1))).sum()
        real = batch["real"].sum(dtype=jnp.float32)
        right = ((scores.argmax(axis=1) == batch["label"]) & batch["real"]).sum(dtype=jnp.float32)
        metrics = {"nats": ((batch["real"] * nats).sum(), real), "accuracy": (right, real)}
        return {TERM: total}, carry, metrics | {"tokens": (jnp.zeros(()), batch["mask"].sum(dtype=jnp.float32))}

    return Objective(counts, terms, {TERM: 1.0})


def balance(examples: Sequence[Any], labels: LabelList) -> np.ndarray:
    """(K,): N / (K · n) of a class with n of the N examples, so that all classes count alike in sum.

    Example:
        >>> balance([("a", "x")] * 3 + [("b", "y")], LabelList(["a", "b"])).round(3).tolist()
        [0.667, 2.0]
    """
    counts = np.bincount(labels.encode(labels_in(examples), "train"), minlength=len(labels))
    return len(examples) / (len(labels) * np.maximum(counts, 1))


def report(totals: Totals, split: str) -> dict[str, float]:
    """``loss``, nats an example, every class with the same weight and nothing smoothed; and accuracy."""
    return {name: totals[key][0] / totals[key][1] for name, key in (("loss", "nats"), ("accuracy", "accuracy"))}


def labels_of(folder: RunFolder, examples: Sequence[Any]) -> LabelList:
    """The run's labels; those of the training split, in alphabetical order, if there are none yet."""

    def prepare(first: bool) -> LabelList:
        if first and not folder.labels.exists():
            LabelList(sorted(set(labels_in(examples)))).save(folder.labels)
        return LabelList.load(folder.labels)

    return writer_first(prepare)


def arrays(front: Front, examples: Sequence[Any], labels: LabelList, split: str) -> Examples:
    """Contents as arrays, and their labels."""
    found = front.arrays(contents_of(examples), f"data: {split} text")
    return Examples(found, {"label": labels.encode(labels_in(examples), f"data: {split}")})


def build(config, folder: RunFolder) -> Built:
    """Read the examples, learn what training tells of their form, and make the job of training."""
    splits = source_of(config.data).read(config.data)
    parts = {name: getattr(splits, name) for name in ("train", "valid", "test")}
    labels = labels_of(folder, splits.train)
    front = front_of(config, folder, contents_of(splits.train))
    found = {name: arrays(front, part, labels, name) for name, part in parts.items()}
    rows = config.batch_size
    train = example_batches(found["train"], rows=rows, seed=config.seed, train=True, buckets=config.data.buckets)
    valid, test = (
        example_batches(found[name], rows=rows, train=False, buckets=train.lengths) for name in ("valid", "test")
    )
    model = class_model(config, front, labels)
    use = ClassUse(model, front, labels, config.data, None)
    job = Job(
        objective=objective(model, config, balance(splits.train, labels) if config.class_weights != "none" else None),
        init=front.begin(model.init),
        batches=train,
        iterate=iterate,
        validation=valid,
        test=test,
        report=report,
        sample=show(use, spread(parts["valid"], config.shown)) if config.shown else None,
        counted="tokens",
        examine=examine(use, parts, folder, rival=config.baseline),
    )
    return Built(job, summary(config, splits, found, use))


def spread(examples: Sequence[Any], count: int) -> Sequence[Any]:
    """So many of the examples, evenly spaced: files are often sorted by class."""
    return examples[:: max(1, len(examples) // count)][:count]


def summary(config, splits, found: dict[str, Examples], use: ClassUse) -> list[tuple[str, str]]:
    """What is about to be trained, in a few lines."""
    numbers = count_parameters(use.model.init)
    lengths, shares = found["train"].lengths, np.bincount(found["train"].rows["label"], minlength=len(use.labels))
    names = ", ".join(use.labels.names[:20]) + (", …" if len(use.labels) > 20 else "")
    unit, step = use.source.unit, use.source.step
    rows = [
        (unit, " + ".join(f"{len(part.lengths):,}" for part in found.values()) + " (train + valid + test)"),
        ("classes", f"{len(use.labels)}: {names}; {shares.min():,} to {shares.max():,} {unit} each in train"),
        ("lengths", f"{lengths.mean():.0f} {step} (at most {lengths.max()}) in train"),
        *use.front.summary,
        ("model", f"{type(config.model).__name__.removesuffix('Config')}, {numbers:,} parameters"),
        ("batch", f"{config.batch_size} {unit} on {jax.device_count()} device(s)"),
    ]
    skipped = ", ".join(f"{count:,} of {name}" for name, count in splits.skipped.items() if count)
    return rows + ([("skipped", f"{use.source.skipped}: {skipped}")] if skipped else [])


def use(config, folder: RunFolder, read_params) -> ClassUse:
    """The trained model of a run."""
    labels, front = LabelList.load(folder.labels), front_of(config, folder, None)
    model = class_model(config, front, labels)
    return ClassUse(model, front, labels, config.data, read_params(jax.eval_shape(model.init, jax.random.key(0))))


def evaluate(config, folder: RunFolder, params, data: ClassesOption) -> dict[str, float]:
    """Metrics of ``params`` on what ``data`` names, or on the run's own test split.

    ``skipped``, where something of other files was left out, is how many lines or ids.
    """
    run = use(config, folder, lambda shapes: params)
    how, skipped = data.applied(config.data), 0
    if data.path:
        examples, skipped = run.source.read_files(data.path, how, run.labels.names)
    else:
        examples = run.source.read(how).test
    found = arrays(run.front, examples, run.labels, "test")
    batches = example_batches(found, rows=config.batch_size, train=False, buckets=config.data.buckets)
    totals = Evaluator(objective(run.model, config), config.compute_dtype)(params, batches)
    metrics = report(totals, "test") | examine(run, {"test": examples}, None, rival=False)(params, "test")
    return metrics | ({"skipped": skipped} if skipped else {})


CLASSIFY = Task(
    name="classify",
    what="texts and series: a class for each (the language of a name, the mood of a sentence, how visits end)",
    presets=PRESETS,
    default="bilstm",
    build=build,
    use=use,
    evaluate=evaluate,
    verbs={"predict": predict},
    evaluated=ClassesOption,
    predicted=PredictClass,
    unit="nats per example",
)

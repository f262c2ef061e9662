"""Drawings, stroke by stroke: a model that draws, and that draws again what it has seen. Task ``sketch``.

A batch is what :mod:`seqjax.data.example_batches` makes of ``strokes`` (B, T, 3), in units of the spread of the
training offsets, and ``label`` (B,).
"""

import dataclasses
import functools
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.checks import InputError
from seqjax.data import LabelList, example_batches, iterate
from seqjax.data.stroke_augment import augmentation
from seqjax.data.stroke_config import StrokesConfig
from seqjax.data.stroke_splits import (
    NOTHING,
    StrokeSplits,
    class_names,
    find_drawings,
    read_drawing_files,
    read_stroke_splits,
    stroke_examples,
)  # fmt: skip
from seqjax.data.strokes import spread
from seqjax.models.pure import count_parameters
from seqjax.models.sketch import SketchModel
from seqjax.models.sketch_rnn import SketchRNNConfig, sketch_rnn
from seqjax.models.sketchformer import SketchformerConfig, sketchformer
from seqjax.ops.dropout import fold, row_keys
from seqjax.tasks.contract import Built, DataOption, Task
from seqjax.tasks.sketch_generate import GenerateSketches, generate
from seqjax.tasks.sketch_kept import kept_of
from seqjax.tasks.sketch_use import SketchUse, examine, show
from seqjax.training.configuration import ShowingConfig, read_json
from seqjax.training.devices import writer_first
from seqjax.training.evaluation import Evaluator, Totals
from seqjax.training.folder import RunFolder, replace_text
from seqjax.training.loop import Job
from seqjax.training.optimizers import OptimizerConfig
from seqjax.training.step import Objective

POINTS, DIVERGENCE, CLASSES = "reconstruction", "divergence", "classification"
LATENT = 7  # folded into the keys of the rows, next to the places of dropout


@dataclasses.dataclass(frozen=True, kw_only=True)
class DivergenceConfig:
    """What the latent vectors' distance from the prior costs; ``--divergence.*``.

    Source:
        Ha & Eck (2017), section 3.2; Kingma et al. (2016), Improved Variational Inference with Inverse Autoregressive
        Flow, C.8, for the floor.
    """

    weight: float = (
        0.2  # of its nats beside those of the points; small: faithful copies, 1: better samples, vaguer copies
    )
    begin: float = 0.01  # fraction of the weight at the first step
    left: float = 0.996  # of the rest of the way to the whole weight, what is left after each step
    floor: float = 10.0  # nats a drawing that cost nothing more or less (free bits)

    def __post_init__(self):
        for name, most in (("weight", np.inf), ("begin", 1), ("left", 1), ("floor", np.inf)):
            if not 0 <= getattr(self, name) <= most or not np.isfinite(getattr(self, name)):
                wanted = f"lie in [0, {most}]" if np.isfinite(most) else "be finite and at least 0"
                raise InputError(f"--divergence.{name} should {wanted}, but it is {getattr(self, name)}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SketchConfig(ShowingConfig):
    """Train a model that draws, one stroke at a time."""

    data: StrokesConfig = StrokesConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    naming: float = 0.2  # weight of the nats of a drawing's class, told from its vector; 0: classes are not learned
    shown: int = 6  # validation drawings shown beside what the model makes of them at each validation; 0: none
    rival: int = 20  # components of the Gaussian mixture that the report compares with; 0: no comparison

    def __post_init__(self):
        super().__post_init__()
        for name in ("naming", "rival"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InputError(f"--{name} should be at least 0, but it is {getattr(self, name)}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentSketchConfig(SketchConfig):
    """Train a Sketch-RNN: drawings to a vector and back, or drawings from nothing."""

    model: SketchRNNConfig = SketchRNNConfig()
    divergence: DivergenceConfig = DivergenceConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionSketchConfig(SketchConfig):
    """Train a Sketchformer: drawings to a vector and back, by attention."""

    model: SketchformerConfig = SketchformerConfig()


RNN = RecurrentSketchConfig(
    steps=2000, batch_size=48, evaluate_every=500, naming=0.0,
    optimizer=OptimizerConfig(learning_rate=3e-3, warmup=50),
)  # fmt: skip
FORMER = AttentionSketchConfig(
    steps=1000, batch_size=48, evaluate_every=250, model=SketchformerConfig(plan=8),
    optimizer=OptimizerConfig(learning_rate=2e-3, warmup=100),
)  # fmt: skip
PRESETS: dict[str, SketchConfig] = {
    "sketch-rnn": RNN,
    "decoder-only": dataclasses.replace(RNN, model=SketchRNNConfig(latent=0, unsteady=0.0)),
    "sketchformer": FORMER,
    "sketchformer-grid": dataclasses.replace(FORMER, model=SketchformerConfig(plan=8, grid=32)),
}


def sketch_model(config, classes: int, reach: float) -> SketchModel:
    """The model that a configuration describes, as pure functions."""
    classes = classes if config.naming else 0
    if isinstance(config, RecurrentSketchConfig):
        return sketch_rnn(config.model, classes, longest=config.data.longest)
    return sketchformer(config.model, classes, longest=config.data.longest, reach=reach)


def objective(model: SketchModel, config) -> Objective:
    """Nats of the points, of the latent vectors' distance from the prior, and of the classes.

    The carry counts steps: the weight of the divergence grows with them.
    """
    divergence = getattr(config, "divergence", None) if model.latent and model.prior else None
    weights = {POINTS: 1.0}
    weights |= {DIVERGENCE: divergence.weight} if divergence else {}
    naming = config.naming

    def counts(batch):
        points = batch["mask"].sum()
        named = ((batch["label"] != NOTHING) & batch["mask"].any(axis=1)).sum()
        return {POINTS: points, DIVERGENCE: points, CLASSES: named}

    def terms(params, batch, carry, keys, train):
        # while measuring, one draw of each latent vector, the same wherever the drawing stands
        drawn = fold(keys, LATENT) if train else row_keys(jax.random.key(0), batch["example"])
        read = model.read(params, batch, keys, drawn)
        real = batch["mask"].any(axis=1)
        divergences = jnp.where(real, read.divergence, 0.0)
        sums = {POINTS: read.nats.sum(), DIVERGENCE: divergences.sum()}
        metrics = {}
        if train and divergence:
            risen = 1 - (1 - divergence.begin) * divergence.left ** carry.astype(jnp.float32)
            paid = jnp.where(real, jnp.maximum(read.divergence, divergence.floor), 0.0)
            sums[DIVERGENCE], metrics["kl"] = (risen * paid).sum(), (divergences.sum(), batch["mask"].sum())
        sums[CLASSES], right = named_nats(read.classes, batch["label"], real)
        if read.classes is not None:
            metrics["accuracy"] = right, ((batch["label"] != NOTHING) & real).sum()
        return sums, carry + 1 if train else carry, metrics

    return Objective(counts, terms, weights | ({CLASSES: naming} if naming else {}))


def named_nats(scores, labels, real):
    """−Σ log p(class) over drawings that have one, and how many scores are highest there."""
    if scores is None:
        return jnp.zeros(()), jnp.zeros(())
    known = real & (labels != NOTHING)
    wanted = jnp.where(known, labels, 0)
    taken = jnp.take_along_axis(jax.nn.log_softmax(scores.astype(jnp.float32)), wanted[:, None], axis=1)[:, 0]
    right = known & (scores.argmax(axis=1) == wanted)
    return -jnp.where(known, taken, 0.0).sum(), right.sum()


def report(totals: Totals, split: str) -> dict[str, float]:
    """``loss``: nats a point; ``kl``: nats a point of the latent vectors; ``bound``: both, an upper bound of −log p."""
    nats, points = totals[POINTS]
    row = {"loss": nats / points}
    kl, points = totals.get("kl", totals[DIVERGENCE])
    if kl:
        row |= {"kl": kl / points, "bound": row["loss"] + kl / points}
    if totals.get("accuracy", (0, 0))[1]:
        row["accuracy"] = totals["accuracy"][0] / totals["accuracy"][1]
    return row


def units_of(folder: RunFolder, splits: StrokeSplits | None) -> dict[str, Any]:
    """The run's classes, the divisor of offsets, and how far nearly all points reach; of the training split if new."""

    def prepare(first: bool) -> dict[str, Any]:
        if first and splits is not None and not folder.scaling.exists():
            scale = spread(splits.train)
            places = np.concatenate([np.abs(np.cumsum(one.strokes[:, :2], axis=0)).ravel() for one in splits.train])
            far = float(np.quantile(places, 0.99))  # a few large drawings should not make a grid coarse for all
            LabelList(class_names(splits.train)).save(folder.labels)
            replace_text(folder.scaling, json.dumps({"spread": scale, "reach": 1.25 * far / scale}))
        return read_json(folder.scaling) | {"names": LabelList.load(folder.labels).names}

    return writer_first(prepare)


def make_use(config, folder: RunFolder, splits: StrokeSplits | None) -> SketchUse:
    """A model without parameters yet, and what it knows of its data."""
    units = units_of(folder, splits)
    model = sketch_model(config, len(units["names"]), units["reach"])
    kept = functools.cache(lambda: kept_of(folder, config, splits, units["spread"]))
    if splits is not None:
        kept()
    return SketchUse(model, units["names"], units["spread"], config.data.longest, kept, None)


def build(config, folder: RunFolder) -> Built:
    """Read the drawings, fit their scale, and make the job of training."""
    splits = read_stroke_splits(config.data)
    use = make_use(config, folder, splits)
    parts = {name: getattr(splits, name) for name in ("train", "valid", "test")}
    found = {name: stroke_examples(part, use.spread, use.names) for name, part in parts.items()}
    rows = config.batch_size
    train = example_batches(
        found["train"], rows=rows, seed=config.seed, train=True, buckets=config.data.buckets,
        change=augmentation(config.data.augment, config.seed),
    )  # fmt: skip
    valid, test = (
        example_batches(found[name], rows=rows, train=False, buckets=train.lengths) for name in ("valid", "test")
    )
    job = Job(
        objective=objective(use.model, config),
        init=use.model.init,
        carry=lambda rows: jnp.zeros((rows,), jnp.int32),
        batches=train,
        iterate=iterate,
        validation=valid,
        test=test,
        report=report,
        sample=show(use, parts["valid"], config.shown) if config.shown else None,
        counted=POINTS,
        examine=examine(use, parts, folder),
    )
    return Built(job, summary(config, splits, found, use))


def summary(config, splits: StrokeSplits, found, use: SketchUse) -> list[tuple[str, str]]:
    """What is about to be trained, in a few lines."""
    numbers = count_parameters(use.model.init)
    lengths = found["train"].lengths
    named = int((found["train"].rows["label"] != NOTHING).sum())
    left = f"; {splits.too_long} longer than {config.data.longest} left out" if splits.too_long else ""
    return [
        ("drawings", " + ".join(f"{len(part.lengths):,}" for part in found.values()) + " (train + valid + test)"),
        ("points", f"{lengths.mean():.0f} a drawing, at most {lengths.max()}{left}"),
        ("classes", f"{len(use.names)}, of {named:,} training drawings"),
        ("model", f"{type(config.model).__name__.removesuffix('Config')}, {numbers:,} parameters"),
        ("batch", f"{config.batch_size} drawings on {jax.device_count()} device(s)"),
    ]


def use(config, folder: RunFolder, read_params) -> SketchUse:
    """The trained model of a run."""
    own = make_use(config, folder, None)
    return own._replace(params=read_params(jax.eval_shape(own.model.init, jax.random.key(0))))


def evaluate(config, folder: RunFolder, params, data: DataOption) -> dict[str, float]:
    """Metrics of ``params`` on the drawings that ``data`` names, or on the run's own test split."""
    run = use(config, folder, lambda shapes: params)
    drawings = run.kept().test
    if data.path:
        found = read_drawing_files(data.path, config.data)
        archives = any(file.suffix == ".npz" for file in find_drawings(data.path))
        drawn = found["test"] if archives else [one for part in found.values() for one in part]
        drawings = [one for one in drawn if 0 < len(one.strokes) <= config.data.longest]
        if not drawings:
            raise InputError(f"{data.path[0]}: there is no drawing of at most {config.data.longest} points in it.")
    examples = stroke_examples(drawings, run.spread, run.names)
    batches = example_batches(examples, rows=config.batch_size, train=False, buckets=config.data.buckets)
    carry = lambda rows: jnp.zeros((rows,), jnp.int32)  # noqa: E731
    totals = Evaluator(objective(run.model, config), config.compute_dtype, carry=carry)(params, batches)
    return report(totals, "test") | examine(run, {"test": drawings}, None)(params, "test")


SKETCH = Task(
    name="sketch",
    what="drawings: a model that draws one stroke at a time, and again what it has seen (letters, doodles)",
    presets=PRESETS,
    default="sketch-rnn",
    build=build,
    use=use,
    evaluate=evaluate,
    verbs={"generate": generate},
    evaluated=DataOption,
    generated=GenerateSketches,
    unit="nats per point",
)

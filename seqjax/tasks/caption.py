"""Pictures in, sentences out. Task ``caption``.

A batch is what :func:`seqjax.data.captions.caption_batches` makes of pictures and captions.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import jax

from seqjax.checks import InputError
from seqjax.data import LabelList, Tokenizer, iterate, train_tokenizer
from seqjax.data.caption_config import CaptionsConfig, Pictured
from seqjax.data.captions import CaptionSplits, caption_batches, read_caption_files, read_captions
from seqjax.models.captioner import AttentionCaptionerConfig, RecurrentCaptionerConfig, captioner
from seqjax.models.pair_model import PairModel
from seqjax.models.pure import count_parameters
from seqjax.ops.losses import smoothed_cross_entropy, token_cross_entropy
from seqjax.ops.metrics import token_accuracy
from seqjax.tasks.caption_use import Describer, PredictCaptions, examine, predict, score_captions, show
from seqjax.tasks.contract import Built, Task, check_own_split
from seqjax.training.configuration import ShowingConfig
from seqjax.training.devices import writer_first
from seqjax.training.evaluation import Evaluator, Totals
from seqjax.training.folder import RunFolder
from seqjax.training.loop import Job
from seqjax.training.optimizers import OptimizerConfig
from seqjax.training.step import Objective

TERM = "cross_entropy"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CaptionConfig(ShowingConfig):
    """Train a model that says what is in a picture."""

    data: CaptionsConfig = CaptionsConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    label_smoothing: float = 0.0  # share of each target spread over all symbols
    examples: int = 200  # validation captions made at each validation, to see how many are right; 0: all
    shown: int = 3  # validation pictures whose captions are shown; 0: none

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.label_smoothing < 1:
            raise InputError(f"--label-smoothing should lie in [0, 1), but it is {self.label_smoothing}.")
        if self.examples < 0:
            raise InputError(f"--examples counts captions, but it is {self.examples}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentCaptionConfig(CaptionConfig):
    """Train a recurrent decoder that says what is in a picture."""

    model: RecurrentCaptionerConfig = RecurrentCaptionerConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionCaptionConfig(CaptionConfig):
    """Train the decoder of a Transformer that says what is in a picture."""

    model: AttentionCaptionerConfig = AttentionCaptionerConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class CaptionsOption:
    """Which captions."""

    path: tuple[str, ...] = ()  # files or folders; default: the run's own test split
    skip_broken: bool = False  # skip broken lines and pictures, and count them

    def __post_init__(self):
        check_own_split(self, ("skip_broken",))


def recurrent(model: RecurrentCaptionerConfig, **changes) -> RecurrentCaptionConfig:
    """A preset around a recurrent decoder."""
    shared = RecurrentCaptionConfig(
        steps=2000, batch_size=64, evaluate_every=400, model=model,
        optimizer=OptimizerConfig(learning_rate=2e-3, warmup=100),
    )  # fmt: skip
    return dataclasses.replace(shared, **changes)


PRESETS: dict[str, CaptionConfig] = {
    "attention": recurrent(RecurrentCaptionerConfig()),
    "lstm": recurrent(RecurrentCaptionerConfig(attention="none", features=256)),
    "transformer": AttentionCaptionConfig(
        steps=2000, batch_size=64, evaluate_every=400,
        model=AttentionCaptionerConfig(dropout=0.0),
        optimizer=OptimizerConfig(learning_rate=2e-3, warmup=100),
    ),
}  # fmt: skip


def caption_model(config, tokenizer: Tokenizer, languages: LabelList) -> PairModel:
    """The model that a configuration describes, as pure functions. Languages have the ids after the tokenizer's."""
    longest = patches_of(config), config.data.longest + 1
    return captioner(config.model, config.data.channels, tokenizer.size + len(languages), longest)


def patches_of(config) -> int:
    """P: how many patches every picture has."""
    side, (high, wide) = config.model.picture.patch, config.data.pixels
    if high % side or wide % side:
        fitting = " ".join(str(max(1, round(size / side)) * side) for size in (high, wide))
        raise InputError(
            f"data: pictures of {high} × {wide} pixels are not whole patches of {side} × {side}. "
            f"Try --data.size {fitting}, or another --model.picture.patch."
        )
    return (high // side) * (wide // side)


def objective(model: PairModel, smoothing: float) -> Objective:
    """The negative log-likelihood of every symbol of the captions and of their end, in nats."""

    def counts(batch):
        return {TERM: batch["mask"].sum()}

    def terms(params, batch, carry, keys, train):
        real = model.logits(params, batch, keys, 0.0), batch["targets"], batch["mask"]
        nats = token_cross_entropy(*real)
        if not train:
            return {TERM: nats[0]}, carry, {"accuracy": token_accuracy(*real)}
        if not smoothing:
            return {TERM: nats[0]}, carry, {}
        return {TERM: smoothed_cross_entropy(*real, smoothing)[0]}, carry, {"nats": nats}

    return Objective(counts, terms, {TERM: 1.0})


def report(totals: Totals, split: str) -> dict[str, float]:
    """``loss``: nats a symbol, the end of a caption included; and how many symbols were the likeliest."""
    nats, count = totals.get("nats") or totals[TERM]
    row = {"loss": nats / count}
    if "accuracy" in totals:
        row["accuracy"] = totals["accuracy"][0] / totals["accuracy"][1]
    return row


def vocabulary_of(config: CaptionConfig, folder: RunFolder, train: Pictured) -> tuple[Tokenizer, LabelList]:
    """The run's symbols and languages; those of the training split if there are none yet."""

    def prepare(first: bool) -> tuple[Tokenizer, LabelList]:
        if first and not folder.labels.exists():
            train_tokenizer(config.data, [caption.text for caption in train.captions]).save(folder.tokenizer)
            named = {caption.language for caption in train.captions} - {""}
            LabelList(sorted(named)).save(folder.labels)
        return Tokenizer.load(folder.tokenizer), LabelList.load(folder.labels)

    return writer_first(prepare)


def batches_of(config, describer: Describer, pictured: Pictured, *, train: bool, buckets: int | Sequence[int]):
    """The batches of a split."""
    return caption_batches(
        pictured, describer.encode(pictured.captions, config.data.longest), describer.openings(pictured.captions),
        patches=patches_of(config), rows=config.batch_size, seed=config.seed, train=train, buckets=buckets,
    )  # fmt: skip


def build(config, folder: RunFolder) -> Built:
    """Read the captions, list symbols and languages, and make the job of training."""
    patches_of(config)
    splits = read_captions(config.data)
    describer = Describer(*made(config, *vocabulary_of(config, folder, splits.train)), config, None)
    parts: dict[str, Pictured] = {name: getattr(splits, name) for name in ("train", "valid", "test")}
    train = batches_of(config, describer, parts["train"], train=True, buckets=config.data.buckets)
    valid, test = (
        batches_of(config, describer, parts[name], train=False, buckets=train.lengths) for name in ("valid", "test")
    )
    job = Job(
        objective=objective(describer.model, config.label_smoothing),
        init=describer.model.init,
        batches=train,
        iterate=iterate,
        validation=valid,
        test=test,
        report=report,
        sample=show(describer, parts["valid"], config.shown) if config.shown else None,
        counted=TERM,
        examine=examine(describer, parts, config.examples, folder),
    )
    return Built(job, summary(config, splits, parts, describer))


def made(config, tokenizer: Tokenizer, languages: LabelList) -> tuple[PairModel, Tokenizer, LabelList]:
    """The model, beside what it is made for."""
    return caption_model(config, tokenizer, languages), tokenizer, languages


def summary(
    config, splits: CaptionSplits, parts: Mapping[str, Pictured], describer: Describer
) -> list[tuple[str, str]]:
    """What is about to be trained, in a few lines."""
    numbers = count_parameters(describer.model.init)
    high, wide = config.data.pixels
    side, kind = config.model.picture.patch, "in colour" if config.data.colour else "grey"
    pixels = f"{high} × {wide} pixels, {kind}; {patches_of(config)} patches of {side} × {side}"
    rows = [
        ("captions", " + ".join(f"{len(part.captions):,}" for part in parts.values()) + " (train + valid + test)"),
        ("pictures", pixels),
        ("symbols", f"{describer.tokenizer.size:,} ({config.data.tokenizer})"),
        ("languages", ", ".join(describer.languages.names) or "not named"),
        ("model", f"{type(config.model).__name__.removesuffix('Config')}, {numbers:,} parameters"),
        ("batch", f"{config.batch_size} captions on {jax.device_count()} device(s)"),
    ]  # fmt: skip
    left = ", ".join(f"{count:,} {why}" for why, count in splits.skipped.items() if count)
    return rows + ([("left out", left)] if left else [])


def use(config, folder: RunFolder, read_params) -> Describer:
    """The trained model of a run."""
    model, tokenizer, languages = made(config, Tokenizer.load(folder.tokenizer), LabelList.load(folder.labels))
    params = read_params(jax.eval_shape(model.init, jax.random.key(0)))
    return Describer(model, tokenizer, languages, config, params)


def evaluate(config, folder: RunFolder, params, data: CaptionsOption) -> dict[str, float]:
    """Metrics of ``params`` on the captions that ``data`` names, or on the run's own test split."""
    describer = use(config, folder, lambda shapes: params)
    left: dict[str, float] = {}
    if data.path:
        how = dataclasses.replace(config.data, path=data.path, size=config.data.pixels, skip_broken=data.skip_broken)
        pictured, skipped = read_caption_files(data.path, how)
        left = {"skipped": sum(skipped.values())} if skipped else {}
    else:
        pictured = read_captions(config.data).test
    batches = batches_of(config, describer, pictured, train=False, buckets=config.data.buckets)
    step = objective(describer.model, config.label_smoothing)
    totals = Evaluator(step, config.compute_dtype)(params, batches)
    measure = examine(describer, {"test": pictured}, 0, None, from_files=bool(data.path or config.data.path))
    return report(totals, "test") | measure(params, "test") | left


CAPTION = Task(
    name="caption",
    what="pictures: say what is in them (rows of digits, photographs with captions)",
    presets=PRESETS,
    default="attention",
    build=build,
    use=use,
    evaluate=evaluate,
    verbs={"predict": predict, "score": score_captions},
    evaluated=CaptionsOption,
    predicted=PredictCaptions,
)

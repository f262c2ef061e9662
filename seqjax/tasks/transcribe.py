"""What is written in a row of digits, or said in a sound, without being told where. Task ``transcribe``.

A batch holds ``frames`` (B, T, F), ``mask`` (B, T) and ``transcript`` (B, U), ids that are 0 where there is none.
"""

import dataclasses
import sys
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.data import DataConfig, ExampleBatches, Examples, Tokenizer, example_batches, iterate, train_tokenizer
from seqjax.data.transcript_config import TranscriptsConfig
from seqjax.models.pure import count_parameters
from seqjax.models.reading import AttentionReaderConfig, RecurrentReaderConfig
from seqjax.models.transcriber import (
    AttentionTranscriberConfig,
    RecurrentTranscriberConfig,
    TranscribeModel,
    transcriber,
)
from seqjax.ops.ctc import frames_needed
from seqjax.tasks.contract import Built, Task
from seqjax.tasks.error_rates import transcript_metrics
from seqjax.tasks.transcribe_front import Front, Material, front_of, material_of, material_to_test, possible, told
from seqjax.tasks.transcribe_use import PredictTranscripts, TranscribeUse, TranscriptsOption, examine, predict, show
from seqjax.training.configuration import ShowingConfig
from seqjax.training.devices import writer_first
from seqjax.training.evaluation import Evaluator, Totals
from seqjax.training.folder import RunFolder
from seqjax.training.loop import Job
from seqjax.training.optimizers import OptimizerConfig
from seqjax.training.step import Objective

TERM = "negative_log_likelihood"
LONGEST = 4096  # frames, where positions are learned


@dataclasses.dataclass(frozen=True, kw_only=True)
class TranscribeConfig(ShowingConfig):
    """Train a model that writes what it sees or hears, by connectionist temporal classification."""

    data: TranscriptsConfig = TranscriptsConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    shown: int = 4  # validation recordings shown with their transcripts at each validation; 0: none


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentTranscribeConfig(TranscribeConfig):
    """Train recurrent layers that write what they see or hear."""

    model: RecurrentTranscriberConfig = RecurrentTranscriberConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionTranscribeConfig(TranscribeConfig):
    """Train the encoder of a Transformer that writes what it sees or hears."""

    model: AttentionTranscriberConfig = AttentionTranscriberConfig()


PRESETS: dict[str, TranscribeConfig] = {
    "bilstm": RecurrentTranscribeConfig(
        steps=1200, batch_size=64, evaluate_every=300,
        model=RecurrentTranscriberConfig(reader=RecurrentReaderConfig(features=128, dropout=0.2)),
        optimizer=OptimizerConfig(learning_rate=3e-3, warmup=100),
    ),
    "transformer": AttentionTranscribeConfig(
        steps=800, batch_size=64, evaluate_every=200,
        model=AttentionTranscriberConfig(reader=AttentionReaderConfig(features=128, layers=2, positions="rotary")),
        optimizer=OptimizerConfig(learning_rate=2e-3, warmup=150),
    ),
}  # fmt: skip


def transcribe_model(config, front: Front, tokenizer: Tokenizer) -> TranscribeModel:
    """The model that a configuration describes, as pure functions; id 0 is the blank."""
    return transcriber(config.model, front.features, tokenizer.size, longest=LONGEST)


def objective(model: TranscribeModel) -> Objective:
    """The negative log-likelihood of whole transcripts, in nats, counted by their symbols."""

    def counts(batch):
        steps = -(-batch["mask"].sum(axis=1) // model.factor)
        possible = frames_needed(batch["transcript"]) <= steps
        return {TERM: jnp.where(possible, (batch["transcript"] != 0).sum(axis=1), 0).sum()}

    def terms(params, batch, carry, keys, train):
        return {TERM: model.nats(params, batch, keys)[0].sum()}, carry, {}

    return Objective(counts, terms, {TERM: 1.0})


def report(totals: Totals, split: str) -> dict[str, float]:
    """``loss``: nats a symbol of the transcripts, all alignments summed up."""
    nats, count = totals[TERM]
    return {"loss": nats / max(count, 1)}


def tokenizer_of(config: TranscribeConfig, folder: RunFolder, texts: Sequence[str]) -> Tokenizer:
    """The run's characters; those of the training transcripts if there are none yet."""

    def prepare(first: bool) -> Tokenizer:
        if first and not folder.tokenizer.exists():
            how = DataConfig(tokenizer="char", min_count=config.data.min_count)
            train_tokenizer(how, list(texts)).save(folder.tokenizer)
        return Tokenizer.load(folder.tokenizer)

    return writer_first(prepare)


def examples(frames: Sequence[np.ndarray], texts: Sequence[str], tokenizer: Tokenizer) -> Examples:
    """Frames and transcripts as arrays."""
    ids = tokenizer.encode_documents(list(texts))
    transcript = np.zeros((len(ids), max(1, *map(len, ids))), np.int32)
    for row, own in zip(transcript, ids, strict=True):
        row[: len(own)] = own
    return Examples({"frames": list(frames)}, {"transcript": transcript})


def training_batches(config, material: Material, tokenizer: Tokenizer) -> ExampleBatches:
    """Batches without end; strips have other digits in every epoch."""
    redraw = material.redraw

    def change(batch, epoch: int):
        assert redraw is not None
        for row in np.flatnonzero(batch["real"]):
            frames, text = redraw(int(batch["example"][row]), epoch)
            ids = tokenizer.encode(text)
            batch["frames"][row, : len(frames)] = frames
            batch["transcript"][row, : len(ids)] = ids
        return batch

    found = examples(material.frames["train"], material.texts["train"], tokenizer)
    return example_batches(
        found, rows=config.batch_size, seed=config.seed, train=True, buckets=config.data.buckets,
        change=change if redraw else None,
    )  # fmt: skip


def build(config, folder: RunFolder) -> Built:
    """Read the recordings, or draw the strips, list their characters, and make the job of training."""
    front = front_of(config.data)
    material = material_of(config.data, front, config.model.factor)
    every = ["".join(map(str, range(10)))] * config.data.min_count if config.data.handwritten else []
    tokenizer = tokenizer_of(config, folder, material.texts["train"] + every)
    material = possible(material, tokenizer, config.model.factor, skip=config.data.skip_broken)
    train = training_batches(config, material, tokenizer)
    valid, test = (
        example_batches(
            examples(material.frames[name], material.texts[name], tokenizer),
            rows=config.batch_size, train=False, buckets=train.lengths,
        )
        for name in ("valid", "test")
    )  # fmt: skip
    use = TranscribeUse(transcribe_model(config, front, tokenizer), front, tokenizer, None)
    few = slice(0, config.shown)
    shown = show(use, material.frames["valid"][few], material.texts["valid"][few], train.lengths)
    job = Job(
        objective=objective(use.model),
        init=use.model.init,
        batches=train,
        iterate=iterate,
        validation=valid,
        test=test,
        report=report,
        sample=shown if config.shown else None,
        counted=TERM,
        examine=examine(use, material.frames, material.texts, train.lengths),
    )
    return Built(job, summary(config, material, use))


def summary(config, material: Material, use: TranscribeUse) -> list[tuple[str, str]]:
    """What is about to be trained, in a few lines."""
    numbers = count_parameters(use.model.init)
    frames, texts = material.frames["train"], material.texts["train"]
    lengths, symbols = np.array([len(one) for one in frames]), np.array([len(text) for text in texts])
    kind, model = type(config.model).__name__.removesuffix("Config"), config.model
    rows = [
        ("recordings", " + ".join(f"{len(part):,}" for part in material.frames.values()) + " (train + valid + test)"),
        *use.front.summary,
        ("lengths", f"{lengths.mean():.0f} frames (at most {lengths.max()}), {symbols.mean():.1f} symbols in train"),
        ("symbols", f"{use.tokenizer.size - 2} characters, the blank and <unk>"),
        ("model", f"{kind}, a step for {model.factor} frames ({model.subsampling}), {numbers:,} parameters"),
        ("batch", f"{config.batch_size} recordings on {jax.device_count()} device(s)"),
    ]
    left = [f"{told(counts)} of {name}" for name, counts in material.skipped.items() if counts]
    return rows + ([("left out", "; ".join(left))] if left else [])


def use(config, folder: RunFolder, read_params) -> TranscribeUse:
    """The trained model of a run."""
    front, tokenizer = front_of(config.data), Tokenizer.load(folder.tokenizer)
    model = transcribe_model(config, front, tokenizer)
    return TranscribeUse(model, front, tokenizer, read_params(jax.eval_shape(model.init, jax.random.key(0))))


def evaluate(config, folder: RunFolder, params, data: TranscriptsOption) -> dict[str, float]:
    """Metrics of ``params`` on the recordings that ``data`` names, or on the run's own test split.

    ``skipped``, where something was left out, is how many; why is said on standard error.
    """
    run, factor = use(config, folder, lambda shapes: params), config.model.factor
    read = dataclasses.replace(config.data, skip_broken=data.skip_broken or config.data.skip_broken)
    material = material_to_test(read, data.path, run.front, factor)
    material = possible(material, run.tokenizer, factor, skip=read.skip_broken)
    frames, texts, skipped = material.frames["test"], material.texts["test"], material.skipped.get("test", {})
    if skipped:
        print(f"left out: {told(skipped)}", file=sys.stderr)
    batches = example_batches(
        examples(frames, texts, run.tokenizer), rows=config.batch_size, train=False, buckets=config.data.buckets
    )
    totals = Evaluator(objective(run.model), config.compute_dtype)(params, batches)
    made = run.transcribe(frames, data, config.data.buckets)
    metrics = report(totals, "test") | transcript_metrics(made, texts)
    return metrics | ({"skipped": sum(skipped.values())} if skipped else {})


TRANSCRIBE = Task(
    name="transcribe",
    what="frames without an alignment: write what is said or written (handwritten digits, speech)",
    presets=PRESETS,
    default="bilstm",
    build=build,
    use=use,
    evaluate=evaluate,
    verbs={"predict": predict},
    evaluated=TranscriptsOption,
    predicted=PredictTranscripts,
    unit="nats per symbol",
)

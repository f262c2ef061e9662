"""Pairs: read one sequence, write another. Task ``translate``; dialogue, spelling and dates are the same task.

A batch is what :mod:`seqjax.data.pair_batches` makes of pairs: ids of both sides, and their masks.
"""

import dataclasses
from collections.abc import Mapping

import jax
import numpy as np

from seqjax.checks import InputError
from seqjax.data import (
    EncodedPairs,
    PairBatches,
    PairsConfig,
    PairSplits,
    Tokenizer,
    encode_pairs,
    iterate,
    pair_batches,
    read_pair_files,
    read_pairs,
    train_pair_tokenizers,
)
from seqjax.models import PairModel, Seq2SeqConfig, TransformerConfig, seq2seq, transformer
from seqjax.models.pure import count_parameters
from seqjax.ops.losses import smoothed_cross_entropy, token_cross_entropy
from seqjax.ops.metrics import bits_per_unit, perplexity, token_accuracy
from seqjax.tasks.contract import Built, Task
from seqjax.tasks.translate_use import PairsOption, Predict, Translator, examine, predict, score_pairs, show
from seqjax.training.configuration import ShowingConfig
from seqjax.training.devices import writer_first
from seqjax.training.evaluation import Evaluator, Totals
from seqjax.training.folder import RunFolder
from seqjax.training.loop import Job
from seqjax.training.optimizers import OptimizerConfig
from seqjax.training.step import Objective


@dataclasses.dataclass(frozen=True, kw_only=True)
class TranslateConfig(ShowingConfig):
    """Train a model that reads one sequence and writes another."""

    data: PairsConfig = PairsConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    label_smoothing: float = 0.0  # share of each target spread over all symbols
    scheduled_sampling: float = 0.0  # probability of reading the model's own prediction while training
    examples: int = 200  # validation pairs translated at each validation
    shown: int = 3  # of them shown; 0: none

    def __post_init__(self):
        super().__post_init__()
        for name, most, words in (("label_smoothing", 0.999, " below 1"), ("scheduled_sampling", 1, "")):
            if not 0 <= getattr(self, name) <= most:
                flag = "--" + name.replace("_", "-")
                raise InputError(f"{flag} should be a probability{words}, but it is {getattr(self, name)}.")
        if self.examples < 0:
            raise InputError(f"--examples counts pairs, but it is {self.examples}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentTranslateConfig(TranslateConfig):
    """Train a recurrent encoder and decoder on pairs."""

    model: Seq2SeqConfig = Seq2SeqConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransformerTranslateConfig(TranslateConfig):
    """Train a Transformer on pairs."""

    model: TransformerConfig = TransformerConfig()
    longest: tuple[int, int] = (256, 256)  # most symbols of a source and of a target, ends included

    def __post_init__(self):
        super().__post_init__()
        if min(self.longest) < 2:
            raise InputError(f"--longest should hold two lengths of at least 2 symbols, but it is {self.longest}.")


def recurrent(model: Seq2SeqConfig, **changes) -> RecurrentTranslateConfig:
    """A preset around a recurrent model."""
    shared = RecurrentTranslateConfig(
        steps=1200, batch_size=64, evaluate_every=200, model=model,
        optimizer=OptimizerConfig(learning_rate=3e-3, warmup=100),
    )  # fmt: skip
    return dataclasses.replace(shared, **changes)


LONG = {"steps": 2400, "evaluate_every": 400}  # without attention it takes longer to learn less
PRESETS = {
    "bahdanau": recurrent(Seq2SeqConfig(cell="gru", features=128, bidirectional=True, attention="additive")),
    "luong": recurrent(Seq2SeqConfig(cell="lstm", features=128, attention="bilinear", input_feeding=True)),
    "sutskever": recurrent(
        Seq2SeqConfig(cell="lstm", features=256, layers=2, attention="none", reverse_source=True), **LONG
    ),
    "cho": recurrent(Seq2SeqConfig(cell="gru", features=256, attention="none", every_step=True), **LONG),
    "transformer": TransformerTranslateConfig(
        steps=1500, batch_size=64, evaluate_every=300, label_smoothing=0.1,
        model=TransformerConfig(features=128, layers=2, heads=4, dropout=0.0, positions="rotary"),
        optimizer=OptimizerConfig(learning_rate=3e-3, warmup=100),
    ),
}  # fmt: skip


def pair_model(config, source: Tokenizer, target: Tokenizer) -> PairModel:
    """The model that a configuration describes, as pure functions; the tokenizers say how many symbols there are."""
    if isinstance(config, RecurrentTranslateConfig):
        return seq2seq(config.model, source.size, target.size)
    return transformer(config.model, source.size, target.size, longest=config.longest)


def limited(config) -> PairsConfig:
    """How to read pairs for this model: a Transformer has positions for so many symbols and no more."""
    if isinstance(config, RecurrentTranslateConfig):
        return config.data
    (source, target), data = config.longest, config.data
    return dataclasses.replace(
        data, source_length=min(data.source_length or source, source),
        target_length=min(data.target_length or target - 1, target - 1),
    )  # fmt: skip


def objective(model: PairModel, config: TranslateConfig) -> Objective:
    """The negative log-likelihood of every symbol of the targets and of their end, in nats."""

    def counts(batch):
        return {"cross_entropy": batch["mask"].sum()}

    def terms(params, batch, carry, keys, train):
        logits = model.logits(params, batch, keys, config.scheduled_sampling if train else 0.0)
        real = logits, batch["targets"], batch["mask"]
        if not train:
            return {"cross_entropy": token_cross_entropy(*real)[0]}, carry, {"accuracy": token_accuracy(*real)}
        if not config.label_smoothing:
            return {"cross_entropy": token_cross_entropy(*real)[0]}, carry, {}
        total, _ = smoothed_cross_entropy(*real, config.label_smoothing)
        return {"cross_entropy": total}, carry, {"nats": token_cross_entropy(*real)}

    return Objective(counts, terms, {"cross_entropy": 1.0})


def load_tokenizers(config: TranslateConfig, folder: RunFolder) -> tuple[Tokenizer, Tokenizer]:
    """Of sources and of targets: two files, or one for both."""
    target = Tokenizer.load(folder.tokenizer)
    return (target if config.data.joint else Tokenizer.load(folder.source_tokenizer)), target


def tokenizers_of(config: TranslateConfig, folder: RunFolder, splits: PairSplits) -> tuple[Tokenizer, Tokenizer]:
    """Those of the run; trained on the training split if there are none yet."""

    def prepare(first: bool) -> tuple[Tokenizer, Tokenizer]:
        if first and not folder.tokenizer.exists():
            source, target = train_pair_tokenizers(config.data, splits.train)
            if not config.data.joint:
                source.save(folder.source_tokenizer)
            target.save(folder.tokenizer)
        return load_tokenizers(config, folder)

    return writer_first(prepare)


def build(config, folder: RunFolder) -> Built:
    """Read the pairs, train or load the tokenizers, and make the job of training."""
    data = limited(config)
    splits = read_pairs(data)
    source, target = tokenizers_of(config, folder, splits)
    encoded = {
        name: encode_pairs(data, getattr(splits, name), source, target, train=name == "train")
        for name in ("train", "valid", "test")
    }
    sides = encoded["train"].sources, encoded["train"].targets
    train = pair_batches(data, *sides, rows=config.batch_size, seed=config.seed, train=True)
    valid, test = (whole(config, encoded[name], train.lengths) for name in ("valid", "test"))
    model = pair_model(config, source, target)
    translator = Translator(model, source, target, None)
    job = Job(
        objective=objective(model, config),
        init=model.init,
        batches=train,
        iterate=iterate,
        validation=valid,
        test=test,
        report=reporter(encoded, target),
        sample=show(translator, encoded["valid"], config.shown) if config.shown else None,
        counted="cross_entropy",
        examine=examine(translator, encoded, config.examples),
    )
    return Built(job, summary(config, splits, encoded, translator))


def whole(config, encoded: EncodedPairs, shapes=None) -> PairBatches:
    """A split once, in the shapes of training where they fit."""
    sides = encoded.sources, encoded.targets
    return pair_batches(limited(config), *sides, rows=config.batch_size, train=False, buckets=shapes)


def summary(config, splits: PairSplits, encoded: Mapping[str, EncodedPairs], translator: Translator):
    """What is about to be trained, in a few lines."""
    numbers = count_parameters(translator.model.init)
    train = encoded["train"]
    sides = " to ".join(
        f"{np.mean([len(row) for row in side]):.0f} (at most {max(map(len, side))})"
        for side in (train.sources, train.targets)
    )
    rows = [
        ("pairs", " + ".join(f"{len(found.pairs):,}" for found in encoded.values()) + " (train + valid + test)"),
        ("symbols", f"{translator.source.size:,} to {translator.target.size:,} ({config.data.tokenizer})"),
        ("lengths", f"{sides} symbols in train"),
        ("model", f"{type(config.model).__name__.removesuffix('Config')}, {numbers:,} parameters"),
        ("batch", f"{config.batch_size} pairs on {jax.device_count()} device(s)"),
    ]
    for name, found in encoded.items():
        if counts := left_out(splits.dropped[name], found):
            rows.append((f"{name} left out", ", ".join(f"{count:,} {why}" for why, count in counts.items())))
    return rows


def left_out(skipped: Mapping[str, int], found: EncodedPairs) -> dict[str, int]:
    """What of a split the model does not see: how many pairs or symbols, by why."""
    counts = dict(skipped) | found.dropped | {"truncated": found.truncated}
    counts |= dict(zip(("unknown symbols in sources", "unknown symbols in targets"), found.unknown, strict=True))
    return {why: int(count) for why, count in counts.items() if count}


def reporter(encoded: Mapping[str, EncodedPairs], tokenizer: Tokenizer):
    """``(totals, split) -> metrics``: nats a symbol of the target, its end included, and said per word too."""
    words = {}
    for name, found in encoded.items():
        symbols = sum(len(row) + 1 for row in found.targets)
        cut = tokenizer.kind not in ("char", "word") and found.truncated
        texts = map(tokenizer.decode, found.targets) if cut else (pair.target for pair in found.pairs)
        words[name] = sum(len(text.split()) + 1 for text in texts) / symbols

    def report(totals: Totals, split: str) -> dict[str, float]:
        nats, count = totals.get("nats") or totals["cross_entropy"]
        row = {"loss": nats / count, "perplexity": perplexity(nats, count)}
        if tokenizer.kind == "char":
            row["bits_per_char"] = bits_per_unit(nats, count)
        elif tokenizer.kind != "word":
            row["word_perplexity"] = perplexity(nats, count * words[split])
        if "accuracy" in totals:
            row["accuracy"] = totals["accuracy"][0] / totals["accuracy"][1]
        return row

    return report


def evaluate(config, folder: RunFolder, params, data: PairsOption) -> dict[str, float]:
    """Metrics of ``params`` on the pairs that ``data`` names, or on the run's own test split.

    Of other files, with what was left out.

    Raises:
        InputError: what reading refuses; targets in characters of which most were never seen.
    """
    translator = use(config, folder, lambda shapes: params)
    how = limited(config)
    pairs, skipped = read_pair_files(data.path, how, data.target_path) if data.path else (read_pairs(how).test, {})
    encoded = encode_pairs(how, pairs, translator.source, translator.target, train=False)
    symbols = sum(map(len, encoded.targets))
    if data.path and translator.target.kind == "char" and 2 * encoded.unknown[1] > symbols:
        raise InputError(
            f"{' '.join(data.path)}: {encoded.unknown[1]:,} of {symbols:,} target characters were never seen in "
            "training. Are the columns in the order SOURCE TAB TARGET, and of the run's languages?"
        )
    totals = Evaluator(objective(translator.model, config), config.compute_dtype)(params, whole(config, encoded))
    row = reporter({"test": encoded}, translator.target)(totals, "test")
    row |= examine(translator, {"test": encoded}, 0)(params, "test")
    return row | left_out(skipped, encoded) if data.path else row


def use(config, folder: RunFolder, read_params) -> Translator:
    """The trained model of a run."""
    source, target = load_tokenizers(config, folder)
    model = pair_model(config, source, target)
    return Translator(model, source, target, read_params(jax.eval_shape(model.init, jax.random.key(0))))


TRANSLATE = Task(
    name="translate",
    what="pairs: read one sequence, write another (dates, languages, turns and answers)",
    presets=PRESETS,
    default="bahdanau",
    build=build,
    use=use,
    evaluate=evaluate,
    verbs={"predict": predict, "score": score_pairs},
    evaluated=PairsOption,
    predicted=Predict,
)

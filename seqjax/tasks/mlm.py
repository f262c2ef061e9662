"""Masked language models: predict tokens that were hidden, from both sides. Task ``mlm``.

A batch is what :mod:`seqjax.data.sentence_pairs` makes of text, masked by :mod:`seqjax.data.masking`.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.checks import InputError
from seqjax.data import Tokenizer, iterate, read_documents, read_splits, train_tokenizer
from seqjax.data.example_batches import ExampleBatches, Examples, example_batches
from seqjax.data.masked_config import MaskedTextConfig
from seqjax.data.masking import masker
from seqjax.data.sentence_pairs import pair_rows, whole_rows
from seqjax.data.sentences import Special, encode_sentences, read_sentences, word_starts
from seqjax.models.bert import BertConfig, MaskedModel, at, bert
from seqjax.models.pure import count_parameters
from seqjax.ops.losses import token_cross_entropy
from seqjax.ops.metrics import perplexity, token_accuracy
from seqjax.tasks.contract import Built, DataOption, Task
from seqjax.tasks.fine_tuning import begin_with, open_start
from seqjax.tasks.mlm_use import Fill, Filler, fill, show
from seqjax.tasks.pretrained import StartConfig
from seqjax.training.configuration import ShowingConfig
from seqjax.training.devices import writer_first
from seqjax.training.evaluation import Evaluator, Totals
from seqjax.training.folder import RunFolder
from seqjax.training.loop import Job
from seqjax.training.optimizers import OptimizerConfig
from seqjax.training.step import Objective


@dataclasses.dataclass(frozen=True, kw_only=True)
class MlmConfig(ShowingConfig):
    """Train BERT on text: fill in masked tokens, and tell whether one text follows another."""

    data: MaskedTextConfig = MaskedTextConfig()
    model: BertConfig = BertConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    pretrained: StartConfig = StartConfig()
    nsp: bool = False  # rows of two texts, and next-sentence prediction as a second term of the loss
    nsp_weight: float = 1.0  # of that term
    shown: int = 3  # validation rows shown at each validation, with what the model fills in; 0: none

    def __post_init__(self):
        super().__post_init__()
        if self.nsp_weight < 0 or not np.isfinite(self.nsp_weight):
            raise InputError(f"--nsp-weight should be a number at or above 0, but it is {self.nsp_weight}.")


PRESETS = {
    "bert": MlmConfig(
        steps=2000, batch_size=32, evaluate_every=400,
        optimizer=OptimizerConfig(name="adamw", learning_rate=1e-3, warmup=100, options={"weight_decay": 0.01}),
    )
}  # fmt: skip


def model_of(config: MlmConfig, special: Special) -> MaskedModel:
    """The model that a configuration describes, as pure functions."""
    return bert(config.model, special.vocabulary, config.data.length)


def objective(model: MaskedModel, config: MlmConfig) -> Objective:
    """Nats of every masked token and, with ``nsp``, of every pair's being one."""

    def counts(batch):
        return {"mlm": batch["scored"].sum()} | ({"nsp": batch["real"].sum()} if config.nsp else {})

    def terms(params, batch, carry, keys, train):
        ys = model.read(params, batch, keys)
        masked = model.score(params, at(ys, batch["places"])), batch["targets"], batch["scored"]
        sums, metrics = {"mlm": token_cross_entropy(*masked)[0]}, {"accuracy": token_accuracy(*masked)}
        if config.nsp:
            related = model.relate(params, ys, batch["mask"]), batch["elsewhere"], batch["real"]
            sums["nsp"], metrics["nsp_accuracy"] = token_cross_entropy(*related)[0], token_accuracy(*related)
        metrics["read"] = jnp.zeros(()), batch["mask"].sum(dtype=jnp.float32)
        return sums, carry, metrics

    return Objective(counts, terms, {"mlm": 1.0} | ({"nsp": config.nsp_weight} if config.nsp else {}))


def rows_of(config: MlmConfig, texts: Sequence[str], tokenizer: Tokenizer) -> Examples:
    """Documents as rows of one text, or of two."""
    return _rows(config, read_sentences(texts, config.data), tokenizer)


def _rows(config: MlmConfig, sentences: Sequence[Sequence[str]], tokenizer: Tokenizer) -> Examples:
    special, encoded = Special.behind(tokenizer), encode_sentences(tokenizer, sentences)
    if config.nsp:
        return pair_rows(encoded, special, config.data.length, config.seed)
    return whole_rows(encoded, special, config.data.length)


def masked_batches(config: MlmConfig, rows: Examples, tokenizer: Tokenizer, *, train: bool, shapes=None):
    """Batches of rows with tokens hidden: in training others in each epoch, else always the same."""
    data = config.data
    hide = masker(
        Special.behind(tokenizer), share=data.masked, seed=config.seed, unknown=tokenizer.unknown,
        starts=word_starts(tokenizer) if data.whole_word else None,
    )  # fmt: skip
    return example_batches(
        rows, rows=config.batch_size, seed=config.seed, train=train, buckets=shapes or data.buckets, change=hide
    )  # fmt: skip


def build(config: MlmConfig, folder: RunFolder) -> Built:
    """Read the text, train or load the tokenizer, and make the job of training."""
    splits = read_splits(config.data.files)
    start = open_start(config, folder, MLM)
    sentences = {name: read_sentences(texts, config.data) for name, texts in splits._asdict().items()}

    def prepare(first: bool) -> Tokenizer:
        if first and start:
            start.tokenizer.save(folder.tokenizer)
        elif first and not folder.tokenizer.exists():
            texts = ["".join(document) for document in sentences["train"]]
            train_tokenizer(config.data, texts).save(folder.tokenizer)
        return Tokenizer.load(folder.tokenizer)

    tokenizer = writer_first(prepare)
    rows = {name: _rows(config, found, tokenizer) for name, found in sentences.items()}
    train = masked_batches(config, rows["train"], tokenizer, train=True)
    whole = functools.partial(masked_batches, config, tokenizer=tokenizer, train=False, shapes=train.lengths)
    validation, test = whole(rows["valid"]), whole(rows["test"])
    filler = filler_of(config, tokenizer, None)
    fresh = from_frequencies(filler.model.init, _counts(rows["train"], tokenizer))
    job = Job(
        objective=objective(filler.model, config),
        init=begin_with(filler.model.init, start.params, "bert") if start else fresh,
        batches=train,
        iterate=iterate,
        validation=validation,
        test=test,
        report=reporter(rows, tokenizer),
        sample=show(filler, validation[0], config.shown) if config.shown else None,
        counted="read",
    )
    told = [("start", f"the weights and the symbols of {config.pretrained.run}")] if start else []
    return Built(job, told + summary(config, sentences, rows, train, filler))


def from_frequencies(init: Callable[[Any], Any], counts: np.ndarray) -> Callable[[Any], Any]:
    """The same ``key -> params``, whose scores of tokens begin with how frequent each is.

    Else the first hundreds of steps teach nothing but that.

    Args:
        init: makes a nested dict, with ``bias`` (V,).
        counts: how often each of the first of the V tokens occurs; the others, special ones, never do.
    """
    shares = np.log((counts + 0.5) / (counts + 0.5).sum())

    def begin(key):
        params = init(key)
        bias = params["bias"]
        return params | {"bias": jnp.full_like(bias, shares.min()).at[: len(shares)].set(shares.astype(bias.dtype))}

    return begin


def summary(config: MlmConfig, sentences: Mapping, rows: Mapping[str, Examples], train: ExampleBatches, filler: Filler):
    """What is about to be trained, in a few lines."""
    numbers = count_parameters(filler.model.init)
    counts = " + ".join(f"{sum(map(len, documents)):,}" for documents in sentences.values())
    how = "whole words" if config.data.whole_word else "tokens"
    pairs = "two texts each, every second one from elsewhere" if config.nsp else "one text each"
    return [
        ("sentences", f"{counts} (train + valid + test)"),
        ("symbols", f"{filler.special.vocabulary:,} ({config.data.tokenizer}), {train.tokens_per_epoch:,} in train"),
        ("rows", " + ".join(f"{len(found.lengths):,}" for found in rows.values()) + f", {pairs}"),
        ("masked", f"{config.data.masked:.0%} of the tokens ({how}), others in each epoch"),
        ("model", f"{config.model.layers} × attention of {config.model.features}, {numbers:,} parameters"),
        ("batch", f"{config.batch_size} rows of at most {config.data.length} on {jax.device_count()} device(s)"),
    ]


def reporter(rows: Mapping[str, Examples], tokenizer: Tokenizer):
    """``(totals, split) -> metrics``: loss in nats a masked token.

    ``baseline`` is the accuracy of one that always says the commonest token of training.
    """
    common = {name: _counts(found, tokenizer) for name, found in rows.items()}
    likeliest = int(common["train"].argmax()) if "train" in common else None
    baseline = {name: counts[likeliest] / max(counts.sum(), 1) for name, counts in common.items()} if likeliest else {}

    def report(totals: Totals, split: str) -> dict[str, float]:
        (nats, count), (hits, _) = totals["mlm"], totals["accuracy"]
        row = {"loss": nats / max(count, 1), "perplexity": perplexity(nats, count), "accuracy": hits / max(count, 1)}
        if split in baseline and split != "train":
            row["baseline"] = float(baseline[split])
        if "nsp" in totals:
            row["nsp_loss"] = totals["nsp"][0] / max(totals["nsp"][1], 1)
            row["nsp_accuracy"] = totals["nsp_accuracy"][0] / max(totals["nsp_accuracy"][1], 1)
        return row

    return report


def _counts(rows: Examples, tokenizer: Tokenizer) -> np.ndarray:
    """(V,), how often each ordinary symbol occurs."""
    counts = np.bincount(np.concatenate(rows.steps["tokens"]), minlength=tokenizer.size)[: tokenizer.size]
    counts[[0] if tokenizer.unknown is None else [0, tokenizer.unknown]] = 0
    return counts


def filler_of(config: MlmConfig, tokenizer: Tokenizer, params) -> Filler:
    """A model, its tokenizer and its parameters."""
    special = Special.behind(tokenizer)
    return Filler(model_of(config, special), tokenizer, special, params, config.model, config.data.lower, config.nsp)


def evaluate(config: MlmConfig, folder: RunFolder, params, data: DataOption) -> dict[str, float]:
    """Metrics of ``params`` on the text that ``data`` names, or on the run's own test split."""
    tokenizer = Tokenizer.load(folder.tokenizer)
    files = config.data.files
    texts = read_documents(data.path, files) if data.path else read_splits(files).test
    rows = rows_of(config, texts, tokenizer)
    measured = masked_batches(config, rows, tokenizer, train=False)
    model = model_of(config, Special.behind(tokenizer))
    totals = Evaluator(objective(model, config), config.compute_dtype)(params, measured)
    return reporter({"test": rows}, tokenizer)(totals, "test")


def use(config: MlmConfig, folder: RunFolder, read_params) -> Filler:
    """The trained model of a run."""
    filler = filler_of(config, Tokenizer.load(folder.tokenizer), None)
    return filler._replace(params=read_params(jax.eval_shape(filler.model.init, jax.random.key(0))))


MLM = Task(
    name="mlm",
    what="masked language models (BERT): predict hidden tokens from both sides, and start others from there",
    presets=PRESETS,
    default="bert",
    build=build,
    use=use,
    evaluate=evaluate,
    verbs={"predict": fill},
    predicted=Fill,
    unit="nats per hidden token",
)

"""Language models: predict every next symbol of a text. Task ``lm``.

A batch is what :mod:`seqjax.data` makes of text: ids, the next ids, and three masks, (rows, T) each.
"""

import dataclasses
import functools

import jax
import numpy as np

from seqjax.checks import MOST, InputError
from seqjax.data import DataConfig, Tokenizer, batches, iterate, read_documents, read_splits, train_tokenizer
from seqjax.models import GPTConfig, LanguageModelConfig, NextSymbol, gpt, whole_past, windowed
from seqjax.models.pure import count_parameters
from seqjax.ops.losses import token_cross_entropy
from seqjax.ops.metrics import bits_per_unit, perplexity, token_accuracy
from seqjax.tasks.contract import Built, DataOption, Task
from seqjax.tasks.fine_tuning import begin_with, open_start
from seqjax.tasks.lm_use import LanguageModel, sample, score_lines, write
from seqjax.tasks.pretrained import StartConfig
from seqjax.training.configuration import RunConfig
from seqjax.training.devices import writer_first
from seqjax.training.evaluation import Evaluator, Totals
from seqjax.training.folder import RunFolder
from seqjax.training.loop import Job
from seqjax.training.optimizers import OptimizerConfig
from seqjax.training.step import Objective


@dataclasses.dataclass(frozen=True, kw_only=True)
class LmConfig(RunConfig):
    """Train a language model on text."""

    data: DataConfig = DataConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    prompt: str = ""  # what the samples while training go on from
    sample_tokens: int = 200  # length of those samples; 0: none
    pretrained: StartConfig = StartConfig()

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.sample_tokens < MOST:
            raise InputError(f"--sample-tokens should lie in [0, 2^31), but it is {self.sample_tokens}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentLmConfig(LmConfig):
    """Train a recurrent language model on text."""

    model: LanguageModelConfig = LanguageModelConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class GPTLmConfig(LmConfig):
    """Train a stack of attention blocks, or of blocks of several kinds, on text; it sees `data.length` symbols."""

    model: GPTConfig = GPTConfig()


AnyLmConfig = RecurrentLmConfig | GPTLmConfig

CHARACTERS = RecurrentLmConfig(
    steps=1500,
    batch_size=32,
    model=LanguageModelConfig(features=256, dropout=0.1, embedding_dropout=0.0),
    data=DataConfig(length=128),
    optimizer=OptimizerConfig(learning_rate=5e-3, warmup=50),
)
WORDS = RecurrentLmConfig(
    steps=2000,
    batch_size=20,
    model=LanguageModelConfig(features=256, layers=2, dropout=0.4, tied=True),
    data=DataConfig(tokenizer="word", vocabulary=10_000, min_count=2, length=35),
    optimizer=OptimizerConfig(learning_rate=3e-3, warmup=50),
    sample_tokens=60,
)


GPT = GPTLmConfig(
    steps=2000,
    batch_size=12,
    model=GPTConfig(features=128, layers=4, heads=4),
    data=DataConfig(batches="packed", length=64),
    optimizer=OptimizerConfig(name="adamw", learning_rate=2e-3, warmup=100, options={"b2": 0.99}),
)


def with_cell(config: RecurrentLmConfig, cell: str) -> RecurrentLmConfig:
    """The same configuration around another recurrence."""
    return dataclasses.replace(config, model=dataclasses.replace(config.model, cell=cell))


PRESETS = {
    "char-lstm": CHARACTERS,
    "char-rnn": with_cell(CHARACTERS, "elman"),
    "char-gru": with_cell(CHARACTERS, "gru"),
    "word-lstm": WORDS,
    "ngram": dataclasses.replace(
        WORDS,
        batch_size=256,
        model=LanguageModelConfig(features=256, dropout=0.3, tied=True),
        data=dataclasses.replace(WORDS.data, batches="window", length=5),
    ),
    "gpt": GPT,
    "word-gpt": dataclasses.replace(
        GPT,
        model=GPTConfig(features=256, layers=4, heads=4, dropout=0.3),
        data=dataclasses.replace(WORDS.data, batches="packed", length=64),
        sample_tokens=60,
    ),
    "tunes": dataclasses.replace(
        CHARACTERS, steps=1000, prompt="X:1\n", data=DataConfig(length=128, embedded="tunes"), sample_tokens=300
    ),
    "pixels": dataclasses.replace(
        CHARACTERS,
        steps=1000,
        data=DataConfig(length=80, embedded="pixels", batches="bucketed"),
        model=LanguageModelConfig(features=256, dropout=0.2, embedding_dropout=0.0),
        sample_tokens=80,
    ),
    "hybrid": dataclasses.replace(GPT, model=GPTConfig(features=128, layers=4, heads=4, mixer=("gru", "attention"))),
}


def kinds(config: AnyLmConfig) -> str:
    """What the layers are, in a word or two."""
    return " and ".join(config.model.mixer) if isinstance(config, GPTLmConfig) else config.model.cell


def symbols(config: AnyLmConfig, vocabulary: int) -> NextSymbol:
    """The model that a configuration describes, as pure functions."""
    if isinstance(config, GPTLmConfig):
        return gpt(config.model, vocabulary, config.data.length)
    if config.data.batches == "window":
        return windowed(config.model, vocabulary, config.data.length)
    return whole_past(config.model, vocabulary, carried=config.data.batches == "stream")


def objective(model: NextSymbol) -> Objective:
    """The negative log-likelihood of every scored symbol, in nats."""

    def counts(batch):
        return {"cross_entropy": batch["scored"].sum()}

    def terms(params, batch, carry, keys, train):
        carry, logits, targets, scored = model.predict(params, batch, carry, keys)
        total, _ = token_cross_entropy(logits, targets, scored)
        metrics = {} if train else {"accuracy": token_accuracy(logits, targets, scored)}
        return {"cross_entropy": total}, carry, metrics

    return Objective(counts, terms, {"cross_entropy": 1.0})


def build(config: AnyLmConfig, folder: RunFolder) -> Built:
    """Read the text, train or load the tokenizer, and make the job of training, from another run's weights if named.

    Args:
        config: of the run.
        folder: a tokenizer that is already there is kept: ids must not change while a run goes on. Of a run to start
            from, it is that run's.
    """
    splits, start = read_splits(config.data), open_start(config, folder, LM)

    def prepare(first: bool) -> Tokenizer:
        if first and start:
            start.tokenizer.save(folder.tokenizer)
        elif first and not folder.tokenizer.exists():
            train_tokenizer(config.data, splits.train).save(folder.tokenizer)
        return Tokenizer.load(folder.tokenizer)

    tokenizer = writer_first(prepare)
    if config.sample_tokens:
        check_prompt(tokenizer, config.prompt)
    ids = {name: tokenizer.encode_documents(texts) for name, texts in splits._asdict().items()}
    model = symbols(config, tokenizer.size)

    train = batches(config.data, ids["train"], rows=config.batch_size, seed=config.seed, train=True)
    whole = functools.partial(batches, config.data, rows=config.batch_size, train=False)
    buckets = train.lengths if config.data.batches == "bucketed" else None

    job = Job(
        objective=objective(model),
        init=begin_with(model.init, start.params) if start else model.init,
        carry=model.carry,
        batches=train,
        iterate=iterate,
        validation=whole(ids["valid"], buckets=buckets),
        test=whole(ids["test"], buckets=buckets),
        report=reporter(splits._asdict(), ids, tokenizer),
        sample=sampler(config, model, tokenizer) if config.sample_tokens else None,
        counted="cross_entropy",
    )
    numbers = count_parameters(model.init)
    summary = [
        ("text", " + ".join(f"{sum(map(len, texts)):,}" for texts in splits) + " characters (train + valid + test)"),
        ("symbols", f"{tokenizer.size:,} ({tokenizer.kind}), {describe_symbols(tokenizer, ids['train'])} in train"),
        ("model", f"{config.model.layers} × {kinds(config)} of {config.model.features}, {numbers:,} parameters"),
        ("batch", f"{config.batch_size} rows × {config.data.length} steps on {jax.device_count()} device(s)"),
    ]
    if start:
        summary.insert(0, ("start", f"the weights and the symbols of {config.pretrained.run}"))
    return Built(job, summary)


def count_unknown(tokenizer: Tokenizer, documents: list[np.ndarray]) -> int:
    """How many symbols of documents are ``<unk>``."""
    return sum(int((ids == tokenizer.unknown).sum()) for ids in documents)


def describe_symbols(tokenizer: Tokenizer, documents: list[np.ndarray]) -> str:
    """How many symbols documents have, and which share of them is unknown, if any is."""
    symbols, unknown = sum(map(len, documents)), count_unknown(tokenizer, documents)
    return f"{symbols:,}" + (f", {unknown / symbols:.1%} of them <unk>," if unknown else "")


def check_prompt(tokenizer: Tokenizer, prompt: str) -> None:
    """Refuse what samples could not go on from, now rather than at the first of them."""
    try:
        tokenizer.encode(prompt, strict=True)
    except InputError as error:
        raise InputError(f"--prompt: {error}") from None


def reporter(texts: dict[str, list[str]], ids: dict[str, list[np.ndarray]], tokenizer: Tokenizer):
    """``(totals, split) -> metrics``: what is measured in nats a symbol, said per character and per word too.

    The end of a document counts as one symbol, one character and one word. ``unknown`` is the share of symbols that are
    read, and predicted, as ``<unk>``: where it is large, the other numbers say little.
    """
    units, unknown = {}, {}
    for name, documents in texts.items():
        symbols = sum(len(document) + 1 for document in ids[name])
        unknown[name] = count_unknown(tokenizer, ids[name]) / symbols
        units[name] = [
            sum(len(t) + 1 for t in documents) / symbols,
            sum(len(t.split()) + 1 for t in documents) / symbols,
        ]

    def report(totals: Totals, split: str) -> dict[str, float]:
        nats, count = totals["cross_entropy"]
        characters, words = units[split]
        row = {"loss": nats / count, "perplexity": perplexity(nats, count)}
        row["bits_per_char"] = bits_per_unit(nats, count * characters)
        if tokenizer.kind not in ("char", "word"):
            row["word_perplexity"] = perplexity(nats, count * words)
        if "accuracy" in totals:
            row["accuracy"] = totals["accuracy"][0] / totals["accuracy"][1]
        if unknown[split]:
            row["unknown"] = unknown[split]
        return row

    return report


def evaluate(config: AnyLmConfig, folder: RunFolder, params, data: DataOption) -> dict[str, float]:
    """Metrics of ``params`` on the text that ``data`` names, or on the run's own test split."""
    tokenizer = Tokenizer.load(folder.tokenizer)
    texts = read_documents(data.path, config.data) if data.path else read_splits(config.data).test
    ids = tokenizer.encode_documents(texts)
    model = symbols(config, tokenizer.size)
    measured = batches(config.data, ids, rows=config.batch_size, train=False, vocabulary=tokenizer.size)
    totals = Evaluator(objective(model), config.compute_dtype, carry=model.carry)(params, measured)
    return reporter({"test": texts}, {"test": ids}, tokenizer)(totals, "test")


def sampler(config: AnyLmConfig, model: NextSymbol, tokenizer: Tokenizer):
    """``(params, step) -> text``, the same for the same step of the same run."""

    def draw(params, step: int) -> str:
        key = jax.random.fold_in(jax.random.key(config.seed), step)
        return sample(LanguageModel(model, tokenizer, params), config.prompt, config.sample_tokens, key)

    return draw


def use(config: AnyLmConfig, folder: RunFolder, read_params) -> LanguageModel:
    """The trained model of a run.

    Args:
        config: of the run.
        folder: of the run.
        read_params: from shapes to values, see :func:`seqjax.training.best.best_params`.
    """
    tokenizer = Tokenizer.load(folder.tokenizer)
    model = symbols(config, tokenizer.size)
    return LanguageModel(model, tokenizer, read_params(jax.eval_shape(model.init, jax.random.key(0))))


LM = Task(
    name="lm",
    what="language models: predict every next symbol of a text, and write",
    presets=PRESETS,
    default="char-lstm",
    build=build,
    use=use,
    evaluate=evaluate,
    verbs={"generate": write, "score": score_lines},
)

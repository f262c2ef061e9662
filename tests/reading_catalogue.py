"""Models that read whole sequences, one row each: what the laws of tests/test_reading_models.py speak of.

A model joins with one row: ``ReadingRow(name, build, inputs)``.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from seqjax.models import autoregressive as steps
from seqjax.models import classifier as models
from seqjax.models import forecaster as ahead
from seqjax.models.bert import BertConfig, bert
from seqjax.models.bert_reading import BertSizes, WordBERT
from seqjax.models.character_words import SpellingConfig
from seqjax.models.elmo import ElmoConfig, elmo
from seqjax.models.elmo_reading import ElmoReader, ElmoVectors
from seqjax.models.parser import ParserConfig, parser
from seqjax.models.pure import of_targets, pure
from seqjax.models.reading import AttentionReaderConfig, BagReaderConfig, RecurrentReaderConfig, make_reader
from seqjax.models.series import (
    RecurrentSeriesConfig,
    TimeAwareReaderConfig,
    TimeAwareSeriesConfig,
    make_series_encoder,
)
from seqjax.models.sketch_rnn import SketchRNNConfig, sketch_rnn
from seqjax.models.sketchformer import SketchformerConfig, sketchformer
from seqjax.models.tagger import AttentionTaggerConfig, RecurrentTaggerConfig, WordReader, tagger
from seqjax.models.tcn import ConvolutionReaderConfig
from seqjax.models.transcriber import AttentionTranscriberConfig, RecurrentTranscriberConfig, transcriber
from seqjax.models.word_features import WordFeatures, WordFeaturesConfig
from seqjax.ops import crf

V, CLASSES = 9, 3


def symbols(random: np.random.Generator, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Ids (B, T) of a tokenizer, none of them the boundary."""
    return {"symbols": random.integers(1, V, size=shape).astype(np.int32)}


class ReadingRow(NamedTuple):
    """A model that reads.

    Attributes:
        name: of the row.
        build: ``() -> (init, apply)``: ``init(key)`` gives parameters, ``apply(params, batch, keys)`` a pytree whose
            leaves are (B, ...), or with ``per_step`` (B, T, ...). Without dropout while ``keys`` is None.
        inputs: ``(random, (B, T)) -> {name: array (B, T, ...)}``, every step real; the tests add ``mask``.
        per_step: the leaves have a value for every step.
        causal: no step knows of a later one.
    """

    name: str
    build: Callable[[], tuple[Callable, Callable]]
    inputs: Callable[..., dict[str, np.ndarray]] = symbols
    per_step: bool = False
    causal: bool = False


def classify(name: str, config: Any, pooling: str, ngrams: int = 1, **output) -> ReadingRow:
    """One row: a classifier of symbols, with dropout everywhere."""
    shape = models.SymbolsConfig(
        embedding=4, embedding_dropout=0.3, symbol_dropout=0.3, ngrams=ngrams, ngram_rows=50
    )  # fmt: skip
    head = models.PoolingConfig(pooling=pooling, attention=3, window=3, dropout=0.3, **output)
    config = dataclasses.replace(config, symbols=shape, output=head)

    def build():
        model = models.classifier(lambda rngs: models.SymbolReader(config, V, rngs=rngs), CLASSES, head)
        return model.init, model.logits

    return ReadingRow(f"classify-{name}-{pooling}", build)


def features(random: np.random.Generator, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Vectors (B, T, 4)."""
    return {"xs": random.normal(size=(*shape, 4)).astype(np.float32)}


def read(name: str, config: Any, *, causal: bool) -> ReadingRow:
    """One row: a reader of vectors."""

    def build():
        init, apply = pure(lambda rngs: make_reader(config, 4, rngs=rngs))
        return init, lambda params, batch, keys=None: apply(params, batch["xs"], mask=batch["mask"], keys=keys)

    return ReadingRow(f"read-{name}", build, features, per_step=True, causal=causal)


def spelled(random: np.random.Generator, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Words to predict, and their spelling as ELMo reads it."""
    words, lengths = random.integers(0, V, size=shape), random.integers(1, 5, size=(*shape, 1))
    characters = random.integers(1, V, size=(*shape, 4)) * (np.arange(4) < lengths)
    both = {"characters": characters.astype(np.int32), "spelling": characters.astype(np.int32)}
    return both | {"words": words.astype(np.int32)}


def elmo_shape(kind: str) -> ElmoConfig:
    """A small ELMo."""
    shape = SpellingConfig(kind=kind, embedding=3, widths=(1, 2), filters=(2, 3), features=4)
    return ElmoConfig(spelling=shape, features=3, hidden=4, layers=1, dropout=0.3)


def elmo_sides():
    """Vectors of every layer, as (B, T, L, D), and how surprising both models find what comes next."""
    model = elmo(elmo_shape("lstm"), V, V)

    def apply(params, batch, keys):
        said = {name: of_targets(*side) for name, side in model.predict(params, batch, keys).items()}
        return model.read(params, batch, keys).swapaxes(1, 2), said["forward"][:, 1:], said["backward"][:, :-1]

    return model.init, apply


def elmo_reader():
    """ELMo left as it is, beside words' own vectors."""

    def make(rngs):
        own = WordFeatures(WordFeaturesConfig(embedding=2, characters="none"), V, 0, rngs=rngs)
        vectors = ElmoVectors(elmo_shape("cnn"), V, dropout=0.3, frozen=True, rngs=rngs)
        return ElmoReader(own, vectors, BagReaderConfig(), rngs=rngs)

    return pure(make)


BERT = BertConfig(features=4, layers=1, heads=2, hidden=5, dropout=0.3)


def two_texts(random: np.random.Generator, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Tokens, and which of two texts they belong to."""
    segments = np.broadcast_to(np.arange(shape[1]) > 1, shape).astype(np.int32)
    return {"tokens": random.integers(1, V, size=shape).astype(np.int32), "segments": segments}


def bert_scores():
    """Of every token, as if it had been masked."""
    model = bert(BERT, V, 8)
    return model.init, lambda params, batch, keys: model.score(params, model.read(params, batch, keys))


def bert_relation():
    """Whether the second text of a row follows the first."""
    model = bert(BERT, V, 8)
    return model.init, lambda params, batch, keys: model.relate(params, model.read(params, batch, keys), batch["mask"])


def cut(random: np.random.Generator, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Words of one to three pieces."""
    pieces, lengths = random.integers(1, V - 2, size=(*shape, 3)), random.integers(1, 4, size=(*shape, 1))
    return {"pieces": (pieces * (np.arange(3) < lengths)).astype(np.int32)}


def bert_words():
    """Words cut into pieces, each seen as its first one."""
    sizes = BertSizes(BERT, V, 26, V - 2, V - 1)
    return pure(lambda rngs: WordBERT(sizes, rngs=rngs))


def written(random: np.random.Generator, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Words and the characters they are written with."""
    characters = random.integers(1, V, size=(*shape, 4)) * (np.arange(4) < random.integers(1, 5, size=(*shape, 1)))
    return {"words": random.integers(0, V, size=shape).astype(np.int32), "characters": characters.astype(np.int32)}


def tag(name: str, config: Any, characters: str, *, causal: bool = False) -> ReadingRow:
    """One row: how likely each tag is at each step, or the scores of tags where they stand by themselves."""
    words = WordFeaturesConfig(embedding=3, characters=characters, character_embedding=2, character_features=2)
    config = dataclasses.replace(config, words=words)

    def build():
        model = tagger(lambda rngs: WordReader(config, V, V, rngs=rngs), CLASSES, chained=config.crf)

        def apply(params, batch, keys=None):
            emissions, transitions = model.scores(params, batch, keys)
            return emissions if transitions is None else crf.marginals(emissions, transitions, batch["mask"])

        return model.init, apply

    return ReadingRow(f"tag-{name}", build, written, per_step=True, causal=causal)


def visited(random: np.random.Generator, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """What was seen at each visit, and the time since the one before."""
    elapsed = random.gamma(1.0, 2.0, size=(*shape, 1)).astype(np.float32)
    return {"xs": random.normal(size=(*shape, 3)).astype(np.float32), "elapsed": elapsed}


def series(name: str, config: Any, *, per_step: bool = False) -> ReadingRow:
    """One row: a class for a series of numbers, or what its encoder says of each step."""

    def make(rngs):
        return make_series_encoder(config, 3, rngs=rngs)

    def build():
        if per_step:
            return pure(make)
        model = models.classifier(make, CLASSES, config.output)
        return model.init, model.logits

    return ReadingRow(f"series-{name}", build, visited, per_step=per_step, causal=per_step)


def parse():
    """What words look at as their heads, and the relations to the likeliest: both wherever the words stand."""
    words = WordFeaturesConfig(embedding=3, characters="cnn", character_embedding=2, character_features=2)
    model = parser(ParserConfig(words=words, reader=LSTM, arc_features=4, label_features=3), V, V, CLASSES)

    def apply(params, batch, keys=None):
        parsed = model.read(params, batch, keys)
        looked = jax.nn.softmax(parsed.arcs) @ parsed.heads
        return looked, model.relate(params, parsed, parsed.arcs.argmax(axis=-1), batch["mask"])

    return model.init, apply


def transcribe(name: str, config: Any) -> ReadingRow:
    """One row: scores of symbols at subsampled frames, and how surprising one symbol is as all that is said."""

    def build():
        model = transcriber(config, 4, CLASSES)

        def apply(params, batch, keys=None):
            nats, _ = model.nats(params, batch | {"transcript": np.ones((len(batch["mask"]), 1), np.int32)}, keys)
            return model.read(params, batch, keys)[0], nats

        return model.init, apply

    def frames(random, shape):
        return {"frames": features(random, shape)["xs"]}

    return ReadingRow(f"transcribe-{name}", build, frames)


def numbers(random: np.random.Generator, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Numbers of three columns."""
    return {"xs": random.normal(size=(*shape, 3)).astype(np.float32)}


def forecast(name: str, config: Any, *, anchor: str, quantiles: tuple[float, ...] = (0.2, 0.7)) -> ReadingRow:
    """One row: two of three columns, four steps ahead."""
    config = dataclasses.replace(config, anchor=anchor, quantiles=quantiles)
    shape = ahead.SeriesShape(3, (2, 0), horizon=4, season=3)

    def build():
        if isinstance(config, steps.AutoregressiveForecasterConfig):
            model = steps.autoregressive_forecaster(config, shape)
        else:
            model = ahead.direct_forecaster(config, shape, longest=8)
        return model.init, model.forecast

    return ReadingRow(f"forecast-{name}", build, numbers)


def drawings(random: np.random.Generator, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Points of drawings, stroke-3."""
    pen = random.integers(0, 2, (*shape, 1))
    return {"strokes": np.concatenate([random.normal(size=(*shape, 2)), pen], axis=-1).astype(np.float32)}


def sketch(name: str, model: Callable[[], Any], *, causal: bool = False) -> ReadingRow:
    """One row: the nats of every point, and beside each what the drawing is taken for."""

    def build():
        own = model()

        def apply(params, batch, keys=None):
            read = own.read(params, batch, keys)
            if read.classes is None:
                return read.nats
            return read.nats, read.classes[:, None].repeat(read.nats.shape[1], axis=1)

        return own.init, apply

    return ReadingRow(f"sketch-{name}", build, drawings, per_step=True, causal=causal)


SKETCH_RNN = {"encoder_features": 3, "features": 4, "mixtures": 2, "dropout": 0.3}
SKETCHFORMER = SketchformerConfig(features=4, layers=1, heads=2, hidden=5, latent=3, grid=4)
LSTM = RecurrentReaderConfig(features=3, dropout=0.3)
BOTH_WAYS = TimeAwareReaderConfig(features=3, layers=2, bidirectional=True, decay="inverse", dropout=0.3)
ONE_WAY = dataclasses.replace(LSTM, bidirectional=False)
READING_MODELS = [
    classify("bilstm", models.RecurrentClassifierConfig(reader=LSTM), "last+max"),
    classify(
        "lstm", models.RecurrentClassifierConfig(reader=dataclasses.replace(LSTM, bidirectional=False)), "attention"
    ),
    classify("bag", models.BagClassifierConfig(), "first+sum", ngrams=3, hidden=4),
    classify("tcn", models.ConvolutionClassifierConfig(reader=ConvolutionReaderConfig(features=3, layers=2)), "max"),
    classify(
        "transformer",
        models.AttentionClassifierConfig(reader=AttentionReaderConfig(features=6, layers=1, heads=2, hidden=5)),
        "mean",
    ),
    read("tcn", ConvolutionReaderConfig(features=3, layers=1, weight_norm=False), causal=True),
    ReadingRow("bert-scores", bert_scores, two_texts, per_step=True),
    ReadingRow("bert-relation", bert_relation, two_texts),
    ReadingRow("bert-words", bert_words, cut, per_step=True),
    tag("bilstm-crf", RecurrentTaggerConfig(reader=LSTM), "cnn"),
    tag("lstm", RecurrentTaggerConfig(reader=ONE_WAY, crf=False), "lstm", causal=True),
    tag("transformer", AttentionTaggerConfig(reader=AttentionReaderConfig(features=4, layers=1, heads=2)), "none"),
    ReadingRow("elmo", elmo_sides, spelled, per_step=True),
    ReadingRow("elmo-reader", elmo_reader, spelled, per_step=True),
    ReadingRow("parse", parse, written, per_step=True),
    sketch("rnn", lambda: sketch_rnn(SketchRNNConfig(latent=2, **SKETCH_RNN))),
    sketch("decoder-only", lambda: sketch_rnn(SketchRNNConfig(latent=0, **SKETCH_RNN)), causal=True),
    sketch("former-grid", lambda: sketchformer(SKETCHFORMER, CLASSES, longest=16, reach=3.0)),
    series("lstm", RecurrentSeriesConfig(reader=dataclasses.replace(ONE_WAY, memory=9), input_dropout=0.3)),
    series("time-aware", TimeAwareSeriesConfig(reader=TimeAwareReaderConfig(features=3)), per_step=True),
    series("time-aware-both-ways", TimeAwareSeriesConfig(reader=BOTH_WAYS, input_dropout=0.3)),
    transcribe("bilstm", RecurrentTranscriberConfig(reader=LSTM, factor=2, width=3, features=5, dropout=0.3)),
    transcribe(
        "transformer",
        AttentionTranscriberConfig(
            subsampling="stack", factor=3, reader=AttentionReaderConfig(features=4, layers=1, heads=2)
        ),
    ),
    forecast("lstm", ahead.RecurrentForecasterConfig(reader=ONE_WAY), anchor="last"),
    forecast(
        "tcn",
        ahead.ConvolutionForecasterConfig(reader=ConvolutionReaderConfig(features=3, layers=1)),
        anchor="none",
        quantiles=(),
    ),
    forecast(
        "transformer",
        ahead.AttentionForecasterConfig(reader=AttentionReaderConfig(features=4, layers=1, heads=2, hidden=5)),
        anchor="season",
    ),
    forecast("autoregressive", steps.AutoregressiveForecasterConfig(features=3), anchor="last"),
]

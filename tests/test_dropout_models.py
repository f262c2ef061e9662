"""What models drop while they are trained: in every place that their configuration speaks of, each with its own keys.

Nothing is computed: models are traced, and what is folded into the rows' keys on the way is noted.
"""

import sys
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pair_catalogue import LONGEST, SOURCE, TARGET
from reading_catalogue import READING_MODELS, V

from seqjax.layers import deep
from seqjax.models import (
    GPTConfig,
    LanguageModelConfig,
    Seq2SeqConfig,
    TransformerConfig,
    gpt,
    seq2seq,
    transformer,
    whole_past,
)
from seqjax.models.autoregressive import AutoregressiveForecasterConfig, autoregressive_forecaster
from seqjax.models.captioner import RecurrentCaptionerConfig, captioner
from seqjax.models.forecaster import SeriesShape
from seqjax.models.pictures import PictureConfig
from seqjax.models.reading import RecurrentReaderConfig
from seqjax.models.sketch import unsteady
from seqjax.models.transcriber import RecurrentTranscriberConfig, transcriber
from seqjax.ops import attention_dropout, dropout
from seqjax.ops.dropout import row_keys

B, T = 2, 4
IDS, REAL = jnp.ones((B, T), jnp.int32), jnp.ones((B, T), bool)
PAIR = {"source": IDS, "source_mask": REAL, "inputs": IDS, "targets": IDS, "mask": REAL}
LINE = {"inputs": IDS, "targets": IDS, "mask": REAL, "reset": ~REAL, "scored": REAL}
NUMBERS = {"xs": jnp.ones((B, T, 3)), "frames": jnp.ones((B, T, 3)), "mask": REAL}
PICTURE = PAIR | {"source": jnp.ones((B, 2, 2 * T, 1))}
SHAPE = {"features": 4, "heads": 2, "layers": 1, "dropout": 0.2}


def catalogued(name):
    """A row of the catalogue of models that read."""
    row = next(row for row in READING_MODELS if row.name == name)

    def run(keys):
        (init, apply), batch = (
            row.build(),
            row.inputs(np.random.default_rng(0), (B, 8)) | {"mask": np.ones((B, 8), bool)},
        )
        return apply(init(jax.random.key(0)), jax.tree.map(jnp.asarray, batch), keys)

    return run


def pairs(make, batch=PAIR):
    """A model of pairs."""

    def run(keys):
        model = make()
        return model.logits(model.init(jax.random.key(0)), batch, keys, 0.0)

    return run


def recurrent(**shape):
    """Two layers on each side."""
    return pairs(lambda: seq2seq(Seq2SeqConfig(features=3, layers=2, dropout=0.2, **shape), SOURCE, TARGET))


def symbols(make):
    """A language model."""

    def run(keys):
        model = make()
        return model.predict(model.init(jax.random.key(0)), LINE, model.carry(B), keys)

    return run


def numbers(make, method):
    """A model of series or of frames."""

    def run(keys):
        model = make()
        return getattr(model, method)(model.init(jax.random.key(0)), NUMBERS, keys)

    return run


WORDS = LanguageModelConfig(features=3, layers=2, dropout=0.2, embedding_dropout=0.1)
SEEN = RecurrentCaptionerConfig(
    features=3, dropout=0.2, picture=PictureConfig(features=4, layers=2, dropout=0.1)
)  # fmt: skip
AHEAD = AutoregressiveForecasterConfig(features=3, layers=2, dropout=0.2)
HEARD = RecurrentTranscriberConfig(features=3, dropout=0.1, reader=RecurrentReaderConfig(features=3, dropout=0.2))
ATTENTION = 4  # what is read, weights of attention, and what attention and the network add
RUNS = {
    "classify-bag-first+sum": {0.3: 4},  # symbols, their vectors, what is pooled, the hidden layer
    "bert-scores": {0.3: ATTENTION},
    "elmo": {0.3: 6},  # before a layer of each direction, twice, and before the scores of both
    "elmo-reader": {0.3: 2},  # nothing of what is frozen
    "parse": {0.3: 2, 0.2: 4},  # words, what reads them, and both sides of both scores
    "sketch-rnn": {0.3: 2, 0.1: 1},  # the last is the hand's unsteadiness
    "series-lstm": {0.3: 2},
    "series-time-aware-both-ways": {0.3: 3},
}
RUNS = {name: (catalogued(name), wanted) for name, wanted in RUNS.items()} | {
    "transformer": (pairs(lambda: transformer(TransformerConfig(**SHAPE), SOURCE, TARGET, LONGEST)), {0.2: 10}),
    "bahdanau": (recurrent(attention="additive"), {0.2: 6}),  # vectors, between layers and after, on both sides
    "luong": (recurrent(attention="bilinear"), {0.2: 6}),
    "whole-past": (symbols(lambda: whole_past(WORDS, V)), {0.1: 1, 0.2: 2}),
    "gpt": (symbols(lambda: gpt(GPTConfig(**SHAPE), V, T)), {0.2: ATTENTION}),
    "caption": (pairs(lambda: captioner(SEEN, 1, TARGET, LONGEST), PICTURE), {0.1: 1, 0.2: 2}),
    "autoregressive": (
        numbers(lambda: autoregressive_forecaster(AHEAD, SeriesShape(3, (1,), 2)), "forecast"), {0.2: 2}
    ),
    "transcribe": (numbers(lambda: transcriber(HEARD, 3, V), "read"), {0.1: 1, 0.2: 1}),
}  # fmt: skip


def noted(monkeypatch):
    """What is dropped from here on: the numbers that were folded into the keys, and the rate."""
    paths, places, alive = {}, [], []

    def path(keys):
        alive.append(keys)  # or another may have its id
        return paths.setdefault(id(keys), (f"keys {len(paths)}",))

    def fold(keys, number):
        found = real[0](keys, number)
        if keys is not None:
            alive.append(found)
            paths[id(found)] = (*path(keys), number if isinstance(number, int) else "each")
        return found

    def drop(xs, rate, keys, **where):
        if keys is not None and rate:
            places.append((path(keys), rate))
        return xs

    def shake(points, amount, keys):
        return real[3](drop(points, amount, keys), amount, keys)

    real = dropout.fold, dropout.dropout, attention_dropout.drop_weights, unsteady
    for module in [module for name, module in sys.modules.items() if name.startswith("seqjax.")]:
        for name, own in list(vars(module).items()):
            for before, after in zip(real, (fold, drop, drop, shake), strict=True):
                if own is before:
                    monkeypatch.setattr(module, name, after)
    monkeypatch.setattr(deep, "_through", deep._through.__wrapped__)  # traced here, whoever was before
    return places


@pytest.mark.parametrize("name", RUNS)
def test_what_is_to_be_dropped_is_and_no_two_places_with_the_same_keys(name, monkeypatch):
    run, wanted = RUNS[name]
    places = noted(monkeypatch)
    jax.eval_shape(lambda: run(row_keys(jax.random.key(0), jnp.arange(B))))
    assert Counter(rate for _, rate in places) == wanted
    assert len({path for path, _ in places}) == len(places)

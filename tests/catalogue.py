"""What the laws speak of, one row each. A new cell joins with one row.

B batch, T time, S source time, D input features, H hidden features, M features of a memory.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from oracles import recurrences
from oracles import seq2seq as attentive
from parameters import drawn

from seqjax import cells
from seqjax.layers import Bidirectional, Recurrent, Stack
from seqjax.models import GPTConfig, LanguageModelConfig, NextSymbol, gpt, whole_past, windowed
from seqjax.models.attentive import Source, bahdanau
from seqjax.models.luong import luong

D, H, S, M = 3, 4, 5, 3
SYMBOLS = 6
B, T = 4, 7


def plain(random, shape, dtype):
    """One array (*shape, D)."""
    return jnp.asarray(random.normal(size=(*shape, D)), dtype)


def visits(random, shape, dtype):
    """Features, and gaps from a fraction to some days, zero among them."""
    elapsed = random.exponential(size=(*shape, 1), scale=3.0) * (random.random((*shape, 1)) < 0.8)
    return cells.Visits(plain(random, shape, dtype), jnp.asarray(elapsed, dtype))


def taught(random, shape, dtype):
    """Features, and the true one of two outputs."""
    return cells.Taught(plain(random, shape, dtype), jnp.asarray(np.eye(2)[random.integers(2, size=shape)], dtype))


def symbols(random, shape, dtype):
    """Ids (*shape, 1) of SYMBOLS symbols."""
    return jnp.asarray(random.integers(SYMBOLS, size=(*shape, 1)), jnp.int32)


def nothing(random, batch_shape, dtype):
    """Most cells read no context."""
    return


def encoded(random, batch_shape, dtype):
    """A source (*B, S, M) and its keys (*B, S, H), of which the first steps are not real in some rows."""
    real = np.arange(S) >= random.integers(0, S, size=(*batch_shape, 1))
    values, keys = (jnp.asarray(random.normal(size=(*batch_shape, S, width)), dtype) for width in (M, H))
    return Source(jnp.where(real[..., None], values, 0), keys, jnp.asarray(real))


class CellRow(NamedTuple):
    """A cell, its oracle, and what it reads."""

    name: str
    cell: cells.Cell
    oracle: Callable  # a step of tests/oracles/recurrences.py
    inputs: Callable = plain  # (random, (*B, T), dtype) -> xs
    context: Callable = nothing  # (random, (*B,), dtype) -> context

    def params(self, dtype=jnp.float64, seed: int = 0) -> Any:
        """Weights of which no bias or peephole is zero."""
        return drawn(lambda key: self.cell.init(key, D, H, dtype), seed)

    def state(self, batch_shape, dtype=jnp.float64, seed: int = 1) -> Any:
        """A state to start from that is not zero."""
        random = np.random.default_rng(seed)
        start = jax.eval_shape(lambda: self.cell.initial_state(self.params(dtype), batch_shape, dtype))
        return jax.tree.map(lambda leaf: jnp.asarray(random.normal(size=leaf.shape, scale=0.5), dtype), start)


def name_of(row) -> str:
    """The name a test reports."""
    return row.name


decaying = cells.jordan(outputs=2, decay=0.5, output_activation=jax.nn.softmax)

CELLS = [
    CellRow("elman", cells.Elman, recurrences.elman),
    CellRow("elman-relu", cells.ElmanReLU, recurrences.elman_relu),
    CellRow("irnn", cells.IRNN, recurrences.elman_relu),
    CellRow("jordan", cells.Jordan, recurrences.jordan),
    CellRow("jordan-taught", decaying, recurrences.jordan_taught, inputs=taught),
    CellRow("lstm-1997", cells.LSTM1997, recurrences.lstm_1997),
    CellRow("lstm", cells.LSTM, recurrences.lstm),
    CellRow("lstm-projected", cells.lstm_projected(projection=2), recurrences.lstm_projected),
    CellRow("lstm-peephole", cells.LSTMPeephole, recurrences.lstm_peephole),
    CellRow("lstm-time-aware", cells.LSTMTimeAware, recurrences.time_aware, inputs=visits),
    CellRow("gru", cells.GRU, recurrences.gru),
    CellRow("gru-reset-before", cells.GRUResetBefore, recurrences.gru_reset_before),
    CellRow("janet", cells.JANET, recurrences.janet),
    CellRow("min-gru", cells.MinGRU, recurrences.min_gru),
    CellRow("min-lstm", cells.MinLSTM, recurrences.min_lstm),
    CellRow("lstm-of-symbols", cells.of_symbols(cells.LSTM, SYMBOLS), recurrences.lstm_of_symbols, inputs=symbols),
    CellRow("gru-of-symbols", cells.of_symbols(cells.GRU, SYMBOLS), recurrences.gru_of_symbols, inputs=symbols),
    CellRow("bahdanau", bahdanau(cells.GRU, M, features=H), attentive.bahdanau, context=encoded),
    CellRow("luong", luong(cells.LSTM, M, "local-p", window=2), attentive.local_p, context=encoded),
]
inverse = cells.lstm_time_aware(decay=cells.inverse_decay)
VARIANTS = [  # other equations in the same step: held to their oracle, not again to every law
    CellRow("jordan-decaying", decaying, recurrences.jordan_decaying),
    CellRow("lstm-time-aware-inverse", inverse, recurrences.time_aware_inverse, inputs=visits),
]


class LayerRow(NamedTuple):
    """A layer over time, from D features to however many it gives."""

    name: str
    build: Callable[..., nnx.Module]  # rngs -> layer
    causal: bool = True
    learned: bool = False  # whether sequences start from parameters


def layer(name: str, kind, cell, **options) -> LayerRow:
    """One row: the layer's own arguments as a reader would write them."""
    causal = kind is not Bidirectional and not options.get("bidirectional") and not options.get("reverse")
    build = functools.partial(kind, cell, D, H, **options)
    return LayerRow(name, lambda rngs: build(rngs=rngs), causal, options.get("learn_initial", False))


LAYERS = [
    layer("recurrent", Recurrent, cells.LSTM),
    layer("recurrent-reverse-learned", Recurrent, cells.GRU, reverse=True, learn_initial=True),
    layer("bidirectional", Bidirectional, cells.LSTM),
    layer("bidirectional-sum-learned", Bidirectional, cells.GRU, merge="sum", learn_initial=True),
    layer("bidirectional-average", Bidirectional, cells.Elman, merge="average"),
    layer("stack-learned", Stack, cells.LSTM, layers=2, learn_initial=True),
    layer("stack-residual", Stack, cells.GRU, layers=3, residual=True),
    layer("stack-bidirectional", Stack, cells.LSTM, layers=2, bidirectional=True, residual=True),
]
V, WINDOW = 11, 3


class ModelRow(NamedTuple):
    """A language model over V symbols, as pure functions."""

    name: str
    build: Callable[[float], NextSymbol]  # dropout -> model
    memory: int | None = None  # symbols it can see; None: all before
    many_to_one: bool = False  # whether a batch scores the last step of a row alone


def language_model(name: str, kind, *more, memory: int | None = None, **shape) -> ModelRow:
    """One row: the configuration as a reader would write it."""
    return ModelRow(
        name,
        lambda dropout: kind(LanguageModelConfig(features=H, dropout=dropout, **shape), V, *more),
        memory,
        many_to_one=memory is not None,
    )


def decoder(name: str, *, context: int, memory: int | None = None, **shape) -> ModelRow:
    """One row of two blocks, with a context of so many symbols."""
    shape = {"features": 2 * H, "layers": 2, "heads": 2, "hidden": 5} | shape
    return ModelRow(name, lambda dropout: gpt(GPTConfig(dropout=dropout, **shape), V, context), memory)


MODELS = [
    language_model("whole-past", whole_past),
    language_model(
        "whole-past-tied", whole_past, cell="gru", layers=2, embedding=3, tied=True, residual=True, learn_initial=True
    ),
    language_model("window", windowed, WINDOW, memory=WINDOW, cell="elman", tied=True),
    decoder("gpt-post-norm", context=4, memory=4, place="post", activation="gelu", tied=False),
    decoder("gpt-rotary-grouped", context=16, positions="rotary", kv_heads=1, norm="rms", activation="swiglu"),
    decoder("gpt-hybrid", context=3, memory=3, mixer=("lstm", "attention"), positions="alibi", window=2),
    decoder("gpt-lambda", context=16, mixer=("lambda",), positions="none", reach=2),
    decoder("gpt-tcn", context=3, mixer=("tcn",), positions="none", reach=4),
]

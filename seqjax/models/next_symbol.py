"""A language model as pure functions: what training, decoding and scoring each ask of it.

Two kinds: one reads the whole past and carries its state from batch to batch; the other sees a window of the
last n symbols and nothing else (many-to-one), the n-gram of recurrent networks.

B batch, T time, V vocabulary.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.decoding import Decodable
from seqjax.models.language_model import LanguageModelConfig, RecurrentLanguageModel
from seqjax.models.pure import of_targets, pure


class NextSymbol(NamedTuple):
    """Functions of ``params``, a nested dict of arrays.

    Attributes:
        init: ``key -> params``.
        carry: ``rows -> state`` before the first batch, leaves (rows, ·); None when nothing is carried.
        predict: ``(params, batch, carry, keys) -> (carry, logits, targets, scored)``, the last three
            (B, S, V), (B, S), (B, S): all T steps, or only the last.
        log_probabilities: ``(params, ids (B, T+1), mask (B, T)) -> (B, T)``: of each id after the first,
            in nats, given all that stand before it; 0 where masked.
        decodable: ``start`` and ``advance`` for the decoding engine. ``start`` reads ``{"tokens": (B, P), "mask":
            (B, P)}``, prompts without their last tokens, which are the first ``last``: see
            :func:`seqjax.decoding.pad_prompts`.
    """

    init: Callable[[Array], Any]
    carry: Callable[[int], Any]
    predict: Callable[..., Any]
    log_probabilities: Callable[..., Array]
    decodable: Decodable


def whole_past(config: LanguageModelConfig, vocabulary: int, *, carried: bool = True) -> NextSymbol:
    """A model that has read everything before each symbol.

    Args:
        config: its shape.
        vocabulary: V.
        carried: batches go on where the one before ended (truncated BPTT); else each starts afresh.

    Source:
        Williams & Peng (1990) for truncated back-propagation through time.
    """
    init, apply = pure(lambda rngs: RecurrentLanguageModel(config, vocabulary, rngs=rngs))

    def carry(rows: int):
        if not carried:
            return None
        kind = jnp.result_type(float)  # what the parameters are made in, so that the carry keeps its type
        shapes = jax.eval_shape(lambda key: apply(init(key), (rows,), kind, method="start"), jax.random.key(0))
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def predict(params, batch, carry, keys):
        state, logits = apply(
            params, batch["inputs"], state=carry, mask=batch["mask"], reset=batch["reset"], keys=keys
        )  # fmt: skip
        return state if carried else None, logits, batch["targets"], batch["scored"]

    def log_probabilities(params, ids, mask):
        _, logits = apply(params, ids[:, :-1], mask=mask)
        return of_targets(logits, ids[:, 1:], mask)

    return NextSymbol(init, carry, predict, log_probabilities, _step_by_step(apply, vocabulary))


class Writing(NamedTuple):
    """What a recurrent model needs to write."""

    params: Any
    layers: Any  # their weights, ready


def _step_by_step(apply, vocabulary: int) -> Decodable:
    """A recurrent model to the decoding engine.

    Where an eighth as many steps are to come as there are symbols, or more, each symbol's products are done beforehand.
    Done together they take a tenth of the time or less (benchmarks/RESULTS.md); they are a fifth of what a step of two
    layers reads from memory.
    """

    def prepare(symbols, params):
        return Writing(params, apply(params, symbols=symbols, method="make_ready"))

    def start(weights, prompt):
        how = {"mask": prompt["mask"], "weights": weights.layers}
        state, _ = apply(weights.params, prompt["tokens"], method="features", **how)
        return (), state

    def advance(weights, memory, state, last):
        state, logits = apply(weights.params, last[:, None], state=state, weights=weights.layers)
        return state, logits[:, 0]

    @functools.cache
    def of(symbols):
        return Decodable(start, advance, functools.partial(prepare, symbols))

    return of(False)._replace(within=lambda steps: of(vocabulary <= 8 * steps))


class Window(NamedTuple):
    """The last n symbols."""

    ids: Array  # (B, n)
    real: Array  # (B, n), False where the text had not begun


def windowed(config: LanguageModelConfig, vocabulary: int, length: int) -> NextSymbol:
    """A model that sees the ``length`` symbols before each symbol and nothing else.

    Args:
        config: its shape.
        vocabulary: V.
        length: n.
    """
    init, apply = pure(lambda rngs: RecurrentLanguageModel(config, vocabulary, rngs=rngs))

    def last_logits(params, window: Window, keys=None):
        _, ys = apply(params, window.ids, mask=window.real, keys=keys, method="features")
        return apply(params, ys[:, -1:], method="score")

    def predict(params, batch, carry, keys):
        logits = last_logits(params, Window(batch["inputs"], batch["mask"]), keys)
        return carry, logits, batch["targets"][:, -1:], batch["scored"][:, -1:]

    def log_probabilities(params, ids, mask):
        rows, time = mask.shape
        order = jnp.argsort(~mask, axis=1, stable=True)  # the real steps to the left, in their order
        inputs, targets, kept = (jnp.take_along_axis(a, order, axis=1) for a in (ids[:, :-1], ids[:, 1:], mask))
        places = jnp.arange(time)[:, None] - jnp.arange(length - 1, -1, -1)[None]
        real = (places >= 0) & kept[:, :, None]
        windows = Window(inputs[:, jnp.maximum(places, 0)].reshape(rows * time, length), real.reshape(-1, length))
        scores = of_targets(last_logits(params, windows).reshape(rows, time, -1), targets, kept)
        return jnp.take_along_axis(scores, jnp.argsort(order, axis=1), axis=1)

    def start(params, prompt):
        ids, real = prompt["tokens"].astype(jnp.int32), prompt["mask"]  # as those that follow are
        order = jnp.argsort(real, axis=1, stable=True)  # the real ones to the right, in their order
        ids, real = (jnp.take_along_axis(a, order, axis=1) for a in (ids, real))
        short = ((0, 0), (max(0, length - ids.shape[1]), 0))
        return (), Window(jnp.pad(ids, short)[:, -length:], jnp.pad(real, short)[:, -length:])

    def advance(params, memory, state, last):
        ids = jnp.concatenate([state.ids[:, 1:], last[:, None]], axis=1)
        real = jnp.concatenate([state.real[:, 1:], jnp.ones_like(last[:, None], bool)], axis=1)
        return Window(ids, real), last_logits(params, Window(ids, real))[:, 0]

    return NextSymbol(init, lambda rows: None, predict, log_probabilities, Decodable(start, advance))

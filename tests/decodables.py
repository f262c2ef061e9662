"""Four tiny models to decode, and slow searches over all that they could say.

B rows, M tokens at most, V vocabulary. A case gives the inputs of any choice of its rows, so that a row
can be run alone.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.decoding import Decodable, Limits

V, D, ROWS, M, END = 3, 4, 3, 4, 0
NO_LIMITS = Limits()


class Case(NamedTuple):
    """A model with parameters and three rows of input."""

    model: Decodable
    params: Any
    inputs: Callable[[list[int]], Any]
    last: np.ndarray  # (ROWS,)


def normal(seed, *shape, scale=1.0):
    """Fixed numbers."""
    return jnp.asarray(scale * np.random.default_rng(seed).normal(size=shape), jnp.float32)


def table():
    """Memoryless: the last token decides."""
    model = Decodable(lambda params, rows: ((), ()), lambda params, memory, state, last: (state, params[last]))
    return Case(model, normal(103, V, V, scale=1.5), lambda rows: None, np.array([0, 1, 2]))


def recurrent():
    """A hidden state that starts from the input."""

    def advance(params, memory, state, last):
        embedding, kernel, head = params
        hidden = jnp.tanh(embedding[last] + state["hidden"] @ kernel)
        return {"hidden": hidden}, hidden @ head

    params = normal(106, V, D), normal(206, D, D, scale=2.0), normal(306, D, V, scale=2.0)
    starts = normal(5, ROWS, D)
    model = Decodable(lambda params, hidden: ((), {"hidden": hidden}), advance)
    return Case(model, params, lambda rows: starts[np.array(rows)], np.array([2, 0, 1]))


class Cache(NamedTuple):
    """Keys, which are values too, and how many."""

    keys: jax.Array  # (B, C, D)
    used: jax.Array  # (B,)


def attentive():
    """Attention to a cache and to a memory with padding; its weights are cut from one stack."""

    def start(weights, memory):
        rows = len(memory["keys"])
        return memory, Cache(jnp.zeros((rows, M, D)), jnp.zeros(rows, jnp.int32))

    def look(query, keys, mask):
        scores = jnp.where(mask, jnp.einsum("bd,bsd->bs", query, keys), -jnp.inf)
        return jnp.einsum("bs,bsd->bd", jax.nn.softmax(scores), keys)

    def advance(weights, memory, state, last):
        to_key, to_query, to_memory, embedding, head = weights
        x = embedding[last]
        here = jnp.arange(M) == state.used[:, None]
        keys = jnp.where(here[:, :, None], (x @ to_key)[:, None], state.keys)
        y = look(x @ to_query, keys, jnp.arange(M) <= state.used[:, None])
        y = y + look((x + y) @ to_memory, memory["keys"], memory["mask"])
        return Cache(keys, state.used + 1), y @ head

    def prepare(params):
        stack, *others = params
        return (stack[0], stack[1], stack[2], *others)

    params = normal(6, 3, D, D), normal(7, V, D), normal(8, D, V, scale=2.0)
    memory = {"keys": normal(9, ROWS, 5, D), "mask": jnp.arange(5) < jnp.array([[5], [2], [3]])}
    model = Decodable(start, advance, prepare)
    return Case(
        model, params, lambda rows: jax.tree.map(lambda leaf: leaf[np.array(rows)], memory), np.array([1, 2, 0])
    )


def historian():
    """Every token ever read decides, through three leaves: a history, a number made of it, and a count."""

    def advance(params, memory, state, last):
        history, (number, count) = state
        history = jnp.where(jnp.arange(M) == count[:, None], last[:, None] + 1, history)
        number = (number * 31 + last * 7 + 1) % 97
        place = (number + (history * jnp.arange(3, 3 + M)).sum(axis=1) + 11 * count) % 97
        return (history, (number, count + 1)), params[place]

    def start(params, numbers):
        zeros = jnp.zeros_like(numbers)
        return (), (jnp.zeros((len(numbers), M), jnp.int32), (numbers, zeros))

    numbers = jnp.array([5, 50, 95])
    return Case(
        Decodable(start, advance),
        normal(10, 97, V, scale=1.5),
        lambda rows: numbers[np.array(rows)],
        np.array([0, 0, 2]),
    )


CASES = {make.__name__: make() for make in (table, recurrent, attentive, historian)}


@functools.cache
def logits_after(name: str, row: int) -> dict[tuple[int, ...], np.ndarray]:
    """Logits (V,) after every sequence of fewer than M tokens: the model read step by step, without the engine."""
    model, params, inputs, last = CASES[name]
    sequences = np.array(list(itertools.product(range(V), repeat=M)))
    weights = model.prepare(params)
    memory, state = model.start(weights, inputs([row] * len(sequences)))
    tokens = np.full(len(sequences), last[row])
    found: dict = {}
    advance = jax.jit(model.advance)
    for length in range(M):
        state, logits = advance(weights, memory, state, jnp.asarray(tokens))
        found |= {
            tuple(s[:length].tolist()): x.astype(np.float64) for s, x in zip(sequences, np.asarray(logits), strict=True)
        }
        tokens = sequences[:, length]
    return found


def slow_allowed(made: tuple[int, ...], logits: np.ndarray, limits: Limits, end: int | None) -> list[int]:
    """The ids that limits leave, said in words: one loop for every sentence of the docstring of `Limits`."""
    n = limits.no_repeat_ngram
    grams = [made[i : i + n] for i in range(len(made) - n + 1)] if n else []
    left = []
    for token in range(len(logits)):
        repeats = n > 0 and len(made) >= n - 1 and (*made, token)[-n:] in grams
        early = token == end and len(made) < limits.min_length
        if not repeats and not early and logits[token] > -np.inf:
            left.append(token)
    if left:
        return left
    if end is not None and logits[end] > -np.inf:
        return [end]
    return [token for token in range(len(logits)) if logits[token] > -np.inf]


class Hypothesis(NamedTuple):
    """A sequence and its log-probability."""

    tokens: tuple[int, ...]
    total: float


def slow_beam(name, row, *, beam, n, alpha=0.0, end=END, limits=NO_LIMITS, prefix=(), steps=M):
    """Beam search in float64 over lists, without stopping early: [(tokens, log-probability, score)]."""
    known = logits_after(name, row)
    alive, finished = [Hypothesis((), 0.0)], []

    def scored(hypothesis):
        return (*hypothesis, hypothesis.total / ((5 + len(hypothesis.tokens)) / 6) ** alpha)

    for position in range(steps):
        candidates = []
        for made, total in alive:
            logits = known[made]
            nats = logits - np.logaddexp.reduce(logits)
            allowed = [prefix[position]] if position < len(prefix) else slow_allowed(made, logits, limits, end)
            candidates += [Hypothesis((*made, token), total + nats[token]) for token in allowed]
        candidates = sorted(candidates, key=lambda hypothesis: -hypothesis.total)[:beam]
        finished += [scored(each) for each in candidates if each.tokens[-1] == end]
        alive = [each for each in candidates if each.tokens[-1] != end]
    return sorted(finished + [scored(each) for each in alive], key=lambda each: -each[2])[:n]


def enumerate_all(name, row, *, n, **options):
    """The n best of all sequences: a beam that never drops one."""
    return slow_beam(name, row, beam=V**M, n=n, **options)

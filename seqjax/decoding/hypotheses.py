"""Beam search, inside: the hypotheses of every row, one step of all of them, and when a row is done.

B batch, k hypotheses alive, n finished ones kept, M tokens at most, V vocabulary. Hypotheses stand by rank, the best
first; their states lie where :mod:`seqjax.decoding.places` put them.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from seqjax.decoding.decodable import Decodable, advance, repeat_rows
from seqjax.decoding.engine import Given, log_normalizer, put_column
from seqjax.decoding.limits import Limits, forbid
from seqjax.decoding.places import move, settle
from seqjax.ops.highest import highest
from seqjax.spread import alike


class BeamRules(NamedTuple):
    """What is compiled into a search."""

    max_tokens: int  # M
    beam: int  # k
    n_best: int  # n
    end: int | None
    limits: Limits
    early: bool = True  # give up a row when nothing better can come; else only when nothing is alive
    traced: bool = False  # write every step down


class Finished(NamedTuple):
    """The best hypotheses that will not change any more, by rank; where there is none, length 0."""

    tokens: Array  # (B, n, M) int32
    lengths: Array  # (B, n) int32, the end included
    log_probabilities: Array  # (B, n) float32, nats; -inf where there is none
    scores: Array  # (B, n) float32, log-probabilities over the length penalty


class Alive(NamedTuple):
    """The hypotheses that go on, by rank."""

    tokens: Array  # (B, k, M) int32
    last: Array  # (B, k) int32, the token to read next
    log_probabilities: Array  # (B, k) float32, nats; -inf where there is none
    places: Array  # (B, k) int32, where its state lies


class Candidates(NamedTuple):
    """The k best continuations of a step, by rank."""

    parents: Array  # (B, k) int32, ranks of the step before
    tokens: Array  # (B, k) int32
    gains: Array  # (B, k) float32, nats: log-probability of that token
    log_probabilities: Array  # (B, k) float32, nats: of all tokens; -inf where there is none


class Trace(NamedTuple):
    """Every step of a search."""

    candidates: Candidates  # (M, B, k) each
    ended: Array  # (M, B, k) boolean
    alive: Array  # (M, B, k) boolean


class Search(NamedTuple):
    """What one step hands to the next."""

    position: Array  # () int32, steps made
    state: Any  # the model's own, leaves (B·k, …), by place
    alive: Alive
    finished: Finished
    trace: Trace | None


def penalties(alpha: ArrayLike, max_tokens: int) -> np.ndarray:
    """What scores of 0 to M tokens are divided by, (M + 1,) float32: Wu et al. (2016), equation 14.

    Example:
        >>> penalties(1.0, 2).tolist() == [np.float32(5 / 6), 1.0, np.float32(7 / 6)]
        True
    """
    with np.errstate(over="ignore", under="ignore"):
        return (((5 + np.arange(max_tokens + 1)) / 6) ** np.asarray(alpha, np.float64)).astype(np.float32)


@functools.partial(jax.jit, static_argnames=("model", "rules"))
def search(
    model: Decodable, given: Given, state, last: Array, divisors: Array, *, rules: BeamRules
) -> tuple[Finished, Array, Trace | None]:
    """Search from an opened model; the finished hypotheses, the number of steps made, and the trace if asked for."""
    given = given._replace(memory=repeat_rows(given.memory, rules.beam))

    def unfinished(search: Search):
        going = jnp.any(search.alive.log_probabilities > -jnp.inf)
        return (search.position < rules.max_tokens) & going

    def body(search: Search):
        return _step(model, given, search, divisors, rules)

    done = jax.lax.while_loop(unfinished, body, alike(_first(state, last, rules), given))
    cut = done.alive  # what max_tokens cut off; empty when the search ended before
    finished = _keep_best(done.finished, cut.tokens, cut.log_probabilities, done.position, divisors)
    return finished, done.position, done.trace


def _first(state, last: Array, rules: BeamRules) -> Search:
    rows, beam, size = last.shape[0], rules.beam, rules.max_tokens
    blank = 0 if rules.end is None else rules.end
    by_rank = jnp.zeros((rows, beam), jnp.int32)
    ranks = by_rank + jnp.arange(beam, dtype=jnp.int32)[None]
    tokens = jnp.full((rows, beam, size), blank, jnp.int32)
    totals = jnp.where(ranks == 0, 0.0, -jnp.inf)  # one hypothesis, that says nothing yet
    none = jnp.full((rows, rules.n_best), -jnp.inf)
    finished = Finished(tokens[:, : rules.n_best], jnp.zeros(none.shape, jnp.int32), none, none)
    trace = None
    if rules.traced:
        empty = jnp.zeros((size, rows, beam))
        ids, no = empty.astype(jnp.int32), empty > 0
        trace = Trace(Candidates(ids, ids, empty, empty), no, no)
    alive = Alive(tokens, by_rank + last[:, None], totals, ranks)
    return Search(jnp.int32(0), repeat_rows(state, beam), alive, finished, trace)


def _step(model: Decodable, given: Given, search: Search, divisors: Array, rules: BeamRules) -> Search:
    """Give every hypothesis one more token, in all ways, and keep the k best."""
    position, old = search.position, search.alive
    by_place = jnp.argsort(old.places, axis=1)
    last = jnp.take_along_axis(old.last, by_place, axis=1).reshape(-1)
    state, logits = advance(model, given.weights, given.memory, search.state, last)
    made = None
    if rules.limits.no_repeat_ngram:
        made = take(old.tokens, by_place).reshape(-1, rules.max_tokens)
    best = _candidates(logits.astype(jnp.float32), made, given, old, position, rules)

    there = best.log_probabilities > -jnp.inf
    ended = there & (best.tokens == rules.end) if rules.end is not None else jnp.zeros_like(there)
    length = position + 1
    tokens = put_column(take(old.tokens, best.parents), best.tokens, position)
    ended_totals = jnp.where(ended, best.log_probabilities, -jnp.inf)
    finished = _keep_best(search.finished, tokens, ended_totals, length, divisors)
    totals = jnp.where(there & ~ended, best.log_probabilities, -jnp.inf)
    if rules.early:
        totals = jnp.where(_decided(finished, totals, length, divisors)[:, None], -jnp.inf, totals)
    alive = totals > -jnp.inf
    places, sources = settle(old.places, best.parents, alive)
    trace = search.trace
    if trace is not None:
        now = Trace(best, ended, there & ~ended)
        trace = jax.tree.map(lambda table, row: table.at[position].set(row), trace, now)
    return Search(length, move(state, sources), Alive(tokens, best.tokens, totals, places), finished, trace)


def _candidates(
    logits: Array, made: Array | None, given: Given, old: Alive, position: Array, rules: BeamRules
) -> Candidates:
    """The k best pairs of a hypothesis and a token; logits (B·k, V) and made (B·k, M) are by place."""
    rows, beam = old.places.shape
    width = min(beam, logits.shape[1])
    values, ids = highest(forbid(logits, made, position, rules.limits, rules.end), width)
    if given.prefix is not None:
        forced, token = (jnp.repeat(each, beam)[:, None] for each in given.prefix.at(position))
        first = jnp.arange(width) == 0
        only = jnp.where(first, jnp.take_along_axis(logits, token, axis=1), -jnp.inf)
        values, ids = jnp.where(forced, only, values), jnp.where(forced, token, ids)
    gains = jnp.where(values > -jnp.inf, values - log_normalizer(logits)[:, None], -jnp.inf)
    gains, ids = (take(each.reshape(rows, beam, width), old.places) for each in (gains, ids))
    before = old.log_probabilities[:, :, None]
    totals = jnp.where(before > -jnp.inf, before + gains, -jnp.inf)
    totals, flat = jax.lax.top_k(totals.reshape(rows, beam * width), beam)
    tokens, gained = (jnp.take_along_axis(each.reshape(rows, beam * width), flat, axis=1) for each in (ids, gains))
    return Candidates(flat // width, tokens, gained, totals)


def _keep_best(old: Finished, tokens: Array, totals: Array, length: Array, divisors: Array) -> Finished:
    """Let hypotheses (B, k, M) of one length compete with the finished ones; among equals those come first."""
    lengths = jnp.broadcast_to(length, totals.shape)
    new = Finished(tokens, lengths, totals, totals / divisors[length])
    both = jax.tree.map(lambda *each: jnp.concatenate(each, axis=1), old, new)
    _, ranks = jax.lax.top_k(both.scores, old.scores.shape[1])
    return jax.tree.map(lambda each: take(each, ranks), both)


def _decided(finished: Finished, totals: Array, length: Array, divisors: Array) -> Array:
    """(B,): whether nothing alive can still come among the finished.

    Log-probabilities only fall. What is alive has at least one token more in the end, or is cut off at M, and the
    divisors rise or fall all the way from here to there, so the greater of the two at the ends is the most they can be.
    """
    most = divisors.shape[0] - 1
    divisor = jnp.maximum(divisors[jnp.minimum(length + 1, most)], divisors[most])
    return finished.scores[:, -1] >= totals.max(axis=1) / divisor


def take(table: Array, ranks: Array) -> Array:
    """Pick from the second axis of (B, k, …) by (B, j): (B, j, …)."""
    return jax.vmap(lambda row, rank: row[rank])(table, ranks)

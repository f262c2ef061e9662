"""The engine: an autoregressive model is two pure functions, and making a sequence is a loop over the second.

B batch, M tokens at most, V vocabulary.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from seqjax.checks import InputError, check_ids, check_mask, check_shape
from seqjax.decoding.decodable import Decodable, advance, check_model, for_steps, open_model
from seqjax.decoding.limits import NO_LIMITS, Limits, Prefix, check_limits, forbid, read_prefix
from seqjax.ops.dropout import check_keys, fold
from seqjax.ops.sampling import Sampling, sample
from seqjax.spread import alike

OWN_DISTRIBUTION = Sampling()


class Generated(NamedTuple):
    """What was made for every row."""

    tokens: Array  # (B, max_tokens) int32; after a row's end, the end again
    lengths: Array  # (B,) int32, tokens made, the end included
    log_probabilities: Array  # (B,) float32, nats: of those tokens, under the model's own distribution


class Given(NamedTuple):
    """What stays as it is while tokens are made."""

    weights: Any  # what the model prepared
    memory: Any  # what it made of the inputs, leaves (B, ...)
    keys: Array | None  # (B,) typed keys
    prefix: Prefix | None


class Rules(NamedTuple):
    """How tokens are chosen; each is compiled for itself."""

    sampling: Sampling = OWN_DISTRIBUTION
    end: int | None = None
    limits: Limits = NO_LIMITS


class Progress(NamedTuple):
    """How far the rows are: what one step hands to the next."""

    position: Array  # () int32, steps made
    state: Any  # the model's own, leaves (B, ...)
    last: Array  # (B,) int32, the token to read next
    made: Array | None  # (B, M) int32, the tokens so far; None where no limit asks for them
    seen: Array | None  # (B, V) boolean; None where no penalty asks for it
    ended: Array  # (B,) boolean
    lengths: Array  # (B,) int32
    log_probabilities: Array  # (B,) float32, nats


def generate(
    model: Decodable,
    params,
    inputs,
    last: ArrayLike,
    keys: Array | None,
    *,
    max_tokens: int,
    sampling: Sampling = OWN_DISTRIBUTION,
    end: int | None = None,
    seen: ArrayLike | None = None,
    limits: Limits = NO_LIMITS,
    prefix: tuple[ArrayLike, ArrayLike] | None = None,
) -> Generated:
    """Make up to ``max_tokens`` tokens for every row, in one compiled loop that stops when all rows have ended.

    A row's tokens depend on its own inputs and its own key alone, so a row alone and a row among others
    give the same. Compiled once for the shapes of ``params``, ``inputs`` and ``last``, and the values of ``model``,
    ``max_tokens``, ``sampling``, ``end`` and ``limits``; for prompts of many lengths see
    :func:`seqjax.decoding.pad_prompts`.

    Args:
        model: the functions.
        params: the model's parameters.
        inputs: what ``model.start`` takes, rows first.
        last: (B,) integer ids in [0, V): the last token of each prompt, read by the first ``advance``.
        keys: (B,) typed keys, one per row; None is enough when ``sampling.greedy``.
        max_tokens: at most this many tokens a row.
        sampling: how tokens are drawn; ``Sampling(greedy=True)`` for the most likely each time.
        end: the id that ends a row; it is part of what is made. None: rows never end.
        seen: (B, V) boolean, tokens the repetition penalty counts as seen before the first step, next to
            ``last``; see :func:`seqjax.ops.sampling.seen_tokens`.
        limits: what may not be generated; penalty, temperature and filters see what it leaves.
        prefix: ``(tokens (B, P), mask (B, P))``, padded on the right: what each row must begin with. These are
            generated tokens like any others; the rest of a prefix after an end is not read.

    Returns:
        :class:`Generated`. Temperature, filters and limits do not enter the log-probabilities.

    Raises:
        InputError: an id, a shape or a type does not fit, or the model breaks its contract.

    Example:
        >>> successor = Decodable(                                # a model that counts
        ...     start=lambda params, inputs: ((), ()),
        ...     advance=lambda params, memory, state, last: (state, params[last]),
        ... )
        >>> params = 9 * jnp.roll(jnp.eye(5), 1, axis=1)          # after n comes n + 1
        >>> made = generate(successor, params, None, jnp.array([0, 2]), None,
        ...                 max_tokens=4, sampling=Sampling(greedy=True), end=4)
        >>> made.tokens.tolist(), made.lengths.tolist()
        ([[1, 2, 3, 4], [3, 4, 4, 4]], [4, 2])
    """
    check_limits("generate", max_tokens, limits)
    rules, model = Rules(sampling, end, limits), for_steps(model, max_tokens)
    given, progress = begin("generate", model, params, inputs, last, keys, max_tokens, rules, seen, prefix)
    limit = np.int32(max_tokens)
    done, tokens, _ = run_block(model, given, progress, limit, size=max_tokens, rules=rules)
    return Generated(tokens, done.lengths, done.log_probabilities)


def begin(
    where: str, model: Decodable, params, inputs, last, keys, max_tokens: int, rules: Rules, seen, prefix
) -> tuple[Given, Progress]:
    """Check everything that can be checked, open the model, and return what stays and the first progress."""
    rows = check_last(where, last)
    if keys is not None:
        check_keys(where, keys, (rows,))
    elif not rules.sampling.greedy:
        raise InputError(f"{where}: `keys` should be one key per row, ({rows},), but it is None. Try `greedy=True`.")
    weights, memory, state = open_model(model, params, inputs)
    size = check_model(where, model, weights, memory, state, rows)
    check_vocabulary(where, last, rules.end, size)
    if seen is not None:
        check_mask(where, "seen", seen, "(B, V)", (rows, size))
    forced = read_prefix(where, prefix, rows, size, max_tokens)
    seen = None if seen is None else jnp.asarray(seen)
    penalized = size if rules.sampling.repetition_penalty != 1 else None
    remembered = max_tokens if rules.limits.no_repeat_ngram else None
    progress = _first_progress(state, jnp.asarray(last, jnp.int32), seen, penalized, remembered)
    return Given(weights, memory, keys, forced), progress


def check_last(where: str, last) -> int:
    """Refuse last tokens that are not one id a row; return B."""
    check_shape(where, "last", last, "(B,)", (None,), "One prompt is a batch of one row.")
    if not isinstance(last, jax.core.Tracer):
        check_ids(where, "last", last, np.iinfo(np.int32).max)
    return np.shape(last)[0]


def check_vocabulary(where: str, last, end, size: int) -> None:
    """Refuse last tokens and an end that are not in [0, V)."""
    if not isinstance(last, jax.core.Tracer):
        check_ids(where, "last", last, size)
    if end is None:
        return
    if not isinstance(end, int | np.integer):
        raise InputError(f"{where}: `end` should be one id, an integer, or None, but it is {end!r}.")
    check_ids(where, "end", np.asarray(end), size)


@functools.partial(jax.jit, static_argnums=(3, 4), donate_argnums=0)
def _first_progress(state, last: Array, seen: Array | None, size: int | None, remembered: int | None) -> Progress:
    """Nothing made yet. ``size``: V if a penalty asks what is seen; ``remembered``: M if a limit does.

    The state goes through, so that all lies on the same devices as after a block, and a block is compiled once.
    """
    rows = jnp.arange(last.shape[0])
    if size is None:
        seen = None
    else:
        seen = jnp.zeros((len(rows), size), bool) if seen is None else seen
        seen = seen.at[rows, last].set(True)
    made = None if remembered is None else jnp.zeros((len(rows), remembered), jnp.int32)
    zeros = jnp.zeros_like(last)
    return Progress(jnp.int32(0), state, last, made, seen, zeros != 0, zeros, zeros.astype(jnp.float32))


@functools.partial(jax.jit, static_argnames=("model", "size", "rules"), donate_argnames="progress")
def run_block(
    model: Decodable, given: Given, progress: Progress, limit: Array, *, size: int, rules: Rules
) -> tuple[Progress, Array, Array]:
    """Make at most ``size`` tokens a row, and none beyond ``limit`` or when every row has ended.

    The progress is used up: a cache is written where it lies.

    Returns:
        The progress; the tokens (B, size); and how many of their columns were made, (), the others hold the end.
    """
    first = progress.position
    stop = jnp.minimum(first + size, limit)
    blank = jnp.full((progress.last.shape[0], size), 0 if rules.end is None else rules.end, jnp.int32)

    def unfinished(loop):
        progress, _ = loop
        return (progress.position < stop) & ~jnp.all(progress.ended)

    def body(loop):
        progress, tokens = loop
        after = step(model, given, progress, rules)
        return after, put_column(tokens, after.last, progress.position - first)

    done, tokens = jax.lax.while_loop(unfinished, body, alike((progress, blank), given))
    return done, tokens, done.position - first


def put_column(table: Array, column: Array, place: Array) -> Array:
    """Write (*B,) into one column of (*B, M)."""
    return jax.lax.dynamic_update_slice_in_dim(table, column[..., None], place, axis=table.ndim - 1)


def log_normalizer(logits: Array) -> Array:
    """What to subtract from logits (*B, V) to get log-probabilities, (*B,) float32."""
    return jax.nn.logsumexp(logits.astype(jnp.float32), axis=-1)


def step(model: Decodable, given: Given, progress: Progress, rules: Rules) -> Progress:
    """Make one token of every row that has not ended; the others repeat the end and gain nothing."""
    position, ended, seen = progress.position, progress.ended, progress.seen
    state, logits = advance(model, given.weights, given.memory, progress.state, progress.last)
    logits = logits.astype(jnp.float32)
    allowed = forbid(logits, progress.made, position, rules.limits, rules.end)
    last = sample(allowed, fold(given.keys, position), rules.sampling, seen)
    if given.prefix is not None:
        last = jnp.where(*given.prefix.at(position), last)
    gained = jnp.take_along_axis(logits, last[:, None], axis=-1)[:, 0] - log_normalizer(logits)
    if rules.end is not None:
        last = jnp.where(ended, rules.end, last)
        ended = ended | (last == rules.end)
    return Progress(
        position=position + 1,
        state=state,
        last=last,
        made=None if progress.made is None else put_column(progress.made, last, position),
        seen=None if seen is None else seen.at[jnp.arange(last.shape[0]), last].set(True),
        ended=ended,
        lengths=progress.lengths + (~progress.ended).astype(jnp.int32),
        log_probabilities=progress.log_probabilities + jnp.where(progress.ended, 0.0, gained),
    )

"""The engine: an autoregressive model is two pure functions, and making a sequence is a loop over the second.

B batch, V vocabulary. Recurrent models keep their state in ``state``, attention models a key/value cache of
fixed size; the engine does not look inside.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from seqjax.checks import InputError, check_ids, check_mask, check_shape
from seqjax.ops.dropout import check_keys, fold
from seqjax.ops.sampling import Sampling, sample

OWN_DISTRIBUTION = Sampling()


class Decodable(NamedTuple):
    """A model to the engine. Make it once and keep it: another pair of functions is compiled anew.

    Attributes:
        start: ``(params, inputs) -> (memory, state)``. ``inputs`` is whatever the model wants (a prompt and
            its mask, a picture, None). ``memory`` stays as it is (encoder outputs); ``state`` is carried on,
            and every leaf of it leads with the row axis, (B, ...).
        advance: ``(params, memory, state, last) -> (state, logits)``: read one token of every row, ``last`` (B,)
            int32, and give the logits (B, V) of the next. The state keeps its shapes and types.
    """

    start: Callable[[Any, Any], tuple[Any, Any]]
    advance: Callable[[Any, Any, Any, Array], tuple[Any, Array]]


class Generated(NamedTuple):
    """What was made for every row."""

    tokens: Array  # (B, max_tokens) int32; after a row's end, the end again
    lengths: Array  # (B,) int32, tokens made, the end included
    log_probabilities: Array  # (B,) float32, nats: of those tokens, under the model's own distribution


class Progress(NamedTuple):
    """How far the rows are: what one step hands to the next."""

    position: Array  # () int32, steps made
    state: Any  # the model's own, leaves (B, ...)
    last: Array  # (B,) int32, the token to read next
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
) -> Generated:
    """Make up to ``max_tokens`` tokens for every row, in one compiled loop that stops when all rows have ended.

    A row's tokens depend on its own inputs and its own key alone, so a row alone and a row among others
    give the same. Compiled once for the shapes of ``params``, ``inputs`` and ``last``, and the values of ``model``,
    ``max_tokens``, ``sampling`` and ``end``; for prompts of many lengths see
    :func:`seqjax.decoding.pad_prompts`.

    Args:
        model: the two functions.
        params: the model's parameters.
        inputs: what ``model.start`` takes, rows first.
        last: (B,) integer ids in [0, V): the last token of each prompt, read by the first ``advance``.
        keys: (B,) typed keys, one per row; None is enough when ``sampling.greedy``.
        max_tokens: at most this many tokens a row.
        sampling: how tokens are drawn; ``Sampling(greedy=True)`` for the most likely each time.
        end: the id that ends a row; it is part of what is made. None: rows never end.
        seen: (B, V) boolean, tokens the repetition penalty counts as seen before the first step, next to
            ``last``; see :func:`seqjax.ops.sampling.seen_tokens`.

    Returns:
        :class:`Generated`. Temperature and filters do not enter the log-probabilities.

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
    memory, progress = begin("generate", model, params, inputs, last, keys, max_tokens, sampling, end, seen)
    limit = jnp.int32(max_tokens)
    done, tokens = run_block(model, params, memory, keys, progress, limit, size=max_tokens, sampling=sampling, end=end)
    return Generated(tokens, done.lengths, done.log_probabilities)


def begin(
    where: str, model: Decodable, params, inputs, last, keys, max_tokens: int, sampling: Sampling, end, seen
) -> tuple[Any, Progress]:
    """Check everything that can be checked, run ``model.start``, and return the memory and the first progress."""
    if max_tokens < 1:
        raise InputError(f"{where}: `max_tokens` should be at least 1, but it is {max_tokens}.")
    check_shape(where, "last", last, "(B,)", (None,), "One prompt is a batch of one row.")
    if not isinstance(last, jax.core.Tracer):
        check_ids(where, "last", last, np.iinfo(np.int32).max)
    rows = np.shape(last)[0]
    if keys is not None:
        check_keys(where, keys, (rows,))
    elif not sampling.greedy:
        raise InputError(f"{where}: `keys` should be one key per row, ({rows},), but it is None. Try `greedy=True`.")
    tokens = jnp.asarray(last, jnp.int32)
    memory, state = _start(model, params, inputs)
    size = check_model(where, model, params, memory, state, tokens)
    if not isinstance(last, jax.core.Tracer):
        check_ids(where, "last", last, size)
    if end is not None:
        check_ids(where, "end", np.asarray(end), size)
    if seen is not None:
        check_mask(where, "seen", seen, "(B, V)", (rows, size))
    seen = None if seen is None else jnp.asarray(seen)
    return memory, _first_progress(state, tokens, seen, size if sampling.repetition_penalty != 1 else None)


@functools.partial(jax.jit, static_argnums=3)
def _first_progress(state, last: Array, seen: Array | None, size: int | None) -> Progress:
    """Nothing made yet. ``size`` is V where a penalty asks what was seen, else None."""
    rows = jnp.arange(last.shape[0])
    if size is None:
        seen = None
    else:
        seen = jnp.zeros((len(rows), size), bool) if seen is None else seen
        seen = seen.at[rows, last].set(True)
    zeros = jnp.zeros_like(last)
    return Progress(jnp.int32(0), state, last, seen, zeros != 0, zeros, zeros.astype(jnp.float32))


@functools.partial(jax.jit, static_argnums=0)
def _start(model: Decodable, params, inputs):
    return model.start(params, inputs)


@functools.partial(jax.jit, static_argnums=0, inline=True)
def _advance(model: Decodable, params, memory, state, last: Array):
    """Jitted so that one trace serves the check, every block size and every way of sampling."""
    return model.advance(params, memory, state, last)


def check_model(where: str, model: Decodable, params, memory, state, last: Array) -> int:
    """Refuse a model whose ``advance`` does not fit its ``start``; return V."""
    after, logits = _advance.eval_shape(model, params, memory, state, last)
    given, returned = str(jax.tree.structure(state)), str(jax.tree.structure(after))
    if given != returned:
        raise InputError(
            f"{where}: `advance` should return a state like the one it is given, {given}, but it returns {returned}."
        )
    rows = last.shape[0]
    check_shape(where, "logits of advance", logits, "(B, V)", (rows, None))
    leaves = zip(jax.tree_util.tree_leaves_with_path(state), jax.tree.leaves(after), strict=True)
    for (path, leaf), new in leaves:
        name = f"state{jax.tree_util.keystr(path)}"
        if np.shape(leaf)[:1] != (rows,):
            raise InputError(
                f"{where}: `{name}` should lead with the row axis, (B, ...) with B = {rows}, "
                f"but it is {np.shape(leaf)}."
            )
        if (leaf.shape, leaf.dtype) != (new.shape, new.dtype):
            raise InputError(
                f"{where}: `{name}` should keep its shape and type, {leaf.dtype} {leaf.shape}, "
                f"but `advance` makes it {new.dtype} {new.shape}."
            )
    return logits.shape[-1]


@functools.partial(jax.jit, static_argnames=("model", "size", "sampling", "end"))
def run_block(
    model: Decodable,
    params,
    memory,
    keys: Array | None,
    progress: Progress,
    limit: Array,
    *,
    size: int,
    sampling: Sampling,
    end: int | None,
) -> tuple[Progress, Array]:
    """Make at most ``size`` tokens a row, and none beyond ``limit`` or when every row has ended.

    Returns:
        The progress, and the tokens (B, size), of which the first ``progress.position - position before`` columns
        were made and the others hold the end.
    """
    first = progress.position
    stop = jnp.minimum(first + size, limit)
    blank = jnp.full((progress.last.shape[0], size), 0 if end is None else end, jnp.int32)

    def unfinished(loop):
        progress, _ = loop
        return (progress.position < stop) & ~jnp.all(progress.ended)

    def body(loop):
        progress, tokens = loop
        after = step(model, params, memory, keys, progress, sampling, end)
        column = progress.position - first
        return after, jax.lax.dynamic_update_slice_in_dim(tokens, after.last[:, None], column, axis=1)

    return jax.lax.while_loop(unfinished, body, (progress, blank))


def step(
    model: Decodable, params, memory, keys: Array | None, progress: Progress, sampling: Sampling, end: int | None
) -> Progress:
    """Make one token of every row that has not ended; the others repeat the end and gain nothing."""
    state, logits = _advance(model, params, memory, progress.state, progress.last)
    logits = logits.astype(jnp.float32)
    last = sample(logits, fold(keys, progress.position), sampling, progress.seen)
    gained = jnp.take_along_axis(jax.nn.log_softmax(logits), last[:, None], axis=-1)[:, 0]
    ended = progress.ended
    if end is not None:
        last = jnp.where(ended, end, last)
        ended = ended | (last == end)
    seen = progress.seen
    return Progress(
        position=progress.position + 1,
        state=state,
        last=last,
        seen=None if seen is None else seen.at[jnp.arange(last.shape[0]), last].set(True),
        ended=ended,
        lengths=progress.lengths + ~progress.ended,
        log_probabilities=progress.log_probabilities + jnp.where(progress.ended, 0.0, gained),
    )

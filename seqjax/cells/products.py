"""The product of vectors with a weight matrix, and how one vector keeps every core busy.

On CPU XLA shares the product of one vector with a matrix among cores from two or three megabytes on. Below, one core
reads all of the matrix, which takes longer than its arithmetic. Several products at once are shared from 160 kilobytes
each, so the matrix is cut along its inputs and the parts are added up: training of a recurrence with 256 features at
batch 1 takes three quarters of the time (benchmarks/RESULTS.md).

``*B`` any batch axes, I inputs, J outputs.
"""

import math

import jax
import jax.numpy as jnp
from jax import Array

PART = 160 << 10  # bytes from which XLA gives the products of a batch to several cores
WHOLE = 5 << 19  # bytes above which it shares the product of one vector by itself
PARTS = 4


def product(vector: Array, matrix, add: Array | None = None) -> Array:
    """The plain ``dot``: vector (*B, I) times matrix (I, J), plus ``add``, (*B, J) or (J,).

    Rows that ``jax.vmap`` hides count as one: give batch axes to :func:`seqjax.unroll` itself, which is faster.
    """
    parts, _ = choose_parts(math.prod(vector.shape[:-1]), matrix.shape, matrix.dtype, jax.default_backend())
    result = vector @ matrix if parts == 1 else _in_parts(parts, vector, matrix)
    return result if add is None else jax.lax.broadcast_to_rank(add, result.ndim) + result


def choose_parts(rows: int, shape: tuple[int, ...], dtype, backend: str) -> tuple[int, str]:
    """In how many parts to multiply by a matrix, and why.

    Args:
        rows: vectors that are multiplied by it.
        shape: (I, J).
        dtype: of the matrix.
        backend: ``"cpu"``, ``"gpu"`` or ``"tpu"``.

    Example:
        >>> print(*choose_parts(1, (256, 1024), "float32", "cpu"), sep=": ")
        4: 1024 kB read by one core take longer than four parts by several
        >>> print(*choose_parts(32, (256, 1024), "float32", "cpu"), sep=": ")
        1: the product of 32 vectors is shared among cores as it is
        >>> print(*choose_parts(1, (128, 512), "float32", "cpu"), sep=": ")
        1: parts of 64 kB are not worth another core
    """
    size = math.prod(shape) * jnp.dtype(dtype).itemsize
    if backend != "cpu":
        return 1, f"on {backend} every product is shared among cores as it is"
    if rows != 1:
        return 1, f"the product of {rows} vectors is shared among cores as it is"
    if jnp.dtype(dtype) != jnp.float32:
        return 1, f"sums of parts in {jnp.dtype(dtype)} were not measured"
    if shape[0] % PARTS:
        return 1, f"{shape[0]} inputs are not four equal parts"
    if size // PARTS < PART:
        return 1, f"parts of {size // PARTS >> 10} kB are not worth another core"
    if size > WHOLE:
        return 1, f"the product with {size >> 10} kB is shared among cores as it is"
    return PARTS, f"{size >> 10} kB read by one core take longer than four parts by several"


def _in_parts(parts: int, vector: Array, matrix: Array) -> Array:
    """The product of one vector, its inputs cut in parts that are multiplied at once."""
    vectors, matrices = vector.reshape(parts, 1, -1), matrix.reshape(parts, -1, matrix.shape[-1])
    return jnp.matmul(vectors, matrices).sum(axis=0).reshape(*vector.shape[:-1], -1)

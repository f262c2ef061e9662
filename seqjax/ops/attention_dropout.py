"""Dropout of attention weights, drawn so that padding, and the method that computes attention, change nothing.

B batch, T queries, S keys, N heads.
"""

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.checks import InputError
from seqjax.ops.dropout import check_keys, dropout

BLOCK = 64  # keys that share one random key


def drop_weights(weights: Array, rate: float, keys: Array | None, *, query: int | Array = 0, block: int | Array = 0):
    """Drop weights (B, N, T, S), or a rectangle cut out of them, each by its place among queries and keys.

    Every head, query and block of ``BLOCK`` keys draws from a random key of its own. So appending queries or
    keys does not change what is dropped before them, and a rectangle is dropped as it is within the whole.
    (Padding *before* a row moves places, and other weights are dropped.)

    Args:
        weights: (*B, N, T, S).
        rate: probability of zeroing a weight, in [0, 1).
        keys: (*B,) typed keys, one per row; None: nothing is dropped.
        query: the place of the first query.
        block: the first key's place is ``BLOCK`` times this.

    Returns:
        Like ``weights``.

    Raises:
        InputError: as :func:`seqjax.ops.dropout.dropout`.

    Example:
        >>> from seqjax.ops.dropout import row_keys
        >>> keys = row_keys(jax.random.key(0), jnp.arange(2))
        >>> whole = drop_weights(jnp.ones((2, 3, 5, 200)), 0.5, keys)
        >>> part = drop_weights(jnp.ones((2, 3, 2, 100)), 0.5, keys, query=1, block=1)
        >>> bool((whole[:, :, 1:3, 64:164] == part).all())
        True
    """
    if keys is None or rate == 0:
        return dropout(weights, rate, None)
    heads, queries, size = weights.shape[-3:]
    blocks = -(-size // BLOCK)
    places = [jnp.arange(heads), block + jnp.arange(blocks), query + jnp.arange(queries)]
    for number in places:
        keys = jax.vmap(lambda key, number=number: jax.vmap(jax.random.fold_in, (None, 0))(key, number))(
            keys.reshape(-1)
        ).reshape(*keys.shape, len(number))
    keys = keys.swapaxes(-1, -2)  # (*B, N, T, blocks)
    room = blocks * BLOCK - size
    padded = jnp.pad(weights, [(0, 0)] * (weights.ndim - 1) + [(0, room)]) if room else weights
    split = padded.reshape(*weights.shape[:-1], blocks, BLOCK)
    return dropout(split, rate, keys).reshape(padded.shape)[..., :size]


def check_dropout(where: str, rate: float, keys, shape: tuple[int, ...]) -> None:
    """Refuse a rate that is no probability below 1, and keys that are not one per row."""
    if not 0 <= rate < 1:
        raise InputError(f"{where}: `rate` should be a probability in [0, 1), but it is {rate}.")
    if keys is not None:
        check_keys(where, keys, shape)

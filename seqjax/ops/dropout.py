"""Dropout whose randomness belongs to rows: a row draws from its own key and from nothing else.

So the same row is dropped alike in any batch, on any device, in any micro-batch.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from seqjax.checks import InputError

LEVELS = 2**16  # every element draws 16 random bits


def row_keys(key: Array, rows: ArrayLike) -> Array:
    """One key per row, from one key and the rows' global numbers.

    Args:
        key: a typed key, e.g. of (seed, step).
        rows: (*B,) integers, the same wherever the row is computed.

    Returns:
        Keys (*B,).

    Example:
        >>> whole = row_keys(jax.random.key(0), jnp.arange(4))
        >>> second_device = row_keys(jax.random.key(0), jnp.arange(2, 4))
        >>> bool((whole[2:] == second_device).all())
        True
    """
    check_keys("row_keys", key, ())
    rows = jnp.asarray(rows)
    return jax.vmap(lambda row: jax.random.fold_in(key, row))(rows.reshape(-1)).reshape(rows.shape)


def fold(keys: Array | None, number: ArrayLike) -> Array | None:
    """New keys for every row: the place in the network, or in time, folded into each.

    Args:
        keys: (*B,) typed keys, or None.
        number: one integer for all rows; it may be traced.

    Returns:
        Keys (*B,); None stays None.

    Example:
        >>> keys = row_keys(jax.random.key(0), jnp.arange(3))
        >>> bool((fold(keys, 7)[1] == jax.random.fold_in(keys[1], 7)).all()), fold(None, 7)
        (True, None)
    """
    if keys is None:
        return None
    check_keys("fold", keys, keys.shape)
    return jax.vmap(lambda key: jax.random.fold_in(key, number))(keys.reshape(-1)).reshape(keys.shape)


def dropout(x: Array, rate: float, keys: Array | None) -> Array:
    r"""Set elements to zero with probability ``rate`` and divide the others by what is left.

    The probability used is ``rate`` rounded to a multiple of 2⁻¹⁶ (below 1), and the division is by that
    rounded one, so the expectation is exactly ``x``. Two elements share one 32-bit draw. Appending steps
    to a row does not change what is dropped before them.

    Args:
        x: (*B, ...), floating.
        rate: probability of zeroing an element, in [0, 1).
        keys: (*B,) typed keys, one per row; None: nothing is dropped.

    Returns:
        Like ``x``.

    Raises:
        InputError: ``rate`` is outside [0, 1), or ``keys`` is not (*B,).

    Source:
        Srivastava et al. (2014), Dropout, section 10 (scaled while training).

    Example:
        >>> x = jnp.ones((2, 1000))
        >>> dropped = dropout(x, 0.5, row_keys(jax.random.key(0), jnp.arange(2)))
        >>> jnp.unique(dropped).tolist(), bool(abs(dropped.mean() - 1) < 0.1)
        ([0.0, 2.0], True)
    """
    if not 0 <= rate < 1:
        raise InputError(
            f"dropout: `rate` should be the probability of zeroing an element, in [0, 1), but it is {rate}."
        )
    if keys is None or rate == 0:
        return x
    check_keys("dropout", keys, x.shape[: keys.ndim])
    dropped = min(round(rate * LEVELS), LEVELS - 1)
    row_shape = x.shape[keys.ndim :]
    size = math.prod(row_shape)

    def draw(key):
        words = jax.random.bits(key, ((size + 1) // 2,), np.uint32)
        return jax.lax.bitcast_convert_type(words, np.uint16).reshape(-1)[:size].reshape(row_shape)

    keep = jax.vmap(draw)(keys.reshape(-1)).reshape(x.shape) >= np.uint16(dropped)
    return jnp.where(keep, x * (LEVELS / (LEVELS - dropped)), jnp.zeros_like(x))


def check_keys(where: str, keys, shape: tuple[int, ...]) -> None:
    """Refuse what is not an array of typed keys of this shape."""
    if not jax.dtypes.issubdtype(keys.dtype, jax.dtypes.prng_key):
        raise InputError(
            f"{where}: keys should be typed, as `jax.random.key(seed)` makes them, but their type is {keys.dtype}. "
            "Try `jax.random.wrap_key_data(keys)`."
        )
    if keys.shape != shape:
        raise InputError(
            f"{where}: keys should be one per row, {shape}, but they are {keys.shape}. "
            "Try `row_keys(key, jnp.arange(B))`."
        )

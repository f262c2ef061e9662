"""Pictures as grids of patches: convolutions, cuts and places, where a patch that is not real is paper.

B rows, Y × X pixels, C channels, D and H features, R × K patches in rows and columns, P = R · K of them, from left to
right and then down; N the side of a patch in pixels.
"""

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.checks import InputError, check_mask, check_shape


def grid_of(pictures: Array, side: int) -> tuple[int, int]:
    """How many rows and columns of patches pictures (B, Y, X, C) have.

    Raises:
        InputError: pictures of another shape, or not of whole patches.

    Example:
        >>> grid_of(jnp.zeros((1, 8, 32, 1)), 4)
        (2, 8)
    """
    check_shape("pictures", "pictures", pictures, "(B, Y, X, C)", (None, None, None, None))
    high, wide = pictures.shape[1:3]
    if side < 1 or high % side or wide % side:
        raise InputError(
            f"pictures: {high} × {wide} pixels are not whole patches of {side} × {side}. "
            f"Try {max(1, round(high / side)) * side} × {max(1, round(wide / side)) * side}."
        )
    return high // side, wide // side


def blank(pictures: Array, mask: Array) -> Array:
    """Zeros wherever a patch is not real, whatever stood there, at any resolution.

    Args:
        pictures: (B, Y, X, C), pixels or features.
        mask: (B, R, K) boolean, True on real patches; Y and X are multiples of R and K.

    Returns:
        Like ``pictures``.

    Raises:
        InputError: shapes that do not fit.

    Example:
        >>> blank(jnp.full((1, 1, 4, 1), jnp.nan), jnp.zeros((1, 1, 2), bool)).tolist()
        [[[[0.0], [0.0], [0.0], [0.0]]]]
    """
    check_mask("blank", "mask", mask, "(B, R, K)", (len(pictures), None, None))
    high, wide = (size // max(count, 1) for size, count in zip(pictures.shape[1:3], mask.shape[1:], strict=True))
    if (mask.shape[1] * high, mask.shape[2] * wide) != pictures.shape[1:3]:
        raise InputError(
            f"blank: `pictures` (B, Y, X, C) should have Y and X that are multiples of (R, K) = {mask.shape[1:]}, but "
            f"they are {pictures.shape[1:3]}."
        )
    whole = jnp.repeat(jnp.repeat(mask, high, axis=1), wide, axis=2)
    return jnp.where(whole[..., None], pictures, jnp.zeros((), pictures.dtype))


def convolve(xs: Array, taps: Array, stride: int = 1) -> Array:
    """Every place from itself and those around it; beyond the edges there are zeros.

    Args:
        xs: (B, Y, X, D), Y and X multiples of ``stride``.
        taps: (3, 3, D, H).
        stride: 1, or 2 for every other place.

    Returns:
        (B, Y / stride, X / stride, H).

    Example:
        >>> convolve(jnp.ones((1, 2, 4, 1)), jnp.ones((3, 3, 1, 1)), 2)[0, :, :, 0].tolist()
        [[4.0, 6.0]]
    """
    check_shape("convolve", "taps", taps, "(3, 3, D, H)", (3, 3, xs.shape[-1], None))
    how = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(xs, taps, (stride, stride), ((1, 1), (1, 1)), dimension_numbers=how)


def cut_patches(pictures: Array, side: int) -> Array:
    """The pixels of every patch as one vector: (B, Y, X, C) to (B, P, N·N·C).

    Source:
        Dosovitskiy et al. (2021), An Image is Worth 16x16 Words, section 3.1.

    Example:
        >>> cut_patches(jnp.arange(8.0).reshape(1, 2, 4, 1), 2).astype(int).tolist()
        [[[0, 1, 4, 5], [2, 3, 6, 7]]]
    """
    rows, columns = grid_of(pictures, side)
    parts = pictures.reshape(len(pictures), rows, side, columns, side, -1)
    return jnp.swapaxes(parts, 2, 3).reshape(len(pictures), rows * columns, -1)


def grid_places(mask: Array) -> tuple[Array, Array]:
    """The row and the column of every patch, counted over those in which any patch is real.

    Args:
        mask: (B, R, K) boolean, True on real patches.

    Returns:
        Two (B, R, K) int32; 0 before the first real one.

    Example:
        >>> rows, columns = grid_places(jnp.array([[[False, True, True]]]))
        >>> rows.tolist(), columns.tolist()
        ([[[0, 0, 0]]], [[[0, 0, 1]]])
    """

    def count(real: Array) -> Array:
        return jnp.maximum(jnp.cumsum(real, axis=1, dtype=jnp.int32) - 1, 0)

    rows, columns = count(mask.any(axis=2)), count(mask.any(axis=1))
    return jnp.broadcast_to(rows[:, :, None], mask.shape), jnp.broadcast_to(columns[:, None, :], mask.shape)

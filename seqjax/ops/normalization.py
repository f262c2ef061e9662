"""Normalisation of one position's features: no position and no row sees another, so padding cannot matter.

D features.
"""

import jax.numpy as jnp
from jax import Array, lax

from seqjax.checks import check_floating, check_shape
from seqjax.precision import wide


def layer_norm(x: Array, scale: Array, bias: Array | None, epsilon: float = 1e-5) -> Array:
    r"""Zero mean and unit variance over the features, then a scale and a shift per feature.

    .. math:: y = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} \odot \text{scale} + \text{bias}

    Args:
        x: (*B, D), any floating type; computed in float32 or wider.
        scale: (D,).
        bias: (D,), or None for no shift.
        epsilon: added to the variance, in the units of x².

    Returns:
        Like ``x``.

    Raises:
        InputError: ``scale`` or ``bias`` is not (D,).

    Source:
        Ba, Kiros & Hinton (2016), Layer Normalization, section 3.

    Example:
        >>> print(layer_norm(jnp.array([1.0, 3.0]), jnp.ones(2), jnp.zeros(2)).round(3))
        [-1.  1.]
    """
    check_floating("layer_norm", "x", x)
    check_shape("layer_norm", "scale", scale, "(D,)", x.shape[-1:])
    given = x.astype(wide(x.dtype))
    centred = given - jnp.mean(given, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
    y = centred * lax.rsqrt(variance + epsilon) * _beside(x, scale)
    if bias is not None:
        check_shape("layer_norm", "bias", bias, "(D,)", x.shape[-1:])
        y = y + _beside(x, bias)
    return y.astype(x.dtype)


def rms_norm(x: Array, scale: Array, epsilon: float = 1e-6) -> Array:
    r"""Divide by the root of the mean square of the features; no mean is taken away.

    .. math:: y = \frac{x}{\sqrt{\frac1D \sum_d x_d^2 + \epsilon}} \odot \text{scale}

    Args:
        x: (*B, D), any floating type; computed in float32 or wider.
        scale: (D,).
        epsilon: added to the mean square, in the units of x².

    Returns:
        Like ``x``.

    Raises:
        InputError: ``scale`` is not (D,).

    Source:
        Zhang & Sennrich (2019), Root Mean Square Layer Normalization, section 4.

    Example:
        >>> print(rms_norm(jnp.array([3.0, 4.0, 0.0, 0.0]), jnp.ones(4)).round(3))
        [1.2 1.6 0.  0. ]
    """
    check_floating("rms_norm", "x", x)
    check_shape("rms_norm", "scale", scale, "(D,)", x.shape[-1:])
    given = x.astype(wide(x.dtype))
    normal = given * lax.rsqrt(jnp.mean(jnp.square(given), axis=-1, keepdims=True) + epsilon)
    return (normal * _beside(x, scale)).astype(x.dtype)


def _beside(x: Array, vector: Array) -> Array:
    """A vector (D,) with as many axes as ``x`` (*B, D), float32 or wider."""
    vector = lax.broadcast_to_rank(jnp.asarray(vector), x.ndim)
    return vector.astype(wide(vector.dtype))

r"""One vector of several layers' vectors.

L layers, T steps, D features.
"""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from seqjax.checks import InputError, check_shape


def scalar_mix(layers: Array, scores: Array, scale: ArrayLike = 1.0) -> Array:
    r"""A weighted mean of layers, times a factor.

    .. math:: \gamma \sum_l \mathrm{softmax}(s)_l \, h_l

    Args:
        layers: (*B, L, T, D).
        scores: s (L,), any numbers; equal ones weigh all layers alike.
        scale: γ, a scalar: how large the vectors should be for whoever reads them.

    Returns:
        (*B, T, D).

    Raises:
        InputError: there are not as many scores as layers.

    Source:
        Peters et al. (2018), Deep Contextualized Word Representations, equation 1.

    Example:
        >>> layers = jnp.array([[[1.0, 2.0]], [[3.0, 6.0]]])               # L=2, T=1, D=2
        >>> print(scalar_mix(layers, jnp.zeros(2), 10.0))
        [[20. 40.]]
    """
    if layers.ndim < 3:
        raise InputError(f"scalar_mix: `layers` should be (*B, L, T, D), but it is {layers.shape}.")
    check_shape("scalar_mix", "scores", scores, "(L,)", layers.shape[-3:-2])
    return jnp.asarray(scale) * jnp.einsum("...ltd,l->...td", layers, jax.nn.softmax(scores))

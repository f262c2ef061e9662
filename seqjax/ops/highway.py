r"""Highways: a learned gate lets each feature through as it is, or transformed.

D features.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.checks import check_shape


class HighwayParams(NamedTuple):
    kernel: Array  # (D, 2D), columns: the transformation, then its gate
    bias: Array  # (2D,)


def highway(params: HighwayParams, xs: Array) -> Array:
    r"""One highway layer.

    .. math:: y = g \odot \max(0, W x + b) + (1 - g) \odot x, \quad g = \sigma(W_g x + b_g)

    Args:
        params: of the transformation and of the gate.
        xs: (*B, D).

    Returns:
        (*B, D).

    Raises:
        InputError: the kernel or the bias is not as wide as ``xs``.

    Source:
        Srivastava, Greff & Schmidhuber (2015), Highway Networks, equation 3, with rectified linear units.

    Example:
        >>> shut = HighwayParams(jnp.ones((2, 4)), jnp.full(4, -1e9))     # a gate of 0: all goes through
        >>> print(highway(shut, jnp.array([3.0, -1.0])))
        [ 3. -1.]
    """
    width = xs.shape[-1]
    check_shape("highway", "kernel", params.kernel, "(D, 2D)", (width, 2 * width))
    check_shape("highway", "bias", params.bias, "(2D,)", (2 * width,))
    both = xs.reshape(-1, width) @ params.kernel + params.bias[None]
    changed, gate = jnp.split(both.reshape(*xs.shape[:-1], 2 * width), 2, axis=-1)
    open_share = jax.nn.sigmoid(gate)
    return open_share * jax.nn.relu(changed) + (1 - open_share) * xs

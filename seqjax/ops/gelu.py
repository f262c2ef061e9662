r"""The Gaussian error linear unit, :math:`x \Phi(x)`, with Φ the distribution function of the normal distribution.

Source: Hendrycks & Gimpel (2016), Gaussian Error Linear Units.
"""

import math

import jax
import jax.numpy as jnp
from jax import Array


@jax.custom_jvp
def normal_cdf(x: Array) -> Array:
    """Φ(x), the share of the normal distribution below x.

    Its derivative is the density, said here: what JAX 0.12 derives from ``erfc`` is refused in ``jax.shard_map``.
    """
    return 0.5 * jax.lax.erfc(-math.sqrt(0.5) * x)


@normal_cdf.defjvp
def _normal_density(primals, tangents):
    (x,), (change,) = primals, tangents
    return normal_cdf(x), math.sqrt(0.5 / math.pi) * jnp.exp(-0.5 * x * x) * change


def gelu(x: Array) -> Array:
    """The exact form, by the error function.

    Args:
        x: any shape, floating.

    Example:
        >>> [round(y, 4) for y in gelu(jnp.array([-1.0, 0.0, 1.0])).tolist()]
        [-0.1587, 0.0, 0.8413]
    """
    return x * normal_cdf(x)

"""Layers that own the parameters of highways and of mixes of layers."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.checks import check_widths
from seqjax.layers.parameters import Parameters
from seqjax.ops.highway import HighwayParams, highway
from seqjax.ops.scalar_mix import scalar_mix

CARRY = -2.0  # first bias of the gates: most of every feature goes through as it is


class Highway(nnx.Module):
    """Highway layers on top of each other; see :func:`seqjax.ops.highway.highway`.

    Args:
        features: D.
        layers: how many.
        rngs: the stream ``params`` initialises the kernels (Glorot); gates begin nearly shut.

    Example:
        >>> Highway(4, layers=2, rngs=nnx.Rngs(0))(jnp.ones((2, 5, 4))).shape
        (2, 5, 4)
    """

    def __init__(self, features: int, *, layers: int = 1, rngs: nnx.Rngs):
        check_widths("Highway", features=features, layers=layers)
        draw, shape = jax.nn.initializers.glorot_uniform(), (features, features)
        bias = jnp.concatenate([jnp.zeros(features), jnp.full(features, CARRY)])
        self.layers: nnx.List = nnx.List([])
        for _ in range(layers):
            kernel = jnp.concatenate([draw(rngs.params(), shape), draw(rngs.params(), shape)], axis=1)
            self.layers.append(Parameters(HighwayParams(kernel, bias)))

    def __call__(self, xs: Array) -> Array:
        """Map (*B, D) to (*B, D)."""
        for layer in self.layers:
            xs = highway(layer.values(), xs)
        return xs


class ScalarMix(nnx.Module):
    """A learned mean of layers and a learned factor; see :func:`seqjax.ops.scalar_mix.scalar_mix`.

    Args:
        layers: L; all weigh alike at first, and the factor is 1.

    Example:
        >>> ScalarMix(3)(jnp.ones((2, 3, 5, 4))).shape
        (2, 5, 4)
    """

    def __init__(self, layers: int):
        check_widths("ScalarMix", layers=layers)
        self.scores = nnx.Param(jnp.zeros((layers,)))
        self.scale = nnx.Param(jnp.ones(()))

    def __call__(self, layers: Array) -> Array:
        """Map (*B, L, T, D) to (*B, T, D)."""
        return scalar_mix(layers, self.scores[...], self.scale[...])

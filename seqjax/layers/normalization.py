"""Normalisation over features: each step by itself, so that padding and neighbours change nothing."""

from collections.abc import Callable

import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.checks import check_choice, check_widths
from seqjax.ops.normalization import layer_norm, rms_norm


class LayerNorm(nnx.Module):
    """Zero mean and unit variance over features, then a learned scale and shift.

    Args:
        features: D.
        epsilon: added to the variance.
        rngs: nothing is drawn; accepted so that all layers are made alike.

    Source:
        Ba, Kiros & Hinton (2016), Layer Normalization.

    Example:
        >>> LayerNorm(2)(jnp.array([[[1.0, 3.0]]])).round(3).tolist()
        [[[-1.0, 1.0]]]
    """

    def __init__(self, features: int, *, epsilon: float = 1e-5, rngs: nnx.Rngs | None = None):
        check_widths("LayerNorm", features=features)
        self.scale, self.bias = nnx.Param(jnp.ones((features,))), nnx.Param(jnp.zeros((features,)))
        self.epsilon = epsilon

    def __call__(self, xs: Array) -> Array:
        """Map (*B, D) to (*B, D)."""
        return layer_norm(xs, self.scale[...], self.bias[...], epsilon=self.epsilon)


class RMSNorm(nnx.Module):
    """Divide by the root of the mean square over features, then scale.

    Args:
        features: D.
        epsilon: added to the mean square.
        rngs: nothing is drawn; accepted so that all layers are made alike.

    Source:
        Zhang & Sennrich (2019), Root Mean Square Layer Normalization.

    Example:
        >>> RMSNorm(2)(jnp.array([[[2.0, -2.0]]])).round(3).tolist()
        [[[1.0, -1.0]]]
    """

    def __init__(self, features: int, *, epsilon: float = 1e-6, rngs: nnx.Rngs | None = None):
        check_widths("RMSNorm", features=features)
        self.scale, self.epsilon = nnx.Param(jnp.ones((features,))), epsilon

    def __call__(self, xs: Array) -> Array:
        """Map (*B, D) to (*B, D)."""
        return rms_norm(xs, self.scale[...], epsilon=self.epsilon)


NORMS: dict[str, Callable[..., LayerNorm | RMSNorm]] = {"layer": LayerNorm, "rms": RMSNorm}


def norm(name: str, features: int, rngs: nnx.Rngs | None = None, epsilon: float | None = None) -> LayerNorm | RMSNorm:
    """The normalisation of this name, ``"layer"`` or ``"rms"``; ``epsilon`` instead of its own, if given.

    Example:
        >>> norm("batch", 4)
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: norm: `name` should be a known name, but it is 'batch'. Known: layer, rms.
    """
    check_choice("norm", "name", name, NORMS)
    return NORMS[name](features, rngs=rngs, **({} if epsilon is None else {"epsilon": epsilon}))

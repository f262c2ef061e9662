"""The two-layer network that a Transformer applies to every step alike."""

import functools
from collections.abc import Callable

import jax
from flax import nnx
from jax import Array

from seqjax.checks import check_choice, check_widths
from seqjax.layers.linear import Linear
from seqjax.ops.gelu import gelu

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu": gelu,
    "gelu-tanh": functools.partial(jax.nn.gelu, approximate=True),
    "relu": jax.nn.relu,
    "swiglu": jax.nn.silu,  # of one half, times the other half
}


class FeedForward(nnx.Module):
    """Widen, bend, narrow.

    Args:
        features: D, in and out.
        hidden: F, the width between.
        activation: ``"relu"``, ``"gelu"`` (exact), ``"gelu-tanh"`` (GPT-2's approximation), or ``"swiglu"``, which
            multiplies silu(x W) by a second projection x V, both of width F.
        bias: add biases.
        rngs: the stream ``params`` initialises the kernels.

    Source:
        Vaswani et al. (2017), section 3.3; Hendrycks & Gimpel (2016) for GELU; Shazeer (2020) for SwiGLU.

    Example:
        >>> import jax.numpy as jnp
        >>> FeedForward(4, 16, activation="swiglu", rngs=nnx.Rngs(0))(jnp.ones((2, 5, 4))).shape
        (2, 5, 4)
    """

    def __init__(self, features: int, hidden: int, *, activation: str = "gelu", bias: bool = True, rngs: nnx.Rngs):
        check_choice("FeedForward", "activation", activation, ACTIVATIONS)
        check_widths("FeedForward", features=features, hidden=hidden)
        self.activation = activation
        wide = 2 * hidden if activation == "swiglu" else hidden
        self.up = Linear(features, wide, bias=bias, rngs=rngs)
        self.down = Linear(hidden, features, bias=bias, rngs=rngs)

    def __call__(self, xs: Array) -> Array:
        """Map (*B, D) to (*B, D)."""
        wide, bend = self.up(xs), ACTIVATIONS[self.activation]
        if self.activation != "swiglu":
            return self.down(bend(wide))
        half = wide.shape[-1] // 2
        return self.down(bend(wide[..., :half]) * wide[..., half:])

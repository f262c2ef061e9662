"""One convolution over a picture, and the addition of places to patches.

B rows, Y × X places, D features in, H out, R × K patches.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.layers.linear import Linear
from seqjax.layers.normalization import LayerNorm
from seqjax.ops.pictures import blank, convolve, grid_places
from seqjax.ops.positions import sinusoidal


class PictureConvolution(nnx.Module):
    """A convolution of 3 × 3 taps, a layer normalisation of every place by itself, and a rectifier.

    No batch normalisation: a row would see its neighbours, and a picture its padding.

    Args:
        in_features: D.
        features: H.
        stride: 1, or 2 to halve both sides.
        rngs: the stream ``params`` initialises the taps (He et al. 2015, normal).

    Example:
        >>> layer = PictureConvolution(1, 4, stride=2, rngs=nnx.Rngs(0))
        >>> layer(jnp.ones((2, 8, 32, 1)), jnp.ones((2, 2, 8), bool)).shape
        (2, 4, 16, 4)
    """

    def __init__(self, in_features: int, features: int, *, stride: int = 1, rngs: nnx.Rngs):
        shape = (3, 3, in_features, features)
        self.taps = nnx.Param(jax.nn.initializers.he_normal(in_axis=(0, 1, 2))(rngs.params(), shape))
        self.norm, self.stride = LayerNorm(features), stride

    def __call__(self, xs: Array, mask: Array) -> Array:
        """Map (B, Y, X, D), zero where no patch is real, to (B, Y / stride, X / stride, H), zero there too.

        Args:
            xs: pixels or features.
            mask: (B, R, K) boolean, True on real patches.
        """
        return blank(jax.nn.relu(self.norm(convolve(xs, self.taps[...], self.stride))), mask)


class Placed(nnx.Module):
    """Tell every patch its row and its column: add an affine map of sines and cosines of both.

    Args:
        features: H.
        rngs: the stream ``params`` initialises the map.

    Source:
        Vaswani et al. (2017), section 3.5, for the sines; here half of them speak of rows, and half of columns.

    Example:
        >>> layer = Placed(4, rngs=nnx.Rngs(0))
        >>> layer(jnp.zeros((2, 2, 8, 4)), jnp.ones((2, 2, 8), bool)).shape
        (2, 2, 8, 4)
    """

    def __init__(self, features: int, *, rngs: nnx.Rngs):
        self.half = max(1, features // 2)
        self.map = Linear(2 * self.half, features, rngs=rngs)

    def __call__(self, xs: Array, mask: Array) -> Array:
        """Map (B, R, K, H) to (B, R, K, H)."""
        waves = [sinusoidal(places, self.half).astype(xs.dtype) for places in grid_places(mask)]
        return xs + self.map(jnp.concatenate(waves, axis=-1))

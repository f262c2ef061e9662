"""The temporal convolutional network as a reader of sequences.

B rows, T steps, E features of a step, H features of every block.
Source: Bai, Kolter & Koltun (2018), An Empirical Evaluation of Generic Convolutional and Recurrent Networks for
Sequence Modeling.
"""

import dataclasses

from flax import nnx
from jax import Array

from seqjax.checks import check_count, check_share
from seqjax.layers.convolution import TCN


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvolutionReaderConfig:
    """Dilated causal convolutions in residual blocks."""

    features: int = 128  # H of every block
    layers: int = 4  # levels: blocks, each of two convolutions, with dilations 1, 2, 4, …
    width: int = 3  # taps of every convolution: a step sees 1 + 2 (width - 1) (2^layers - 1) steps
    dropout: float = 0.1  # probability of zeroing a feature of a row, behind every convolution
    weight_norm: bool = True  # learn the length and the direction of the taps apart, as the paper does

    def __post_init__(self):
        for name, least in (("features", 1), ("layers", 1), ("width", 2)):
            check_count("ConvolutionReaderConfig", name, getattr(self, name), least)
        check_share("ConvolutionReaderConfig", "dropout", self.dropout)


class ConvolutionReader(nnx.Module):
    """A temporal convolutional network as a reader: each step knows of those before it.

    Args:
        config: the shape.
        in_features: E.
        rngs: the stream ``params`` initialises the weights.

    Attributes:
        out_features: H.
        backward: 0.

    Example:
        >>> import jax.numpy as jnp
        >>> reader = ConvolutionReader(ConvolutionReaderConfig(features=4, layers=1), 3, rngs=nnx.Rngs(0))
        >>> reader(jnp.ones((1, 5, 3)), mask=jnp.arange(5)[None] < 4).shape
        (1, 5, 4)
    """

    def __init__(self, config: ConvolutionReaderConfig, in_features: int, *, rngs: nnx.Rngs):
        self.network = TCN(
            in_features, config.features,
            levels=config.layers, width=config.width, dropout=config.dropout, weight_norm=config.weight_norm, rngs=rngs,
        )  # fmt: skip
        self.out_features, self.backward = config.features, 0

    def __call__(self, xs: Array, *, mask: Array, keys: Array | None = None) -> Array:
        """Map ``xs`` (B, T, E) to (B, T, H), zero where masked."""
        return self.network(xs, mask=mask, keys=keys)[1]

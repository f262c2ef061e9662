"""Pictures to vectors of patches: a small convolutional network, or a Transformer over patches.

B rows, Y × X pixels, C channels, P patches in R rows and K columns, N pixels the side of a patch, M features.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.checks import InputError, check_choice, check_count, check_mask, check_share
from seqjax.layers import LayerNorm, Linear
from seqjax.layers.pictures import PictureConvolution, Placed
from seqjax.models.reading import AttentionReaderConfig
from seqjax.models.transformer import Side
from seqjax.ops.dropout import dropout, fold
from seqjax.ops.pictures import blank, cut_patches, grid_of

ENCODERS = ("convolutions", "patches")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PictureConfig:
    """How a picture is read."""

    encoder: str = "convolutions"  # convolutions, or patches: a Transformer over them (ViT)
    features: int = 64  # M, what is known of a patch; with patches a multiple of heads
    layers: int = 4  # convolutions, or blocks of the Transformer
    patch: int = 2  # N, pixels of a patch's side; with convolutions 1, 2, 4, 8, …
    heads: int = 4  # of attention, with patches
    dropout: float = 0.0  # probability of zeroing an activation

    def __post_init__(self):
        check_choice("model.picture", "encoder", self.encoder, ENCODERS)
        for name in ("features", "layers", "patch", "heads"):
            check_count("model.picture", name, getattr(self, name))
        check_share("model.picture", "dropout", self.dropout)
        if self.encoder == "patches":
            AttentionReaderConfig(features=self.features, heads=self.heads)
        elif self.patch & (self.patch - 1) or self.layers < self.patch.bit_length():
            raise InputError(
                f"model.picture: {self.layers} convolutions, the first of which keeps the size and the others halve "
                f"it at most, do not make a patch of {self.patch} pixels. `patch` should be 1, 2, 4, 8, …, and "
                f"`layers` at least {self.patch.bit_length()}."
            )


class ConvolutionalPictures(nnx.Module):
    """Convolutions; the second and those after it halve the picture until a place is a patch.

    Args:
        config: the shape.
        channels: C.
        rngs: the stream ``params`` initialises the weights.

    Example:
        >>> encoder = ConvolutionalPictures(PictureConfig(features=8), 1, rngs=nnx.Rngs(0))
        >>> encoder(jnp.ones((1, 4, 6, 1)), jnp.ones((1, 2, 3), bool)).shape
        (1, 2, 3, 8)
    """

    def __init__(self, config: PictureConfig, channels: int, *, rngs: nnx.Rngs):
        width, halvings = config.features, config.patch.bit_length() - 1
        self.convolutions: nnx.List = nnx.List([])
        for number in range(config.layers):
            into = channels if number == 0 else max(1, width // 2) if number == 1 else width
            features = max(1, width // 2) if number == 0 and config.layers > 1 else width
            stride = 2 if 1 <= number <= halvings else 1
            self.convolutions.append(PictureConvolution(into, features, stride=stride, rngs=rngs))

    def __call__(self, pictures: Array, mask: Array, keys: Array | None = None) -> Array:
        """Map (B, Y, X, C) to (B, R, K, M); ``mask`` (B, R, K)."""
        for layer in self.convolutions:
            pictures = layer(pictures, mask)
        return pictures


class PatchPictures(nnx.Module):
    """Patches as the words of a Transformer's encoder.

    Args:
        config: the shape.
        channels: C.
        rngs: the stream ``params`` initialises the weights.

    Source:
        Dosovitskiy et al. (2021), An Image is Worth 16x16 Words, section 3.1.

    Example:
        >>> encoder = PatchPictures(PictureConfig(encoder="patches", features=8, layers=1), 1, rngs=nnx.Rngs(0))
        >>> encoder(jnp.ones((1, 4, 6, 1)), jnp.ones((1, 2, 3), bool)).shape
        (1, 2, 3, 8)
    """

    def __init__(self, config: PictureConfig, channels: int, *, rngs: nnx.Rngs):
        width, self.patch = config.features, config.patch
        self.embedding = Linear(config.patch**2 * channels, width, rngs=rngs)
        self.placed = Placed(width, rngs=rngs)
        blocks = AttentionReaderConfig(
            features=width, layers=config.layers, heads=config.heads, dropout=config.dropout
        )  # fmt: skip
        self.side = Side(blocks, 0, decoder=False, rngs=rngs)

    def __call__(self, pictures: Array, mask: Array, keys: Array | None = None) -> Array:
        """Map (B, Y, X, C) to (B, R, K, M); ``mask`` (B, R, K)."""
        rows, width = len(pictures), self.embedding.kernel.shape[1]
        xs = self.embedding(cut_patches(pictures, self.patch)).reshape(*mask.shape, width)
        flat = mask.reshape(rows, -1)
        _, ys = self.side(self.placed(xs, mask).reshape(rows, -1, width), mask=flat, keys=keys)
        return ys.reshape(*mask.shape, width)


class PictureReader(nnx.Module):
    """What is known of every patch of a picture, its place included.

    Args:
        config: the shape.
        channels: C.
        rngs: the stream ``params`` initialises the weights.

    Attributes:
        out_features: M.

    Example:
        >>> reader = PictureReader(PictureConfig(features=8), 1, rngs=nnx.Rngs(0))
        >>> reader(jnp.ones((2, 8, 32, 1)), mask=jnp.ones((2, 64), bool)).shape
        (2, 64, 8)
    """

    def __init__(self, config: PictureConfig, channels: int, *, rngs: nnx.Rngs):
        make = ConvolutionalPictures if config.encoder == "convolutions" else PatchPictures
        self.encoder = make(config, channels, rngs=rngs)
        self.placed = Placed(config.features, rngs=rngs)
        self.norm = LayerNorm(config.features)
        self.patch, self.dropout, self.out_features = config.patch, config.dropout, config.features

    def __call__(self, pictures: Array, *, mask: Array, keys: Array | None = None) -> Array:
        """Map (B, Y, X, C) to (B, P, M), zero where masked.

        Args:
            pictures: pixels, 0 to 1; whatever where no patch is real.
            mask: (B, P) boolean, True on real patches.
            keys: (B,) random keys, one a row; None switches dropout off.
        """
        rows, columns = grid_of(pictures, self.patch)
        check_mask("PictureReader", "mask", mask, "(B, P)", (len(pictures), rows * columns))
        grid = mask.reshape(-1, rows, columns)
        pictures = blank(pictures, grid).astype(self.norm.scale[...].dtype)
        xs = self.encoder(pictures, grid, fold(keys, 0))
        xs = self.norm(jax.nn.gelu(self.placed(xs, grid))).reshape(*mask.shape, -1)
        return jnp.where(mask[..., None], dropout(xs, self.dropout, fold(keys, 1)), 0)

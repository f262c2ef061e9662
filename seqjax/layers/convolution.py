"""Dilated causal convolutions: one, the residual block of two, and the network of blocks that look ever further back.

B rows, T steps, D features in, H features, K taps, W steps that a convolution looks back.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.cells.unroll import silence
from seqjax.checks import InputError, check_widths
from seqjax.layers.attention import check_steps
from seqjax.layers.linear import Linear
from seqjax.ops.convolution import causal_convolution, from_front, last_steps, to_front
from seqjax.ops.dropout import dropout, fold


class CausalConvolution(nnx.Module):
    """One dilated causal convolution.

    Args:
        in_features: D.
        features: H.
        width: K, taps.
        dilation: steps between two taps.
        weight_norm: learn the length and the direction of each output's taps apart.
        rngs: the stream ``params`` initialises the taps (He et al. 2015, normal).

    Source:
        Salimans & Kingma (2016), Weight Normalization, section 2, for ``weight_norm``.
    """

    def __init__(
        self, in_features: int, features: int, *, width: int, dilation: int, weight_norm: bool, rngs: nnx.Rngs
    ):
        shape = (width, in_features, features)
        self.taps = nnx.Param(jax.nn.initializers.he_normal(in_axis=(0, 1))(rngs.params(), shape))
        self.scale = nnx.Param(_length(self.taps[...])) if weight_norm else None
        self.bias = nnx.Param(jnp.zeros((features,)))
        self.dilation, self.in_features, self.back = dilation, in_features, (width - 1) * dilation

    def __call__(self, xs: Array, *, window: Array | None = None, documents: Array | None = None) -> Array:
        """Map ``xs`` (B, T, D), real steps at the front, to (B, T, H); see :func:`causal_convolution`."""
        taps = self.taps[...]
        if self.scale is not None:
            taps = taps * (self.scale[...] / jnp.maximum(_length(taps), 1e-12))[None, None]
        ys = causal_convolution(xs, taps, dilation=self.dilation, window=window, documents=documents)
        return ys + self.bias[None, None]


class ConvolutionBlock(nnx.Module):
    """Two convolutions, each with a rectifier and a dropout of whole features, around a residual.

    Args:
        in_features: D.
        features: H.
        width: K, taps.
        dilation: steps between two taps.
        dropout: probability of zeroing a feature, at all steps of a row alike.
        weight_norm: see :class:`CausalConvolution`.
        rngs: the stream ``params`` initialises the weights.

    Source:
        Bai, Kolter & Koltun (2018), section 3.3 and figure 1 (b).
    """

    def __init__(
        self,
        in_features: int,
        features: int,
        *,
        width: int,
        dilation: int,
        dropout: float,
        weight_norm: bool,
        rngs: nnx.Rngs,
    ):
        shape: dict[str, Any] = {"width": width, "dilation": dilation, "weight_norm": weight_norm}
        self.first = CausalConvolution(in_features, features, **shape, rngs=rngs)
        self.second = CausalConvolution(features, features, **shape, rngs=rngs)
        self.residual = None if in_features == features else Linear(in_features, features, rngs=rngs)
        self.dropout = dropout

    def __call__(self, xs: Array, *, windows=(None, None), documents: Array | None = None, keys: Array | None = None):
        """Map ``xs`` (B, T, D) to ``(inputs, ys)``: what the two convolutions read, and ys (B, T, H)."""
        first = self._part(self.first, xs, windows[0], documents, fold(keys, 0))
        second = self._part(self.second, first, windows[1], documents, fold(keys, 1))
        kept = xs if self.residual is None else self.residual(xs)
        return (xs, first), jax.nn.relu(kept + second)

    def _part(self, convolution: CausalConvolution, xs, window, documents, keys) -> Array:
        ys = jax.nn.relu(convolution(xs, window=window, documents=documents))
        return ys if keys is None else ys * dropout(jnp.ones((len(ys), 1, ys.shape[-1]), ys.dtype), self.dropout, keys)


class TCN(nnx.Module):
    """A temporal convolutional network: blocks whose dilation doubles from one to the next. A mixer.

    It sees ``reach`` real steps, its own included. Steps are counted over real ones, so padding may stand anywhere.

    Args:
        in_features: D.
        features: H of every block.
        levels: blocks; number n has dilation 2ⁿ.
        width: K, taps of every convolution.
        dropout: probability of zeroing a feature of a row.
        weight_norm: as in the paper, learn the length and the direction of each output's taps apart.
        rngs: the stream ``params`` initialises the weights.

    Source:
        Bai, Kolter & Koltun (2018), An Empirical Evaluation of Generic Convolutional and Recurrent Networks for
        Sequence Modeling, section 3.

    Example:
        >>> layer = TCN(3, 4, levels=2, width=3, rngs=nnx.Rngs(0))
        >>> state, ys = layer(jnp.ones((2, 5, 3)), state=layer.start(2))
        >>> ys.shape, layer.reach, [window.shape[1] for window in state]
        ((2, 5, 4), 13, [2, 2, 4, 4])
    """

    def __init__(
        self,
        in_features: int,
        features: int,
        *,
        levels: int,
        width: int = 3,
        dropout: float = 0.0,
        weight_norm: bool = True,
        rngs: nnx.Rngs,
    ):
        if levels < 1 or width < 2:
            raise InputError(f"TCN: it takes 1 level and 2 taps at least, but there are {levels} and {width}.")
        check_widths("TCN", in_features=in_features, features=features)
        self.in_features, self.out_features = in_features, features
        self.blocks: nnx.List = nnx.List([])
        for level in range(levels):
            shape: dict[str, Any] = {
                "width": width,
                "dilation": 2**level,
                "dropout": dropout,
                "weight_norm": weight_norm,
            }
            self.blocks.append(ConvolutionBlock(features if level else in_features, features, **shape, rngs=rngs))
        self.reach = reach_of(levels, width)

    def __call__(
        self,
        xs: Array,
        *,
        state: tuple | None = None,
        mask: Array | None = None,
        reset: Array | None = None,
        keys: Array | None = None,
    ) -> tuple[tuple | None, Array]:
        """Map ``xs`` (B, T, D) to ``(state, ys)``, ys (B, T, H), zero where masked.

        Args:
            xs: features.
            state: None: the sequence begins here, and the state returned is None. Else go on from there.
            mask: (B, T), True on real steps.
            reset: (B, T), True on the first step of a document, masked or not: no step looks across.
            keys: (B,) random keys, one a row; None switches dropout off.
        """
        check_steps("TCN", xs, self.in_features, mask, reset)
        documents = after = None
        if reset is not None:
            numbers = jnp.cumsum(reset, axis=1)
            documents = numbers if mask is None else to_front(numbers[..., None], mask)[..., 0]
            after = jnp.concatenate([documents, reset.sum(axis=1, keepdims=True)], axis=1)
        count = None if mask is None else mask.sum(axis=1)
        ys = xs if mask is None else to_front(silence(xs, mask), mask)
        windows: list[Array] = []
        for level, block in enumerate(self.blocks):
            before = (None, None) if state is None else state[2 * level : 2 * level + 2]
            read, ys = block(ys, windows=before, documents=documents, keys=fold(keys, level))
            if state is not None:
                windows += [last_steps(part, old, count, after) for part, old in zip(read, before, strict=True)]
        return None if state is None else tuple(windows), ys if mask is None else from_front(ys, mask)

    def start(self, rows: int, capacity: int = 0, dtype=jnp.float32) -> tuple:
        """The windows of all convolutions before the first step: zeros. They take any number of steps."""
        convolutions = [part for block in self.blocks for part in (block.first, block.second)]
        return tuple(jnp.zeros((rows, part.back, part.in_features), dtype) for part in convolutions)


def reach_of(levels: int, width: int) -> int:
    """How many steps a network of so many levels sees, the step itself included.

    Example:
        >>> [reach_of(levels, 3) for levels in (1, 2, 3)]
        [5, 13, 29]
    """
    return 1 + 2 * (width - 1) * (2**levels - 1)


def levels_for(reach: int, width: int) -> int:
    """The fewest levels with which a network sees ``reach`` steps.

    Example:
        >>> [levels_for(reach, 3) for reach in (1, 5, 6, 100)]
        [1, 1, 2, 5]
    """
    levels = 1
    while reach_of(levels, width) < reach:
        levels += 1
    return levels


def _length(taps: Array) -> Array:
    """Of each output's taps: (K, D, H) to (H,)."""
    return jnp.sqrt(jnp.sum(taps**2, axis=(0, 1)))

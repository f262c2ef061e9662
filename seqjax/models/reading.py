"""Readers: what makes, of the vectors of a sequence's steps, vectors that know of the other steps.

B rows, T steps, E features of a step, M features that a reader gives.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax import cells
from seqjax.checks import InputError, check_choice, check_count, check_share
from seqjax.layers import Linear, Stack
from seqjax.models.shapes import check_blocks
from seqjax.models.tcn import ConvolutionReader, ConvolutionReaderConfig
from seqjax.models.transformer import Side
from seqjax.ops.dropout import dropout, fold


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentReaderConfig:
    """Recurrent layers, in one direction or in both."""

    cell: str = "lstm"  # which recurrence; a wrong name lists them all
    features: int = 128  # H, width of every layer, of each direction
    layers: int = 1  # recurrent layers on top of each other
    bidirectional: bool = True  # read both ways in every layer
    dropout: float = 0.0  # probability of zeroing an activation, between and after the layers
    memory: int = 0  # longest memory expected, in steps, for which gates start spread out; 0: as the cell has it

    def __post_init__(self):
        check_choice(type(self).__name__, "cell", self.cell, cells.BY_NAME)
        _check(self, features=1, layers=1, memory=0)
        if self.memory:
            check_choice(f"{type(self).__name__}: with `memory` {self.memory}", "cell", self.cell, cells.REMEMBERING)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionReaderConfig:
    """The encoder of a Transformer."""

    features: int = 128  # D, the width of the residual stream; a multiple of heads
    layers: int = 2  # blocks on top of each other
    heads: int = 4  # of attention
    hidden: int = 0  # inner width of the feed-forward networks; 0: 4 times the features
    positions: str = "sinusoidal"  # sinusoidal, learned or rotary
    norm: str = "layer"  # layer or rms
    place: str = "pre"  # pre: normalise before each part of a block; post: after it
    activation: str = "gelu"  # gelu, gelu-tanh, relu or swiglu
    dropout: float = 0.1  # probability of zeroing an activation, or a weight of attention
    remat: bool = False  # compute activations again for the gradient: less memory, more time

    def __post_init__(self):
        check_blocks(self, ("sinusoidal", "learned", "rotary"), layers=1, hidden=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BagReaderConfig:
    """No reader at all: every step stays what it is."""


class RecurrentReader(nnx.Module):
    """Recurrent layers as a reader.

    Args:
        config: the shape.
        in_features: E.
        rngs: the stream ``params`` initialises the weights.

    Attributes:
        out_features: M.
        backward: how many of the M features, the last ones, read from right to left.
    """

    def __init__(self, config: RecurrentReaderConfig, in_features: int, *, rngs: nnx.Rngs):
        cell = cells.BY_NAME[config.cell]
        if config.memory:
            cell = cells.REMEMBERING[config.cell](longest=float(config.memory))
        self.dropout = config.dropout
        self.stack = Stack(
            cell, in_features, config.features,
            layers=config.layers, bidirectional=config.bidirectional, dropout=config.dropout, rngs=rngs,
        )  # fmt: skip
        self.out_features = self.stack.out_features
        self.backward = self.out_features // 2 if config.bidirectional else 0

    def __call__(self, xs: Array, *, mask: Array, keys: Array | None = None) -> Array:
        """Map ``xs`` (B, T, E) to (B, T, M), zero where masked."""
        _, ys = self.stack(xs, mask=mask, keys=fold(keys, 0))
        return dropout(ys, self.dropout, fold(keys, 1))


class AttentionReader(nnx.Module):
    """The encoder of a Transformer as a reader; where E is not D, a linear map leads there.

    Args:
        config: the shape.
        in_features: E.
        longest: the most steps, where positions are learned.
        rngs: the stream ``params`` initialises the weights.

    Attributes:
        out_features: M = D.
        backward: 0.

    Source:
        Vaswani et al. (2017), Attention Is All You Need, section 3.1.
    """

    def __init__(self, config: AttentionReaderConfig, in_features: int, *, longest: int, rngs: nnx.Rngs):
        width = config.features
        self.narrow = None if in_features == width else Linear(in_features, width, rngs=rngs)
        self.side = Side(config, longest, decoder=False, rngs=rngs)
        self.out_features, self.backward = width, 0

    def __call__(self, xs: Array, *, mask: Array, keys: Array | None = None) -> Array:
        """Map ``xs`` (B, T, E) to (B, T, D), zero where masked."""
        xs = jnp.where(mask[..., None], xs, 0)
        xs = xs if self.narrow is None else self.narrow(xs)
        _, ys = self.side(self.side.placed(xs, mask=mask, reset=None), mask=mask, keys=keys)
        return jnp.where(mask[..., None], ys, 0)


class BagReader(nnx.Module):
    """Every step as it came, zero where masked."""

    def __init__(self, in_features: int):
        self.out_features, self.backward = in_features, 0

    def __call__(self, xs: Array, *, mask: Array, keys: Array | None = None) -> Array:
        """Map ``xs`` (B, T, E) to (B, T, E)."""
        return jnp.where(mask[..., None], xs, 0)


def _check(config, **least: int) -> None:
    for name, value in least.items():
        check_count(type(config).__name__, name, getattr(config, name), value)
    check_share(type(config).__name__, "dropout", config.dropout)


READERS: dict[type, Callable[..., Any]] = {
    RecurrentReaderConfig: lambda config, features, longest, rngs: RecurrentReader(config, features, rngs=rngs),
    AttentionReaderConfig: lambda config, features, longest, rngs: AttentionReader(
        config, features, longest=longest, rngs=rngs
    ),
    ConvolutionReaderConfig: lambda config, features, longest, rngs: ConvolutionReader(config, features, rngs=rngs),
    BagReaderConfig: lambda config, features, longest, rngs: BagReader(features),
}


def make_reader(config, in_features: int, *, longest: int = 512, rngs: nnx.Rngs) -> Any:
    """The reader that a configuration describes.

    Args:
        config: of one of the kinds above.
        in_features: E.
        longest: the most steps, where positions are learned.
        rngs: the stream ``params`` initialises the weights.

    Returns:
        A module with ``out_features`` and ``backward``, called as :class:`RecurrentReader` is.

    Example:
        >>> reader = make_reader(RecurrentReaderConfig(features=4), 3, rngs=nnx.Rngs(0))
        >>> ys = reader(jnp.ones((1, 5, 3)), mask=jnp.arange(5)[None] < 4)
        >>> ys.shape, reader.backward
        ((1, 5, 8), 4)
    """
    if type(config) not in READERS:
        known = ", ".join(kind.__name__ for kind in READERS)
        raise InputError(f"make_reader: {type(config).__name__} describes no reader. Known: {known}.")
    return READERS[type(config)](config, in_features, longest, rngs)

"""Blocks of a residual stack: a mixer, and a feed-forward network, each around a residual.

B rows, T steps, S steps of the memory, D features, F hidden features.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.cells.unroll import silence
from seqjax.checks import check_choice
from seqjax.layers.attention import CrossAttention, Memory
from seqjax.layers.feed_forward import FeedForward
from seqjax.layers.normalization import norm as normalization
from seqjax.ops.dropout import dropout as drop
from seqjax.ops.dropout import fold

PLACES = ("pre", "post")


class Encoded(NamedTuple):
    """A memory that blocks have yet to make keys and values of, each its own."""

    values: Array  # (B, S, M)
    mask: Array  # (B, S) boolean, True on real steps
    segments: Array | None = None  # (B, S) integers, where several documents share a row


class Block(nnx.Module):
    """A mixer and a feed-forward network, each with a residual, dropout and a normalisation.

    Pre-norm: x + f(norm(x)). Post-norm: norm(x + f(x)). It is called like a mixer, and is one.

    Args:
        mixer: mixes steps, (B, T, D) to (B, T, D).
        features: D.
        hidden: F, the inner width of the feed-forward network.
        norm: ``"layer"`` or ``"rms"``.
        place: ``"pre"`` or ``"post"``.
        activation: see :class:`FeedForward`.
        dropout: probability of zeroing what a residual branch adds.
        bias: add biases in the feed-forward network.
        epsilon: of the normalisations; default: their own.
        rngs: the stream ``params`` initialises the weights.

    Source:
        Vaswani et al. (2017), section 3.1, for post-norm; Radford et al. (2019) and Xiong et al. (2020) for pre-norm.

    Example:
        >>> from seqjax.layers import SelfAttention
        >>> rngs = nnx.Rngs(0)
        >>> block = Block(SelfAttention(8, 2, rngs=rngs), 8, 32, rngs=rngs)
        >>> state, ys = block(jnp.ones((2, 5, 8)))
        >>> ys.shape
        (2, 5, 8)
    """

    def __init__(
        self,
        mixer: nnx.Module,
        features: int,
        hidden: int,
        *,
        norm: str = "layer",
        place: str = "pre",
        activation: str = "gelu",
        dropout: float = 0.0,
        bias: bool = True,
        epsilon: float | None = None,
        rngs: nnx.Rngs,
    ):
        check_choice("Block", "place", place, PLACES)
        self.place, self.dropout = place, dropout
        self.mixer: Any = mixer
        self.mixer_norm = normalization(norm, features, rngs, epsilon)
        self.feed_forward = FeedForward(features, hidden, activation=activation, bias=bias, rngs=rngs)
        self.feed_forward_norm = normalization(norm, features, rngs, epsilon)

    def __call__(
        self,
        xs: Array,
        *,
        state: Any = None,
        mask: Array | None = None,
        reset: Array | None = None,
        keys: Array | None = None,
    ) -> tuple[Any, Array]:
        """Map ``xs`` (B, T, D) to ``(state, ys)``, ys (B, T, D), zero where masked.

        Args:
            xs: features.
            state: the mixer's, to go on from; None at a beginning.
            mask: (B, T), True on real steps.
            reset: (B, T), True on the first step of a document.
            keys: (B,) random keys, one a row; None switches dropout off.
        """
        xs = silence(xs, mask)
        state, mixed = self.mixer(
            before(self, self.mixer_norm, xs), state=state, mask=mask, reset=reset, keys=fold(keys, 0)
        )  # fmt: skip
        xs = after(self, self.mixer_norm, xs, mixed, fold(keys, 1))
        fed = self.feed_forward(before(self, self.feed_forward_norm, xs))
        return state, silence(after(self, self.feed_forward_norm, xs, fed, fold(keys, 2)), mask)

    def start(self, rows: int, capacity: int, dtype=jnp.float32):
        """The mixer's state before the first step."""
        return self.mixer.start(rows, capacity, dtype)

    def weights(self, xs: Array, *, mask: Array | None = None, reset: Array | None = None) -> tuple[Array, Array]:
        """``(ys, weights)``: what the block gives, and how much each step looks at each, (B, N, T, T)."""
        looked = self.mixer.weights(before(self, self.mixer_norm, silence(xs, mask)), mask=mask, reset=reset)
        return self(xs, mask=mask, reset=reset)[1], looked


class DecoderBlock(nnx.Module):
    """A mixer, attention to a memory, and a feed-forward network, each with a residual.

    Args:
        mixer: mixes steps, (B, T, D) to (B, T, D), and looks at no later one.
        cross: looks at the memory.
        features: D.
        hidden: F, the inner width of the feed-forward network.
        norm: ``"layer"`` or ``"rms"``.
        place: ``"pre"`` or ``"post"``.
        activation: see :class:`FeedForward`.
        dropout: probability of zeroing what a residual branch adds.
        bias: add biases in the feed-forward network.
        rngs: the stream ``params`` initialises the weights.

    Source:
        Vaswani et al. (2017), section 3.1.

    Example:
        >>> from seqjax.layers import SelfAttention
        >>> rngs = nnx.Rngs(0)
        >>> block = DecoderBlock(SelfAttention(8, 2, rngs=rngs), CrossAttention(8, 2, rngs=rngs), 8, 32, rngs=rngs)
        >>> memory = block.remember(Encoded(jnp.ones((2, 7, 8)), jnp.ones((2, 7), bool)))
        >>> state, ys = block(jnp.ones((2, 5, 8)), memory=memory)
        >>> ys.shape
        (2, 5, 8)
    """

    def __init__(
        self,
        mixer: nnx.Module,
        cross: CrossAttention,
        features: int,
        hidden: int,
        *,
        norm: str = "layer",
        place: str = "pre",
        activation: str = "gelu",
        dropout: float = 0.0,
        bias: bool = True,
        rngs: nnx.Rngs,
    ):
        check_choice("DecoderBlock", "place", place, PLACES)
        self.place, self.dropout = place, dropout
        self.mixer: Any = mixer
        self.cross = cross
        self.mixer_norm = normalization(norm, features, rngs)
        self.cross_norm = normalization(norm, features, rngs)
        self.feed_forward = FeedForward(features, hidden, activation=activation, bias=bias, rngs=rngs)
        self.feed_forward_norm = normalization(norm, features, rngs)

    def remember(self, memory: Encoded) -> Memory:
        """Keys and values of the memory, for as many calls as there will be."""
        return self.cross.remember(*memory)

    def __call__(
        self,
        xs: Array,
        *,
        memory: Memory | Encoded,
        state: Any = None,
        mask: Array | None = None,
        reset: Array | None = None,
        segments: Array | None = None,
        keys: Array | None = None,
    ) -> tuple[Any, Array]:
        """Map ``xs`` (B, T, D) to ``(state, ys)``, ys (B, T, D), zero where masked.

        Args:
            xs: features.
            memory: what :meth:`remember` gave, or what it takes.
            state: the mixer's, to go on from; None at a beginning.
            mask: (B, T), True on real steps.
            reset: (B, T), True on the first step of a document.
            segments: (B, T) numbers of documents, where the memory has them.
            keys: (B,) random keys, one a row; None switches dropout off.
        """
        memory = self.remember(memory) if isinstance(memory, Encoded) else memory
        state, xs = self._mixed(silence(xs, mask), state, mask, reset, keys)
        looked = self.cross(before(self, self.cross_norm, xs), memory, segments=segments, keys=fold(keys, 2))
        xs = after(self, self.cross_norm, xs, looked, fold(keys, 3))
        fed = self.feed_forward(before(self, self.feed_forward_norm, xs))
        return state, silence(after(self, self.feed_forward_norm, xs, fed, fold(keys, 4)), mask)

    def start(self, rows: int, capacity: int, dtype=jnp.float32):
        """The mixer's state before the first step."""
        return self.mixer.start(rows, capacity, dtype)

    def weights(
        self,
        xs: Array,
        *,
        memory: Memory | Encoded,
        mask: Array | None = None,
        reset: Array | None = None,
        segments: Array | None = None,
    ) -> tuple[Array, Array]:
        """``(ys, weights)``: what the block gives, and how much each step looks at the memory, (B, N, T, S)."""
        memory = self.remember(memory) if isinstance(memory, Encoded) else memory
        _, mixed = self._mixed(silence(xs, mask), None, mask, reset, None)
        looked = self.cross.weights(before(self, self.cross_norm, mixed), memory, segments=segments)
        looked = looked if mask is None else jnp.where(mask[:, None, :, None], looked, 0.0)
        return self(xs, memory=memory, mask=mask, reset=reset, segments=segments)[1], looked

    def _mixed(self, xs, state, mask, reset, keys) -> tuple[Any, Array]:
        """The first residual: the mixer's."""
        state, mixed = self.mixer(
            before(self, self.mixer_norm, xs), state=state, mask=mask, reset=reset, keys=fold(keys, 0)
        )  # fmt: skip
        return state, after(self, self.mixer_norm, xs, mixed, fold(keys, 1))


class Group(nnx.Module):
    """Blocks one after another, called like one block: the period of a stack of several kinds.

    Args:
        blocks: any blocks, (B, T, D) to (B, T, D).

    Example:
        >>> from seqjax.layers import mixer
        >>> rngs = nnx.Rngs(0)
        >>> group = Group([Block(mixer(name, 8, 2, rngs=rngs), 8, 16, rngs=rngs) for name in ("lstm", "attention")])
        >>> states, ys = group(jnp.ones((2, 5, 8)))
        >>> len(states), ys.shape
        (2, (2, 5, 8))
    """

    def __init__(self, blocks):
        self.blocks = nnx.List(list(blocks))

    def __call__(self, xs: Array, *, state: Any = None, keys: Array | None = None, **how) -> tuple[tuple, Array]:
        """Map ``xs`` (B, T, D) to ``(states, ys)``: one state a block. ``how``: what else every block takes."""
        states = []
        for number, block in enumerate(self.blocks):
            given = None if state is None else state[number]
            after, xs = block(xs, state=given, keys=fold(keys, number), **how)
            states.append(after)
        return tuple(states), xs

    def start(self, rows: int, capacity: int, dtype=jnp.float32) -> tuple:
        """One state a block."""
        return tuple(block.start(rows, capacity, dtype) for block in self.blocks)


def before(block: Block | DecoderBlock, norm, xs: Array) -> Array:
    """What a residual branch reads."""
    return norm(xs) if block.place == "pre" else xs


def after(block: Block | DecoderBlock, norm, xs: Array, added: Array, keys: Array | None) -> Array:
    """The sum after a residual branch."""
    xs = xs + drop(added, block.dropout, keys)
    return xs if block.place == "pre" else norm(xs)

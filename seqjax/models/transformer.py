"""The Transformer: an encoder that reads the whole source, a decoder that looks at it from every layer.

B batch, S source time, T target time, D features, N heads, V vocabulary, L layers.
Sources: Vaswani et al. (2017), Attention Is All You Need; Xiong et al. (2020) for pre-norm; Press & Wolf (2017) for
tied embeddings.
"""

import dataclasses
import functools
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.checks import InputError
from seqjax.layers import (
    Block,
    CrossAttention,
    DecoderBlock,
    Deep,
    Embedding,
    Encoded,
    Linear,
    SelfAttention,
    count_positions,
    norm,
)
from seqjax.models.crossing import Crossing, crossing
from seqjax.models.pair_model import PairModel
from seqjax.models.scheduled_sampling import firsts
from seqjax.models.shapes import check_blocks
from seqjax.ops.dropout import dropout, fold
from seqjax.ops.positions import sinusoidal

POSITIONS = ("sinusoidal", "learned", "rotary")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """The shape of an encoder and a decoder, alike."""

    features: int = 128  # D, the width of both residual streams; a multiple of heads
    layers: int = 3  # L, blocks of the encoder, and as many of the decoder
    heads: int = 4  # of every attention
    hidden: int = 0  # inner width of the feed-forward networks; 0: 4 times the features
    positions: str = "sinusoidal"  # sinusoidal, learned or rotary
    norm: str = "layer"  # layer or rms
    place: str = "pre"  # pre: normalise before each part of a block; post: after it, as the paper does
    activation: str = "relu"  # gelu, gelu-tanh, relu or swiglu
    dropout: float = 0.1  # probability of zeroing an activation, or a weight of attention
    tied: bool = True  # score symbols with the embedding of the target
    joint: bool = False  # one embedding for source and target; they need one vocabulary
    remat: bool = False  # compute activations again for the gradient: less memory, more time

    def __post_init__(self):
        check_blocks(self, POSITIONS, layers=1, hidden=0)


class Side(nnx.Module):
    """The encoder, or the decoder: vectors of symbols in, features out.

    Args:
        config: the shape, :class:`TransformerConfig` or one with the fields of its sides.
        longest: the most steps it can tell apart, where positions are learned.
        decoder: look at no later step, and at a memory.
        rngs: the stream ``params`` initialises the weights.
    """

    def __init__(self, config: Any, longest: int, *, decoder: bool, rngs: nnx.Rngs):
        self.config, width = config, config.features
        learned = config.positions == "learned"
        self.positions = Embedding(longest, width, scale=width**-0.5, rngs=rngs) if learned else None
        self.deep = Deep(functools.partial(block, config, decoder), config.layers, remat=config.remat, rngs=rngs)
        self.norm = norm(config.norm, width, rngs) if config.place == "pre" else None

    def placed(self, xs: Array, *, mask: Array | None, reset: Array | None, count=None) -> Array:
        """Vectors of symbols (B, T, D) with their places added; see :func:`count_positions`."""
        if self.config.positions == "rotary":
            return xs
        places = count_positions(mask, xs.shape[:2], reset=reset, count=count)
        if self.positions is not None:
            return xs + self.positions(places)
        return xs + sinusoidal(places, xs.shape[-1]).astype(xs.dtype)

    def __call__(self, xs: Array, *, mask=None, reset=None, keys=None, **how):
        """Map what :meth:`placed` gave to ``(states, ys)``, ys (B, T, D). ``how``: what else :class:`Deep` takes."""
        xs = dropout(xs, self.config.dropout, fold(keys, 0))
        states, ys = self.deep(xs, mask=mask, reset=reset, keys=fold(keys, 1), **how)
        return states, ys if self.norm is None else self.norm(ys)


def block(config: Any, decoder: bool, rngs: nnx.Rngs) -> Block | DecoderBlock:
    """One layer of the encoder, or of the decoder."""
    width, rate = config.features, config.dropout
    turned = "rotary" if config.positions == "rotary" else "none"
    mixer = SelfAttention(width, config.heads, positions=turned, causal=decoder, dropout=rate, rngs=rngs)
    how: dict[str, Any] = {"norm": config.norm, "place": config.place, "activation": config.activation}
    how |= {"dropout": rate, "rngs": rngs}
    hidden = config.hidden or 4 * width
    if not decoder:
        return Block(mixer, width, hidden, **how)
    return DecoderBlock(mixer, CrossAttention(width, config.heads, dropout=rate, rngs=rngs), width, hidden, **how)


class Transformer(Crossing):
    """Predict every next symbol of a target from those before it, and from the whole source.

    Args:
        config: the shape.
        source_vocabulary: V of the source.
        target_vocabulary: V of the target.
        longest: the most steps (S, T) of a source and of a target.
        rngs: the stream ``params`` initialises the weights.

    Example:
        >>> model = Transformer(TransformerConfig(features=8, heads=2, layers=1), 7, 5, (9, 6), rngs=nnx.Rngs(0))
        >>> seen = model.encode(jnp.array([[3, 4, 6]]), mask=jnp.array([[True, True, False]]))
        >>> states, ys = model.decode(jnp.array([[0, 1]]), seen)
        >>> model.score(ys).shape
        (1, 2, 5)
    """

    def __init__(
        self,
        config: TransformerConfig,
        source_vocabulary: int,
        target_vocabulary: int,
        longest: tuple[int, int],
        *,
        rngs: nnx.Rngs,
    ):
        width = config.features
        if config.joint and source_vocabulary != target_vocabulary:
            raise InputError(
                f"Transformer: one embedding for both sides needs one vocabulary, but the source has "
                f"{source_vocabulary} symbols and the target {target_vocabulary}. Try joint=False."
            )
        if min(longest) < 1:
            raise InputError(f"Transformer: `longest` should be at least 1 step a side, but it is {longest}.")
        self.longest = longest
        vectors = functools.partial(Embedding, features=width, scale=width**-0.5, rngs=rngs)
        if config.joint:
            self.shared = vectors(target_vocabulary)
        else:
            self.source, self.target = vectors(source_vocabulary), vectors(target_vocabulary)
        self.joint, self.scale = config.joint, width**0.5  # section 3.4 of the paper
        self.encoder = Side(config, longest[0], decoder=False, rngs=rngs)
        self.decoder = Side(config, longest[1], decoder=True, rngs=rngs)
        self.head = None if config.tied else Linear(width, target_vocabulary, rngs=rngs)

    def encode(self, source: Array, *, mask: Array, segments: Array | None = None, keys=None) -> Encoded:
        """Read a source (B, S).

        Args:
            source: symbols in [0, V).
            mask: (B, S), True on real symbols.
            segments: (B, S) numbers of documents, from 1 on, in order.
            keys: (B,) random keys, one a row; None switches dropout off.
        """
        reset = None if segments is None else firsts(segments, mask)
        xs = (self.shared if self.joint else self.source)(jnp.where(mask, source, 0)) * self.scale
        xs = self.encoder.placed(xs, mask=mask, reset=reset)
        return Encoded(self.encoder(xs, mask=mask, reset=reset, keys=keys)[1], mask, segments)

    @property
    def outward(self) -> Embedding:
        """The vectors of the target's symbols."""
        return self.shared if self.joint else self.target


def transformer(
    config: TransformerConfig, source_vocabulary: int, target_vocabulary: int, longest: tuple[int, int]
) -> PairModel:
    """A Transformer as pure functions.

    ``logits`` with ``sampled`` above 0, or traced, makes two passes of the decoder: the first reads the true target,
    the second reads in place of each symbol, with that probability, the one the first found most likely there. When
    decoding, a target of T symbols ends: after them id 0 has probability 1.

    Args:
        config: its shape.
        source_vocabulary: V of the source.
        target_vocabulary: V of the target.
        longest: the most real steps (S, T) of a source and of ``inputs``. Padding may make arrays longer, and so may
            packing.

    Example:
        >>> model = transformer(TransformerConfig(features=8, heads=2, layers=1), 7, 5, (9, 6))
        >>> ids, real = jnp.array([[0, 1, 2]]), jnp.ones((1, 3), bool)
        >>> batch = {"source": ids, "source_mask": real, "inputs": ids, "mask": real}
        >>> import jax
        >>> params = model.init(jax.random.key(0))
        >>> model.logits(params, batch, None, 0.0).shape, list(model.align(params, batch))
        ((1, 3, 5), ['layer 1 head 1', 'layer 1 head 2'])
    """

    def make(rngs: nnx.Rngs) -> Transformer:
        return Transformer(config, source_vocabulary, target_vocabulary, longest, rngs=rngs)

    return crossing(make, config.layers, config.heads, longest)

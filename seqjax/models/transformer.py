"""The Transformer: an encoder that reads the whole source, a decoder that looks at it from every layer.

B batch, S source time, T target time, D features, N heads, V vocabulary, L layers.
Sources: Vaswani et al. (2017), Attention Is All You Need; Xiong et al. (2020) for pre-norm; Press & Wolf (2017) for
tied embeddings.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from seqjax.checks import InputError
from seqjax.decoding import Decodable
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
    unstacked,
)
from seqjax.models.pair_model import PairModel
from seqjax.models.pure import pure
from seqjax.models.scheduled_sampling import firsts, mix
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
        places = count_positions(mask, (len(xs), xs.shape[1]), reset=reset, count=count)
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


class Transformer(nnx.Module):
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

    def decode(
        self, ids: Array, memory, *, state=None, count: Array | None = None, mask=None, segments=None, keys=None
    ):
        """Read ids (B, T) of a target; return the states, and what the last layer says of each, (B, T, D).

        Args:
            ids: symbols in [0, V).
            memory: what :meth:`encode` or :meth:`remember` gave.
            state: what :meth:`start` or an earlier call returned, to go on from there.
            count: (B,) symbols read before, with ``state``.
            mask: (B, T), True on real symbols.
            segments: (B, T) numbers of documents, as of the source.
            keys: (B,) random keys, one a row; None switches dropout off.
        """
        xs, how = self._given(ids, mask, segments, count)
        return self.decoder(xs, memory=memory, state=state, keys=keys, **how)

    def score(self, ys: Array) -> Array:
        """Unnormalised log-probabilities (*B, V) from features (*B, D)."""
        return self.outward.attend(ys) if self.head is None else self.head(ys)

    @property
    def outward(self) -> Embedding:
        """The vectors of the target's symbols."""
        return self.shared if self.joint else self.target

    def looked(self, ids: Array, memory, *, mask=None, segments=None) -> Array:
        """How much each step of the target looks at each of the source: (L, B, N, T, S)."""
        xs, how = self._given(ids, mask, segments, None)
        return self.decoder.deep.weights(xs, memory=memory, **how)[1]

    def remember(self, memory: Encoded) -> tuple:
        """The source as every layer of the decoder sees it, for as many calls of :meth:`decode` as there will be."""
        return self.decoder.deep.remember(memory)

    def start(self, rows: int) -> tuple:
        """What the decoder's layers remember before the first symbol."""
        return self.decoder.deep.start(rows, self.longest[1], self.outward.table[...].dtype)

    def _given(self, ids: Array, mask, segments, count) -> tuple[Array, dict]:
        """What the decoder's blocks read, and what they need to know of it."""
        reset = None if segments is None else firsts(segments, mask)
        xs = self.outward(ids if mask is None else jnp.where(mask, ids, 0)) * self.scale
        xs = self.decoder.placed(xs, mask=mask, reset=reset, count=count)
        return xs, {"mask": mask, "reset": reset, "segments": segments}


class Writing(NamedTuple):
    """A target while it is made."""

    layers: tuple  # L caches, leaves (B, ...)
    read: Array  # (B,) int32, symbols read so far


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
        >>> params = model.init(jax.random.key(0))
        >>> model.logits(params, batch, None, 0.0).shape, list(model.align(params, batch))
        ((1, 3, 5), ['layer 1 head 1', 'layer 1 head 2'])
    """
    init, apply = pure(lambda rngs: Transformer(config, source_vocabulary, target_vocabulary, longest, rngs=rngs))

    def encode(params, batch, keys=None):
        segments = batch.get("source_segments")
        return apply(params, batch["source"], mask=batch["source_mask"], segments=segments, keys=keys, method="encode")

    def logits(params, batch, keys, sampled):
        memory, how = encode(params, batch, fold(keys, 0)), {"mask": batch["mask"], "segments": batch.get("segments")}

        def read(ids, keys):
            ys = apply(params, ids, memory, keys=keys, method="decode", **how)[1]
            return apply(params, ys, method="score")

        ids = batch["inputs"]
        if not isinstance(sampled, int | float) or sampled > 0:
            if keys is None:
                raise InputError("transformer: `sampled` above 0 needs random `keys`, one a row, but they are None.")
            likely = jnp.argmax(jax.lax.stop_gradient(read(ids, fold(keys, 1))), axis=-1)
            ids = mix(ids, likely, batch["mask"], batch.get("segments"), sampled, keys)
        return read(ids, fold(keys, 2))

    def align(params, batch):
        how = {"mask": batch["mask"], "segments": batch.get("segments")}
        looked = apply(params, batch["inputs"], encode(params, batch), method="looked", **how)
        names = np.ndindex(config.layers, config.heads)
        return {f"layer {layer + 1} head {head + 1}": looked[layer, :, head] for layer, head in names}

    return PairModel(init, logits, _decodable(apply, longest[1]), align, longest)


def _decodable(apply, capacity: int) -> Decodable:
    """The decoder, a step at a time, to the engine."""

    def prepare(params):
        sides = ("encoder", "decoder")
        return params | {side: params[side] | {"deep": unstacked(params[side]["deep"])} for side in sides}

    def start(weights, inputs):
        encoded = apply(weights, inputs["source"], mask=inputs["source_mask"], method="encode")
        rows = len(inputs["source"])
        layers = apply(weights, rows, method="start")
        return apply(weights, encoded, method="remember"), Writing(layers, jnp.zeros(rows, jnp.int32))

    def advance(weights, memory, state, last):
        how = {"state": state.layers, "count": state.read}
        layers, ys = apply(weights, last[:, None], memory, method="decode", **how)
        scores = apply(weights, ys[:, 0], method="score")
        ended = jnp.where(jnp.arange(scores.shape[-1]) == 0, 0.0, -jnp.inf).astype(scores.dtype)
        full = state.read >= capacity
        return Writing(layers, state.read + 1), jnp.where(full[:, None], ended, scores)

    return Decodable(start, advance, prepare)

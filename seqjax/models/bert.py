"""BERT: an encoder that reads left and right at once, and fills in what was masked.

B batch, T time, M masked places, D features, V vocabulary, L layers.
Source: Devlin et al. (2019), BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.checks import InputError, check_count, check_share
from seqjax.layers import Block, Deep, Embedding, LayerNorm, Linear, SelfAttention, count_positions
from seqjax.layers.attention import head_sizes
from seqjax.models.pure import pure
from seqjax.ops.dropout import dropout, fold
from seqjax.ops.gelu import gelu
from seqjax.ops.positions import sinusoidal

EPSILON = 1e-12  # of every normalisation
SEGMENTS = 2  # [CLS] A [SEP] is 0, B [SEP] is 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class BertConfig:
    """The shape of an encoder of post-norm blocks.

    Example:
        >>> BertConfig(features=768, layers=12, heads=12).hidden
        0
        >>> BertConfig(dropout=1.0)
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: BertConfig: `dropout` should lie in [0, 1), but it is 1.0.
    """

    features: int = 128  # D, the width of the residual stream; a multiple of heads
    layers: int = 4  # L, blocks on top of each other
    heads: int = 4  # of attention
    hidden: int = 0  # inner width of the feed-forward networks; 0: 4 times the features
    dropout: float = 0.1  # probability of zeroing an activation, or a weight of attention
    remat: bool = False  # compute activations again for the gradient: less memory, more time

    def __post_init__(self):
        head_sizes("BertConfig", self.features, self.heads, None)
        for name, least in (("layers", 1), ("hidden", 0)):
            if getattr(self, name) < least:
                raise InputError(f"BertConfig: `{name}` should be at least {least}, but it is {getattr(self, name)}.")
        check_share("BertConfig", "dropout", self.dropout)


class BERT(nnx.Module):
    """Features of every token from all others, and of the whole from the first.

    The vectors of positions are learned, but begin as sinusoids: from random ones a small model takes several times
    as many steps before it finds its way to a token's neighbours. All weights begin in proportion to the width.

    Args:
        config: the shape.
        vocabulary: V.
        longest: the most real tokens of a row.
        rngs: the stream ``params`` initialises the weights.

    Example:
        >>> model = BERT(BertConfig(features=8, layers=2, heads=2), 11, 16, rngs=nnx.Rngs(0))
        >>> mask = jnp.array([[True, True, True, False]])
        >>> ys = model(jnp.array([[8, 3, 9, 0]]), mask=mask)
        >>> ys.shape, model.pool(ys, mask).shape
        ((1, 4, 8), (1, 8))
    """

    def __init__(self, config: BertConfig, vocabulary: int, longest: int, *, rngs: nnx.Rngs):
        check_count("BERT", "longest", longest, unit="token")
        width, self.config, self.longest = config.features, config, longest
        scale = width**-0.5
        self.tokens = Embedding(vocabulary, width, scale=scale, rngs=rngs)
        self.positions = Embedding(longest, width, rngs=rngs)
        self.positions.table[...] = sinusoidal(jnp.arange(longest), width) * scale * 2**0.5
        self.segments = Embedding(SEGMENTS, width, scale=scale, rngs=rngs)
        self.norm = LayerNorm(width, epsilon=EPSILON)
        self.deep = Deep(lambda rngs: block(config, rngs), config.layers, remat=config.remat, rngs=rngs)
        self.pooler = Linear(width, width, rngs=rngs)

    def __call__(self, ids: Array, *, mask: Array, segments: Array | None = None, keys: Array | None = None) -> Array:
        """Map ids (B, T) to features (B, T, D), zero where masked.

        Args:
            ids: tokens in [0, V).
            mask: (B, T), True on real tokens.
            segments: (B, T), 0 in the first text and 1 in the second; None: one text.
            keys: (B,) random keys, one a row; None switches dropout off.
        """
        real = mask[..., None]
        xs = self.tokens(jnp.where(mask, ids, 0)) + self.positions(count_positions(mask, ids.shape))
        xs = xs + self.segments(jnp.zeros_like(ids) if segments is None else jnp.where(mask, segments, 0))
        xs = dropout(jnp.where(real, self.norm(xs), 0), self.config.dropout, fold(keys, 0))
        return self.deep(xs, mask=mask, keys=fold(keys, 1))[1]

    def pool(self, ys: Array, mask: Array) -> Array:
        """Features (B, D) of whole rows, in [−1, 1], from those of their first real tokens; ``ys`` (B, T, D)."""
        first = jnp.argmax(mask, axis=1)[:, None, None]
        return jnp.tanh(self.pooler(jnp.take_along_axis(ys, first, axis=1)[:, 0]))


class MaskedBERT(nnx.Module):
    """BERT, and the two heads of its training: which token was masked, and whether one text follows the other.

    Args:
        config: the shape.
        vocabulary: V.
        longest: the most real tokens of a row.
        rngs: the stream ``params`` initialises the weights.
    """

    def __init__(self, config: BertConfig, vocabulary: int, longest: int, *, rngs: nnx.Rngs):
        self.bert = BERT(config, vocabulary, longest, rngs=rngs)
        self.transform = Linear(config.features, config.features, rngs=rngs)
        self.norm = LayerNorm(config.features, epsilon=EPSILON)
        self.bias = nnx.Param(jnp.zeros((vocabulary,)))
        self.relation = Linear(config.features, 2, rngs=rngs)

    def read(self, batch, keys: Array | None = None) -> Array:
        """Features (B, T, D) of ``tokens``; see :func:`bert` for what is in a batch."""
        return self.bert(batch["tokens"], mask=batch["mask"], segments=batch.get("segments"), keys=keys)

    def score(self, ys: Array) -> Array:
        """Unnormalised log-probabilities (*B, V) from features (*B, D), by the embedding of the tokens."""
        scores = self.bert.tokens.attend(self.norm(gelu(self.transform(ys))))
        return scores + jax.lax.broadcast_to_rank(self.bias[...], scores.ndim)

    def relate(self, ys: Array, mask: Array) -> Array:
        """Logits (B, 2): the second text follows the first, or it stood elsewhere; from features (B, T, D)."""
        return self.relation(self.bert.pool(ys, mask))


def block(config: BertConfig, rngs: nnx.Rngs) -> Block:
    """One layer: attention to all tokens, a network, a normalisation after each."""
    mixer = SelfAttention(config.features, config.heads, causal=False, dropout=config.dropout, rngs=rngs)
    return Block(
        mixer, config.features, config.hidden or 4 * config.features,
        place="post", activation="gelu", dropout=config.dropout, epsilon=EPSILON, rngs=rngs,
    )  # fmt: skip


class MaskedModel(NamedTuple):
    """A model of masked tokens as pure functions. Made by :func:`bert`."""

    init: Callable[[Array], Any]  # key -> params
    read: Callable[..., Array]  # (params, batch, keys=None) -> features (B, T, D)
    score: Callable[[Any, Array], Array]  # (params, features (*B, D)) -> logits (*B, V)
    relate: Callable[[Any, Array, Array], Array]  # (params, features (B, T, D), mask (B, T)) -> logits (B, 2)
    longest: int  # real tokens of a row, at most


def bert(config: BertConfig, vocabulary: int, longest: int) -> MaskedModel:
    """BERT as pure functions of its parameters; those of the encoder itself stand below the key ``bert``.

    A batch has ``tokens`` (B, T), ``mask`` (B, T), True on real tokens, and, where there are two texts in a row,
    ``segments`` (B, T), 0 and 1.

    Args:
        config: its shape.
        vocabulary: V.
        longest: the most real tokens of a row; padding may make arrays longer.

    Example:
        >>> model = bert(BertConfig(features=8, layers=1, heads=2), 11, 16)
        >>> params, mask = model.init(jax.random.key(0)), jnp.ones((2, 5), bool)
        >>> ys = model.read(params, {"tokens": jnp.ones((2, 5), int), "mask": mask})
        >>> at(model.score(params, ys), jnp.array([[3], [0]])).shape, model.relate(params, ys, mask).shape
        ((2, 1, 11), (2, 2))
    """
    init, apply = pure(lambda rngs: MaskedBERT(config, vocabulary, longest, rngs=rngs))

    def read(params, batch, keys=None):
        return apply(params, batch, keys, method="read")

    def score(params, ys):
        return apply(params, ys, method="score")

    def relate(params, ys, mask):
        return apply(params, ys, mask, method="relate")

    return MaskedModel(init, read, score, relate, longest)


def at(ys: Array, places: Array) -> Array:
    """What stands at some places of each row: (B, T, D) and (B, M) to (B, M, D).

    Example:
        >>> at(jnp.arange(6.0).reshape(2, 3, 1), jnp.array([[2, 0], [1, 1]]))[..., 0].tolist()
        [[2.0, 0.0], [4.0, 4.0]]
    """
    return jnp.take_along_axis(ys, places[..., None], axis=1)

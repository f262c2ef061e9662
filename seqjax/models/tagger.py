"""A tag for every token: vectors of words, a reader over them, and scores of tags, each alone or all in a row.

B rows, T steps, E features of a word, M features that the encoder gives, K tags.
Sources: Huang, Xu & Yu (2015), Bidirectional LSTM-CRF Models for Sequence Tagging; Lample et al. (2016), Neural
Architectures for Named Entity Recognition; Ma & Hovy (2016) for characters by convolution.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.checks import InputError, check_count
from seqjax.layers import Linear, Parameters
from seqjax.models.pure import pure
from seqjax.models.reading import AttentionReaderConfig, RecurrentReaderConfig, make_reader
from seqjax.models.tcn import ConvolutionReaderConfig
from seqjax.models.word_features import WordFeatures, WordFeaturesConfig
from seqjax.ops import crf
from seqjax.ops.dropout import fold
from seqjax.ops.losses import token_cross_entropy


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaggerConfig:
    """What every tagger has."""

    words: WordFeaturesConfig = WordFeaturesConfig(embedding=50, character_features=100, dropout=0.5)
    crf: bool = True  # score whole sequences of tags; else every tag by itself


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentTaggerConfig(TaggerConfig):
    """Recurrent layers over words."""

    reader: RecurrentReaderConfig = RecurrentReaderConfig(features=100, dropout=0.5)
    delay: int = 0  # steps that are read on before a token's tag is decided, where the reader goes one way

    def __post_init__(self):
        check_count("model", "delay", self.delay, least=0, unit="steps")
        if self.delay and self.reader.bidirectional:
            raise InputError(
                f"model: `delay` {self.delay} lets a reader that goes one way see what comes next, but this one reads "
                "both ways. Try --model.reader.no-bidirectional beside it."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionTaggerConfig(TaggerConfig):
    """The encoder of a Transformer over words."""

    words: WordFeaturesConfig = WordFeaturesConfig(embedding=50, character_features=100, dropout=0.2)
    reader: AttentionReaderConfig = AttentionReaderConfig(positions="rotary")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvolutionTaggerConfig(TaggerConfig):
    """A temporal convolutional network over words, which sees those before."""

    reader: ConvolutionReaderConfig = ConvolutionReaderConfig()


class WordReader(nnx.Module):
    """The encoder of words: their vectors, and a reader over them.

    Args:
        config: the shapes.
        words: V, word ids there are.
        characters: character ids there are.
        frozen: leave the vectors of words as they are.
        longest: the most steps, where positions are learned.
        rngs: the stream ``params`` initialises the weights.

    Attributes:
        out_features: M.

    Example:
        >>> config = RecurrentTaggerConfig(words=WordFeaturesConfig(embedding=4, characters="none"))
        >>> encoder = nnx.eval_shape(lambda: WordReader(config, 9, 0, rngs=nnx.Rngs(0)))
        >>> encoder.features.out_features, encoder.out_features
        (4, 200)
    """

    def __init__(
        self, config, words: int, characters: int, *, frozen: bool = False, longest: int = 512, rngs: nnx.Rngs
    ):
        self.features = WordFeatures(config.words, words, characters, frozen=frozen, rngs=rngs)
        self.reader = make_reader(config.reader, self.features.out_features, longest=longest, rngs=rngs)
        self.out_features = self.reader.out_features
        self.delay = getattr(config, "delay", 0)

    def __call__(self, batch, keys: Array | None = None) -> Array:
        """Map a batch to (B, T, M), zero where masked."""
        xs = self.features(batch, fold(keys, 0))
        return read_on(self.reader, xs, batch["mask"], self.delay, fold(keys, 1))


def read_on(reader, xs: Array, mask: Array, delay: int, keys: Array | None = None) -> Array:
    """What a reader says of each step after it has read ``delay`` real steps more; after the last there are zeros.

    Args:
        reader: maps (B, T, E) to (B, T, M).
        xs: (B, T, E).
        mask: (B, T), True on real steps.
        delay: steps.
        keys: (B,) random keys, one a row; None switches dropout off.

    Returns:
        (B, T, M): in row t what the reader gave ``delay`` real steps after step t.

    Source:
        Graves & Schmidhuber (2005), Framewise Phoneme Classification with Bidirectional LSTM, section 2, target delay.
    """
    if not delay:
        return reader(xs, mask=mask, keys=keys)
    longer = jnp.pad(mask, ((0, 0), (0, delay)), constant_values=True)
    ys = reader(jnp.pad(xs, ((0, 0), (0, delay), (0, 0))), mask=longer, keys=keys)
    real_first = jnp.argsort(~longer, axis=1, stable=True)  # (B, T + delay), places of real steps in order
    number = jnp.maximum(jnp.cumsum(mask, axis=1) - 1, 0)  # of each real step among the real ones
    place = jnp.take_along_axis(real_first, number + delay, axis=1)
    return jnp.where(mask[..., None], jnp.take_along_axis(ys, place[..., None], axis=1), 0)


class Tagger(nnx.Module):
    """Scores of tags from what an encoder says of every token.

    Args:
        encoder: maps ``(batch, keys)`` to (B, T, M); it has ``out_features``.
        tags: K.
        chained: score transitions between tags too.
        rngs: the stream ``params`` initialises the weights.
    """

    def __init__(self, encoder, tags: int, *, chained: bool, rngs: nnx.Rngs):
        self.encoder = encoder
        self.head = Linear(encoder.out_features, tags, rngs=rngs)
        sizes = (tags,), (tags, tags), (tags,)
        self.transitions = Parameters(crf.Transitions(*(jnp.zeros(size) for size in sizes))) if chained else None

    def __call__(self, batch, keys: Array | None = None) -> tuple[Array, Any]:
        """Map a batch to emissions (B, T, K) and transitions, which are None where tags stand by themselves."""
        emissions = self.head(self.encoder(batch, keys))
        return emissions, None if self.transitions is None else self.transitions.values()


class TagModel(NamedTuple):
    """A tagger as pure functions.

    Attributes:
        init: ``key -> params``.
        nats: ``(params, batch, keys) -> −Σ log p(tags)`` over the real tokens of ``batch["tags"]`` (B, T), a scalar.
        decode: ``(params, batch) -> (B, T) int32``, the likeliest tags: of the whole sequence (Viterbi), or each alone.
        scores: ``(params, batch, keys) -> (emissions (B, T, K), transitions)``; None without a CRF.
    """

    init: Callable[[Any], Any]
    nats: Callable[..., Array]
    decode: Callable[..., Array]
    scores: Callable[..., tuple[Array, crf.Transitions | None]]


def tagger(
    make_encoder: Callable[[nnx.Rngs], Any], tags: int, *, legal: crf.Transitions | None = None, chained: bool = True
) -> TagModel:
    """A tagger around any encoder.

    Args:
        make_encoder: builds a module that maps ``(batch, keys)`` to (B, T, M) and has ``out_features``, M.
        tags: K.
        legal: booleans, which tags may come first, after one another, and last; None: all may.
        chained: a conditional random field over the tags; else a softmax for each.

    Example:
        >>> import jax
        >>> config = RecurrentTaggerConfig(words=WordFeaturesConfig(embedding=4, characters="none"))
        >>> model = tagger(lambda rngs: WordReader(config, 9, 0, rngs=rngs), 3)
        >>> batch = {"words": jnp.array([[3, 8]]), "mask": jnp.array([[True, True]]), "tags": jnp.array([[0, 2]])}
        >>> shapes = jax.eval_shape(model.init, jax.random.key(0))
        >>> jax.eval_shape(model.decode, shapes, batch).shape, jax.eval_shape(model.nats, shapes, batch).shape
        ((1, 2), ())
    """
    init, apply = pure(lambda rngs: Tagger(make_encoder(rngs), tags, chained=chained, rngs=rngs))

    def scores(params, batch, keys=None):
        emissions, transitions = apply(params, batch, keys)
        if transitions is not None and legal is not None:
            transitions = crf.forbid(transitions, legal)
        return emissions, transitions

    def nats(params, batch, keys=None):
        emissions, transitions = scores(params, batch, keys)
        if transitions is None:
            return token_cross_entropy(emissions, batch["tags"], batch["mask"])[0]
        return -crf.log_likelihood(emissions, batch["tags"], transitions, batch["mask"]).sum()

    def decode(params, batch):
        emissions, transitions = scores(params, batch)
        if transitions is None:
            return jnp.where(batch["mask"], emissions.argmax(axis=-1).astype(jnp.int32), 0)
        return crf.viterbi(emissions, transitions, batch["mask"])[0]

    return TagModel(init, nats, decode, scores)

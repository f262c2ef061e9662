"""ELMo: a language model from the left and one from the right, whose layers are the vectors of words in their context.

B rows, T words, C characters of a word, P features of a direction, L layers with the words' own, D = 2P, V words.
Source: Peters et al. (2018), Deep Contextualized Word Representations.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax import cells
from seqjax.checks import check_count, check_share
from seqjax.layers import Linear, Recurrent
from seqjax.models.character_words import SpelledWords, SpellingConfig
from seqjax.models.pure import pure
from seqjax.ops.dropout import dropout, fold

BOUNDARIES = 2  # symbols behind the words: the beginning of a sentence, and its end


@dataclasses.dataclass(frozen=True, kw_only=True)
class ElmoConfig:
    """The shape of both language models."""

    spelling: SpellingConfig = SpellingConfig()
    features: int = 128  # P, width of a word's vector and of every layer, of each direction
    hidden: int = 256  # width of the memory of every layer, which is projected to the features
    layers: int = 2  # recurrent layers of each direction
    dropout: float = 0.1  # probability of zeroing an activation, before every layer and after the last

    def __post_init__(self):
        for name in ("features", "hidden", "layers"):
            check_count("ElmoConfig", name, getattr(self, name))
        check_share("ElmoConfig", "dropout", self.dropout)


class Direction(nnx.Module):
    """Projected LSTMs on top of each other, all in one direction; from the second on, a layer's input is added to it.

    Args:
        config: the shape.
        reverse: read right to left.
        rngs: the stream ``params`` initialises the weights.
    """

    def __init__(self, config: ElmoConfig, *, reverse: bool, rngs: nnx.Rngs):
        cell = cells.lstm_projected(projection=config.features)
        self.dropout = config.dropout
        self.layers: nnx.List = nnx.List([])
        for _ in range(config.layers):
            self.layers.append(Recurrent(cell, config.features, config.hidden, reverse=reverse, rngs=rngs))

    def __call__(self, xs: Array, *, mask: Array, keys: Array | None = None) -> list[Array]:
        """What each layer says of ``xs`` (B, T, P): as many arrays of that shape, zero where masked."""
        found: list[Array] = []
        for number, layer in enumerate(self.layers):
            _, ys = layer(dropout(xs, self.dropout, fold(keys, number)), mask=mask)
            xs = ys + xs if number else ys
            found.append(xs)
        return found


class ELMo(nnx.Module):
    """Vectors of words in their sentence. Nothing is carried from one sentence to the next.

    The model from the left reads the beginning of the sentence first, the one from the right its end.

    Args:
        config: the shape.
        characters: how many character ids there are, without the 0 for nothing.
        rngs: the stream ``params`` initialises the weights.

    Attributes:
        out_features: D.
        depth: L.

    Example:
        >>> model = ELMo(ElmoConfig(features=4, hidden=8), 9, rngs=nnx.Rngs(0))
        >>> batch = {"characters": jnp.array([[[5, 0], [6, 7], [0, 0]]]), "mask": jnp.array([[True, True, False]])}
        >>> model(batch).shape
        (1, 3, 3, 8)
    """

    def __init__(self, config: ElmoConfig, characters: int, *, rngs: nnx.Rngs):
        self.dropout = config.dropout
        self.words = SpelledWords(config.spelling, characters, config.features, rngs=rngs)
        self.boundaries = nnx.Param(jax.random.normal(rngs.params(), (BOUNDARIES, config.features)))
        self.forward = Direction(config, reverse=False, rngs=rngs)
        self.backward = Direction(config, reverse=True, rngs=rngs)
        self.out_features, self.depth = 2 * config.features, config.layers + 1

    def __call__(self, batch, keys: Array | None = None) -> Array:
        """Map ``characters`` (B, T, C) and ``mask`` (B, T) to (B, L, T, D), zero where masked.

        Layer 0 knows a word's characters alone, twice. Of the others, the first P features know of the words before
        too, the last P of those behind.
        """
        words, forward, backward = self.read(batch, keys)
        both = [jnp.concatenate(pair, axis=-1) for pair in zip(forward, backward, strict=True)]
        return jnp.stack([jnp.concatenate([words, words], axis=-1), *(pair[:, 1:-1] for pair in both)], axis=1)

    def read(self, batch, keys: Array | None = None) -> tuple[Array, list[Array], list[Array]]:
        """Words (B, T, P), and what the layers of both directions say of boundary, words, boundary: (B, T + 2, P)."""
        mask = batch["mask"]
        words = self.words(jnp.where(mask[..., None], batch["characters"], 0))
        words = jnp.where(mask[..., None], words, 0)
        some, (first, last) = mask.any(axis=1, keepdims=True), jnp.split(self.boundaries[...], 2)
        edge = [jnp.where(some[..., None], vector[None], 0).astype(words.dtype) for vector in (first, last)]
        unread = jnp.zeros_like(edge[0])
        from_left = self.forward(
            jnp.concatenate([edge[0], words], axis=1), mask=jnp.concatenate([some, mask], axis=1), keys=fold(keys, 0)
        )
        from_right = self.backward(
            jnp.concatenate([words, edge[1]], axis=1), mask=jnp.concatenate([mask, some], axis=1), keys=fold(keys, 1)
        )
        return (
            words,
            [jnp.concatenate([ys, unread], axis=1) for ys in from_left],
            [jnp.concatenate([unread, ys], axis=1) for ys in from_right],
        )


class BidirectionalLanguageModel(nnx.Module):
    """ELMo, and the scores of words that both directions share.

    Args:
        config: the shape.
        vocabulary: V.
        characters: how many character ids there are, without the 0 for nothing.
        rngs: the stream ``params`` initialises the weights.
    """

    def __init__(self, config: ElmoConfig, vocabulary: int, characters: int, *, rngs: nnx.Rngs):
        self.vocabulary = vocabulary
        self.elmo = ELMo(config, characters, rngs=rngs)
        self.head = Linear(config.features, vocabulary + BOUNDARIES, rngs=rngs)

    def features(self, batch, keys: Array | None = None) -> Array:
        """See :class:`ELMo`."""
        return self.elmo(batch, keys)

    def predict(self, batch, keys: Array | None = None) -> dict[str, tuple[Array, Array, Array]]:
        """See :class:`ElmoModel`."""
        _, forward, backward = self.elmo.read(batch, fold(keys, 0))
        mask, some = batch["mask"], batch["mask"].any(axis=1, keepdims=True)
        after, before = neighbours(batch["words"], mask, self.vocabulary)

        def scores(ys, number):
            return self.head(dropout(ys, self.elmo.dropout, fold(keys, number)))

        return {
            "forward": (scores(forward[-1][:, :-1], 1), after, jnp.concatenate([some, mask], axis=1)),
            "backward": (scores(backward[-1][:, 1:], 2), before, jnp.concatenate([mask, some], axis=1)),
        }


def neighbours(words: Array, mask: Array, first: int) -> tuple[Array, Array]:
    """The real word after the beginning of each sentence and after each place, and the one before each and its end.

    Args:
        words: (B, T) ids.
        mask: (B, T), True on real words, wherever they stand.
        first: what stands before the first word; one more is what stands behind the last.

    Returns:
        Two arrays (B, T + 1): what the model from the left is to say, and the one from the right.

    Example:
        >>> mask = jnp.array([[True, True, False]])
        >>> [ids.tolist() for ids in neighbours(jnp.array([[5, 6, 0]]), mask, 9)]
        [[[5, 6, 10, 10]], [[9, 5, 6, 6]]]
    """
    time, places = words.shape[1], jnp.arange(words.shape[1])
    after = jax.lax.cummin(jnp.where(mask, places, time), axis=1, reverse=True)
    before = jax.lax.cummax(jnp.where(mask, places, -1), axis=1)
    around = jnp.pad(words, ((0, 0), (1, 1)), constant_values=((0, 0), (first, first + 1)))
    at = jnp.pad(after, ((0, 0), (0, 1)), constant_values=time), jnp.pad(before, ((0, 0), (1, 0)), constant_values=-1)
    return tuple(jnp.take_along_axis(around, place + 1, axis=1) for place in at)  # type: ignore[return-value]


class ElmoModel(NamedTuple):
    """Both language models as pure functions. Made by :func:`elmo`.

    Attributes:
        init: ``key -> params``; those of the vectors alone stand below the key ``elmo``.
        read: ``(params, batch, keys=None) -> (B, L, T, D)``; see :class:`ELMo`.
        predict: ``(params, batch, keys=None) -> {"forward": …, "backward": …}``, each logits (B, T + 1, V + 2), targets
            and mask (B, T + 1): from the left the first place says the first word, from the right the last place the
            last one. The last two symbols are a sentence's beginning and its end.
    """

    init: Callable[[Array], Any]
    read: Callable[..., Array]
    predict: Callable[..., dict[str, tuple[Array, Array, Array]]]


def elmo(config: ElmoConfig, vocabulary: int, characters: int) -> ElmoModel:
    """ELMo as pure functions of its parameters.

    A batch has ``words`` (B, T), ids to predict, ``characters`` (B, T, C), 0 after the last of each word, and ``mask``
    (B, T), True on real words.

    Args:
        config: its shape.
        vocabulary: V.
        characters: how many character ids there are, without the 0 for nothing.

    Example:
        >>> model = elmo(ElmoConfig(features=4, hidden=8), 7, 9)
        >>> words = jnp.ones((2, 3), int)
        >>> batch = {"words": words, "characters": jnp.ones((2, 3, 5), int), "mask": words > 0}
        >>> logits, targets, mask = model.predict(model.init(jax.random.key(0)), batch)["forward"]
        >>> logits.shape, targets[0].tolist()
        ((2, 4, 9), [1, 1, 1, 8])
    """
    init, apply = pure(lambda rngs: BidirectionalLanguageModel(config, vocabulary, characters, rngs=rngs))

    def read(params, batch, keys=None):
        return apply(params, batch, keys, method="features")

    def predict(params, batch, keys=None):
        return apply(params, batch, keys, method="predict")

    return ElmoModel(init, read, predict)

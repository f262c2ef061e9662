"""Words as vectors made of their characters alone, so that no word is unknown.

B rows, T words, C characters of a word, E features of a character, P features of a word.
"""

import dataclasses
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.checks import InputError, check_choice
from seqjax.layers import Embedding, Linear
from seqjax.layers.highway import Highway
from seqjax.models.word_features import CharacterLSTM

Spelling = Literal["cnn", "lstm"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpellingConfig:
    """How the characters of a word become its vector."""

    kind: Spelling = "cnn"  # cnn: windows of characters; lstm: read from both ends
    embedding: int = 16  # E, width of a character's vector
    widths: tuple[int, ...] = (1, 2, 3, 4, 5)  # cnn: characters that windows see
    filters: tuple[int, ...] = (16, 32, 48, 64, 64)  # cnn: features of the windows of each width
    features: int = 128  # lstm: features of both directions together
    highways: int = 1  # highway layers on top

    def __post_init__(self):
        check_choice("SpellingConfig", "kind", self.kind, get_args(Spelling))
        if len(self.widths) != len(self.filters) or not self.widths or min(*self.widths, *self.filters) < 1:
            raise InputError(
                f"SpellingConfig: there should be as many `filters` as `widths`, each at least 1, but they are "
                f"{self.filters} and {self.widths}."
            )
        if self.embedding < 1 or self.highways < 0:
            raise InputError(
                f"SpellingConfig: `embedding` should be at least 1 and `highways` at least 0, but they are "
                f"{self.embedding} and {self.highways}."
            )
        if self.features < 2 or self.features % 2:
            raise InputError(
                f"SpellingConfig: two directions share `features`, so it should be even, but it is {self.features}."
            )


class CharacterFilters(nnx.Module):
    """Windows of several widths over a word's characters, between a mark of its beginning and one of its end.

    Of every feature, the largest value of all windows counts, rectified.

    Args:
        symbols: ids of characters, 0 for nothing included.
        config: the shape.
        rngs: the stream ``params`` initialises the weights.

    Source:
        Kim et al. (2016), Character-Aware Neural Language Models, section 2.2.

    Example:
        >>> filters = CharacterFilters(9, SpellingConfig(widths=(1, 3), filters=(2, 4)), rngs=nnx.Rngs(0))
        >>> filters(jnp.array([[5, 6, 0], [0, 0, 0]])).shape
        (2, 6)
    """

    def __init__(self, symbols: int, config: SpellingConfig, *, rngs: nnx.Rngs):
        self.symbols, self.widths = symbols, config.widths
        self.embedding = Embedding(symbols + 2, config.embedding, scale=1.0, rngs=rngs)  # and both marks
        self.filters: nnx.List = nnx.List([])
        for width, features in zip(config.widths, config.filters, strict=True):
            self.filters.append(Linear(width * config.embedding, features, rngs=rngs))
        self.out_features = sum(config.filters)

    def __call__(self, ids: Array) -> Array:
        """Map ids (*B, C), 0 after the last character, to (*B, F); a word without characters to those of its marks."""
        ids = marked(ids, self.symbols)
        real = (ids > 0)[..., None]
        xs, length = jnp.where(real, self.embedding(ids), 0), ids.shape[-1]
        room = [(0, 0)] * (xs.ndim - 2) + [(0, max(self.widths) - 1), (0, 0)]
        padded = jnp.pad(xs, room)
        found = []
        for width, filters in zip(self.widths, self.filters, strict=True):
            windows = jnp.concatenate([padded[..., i : i + length, :] for i in range(width)], axis=-1)
            found.append(jnp.where(real, filters(windows), 0).max(axis=-2))  # 0: what rectifies
        return jnp.maximum(jnp.concatenate(found, axis=-1), 0)


def marked(ids: Array, symbols: int) -> Array:
    """Characters with a mark, ``symbols``, before the first and another, ``symbols + 1``, behind the last.

    Args:
        ids: (*B, C), 0 after the last.
        symbols: one more than the largest id.

    Returns:
        (*B, C + 2).

    Example:
        >>> marked(jnp.array([5, 6, 0]), 9).tolist()
        [9, 5, 6, 10, 0]
    """
    wide = jnp.pad(ids, [(0, 0)] * (ids.ndim - 1) + [(1, 1)])
    end = (ids > 0).sum(axis=-1, keepdims=True) + 1
    place = jax.lax.broadcast_to_rank(jnp.arange(wide.shape[-1]), wide.ndim)
    return jnp.where(place == 0, symbols, jnp.where(place == end, symbols + 1, wide))


class SpelledWords(nnx.Module):
    """Vectors (*B, P) of words from their characters (*B, C): filters or an LSTM, highways, and a linear map.

    Args:
        config: the shape.
        characters: how many ids there are, without the 0 for nothing.
        features: P.
        rngs: the stream ``params`` initialises the weights.

    Source:
        Peters et al. (2018), Deep Contextualized Word Representations, section 3.4.

    Example:
        >>> words = SpelledWords(SpellingConfig(), 8, 4, rngs=nnx.Rngs(0))
        >>> words(jnp.array([[[5, 6, 0], [8, 0, 0]]])).shape
        (1, 2, 4)
    """

    def __init__(self, config: SpellingConfig, characters: int, features: int, *, rngs: nnx.Rngs):
        if config.kind == "cnn":
            self.reader: nnx.Module = CharacterFilters(characters + 1, config, rngs=rngs)
            width = self.reader.out_features
        else:
            self.reader, width = (
                CharacterLSTM(characters + 1, config.embedding, config.features, rngs=rngs),
                config.features,
            )
        self.highway = Highway(width, layers=config.highways, rngs=rngs)
        self.narrow = Linear(width, features, rngs=rngs)

    def __call__(self, ids: Array) -> Array:
        """Map ids (*B, C), 0 after the last character of each word, to (*B, P)."""
        return self.narrow(self.highway(self.reader(ids)))

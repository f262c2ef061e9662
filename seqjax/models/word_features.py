"""Words as vectors: one of the word, one of its characters.

B rows, T words, C characters of a word, E features of a word, F features of its characters.
"""

import dataclasses
from typing import Literal, get_args

import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax import cells
from seqjax.checks import InputError, check_choice, check_count, check_share
from seqjax.layers import Embedding, Frozen, Linear, Stack
from seqjax.ops.dropout import dropout

Characters = Literal["none", "cnn", "lstm"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class WordFeaturesConfig:
    """How a word becomes a vector."""

    embedding: int = 100  # width of a word's own vector; a file of vectors brings its own width
    characters: Characters = "cnn"  # how its spelling is read: cnn, lstm or none
    character_embedding: int = 30  # width of a character's vector
    character_features: int = 50  # F, what its spelling adds to the word's vector
    character_width: int = 3  # characters that a convolution sees at once
    dropout: float = 0.3  # probability of zeroing a feature of the vector

    def __post_init__(self):
        check_choice("WordFeaturesConfig", "characters", self.characters, get_args(Characters))
        for name in ("embedding", "character_embedding", "character_features", "character_width"):
            check_count("WordFeaturesConfig", name, getattr(self, name))
        check_share("WordFeaturesConfig", "dropout", self.dropout)
        if self.characters == "lstm" and self.character_features % 2:
            raise InputError(
                f"WordFeaturesConfig: two directions share `character_features`, so it should be even, "
                f"but it is {self.character_features}."
            )


class CharacterCNN(nnx.Module):
    """Windows of characters, one linear map over each, and the largest value of every feature.

    Args:
        symbols: how many ids there are, 0 for nothing included.
        embedding: width of a character's vector.
        features: F.
        width: characters in a window.
        rngs: the stream ``params`` initialises the weights.

    Source:
        Ma & Hovy (2016), End-to-end Sequence Labeling via Bi-directional LSTM-CNNs-CRF, section 2.1.
    """

    def __init__(self, symbols: int, embedding: int, features: int, width: int, *, rngs: nnx.Rngs):
        self.width = width
        self.embedding = Embedding(symbols, embedding, scale=1.0, rngs=rngs)
        self.filters = Linear(width * embedding, features, rngs=rngs)

    def __call__(self, ids: Array) -> Array:
        """Map ids (*B, C), 0 after the last character, to (*B, F); a word without characters to zeros."""
        real = (ids > 0)[..., None]
        xs = jnp.where(real, self.embedding(ids), 0)
        before = (self.width - 1) // 2
        sides = [(0, 0)] * (xs.ndim - 2) + [(before, self.width - 1 - before), (0, 0)]
        padded, length = jnp.pad(xs, sides), xs.shape[-2]
        windows = jnp.concatenate([padded[..., i : i + length, :] for i in range(self.width)], axis=-1)
        found = jnp.where(real, self.filters(windows), -jnp.inf).max(axis=-2)
        return jnp.where(real.any(axis=-2), found, 0)


class CharacterLSTM(nnx.Module):
    """The last states of an LSTM from the left and of one from the right.

    Args:
        symbols: how many ids there are, 0 for nothing included.
        embedding: width of a character's vector.
        features: F, even.
        rngs: the stream ``params`` initialises the weights.

    Source:
        Lample et al. (2016), Neural Architectures for Named Entity Recognition, section 4.1.
    """

    def __init__(self, symbols: int, embedding: int, features: int, *, rngs: nnx.Rngs):
        self.embedding = Embedding(symbols, embedding, scale=1.0, rngs=rngs)
        self.stack = Stack(cells.LSTM, embedding, features // 2, bidirectional=True, rngs=rngs)

    def __call__(self, ids: Array) -> Array:
        """Map ids (*B, C), 0 after the last character, to (*B, F)."""
        (ends,), _ = self.stack(self.embedding.read(ids), mask=ids > 0)
        return jnp.concatenate([end.hidden for end in ends], axis=-1)


class WordFeatures(nnx.Module):
    """Words as vectors (B, T, E).

    Args:
        config: the shape.
        words: V, word ids there are.
        characters: ids of characters there are, without the 0 for nothing.
        frozen: leave the vectors of words as they are.
        rngs: the stream ``params`` initialises the weights.

    Attributes:
        out_features: E.

    Example:
        >>> features = WordFeatures(WordFeaturesConfig(embedding=4, character_features=2), 9, 5, rngs=nnx.Rngs(0))
        >>> batch = {"words": jnp.array([[3, 8]]), "characters": jnp.array([[[1, 5, 0], [2, 0, 0]]])}
        >>> features(batch | {"mask": jnp.array([[True, True]])}).shape
        (1, 2, 6)
    """

    def __init__(
        self, config: WordFeaturesConfig, words: int, characters: int, *, frozen: bool = False, rngs: nnx.Rngs
    ):
        self.dropout = config.dropout
        table = Embedding(words, config.embedding, scale=config.embedding**-0.5, rngs=rngs)
        self.words: nnx.Module = Frozen(table) if frozen else table
        shape = (characters + 1, config.character_embedding, config.character_features)
        self.characters: nnx.Module | None = {
            "cnn": lambda: CharacterCNN(*shape, config.character_width, rngs=rngs),
            "lstm": lambda: CharacterLSTM(*shape, rngs=rngs),
            "none": lambda: None,
        }[config.characters]()
        self.out_features = config.embedding + (config.character_features if self.characters is not None else 0)

    def __call__(self, batch, keys: Array | None = None) -> Array:
        """Map ``words`` (B, T), ``characters`` (B, T, C) and ``mask`` (B, T) to (B, T, E), zero where masked.

        ``keys`` (B,) are the rows' own random keys; None switches dropout off.
        """
        mask = batch["mask"]
        xs = self.words(jnp.where(mask, batch["words"], 0))
        if self.characters is not None:
            spelling = self.characters(jnp.where(mask[..., None], batch["characters"], 0))
            xs = jnp.concatenate([xs, spelling], axis=-1)
        return dropout(jnp.where(mask[..., None], xs, 0), self.dropout, keys)

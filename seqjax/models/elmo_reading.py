"""ELMo as features of a classifier or a tagger: a mix of its layers beside the words' own vectors, and a reader.

B rows, T words, D features of ELMo, E features of the words' own vectors, M features of what the reader gives.
Source: Peters et al. (2018), section 3.3.
"""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.layers import Frozen
from seqjax.layers.highway import ScalarMix
from seqjax.models.elmo import ELMo, ElmoConfig
from seqjax.models.reading import make_reader
from seqjax.models.tagger import read_on
from seqjax.ops.dropout import dropout, fold


class ElmoVectors(nnx.Module):
    """One vector of each word in its sentence: a learned mix of the layers of an ELMo.

    Args:
        shape: of the ELMo to start from.
        characters: how many character ids it knows.
        dropout: probability of zeroing a feature of the mix.
        frozen: leave the ELMo as it is, and drop nothing in it; the mix is learned all the same.
        rngs: the stream ``params`` initialises the weights.

    Attributes:
        out_features: D.

    Example:
        >>> vectors = ElmoVectors(ElmoConfig(features=4, hidden=8), 9, rngs=nnx.Rngs(0))
        >>> vectors({"spelling": jnp.ones((1, 3, 5), int), "mask": jnp.ones((1, 3), bool)}).shape
        (1, 3, 8)
    """

    def __init__(
        self, shape: ElmoConfig, characters: int, *, dropout: float = 0.0, frozen: bool = False, rngs: nnx.Rngs
    ):
        elmo = ELMo(shape, characters, rngs=rngs)
        self.elmo: Any = Frozen(elmo) if frozen else elmo
        self.mix = ScalarMix(elmo.depth)
        self.dropout, self.is_frozen, self.out_features = dropout, frozen, elmo.out_features

    def __call__(self, batch, keys: Array | None = None) -> Array:
        """Map ``spelling`` (B, T, C), 0 after the last character of a word, and ``mask`` to (B, T, D)."""
        read = {"characters": batch["spelling"], "mask": batch["mask"]}
        layers = self.elmo(read, None if self.is_frozen else fold(keys, 0))
        return dropout(self.mix(layers), self.dropout, fold(keys, 1))


class ElmoReader(nnx.Module):
    """The encoder: ELMo's vectors and the words' own, side by side, and a reader over them.

    Args:
        features: the words' own vectors: maps ``(batch, keys)`` to (B, T, E), and has ``out_features``.
        vectors: :class:`ElmoVectors`.
        reader: the configuration of a reader.
        delay: steps that the reader reads on before it speaks of one.
        longest: the most steps, where positions are learned.
        rngs: the stream ``params`` initialises the weights.

    Attributes:
        out_features: M.
        backward: how many of the M features, the last ones, read from right to left.
    """

    def __init__(self, features, vectors: ElmoVectors, reader, *, delay: int = 0, longest: int = 512, rngs: nnx.Rngs):
        self.features, self.vectors, self.delay = features, vectors, delay
        self.reader = make_reader(reader, features.out_features + vectors.out_features, longest=longest, rngs=rngs)
        self.out_features, self.backward = self.reader.out_features, self.reader.backward

    def __call__(self, batch, keys: Array | None = None) -> Array:
        """Map a batch to (B, T, M), zero where masked."""
        xs = jnp.concatenate([self.features(batch, fold(keys, 0)), self.vectors(batch, fold(keys, 1))], axis=-1)
        return read_on(self.reader, xs, batch["mask"], self.delay, fold(keys, 2))

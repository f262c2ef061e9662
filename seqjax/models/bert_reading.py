"""BERT as the encoder of a classifier or a tagger: texts, or words cut into pieces, to vectors.

B rows, T steps, P pieces of a word at most, D features.
Source: Devlin et al. (2019), section 3.2 (fine-tuning) and 5.3 (features).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.layers import Frozen
from seqjax.models.bert import BERT, BertConfig


class BertSizes(NamedTuple):
    """What a trained BERT is like."""

    shape: BertConfig
    vocabulary: int  # V
    longest: int  # real tokens of a row, at most
    cls: int  # id that begins a row
    sep: int  # id that ends a text


class BertReader(nnx.Module):
    """What both encoders hold: BERT, to be trained on or left as it is.

    Args:
        sizes: of the run to start from.
        frozen: leave its parameters as they are, and drop nothing.
        rngs: the stream ``params`` initialises the weights.

    Attributes:
        out_features: D.
        backward: 0, no feature is read from right to left alone.
    """

    def __init__(self, sizes: BertSizes, *, frozen: bool = False, rngs: nnx.Rngs):
        bert = BERT(sizes.shape, sizes.vocabulary, sizes.longest, rngs=rngs)
        self.bert: Any = Frozen(bert) if frozen else bert
        self.sizes, self.is_frozen = sizes, frozen
        self.out_features, self.backward = sizes.shape.features, 0

    def read(self, ids: Array, mask: Array, keys: Array | None) -> Array:
        """Features (B, T, D) of ids (B, T), zero where masked."""
        return self.bert(ids, mask=mask, keys=None if self.is_frozen else keys)


class TextBERT(BertReader):
    """Texts to vectors of their tokens.

    Args:
        sizes: of the run to start from.
        pooled: put the pooled vector of the whole text in the place of its first token.
        frozen: leave BERT as it is.
        rngs: the stream ``params`` initialises the weights.

    Example:
        >>> sizes = BertSizes(BertConfig(features=8, layers=1, heads=2), 11, 16, 8, 9)
        >>> encoder = TextBERT(sizes, rngs=nnx.Rngs(0))
        >>> encoder({"tokens": jnp.array([[8, 3, 9]]), "mask": jnp.ones((1, 3), bool)}).shape
        (1, 3, 8)
    """

    def __init__(self, sizes: BertSizes, *, pooled: bool = False, frozen: bool = False, rngs: nnx.Rngs):
        super().__init__(sizes, frozen=frozen, rngs=rngs)
        self.pooled = pooled

    def __call__(self, batch, keys: Array | None = None) -> Array:
        """Map ``tokens`` (B, T), [CLS] and [SEP] among them, and ``mask`` (B, T) to (B, T, D), zero where masked."""
        mask = batch["mask"]
        ys = self.read(batch["tokens"], mask, keys)
        if not self.pooled:
            return ys
        bert = self.bert.frozen if self.is_frozen else self.bert
        whole = bert.pool(ys, mask)
        whole = jax.lax.stop_gradient(whole) if self.is_frozen else whole
        first = mask & (jnp.cumsum(mask, axis=1) == 1)
        return jnp.where(first[..., None], whole[:, None], ys)


class WordBERT(BertReader):
    """Words to vectors: each is cut into pieces, all of them are read, and its first one stands for it.

    Example:
        >>> sizes = BertSizes(BertConfig(features=8, layers=1, heads=2), 11, 16, 8, 9)
        >>> encoder = WordBERT(sizes, rngs=nnx.Rngs(0))
        >>> batch = {"pieces": jnp.array([[[3, 0], [4, 5]]]), "mask": jnp.ones((1, 2), bool)}
        >>> encoder(batch).shape
        (1, 2, 8)
    """

    def __call__(self, batch, keys: Array | None = None) -> Array:
        """Map ``pieces`` (B, T, P), 0 where there is none, and ``mask`` (B, T) to (B, T, D), zero where masked.

        A row's pieces, with [CLS] and [SEP], are as many as the model has positions for, or less.
        """
        mask = batch["mask"]
        pieces = jnp.where(mask[..., None], batch["pieces"], 0)
        ids, real, firsts = join_pieces(pieces, mask, self.sizes)
        ys = jnp.take_along_axis(self.read(ids, real, keys), firsts[..., None], axis=1)
        return jnp.where(mask[..., None], ys, 0)


def join_pieces(pieces: Array, mask: Array, sizes: BertSizes) -> tuple[Array, Array, Array]:
    """``(ids, real, firsts)``: the pieces of each row side by side, between [CLS] and [SEP].

    Args:
        pieces: (B, T, P) ids, 0 where there is none.
        mask: (B, T), True on real words, each of which has a piece.
        sizes: the ids of [CLS] and [SEP], and the most tokens of a row.

    Returns:
        ids (B, S) and real (B, S), S the most tokens there may be; firsts (B, T), where each word's first piece is.

    Example:
        >>> sizes = BertSizes(BertConfig(), 11, 6, 8, 9)
        >>> ids, real, firsts = join_pieces(jnp.array([[[3, 0], [4, 5]]]), jnp.ones((1, 2), bool), sizes)
        >>> ids.tolist(), real.tolist(), firsts.tolist()
        ([[8, 3, 4, 5, 9, 0]], [[True, True, True, True, True, False]], [[1, 2]])
    """
    rows = len(pieces)
    ends = [jnp.full((rows, 1), symbol, pieces.dtype) for symbol in (sizes.cls, sizes.sep)]
    whole = jnp.concatenate([ends[0], pieces.reshape(rows, -1), ends[1]], axis=1)
    time = min(whole.shape[1], sizes.longest)
    order = jnp.argsort(whole == 0, axis=1, stable=True)[:, :time]
    ids = jnp.take_along_axis(whole, order, axis=1)
    counts = (pieces != 0).sum(axis=2)
    firsts = 1 + jnp.cumsum(counts, axis=1) - counts
    return ids, ids != 0, jnp.where(mask, jnp.minimum(firsts, time - 1), 0).astype(jnp.int32)

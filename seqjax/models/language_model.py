"""A recurrent language model: embed, recur, score every symbol.

Sources: Mikolov et al. (2010), Recurrent Neural Network Based Language Model; Zaremba, Sutskever & Vinyals
(2014) for the shape with dropout around every layer; Press & Wolf (2017) for tied weights.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax import cells
from seqjax.checks import check_choice, check_count, check_share
from seqjax.layers import Embedding, Linear, Stack
from seqjax.ops.dropout import dropout, fold


@dataclasses.dataclass(frozen=True, kw_only=True)
class LanguageModelConfig:
    """The shape of a recurrent language model."""

    cell: str = "lstm"  # which recurrence; a wrong name lists them all
    features: int = 256  # H, width of every recurrent layer
    layers: int = 1  # recurrent layers on top of each other
    embedding: int = 0  # E, width of a symbol's vector; 0: as wide as the features
    dropout: float = 0.0  # probability of zeroing an activation, around every layer
    embedding_dropout: float | None = None  # probability of zeroing a feature of a symbol's vector; None: as `dropout`
    tied: bool = False  # score symbols with their own embedding
    residual: bool = False  # add each layer's input to its output
    learn_initial: bool = False  # learn the state that documents start from

    def __post_init__(self):
        check_choice("LanguageModelConfig", "cell", self.cell, cells.BY_NAME)
        for name, least in (("features", 1), ("layers", 1), ("embedding", 0)):
            check_count("LanguageModelConfig", name, getattr(self, name), least)
        for name in ("dropout", "embedding_dropout"):
            check_share("LanguageModelConfig", name, getattr(self, name) or 0)


class TiedHead(nnx.Module):
    """What remains of the output layer when its kernel is the embedding: a bias a symbol (V,)."""

    def __init__(self, vocabulary: int):
        self.bias = nnx.Param(jnp.zeros((vocabulary,)))

    def __call__(self, scores: Array) -> Array:
        """Add the bias to scores (*B, T, V)."""
        return scores + jax.lax.broadcast_to_rank(self.bias[...], scores.ndim)


class RecurrentLanguageModel(nnx.Module):
    """Predict every next symbol from all that came before.

    Args:
        config: the shape.
        vocabulary: V.
        rngs: the stream ``params`` initialises the weights.

    Example:
        >>> model = RecurrentLanguageModel(LanguageModelConfig(features=8), 5, rngs=nnx.Rngs(0))
        >>> state, logits = model(jnp.array([[0, 1, 2]]))
        >>> logits.shape
        (1, 3, 5)
    """

    def __init__(self, config: LanguageModelConfig, vocabulary: int, *, rngs: nnx.Rngs):
        width = config.embedding or config.features
        self.dropout = config.dropout
        self.embedding_dropout = config.dropout if config.embedding_dropout is None else config.embedding_dropout
        self.embedding = Embedding(vocabulary, width, scale=0.1 if config.tied else 1.0, rngs=rngs)
        self.stack = Stack(
            cells.BY_NAME[config.cell], width, config.features,
            layers=config.layers, dropout=config.dropout, residual=config.residual,
            learn_initial=config.learn_initial, rngs=rngs,
        )  # fmt: skip
        wide = self.stack.out_features
        self.narrow = Linear(wide, width, rngs=rngs) if config.tied and wide != width else None
        self.head = TiedHead(vocabulary) if config.tied else Linear(wide, vocabulary, rngs=rngs)

    def features(self, ids: Array, *, state=None, mask=None, reset=None, keys=None, weights=None, **how):
        """Read ids (*B, T); return the carried state and what the last layer says of each, (*B, T, H)."""
        ids = ids if mask is None else jnp.where(mask, ids, 0)  # whatever stands behind a mask
        if weights is None:
            xs = self.embedding.read(ids, self.embedding_dropout, fold(keys, 0))
        else:
            xs = self.embedding.symbols(ids) if cells.reads_symbols(weights[0]) else self.embedding(ids)
        state, ys = self.stack(xs, state=state, mask=mask, reset=reset, keys=fold(keys, 1), weights=weights, **how)
        return state, dropout(ys, self.dropout, fold(keys, 2))

    def make_ready(self, *, symbols: bool):
        """The recurrent layers' weights, prepared once for many calls; ``symbols``: and each symbol's products."""
        return self.stack.make_ready(self.embedding.table[...] if symbols else None)

    def score(self, ys: Array) -> Array:
        """Unnormalised log-probabilities (*B, T, V) from features (*B, T, H)."""
        if isinstance(self.head, Linear):
            return self.head(ys)
        return self.head(self.embedding.attend(ys if self.narrow is None else self.narrow(ys)))

    def __call__(self, ids: Array, *, state=None, mask=None, reset=None, keys=None, **how):
        """Map ids (*B, T) to ``(state, logits)``, logits (*B, T, V).

        Args:
            ids: symbols in [0, V).
            state: what an earlier call returned, to go on from there.
            mask: (*B, T), True on real symbols.
            reset: (*B, T), True on the first symbol of a document.
            keys: (*B,) random keys, one a row; None switches dropout off.
            how: ``weights``, what :meth:`make_ready` gave; and what else ``unroll`` takes (``method``, ``remat``).
        """
        state, ys = self.features(ids, state=state, mask=mask, reset=reset, keys=keys, **how)
        return state, self.score(ys)

    def start(self, batch_shape: tuple[int, ...], dtype=jnp.float32):
        """The state before the first symbol."""
        return self.stack.start(batch_shape, dtype)

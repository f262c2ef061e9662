"""One class for a whole sequence: vectors of its steps, pooled into one, and a score for every class.

B rows, T steps, E features of a symbol, M features that the encoder gives, A features of attention, K classes.
Sources: Schuster & Paliwal (1997) and Graves & Schmidhuber (2005) for two directions; Joulin et al. (2017), Bag of
Tricks for Efficient Text Classification, for no recurrence and for n-grams; Yang et al. (2016) for pooling by
attention; Howard & Ruder (2018), Universal Language Model Fine-tuning for Text Classification, for several poolings
side by side.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.checks import InputError, check_choice, check_share
from seqjax.layers import Embedding, Frozen, Linear
from seqjax.models.pure import pure
from seqjax.models.reading import AttentionReaderConfig, BagReaderConfig, RecurrentReaderConfig, make_reader
from seqjax.models.tcn import ConvolutionReaderConfig
from seqjax.ops import pooling
from seqjax.ops.dropout import dropout, fold
from seqjax.ops.ngrams import hashed_ngrams

POOLINGS = (*pooling.POOLINGS, "first")
FEW = 1000  # symbols: of these, each is seen so often that it may start far from the others


def _check_probabilities(where: str, **values: float) -> None:
    for name, value in values.items():
        check_share(where, name, value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PoolingConfig:
    """From vectors of steps to scores of classes."""

    pooling: str = "max"  # last, mean, max, sum, attention, first (the first steps side by side), or several: max+mean
    window: int = 16  # steps that pooling by `first` sees
    attention: int = 64  # A, inner width of pooling by attention
    hidden: int = 0  # features of a layer between pooling and scores; 0: none
    dropout: float = 0.5  # probability of zeroing a feature of what is pooled, and of the hidden layer

    def __post_init__(self):
        where = type(self).__name__
        for name in self.poolings:
            check_choice(where, "pooling", name, POOLINGS)
        for name, least in (("window", 1), ("attention", 1), ("hidden", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{where}: `{name}` should be at least {least}, but it is {getattr(self, name)}.")
        _check_probabilities(where, dropout=self.dropout)

    @property
    def poolings(self) -> tuple[str, ...]:
        """What is laid side by side."""
        return tuple(self.pooling.split("+"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SymbolsConfig:
    """From symbols to vectors."""

    embedding: int = 64  # E, width of a symbol's vector; a file of vectors brings its own width
    scale: float = 0.0  # deviation of first vectors, before attention over √E; 0: 1 of few symbols, 0.1 beyond 1,000
    embedding_dropout: float = 0.0  # probability of zeroing a feature of a symbol's vector
    symbol_dropout: float = 0.0  # probability of reading a symbol as an unknown one while training
    ngrams: int = 1  # 2 to so many symbols side by side have a vector too; 1: none; 0: up to 3 if they are characters
    ngram_rows: int = 20_000  # vectors of n-grams, which share them by chance where there are more of them

    def __post_init__(self):
        where = type(self).__name__
        for name, least in (("embedding", 1), ("ngrams", 0), ("ngram_rows", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{where}: `{name}` should be at least {least}, but it is {getattr(self, name)}.")
        if not 0 <= self.scale < 100:
            raise InputError(f"{where}: `scale` should be at least 0, but it is {self.scale}. Try 0.1.")
        _check_probabilities(where, embedding_dropout=self.embedding_dropout, symbol_dropout=self.symbol_dropout)

    def of(self, kind: str) -> "SymbolsConfig":
        """The same with its n-grams settled for a kind of symbol: few data show a triple of words twice.

        Example:
            >>> SymbolsConfig(ngrams=0).of("char").ngrams, SymbolsConfig(ngrams=0).of("word").ngrams
            (3, 1)
        """
        if self.ngrams:
            return self
        return dataclasses.replace(self, ngrams=3 if kind in ("char", "byte") else 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """What every classifier of symbols has."""

    symbols: SymbolsConfig = SymbolsConfig()
    output: PoolingConfig = PoolingConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentClassifierConfig(ClassifierConfig):
    """Recurrent layers over symbols."""

    reader: RecurrentReaderConfig = RecurrentReaderConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class BagClassifierConfig(ClassifierConfig):
    """Vectors of symbols and nothing that mixes them: their mean, sum or largest, or the first side by side."""

    reader: BagReaderConfig = BagReaderConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvolutionClassifierConfig(ClassifierConfig):
    """A temporal convolutional network over symbols."""

    reader: ConvolutionReaderConfig = ConvolutionReaderConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionClassifierConfig(ClassifierConfig):
    """The encoder of a Transformer over symbols."""

    reader: AttentionReaderConfig = AttentionReaderConfig()


class SymbolReader(nnx.Module):
    """The encoder of symbols: their vectors, and a reader over them.

    Args:
        config: the shapes.
        vocabulary: V.
        unknown: the id that a symbol is read as when it is dropped.
        frozen: leave the vectors of symbols as they are.
        longest: the most steps, where positions are learned.
        rngs: the stream ``params`` initialises the weights.

    Attributes:
        out_features: M.
        backward: how many of the M features, the last ones, read from right to left.

    Example:
        >>> encoder = SymbolReader(BagClassifierConfig(symbols=SymbolsConfig(embedding=4)), 9, rngs=nnx.Rngs(0))
        >>> encoder({"symbols": jnp.array([[3, 8]]), "mask": jnp.array([[True, False]])}).shape
        (1, 2, 4)
    """

    def __init__(
        self, config, vocabulary: int, *, unknown: int = 0, frozen: bool = False, longest: int = 512, rngs: nnx.Rngs
    ):
        self.config, self.unknown = config.symbols, unknown
        width = config.symbols.embedding
        scale = config.symbols.scale or (1.0 if vocabulary <= FEW else 0.1)
        table = Embedding(vocabulary, width, scale=scale * (width**-0.5 if wide(config) else 1.0), rngs=rngs)
        self.embedding: Any = Frozen(table) if frozen else table
        rows = config.symbols.ngram_rows if config.symbols.ngrams > 1 else 0
        self.ngrams = Embedding(rows, width, scale=0.0, rngs=rngs) if rows else None
        self.reader = make_reader(config.reader, width, longest=longest, rngs=rngs)
        self.out_features, self.backward = self.reader.out_features, self.reader.backward

    def __call__(self, batch, keys: Array | None = None) -> Array:
        """Map ``symbols`` (B, T) and ``mask`` (B, T) to (B, T, M), zero where masked."""
        mask = batch["mask"]
        ids = jnp.where(mask, batch["symbols"], 0)
        if keys is not None and self.config.symbol_dropout:
            kept = dropout(jnp.ones(ids.shape), self.config.symbol_dropout, fold(keys, 0)) > 0
            ids = jnp.where(kept, ids, self.unknown)
        xs = self.embedding(ids)
        if self.ngrams is not None:
            xs += self.ngrams(hashed_ngrams(ids, mask, self.config.ngrams, self.config.ngram_rows)).sum(axis=-2)
        xs = dropout(xs, self.config.embedding_dropout, fold(keys, 1))
        return self.reader(xs, mask=mask, keys=fold(keys, 2))


def wide(config) -> bool:
    """Whether the first vectors are shorter by the root of their width, about 1 long in all, as a Transformer's."""
    return isinstance(config.reader, AttentionReaderConfig)


class Classifier(nnx.Module):
    """Scores of classes from what an encoder says of every step.

    Args:
        encoder: maps ``(batch, keys)`` to (B, T, M); it has ``out_features`` and ``backward``.
        classes: K.
        config: pooling, and what follows.
        rngs: the stream ``params`` initialises the weights.
    """

    def __init__(self, encoder, classes: int, config: PoolingConfig, *, rngs: nnx.Rngs):
        self.encoder, self.config = encoder, config
        width = encoder.out_features
        attends = "attention" in config.poolings
        self.inner = Linear(width, config.attention, rngs=rngs) if attends else None
        self.query = Linear(config.attention, 1, rngs=rngs) if attends else None
        width *= sum(config.window if how == "first" else 1 for how in config.poolings)
        self.hidden = Linear(width, config.hidden, rngs=rngs) if config.hidden else None
        self.head = Linear(config.hidden or width, classes, rngs=rngs)

    def __call__(self, batch, keys: Array | None = None) -> Array:
        """Map a batch to scores (B, K)."""
        xs = dropout(self.pool(self.encoder(batch, fold(keys, 0)), batch["mask"]), self.config.dropout, fold(keys, 1))
        if self.hidden is not None:
            xs = dropout(jax.nn.relu(self.hidden(xs)), self.config.dropout, fold(keys, 2))
        return self.head(xs)

    def pool(self, xs: Array, mask: Array) -> Array:
        """One vector a row: (B, T, M) to (B, M), of the first steps to (B, window · M); several stand side by side."""
        return jnp.concatenate([self._pooled(how, xs, mask) for how in self.config.poolings], axis=-1)

    def _pooled(self, how: str, xs: Array, mask: Array) -> Array:
        if how == "last":
            return pooling.pool_last(xs, mask, self.encoder.backward)
        if how == "first":
            return pooling.pool_first(xs, mask, self.config.window)
        if how == "attention":
            return pooling.pool_attention(xs, self.scores(xs), mask)
        return {"mean": pooling.pool_mean, "max": pooling.pool_max, "sum": pooling.pool_sum}[how](xs, mask)

    def scores(self, xs: Array) -> Array:
        """How much pooling by attention is drawn to each step: (B, T, M) to (B, T)."""
        if self.inner is None or self.query is None:
            raise InputError(
                f"Classifier: pooling by {self.config.pooling} looks at no step more than at others. Try attention."
            )
        return self.query(jnp.tanh(self.inner(xs)))[..., 0]

    def look(self, batch) -> Array:
        """What pooling by attention looks at: (B, T), each row sums to 1."""
        return pooling.attention_weights(self.scores(self.encoder(batch)), batch["mask"])


class ClassModel(NamedTuple):
    """A classifier as pure functions.

    Attributes:
        init: ``key -> params``.
        logits: ``(params, batch, keys) -> (B, K)``.
        look: ``(params, batch) -> (B, T)``, the weights of pooling by attention; None where there is none.
    """

    init: Callable[[Any], Any]
    logits: Callable[..., Array]
    look: Callable[..., Array] | None


def classifier(make_encoder: Callable[[nnx.Rngs], Any], classes: int, config: PoolingConfig) -> ClassModel:
    """A classifier around any encoder.

    A batch has ``mask`` (B, T), True on real steps, and what the encoder reads.

    Args:
        make_encoder: builds a module that maps ``(batch, keys)`` to (B, T, M) and has ``out_features``, M, and
            ``backward``, how many of them read from right to left.
        classes: K.
        config: pooling, and what follows.

    Example:
        >>> config = BagClassifierConfig(symbols=SymbolsConfig(embedding=4))
        >>> model = classifier(lambda rngs: SymbolReader(config, 9, rngs=rngs), 3, config.output)
        >>> batch = {"symbols": jnp.array([[3, 8]]), "mask": jnp.array([[True, False]])}
        >>> model.logits(model.init(jax.random.key(0)), batch).shape, model.look
        ((1, 3), None)
    """
    init, apply = pure(lambda rngs: Classifier(make_encoder(rngs), classes, config, rngs=rngs))

    def logits(params, batch, keys=None):
        return apply(params, batch, keys)

    def look(params, batch):
        return apply(params, batch, method="look")

    return ClassModel(init, logits, look if "attention" in config.poolings else None)

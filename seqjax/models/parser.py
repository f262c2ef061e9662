"""A dependency parser: vectors of words, a reader over them, and biaffine scores of heads and of relations.

B rows, T words, M features that the reader gives, D features of a word as a dependent or as a head, L relations.
Source: Dozat & Manning (2017), Deep Biaffine Attention for Neural Dependency Parsing.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.checks import check_count, check_share
from seqjax.layers import Linear, Parameters
from seqjax.models.pure import pure
from seqjax.models.reading import RecurrentReaderConfig, make_reader
from seqjax.models.word_features import WordFeatures, WordFeaturesConfig
from seqjax.ops.biaffine import ArcWeights, LabelWeights, arc_scores, label_scores, take_heads
from seqjax.ops.dropout import dropout, fold


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParserConfig:
    """The shape of a parser."""

    words: WordFeaturesConfig = WordFeaturesConfig(dropout=0.2)
    reader: RecurrentReaderConfig = RecurrentReaderConfig(features=128, layers=2, dropout=0.2)
    arc_features: int = 128  # D, of a word as a dependent and as a head, where heads are scored
    label_features: int = 48  # D, where relations are scored
    dropout: float = 0.2  # probability of zeroing one of these features

    def __post_init__(self):
        for name in ("arc_features", "label_features"):
            check_count("model", name, getattr(self, name))
        check_share("model", "dropout", self.dropout)


class Parsed(NamedTuple):
    """What the parser says of a sentence before a tree is chosen."""

    arcs: Array  # (B, T, T+1), see seqjax.ops.biaffine.arc_scores
    dependents: Array  # (B, T, D), words as dependents, for their relations
    heads: Array  # (B, T+1, D), the root and words as heads, for the relations of others


class Parser(nnx.Module):
    """Score heads and relations of the words of sentences.

    Args:
        config: the shape.
        words: V, word ids there are.
        characters: character ids there are, without the 0 for nothing.
        labels: L.
        frozen: leave the vectors of words as they are.
        rngs: the stream ``params`` initialises the weights.
    """

    def __init__(
        self, config: ParserConfig, words: int, characters: int, labels: int, *, frozen: bool = False, rngs: nnx.Rngs
    ):
        self.dropout = config.dropout
        self.features = WordFeatures(config.words, words, characters, frozen=frozen, rngs=rngs)
        self.reader = make_reader(config.reader, self.features.out_features, rngs=rngs)
        width, arcs, relations = self.reader.out_features, config.arc_features, config.label_features
        self.root = nnx.Param(jax.random.normal(rngs.params(), (width,)) * 0.1)
        self.arc_dependent = Linear(width, arcs, rngs=rngs)
        self.arc_head = Linear(width, arcs, rngs=rngs)
        self.label_dependent = Linear(width, relations, rngs=rngs)
        self.label_head = Linear(width, relations, rngs=rngs)
        even = jax.nn.initializers.glorot_uniform()
        each = jax.nn.initializers.glorot_uniform(in_axis=0, out_axis=2, batch_axis=1)
        self.arcs = Parameters(ArcWeights(even(rngs.params(), (arcs, arcs)), jnp.zeros((arcs,))))
        sides = even(rngs.params(), (relations, labels)), even(rngs.params(), (relations, labels))
        kernel = each(rngs.params(), (relations, labels, relations))
        self.labels = Parameters(LabelWeights(kernel, *sides, jnp.zeros((labels,))))

    def __call__(self, batch, keys: Array | None = None) -> Parsed:
        """Read a batch: ``words`` (B, T), ``characters`` (B, T, C), ``mask`` (B, T).

        ``keys`` (B,) are the rows' own random keys; None switches dropout off.
        """
        mask = batch["mask"]
        ys = self.reader(self.features(batch, fold(keys, 0)), mask=mask, keys=fold(keys, 1))
        root = jnp.broadcast_to(self.root[...], (ys.shape[0], 1, ys.shape[-1])).astype(ys.dtype)
        rooted = jnp.concatenate([root, ys], axis=1)

        def side(layer: Linear, xs: Array, number: int) -> Array:
            return dropout(jax.nn.leaky_relu(layer(xs), 0.1), self.dropout, fold(keys, number))

        arcs = arc_scores(self.arcs.values(), side(self.arc_dependent, ys, 2), side(self.arc_head, rooted, 3), mask)
        return Parsed(arcs, side(self.label_dependent, ys, 4), side(self.label_head, rooted, 5))

    def relate(self, parsed: Parsed, heads: Array, mask: Array) -> Array:
        """Score every relation of each word to the head that ``heads`` (B, T), in [0, T], gives it: (B, T, L)."""
        chosen = take_heads(parsed.heads, heads, mask)
        return label_scores(self.labels.values(), parsed.dependents, chosen, mask)


class ParserModel(NamedTuple):
    """A parser as pure functions.

    Attributes:
        init: ``key -> params``.
        read: ``(params, batch, keys) -> Parsed``.
        relate: ``(params, parsed, heads (B, T), mask (B, T)) -> (B, T, L)``, scores of relations.
    """

    init: Callable[[Array], Any]
    read: Callable[..., Parsed]
    relate: Callable[..., Array]


def parser(config: ParserConfig, words: int, characters: int, labels: int, *, frozen: bool = False) -> ParserModel:
    """A parser.

    Args:
        config: its shape.
        words: V, word ids there are.
        characters: character ids there are, without the 0 for nothing.
        labels: L.
        frozen: leave the vectors of words as they are.

    Example:
        >>> features = WordFeaturesConfig(embedding=4, characters="none")
        >>> model = parser(ParserConfig(words=features, reader=RecurrentReaderConfig(features=4)), 9, 0, 3)
        >>> batch = {"words": jnp.array([[3, 8]]), "mask": jnp.array([[True, True]])}
        >>> params = jax.eval_shape(model.init, jax.random.key(0))
        >>> parsed = jax.eval_shape(model.read, params, batch)
        >>> parsed.arcs.shape, jax.eval_shape(model.relate, params, parsed, jnp.array([[2, 0]]), batch["mask"]).shape
        ((1, 2, 3), (1, 2, 3))
    """
    init, apply = pure(lambda rngs: Parser(config, words, characters, labels, frozen=frozen, rngs=rngs))

    def read(params, batch, keys=None) -> Parsed:
        return apply(params, batch, keys)

    def relate(params, parsed: Parsed, heads: Array, mask: Array) -> Array:
        return apply(params, parsed, heads, mask, method="relate")

    return ParserModel(init, read, relate)

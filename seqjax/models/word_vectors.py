"""Vectors of words that are learned from their neighbours: skip-gram, the continuous bag of words, GloVe.

Parameters are two tables, ``inputs`` and ``outputs``: a word has one vector as the one that is looked at, and another
as a neighbour. Batches are those of :mod:`seqjax.data.skipgrams` and :mod:`seqjax.data.cooccurrences`.

B rows, T centre words, W reach, S negatives of a row, V vocabulary, E features.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.checks import InputError, check_count
from seqjax.ops.negative_sampling import negative_sampling


@dataclasses.dataclass(frozen=True, kw_only=True)
class VectorsConfig:
    """Vectors that tell neighbours from drawn words."""

    features: int = 100  # E
    negatives: int = 5  # drawn words a pair is told from

    def __post_init__(self):
        check_sizes(self, "features", "negatives")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SoftmaxVectorsConfig:
    """Vectors that predict neighbours among all words."""

    features: int = 100  # E

    def __post_init__(self):
        check_sizes(self, "features")


@dataclasses.dataclass(frozen=True, kw_only=True)
class GloveConfig:
    """Vectors whose products are the logarithms of counts."""

    features: int = 100  # E
    x_max: float = 10.0  # counts from here on weigh 1; the paper: 100, for billions of words
    alpha: float = 0.75  # smaller counts weigh (count / x_max) to this power

    def __post_init__(self):
        check_sizes(self, "features")
        if not (self.x_max > 0 and 0 <= self.alpha <= 1):
            raise InputError(
                f"GloveConfig: `x_max` should be above 0 and `alpha` lie in [0, 1], but they are {self.x_max} and "
                f"{self.alpha}."
            )


def check_sizes(config, *names: str) -> None:
    """Refuse sizes below 1."""
    for name in names:
        check_count(type(config).__name__, name, getattr(config, name))


class VectorModel(NamedTuple):
    """Functions of ``params``, a nested dict of arrays.

    Attributes:
        init: ``key -> params``.
        examples: ``batch -> ()``: how many there are, whose mean loss is reported: pairs, centre words, or entries.
        loss: ``(params, batch) -> ()``: the sum over them.
        words: ``batch -> ()``: words of the text in a batch (GloVe: entries), the unit of speed.
        vectors: ``params -> (V, E)``: what is used afterwards.
        unit: what an example is called.
    """

    init: Callable[[Array], Any]
    examples: Callable[[Any], Array]
    loss: Callable[[Any, Any], Array]
    words: Callable[[Any], Array]
    vectors: Callable[[Any], Any]
    unit: str


def pairs_of(batch) -> Array:
    """Which words stand in the window of which centre words, (B, T, 2W + T): near enough, in the same sentence.

    Example:
        >>> batch = {"sentence": jnp.array([[0, 0, 0, 1]]), "reach": jnp.array([[1, 1]])}  # W = 1, T = 2
        >>> pairs_of(batch).astype(int).tolist()
        [[[1, 0, 1, 0], [0, 1, 0, 0]]]
    """
    sentence, reach = batch["sentence"], batch["reach"]
    time, width = reach.shape[1], sentence.shape[1]
    side = (width - time) // 2
    distance = jnp.abs(jnp.arange(time)[:, None] + side - jnp.arange(width)[None])[None]
    centre = sentence[:, side : side + time, None]
    return (distance > 0) & (distance <= reach[..., None]) & (centre == sentence[:, None]) & (centre >= 0)


class Windows(NamedTuple):
    """A batch with padding taken out: garbage there reaches no table."""

    centres: Array  # (B, T) ids
    context: Array  # (B, 2W + T) ids
    pairs: Array  # (B, T, 2W + T) bool


def windows_of(batch) -> Windows:
    """The ids of centre and context words, and which of them are pairs."""
    context = jnp.where(batch["sentence"] >= 0, batch["words"], 0)
    time = batch["reach"].shape[1]
    side = (context.shape[1] - time) // 2
    return Windows(context[:, side : side + time], context, pairs_of(batch))


def skipgram(config: VectorsConfig, vocabulary: int) -> VectorModel:
    """From a word, each of its neighbours is told from drawn words.

    Source:
        Mikolov et al. (2013), Distributed Representations of Words and Phrases and their Compositionality.
    """

    def loss(params, batch):
        centres, context, pairs = windows_of(batch)
        candidates = jnp.concatenate([context, batch["negatives"]], axis=1)
        xs, ys = params["inputs"][centres], params["outputs"][candidates]
        return negative_sampling(xs, ys, pairs.astype(jnp.float32), float(config.negatives))

    return VectorModel(_tables(config.features, vocabulary), _pairs, loss, _centres, _inputs, "pairs")


def skipgram_softmax(config: SoftmaxVectorsConfig, vocabulary: int) -> VectorModel:
    """From a word, each of its neighbours is predicted among all V words.

    Source:
        Mikolov et al. (2013), Efficient Estimation of Word Representations in Vector Space, section 3.2.
    """

    def loss(params, batch):
        centres, context, pairs = windows_of(batch)
        xs, ys = params["inputs"][centres], params["outputs"][context]
        kind = jnp.result_type(float)  # sums are no numbers of eight bits, whatever the vectors are
        scores = jnp.einsum("bte,bje->btj", xs, ys).astype(kind)
        whole = jax.nn.logsumexp((xs.reshape(-1, xs.shape[-1]) @ params["outputs"][1:].T).astype(kind), axis=-1)
        near = pairs.astype(kind)
        return (near.sum(-1).reshape(-1) * whole).sum() - (near * scores).sum()

    return VectorModel(_tables(config.features, vocabulary), _pairs, loss, _centres, _inputs, "pairs")


def cbow(config: VectorsConfig, vocabulary: int) -> VectorModel:
    """From the mean of its neighbours, a word is told from drawn words.

    Source:
        Mikolov et al. (2013), Efficient Estimation of Word Representations in Vector Space, section 3.1.
    """

    def loss(params, batch):
        centres, context, pairs = windows_of(batch)
        near = pairs.sum(-1, keepdims=True)
        kind = jnp.result_type(float)
        shares = pairs.astype(kind) / jnp.maximum(near, 1).astype(kind)
        means = jnp.einsum("btj,bje->bte", shares, params["inputs"][context].astype(kind))
        candidates = jnp.concatenate([centres, batch["negatives"]], axis=1)
        own = jnp.where(near > 0, jnp.eye(centres.shape[1])[None], 0.0)
        return negative_sampling(means, params["outputs"][candidates].astype(kind), own, float(config.negatives))

    count = lambda batch: pairs_of(batch).any(-1).sum()  # noqa: E731
    return VectorModel(_tables(config.features, vocabulary), count, loss, _centres, _inputs, "words")


def glove(config: GloveConfig, vocabulary: int) -> VectorModel:
    """The product of two words' vectors, with a bias of each, is the logarithm of how often they stand together.

    Source:
        Pennington et al. (2014), GloVe: Global Vectors for Word Representation, equation 8.
    """

    def init(key):
        keys = jax.random.split(key, 4)
        scale = 0.5 / (config.features + 1)
        draw = lambda key, *shape: jax.random.uniform(key, shape, minval=-scale, maxval=scale)  # noqa: E731
        return {
            "inputs": draw(keys[0], vocabulary, config.features),
            "outputs": draw(keys[1], vocabulary, config.features),
            "input_bias": draw(keys[2], vocabulary),
            "output_bias": draw(keys[3], vocabulary),
        }

    def loss(params, batch):
        real = batch["count"] > 0
        row, column = (jnp.where(real, batch[name], 0) for name in ("row", "column"))
        kind = jnp.result_type(float)
        counts = jnp.where(real, batch["count"], 1.0).astype(kind)
        params = jax.tree.map(lambda leaf: leaf.astype(kind), params)
        products = (params["inputs"][row] * params["outputs"][column]).sum(-1)
        apart = products + params["input_bias"][row] + params["output_bias"][column] - jnp.log(counts)
        weights = jnp.minimum(1.0, counts / config.x_max) ** config.alpha
        return (jnp.where(real, weights, 0.0) * apart**2).sum()

    count = lambda batch: (batch["count"] > 0).sum()  # noqa: E731
    return VectorModel(init, count, loss, count, lambda params: params["inputs"] + params["outputs"], "entries")


def _tables(features: int, vocabulary: int) -> Callable[[Array], dict[str, Array]]:
    """Small random inputs, and outputs of zero: at first every pair is a coin toss."""

    def init(key):
        inputs = jax.random.uniform(key, (vocabulary, features), minval=-1 / features, maxval=1 / features)
        return {"inputs": inputs, "outputs": jnp.zeros((vocabulary, features))}

    return init


def _pairs(batch) -> Array:
    return pairs_of(batch).sum()


def _centres(batch) -> Array:
    time, width = batch["reach"].shape[1], batch["sentence"].shape[1]
    side = (width - time) // 2
    return (batch["sentence"][:, side : side + time] >= 0).sum()


def _inputs(params):
    return params["inputs"]

"""Pictures in, sentences out: a reader of patches, and the decoders of models of pairs.

A captioner is a :class:`seqjax.models.PairModel` whose ``source`` is a picture: (B, Y, X, C) pixels from 0 to 1, with a
``source_mask`` (B, P), True on real patches. Whatever id its first input is (a language, say) opens the sentence.

B batch, Y × X pixels, C channels, P patches, M features of a patch, T target time, V vocabulary.
Sources: Vinyals, Toshev, Bengio & Erhan (2015), Show and Tell: A Neural Image Caption Generator; Xu et al. (2015),
Show, Attend and Tell: Neural Image Caption Generation with Visual Attention.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax import cells
from seqjax.checks import check_choice
from seqjax.layers import Embedding, Encoded, Linear
from seqjax.models.crossing import Crossing, crossing
from seqjax.models.pair_model import PairModel
from seqjax.models.pictures import PictureConfig, PictureReader
from seqjax.models.recurrent_decoder import Decoder
from seqjax.models.seq2seq import Seq2SeqConfig, Stateful, attentive_cell, stateful
from seqjax.models.transformer import Side, TransformerConfig
from seqjax.ops.dropout import fold
from seqjax.ops.pooling import pool_mean

ATTENTIONS = ("none", "additive", "bilinear")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentCaptionerConfig:
    """A recurrent decoder that starts from the mean of the patches, and may look at each of them."""

    picture: PictureConfig = PictureConfig()
    cell: str = "lstm"  # which recurrence; a wrong name lists them all
    features: int = 128  # H, width of every recurrent layer
    layers: int = 1  # of the decoder
    embedding: int = 0  # E, width of a symbol's vector; 0: as wide as the features
    attention: str = "additive"  # none, additive (Bahdanau's, Xu's) or bilinear (Luong's)
    attention_features: int = 0  # of the additive score's hidden layer; 0: half of the features
    dropout: float = 0.0  # probability of zeroing an activation, around every layer
    tied: bool = False  # score symbols with their own embedding

    def __post_init__(self):
        check_choice("model", "attention", self.attention, ATTENTIONS)
        self.shape()

    def shape(self) -> Seq2SeqConfig:
        """That of the decoder; without attention it reads the mean of the patches at every step."""
        names = ("cell", "features", "layers", "embedding", "attention", "attention_features", "dropout", "tied")
        own = {name: getattr(self, name) for name in names}
        return Seq2SeqConfig(**own, every_step=self.attention == "none")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionCaptionerConfig:
    """The decoder of a Transformer, which looks at the patches from every layer."""

    picture: PictureConfig = PictureConfig()
    features: int = 128  # D, the width of the residual stream; a multiple of heads
    layers: int = 2  # L, blocks of the decoder
    heads: int = 4  # of every attention of the decoder
    hidden: int = 0  # inner width of the feed-forward networks; 0: 4 times the features
    positions: str = "sinusoidal"  # sinusoidal, learned or rotary
    norm: str = "layer"  # layer or rms
    place: str = "pre"  # pre: normalise before each part of a block; post: after it
    activation: str = "gelu"  # gelu, gelu-tanh, relu or swiglu
    dropout: float = 0.1  # probability of zeroing an activation, or a weight of attention
    tied: bool = True  # score symbols with their own embedding
    remat: bool = False  # compute activations again for the gradient: less memory, more time

    def __post_init__(self):
        self.shape()

    def shape(self) -> TransformerConfig:
        """That of the decoder."""
        names = [field.name for field in dataclasses.fields(self) if field.name != "picture"]
        return TransformerConfig(**{name: getattr(self, name) for name in names})


class Opening(nnx.Module):
    """The first states of recurrent layers from one vector: tanh of an affine map for each of their fields.

    Args:
        cell: which recurrence, in every layer.
        in_features: M.
        features: H.
        layers: how many.
        rngs: the stream ``params`` initialises the weights.

    Source:
        Xu et al. (2015), section 3.1.2: two networks for the hidden and the cell of an LSTM.

    Example:
        >>> states = Opening(cells.LSTM, 3, 4, 2, rngs=nnx.Rngs(0))(jnp.ones((5, 3)))
        >>> len(states), states[1].cell.shape
        (2, (5, 4))
    """

    def __init__(self, cell: cells.Cell, in_features: int, features: int, layers: int, *, rngs: nnx.Rngs):
        def empty():
            return cell.initial_state(cell.init(jax.random.key(0), 1, features, jnp.float32), (), jnp.float32)

        leaves, self.tree = jax.tree.flatten(jax.eval_shape(empty))
        self.maps: nnx.List = nnx.List([])
        for _ in range(layers):
            self.maps.append(nnx.List([Linear(in_features, leaf.shape[-1], rngs=rngs) for leaf in leaves]))

    def __call__(self, vector: Array) -> tuple:
        """Map (B, M) to one state a layer."""
        return tuple(jax.tree.unflatten(self.tree, [jnp.tanh(leaf(vector)) for leaf in layer]) for layer in self.maps)


class RecurrentCaptioner(Stateful):
    """Predict every next symbol from those before it and from a picture, with a recurrent decoder.

    Args:
        config: the shape.
        channels: C.
        vocabulary: V.
        rngs: the stream ``params`` initialises the weights.

    Example:
        >>> config = RecurrentCaptionerConfig(features=8, picture=PictureConfig(features=8))
        >>> model = nnx.eval_shape(lambda: RecurrentCaptioner(config, 1, 5, rngs=nnx.Rngs(0)))
        >>> model.reader.out_features, model.decoder.attentive.out_features
        (8, 16)
    """

    def __init__(self, config: RecurrentCaptionerConfig, channels: int, vocabulary: int, *, rngs: nnx.Rngs):
        shape, cell = config.shape(), cells.BY_NAME[config.cell]
        self.reader = PictureReader(config.picture, channels, rngs=rngs)
        memory = self.reader.out_features
        self.opening = Opening(cell, memory, config.features, config.layers, rngs=rngs)
        self.decoder = Decoder(
            cell, vocabulary, config.embedding or config.features, config.features, layers=config.layers, memory=memory,
            attentive=attentive_cell(shape, memory), looks_first=config.attention == "additive",
            vector=shape.every_step, dropout=config.dropout, tied=config.tied, rngs=rngs,
        )  # fmt: skip

    def start(self, source: Array, *, mask: Array, keys=None):
        """Read pictures (B, Y, X, C): ``(memory, state)``; ``mask`` (B, P)."""
        seen = self.reader(source, mask=mask, keys=keys)
        mean = pool_mean(seen, mask)
        return self.decoder.remember(seen, mask, mean), self.decoder.start(self.opening(mean), seen.dtype)


class AttentionCaptioner(Crossing):
    """Predict every next symbol from those before it and from a picture, with the decoder of a Transformer.

    Args:
        config: the shape.
        channels: C.
        vocabulary: V.
        longest: the most steps (P, T).
        rngs: the stream ``params`` initialises the weights.
    """

    def __init__(
        self,
        config: AttentionCaptionerConfig,
        channels: int,
        vocabulary: int,
        longest: tuple[int, int],
        *,
        rngs: nnx.Rngs,
    ):
        width, self.longest = config.features, longest
        self.reader = PictureReader(config.picture, channels, rngs=rngs)
        self.wide = Linear(self.reader.out_features, width, rngs=rngs)
        self.target, self.scale = Embedding(vocabulary, width, scale=width**-0.5, rngs=rngs), width**0.5
        self.decoder = Side(config.shape(), longest[1], decoder=True, rngs=rngs)
        self.head = None if config.tied else Linear(width, vocabulary, rngs=rngs)

    def encode(self, source: Array, *, mask: Array, segments: Array | None = None, keys=None) -> Encoded:
        """Read pictures (B, Y, X, C); ``mask`` (B, P). Pictures do not share rows: ``segments`` is None."""
        seen = self.wide(self.reader(source, mask=mask, keys=fold(keys, 0)))
        return Encoded(jnp.where(mask[..., None], seen, 0), mask)


@functools.lru_cache(maxsize=8)
def captioner(config, channels: int, vocabulary: int, longest: tuple[int, int]) -> PairModel:
    """A captioner as pure functions; the same arguments give the same functions, which are compiled once.

    Args:
        config: :class:`RecurrentCaptionerConfig` or :class:`AttentionCaptionerConfig`.
        channels: C.
        vocabulary: V, of the words and of what opens a sentence.
        longest: the most steps (P, T), which a recurrent decoder does not mind.

    Example:
        >>> config = RecurrentCaptionerConfig(features=8, picture=PictureConfig(features=8))
        >>> model = captioner(config, 1, 5, (64, 9))
        >>> ids, real = jnp.array([[4, 1, 2]]), jnp.ones((1, 3), bool)
        >>> batch = {"source": jnp.ones((1, 8, 32, 1)), "source_mask": jnp.ones((1, 64), bool)}
        >>> batch |= {"inputs": ids, "mask": real}
        >>> params = jax.eval_shape(model.init, jax.random.key(0))
        >>> jax.eval_shape(lambda params: model.logits(params, batch, None, 0.0), params).shape
        (1, 3, 5)
    """
    if isinstance(config, RecurrentCaptionerConfig):
        return stateful(lambda rngs: RecurrentCaptioner(config, channels, vocabulary, rngs=rngs))

    def make(rngs: nnx.Rngs) -> AttentionCaptioner:
        return AttentionCaptioner(config, channels, vocabulary, longest, rngs=rngs)

    return crossing(make, config.layers, config.heads, longest)

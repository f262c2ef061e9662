"""From frames to symbols without an alignment: subsampled frames, a reader over them, a symbol or the blank at each.

B rows, T frames, F features of a frame, S steps that are left of the frames, M features that the reader gives, K
symbols, the blank (id 0) among them, U symbols of a transcript.
Sources: Graves et al. (2006), Connectionist Temporal Classification; Graves & Jaitly (2014), Towards End-to-End Speech
Recognition with Recurrent Neural Networks; Dong, Xu & Xu (2018), Speech-Transformer, for attention over frames that
a convolution with strides has thinned out.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.checks import InputError, check_choice, check_share
from seqjax.layers import Linear
from seqjax.models.pure import pure
from seqjax.models.reading import AttentionReaderConfig, RecurrentReaderConfig, make_reader
from seqjax.ops.convolution import to_front
from seqjax.ops.ctc import ctc_loss
from seqjax.ops.dropout import dropout, fold

Subsampling = Literal["convolution", "stack"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TranscriberConfig:
    """What every transcriber has.

    Raises:
        InputError: sizes below 1; a convolution that leaves frames out.
    """

    subsampling: Subsampling = "convolution"  # convolution: learned windows; stack: neighbours side by side
    factor: int = 2  # frames for one step of the reader
    width: int = 8  # frames that a window of the convolution sees; at least factor
    features: int = 128  # of the convolution
    dropout: float = 0.1  # probability of zeroing a feature of the convolution

    def __post_init__(self):
        check_choice("model", "subsampling", self.subsampling, get_args(Subsampling))
        widest = self.factor if self.subsampling == "convolution" else 1
        for name, least in (("factor", 1), ("width", widest), ("features", 1)):
            if getattr(self, name) < least:
                raise InputError(f"model: `{name}` should be at least {least}, but it is {getattr(self, name)}.")
        check_share("model", "dropout", self.dropout)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentTranscriberConfig(TranscriberConfig):
    """Recurrent layers over subsampled frames."""

    reader: RecurrentReaderConfig = RecurrentReaderConfig(features=128, dropout=0.2)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionTranscriberConfig(TranscriberConfig):
    """The encoder of a Transformer over subsampled frames."""

    reader: AttentionReaderConfig = AttentionReaderConfig(features=128, layers=3, positions="rotary")


def windows(xs: Array, mask: Array, factor: int, width: int) -> tuple[Array, Array]:
    """Neighbouring frames side by side, one window for every ``factor`` frames; beyond the ends there are zeros.

    Args:
        xs: (B, T, F).
        mask: (B, T), True on real frames.
        factor: frames from one window to the next.
        width: frames of a window, which stands around its ``factor`` frames.

    Returns:
        ``(windows, mask)``: (B, S, width · F) and (B, S), S = ⌈T / factor⌉; real windows stand in front.

    Example:
        >>> xs, real = windows(jnp.arange(1.0, 6.0).reshape(1, 5, 1), jnp.ones((1, 5), bool), 2, 4)
        >>> xs[0].tolist(), real.tolist()
        ([[0.0, 1.0, 2.0, 3.0], [2.0, 3.0, 4.0, 5.0], [4.0, 5.0, 0.0, 0.0]], [[True, True, True]])
    """
    mask = jnp.asarray(mask)
    xs = to_front(jnp.where(mask[..., None], xs, 0), mask)
    steps = -(-xs.shape[1] // factor)
    before = (width - factor) // 2
    xs = jnp.pad(xs, ((0, 0), (before, steps * factor + width - before - xs.shape[1]), (0, 0)))
    seen = [xs[:, tap : tap + steps * factor : factor] for tap in range(width)]
    real = jnp.arange(steps)[None] * factor < mask.sum(axis=1, keepdims=True)
    return jnp.where(real[..., None], jnp.concatenate(seen, axis=-1), 0), real


class Transcriber(nnx.Module):
    """Frames to scores of symbols.

    Args:
        config: the shape.
        in_features: F.
        symbols: K.
        longest: the most steps S, where positions are learned.
        rngs: the stream ``params`` initialises the weights.

    Example:
        >>> config = RecurrentTranscriberConfig(features=4, reader=RecurrentReaderConfig(features=3))
        >>> model = Transcriber(config, 8, 5, rngs=nnx.Rngs(0))
        >>> logits, mask = model(jnp.ones((1, 7, 8)), mask=jnp.ones((1, 7), bool))
        >>> logits.shape, mask.tolist()
        ((1, 4, 5), [[True, True, True, True]])
    """

    def __init__(self, config, in_features: int, symbols: int, *, longest: int = 512, rngs: nnx.Rngs):
        learned = config.subsampling == "convolution"
        self.factor, self.width = config.factor, config.width if learned else config.factor
        self.dropout = config.dropout if learned else 0.0
        self.convolution = Linear(self.width * in_features, config.features, rngs=rngs) if learned else None
        inner = config.features if learned else self.width * in_features
        self.reader = make_reader(config.reader, inner, longest=longest, rngs=rngs)
        self.head = Linear(self.reader.out_features, symbols, rngs=rngs)

    def __call__(self, frames: Array, *, mask: Array, keys: Array | None = None) -> tuple[Array, Array]:
        """Map frames (B, T, F) to ``(logits, mask)``, (B, S, K), zero where masked, and (B, S)."""
        xs, real = windows(frames, mask, self.factor, self.width)
        if self.convolution is not None:
            xs = dropout(jax.nn.gelu(self.convolution(xs)), self.dropout, fold(keys, 0))
        logits = self.head(self.reader(xs, mask=real, keys=fold(keys, 1)))
        return jnp.where(real[..., None], logits, 0), real


class TranscribeModel(NamedTuple):
    """A transcriber as pure functions.

    Attributes:
        init: ``key -> params``.
        read: ``(params, batch, keys) -> (logits (B, S, K), mask (B, S))`` of ``batch["frames"]`` (B, T, F) and
            ``batch["mask"]`` (B, T).
        nats: ``(params, batch, keys) -> (nats (B,), possible (B,))`` of ``batch["transcript"]`` (B, U), ids that are 0
            where there is none: see :func:`seqjax.ops.ctc.ctc_loss`.
        factor: frames for one step: S = ⌈T / factor⌉.
    """

    init: Callable[[Any], Any]
    read: Callable[..., tuple[Array, Array]]
    nats: Callable[..., tuple[Array, Array]]
    factor: int


def transcriber(config, in_features: int, symbols: int, *, longest: int = 512) -> TranscribeModel:
    """The transcriber that a configuration describes.

    Args:
        config: :class:`RecurrentTranscriberConfig` or :class:`AttentionTranscriberConfig`.
        in_features: F.
        symbols: K.
        longest: the most frames T, where positions are learned.

    Example:
        >>> config = AttentionTranscriberConfig(reader=AttentionReaderConfig(features=8, layers=1, heads=2))
        >>> model = transcriber(config, 8, 11)
        >>> batch = {"frames": jnp.ones((2, 9, 8)), "mask": jnp.ones((2, 9), bool)}
        >>> shapes = jax.eval_shape(model.init, jax.random.key(0))
        >>> jax.eval_shape(model.read, shapes, batch)[0].shape
        (2, 5, 11)
    """
    steps = -(-longest // config.factor)
    init, apply = pure(lambda rngs: Transcriber(config, in_features, symbols, longest=steps, rngs=rngs))

    def read(params, batch, keys=None):
        frames = jnp.asarray(batch["frames"]).astype(jax.tree.leaves(params)[0].dtype)
        return apply(params, frames, mask=batch["mask"], keys=keys)

    def nats(params, batch, keys=None):
        logits, mask = read(params, batch, keys)
        return ctc_loss(logits, mask, batch["transcript"])

    return TranscribeModel(init, read, nats, config.factor)

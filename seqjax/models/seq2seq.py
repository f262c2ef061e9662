"""Recurrent encoder–decoders: from a vector for the whole source to attention.

B batch, S source time, T target time, V vocabulary.
Sources: Sutskever, Vinyals & Le (2014), Sequence to Sequence Learning with Neural Networks; Cho et al. (2014), Learning
Phrase Representations using RNN Encoder–Decoder; Bahdanau, Cho & Bengio (2015), Neural Machine Translation by Jointly
Learning to Align and Translate; Luong, Pham & Manning (2015), Effective Approaches to Attention-based NMT.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax import cells
from seqjax.cells.smooth import for_each_turn
from seqjax.checks import InputError, check_choice, check_share
from seqjax.decoding import Decodable
from seqjax.models.attentive import bahdanau
from seqjax.models.encoder import Bridge, Encoder
from seqjax.models.luong import SCORES, luong
from seqjax.models.pair_model import PairModel
from seqjax.models.pure import pure
from seqjax.models.recurrent_decoder import Decoder, Remembered
from seqjax.ops.dropout import fold
from seqjax.spread import alike

ATTENTIONS = ("none", "additive", *SCORES)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seq2SeqConfig:
    """The shape of a recurrent encoder and decoder."""

    cell: str = "gru"  # which recurrence; a wrong name lists them all
    features: int = 128  # H, width of every recurrent layer
    layers: int = 1  # of the encoder, and as many of the decoder
    embedding: int = 0  # E, width of a symbol's vector; 0: as wide as the features
    attention: str = "additive"  # none, additive (Bahdanau), dot, bilinear, local-m or local-p (Luong)
    attention_features: int = 0  # of the additive score's hidden layer; 0: half of the features
    input_feeding: bool = True  # Luong's: read the last attentional vector beside each symbol
    window: int = 10  # Luong's D: how many source steps the local attentions look to each side
    every_step: bool = False  # read a vector of the whole source at every step (Cho)
    bidirectional: bool = False  # read the source both ways
    reverse_source: bool = False  # read the source from its end (Sutskever)
    dropout: float = 0.0  # probability of zeroing an activation, around every layer
    tied: bool = False  # score symbols with their own embedding

    def __post_init__(self):
        check_choice("Seq2SeqConfig", "cell", self.cell, cells.BY_NAME)
        check_choice("Seq2SeqConfig", "attention", self.attention, ATTENTIONS)
        leasts = (("features", 1), ("layers", 1), ("embedding", 0), ("attention_features", 0), ("window", 1))
        for name, least in leasts:
            if getattr(self, name) < least:
                raise InputError(
                    f"Seq2SeqConfig: `{name}` should be at least {least}, but it is {getattr(self, name)}."
                )
        check_share("Seq2SeqConfig", "dropout", self.dropout)
        if self.bidirectional and self.reverse_source:
            raise InputError(
                "Seq2SeqConfig: `bidirectional` reads the source from its end already. Try reverse_source=False."
            )
        if self.every_step and self.attention != "none":
            raise InputError(
                "Seq2SeqConfig: `every_step` is what a decoder without attention knows of the source, but attention is "
                f'"{self.attention}". Try attention="none".'
            )
        if self.attention == "dot" and self.bidirectional:
            raise InputError(
                'Seq2SeqConfig: the score "dot" needs a source as wide as the decoder, but `bidirectional` makes it '
                'twice as wide. Try attention="bilinear".'
            )


class Stateful(nnx.Module):
    """What is common to models whose recurrent ``decoder`` starts from a state and knows a memory.

    They have ``start(source, *, mask, keys)``, which gives ``(memory, state)``: what the decoder knows at every step,
    and where it starts.
    """

    decoder: Decoder

    def read(self, ids: Array, memory: Remembered, *, state, mask=None, keys=None, **how):
        """Read ids (B, T) of a target: ``(state, logits)``; see :class:`seqjax.models.recurrent_decoder.Decoder`."""
        return self.decoder(ids, memory, state=state, mask=mask, keys=keys, **how)

    def looked(self, ids: Array, memory: Remembered, *, state, mask=None) -> Array | None:
        """How much each step of the target looks at each of the source: (B, T, S)."""
        return self.decoder.weights(ids, memory, state=state, mask=mask)


class Seq2Seq(Stateful):
    """Predict every next symbol of a target from those before it and from a source.

    Args:
        config: the shape.
        source_vocabulary: V of the source.
        target_vocabulary: V of the target.
        rngs: the stream ``params`` initialises the weights.

    Example:
        >>> model = Seq2Seq(Seq2SeqConfig(features=8), 7, 5, rngs=nnx.Rngs(0))
        >>> memory, state = model.start(jnp.array([[3, 4, 6]]), mask=jnp.array([[True, True, False]]))
        >>> state, logits = model.read(jnp.array([[0, 1]]), memory, state=state)
        >>> logits.shape
        (1, 2, 5)
    """

    def __init__(self, config: Seq2SeqConfig, source_vocabulary: int, target_vocabulary: int, *, rngs: nnx.Rngs):
        cell, features, width = cells.BY_NAME[config.cell], config.features, config.embedding or config.features
        self.encoder = Encoder(
            cell, source_vocabulary, width, features, layers=config.layers, bidirectional=config.bidirectional,
            reverse=config.reverse_source, dropout=config.dropout, rngs=rngs,
        )  # fmt: skip
        self.bridge = Bridge(self.encoder.stack, rngs=rngs)
        memory = self.encoder.out_features
        self.decoder = Decoder(
            cell, target_vocabulary, width, features, layers=config.layers, memory=memory,
            attentive=attentive_cell(config, memory), looks_first=config.attention == "additive",
            vector=config.every_step, dropout=config.dropout, tied=config.tied, rngs=rngs,
        )  # fmt: skip

    def start(self, source: Array, *, mask: Array, keys=None):
        """Read a source (B, S): ``(memory, state)``, what the decoder knows at every step, and where it starts.

        Args:
            source: symbols in [0, V).
            mask: (B, S), True on real symbols.
            keys: (B,) random keys, one a row; None switches dropout off.
        """
        finals, memory = self.encoder(source, mask=mask, keys=keys)
        return self.decoder.remember(memory, mask, self.encoder.last(finals)), self.decoder.start(
            self.bridge(finals), memory.dtype
        )


def attentive_cell(config: Seq2SeqConfig, memory: int) -> cells.Cell | None:
    """The cell of the decoder's layer that looks at the source of ``memory`` features; None where there is none."""
    inner = cells.BY_NAME[config.cell]
    if config.attention == "none":
        return None
    if config.attention == "additive":
        return bahdanau(inner, memory, config.attention_features or max(config.features // 2, 1))
    return luong(inner, memory, config.attention, config.input_feeding, config.window)


def seq2seq(config: Seq2SeqConfig, source_vocabulary: int, target_vocabulary: int) -> PairModel:
    """A recurrent encoder–decoder as pure functions.

    ``logits`` with ``sampled`` above 0, or traced, runs the decoder symbol by symbol and feeds, with that probability,
    the symbol it has just found most likely.

    Args:
        config: its shape.
        source_vocabulary: V of the source.
        target_vocabulary: V of the target.

    Source:
        Bengio, Vinyals, Jaitly & Shazeer (2015), Scheduled Sampling for Sequence Prediction with Recurrent Neural
        Networks, with the most likely symbol.

    Example:
        >>> model = seq2seq(Seq2SeqConfig(features=8), 7, 5)
        >>> ids, real = jnp.array([[0, 1, 2]]), jnp.ones((1, 3), bool)
        >>> batch = {"source": ids, "source_mask": real, "inputs": ids, "mask": real}
        >>> params = model.init(jax.random.key(0))
        >>> model.logits(params, batch, None, 0.0).shape, list(model.align(params, batch))
        ((1, 3, 5), ['attention'])
    """
    return stateful(lambda rngs: Seq2Seq(config, source_vocabulary, target_vocabulary, rngs=rngs))


def stateful(make: Callable[[nnx.Rngs], Stateful]) -> PairModel:
    """Any :class:`Stateful` model as pure functions; see :func:`seq2seq`."""
    init, apply = pure(make)

    def encode(params, batch, keys=None):
        check_unpacked(batch)
        return apply(params, batch["source"], mask=batch["source_mask"], keys=keys, method="start")

    def logits(params, batch, keys, sampled):
        if isinstance(sampled, int | float) and sampled == 0:
            memory, state = encode(params, batch, fold(keys, 0))
            how = {"state": state, "mask": batch["mask"], "keys": fold(keys, 1)}
            return apply(params, batch["inputs"], memory, method="read", **how)[1]
        if keys is None:
            raise InputError("seq2seq: `sampled` above 0 needs random `keys`, one a row, but they are None.")
        memory, state = encode(params, batch, fold(keys, 0))
        dropped, draw = fold(keys, 1), jax.vmap(lambda key: jax.random.uniform(key, batch["mask"].shape[1:]))
        own, again = draw(fold(keys, 2)) < sampled, for_each_turn((params, memory))

        def read(ids, state, mask, number):
            (params, memory), how = again(), {"state": state, "mask": mask[:, None], "keys": fold(dropped, number)}
            state, found = apply(params, ids[:, None], memory, method="read", **how)
            return state, found[:, 0]

        return read_own(read, state, batch["inputs"], batch["mask"], own)

    def align(params, batch):
        memory, state = encode(params, batch)
        looked = apply(params, batch["inputs"], memory, state=state, mask=batch["mask"], method="looked")
        return {} if looked is None else {"attention": looked}

    def start(params, inputs):
        return encode(params, {name: inputs[name] for name in ("source", "source_mask")})

    def advance(params, memory, state, last):
        state, found = apply(params, last[:, None], memory, state=state, method="read")
        return state, found[:, 0]

    return PairModel(init, logits, Decodable(start, advance), align, None)


def check_unpacked(batch) -> None:
    """Refuse rows that hold several pairs: a state is carried from the source to the target of the same row."""
    if "segments" in batch or "source_segments" in batch:
        raise InputError(
            'seq2seq: a recurrent decoder starts where its source ended, one pair a row. Try --data.batches "bucketed".'
        )


def read_own(read, state, ids: Array, mask: Array, own: Array) -> Array:
    """Logits (B, T, V) of a decoder that reads here and there what it has just found most likely.

    Args:
        read: ``(ids (B,), state, mask (B,), number of the step) -> (state, logits (B, V))``.
        state: before the first step.
        ids: (B, T) true symbols; the first real one of a row is always read.
        mask: (B, T), True on real symbols.
        own: (B, T), True where its own is to be read.
    """

    def step(carry, now):
        state, likely = carry
        number, ids, real, own = now
        state, logits = read(jnp.where(own & (likely >= 0), likely, ids), state, real, number)
        return (state, jnp.where(real, jnp.argmax(logits, axis=-1).astype(ids.dtype), likely)), logits

    now = (jnp.arange(ids.shape[1]), ids.T, mask.T, own.T)
    _, logits = jax.lax.scan(step, alike((state, jnp.full_like(ids[:, 0], -1)), now), now)
    return jnp.swapaxes(logits, 0, 1)

"""The recurrent decoder: read the target so far, look at the source, and say what comes next.

B batch, S source time, T target time, E embedding, H features, M features of the source, V vocabulary.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.cells import Cell, Symbols, trace, unroll
from seqjax.layers import Embedding, Linear, Parameters, Stack
from seqjax.models.attentive import AttentiveParams, Source, remember
from seqjax.models.readout import Readout
from seqjax.ops.dropout import dropout, fold


class Attentive(nnx.Module):
    """The layer of a decoder that looks at the source.

    Args:
        cell: made by :func:`seqjax.models.attentive.bahdanau` or :func:`seqjax.models.luong.luong`.
        in_features: of what it reads at a step.
        features: H.
        rngs: the stream ``params`` initialises the weights.
    """

    def __init__(self, cell: Cell, in_features: int, features: int, *, rngs: nnx.Rngs):
        params = cell.init(rngs.params(), in_features, features, jnp.result_type(float))  # as other layers are
        self.cell, self.inner, self.attention = cell, Parameters(params.inner), Parameters(params.attention)
        start = jax.eval_shape(lambda: cell.output(cell.initial_state(params, (), jnp.float32)))
        self.out_features = start.shape[-1]

    def values(self) -> AttentiveParams:
        """The cell's parameters."""
        return AttentiveParams(self.inner.values(), self.attention.values())

    def __call__(self, xs: Array | Symbols, source: Source, *, state, mask: Array | None = None, **how):
        """Map ``xs`` (B, T, ·), or symbols, to ``(final state, ys)``. ``how``: what else ``unroll`` takes."""
        return unroll(self.cell, self.values(), xs, state=state, mask=mask, context=source, **how)

    def weights(self, xs: Array | Symbols, source: Source, *, state, mask: Array | None = None) -> Array:
        """How much every step of ``xs`` looks at every step of the source: (B, T, S)."""
        return trace(self.cell, self.values(), xs, state=state, mask=mask, context=source)[1].attention

    def start(self, inner, dtype):
        """The state before the first step, around the inner cell's."""
        rows = jax.tree.leaves(inner)[0].shape[:1]
        return self.cell.initial_state(self.values(), rows, dtype)._replace(inner=inner)


class Remembered(NamedTuple):
    """What a decoder knows of the source at every step; None: it does not use this."""

    source: Any  # a Source, to look at
    vector: Array | None  # (B, H), the whole source in one


class DecoderState(NamedTuple):
    """Where a decoder is; leaves (B, ·)."""

    below: Any  # states of the layers below the attention; of all where there is none
    attentive: Any
    above: Any  # states of the layers above the attention


class Decoder(nnx.Module):
    """Recurrent layers over a target.

    With attention that looks before it moves (Bahdanau's), the first layer looks, and the others read [h; c] of it;
    with attention that looks after it has moved (Luong's), the last layer looks.

    Args:
        cell: which recurrence, in every layer.
        vocabulary: V of the target.
        embedding: E.
        features: H of every layer.
        layers: how many.
        memory: M.
        attentive: the cell that looks, around ``cell``; None: no attention.
        looks_first: whether it looks before it moves.
        vector: read a vector of the whole source at every step, and again in the readout.
        dropout: probability of zeroing an activation, around every layer.
        tied: score symbols with their own embedding.
        rngs: the stream ``params`` initialises the weights.

    Source:
        Cho et al. (2014), Learning Phrase Representations using RNN Encoder–Decoder, section 2.2, for ``vector``.
    """

    def __init__(
        self,
        cell: Cell,
        vocabulary: int,
        embedding: int,
        features: int,
        *,
        layers: int,
        memory: int,
        attentive: Cell | None,
        looks_first: bool,
        vector: bool,
        dropout: float,
        tied: bool,
        rngs: nnx.Rngs,
    ):
        self.cell, self.dropout, self.looks_first = cell, dropout, looks_first
        self.embedding = Embedding(vocabulary, embedding, scale=0.1 if tied else 1.0, rngs=rngs)
        self.summary = Linear(memory, features, rngs=rngs) if vector else None
        width = embedding + (features if vector else 0)

        def stack(width: int, layers: int) -> Stack | None:
            return Stack(cell, width, features, layers=layers, dropout=dropout, rngs=rngs) if layers else None

        others = layers if attentive is None else layers - 1
        self.below = None if looks_first else stack(width, others)
        width = self.below.out_features if self.below else width
        self.attentive = None if attentive is None else Attentive(attentive, width, features, rngs=rngs)
        read = memory if looks_first else 0
        width = self.attentive.out_features if self.attentive else width
        self.above = stack(width, others) if looks_first else None
        width = self.above.out_features + read if self.above else width
        deep = looks_first or vector
        seen = width + (embedding if deep else 0) + (features if vector else 0)
        table = self.embedding if tied else None
        self.readout = Readout(seen, vocabulary, deep=deep, features=features, table=table, rngs=rngs)
        self.tied, self.read = tied, read

    def remember(self, memory: Array, mask: Array, last: Array) -> Remembered:
        """Make the encoder's outputs (B, S, M), and what it says at its end, (B, M), ready for every step."""
        source = None if self.attentive is None else remember(self.attentive.attention.values(), memory, mask)
        return Remembered(source, None if self.summary is None else jnp.tanh(self.summary(last)))

    def start(self, states: tuple, dtype) -> DecoderState:
        """The state before the first step, from that of every layer."""
        if self.attentive is None:
            return DecoderState(states, None, None)
        if self.looks_first:
            return DecoderState(None, self.attentive.start(states[0], dtype), states[1:] or None)
        return DecoderState(states[:-1] or None, self.attentive.start(states[-1], dtype), None)

    def __call__(self, ids: Array, memory: Remembered, *, state: DecoderState, mask=None, keys=None, **how):
        """Map ids (B, T) to ``(state, logits)``, logits (B, T, V).

        Args:
            ids: symbols in [0, V); may hold anything where masked.
            memory: what :meth:`remember` gave.
            state: what :meth:`start` or an earlier call gave.
            mask: (B, T), True on real symbols.
            keys: (B,) random keys, one a row; None switches dropout off.
            how: what else ``unroll`` takes.
        """
        embedded, xs, below = self._under(ids, memory, state, mask, keys, how)
        attentive, above = state.attentive, state.above
        seen = [_vectors(embedded)] if self.looks_first or self.summary is not None else []
        seen += [] if memory.vector is None else [_along(memory.vector, ids.shape[1])]
        if self.attentive is not None:
            attentive, xs = self.attentive(xs, memory.source, state=attentive, mask=mask, **how)
        if self.above is not None:
            seen.append(xs[..., -self.read :])
            xs = dropout(xs, self.dropout, fold(keys, 3))
            above, xs = self.above(xs, state=above, mask=mask, keys=fold(keys, 4), **how)
        xs = dropout(jnp.concatenate([xs, *seen], axis=-1), self.dropout, fold(keys, 5))
        return DecoderState(below, attentive, above), self.readout(xs, self.embedding if self.tied else None)

    def weights(self, ids: Array, memory: Remembered, *, state: DecoderState, mask=None) -> Array | None:
        """How much every step looks at every step of the source: (B, T, S); None without attention."""
        if self.attentive is None:
            return None
        _, xs, _ = self._under(ids, memory, state, mask, None, {})
        return self.attentive.weights(xs, memory.source, state=state.attentive, mask=mask)

    def _under(self, ids, memory: Remembered, state: DecoderState, mask, keys, how):
        """The vectors of the symbols, and what the layers below the attention make of them, with their states."""
        ids = ids if mask is None else jnp.where(mask, ids, 0)
        embedded = xs = self.embedding.read(ids, self.dropout, fold(keys, 0))
        if memory.vector is not None:
            xs = jnp.concatenate([_vectors(xs), _along(memory.vector, ids.shape[1])], axis=-1)
        if self.below is None:
            return embedded, xs, state.below
        below, xs = self.below(xs, state=state.below, mask=mask, keys=fold(keys, 1), **how)
        return embedded, xs if self.attentive is None else dropout(xs, self.dropout, fold(keys, 2)), below


def _vectors(xs: Array | Symbols) -> Array:
    """What was read, looked up."""
    return xs.vectors() if isinstance(xs, Symbols) else xs


def _along(vector: Array, time: int) -> Array:
    """A vector (B, H) at every one of ``time`` steps: (B, T, H)."""
    return jnp.broadcast_to(vector[:, None], (vector.shape[0], time, vector.shape[-1]))

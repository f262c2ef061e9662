"""The half of a Transformer that writes: it reads the target so far, and looks at a memory from every layer.

B batch, S source time, T target time, D features, N heads, V vocabulary, L layers.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from seqjax.checks import InputError
from seqjax.decoding import Decodable
from seqjax.layers import Embedding, Encoded, read_before, unstacked
from seqjax.models.pair_model import PairModel
from seqjax.models.pure import pure
from seqjax.models.scheduled_sampling import firsts, mix
from seqjax.ops.dropout import fold


class Crossing(nnx.Module):
    """What is common to models whose decoder is a Transformer's.

    They have ``encode(source, *, mask, segments, keys)``, which gives an :class:`Encoded`; ``target``, the vectors of
    the target's symbols, or another ``outward``; ``scale``, what they are multiplied by; ``decoder``, a ``Side``;
    ``head``, which is None where scores are products with ``outward``; and ``longest``, the most steps (S, T).
    """

    target: Any
    scale: float
    decoder: Any
    head: Any
    longest: tuple[int, int]

    @property
    def outward(self) -> Embedding:
        """The vectors of the target's symbols."""
        return self.target

    def decode(
        self, ids: Array, memory, *, state=None, count: Array | None = None, mask=None, segments=None, keys=None
    ):
        """Read ids (B, T) of a target; return the states, and what the last layer says of each, (B, T, D).

        Args:
            ids: symbols in [0, V).
            memory: what :meth:`encode` or :meth:`remember` gave.
            state: what :meth:`start` or an earlier call returned, to go on from there.
            count: (B,) symbols read before, with ``state``. Default: as many as its caches remember.
            mask: (B, T), True on real symbols.
            segments: (B, T) numbers of documents, as of the source.
            keys: (B,) random keys, one a row; None switches dropout off.
        """
        xs, how = self._given(ids, mask, segments, read_before(state) if count is None else count)
        return self.decoder(xs, memory=memory, state=state, keys=keys, **how)

    def score(self, ys: Array) -> Array:
        """Unnormalised log-probabilities (*B, V) from features (*B, D)."""
        return self.outward.attend(ys) if self.head is None else self.head(ys)

    def looked(self, ids: Array, memory, *, mask=None, segments=None) -> Array:
        """How much each step of the target looks at each of the source: (L, B, N, T, S)."""
        xs, how = self._given(ids, mask, segments, None)
        return self.decoder.deep.weights(xs, memory=memory, **how)[1]

    def remember(self, memory: Encoded) -> tuple:
        """The source as every layer of the decoder sees it, for as many calls of :meth:`decode` as there will be."""
        return self.decoder.deep.remember(memory)

    def start(self, rows: int, slots: int) -> tuple:
        """What the decoder's layers remember before the first symbol, at most so many steps."""
        return self.decoder.deep.start(rows, slots, self.outward.table[...].dtype)

    def _given(self, ids: Array, mask, segments, count) -> tuple[Array, dict]:
        """What the decoder's blocks read, and what they need to know of it."""
        reset = None if segments is None else firsts(segments, mask)
        xs = self.outward(ids if mask is None else jnp.where(mask, ids, 0)) * self.scale
        xs = self.decoder.placed(xs, mask=mask, reset=reset, count=count)
        return xs, {"mask": mask, "reset": reset, "segments": segments}


class Writing(NamedTuple):
    """A target while it is made."""

    layers: tuple  # L caches, leaves (B, ...)
    read: Array  # (B,) int32, symbols read so far


def crossing(make: Callable[[nnx.Rngs], Crossing], layers: int, heads: int, longest: tuple[int, int]) -> PairModel:
    """Any :class:`Crossing` model as pure functions; see :func:`seqjax.models.transformer.transformer`."""
    init, apply = pure(make)

    def encode(params, batch, keys=None):
        segments = batch.get("source_segments")
        return apply(params, batch["source"], mask=batch["source_mask"], segments=segments, keys=keys, method="encode")

    def logits(params, batch, keys, sampled):
        memory, how = encode(params, batch, fold(keys, 0)), {"mask": batch["mask"], "segments": batch.get("segments")}

        def read(ids, keys):
            ys = apply(params, ids, memory, keys=keys, method="decode", **how)[1]
            return apply(params, ys, method="score")

        ids = batch["inputs"]
        if not isinstance(sampled, int | float) or sampled > 0:
            if keys is None:
                raise InputError("transformer: `sampled` above 0 needs random `keys`, one a row, but they are None.")
            likely = jnp.argmax(jax.lax.stop_gradient(read(ids, fold(keys, 1))), axis=-1)
            ids = mix(ids, likely, batch["mask"], batch.get("segments"), sampled, keys)
        return read(ids, fold(keys, 2))

    def align(params, batch):
        how = {"mask": batch["mask"], "segments": batch.get("segments")}
        looked = apply(params, batch["inputs"], encode(params, batch), method="looked", **how)
        names = np.ndindex(layers, heads)
        return {f"layer {layer + 1} head {head + 1}": looked[layer, :, head] for layer, head in names}

    return PairModel(init, logits, _decodable(apply, longest[1]), align, longest)


def _decodable(apply, capacity: int) -> Decodable:
    """The decoder, a step at a time, to the engine."""

    def prepare(params):
        sides = [side for side in ("encoder", "decoder") if "deep" in params.get(side, {})]
        return params | {side: params[side] | {"deep": unstacked(params[side]["deep"])} for side in sides}

    def start(slots, weights, inputs):
        encoded = apply(weights, inputs["source"], mask=inputs["source_mask"], method="encode")
        rows = len(inputs["source"])
        layers = apply(weights, rows, slots, method="start")
        return apply(weights, encoded, method="remember"), Writing(layers, jnp.zeros(rows, jnp.int32))

    def advance(weights, memory, state, last):
        how = {"state": state.layers, "count": state.read}
        layers, ys = apply(weights, last[:, None], memory, method="decode", **how)
        scores = apply(weights, ys[:, 0], method="score")
        ended = jnp.where(jnp.arange(scores.shape[-1]) == 0, 0.0, -jnp.inf).astype(scores.dtype)
        full = state.read >= capacity
        return Writing(layers, state.read + 1), jnp.where(full[:, None], ended, scores)

    @functools.cache
    def of(slots):
        return Decodable(functools.partial(start, slots), advance, prepare)

    return of(capacity)._replace(within=lambda steps: of(min(steps, capacity)))

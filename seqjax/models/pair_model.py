"""A model of pairs as pure functions: what training, decoding and pictures each ask of it.

A batch of pairs holds ``source`` (B, S) int32 and ``source_mask`` (B, S), ``inputs`` (B, T) int32 (id 0, then the
target), ``targets`` (B, T) (the target, then id 0) and ``mask`` (B, T); when pairs are packed, also ``source_segments``
(B, S) and ``segments`` (B, T) int32, counted from 1, 0 where there is padding.

B batch, S source time, T target time, V target vocabulary.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jax import Array

from seqjax.decoding import Decodable


class PairModel(NamedTuple):
    """Functions of ``params``, a nested dict of arrays.

    Attributes:
        init: ``key -> params``.
        logits: ``(params, batch, keys, sampled) -> (B, T, V)``: unnormalised log-probabilities of every target, each
            given the source and the targets before it. ``keys`` (B,) are the rows' own random keys, None switches
            dropout off; ``sampled``, a number from 0 to 1, is the probability with which the model reads its own
            prediction in place of the true target before (scheduled sampling: Bengio et al. 2015), and needs ``keys``.
        decodable: ``start`` and ``advance`` for the decoding engine. ``start`` takes ``source`` and ``source_mask``;
            the first token to read is id 0, which also ends a target.
        align: ``(params, batch) -> {name: (B, T, S)}``: how much of every source step each target step looks at,
            by name of the attention; empty where there is none.
        longest: the most steps (S, T) the model can read, the 0 of ``inputs`` counted; None where there is no limit.
    """

    init: Callable[[Array], Any]
    logits: Callable[..., Array]
    decodable: Decodable
    align: Callable[[Any, Any], dict[str, Array]]
    longest: tuple[int, int] | None

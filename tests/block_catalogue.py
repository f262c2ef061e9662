"""Mixers and blocks that the laws speak of, one row each. A new mixer joins with one row.

B rows, T steps, S steps of the memory, D features, M features of the memory, N heads.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from flax import nnx

from seqjax.layers import Block, CrossAttention, DecoderBlock, Deep, Encoded, Group, SelfAttention, mixer

B, D, N, S, M = 4, 8, 2, 5, 6
RATE = 0.4  # of dropout, wherever there is any and keys are given


class BlockRow(NamedTuple):
    """A mixer or a block: (B, T, D) to (B, T, D)."""

    name: str
    build: Callable[[nnx.Rngs], Any]
    causal: bool = True
    memory: bool = False  # whether it reads a memory
    dropout: bool = False  # whether its dropout is tested: of every kind, one


def attends(name: str, **options) -> BlockRow:
    """One row of attention alone."""
    causal, plain = options.get("causal", True), not options
    return BlockRow(
        name, lambda rngs: mixer("attention", D, N, dropout=RATE, rngs=rngs, **options), causal, dropout=plain
    )


def mixes(name: str, **options) -> BlockRow:
    """One row of another mixer alone."""
    return BlockRow(name, lambda rngs: mixer(name, D, N, rngs=rngs, **options))


def block(rngs: nnx.Rngs, kind: str = "attention", mixing: dict | None = None, **options) -> Block:
    """A block around a mixer."""
    return Block(mixer(kind, D, N, rngs=rngs, **(mixing or {})), D, 12, dropout=RATE, rngs=rngs, **options)


def decoder(rngs: nnx.Rngs, **options) -> DecoderBlock:
    """A block that reads a memory."""
    cross = CrossAttention(D, N, memory_features=M, kv_heads=1, dropout=RATE, rngs=rngs)
    return DecoderBlock(SelfAttention(D, N, rngs=rngs), cross, D, 12, dropout=RATE, rngs=rngs, **options)


def hybrid(rngs: nnx.Rngs) -> Group:
    """A recurrence, and attention."""
    return Group([block(rngs, "gru"), block(rngs, mixing={"positions": "rotary"})])


def memory_of(rows, seed: int = 0) -> Encoded:
    """A memory (B, S, M) of these rows; the last steps of some are not real, and hold NaN."""
    random = np.random.default_rng(seed)
    real = np.arange(S) < random.integers(1, S + 1, size=(B, 1))
    values = np.where(real[..., None], random.normal(size=(B, S, M)), np.nan).astype(np.float32)
    return Encoded(values[rows], real[rows])


BLOCKS = [
    attends("attention"),
    attends("attention-rotary-grouped", positions="rotary", kv_heads=1, bias=False),
    attends("attention-alibi-window", positions="alibi", window=3),
    attends("attention-both-sides", causal=False, positions="alibi"),
    mixes("lambda", reach=3),
    BlockRow("lambda-both-sides", lambda rngs: mixer("lambda", D, N, reach=3, causal=False, rngs=rngs), causal=False),
    mixes("lstm-projected"),
    BlockRow("block-post", lambda rngs: block(rngs, place="post", norm="rms", activation="swiglu"), dropout=True),
    BlockRow("deep-hybrid-remat", lambda rngs: Deep(hybrid, 2, remat=True, rngs=rngs), dropout=True),
    BlockRow("deep-decoder", lambda rngs: Deep(decoder, 2, rngs=rngs), memory=True, dropout=True),
]

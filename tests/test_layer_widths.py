"""Layers refuse widths that are none when they are made, and inputs of another width when they are called."""

import jax.numpy as jnp
import pytest
from flax import nnx

from seqjax.checks import InputError
from seqjax.layers import (
    TCN,
    CrossAttention,
    Embedding,
    FeedForward,
    Highway,
    Lambda,
    LayerNorm,
    Linear,
    RMSNorm,
    ScalarMix,
    SelfAttention,
)

NONE = {
    "in_features": (lambda r: Linear(0, 4, rngs=r), r"Linear: `in_features` should be at least 1, but it is 0"),
    "features": (lambda r: Linear(4, -3, rngs=r), "Linear: `features` should be at least 1, but it is -3"),
    "vocabulary": (lambda r: Embedding(0, 4, rngs=r), "Embedding: `vocabulary`"),
    "hidden": (lambda r: FeedForward(4, 0, activation="swiglu", rngs=r), "FeedForward: `hidden`"),
    "layer-norm": (lambda r: LayerNorm(0), "LayerNorm: `features`"),
    "rms-norm": (lambda r: RMSNorm(-1), "RMSNorm: `features`"),
    "highway": (lambda r: Highway(4, layers=0, rngs=r), "Highway: `layers`"),
    "mix": (lambda r: ScalarMix(0), "ScalarMix: `layers`"),
    "memory": (lambda r: CrossAttention(4, 2, memory_features=0, rngs=r), "CrossAttention: `memory_features`"),
    "tcn": (lambda r: TCN(4, 0, levels=2, rngs=r), "TCN: `features`"),
}
WIDE = jnp.ones((2, 3, 5))
OTHERS = {
    "linear": (lambda r: Linear(4, 6, rngs=r)(WIDE), r"Linear: `xs` should be \(\*B, D\) = \(2, 3, 4\).*\(2, 3, 5\)"),
    "attend": (lambda r: Embedding(9, 4, rngs=r).attend(WIDE), r"Embedding.attend: `xs`.*\(2, 3, 4\).*\(2, 3, 5\)"),
    "feed-forward": (lambda r: FeedForward(4, 8, rngs=r)(WIDE), r"`xs` should be .*\(2, 3, 4\).*\(2, 3, 5\)"),
    "layer-norm": (lambda r: LayerNorm(4)(WIDE), r"layer_norm: `scale`.*\(5,\).*\(4,\)"),
    "one-wide": (lambda r: LayerNorm(4)(WIDE[..., :1]), r"layer_norm: `scale`.*\(1,\).*\(4,\)"),
    "rms-norm": (lambda r: RMSNorm(4)(WIDE), r"rms_norm: `scale`.*\(5,\).*\(4,\)"),
    "highway": (lambda r: Highway(4, rngs=r)(WIDE), r"highway: `kernel`.*\(5, 10\).*\(4, 8\)"),
    "mix": (lambda r: ScalarMix(4)(WIDE), r"scalar_mix: `scores`.*\(2,\).*\(4,\)"),
    "attention": (lambda r: SelfAttention(4, 2, rngs=r)(WIDE), r"SelfAttention: `xs`.*\(any, any, 4\).*\(2, 3, 5\)"),
    "memory": (lambda r: CrossAttention(4, 2, rngs=r).remember(WIDE), r"`memory`.*\(any, any, 4\).*\(2, 3, 5\)"),
    "lambda": (lambda r: Lambda(4, 2, reach=3, rngs=r)(WIDE), r"Lambda: `xs`.*\(any, any, 4\).*\(2, 3, 5\)"),
    "tcn": (lambda r: TCN(4, 6, levels=2, rngs=r)(WIDE), r"TCN: `xs`.*\(any, any, 4\).*\(2, 3, 5\)"),
}


@pytest.mark.parametrize("build, words", NONE.values(), ids=NONE)
def test_a_width_that_is_none_is_refused(build, words):
    with pytest.raises(InputError, match=words):
        build(nnx.Rngs(0))


@pytest.mark.parametrize("call, words", OTHERS.values(), ids=OTHERS)
def test_inputs_of_another_width_are_refused_with_both(call, words):
    with pytest.raises(InputError, match=words):
        call(nnx.Rngs(0))

"""JAX told to promote no axes and no types unsaid: what test_lowering.py and test_spread.py leave out, traced."""

import jax
import jax.numpy as jnp
import pytest

from seqjax import cells, unroll
from seqjax.decoding.limits import Limits, forbid
from seqjax.models.word_vectors import SoftmaxVectorsConfig, VectorsConfig, cbow, skipgram, skipgram_softmax
from seqjax.ops import crf, masks
from seqjax.ops.attention import attention
from seqjax.ops.normalization import layer_norm, rms_norm
from seqjax.ops.pooling import pool_mean
from seqjax.ops.positions import alibi_bias, rotary, sinusoidal
from seqjax.ops.quantiles import pinball
from seqjax.ops.sampling import Sampling, adjust
from seqjax.ops.spectrogram import log_mel, standardised

pytestmark = pytest.mark.usefixtures("strictly")
B, T, V = 2, 4, 5
REAL, IDS = jnp.ones((B, T), bool), jnp.ones((B, T), jnp.int32)
BETWEEN = crf.Transitions(jnp.ones(V), jnp.ones((V, V)), jnp.ones(V))
SAMPLING = Sampling(temperature=0.5, top_k=3, top_p=0.5, min_p=0.1)
WORDS = {"words": IDS, "sentence": IDS, "reach": IDS[:, :2], "negatives": IDS}
LATER = masks.Structured(causal=True, keys=REAL, key_positions=IDS, query_segments=IDS[0], key_segments=IDS)
SOUND = jnp.ones((B, 800))
DTYPES = (jnp.bfloat16, jnp.float32)


def trained(kind, config=VectorsConfig):
    """The gradient of vectors of words."""
    model = kind(config(features=3), V)
    return jax.grad(model.loss)(model.init(jax.random.key(0)), WORDS)


def associative(dtype):
    """A recurrence in log T turns."""
    params = cells.MinLSTM.init(jax.random.key(0), 3, 4, dtype)
    return unroll(cells.MinLSTM, params, jnp.ones((B, T, 3), dtype), mask=REAL, reset=~REAL, method="associative")


def normal(x, scale, bias):
    """Both normalisations."""
    return rms_norm(layer_norm(x, scale, bias), scale)


def looked(dtype, method):
    """Attention with a bias that has fewer axes, and a mask made of parts that have."""
    heads, bias = jnp.ones((B, T, 2, V), dtype), jnp.ones((2, 1, T), dtype)
    return attention(heads, heads, heads, mask=LATER, bias=bias, method=method)


FLOATING = {
    "associative": associative,
    "normalizations": lambda dtype: normal(jnp.ones((B, T, V), dtype), *jnp.ones((2, V), dtype)),
    "rotary": lambda dtype: rotary(jnp.ones((B, T, 1, 4), dtype), jnp.arange(T)),
    "crf": lambda dtype: crf.viterbi(crf.marginals(jnp.ones((B, T, V), dtype), BETWEEN), BETWEEN, REAL),
    "pooling": lambda dtype: pool_mean(jnp.ones((B, T, V), dtype), REAL),
    "attention-plain": lambda dtype: looked(dtype, "plain"),
    "attention-chunked": lambda dtype: looked(dtype, "chunked"),
}
OTHERS = {
    "masks": lambda: masks.combine(masks.causal(T), masks.padding(jnp.array([1, T]), T)[:, None]),
    "positions": lambda: (sinusoidal(IDS, V), alibi_bias(IDS, IDS, 2)),
    "pinball": lambda: pinball(jnp.ones((B, 2)), jnp.ones(B), (0.1, 0.5)),
    "attention-library": lambda: looked(jnp.float32, "library"),  # in half precision JAX's own promotes
    "spectrogram": lambda: standardised(*log_mel(SOUND, SOUND > 0, rate=80, window=40, hop=8, bands=2)),
    "sampling": lambda: adjust(jnp.ones((B, V)), SAMPLING),
    "limits": lambda: forbid(jnp.ones((B, V)), IDS, jnp.int32(1), Limits(no_repeat_ngram=2, min_length=2), end=0),
    "skipgram": lambda: trained(skipgram),
    "cbow": lambda: trained(cbow),
    "softmax": lambda: trained(skipgram_softmax, SoftmaxVectorsConfig),
}


@pytest.mark.parametrize("other", [jnp.ones(V), jnp.ones((B, V), bool)], ids=["rank", "type"])
def test_what_is_promoted_is_refused(other):
    with pytest.raises(ValueError, match="promotion"):
        jax.eval_shape(jnp.add, jnp.ones((B, V)), other)


@pytest.mark.parametrize("name", FLOATING)
def test_nothing_is_promoted_in_half_precision(name):
    for dtype in DTYPES:
        assert jax.tree.leaves(jax.eval_shape(lambda dtype=dtype: FLOATING[name](dtype)))


@pytest.mark.parametrize("name", OTHERS)
def test_nothing_is_promoted(name):
    assert jax.tree.leaves(jax.eval_shape(OTHERS[name]))

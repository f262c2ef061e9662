"""Which method attention takes by itself: shapes and a platform are enough to know."""

import jax
import jax.numpy as jnp
import pytest

from seqjax.ops import attention_choice, masks
from seqjax.ops.attention import attention
from seqjax.ops.attention_choice import choose_attention
from seqjax.ops.dropout import row_keys


def shaped(*shape, dtype="bfloat16"):
    return jax.ShapeDtypeStruct(shape, jnp.dtype(dtype))


@pytest.mark.parametrize(
    "shape, dtype, more, method, said",
    [
        ((8, 64, 4, 32), "float32", {"platform": "cpu"}, "plain", "nothing is gained"),
        ((1, 1024, 4, 64), "float32", {"platform": "cpu"}, "chunked", "memory and time"),
        ((1, 1024, 4, 64), "float32", {"platform": "cuda"}, "plain", "16.0 MiB"),
        ((8, 4096, 4, 64), "float32", {"platform": "tpu"}, "chunked", "2048.0 MiB"),
        ((8, 1024, 4, 64), "bfloat16", {"platform": "cuda"}, "library", "cuDNN"),
        ((8, 1023, 4, 64), "bfloat16", {"platform": "cuda", "mask": masks.Structured(causal=True)}, "library", "cuDNN"),
        ((8, 1023, 4, 64), "bfloat16", {"platform": "cuda", "mask": masks.causal(1023)}, "plain", "MiB"),
        ((8, 1024, 4, 64), "bfloat16", {"platform": "cuda", "rate": 0.1}, "plain", "MiB"),
        ((8, 1024, 4, 60), "bfloat16", {"platform": "cuda"}, "plain", "MiB"),
        ((8, 1024, 4, 136), "bfloat16", {"platform": "cuda"}, "plain", "MiB"),
        ((8, 1023, 4, 64), "bfloat16", {"platform": "cuda", "bias": jnp.zeros(1)}, "plain", "MiB"),
        ((8, 1, 4, 64), "bfloat16", {"platform": "cuda"}, "plain", "MiB"),
    ],
)
def test_the_method_is_chosen_for_a_reason(shape, dtype, more, method, said):
    x = shaped(*shape, dtype=dtype)
    chosen, why = choose_attention(x, x, x, **more)
    assert chosen == method
    assert said in why


def test_a_kernel_without_a_gradient_for_odd_sizes_gets_even_ones():
    """cuDNN's has none where a mask or a bias is a tensor of an odd number of queries, or of keys."""
    even, odd = shaped(8, 1024, 4, 64), shaped(8, 1023, 4, 64)
    for query, key in ((even, odd), (odd, even)):
        mask = masks.causal(query.shape[1], key.shape[1])
        assert choose_attention(query, key, key, mask=mask, platform="cuda")[0] == "plain"
        assert choose_attention(query, key, key, platform="cuda")[0] == "library"


def test_one_query_is_not_worth_pieces():
    query, key = shaped(1024, 1, 16, 64, dtype="float32"), shaped(1024, 8192, 16, 64, dtype="float32")
    for platform in ("cpu", "gpu"):
        assert choose_attention(query, key, key, platform=platform)[0] == "plain"
    assert choose_attention(key, key, key, platform="gpu")[0] == "chunked"


def test_where_weights_are_dropped_the_kernel_that_drops_none_is_not_taken(monkeypatch):
    monkeypatch.setattr(attention_choice, "_platform", lambda: "cuda")
    x, keys = jnp.ones((1, 2, 1, 8), jnp.bfloat16), row_keys(jax.random.key(0), jnp.arange(1))
    assert choose_attention(x, x, x)[0] == "library"
    dropped = attention(x, x, x, rate=0.5, keys=keys)
    assert dropped.tolist() == attention(x, x, x, rate=0.5, keys=keys, method="plain").tolist()

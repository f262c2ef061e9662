"""Which way of computing attention fits, and the way that calls JAX's own function.

B batch, T queries, S keys, N heads, G groups of heads, K features of a key, J of a value.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.checks import InputError
from seqjax.ops.masks import Structured, hide

CELLS, LEAST = 512 * 512, 128  # queries times keys, and the fewer of both, from where pieces are faster on a CPU
BYTES = 2**28  # the most that the weights of one call may take elsewhere


def choose_attention(
    query, key, value, *, mask=None, bias=None, rate: float = 0.0, platform: str | None = None
) -> tuple[str, str]:
    """Which method :func:`seqjax.ops.attention.attention` takes when it is left to choose, and why.

    Args:
        query: (*B, T, N, K); anything with a shape and a type, here and below.
        key: (*B, S, G, K).
        value: (*B, S, G, J).
        mask: what will be given as mask.
        bias: what will be given as bias.
        rate: probability of dropping a weight; 0 where nothing will be dropped.
        platform: "cpu", "gpu", "cuda" or "tpu"; None: JAX's default backend.

    Returns:
        ``(method, why)``: a word and a sentence.

    Example:
        >>> x = jax.ShapeDtypeStruct((8, 64, 4, 32), jnp.float32)
        >>> choose_attention(x, x, x, platform="cpu")
        ('plain', 'The weights of 64 queries and 64 keys take 0.5 MiB: nothing is gained by computing them in pieces.')
        >>> choose_attention(*[jax.ShapeDtypeStruct((8, 1024, 4, 64), jnp.bfloat16)] * 3, platform="cuda")
        ('library', 'cuDNN has a kernel for bfloat16 and heads of width 64, and does all that is asked.')
    """
    (*batch, T, N, _), S = query.shape, key.shape[-3]
    platform = platform or _platform()
    fits, reason = _cudnn(query, value, mask, bias, rate, platform)
    if fits:
        return "library", reason
    known = math.prod(n for n in batch if isinstance(n, int))  # jax.export leaves a size open
    size = 4 * known * N * T * S
    room = f"The weights of {T} queries and {S} keys take {size / 2**20:.1f} MiB"
    many = T * S >= CELLS and min(T, S) >= LEAST if platform == "cpu" else size > BYTES and T > 1
    if many:
        return "chunked", f"{room}: computing them in pieces saves memory" + (
            " and time." if platform == "cpu" else "."
        )
    return "plain", f"{room}: nothing is gained by computing them in pieces."


def _platform() -> str:
    """ "cuda" on NVIDIA's GPUs, else the name of the backend."""
    name = jax.default_backend()
    cuda = name == "gpu" and "cuda" in jax.devices()[0].client.platform_version.lower()
    return "cuda" if cuda else name


def _cudnn(query, value, mask, bias, rate: float, platform: str) -> tuple[bool, str]:
    """Whether cuDNN's kernel does all that is asked."""
    T, S, K = query.shape[-3], value.shape[-3], query.shape[-1]
    half = query.dtype in (jnp.bfloat16, jnp.float16)
    tensors = bias is not None or not (mask is None or is_plainly_causal(mask))
    even = (T % 2 == 0 and S % 2 == 0) or not tensors  # else its gradient is missing
    width = value.shape[-1] == K and K <= 128 and K % 8 == 0
    reason = f"cuDNN has a kernel for {jnp.dtype(query.dtype).name} and heads of width {K}, and does all that is asked."
    return platform == "cuda" and half and width and even and rate == 0 and T > 1, reason


def is_plainly_causal(mask: Any) -> bool:
    """Whether a mask only says that queries 0, 1, … look at no later one of the keys 0, 1, …."""
    return isinstance(mask, Structured) and not jax.tree.leaves(mask) and mask == Structured(causal=True)


def library_attention(query: Array, key: Array, value: Array, mask, bias: Array | None, rate: float) -> Array:
    """``jax.nn.dot_product_attention``, made to give zeros where a query may look nowhere.

    Arguments as those of :func:`seqjax.ops.attention.attention`, already checked.

    Raises:
        InputError: dropout, float64 (its softmax is float32), or values of another width than the keys.

    Example:
        >>> x = jnp.ones((1, 2, 1, 8))
        >>> library_attention(x, x, x, jnp.array([[False], [True]]), None, 0.0)[0, :, 0, 0].tolist()
        [0.0, 1.0]
    """
    check_library(query, value, rate)
    *batch, T, N, _ = query.shape
    S = key.shape[-3]
    causal = is_plainly_causal(mask)
    B, out = math.prod(batch), (*batch, T, N, value.shape[-1])
    if 0 in (B, T, S, N):
        return jnp.zeros(out, value.dtype)
    kernel: Any = "cudnn" if _cudnn(query, value, mask, bias, rate, _platform())[0] else "xla"
    if isinstance(mask, Structured):
        mask = None if causal else mask.expand(T, S)
    query, key, value = hide(query, key, value, mask)
    looking = None if mask is None else jnp.any(mask, axis=-1)[..., None, None]
    if mask is not None:
        mask = jnp.broadcast_to(mask, (*batch, T, S)).reshape(B, 1, T, S)
    if bias is not None:
        looking = _looking_with(bias, mask, causal, (*batch, N, T, S))
        bias = jnp.maximum(bias, jnp.finfo(query.dtype).min / 2)  # -inf alone in a row would be NaN
        bias = jnp.broadcast_to(bias, (*batch, N, T, S)).reshape(B, N, T, S).astype(query.dtype)
    query, key, value = (x.reshape(B, *x.shape[-3:]) for x in (query, key, value))
    ys = jax.nn.dot_product_attention(query, key, value, bias, mask, is_causal=causal, implementation=kernel)
    return ys.reshape(out) if looking is None else jnp.where(looking, ys.reshape(out), 0)


def _looking_with(bias: Array, mask: Array | None, causal: bool, shape: tuple[int, ...]) -> Array:
    """Which queries look at anything, (*B, T, N, 1), where a bias of -inf forbids a key as a mask does."""
    seen = jnp.broadcast_to(~jnp.isneginf(bias), shape)
    if causal:
        seen &= jnp.broadcast_to(jnp.tril(jnp.ones(shape[-2:], bool)), shape)
    if mask is not None:
        seen &= mask.reshape(*shape[:-3], 1, *shape[-2:])
    return jnp.swapaxes(seen.any(axis=-1), -1, -2)[..., None]


def check_library(query, value, rate: float) -> None:
    """Refuse what ``jax.nn.dot_product_attention`` cannot do."""
    unfit = []
    if rate > 0:
        unfit.append("it drops no weights")
    if jnp.dtype(query.dtype).itemsize > 4:
        unfit.append("its softmax is float32")
    if query.shape[-1] != value.shape[-1]:
        unfit.append(f"its values are as wide as its keys, not J = {value.shape[-1]} and K = {query.shape[-1]}")
    if unfit:
        raise InputError(f'attention: method "library" cannot do this: {"; ".join(unfit)}. Try method="auto".')

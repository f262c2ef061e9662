"""Metrics of tokens: (sum, count) pairs on the device, and what a report makes of them on the host.

B batch, T time, V vocabulary.
"""

import math

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from seqjax.ops.losses import check_tokens


def token_accuracy(logits: Array, targets: ArrayLike, mask: ArrayLike) -> tuple[Array, Array]:
    """How many real tokens are the most likely one, and how many there are.

    Args:
        logits: (*B, T, V).
        targets: (*B, T), integer ids in [0, V); where ``mask`` is False they are not looked at.
        mask: (*B, T) boolean, True on real tokens.

    Returns:
        ``(correct, count)``, float32 scalars: tokens, and tokens.

    Raises:
        InputError: as :func:`seqjax.ops.losses.token_cross_entropy`.

    Example:
        >>> logits = jnp.array([[[0.0, 1.0], [2.0, 1.0], [0.0, 9.0]]])
        >>> correct, count = token_accuracy(logits, jnp.array([[1, 1, 1]]), jnp.array([[True, True, False]]))
        >>> float(correct), float(count)
        (1.0, 2.0)
    """
    targets = check_tokens("token_accuracy", logits, targets, mask)
    hits = (jnp.argmax(logits, axis=-1) == targets) & mask
    return jnp.sum(hits, dtype=jnp.float32), jnp.sum(mask, dtype=jnp.float32)


def perplexity(nats: float, tokens: float | int) -> float:
    """``exp(nats / tokens)``: how many equally likely tokens would be as hard; NaN where there are none, or of NaN.

    Example:
        >>> round(perplexity(nats=3 * math.log(10), tokens=3), 6)
        10.0
        >>> perplexity(nats=math.nan, tokens=3)
        nan
    """
    if tokens == 0:
        return math.nan
    rate = nats / tokens
    return math.inf if rate >= 700 else math.exp(rate)


def bits_per_unit(nats: float, units: float | int) -> float:
    """``nats / ln 2 / units``: bits per character, byte or word; NaN where there are none.

    Example:
        >>> bits_per_unit(nats=4 * math.log(2), units=2)
        2.0
    """
    return nats / math.log(2) / units if units else math.nan

"""Losses as a sum and a count, added over devices and micro-batches before the one division.

B batch, T time, V vocabulary.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from seqjax.checks import InputError, check_ids, check_mask, check_shape, check_share


def token_cross_entropy(logits: Array, targets: ArrayLike, mask: ArrayLike) -> tuple[Array, Array]:
    r"""Negative log-likelihood :math:`\sum -\log p(\text{target})` of the real tokens, and how many there are.

    They come back apart so that they can be summed over devices and micro-batches: averaging averages would
    give a token more weight the more padding its neighbours carry. Computed and summed in float32, whatever
    the type of ``logits``. What stands in padding, NaN and Inf too, reaches neither value nor gradient.

    Args:
        logits: (*B, T, V), log-probabilities up to a constant, any floating type.
        targets: (*B, T), integer ids in [0, V); where ``mask`` is False they are not looked at.
        mask: (*B, T) boolean, True on real tokens.

    Returns:
        ``(total, count)``, float32 scalars: nats, and tokens. ``total / count`` is nats per token.

    Raises:
        InputError: ``targets`` or ``mask`` is not (*B, T), a type is wrong, or (outside of a
            transformation, where values can be seen) a real target is not an id.

    Source:
        Shannon (1948), A Mathematical Theory of Communication, section 6.

    Example:
        >>> logits = jnp.log(jnp.array([[[0.5, 0.25, 0.25], [jnp.nan, 1.0, 2.0]]]))   # B=1, T=2, V=3
        >>> total, count = token_cross_entropy(logits, jnp.array([[0, 2]]), jnp.array([[True, False]]))
        >>> round(float(jnp.exp(-total)), 4), float(count)
        (0.5, 1.0)
    """
    targets = check_tokens("token_cross_entropy", logits, targets, mask)
    logits = jnp.where(jnp.expand_dims(mask, -1), logits, 0).astype(jnp.float32)
    target_logits = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    nats = jax.nn.logsumexp(logits, axis=-1) - target_logits
    return jnp.sum(jnp.where(mask, nats, 0)), jnp.sum(mask, dtype=jnp.float32)


def smoothed_cross_entropy(logits: Array, targets: ArrayLike, mask: ArrayLike, smoothing: float) -> tuple[Array, Array]:
    r"""Cross entropy against targets of which a share ``smoothing`` is spread evenly over all V symbols.

    :math:`\sum (1 - s)(-\log p(\text{target})) + s \cdot \frac{1}{V} \sum_v -\log p(v)`; with ``smoothing`` 0 it
    is :func:`token_cross_entropy`.

    Args:
        logits: (*B, T, V).
        targets: (*B, T), integer ids in [0, V).
        mask: (*B, T) boolean, True on real tokens.
        smoothing: probability, in [0, 1).

    Returns:
        ``(total, count)``, float32 scalars: nats, and tokens.

    Raises:
        InputError: as :func:`token_cross_entropy`, or ``smoothing`` is outside [0, 1).

    Source:
        Szegedy et al. (2016), Rethinking the Inception Architecture for Computer Vision, section 7.

    Example:
        >>> logits, mask = jnp.log(jnp.array([[[0.9, 0.1]]])), jnp.array([[True]])
        >>> total, _ = smoothed_cross_entropy(logits, jnp.array([[0]]), mask, 0.2)
        >>> wanted = -(0.9 * jnp.log(0.9) + 0.1 * jnp.log(0.1))     # of the target 1 - 0.2 + 0.2 / 2
        >>> bool(jnp.isclose(total, wanted))
        True
    """
    check_share("smoothed_cross_entropy", "smoothing", smoothing, "Try 0.1.")
    total, count = token_cross_entropy(logits, targets, mask)
    if smoothing == 0:
        return total, count
    logits = jnp.where(jnp.expand_dims(mask, -1), logits, 0).astype(jnp.float32)
    spread = jax.nn.logsumexp(logits, axis=-1) - logits.mean(axis=-1)
    return (1 - smoothing) * total + smoothing * jnp.sum(jnp.where(mask, spread, 0)), count


def check_tokens(where: str, logits, targets, mask) -> Array:
    """Refuse arguments that do not fit together; return ``targets`` with zeros where ``mask`` is False."""
    if np.ndim(logits) < 2 or not jnp.issubdtype(logits.dtype, jnp.floating):
        raise InputError(
            f"{where}: `logits` should be floating (*B, T, V), but it is {logits.dtype} {np.shape(logits)}."
        )
    *sizes, vocabulary = logits.shape
    check_shape(where, "targets", targets, "(*B, T)", sizes)
    check_mask(where, "mask", mask, "(*B, T)", sizes)
    if not jnp.issubdtype(targets.dtype, jnp.integer):
        raise InputError(
            f"{where}: `targets` should be integer ids in [0, {vocabulary}), but they are {targets.dtype}."
        )
    if not isinstance(targets, jax.core.Tracer) and not isinstance(mask, jax.core.Tracer):
        check_ids(where, "targets", np.where(mask, targets, 0), vocabulary)
    return jnp.where(mask, targets, 0)

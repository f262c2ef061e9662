"""From the vectors of a sequence's steps to one vector: the last, the mean, the largest, the sum, or by attention.

B rows, T steps, M features. A row without a real step gives zeros, and finite gradients; what stands in padding, NaN
and Inf too, reaches nothing.
"""

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.checks import InputError, check_count, check_floating, check_mask, check_shape
from seqjax.precision import wide

POOLINGS = ("last", "mean", "max", "sum", "attention")


def pool_last(xs: Array, mask: Array, backward: int = 0) -> Array:
    """What the last real step says; of the last ``backward`` features, what the first one says.

    The second half of what a bidirectional recurrence gives reads from right to left and so ends at the first step.

    Args:
        xs: (B, T, M).
        mask: (B, T), True on real steps, wherever they stand.
        backward: how many of the M features read from right to left.

    Returns:
        (B, M).

    Raises:
        InputError: shapes that do not fit, or more backward features than there are.

    Example:
        >>> xs = jnp.array([[[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]])
        >>> pool_last(xs, jnp.array([[True, True, False]]), backward=1).tolist()
        [[2.0, 10.0]]
    """
    real = _checked("pool_last", xs, mask)
    features = xs.shape[-1]
    if not 0 <= backward <= features:
        raise InputError(f"pool_last: `backward` should lie in [0, M] = [0, {features}], but it is {backward}.")
    steps = mask.shape[1]
    if not steps:
        return jnp.zeros((len(xs), features), real.dtype)
    last = steps - 1 - jnp.argmax(mask[:, ::-1], axis=1)
    ends = [(last, real[..., : features - backward]), (jnp.argmax(mask, axis=1), real[..., features - backward :])]
    return jnp.concatenate(
        [jnp.take_along_axis(half, at[:, None, None], axis=1)[:, 0] for at, half in ends if half.shape[-1]], axis=-1
    )


def pool_sum(xs: Array, mask: Array) -> Array:
    """The sum over real steps: (B, T, M) to (B, M).

    Example:
        >>> pool_sum(jnp.array([[[1.0], [2.0], [4.0]]]), jnp.array([[True, True, False]])).tolist()
        [[3.0]]
    """
    return _checked("pool_sum", xs, mask).sum(axis=1)


def pool_mean(xs: Array, mask: Array) -> Array:
    """The mean over real steps: (B, T, M) to (B, M).

    Example:
        >>> pool_mean(jnp.array([[[1.0], [2.0], [4.0]]]), jnp.array([[True, True, False]])).tolist()
        [[1.5]]
    """
    real = _checked("pool_mean", xs, mask)
    kind = jnp.result_type(real.dtype, 1.0)
    summed = wide(kind)  # half precision holds numbers whose sum it does not
    return (real.sum(axis=1, dtype=summed) / jnp.maximum(mask.sum(axis=1), 1)[:, None].astype(summed)).astype(kind)


def pool_max(xs: Array, mask: Array) -> Array:
    """The largest of each feature over real steps: (B, T, M) to (B, M).

    Source:
        Collobert et al. (2011), Natural Language Processing (Almost) from Scratch, section 3.3.2.

    Example:
        >>> pool_max(jnp.array([[[-1.0], [-2.0], [4.0]]]), jnp.array([[True, True, False]])).tolist()
        [[-1.0]]
    """
    check_floating("pool_max", "xs", xs)
    real = _checked("pool_max", xs, mask)
    largest = jnp.max(jnp.where(mask[..., None], real, -jnp.inf), axis=1, initial=-jnp.inf)
    return jnp.where(mask.any(axis=1)[:, None], largest, 0)


def pool_attention(xs: Array, scores: Array, mask: Array) -> Array:
    """The sum over real steps, weighed by the softmax of their scores: (B, T, M) and (B, T) to (B, M).

    Source:
        Yang et al. (2016), Hierarchical Attention Networks for Document Classification, section 2.2.

    Example:
        >>> xs, real = jnp.array([[[1.0], [3.0], [9.0]]]), jnp.array([[True, True, False]])
        >>> pool_attention(xs, jnp.zeros((1, 3)), real).tolist()
        [[2.0]]
    """
    check_floating("pool_attention", "xs", xs)
    weights = attention_weights(scores, mask)
    return jnp.einsum("bt,btm->bm", weights.astype(xs.dtype), _checked("pool_attention", xs, mask))


def attention_weights(scores: Array, mask: Array) -> Array:
    """The softmax over real steps, zero elsewhere: (B, T), float32; of a row without a real step, zeros.

    Example:
        >>> attention_weights(jnp.array([[2.0, 2.0, 9.0]]), jnp.array([[True, True, False]])).tolist()
        [[0.5, 0.5, 0.0]]
    """
    check_mask("attention_weights", "mask", mask, "(B, T)", scores.shape)
    scores = jnp.where(mask, scores, 0).astype(jnp.float32)
    highest = jnp.max(jnp.where(mask, scores, jnp.finfo(jnp.float32).min), axis=1, keepdims=True, initial=-3e38)
    powers = jnp.where(mask, jnp.exp(jnp.where(mask, scores - jax.lax.stop_gradient(highest), 0)), 0)
    total = powers.sum(axis=1, keepdims=True)
    return powers / jnp.where(total == 0, 1, total)


def pool_first(xs: Array, mask: Array, steps: int) -> Array:
    """The first real steps side by side, as a window of a feed-forward network: (B, T, M) to (B, steps · M).

    What a shorter row lacks is zero.

    Source:
        Bengio et al. (2003), A Neural Probabilistic Language Model, section 2.

    Example:
        >>> pool_first(jnp.array([[[9.0], [1.0], [2.0]]]), jnp.array([[False, True, True]]), 3).tolist()
        [[1.0, 2.0, 0.0]]
    """
    real = _checked("pool_first", xs, mask)
    check_count("pool_first", "steps", steps)
    order = jnp.argsort(~mask, axis=1, stable=True)[:, :steps]
    taken = jnp.take_along_axis(real, order[..., None], axis=1)
    taken = jnp.pad(taken, ((0, 0), (0, steps - taken.shape[1]), (0, 0)))
    return taken.reshape(len(xs), steps * xs.shape[2])


def _checked(where: str, xs: Array, mask: Array) -> Array:
    """``xs`` with zeros where nothing is real."""
    check_shape(where, "xs", xs, "(B, T, M)", (None, None, None))
    check_mask(where, "mask", mask, "(B, T)", xs.shape[:2])
    return jnp.where(mask[..., None], xs, 0)

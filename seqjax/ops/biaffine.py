"""How well a word hangs on another, and by which relation: scores that are affine in both words.

B batch, T words, D features of a dependent and of a head, L labels.
Source: Dozat & Manning (2017), Deep Biaffine Attention for Neural Dependency Parsing, section 3.1.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.checks import check_mask, check_shape


class ArcWeights(NamedTuple):
    """Of :func:`arc_scores`."""

    kernel: Array  # (D, D), from features of a dependent to those of a head
    prior: Array  # (D,), how likely a word is a head at all


class LabelWeights(NamedTuple):
    """Of :func:`label_scores`."""

    kernel: Array  # (D, L, D), from features of a dependent to those of a head, one map for each label
    dependent: Array  # (D, L)
    head: Array  # (D, L)
    bias: Array  # (L,)


def arc_scores(weights: ArcWeights, dependents: Array, heads: Array, mask: Array) -> Array:
    r"""Score every head of every word: :math:`d_t^\top W h_s + h_s^\top u`.

    Args:
        weights: W and u.
        dependents: (*B, T, D), each word as one that hangs on another.
        heads: (*B, T+1, D), the root, then each word as one that others hang on.
        mask: (*B, T), True on words.

    Returns:
        (*B, T, T+1) log-probabilities up to a constant, over the root (column 0) and the words (column s is word s,
        counted from 1). ``-inf`` where the head is padding or the word itself; 0 in rows of padding.

    Raises:
        InputError: arrays that do not fit together.

    Example:
        >>> weights = ArcWeights(jnp.eye(2), jnp.array([0.0, 0.5]))
        >>> words = jnp.array([[1.0, 2.0], [3.0, 0.0]])
        >>> root = jnp.zeros((1, 2))
        >>> arc_scores(weights, words, jnp.concatenate([root, words]), jnp.array([True, True])).tolist()
        [[0.0, -inf, 3.0], [0.0, 4.0, -inf]]
    """
    *lead, words, width = dependents.shape
    check_shape("arc_scores", "heads", heads, "(*B, T+1, D)", (*lead, words + 1, width))
    check_mask("arc_scores", "mask", mask, "(*B, T)", (*lead, words))
    real = jnp.concatenate([jnp.ones((*lead, 1), bool), mask], axis=-1)
    dependents, heads = jnp.where(mask[..., None], dependents, 0), jnp.where(real[..., None], heads, 0)
    queries = dependents @ weights.kernel + jax.lax.broadcast_to_rank(weights.prior, dependents.ndim)
    scores = jnp.einsum("...td,...sd->...ts", queries, heads)
    allowed = real[..., None, :] & ~jax.lax.broadcast_to_rank(jnp.eye(words, words + 1, 1, dtype=bool), scores.ndim)
    return jnp.where(mask[..., None], jnp.where(allowed, scores, -jnp.inf), 0)


def label_scores(weights: LabelWeights, dependents: Array, heads: Array, mask: Array) -> Array:
    r"""Score every relation of a word to its head: :math:`d_t^\top U_l h_t + d_t^\top v_l + h_t^\top w_l + b_l`.

    Args:
        weights: U, v, w and b.
        dependents: (*B, T, D), each word as one that hangs on another.
        heads: (*B, T, D), the head of each word, as :func:`take_heads` finds it.
        mask: (*B, T), True on words.

    Returns:
        (*B, T, L) log-probabilities up to a constant; 0 in padding.

    Raises:
        InputError: arrays that do not fit together.

    Example:
        >>> weights = LabelWeights(jnp.ones((1, 3, 1)), jnp.zeros((1, 3)), jnp.zeros((1, 3)), jnp.arange(3.0))
        >>> label_scores(weights, jnp.array([[2.0]]), jnp.array([[5.0]]), jnp.array([True])).tolist()
        [[10.0, 11.0, 12.0]]
    """
    *lead, words, width = dependents.shape
    check_shape("label_scores", "heads", heads, "(*B, T, D)", (*lead, words, width))
    check_mask("label_scores", "mask", mask, "(*B, T)", (*lead, words))
    dependents, heads = jnp.where(mask[..., None], dependents, 0), jnp.where(mask[..., None], heads, 0)
    mapped = (dependents @ weights.kernel.reshape(width, -1)).reshape(*lead, words, -1, width)
    scores = jnp.einsum("...tle,...te->...tl", mapped, heads)
    bias = jax.lax.broadcast_to_rank(weights.bias, scores.ndim)
    scores += dependents @ weights.dependent + heads @ weights.head + bias
    return jnp.where(mask[..., None], scores, 0)


def take_heads(heads: Array, chosen: Array, mask: Array) -> Array:
    """The vector of each word's head.

    Args:
        heads: (*B, T+1, D), the root, then each word.
        chosen: (*B, T) numbers in [0, T]; where ``mask`` is False they are not looked at.
        mask: (*B, T), True on words.

    Returns:
        (*B, T, D).

    Example:
        >>> take_heads(jnp.array([[7.0], [8.0], [9.0]]), jnp.array([2, 0]), jnp.array([True, True])).tolist()
        [[9.0], [7.0]]
    """
    return jnp.take_along_axis(heads, jnp.where(mask, chosen, 0)[..., None], axis=-2)

"""How well a query fits a key: scores before the softmax, (*B, T, S).

B batch, T queries, S keys, K features of queries and J of keys, A features of the hidden layer.
"""

import jax.numpy as jnp
from jax import Array

from seqjax.checks import InputError, check_shape


def dot(queries: Array, keys: Array) -> Array:
    r""":math:`q_t \cdot k_s`, from (*B, T, K) and (*B, S, K).

    Raises:
        InputError: queries and keys do not have the same batch and features.

    Source:
        Luong, Pham & Manning (2015), Effective Approaches to Attention-based NMT, section 3.1.

    Example:
        >>> dot(jnp.array([[1.0, 2.0]]), jnp.array([[3.0, 4.0], [0.0, 1.0]])).tolist()
        [[11.0, 2.0]]
    """
    check_pair("dot", queries, keys)
    return jnp.einsum("...tk,...sk->...ts", queries, keys)


def scaled_dot(queries: Array, keys: Array) -> Array:
    r""":math:`q_t \cdot k_s / \sqrt K`, of unit variance where queries and keys are.

    Raises:
        InputError: as :func:`dot`.

    Source:
        Vaswani et al. (2017), Attention Is All You Need, equation 1.

    Example:
        >>> scaled_dot(jnp.ones((1, 4)), jnp.ones((1, 4))).tolist()
        [[2.0]]
    """
    check_pair("scaled_dot", queries, keys)
    return jnp.einsum("...tk,...sk->...ts", queries, keys) * queries.shape[-1] ** -0.5


def bilinear(queries: Array, keys: Array, kernel: Array) -> Array:
    r""":math:`q_t^\top W k_s`, from (*B, T, K), (*B, S, J) and W (K, J): the "general" score.

    Raises:
        InputError: ``kernel`` does not map the features of queries to those of keys.

    Source:
        Luong, Pham & Manning (2015), Effective Approaches to Attention-based NMT, section 3.1.

    Example:
        >>> bilinear(jnp.ones((1, 2)), jnp.ones((1, 3)), jnp.full((2, 3), 0.5)).tolist()
        [[3.0]]
    """
    check_shape("bilinear", "kernel", kernel, "(K, J)", (queries.shape[-1], keys.shape[-1]))
    projected = queries @ kernel
    check_pair("bilinear", projected, keys)
    return jnp.einsum("...tj,...sj->...ts", projected, keys)


def additive(queries: Array, keys: Array, vector: Array) -> Array:
    r""":math:`v^\top \tanh(q_t + k_s)`, where :math:`q = W s` and :math:`k = U h` were projected before.

    Args:
        queries: (*B, T, A), projected.
        keys: (*B, S, A), projected: once for all queries.
        vector: (A,).

    Returns:
        (*B, T, S). (*B, T, S, A) numbers stand in memory on the way, and in the gradient.

    Raises:
        InputError: the features A differ, or the batches.

    Source:
        Bahdanau, Cho & Bengio (2015), Neural Machine Translation by Jointly Learning to Align and Translate, A.1.2.

    Example:
        >>> print(additive(jnp.ones((1, 2)), jnp.ones((1, 2)), jnp.ones(2)).round(4))
        [[1.9281]]
    """
    check_pair("additive", queries, keys)
    check_shape("additive", "vector", vector, "(A,)", queries.shape[-1:])
    return jnp.tanh(queries[..., :, None, :] + keys[..., None, :, :]) @ vector


def check_pair(where: str, queries, keys) -> None:
    """Refuse queries (*B, T, K) and keys (*B, S, K) that do not fit each other."""
    fits = queries.ndim == keys.ndim >= 2 and queries.shape[:-2] == keys.shape[:-2]
    if not fits or queries.shape[-1] != keys.shape[-1]:
        raise InputError(
            f"{where}: `queries` (*B, T, K) and `keys` (*B, S, K) should agree in batch and features, "
            f"but they are {queries.shape} and {keys.shape}."
        )

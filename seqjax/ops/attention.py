"""Attention: a weighted mean of values, the weights a softmax of how well keys fit a query.

B batch, T queries, S keys, N heads, G groups of heads that share keys and values, K features of a key, J of a value.
"""

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.checks import InputError, check_choice, check_floating
from seqjax.ops.attention_choice import choose_attention, library_attention
from seqjax.ops.attention_chunked import chunked_attention
from seqjax.ops.attention_dropout import check_dropout, drop_weights
from seqjax.ops.masks import Structured, hide
from seqjax.precision import wide

METHODS = ("auto", "plain", "chunked", "library")


def masked_softmax(scores: Array, mask: Array | None = None) -> Array:
    r"""Weights that sum to one over the keys a query may look at, and to zero where it may look at none.

    Args:
        scores: (*B, T, S), any floating type; -inf hides a key too.
        mask: broadcasts to (*B, T, S), True where the query may look; None: everywhere. What ``scores`` holds
            elsewhere, NaN too, reaches neither value nor gradient.

    Returns:
        (*B, T, S), float32 or wider.

    Raises:
        InputError: ``mask`` is not boolean, or does not broadcast to ``scores``.

    Example:
        >>> mask = jnp.array([[True, True, False], [False, False, False]])
        >>> masked_softmax(jnp.array([[1.0, 1.0, jnp.nan], [1.0, 2.0, 3.0]]), mask).tolist()
        [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    """
    scores = scores.astype(wide(scores.dtype))
    if mask is not None:
        check_visible("masked_softmax", mask, scores.shape)
        scores = jnp.where(mask, scores, -jnp.inf)
    highest = jax.lax.stop_gradient(jnp.max(scores, axis=-1, keepdims=True, initial=-jnp.inf))
    powers = jnp.exp(scores - jnp.where(jnp.isneginf(highest), 0, highest))
    total = jnp.sum(powers, axis=-1, keepdims=True)
    return powers / jnp.where(total == 0, 1, total)


def read(weights: Array, values: Array, mask: Array | None = None) -> Array:
    """The weighted sums of values: (*B, T, S) and (*B, S, J) to (*B, T, J).

    Args:
        weights: (*B, T, S).
        values: (*B, S, J).
        mask: broadcasts to (*B, T, S); a value that no query may look at may then hold NaN.

    Example:
        >>> read(jnp.array([[0.25, 0.75]]), jnp.array([[1.0, 0.0], [0.0, 2.0]])).tolist()
        [[0.25, 1.5]]
    """
    check_floating("read", "values", values)
    if mask is not None:
        check_visible("read", mask, weights.shape)
        values = jnp.where(jnp.any(mask, axis=-2)[..., None], values, 0)
    return jnp.einsum("...ts,...sj->...tj", weights.astype(values.dtype), values)


def attention(
    query: Array,
    key: Array,
    value: Array,
    *,
    mask: Array | Structured | None = None,
    bias: Array | None = None,
    rate: float = 0.0,
    keys: Array | None = None,
    method: str = "auto",
) -> Array:
    r"""Multi-head scaled dot-product attention.

    .. math:: y_n = \text{softmax}(Q_n K_g^\top / \sqrt K + \text{bias}_n) V_g, \quad g = \lfloor n G / N \rfloor

    A query that may look at no key gets zeros. Keys and values that no query may look at, and queries that may look
    nowhere, may hold NaN or Inf: they change neither outputs nor gradients. The softmax is computed in float32 or
    wider. Keys and values of a group are never repeated in memory.

    Args:
        query: (*B, T, N, K).
        key: (*B, S, G, K), N a multiple of G.
        value: (*B, S, G, J).
        mask: True where a query may look: boolean, broadcasts to (*B, T, S), or :class:`seqjax.ops.masks.Structured`.
        bias: added to the scaled scores; broadcasts to (*B, N, T, S).
        rate: probability of dropping a weight, in [0, 1); the places dropped are those of
            :func:`seqjax.ops.attention_dropout.drop_weights`, whatever the method.
        keys: (*B,) typed dropout keys; None: nothing is dropped.
        method: ``"plain"`` holds all weights in memory, and is the one for forward mode (``jax.jvp``) whatever the
            sizes; ``"chunked"`` holds a rectangle of them, and computes them again for the gradient; ``"library"`` is
            ``jax.nn.dot_product_attention``; ``"auto"`` takes what
            :func:`seqjax.ops.attention_choice.choose_attention` says.

    Returns:
        (*B, T, N, J), of the type of ``value``.

    Raises:
        InputError: shapes or types do not fit, or the method cannot do what is asked.

    Source:
        Vaswani et al. (2017), Attention Is All You Need, section 3.2; groups of heads, Ainslie et al. (2023), GQA.

    Example:
        >>> from seqjax.ops import masks
        >>> x = jnp.ones((1, 3, 2, 4)).at[0, 2].set(jnp.nan)             # B=1, T=S=3, N=G=2, K=J=4
        >>> mask = masks.padding(jnp.array([2]), 3)[:, None]
        >>> attention(x.at[0, 2].set(0), x, x, mask=mask)[0, :, 0, 0].tolist()
        [1.0, 1.0, 1.0]
    """
    check_choice("attention", "method", method, METHODS)
    check_attention("attention", query, key, value, mask, bias)
    check_dropout("attention", rate, keys, query.shape[:-3])
    if method == "auto":
        method, _ = choose_attention(query, key, value, mask=mask, bias=bias, rate=0.0 if keys is None else rate)
    if method == "chunked":
        return chunked_attention(query, key, value, mask, bias, rate, keys)
    if method == "library":
        return library_attention(query, key, value, mask, bias, 0.0 if keys is None else rate)
    return _plain(query, key, value, mask, bias, rate, keys)[0]


def attention_weights(
    query: Array,
    key: Array,
    value: Array,
    *,
    mask: Array | Structured | None = None,
    bias: Array | None = None,
    rate: float = 0.0,
    keys: Array | None = None,
) -> tuple[Array, Array]:
    """As :func:`attention` with the method "plain", and the weights to look at.

    Returns:
        ``(ys, weights)``: (*B, T, N, J), and (*B, N, T, S) in float32 or wider: before dropout, rows that sum to one
        or, where a query may look nowhere, to zero.

    Example:
        >>> x = jnp.zeros((1, 2, 1, 4))
        >>> ys, weights = attention_weights(x, x, x)
        >>> weights.tolist()
        [[[[0.5, 0.5], [0.5, 0.5]]]]
    """
    check_attention("attention_weights", query, key, value, mask, bias)
    check_dropout("attention_weights", rate, keys, query.shape[:-3])
    return _plain(query, key, value, mask, bias, rate, keys)


def _plain(query, key, value, mask, bias, rate, keys) -> tuple[Array, Array]:
    """Outputs and weights, with all weights in memory.

    The heads of a group stand above each other as the rows of one product: measured on 2 cores at T = S = 256,
    2 groups of 3 heads, this takes 2/3 of the time of a product with two axes of rows; and without groups as
    long as the textbook's four axes.
    """
    *batch, T, N, K = query.shape
    S, G = key.shape[-3:-1]
    if isinstance(mask, Structured):
        mask = mask.expand(T, S)
    query, key, value = hide(query, key, value, mask)
    rows = jnp.moveaxis(query.reshape(*batch, T, G, N // G, K), -4, -2).reshape(*batch, G, N // G * T, K)
    scores = jnp.einsum("...gxk,...sgk->...gxs", rows, key, preferred_element_type=wide(query.dtype))
    scores = scores.reshape(*batch, N, T, S) * K**-0.5
    if bias is not None:
        bias = jax.lax.broadcast_to_rank(jnp.asarray(bias), scores.ndim)
        scores += bias.astype(wide(bias.dtype))
    weights = masked_softmax(scores, None if mask is None else jnp.expand_dims(mask, -3))
    dropped = drop_weights(weights, rate, keys).astype(value.dtype).reshape(*batch, G, N // G * T, S)
    ys = jnp.einsum("...gxs,...sgj->...gxj", dropped, value).reshape(*batch, G, N // G, T, value.shape[-1])
    return jnp.moveaxis(ys, -2, -4).reshape(*batch, T, N, value.shape[-1]), weights


def check_visible(where: str, mask, shape: tuple[int, ...]) -> None:
    """Refuse a mask that is not boolean, or does not broadcast to ``shape``."""
    if mask.dtype != jnp.bool_:
        raise InputError(
            f"{where}: `mask` should be boolean, True where a query may look, but its type is {mask.dtype}. "
            "Try `mask > 0`, or give numbers that are added to scores as `bias`."
        )
    if not _broadcasts(mask.shape, shape) or mask.ndim < 2:
        raise InputError(
            f"{where}: `mask` should broadcast to (*B, T, S) = {shape}, but it is {mask.shape}. "
            "A padding mask (B, S) becomes this with `mask[:, None]`, (B, 1, T, S) with `mask[:, 0]`; where "
            "heads differ, give a `bias` of 0 and -inf."
        )


def check_structure(where: str, mask: Structured, batch: tuple[int, ...], T: int, S: int) -> None:
    """Refuse a structured mask whose arrays do not fit (*B, T) and (*B, S), or whose keys are not boolean."""
    sides = {"keys": S, "query_positions": T, "key_positions": S, "query_segments": T, "key_segments": S}
    for name, size in sides.items():
        leaf = getattr(mask, name)
        if leaf is not None and (leaf.shape[-1:] != (size,) or not _broadcasts(leaf.shape, (*batch, size))):
            letters = "(*B, T)" if name.startswith("query") else "(*B, S)"
            raise InputError(
                f"{where}: `mask.{name}` should broadcast to {letters} = {(*batch, size)}, but it is {leaf.shape}."
            )
    if mask.keys is not None and mask.keys.dtype != jnp.bool_:
        raise InputError(
            f"{where}: `mask.keys` should be boolean, True on real keys, but its type is {mask.keys.dtype}."
        )


def check_attention(where: str, query, key, value, mask=None, bias=None) -> None:
    """Refuse queries, keys, values, masks and biases that do not fit each other."""
    if min(query.ndim, key.ndim, value.ndim) < 3 or not query.ndim == key.ndim == value.ndim:
        shapes = f"{query.shape}, {key.shape} and {value.shape}"
        raise InputError(
            f"{where}: `query` should be (*B, T, N, K), `key` (*B, S, G, K) and `value` (*B, S, G, J), "
            f"but they are {shapes}. One head is an axis of size 1."
        )
    for name, given in (("query", query), ("key", key), ("value", value)):
        check_floating(where, name, given)
    *batch, T, N, K = query.shape
    S, G = key.shape[-3:-1]
    if key.shape != (*batch, S, G, K) or value.shape[:-1] != (*batch, S, G):
        raise InputError(
            f"{where}: for a query (*B, T, N, K) = {query.shape}, `key` should be (*B, S, G, K) and `value` "
            f"(*B, S, G, J), but they are {key.shape} and {value.shape}."
        )
    if G == 0 or N % G or K == 0:
        raise InputError(
            f"{where}: N should be a multiple of G, and K at least 1, but N = {N} heads of `query`, G = {G} of `key`, "
            f"and K = {K}."
        )
    if isinstance(mask, Structured):
        check_structure(where, mask, tuple(batch), T, S)
    elif mask is not None:
        check_visible(where, mask, (*batch, T, S))
    if bias is not None and not _broadcasts(bias.shape, (*batch, N, T, S)):
        raise InputError(
            f"{where}: `bias` should broadcast to (*B, N, T, S) = {(*batch, N, T, S)}, but it is {bias.shape}."
        )


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether an array of this shape broadcasts to the other without changing it."""
    if len(shape) > len(to):
        return False
    return all(size in (1, want) for size, want in zip(reversed(shape), reversed(to), strict=False))

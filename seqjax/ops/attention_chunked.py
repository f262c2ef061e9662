r"""Attention some queries and some keys at a time: memory grows with T + S and not with T times S.

Forward, each chunk of queries meets the chunks of keys one after the other, with a running maximum and a running sum
of exponentials; backward, every rectangle of weights is computed again from the saved logarithm of that sum.
Rectangles in which no query may look at any key are skipped: half of them under a causal mask.

Sources: Milakov & Gimelshein (2018), Online normalizer calculation for softmax; Rabe & Staats (2021), Self-attention
Does Not Need O(n²) Memory; the gradient as in Dao et al. (2022), FlashAttention, appendix B.2.

B batch, T queries, S keys, N heads, G groups of heads, K features of a key, J of a value.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax import Array

from seqjax import precision
from seqjax.ops import attention_cuts as cuts
from seqjax.ops.attention_cuts import Extras, Pieces, Sizes, product, rectangle
from seqjax.spread import alike


def chunked_attention(query: Array, key: Array, value: Array, mask, bias: Array | None, rate: float, keys) -> Array:
    """As :func:`seqjax.ops.attention.attention`, whose arguments these are, already checked.

    A mask and a bias that are arrays take the memory they take; a :class:`seqjax.ops.masks.Structured` mask is
    expanded one rectangle at a time. Reverse-mode derivatives only.

    Example:
        >>> from seqjax.ops.masks import Structured
        >>> x = jax.random.normal(jax.random.key(0), (1, 700, 2, 4))
        >>> chunked_attention(x, x, x, Structured(causal=True), None, 0.0, None).shape
        (1, 700, 2, 4)
    """
    *batch, T, N, K = query.shape
    S, G, J = *key.shape[-3:-1], value.shape[-1]
    if 0 in (*batch, T, S, N, J):
        return jnp.zeros((*batch, T, N, J), value.dtype)
    B = math.prod(batch)
    sizes = cuts.cut(T, S, B * N, 0.0 if keys is None else rate)
    chunks, rows = sizes.chunks[0], sizes.sides[0]
    query = _split(query.reshape(B, T, G, N // G, K), *_axis(sizes, 0)).transpose(0, 1, 3, 4, 2, 5)
    key, value = (_split(x.reshape(B, S, G, -1), *_axis(sizes, 1)).swapaxes(2, 3) for x in (key, value))
    extras = Extras(cuts.prepared(mask, batch, sizes), None if keys is None else keys.reshape(B))
    if bias is not None:
        bias = cuts.filled(cuts.flat(bias, batch, 3), sizes)
    pieces = Pieces(query.reshape(chunks, B, G, -1, K), key, value)
    ys = _attend_once_compiled(sizes, *alike((pieces, bias, extras)))
    ys = ys.reshape(chunks, B, N, rows, J).transpose(1, 0, 3, 2, 4).reshape(B, chunks * rows, N, J)
    return ys[:, :T].reshape(*batch, T, N, J)


def _axis(sizes: Sizes, axis: int) -> tuple[int, int]:
    return sizes.chunks[axis], sizes.sides[axis]


def _split(x: Array, chunks: int, side: int) -> Array:
    """(B, T, ...) to (chunks, B, side, ...), zeros after the end."""
    room = chunks * side - x.shape[1]
    x = jnp.pad(x, [(0, 0), (0, room)] + [(0, 0)] * (x.ndim - 2)) if room else x
    return jnp.moveaxis(x.reshape(x.shape[0], chunks, side, *x.shape[2:]), 1, 0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _attend(sizes: Sizes, pieces: Pieces, bias: Array | None, extras: Extras) -> Array:
    """Pieces with their chunks leading, to outputs (chunks, B, G, N / G * queries, J)."""
    return _forward(sizes, pieces, bias, extras)[0]


def _forward(sizes: Sizes, pieces: Pieces, bias: Array | None, extras: Extras):
    """Outputs, and what the gradient needs."""
    wide = precision.wide(pieces.query.dtype)

    def rows(numbered):
        i, query = numbered
        lead = query.shape[:-1]
        nothing = jnp.full(lead, -jnp.inf, wide), jnp.zeros(lead, wide)
        start = alike((*nothing, jnp.zeros((*lead, pieces.value.shape[-1]), wide)), pieces)

        def columns(carry, numbered):
            j, key, value = numbered
            where = rectangle(extras, sizes, i, j)
            piece = Pieces(query, key, value)
            return _if_any(where.visible, lambda carry: _meet(piece, bias, where, *carry), carry), None

        (highest, total, sums), _ = jax.lax.scan(columns, start, _numbered(pieces.key, pieces.value))
        blind = total == 0
        total = jnp.where(blind, 1, total)
        return (sums / total[..., None]).astype(pieces.value.dtype), jnp.where(blind, 0, highest) + jnp.log(total)

    ys, logs = jax.lax.map(rows, _numbered(pieces.query))
    return ys, (pieces, bias, extras, ys, logs)


def _meet(piece: Pieces, bias, where: cuts.Rectangle, highest: Array, total: Array, sums: Array):
    """One rectangle more: the highest score so far, the sum of exponentials, and the sums of values."""
    piece = cuts.cover(piece, where)
    scores = cuts.masked_scores(piece, bias, where)
    new = jnp.maximum(highest, jnp.max(scores, axis=-1))
    finite = jnp.where(jnp.isneginf(new), 0, new)
    powers = jnp.exp(scores - finite[..., None])
    shrink = jnp.exp(highest - finite)
    read = product("bgxs,bgsj->bgxj", cuts.drop(powers, where).astype(piece.value.dtype), piece.value)
    return new, total * shrink + jnp.sum(powers, axis=-1), sums * shrink[..., None] + read


def _backward(sizes: Sizes, saved, gradient: Array):
    """Gradients of pieces and bias: every rectangle of weights once more."""
    pieces, bias, extras, ys, logs = saved
    means = jnp.sum(ys.astype(logs.dtype) * gradient.astype(logs.dtype), axis=-1)

    def rows(sums, numbered):
        i, query, *outer = numbered

        def columns(to_query, numbered):
            j, key, value = numbered
            where = rectangle(extras, sizes, i, j)

            def meet(to_query, *_):
                new, *found = _part(Pieces(query, key, value), bias, where, *outer)
                return to_query + new, *found

            empty = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(meet, to_query))[1:]
            to_query, *found = _if_any(where.visible, lambda carry: meet(*carry), alike((to_query, *empty)))
            return to_query, found

        start = jnp.zeros_like(query, logs.dtype)
        to_query, (*found, to_bias) = jax.lax.scan(columns, start, _numbered(pieces.key, pieces.value))
        return [old + new for old, new in zip(sums, found, strict=True)], (to_query, to_bias)

    start = [jnp.zeros_like(x, logs.dtype) for x in (pieces.key, pieces.value)]
    (to_key, to_value), (to_query, to_bias) = jax.lax.scan(rows, start, _numbered(pieces.query, gradient, logs, means))
    found = Pieces(*(g.astype(x.dtype) for g, x in zip((to_query, to_key, to_value), pieces, strict=True)))
    return found, None if bias is None else _whole(to_bias, bias), None


def _part(piece: Pieces, bias, where: cuts.Rectangle, gradient: Array, logs: Array, means: Array):
    """Gradients of one rectangle: of queries, keys, values and bias."""
    narrow = piece.query.dtype
    piece = cuts.cover(piece, where)
    weights = jnp.exp(cuts.masked_scores(piece, bias, where) - logs[..., None])
    to_value = product("bgxs,bgxj->bgsj", cuts.drop(weights, where).astype(gradient.dtype), gradient)
    to_weights = cuts.drop(product("bgxj,bgsj->bgxs", gradient, piece.value), where)
    to_scores = weights * (to_weights - means[..., None])
    to_products = (to_scores * piece.query.shape[-1] ** -0.5).astype(narrow)
    to_query = product("bgxs,bgsk->bgxk", to_products, piece.key)
    to_key = product("bgxs,bgxk->bgsk", to_products, piece.query)
    return to_query, to_key, to_value, _to_bias(cuts.by_head(to_scores, where.sizes), bias)


def _to_bias(to_scores: Array, bias: Array | None) -> Array | None:
    """(B, N, queries, keys) summed over the axes that the bias has not."""
    if bias is None:
        return None
    alone = tuple(axis for axis in range(4) if bias.shape[axis] == 1)
    return jnp.sum(to_scores, axis=alone, keepdims=True).astype(bias.dtype)


def _whole(parts: Array, bias: Array) -> Array:
    """The gradient of the bias from those of its rectangles, (chunks of queries, of keys, B, N, queries, keys)."""
    for axis in (-2, -1):
        if bias.shape[axis] == 1:
            parts = jnp.sum(parts, axis=0)
        else:
            parts = jnp.moveaxis(parts, 0, axis - 1)
            parts = parts.reshape(*parts.shape[: axis - 1], -1, *parts.shape[parts.ndim + axis + 1 :])
    return parts


def _if_any(visible: Array | None, function, carry):
    """``function(carry)``, or ``carry`` where no query may look at anything."""
    return function(carry) if visible is None else jax.lax.cond(jnp.any(visible), function, lambda old: old, carry)


def _numbered(*arrays: Array) -> tuple[Array, ...]:
    """The numbers of the chunks, and the chunks."""
    return jnp.arange(arrays[0].shape[0]), *arrays


_attend.defvjp(_forward, _backward)
_attend_once_compiled = jax.jit(_attend, static_argnums=0)  # an eager call again compiles nothing

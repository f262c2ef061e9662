"""Rectangles of attention: some queries against some keys, with their mask and bias, cut out of the whole.

B batch, T queries, S keys, N heads, G groups of heads, K features of a key, J of a value.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.ops.attention_dropout import BLOCK, drop_weights
from seqjax.ops.masks import Structured, combine
from seqjax.precision import wide

CELLS = {"cpu": 2**18, "accelerator": 2**24}  # weights in one rectangle, of all heads together
LEAST, MOST = 128, 1024  # queries, or keys, in a rectangle


class Sizes(NamedTuple):
    """How queries and keys are cut: known when the program is compiled."""

    chunks: tuple[int, int]  # of queries, and of keys
    sides: tuple[int, int]  # queries in a chunk, and keys
    size: int  # S; the keys after them only fill the last chunk
    rate: float  # probability of dropping a weight


class Pieces(NamedTuple):
    """Queries, keys and values of one rectangle; the heads of a group stand above each other."""

    query: Array  # (B, G, N / G * queries, K)
    key: Array  # (B, G, keys, K)
    value: Array  # (B, G, keys, J)


class Extras(NamedTuple):
    """What is cut where it is needed, and is constant for the gradient."""

    mask: Any  # boolean (B or 1, T or 1, S or 1), Structured with leaves (B or 1, T or S), or None
    keys: Array | None  # (B,) dropout keys


class Rectangle(NamedTuple):
    """Which chunk of queries meets which chunk of keys, and where queries may look."""

    sizes: Sizes
    place: tuple[Any, Any]  # integers, maybe traced
    visible: Array | None  # (B or 1, queries or 1, keys)
    keys: Array | None  # (B,) dropout keys


def cut(T: int, S: int, heads: int, rate: float, platform: str | None = None) -> Sizes:
    """Chunks of about equal sizes, so small that a rectangle of all heads stays in a CPU's cache.

    Measured on 2 cores at T = S = 512, 4 rows of 6 heads, forward and backward: sides of 128 take half the time of
    sides of 256 and a third of that of sides of 512; with 4 heads in all the best sides are 256 to 512.

    Args:
        T: queries.
        S: keys.
        heads: of all rows together.
        rate: probability of dropping a weight: chunks of keys begin where a dropout key begins.
        platform: None: JAX's default backend.

    Example:
        >>> cut(700, 600, 24, 0.0, "cpu")
        Sizes(chunks=(6, 5), sides=(117, 128), size=600, rate=0.0)
    """
    cells = CELLS["cpu" if (platform or jax.default_backend()) == "cpu" else "accelerator"]
    side = min(max(2 ** (math.isqrt(cells // heads).bit_length() - 1), LEAST), MOST) if cells >= heads else LEAST
    queries, keys = -(-T // side), -(-S // side)
    columns = S if keys == 1 else -(-S // (keys * BLOCK)) * BLOCK
    return Sizes((queries, -(-S // columns)), (-(-T // queries), columns), S, rate)


def rectangle(extras: Extras, sizes: Sizes, i, j) -> Rectangle:
    """The rectangle of chunk i of the queries and chunk j of the keys."""
    visible = extras.mask
    if isinstance(visible, Structured):
        visible = _narrow_structure(visible, sizes, i, j).expand(*sizes.sides)
    elif visible is not None:
        visible = narrow(visible, sizes, i, j)
    columns = sizes.sides[1]
    filling = sizes.chunks[1] * columns > sizes.size
    real = (j * columns + jnp.arange(columns) < sizes.size)[None, None] if filling else None
    return Rectangle(sizes, (i, j), combine(visible, real), extras.keys)


def narrow(x: Array, sizes: Sizes, i, j) -> Array:
    """The part of (…, T or 1, S or 1) that belongs to a rectangle."""
    for axis, number, chunks, side in zip((-2, -1), (i, j), sizes.chunks, sizes.sides, strict=True):
        if x.shape[axis] == chunks * side and chunks > 1:
            x = jax.lax.dynamic_slice_in_dim(x, number * side, side, axis % x.ndim)
    return x


def filled(x: Array, sizes: Sizes) -> Array:
    """Zeros after (…, T or 1, S or 1) so that all chunks are whole; an axis of size 1 belongs to all of them."""
    sides = [c * s for c, s in zip(sizes.chunks, sizes.sides, strict=True)]
    room = [max(want - size, 0) if size > 1 else 0 for want, size in zip(sides, x.shape[-2:], strict=True)]
    return jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(0, more) for more in room]) if any(room) else x


def flat(x: Array, batch: Sequence[int], rank: int) -> Array:
    """One batch axis, of size B or 1, before the last ``rank`` axes.

    Example:
        >>> flat(jnp.ones((4, 5)), (2, 3), 3).shape, flat(jnp.ones((3, 4, 5)), (2, 3), 2).shape
        ((1, 1, 4, 5), (6, 4, 5))
    """
    x = x.reshape((1,) * max(rank - x.ndim, 0) + x.shape)
    lead, rest = x.shape[: x.ndim - rank], x.shape[x.ndim - rank :]
    if any(size != 1 for size in lead):
        x = jnp.broadcast_to(x, (*batch, *rest))
    return x.reshape(-1 if any(size != 1 for size in lead) else 1, *rest)


def prepared(mask: Any, batch: Sequence[int], sizes: Sizes) -> Any:
    """A mask with one batch axis and whole chunks."""
    if not isinstance(mask, Structured):
        return mask if mask is None else filled(flat(mask, batch, 2), sizes)
    totals = [c * s for c, s in zip(sizes.chunks, sizes.sides, strict=True)]
    changed: dict[str, Any] = {}
    for field in ("query_positions", "query_segments", "keys", "key_positions", "key_segments"):
        total, x = totals["query" not in field], getattr(mask, field)
        if x is None and "positions" in field:
            x = jnp.arange(total)
        if x is not None:
            x = flat(x, batch, 1)
            changed[field] = jnp.pad(x, ((0, 0), (0, total - x.shape[1])))
    return dataclasses.replace(mask, **changed)


def _narrow_structure(mask: Structured, sizes: Sizes, i, j) -> Structured:
    changed: dict[str, Any] = {}
    for field in ("query_positions", "query_segments", "keys", "key_positions", "key_segments"):
        x, axis = getattr(mask, field), int("query" not in field)
        if x is not None:
            side = sizes.sides[axis]
            changed[field] = jax.lax.dynamic_slice_in_dim(x, (i, j)[axis] * side, side, 1)
    return dataclasses.replace(mask, **changed)


def cover(pieces: Pieces, where: Rectangle) -> Pieces:
    """Zeros in place of queries that may look nowhere in the rectangle, and of keys and values nobody may look at."""
    if where.visible is None:
        return pieces
    rows, _ = where.sizes.sides
    B, G, _, K = pieces.query.shape
    looking = jnp.broadcast_to(jnp.any(where.visible, axis=2), (where.visible.shape[0], rows))[:, None, None, :, None]
    seen = jnp.any(where.visible, axis=1)[:, None, :, None]
    query = jnp.where(looking, pieces.query.reshape(B, G, -1, rows, K), 0).reshape(pieces.query.shape)
    return Pieces(query, jnp.where(seen, pieces.key, 0), jnp.where(seen, pieces.value, 0))


def masked_scores(pieces: Pieces, bias: Array | None, where: Rectangle) -> Array:
    """Scaled scores (B, G, N / G * queries, keys), -inf where a query may not look."""
    scores = product("bgxk,bgsk->bgxs", pieces.query, pieces.key) * pieces.query.shape[-1] ** -0.5
    heads = by_head(scores, where.sizes)
    if bias is not None:
        heads = heads + narrow(bias, where.sizes, *where.place).astype(wide(bias.dtype))
    if where.visible is not None:
        heads = jnp.where(where.visible[:, None], heads, -jnp.inf)
    return heads.reshape(scores.shape)


def drop(x: Array, where: Rectangle) -> Array:
    """Dropout of weights (B, G, N / G * queries, keys), the same as in the whole."""
    if where.keys is None or where.sizes.rate == 0:
        return x
    i, j = where.place
    rows, columns = where.sizes.sides
    heads = by_head(x, where.sizes)
    return drop_weights(heads, where.sizes.rate, where.keys, query=i * rows, block=j * (columns // BLOCK)).reshape(
        x.shape
    )


def by_head(x: Array, sizes: Sizes) -> Array:
    """(B, G, N / G * queries, keys) as (B, N, queries, keys)."""
    return x.reshape(x.shape[0], -1, *sizes.sides)


def product(formula: str, a: Array, b: Array) -> Array:
    """An einsum that is summed, and returned, in float32 or wider."""
    return jnp.einsum(formula, a, b, preferred_element_type=wide(a.dtype))

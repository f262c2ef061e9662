"""Masks of attention: True where a query may look at a key. They compose by logical and.

B batch, T queries, S keys. Two forms are understood by :func:`seqjax.ops.attention.attention`: an array that
broadcasts to (*B, T, S), and :class:`Structured`, which says the same in (*B, T) and (*B, S) numbers.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from seqjax.checks import InputError, check_lengths
from seqjax.precision import signed


def padding(lengths: ArrayLike, size: int) -> Array:
    """True at the first ``lengths`` of ``size`` places: (*B,) to (*B, S).

    Raises:
        InputError: known lengths that are negative, larger than ``size`` or no integers.

    Example:
        >>> padding(jnp.array([3, 0]), 4).astype(int).tolist()
        [[1, 1, 1, 0], [0, 0, 0, 0]]
    """
    lengths = jnp.asarray(lengths)
    if lengths.size and not isinstance(lengths, jax.core.Tracer):
        check_lengths("padding", lengths, size)
    return jax.lax.broadcast_to_rank(jnp.arange(size), lengths.ndim + 1) < lengths[..., None]


def causal(T: int, S: int | None = None, *, first: ArrayLike = 0) -> Array:
    """Look at nothing that comes later: (T, S). Query t stands at place ``first + t`` of the keys.

    Args:
        T: queries.
        S: keys; as many as queries where None.
        first: the place of the first query, e.g. how many slots of a cache were filled before; may be traced.

    Example:
        >>> causal(2, 4, first=1).astype(int).tolist()
        [[1, 1, 0, 0], [1, 1, 1, 0]]
    """
    queries, keys = _places(T, S, first)
    return keys <= queries


def window(T: int, S: int | None = None, *, width: int, first: ArrayLike = 0) -> Array:
    """Look only at keys nearer than ``width`` places, on both sides: (T, S).

    With :func:`causal` it is a sliding window over the last ``width`` places, the query's own included.

    Raises:
        InputError: ``width`` is below 1: a query would not even see itself.

    Source:
        Beltagy, Peters & Cohan (2020), Longformer, section 3.1.

    Example:
        >>> (window(3, width=2) & causal(3)).astype(int).tolist()
        [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    """
    check_width("window", width)
    queries, keys = _places(T, S, first)
    return jnp.abs(queries - keys) < width


def segments(queries: Array, keys: Array) -> Array:
    """Look only inside one's own document: (*B, T) and (*B, S) segment numbers to (*B, T, S).

    Example:
        >>> segments(jnp.array([1, 2]), jnp.array([1, 1, 2])).astype(int).tolist()
        [[1, 1, 0], [0, 0, 1]]
    """
    queries, keys = _level(queries, keys)
    return queries[..., :, None] == keys[..., None, :]


def combine(*masks: Array | None) -> Array | None:
    """Logical and of the masks that are not None, broadcast to each other; None where all are.

    Example:
        >>> combine(causal(2), None, padding(jnp.array([1]), 2)[:, None]).astype(int).tolist()
        [[[1, 0], [1, 0]]]
        >>> combine(None, None) is None
        True
    """
    given = [mask for mask in masks if mask is not None]
    return functools.reduce(jnp.logical_and, _level(*given)) if given else None


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["keys", "query_positions", "key_positions", "query_segments", "key_segments"],
    meta_fields=["causal", "window"],
)
@dataclasses.dataclass(frozen=True, kw_only=True)
class Structured:
    """A mask in (*B, T) and (*B, S) numbers, which chunked attention expands one chunk at a time.

    Args:
        causal: look at no key whose position is above the query's.
        window: look only at keys whose position is nearer than this to the query's; None: at all.
        keys: (*B, S) boolean, True on real keys; None: all are.
        query_positions: (*B, T) integers; None: 0, 1, ….
        key_positions: (*B, S) integers; None: 0, 1, ….
        query_segments: (*B, T) integers, or None.
        key_segments: (*B, S) integers: a query sees only keys of its own segment. Both, or none.

    Raises:
        InputError: ``window`` is below 1, or segments are given on one side only.

    Example:
        >>> mask = Structured(causal=True, keys=jnp.array([[True, False, True]]))
        >>> mask.expand(3, 3).astype(int).tolist()
        [[[1, 0, 0], [1, 0, 0], [1, 0, 1]]]
    """

    causal: bool = False
    window: int | None = None
    keys: Any = None  # an array, here and below, or what a transformation of JAX puts in its place
    query_positions: Any = None
    key_positions: Any = None
    query_segments: Any = None
    key_segments: Any = None

    def __post_init__(self):
        if self.window is not None:
            check_width("Structured", self.window)
        if (self.query_segments is None) != (self.key_segments is None):
            raise InputError("Structured: segments should be given for queries and keys, but one side is None.")

    def expand(self, T: int, S: int) -> Array | None:
        """The same as an array that broadcasts to (*B, T, S); None where every query may look everywhere."""
        queries = jnp.arange(T) if self.query_positions is None else self.query_positions
        keys = jnp.arange(S) if self.key_positions is None else self.key_positions
        queries, keys = _level(signed(queries), signed(keys))
        distance = queries[..., :, None] - keys[..., None, :]
        return combine(
            None if self.keys is None else self.keys[..., None, :],
            distance >= 0 if self.causal else None,
            None if self.window is None else jnp.abs(distance) < self.window,
            None
            if self.query_segments is None or self.key_segments is None
            else segments(self.query_segments, self.key_segments),
        )


def _level(*arrays: Array) -> list[Array]:
    """They, with axes of size 1 before their own where others have more."""
    rank = max(map(np.ndim, arrays))
    return [jax.lax.broadcast_to_rank(array, rank) for array in arrays]


def hide(query: Array, key: Array, value: Array, mask: Array | None) -> tuple[Array, Array, Array]:
    """Zeros in place of queries that may look nowhere, and of keys and values that no query may look at."""
    if mask is None:
        return query, key, value
    looking = jnp.any(mask, axis=-1)[..., None, None]
    seen = jnp.any(mask, axis=-2)[..., None, None]
    return jnp.where(looking, query, 0), jnp.where(seen, key, 0), jnp.where(seen, value, 0)


def check_width(where: str, width: int) -> None:
    """Refuse a window in which a query does not even see itself."""
    if not isinstance(width, int | np.integer) or width < 1:
        raise InputError(
            f"{where}: the width of a window should be a whole number of places, at least 1, but it is {width!r}."
        )


def _places(T: int, S: int | None, first: ArrayLike) -> tuple[Array, Array]:
    """Places of queries (T, 1) and of keys (1, S)."""
    return (jnp.arange(T) + first)[:, None], jnp.arange(T if S is None else S)[None]

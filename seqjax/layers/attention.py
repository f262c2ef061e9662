"""Multi-head attention: of a sequence to itself, with a cache, and to another sequence.

B rows, T steps, S steps of the memory, D features, M features of the memory, N heads, G key/value heads,
K = D / N head width.
Source: Vaswani et al. (2017), Attention Is All You Need, section 3.2; Ainslie et al. (2023), GQA, for G < N.
"""

from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.cells.unroll import silence
from seqjax.checks import InputError, check_choice, check_count, check_mask, check_shape, check_widths
from seqjax.layers.cache import Cache, append, count_positions, empty_cache, look
from seqjax.layers.linear import Linear
from seqjax.ops.attention import attention, attention_weights
from seqjax.ops.masks import Structured
from seqjax.ops.positions import alibi_bias, rotary

POSITIONS = ("none", "rotary", "alibi")


class SelfAttention(nnx.Module):
    """Every step looks at the steps of its own sequence. A mixer.

    Args:
        features: D, in and out.
        heads: N; D is a multiple of it.
        kv_heads: G, of which N is a multiple; default N.
        positions: ``"none"``; ``"rotary"`` turns queries and keys (pairs are halves); ``"alibi"`` lowers scores
            with distance.
        causal: look at no later step.
        window: look only at this many real steps back, one's own among them (to both sides if not causal).
        dropout: probability of zeroing a weight of attention.
        bias: add biases to the projections.
        rngs: the stream ``params`` initialises the kernels.

    Source:
        Vaswani et al. (2017); Su et al. (2021) for rotary; Press et al. (2022) for ALiBi; Child et al. (2019) and
        Beltagy et al. (2020) for windows.

    Example:
        >>> layer = SelfAttention(8, 2, rngs=nnx.Rngs(0))
        >>> xs = jnp.ones((3, 5, 8))
        >>> cache, first = layer(xs, state=layer.start(3, 16))    # a prompt; then a step at a time
        >>> cache, second = layer(xs[:, :1], state=cache)
        >>> second.shape, cache.used.tolist()
        ((3, 1, 8), [6, 6, 6])
    """

    def __init__(
        self,
        features: int,
        heads: int,
        *,
        kv_heads: int | None = None,
        positions: str = "none",
        causal: bool = True,
        window: int | None = None,
        dropout: float = 0.0,
        bias: bool = True,
        rngs: nnx.Rngs,
    ):
        self.heads, self.kv_heads, self.width = head_sizes("SelfAttention", features, heads, kv_heads)
        check_choice("SelfAttention", "positions", positions, POSITIONS)
        if positions == "rotary" and self.width % 2:
            raise InputError(f"SelfAttention: rotary positions turn pairs, but the head width K = {self.width} is odd.")
        if window is not None:
            check_count("SelfAttention", "window", window, unit="step")
        self.features, self.positions, self.causal, self.window = features, positions, causal, window
        self.dropout = dropout
        columns = (self.heads + 2 * self.kv_heads) * self.width  # queries, keys, values
        self.inputs = Linear(features, columns, bias=bias, rngs=rngs)
        self.output = Linear(self.heads * self.width, features, bias=bias, rngs=rngs)

    def __call__(
        self,
        xs: Array,
        *,
        state: Cache | None = None,
        mask: Array | None = None,
        reset: Array | None = None,
        keys: Array | None = None,
    ) -> tuple[Cache | None, Array]:
        """Map ``xs`` (B, T, D) to ``(state, ys)``, ys (B, T, D), zero where masked.

        Args:
            xs: features.
            state: None: the sequence begins here, and the state returned is None. A cache: go on from there,
                by any number of steps that fits.
            mask: (B, T), True on real steps.
            reset: (B, T), True on the first step of a document: no step looks across, and positions start again.
            keys: (B,) random keys, one a row; None switches dropout off.

        Raises:
            InputError: a shape is wrong, the cache is full, or there are resets besides a cache.
        """
        check_steps("SelfAttention", xs, self.features, mask, reset)
        query, key, value = self._heads(silence(xs, mask))
        if state is None:
            state, ys = None, self._whole(query, key, value, mask, reset, keys)
        else:
            state, ys = self._onward(query, key, value, state, mask, reset, keys)
        return state, silence(self.output(ys.reshape(*ys.shape[:2], self.heads * self.width)), mask)

    def start(self, rows: int, capacity: int, dtype=jnp.float32) -> Cache:
        """An empty cache for ``rows`` rows of at most ``capacity`` steps, padding included.

        Raises:
            InputError: this attention looks ahead, so nothing can be remembered step by step.
        """
        if not self.causal:
            raise InputError(
                "SelfAttention: a cache is for attention that looks at no later step. Try `causal=True`, or state=None."
            )
        return empty_cache(rows, capacity, self.kv_heads, self.width, dtype)

    def weights(self, xs: Array, *, mask: Array | None = None, reset: Array | None = None) -> Array:
        """How much every step looks at every other: (B, N, T, T), zero where masked."""
        check_steps("SelfAttention", xs, self.features, mask, reset)
        query, key, value = self._heads(silence(xs, mask))
        query, key, visible, bias = self._placed(query, key, mask, reset)
        _, weights = attention_weights(query, key, value, mask=visible.expand(*[xs.shape[1]] * 2), bias=bias)
        return weights if mask is None else jnp.where(mask[:, None, :, None], weights, 0.0)

    def _heads(self, xs: Array) -> tuple[Array, Array, Array]:
        """Queries (B, T, N, K), keys and values (B, T, G, K), in one product."""
        columns = self.inputs(xs).reshape(*xs.shape[:2], self.heads + 2 * self.kv_heads, self.width)
        query, key, value = jnp.split(columns, [self.heads, self.heads + self.kv_heads], axis=2)
        return query, key, value

    def _placed(self, query, key, mask, reset):
        """Queries and keys of a whole sequence with their positions, what may be seen, and the bias."""
        places = count_positions(mask, query.shape[:2], reset=reset)
        documents = None if reset is None else jnp.cumsum(reset, axis=1)
        near = None if self.window is None else places
        visible = Structured(
            causal=self.causal, window=self.window, keys=mask, query_positions=near, key_positions=near,
            query_segments=documents, key_segments=documents,
        )  # fmt: skip
        if self.positions == "rotary":
            query, key = rotary(query, places), rotary(key, places)
        return query, key, visible, alibi_bias(places, places, self.heads) if self.positions == "alibi" else None

    def _whole(self, query, key, value, mask, reset, keys) -> Array:
        """A sequence from its beginning to its end."""
        query, key, visible, bias = self._placed(query, key, mask, reset)
        return attention(query, key, value, mask=visible, bias=bias, rate=self.dropout, keys=keys)

    def _onward(self, query, key, value, cache: Cache, mask, reset, keys) -> tuple[Cache, Array]:
        """Steps that come after those of the cache."""
        if reset is not None:
            raise InputError(
                "SelfAttention: a cache holds one document a row, so `reset` should be None. Try state=None."
            )
        places = count_positions(mask, query.shape[:2], count=cache.count)
        if self.positions == "rotary":
            query, key = rotary(query, places), rotary(key, places)
        time, first, cache = query.shape[1], jnp.max(cache.used, initial=0), append(cache, key, value, mask)
        slots = jnp.cumsum(cache.real, axis=1, dtype=jnp.int32) - 1  # positions
        near = {} if self.window is None else {"query_positions": places, "key_positions": slots}
        order = {"query_positions": first + jnp.arange(time)} | near  # nothing later is in the cache if T = 1
        visible = Structured(causal=time > 1, window=self.window, keys=cache.real, **order)
        bias = alibi_bias(places, slots, self.heads) if self.positions == "alibi" else None
        ys = look(
            query, cache.keys, cache.values, visible, bias, used=cache.used, rate=self.dropout, dropout_keys=keys
        )  # fmt: skip
        return cache, ys


class Memory(NamedTuple):
    """What cross-attention looks at: computed once, read at every step."""

    keys: Array  # (B, G, S, K)
    values: Array  # (B, G, S, K)
    mask: Array  # (B, S) boolean, True on real steps
    segments: Array | None = None  # (B, S) integers, where several documents share a row


class CrossAttention(nnx.Module):
    """Every step looks at another sequence, the memory.

    Args:
        features: D, in and out.
        heads: N; D is a multiple of it.
        memory_features: M; default D.
        kv_heads: G, of which N is a multiple; default N.
        dropout: probability of zeroing a weight of attention.
        bias: add biases to the projections.
        rngs: the stream ``params`` initialises the kernels.

    Example:
        >>> layer = CrossAttention(8, 2, memory_features=6, rngs=nnx.Rngs(0))
        >>> memory = layer.remember(jnp.ones((3, 7, 6)), jnp.ones((3, 7), bool))
        >>> layer(jnp.ones((3, 5, 8)), memory).shape
        (3, 5, 8)
    """

    def __init__(
        self,
        features: int,
        heads: int,
        *,
        memory_features: int | None = None,
        kv_heads: int | None = None,
        dropout: float = 0.0,
        bias: bool = True,
        rngs: nnx.Rngs,
    ):
        self.heads, self.kv_heads, self.width = head_sizes("CrossAttention", features, heads, kv_heads)
        self.features, self.dropout = features, dropout
        self.memory_features = features if memory_features is None else memory_features
        check_widths("CrossAttention", memory_features=self.memory_features)
        self.query = Linear(features, self.heads * self.width, bias=bias, rngs=rngs)
        columns = 2 * self.kv_heads * self.width  # keys, values
        self.memory = Linear(self.memory_features, columns, bias=bias, rngs=rngs)
        self.output = Linear(self.heads * self.width, features, bias=bias, rngs=rngs)

    def remember(self, memory: Array, mask: Array | None = None, segments: Array | None = None) -> Memory:
        """Keys and values of a memory (B, S, M).

        Args:
            memory: features.
            mask: (B, S), True on real steps; what is masked is never looked at, whatever it holds.
            segments: (B, S) numbers of documents: a step sees only the memory of its own.
        """
        check_steps("CrossAttention", memory, self.memory_features, mask, None, name="memory")
        real = jnp.ones(memory.shape[:2], bool) if mask is None else mask
        columns = self.memory(silence(memory, mask)).reshape(*memory.shape[:2], 2 * self.kv_heads, self.width)
        key, value = jnp.split(jnp.swapaxes(columns, 1, 2), 2, axis=1)
        return Memory(key, value, real, segments)

    def __call__(self, xs: Array, memory: Memory, *, segments: Array | None = None, keys: Array | None = None) -> Array:
        """Map ``xs`` (B, T, D) to (B, T, D).

        Args:
            xs: features.
            memory: what :meth:`remember` gave.
            segments: (B, T) numbers of documents, where the memory has them.
            keys: (B,) random keys, one a row; None switches dropout off.
        """
        visible = self._visible(memory, segments)
        ys = look(self._queries(xs), memory.keys, memory.values, visible, rate=self.dropout, dropout_keys=keys)
        return self.output(ys.reshape(*ys.shape[:2], self.heads * self.width))

    def weights(self, xs: Array, memory: Memory, *, segments: Array | None = None) -> Array:
        """How much every step looks at every step of the memory: (B, N, T, S)."""
        visible = self._visible(memory, segments).expand(xs.shape[1], memory.mask.shape[1])
        key, value = jnp.swapaxes(memory.keys, 1, 2), jnp.swapaxes(memory.values, 1, 2)
        return attention_weights(self._queries(xs), key, value, mask=visible)[1]

    def _queries(self, xs: Array) -> Array:
        check_steps("CrossAttention", xs, self.features, None, None)
        return self.query(xs).reshape(*xs.shape[:2], self.heads, self.width)

    def _visible(self, memory: Memory, segments: Array | None) -> Structured:
        if (segments is None) != (memory.segments is None):
            raise InputError(
                "CrossAttention: `segments` should be given for both the memory and the steps, or for none."
            )
        return Structured(keys=memory.mask, query_segments=segments, key_segments=memory.segments)


def head_sizes(where: str, features: int, heads: int, kv_heads: int | None) -> tuple[int, int, int]:
    """``(N, G, K)``, refused where heads do not divide the width.

    Example:
        >>> head_sizes("attention", 12, 5, None)
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: attention: `features`, D = 12, should be a multiple of `heads`, N = 5. Try D = 10 ...
    """
    groups = heads if kv_heads is None else kv_heads
    check_count(where, "heads", heads)
    check_count(where, "kv_heads", groups)
    if features < 1 or features % heads:
        low = max(features, 0) // heads * heads
        near = " or ".join(f"D = {size}" for size in (low, low + heads) if size)
        raise InputError(
            f"{where}: `features`, D = {features}, should be a multiple of `heads`, N = {heads}. Try {near}."
        )
    if heads % groups:
        raise InputError(
            f"{where}: `heads`, N = {heads}, should be a multiple of `kv_heads`, G = {groups}. Try G = {heads} or 1."
        )
    return heads, groups, features // heads


def check_steps(where: str, xs: Array, features: int, mask, reset, *, name: str = "xs") -> None:
    """Refuse features or flags that do not fit: ``xs`` (B, T, D), ``mask`` and ``reset`` (B, T)."""
    check_shape(where, name, xs, "(B, T, D)", (None, None, features))
    for flag, flags in (("mask", mask), ("reset", reset)):
        if flags is not None:
            check_mask(where, flag, flags, "(B, T)", xs.shape[:2])

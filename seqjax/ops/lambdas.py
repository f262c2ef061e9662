r"""The lambda layer: what was read becomes a small linear map, which is then applied to each query.

.. math:: \lambda_n = \sum_m \text{softmax}_m(K)_m V_m^\top + \sum_m E_{nm} V_m^\top, \qquad y_n = \lambda_n^\top q_n

The softmax runs over positions m, for each feature of the keys apart; :math:`E_{nm}` depends on the distance alone and
is zero beyond a reach. Only queries have heads. In the causal form both sums, and the softmax, run over m ≤ n.
Positions are counted over real steps.

Source: Bello (2021), LambdaNetworks: Modeling Long-Range Interactions Without Attention, sections 2 and 3.

B batch, T time, N heads, K features of queries and keys, J of values, R reach, C steps of a chunk.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax import precision
from seqjax.checks import InputError, check_floating, check_mask, check_shape
from seqjax.ops.attention import masked_softmax
from seqjax.spread import alike

CHUNK = 16  # steps at once in the causal form: a rectangle (C, C, K) of weights is in memory


class LambdaState(NamedTuple):
    """What the causal form remembers: the past as one linear map, and the last values one by one."""

    maximum: Array  # (B, K), the highest key so far of each feature
    normaliser: Array  # (B, K), the sum of exponentials of keys, the maximum taken away
    sums: Array  # (B, K, J), values weighted with these exponentials
    values: Array  # (B, R - 1, J), the last real values, the newest last
    tokens: Array  # (B,) int32, real steps of the document so far


def empty_lambda(rows: int, keys: int, values: int, reach: int, dtype=jnp.float32) -> LambdaState:
    """The state before the first step.

    Args:
        rows: B.
        keys: K.
        values: J.
        reach: R, how many distances have an embedding, 0 among them.
        dtype: of the values kept; sums are float32 or wider.

    Example:
        >>> [leaf.shape for leaf in empty_lambda(2, 4, 3, 8)]
        [(2, 4), (2, 4), (2, 4, 3), (2, 7, 3), (2,)]
    """
    wide = precision.wide(dtype)
    return LambdaState(
        jnp.full((rows, keys), -jnp.inf, wide),
        jnp.zeros((rows, keys), wide),
        jnp.zeros((rows, keys, values), wide),
        jnp.zeros((rows, max(reach - 1, 0), values), dtype),
        jnp.zeros((rows,), jnp.int32),
    )


def lambda_layer(
    query: Array,
    key: Array,
    value: Array,
    embeddings: Array,
    *,
    mask: Array | None = None,
    reset: Array | None = None,
    causal: bool = False,
) -> Array:
    """Apply to every query the lambda of its place.

    Args:
        query: (B, T, N, K).
        key: (B, T, K).
        value: (B, T, J).
        embeddings: of relative distance. Causal: (R, K), row d for the value d steps back, row 0 for one's own.
            Else (2R - 1, K): row R - 1 + d for the value d steps ahead, row R - 1 for one's own.
        mask: (B, T), True on real steps: others are read by none and give zeros, whatever they hold.
        reset: (B, T), True on the first step of a document, masked or not: no step reads across.
        causal: read no later step. Otherwise, with resets, all pairs of steps are looked at; without, none is.

    Returns:
        (B, T, N, J), of the type of ``value``.

    Raises:
        InputError: shapes do not fit.

    Example:
        >>> value = jnp.array([[[1.0], [3.0]]])                            # B=1, T=2, J=1
        >>> query, key = jnp.ones((1, 2, 1, 1)), jnp.zeros((1, 2, 1))      # all keys alike: means of values
        >>> lambda_layer(query, key, value, jnp.zeros((3, 1)))[0, :, 0, 0].tolist()
        [2.0, 2.0]
        >>> lambda_layer(query, key, value, jnp.array([[0.0], [10.0]]), causal=True)[0, :, 0, 0].tolist()
        [1.0, 12.0]
    """
    if causal:
        state = empty_lambda(query.shape[0], query.shape[-1], value.shape[-1], embeddings.shape[0], value.dtype)
        return lambda_steps(state, query, key, value, embeddings, mask=mask, reset=reset)[1]
    check_lambda("lambda_layer", query, key, value, embeddings, mask, reset)
    if embeddings.shape[0] % 2 == 0:
        raise InputError(
            f"lambda_layer: `embeddings` should be (2R - 1, K), an odd number of rows, but it is {embeddings.shape}."
        )
    query, key, value = _silence(query, key, value, mask)
    documents = None if reset is None else jnp.cumsum(reset, axis=1)
    if documents is None:
        weights = masked_softmax(jnp.swapaxes(key, 1, 2), None if mask is None else mask[:, None])
        ys = jnp.einsum("btnk,bkj->btnj", query, jnp.einsum("bks,bsj->bkj", weights.astype(value.dtype), value))
    else:
        ys = _from_own(query, key, value, mask, documents)
    ys = (ys + _from_near(jnp.einsum("btnk,rk->btnr", query, embeddings), value, mask, documents)).astype(value.dtype)
    return ys if mask is None else jnp.where(mask[..., None, None], ys, 0)


def _from_own(query: Array, key: Array, value: Array, mask: Array | None, documents: Array) -> Array:
    """All values of a step's own document (B, T), weighted with a softmax of its keys: (B, T, N, J)."""
    wide = precision.wide(key.dtype)
    keys = key.astype(wide) if mask is None else jnp.where(mask[..., None], key.astype(wide), -jnp.inf)

    def highest(keys, documents):
        return jax.ops.segment_max(keys, documents, num_segments=len(documents) + 1)[documents]

    maximum = jax.vmap(highest)(jax.lax.stop_gradient(keys), documents)
    powers = jnp.exp(keys - jnp.where(jnp.isneginf(maximum), 0, maximum))
    same = documents[:, :, None] == documents[:, None]
    normaliser = jnp.einsum("bts,bsk->btk", same.astype(wide), powers)
    shares = query / jnp.where(normaliser == 0, 1, normaliser)[:, :, None]
    weights = jnp.where(same[:, :, None], jnp.einsum("btnk,bsk->btns", shares, powers), 0)
    return jnp.einsum("btns,bsj->btnj", weights, value)


@jax.jit
def _from_near(shares: Array, value: Array, mask: Array | None, documents: Array | None) -> Array:
    """Values less than R steps away: how much of each (B, T, N, 2R - 1), and values (B, T, J), to (B, T, N, J)."""
    (_, T, _, width), order, back = shares.shape, None, None
    if mask is not None:  # real steps side by side, so that distances are those of places
        order = jnp.argsort(~mask, axis=1, stable=True)
        back = jnp.argsort(order, axis=1)[..., None]
        order = order[..., None]
        value = jnp.take_along_axis(value, order, axis=1)
        shares = jnp.take_along_axis(shares, order[..., None], axis=1)
        documents = None if documents is None else jnp.take_along_axis(documents, order[..., 0], axis=1)
    reach = width // 2
    padded = jnp.pad(value, ((0, 0), (reach, reach), (0, 0)))
    near = jnp.stack([padded[:, d : d + T] for d in range(width)], axis=2)
    if documents is not None:
        beside = jnp.pad(documents, ((0, 0), (reach, reach)), constant_values=-1)
        same = jnp.stack([beside[:, d : d + T] for d in range(width)], axis=2) == documents[..., None]
        shares = jnp.where(same[:, :, None], shares, 0)
    ys = jnp.einsum("btnr,btrj->btnj", shares, near)
    return ys if back is None else jnp.take_along_axis(ys, back[..., None], axis=1)


def lambda_steps(
    state: LambdaState,
    query: Array,
    key: Array,
    value: Array,
    embeddings: Array,
    *,
    mask: Array | None = None,
    reset: Array | None = None,
) -> tuple[LambdaState, Array]:
    """The causal form from a state on, by any number of steps: one, a prompt, or a whole sequence.

    Every exponential is taken relative to the highest key up to its own step, so that none overflows and no
    normaliser vanishes because of a later key.

    Args:
        state: what came before.
        query: (B, T, N, K), and the rest as in :func:`lambda_layer` with ``causal=True``.
        key: (B, T, K).
        value: (B, T, J).
        embeddings: (R, K).
        mask: (B, T); a masked step changes nothing.
        reset: (B, T); the state is forgotten before such a step, masked or not.

    Returns:
        ``(state, ys)``, ys (B, T, N, J).

    Raises:
        InputError: shapes do not fit.

    Example:
        >>> state = empty_lambda(1, 1, 1, 2)
        >>> for value in (1.0, 3.0):
        ...     one = jnp.ones((1, 1, 1))
        ...     state, y = lambda_steps(state, one[None], 0 * one, value * one, jnp.array([[0.0], [10.0]]))
        >>> y.item(), state.tokens.tolist()
        (12.0, [2])
    """
    check_lambda("lambda_steps", query, key, value, embeddings, mask, reset)
    check_shape("lambda_steps", "state.values", state.values, "(B, R - 1, J)", (
        query.shape[0], max(embeddings.shape[0] - 1, 0), value.shape[-1]
    ))  # fmt: skip
    if query.size == 0:
        return state, jnp.zeros((*query.shape[:3], value.shape[-1]), value.dtype)
    query, key, value = _silence(query, key, value, mask)
    B, T = key.shape[:2]
    chunks = -(-T // CHUNK)
    size = -(-T // chunks)
    flags = jnp.ones((B, T), bool) if mask is None else mask, jnp.zeros((B, T), bool) if reset is None else reset

    def split(x: Array) -> Array:
        x = jnp.pad(x, [(0, 0), (0, chunks * size - T)] + [(0, 0)] * (x.ndim - 2))
        return jnp.moveaxis(x.reshape(B, chunks, size, *x.shape[2:]), 1, 0)

    inputs = tuple(split(x) for x in (query, key, value, *flags))
    state, embeddings, inputs = alike((state, embeddings, inputs))
    if chunks == 1:
        state, ys = _chunk(state, embeddings, *(x[0] for x in inputs))
    else:
        state, ys = _chunks(state, embeddings, inputs)
        ys = jnp.moveaxis(ys, 0, 1).reshape(B, chunks * size, *ys.shape[3:])[:, :T]
    return state, jnp.where(flags[0][..., None, None], ys, 0)


@jax.jit  # an eager call again compiles nothing
def _chunks(state: LambdaState, embeddings, inputs) -> tuple[LambdaState, Array]:
    """Chunk after chunk; ``inputs`` and outputs (chunks, B, C, …)."""
    return jax.lax.scan(lambda state, x: _chunk(state, embeddings, *x), state, inputs)


@jax.jit  # called one by one, its operations would be compiled one by one
def _chunk(state: LambdaState, embeddings, query, key, value, mask, reset) -> tuple[LambdaState, Array]:
    """The state after C steps, and their outputs (B, C, N, J)."""
    documents = jnp.cumsum(reset, axis=1)
    earlier = jnp.tril(jnp.ones((key.shape[1],) * 2, bool))[None] & mask[:, None]
    seen = earlier & (documents[:, :, None] == documents[:, None])  # (B, C, C): step n reads step m
    fresh = documents > 0  # (B, C): a reset lies between the state and the step
    content, far = _content(state, query, key, value, seen, fresh)
    near, close = _position(state, embeddings, query, value, mask, seen, fresh)
    return LambdaState(*content, *close), (far + near).astype(value.dtype)


def _content(state: LambdaState, query, key, value, seen, fresh):
    """All that was read, weighted with a softmax: new maximum, normaliser and sums, and outputs."""
    wide = state.sums.dtype
    past = jnp.where(fresh[..., None], -jnp.inf, jax.lax.stop_gradient(state.maximum)[:, None])  # (B, C, K)
    scores = jnp.where(seen[..., None], key[:, None].astype(wide), -jnp.inf)  # (B, C, C, K)
    maximum = jax.lax.stop_gradient(jnp.maximum(jnp.max(scores, axis=2), past))
    finite = jnp.where(jnp.isneginf(maximum), 0, maximum)
    powers, kept = jnp.exp(scores - finite[:, :, None]), jnp.exp(past - finite)
    normaliser = jnp.sum(powers, axis=2) + kept * state.normaliser[:, None]
    shares = query / jnp.where(normaliser == 0, 1, normaliser)[:, :, None]
    ys = jnp.einsum("bcnk,bkj->bcnj", shares * kept[:, :, None], state.sums)
    ys = ys + jnp.einsum("bcnm,bmj->bcnj", jnp.einsum("bcnk,bcmk->bcnm", shares, powers), value)
    sums = kept[:, -1, :, None] * state.sums + jnp.einsum("bmk,bmj->bkj", powers[:, -1], value)
    return (maximum[:, -1], normaliser[:, -1].astype(wide), sums.astype(wide)), ys


def _position(state: LambdaState, embeddings, query, value, mask, seen, fresh):
    """The last R values, weighted by distance: outputs, and the new last values and their number."""
    size, reach = state.values.shape[1], embeddings.shape[0]
    counted = jnp.cumsum(mask, axis=1)
    slots = jnp.arange(size)[None] - size
    places = jnp.concatenate([jnp.broadcast_to(slots, (mask.shape[0], size)), counted - 1], axis=1)
    held = (slots >= -state.tokens[:, None])[:, None] & ~fresh[..., None]
    real = jnp.concatenate([held, seen], axis=2)  # (B, C, R - 1 + C)
    values = jnp.concatenate([state.values, value], axis=1)
    distance = counted[:, :, None] - 1 - places[:, None]
    chosen = real[..., None] & (distance[..., None] == jnp.arange(reach)[None, None, None])  # (B, C, R - 1 + C, R)
    shares = jnp.einsum("bcnk,rk->bcnr", query, embeddings)
    weights = jnp.einsum("bcnr,bcmr->bcnm", shares, chosen.astype(shares.dtype))
    left = real[:, -1]  # (B, R - 1 + C): what the last step could read is what is left
    rank = jnp.cumsum(left[:, ::-1], axis=1)[:, ::-1]
    kept = left[:, None] & (rank[:, None] == (size - jnp.arange(size))[None, :, None])
    last = jnp.einsum("bwm,bmj->bwj", kept.astype(values.dtype), values)
    now = jnp.where(fresh[:, -1], 0, state.tokens) + jnp.sum(seen[:, -1], axis=1, dtype=jnp.int32)
    return jnp.einsum("bcnm,bmj->bcnj", weights, values), (last.astype(state.values.dtype), now)


def _silence(query: Array, key: Array, value: Array, mask: Array | None) -> tuple[Array, Array, Array]:
    """Zeros where masked."""
    if mask is None:
        return query, key, value
    real = mask[..., None]
    return jnp.where(real[..., None], query, 0), jnp.where(real, key, 0), jnp.where(real, value, 0)


def check_lambda(where: str, query, key, value, embeddings, mask, reset) -> None:
    """Refuse arrays that do not fit each other."""
    for name, given in (("query", query), ("key", key), ("value", value)):
        check_floating(where, name, given)
    check_shape(where, "query", query, "(B, T, N, K)", (None,) * 4)
    B, T, _, K = query.shape
    check_shape(where, "key", key, "(B, T, K)", (B, T, K), "Only queries have heads.")
    check_shape(where, "value", value, "(B, T, J)", (B, T, None), "Only queries have heads.")
    check_shape(where, "embeddings", embeddings, "(R, K)", (None, K))
    for name, flags in (("mask", mask), ("reset", reset)):
        if flags is not None:
            check_mask(where, name, flags, "(B, T)", (B, T))

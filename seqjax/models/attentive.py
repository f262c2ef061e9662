r"""Attention inside a recurrence: cells around a cell, with an encoded source as their context.

Whatever the inner cell does, it reads the token and what came from the source side by side: its input kernel is one,
its rows those of the token and then those of what is fed. The tokens' part is multiplied for all of time at once,
the other in the step.

B batch, T target time, S source time, E token features, H features of the inner cell's output, M features of the
source, A features of keys, J columns of the inner cell's input kernel; ``*B`` zero or more batch axes.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.cells.contract import Cell, State, sized, zeros
from seqjax.cells.initializers import glorot
from seqjax.cells.products import product
from seqjax.checks import InputError, check_mask
from seqjax.ops import scores
from seqjax.ops.attention import masked_softmax, read


class Source(NamedTuple):
    """What an attentive cell has before it: the source, encoded. It is the ``context`` of ``unroll``."""

    values: Array  # (*B, S, M), zero where not real
    keys: Array  # (*B, S, A), what scores are computed from
    mask: Array  # (*B, S), True on real steps


class AttentiveParams(NamedTuple):
    inner: Any  # the inner cell's, which reads E + what is fed
    attention: Any  # a NamedTuple of arrays


class AttentiveWeights(NamedTuple):
    inner: Any  # prepared, without the input kernel
    token_kernel: Array  # (E, J)
    fed_kernel: Array | None  # what multiplies what is fed; None: nothing is
    attention: Any


class AttentiveGates(NamedTuple):
    attention: Array  # (*B, S), how much of every source step is read
    inner: Any  # the inner cell's gates


class Multiplied:
    """In the place of an input kernel: ``xs @ Multiplied()`` is ``xs``, whose product was done before.

    Example:
        >>> jnp.ones(2) @ Multiplied()
        Array([1., 1.], dtype=float32)
    """

    shape, dtype = (0, 0), jnp.float32  # as a matrix has them

    def __rmatmul__(self, xs: Array) -> Array:
        return xs


def remember(attention, values: Array, mask: Array) -> Source:
    """Make an encoder's outputs the context of an attentive cell: clean them, and project the keys once for all steps.

    Args:
        attention: ``params.attention`` of the cell.
        values: (*B, S, M); may hold anything where masked.
        mask: (*B, S), True on real steps.

    Raises:
        InputError: ``mask`` is not boolean, or not (*B, S).
    """
    check_mask("remember", "mask", mask, "(*B, S)", values.shape[:-1])
    values = jnp.where(mask[..., None], values, jnp.zeros_like(values))
    kernel = getattr(attention, "key_kernel", None)
    return Source(values, values if kernel is None else values @ kernel, mask)


class AdditiveParams(NamedTuple):
    key_kernel: Array  # (M, A)
    query_kernel: Array  # (H, A)
    bias: Array  # (A,)
    vector: Array  # (A,)


class BahdanauState(NamedTuple):
    inner: State
    read: Array  # (*B, M), what was read from the source in the last step


@functools.cache
def bahdanau(inner: Cell, memory: int, features: int) -> Cell:
    r"""A cell that looks at the source before it moves. The same options give the same cell.

    .. math:: e_s = v^\top \tanh(W h_{t-1} + U m_s + b), \quad c_t = \textstyle\sum_s \text{softmax}(e)_s m_s, \quad
        h_t = \text{inner}([x_t; c_t], h_{t-1})

    Its output is [h; c]: the readout wants both.

    Args:
        inner: any cell that reads one array through an ``input_kernel``.
        memory: M.
        features: A.

    Source:
        Bahdanau, Cho & Bengio (2015), Neural Machine Translation by Jointly Learning to Align and Translate, A.1.2,
        and A.2.2 for the cell.

    Example:
        >>> from seqjax import cells, unroll
        >>> cell = bahdanau(cells.GRU, memory=6, features=5)
        >>> params = cell.init(jax.random.key(0), 3, 4)
        >>> source = remember(params.attention, jnp.ones((2, 7, 6)), jnp.ones((2, 7), bool))   # B=2, S=7
        >>> state, ys = unroll(cell, params, jnp.ones((2, 5, 3)), context=source)
        >>> ys.shape
        (2, 5, 10)
    """

    def init(key: Array, in_features: int, features_: int, dtype=jnp.float32) -> AttentiveParams:
        keys = jax.random.split(key, 4)
        params = checked(inner, inner.init(keys[0], in_features + memory, features_, dtype))
        attention = AdditiveParams(
            glorot(keys[1], (memory, features), dtype),
            glorot(keys[2], (output_width(inner, params), features), dtype),
            jnp.zeros((features,), dtype),
            glorot(keys[3], (features, 1), dtype)[:, 0],
        )
        return AttentiveParams(params, attention)

    def initial_state(params: AttentiveParams, batch_shape: tuple[int, ...], dtype=jnp.float32) -> BahdanauState:
        return BahdanauState(inner.initial_state(params.inner, batch_shape, dtype), zeros(batch_shape, memory, dtype))

    def step(weights: AttentiveWeights, state: BahdanauState, drive: Array, dot=product, context=None):
        attention = weights.attention
        bias = jax.lax.broadcast_to_rank(attention.bias, drive.ndim)
        query = dot(inner.output(state.inner), attention.query_kernel) + bias
        found = scores.additive(query[..., None, :], context.keys, attention.vector)
        looked = masked_softmax(found, context.mask[..., None, :])
        seen = read(looked, context.values)[..., 0, :]
        after, gates = moved(inner, weights, state.inner, dot(seen, weights.fed_kernel, drive), dot)
        return BahdanauState(after, seen), AttentiveGates(looked[..., 0, :], gates)

    def output(state: BahdanauState) -> Array:
        return jnp.concatenate([inner.output(state.inner), state.read], axis=-1)

    prepare = functools.partial(prepared, inner, memory)
    return Cell(f"bahdanau({inner.name})", sized(init), initial_state, project, step, output, prepare)


def checked(inner: Cell, params):
    """The inner cell's parameters, refused if it does not read one array through an ``input_kernel``."""
    kernel = getattr(params, "input_kernel", None)
    try:
        if kernel is not None:
            jax.eval_shape(inner.project, inner.prepare(params), kernel.T)
            return params
    except (TypeError, ValueError, AttributeError):
        pass
    raise InputError(
        f"attention: the cell inside should read one array through an `input_kernel`, but {inner.name} does not. "
        "Try `cells.LSTM` or `cells.GRU`."
    )


def output_width(inner: Cell, params) -> int:
    """H: how wide the inner cell's output is."""
    return jax.eval_shape(lambda: inner.output(inner.initial_state(params, (), jnp.float32))).shape[-1]


def prepared(inner: Cell, fed: int, params: AttentiveParams) -> AttentiveWeights:
    """Prepare the inner cell, and part its input kernel: the token's rows, and the last ``fed`` rows."""
    weights = inner.prepare(params.inner)
    tokens = weights.input_kernel.shape[0] - fed
    token_kernel, fed_kernel = weights.input_kernel[:tokens], weights.input_kernel[tokens:] if fed else None
    return AttentiveWeights(weights._replace(input_kernel=None), token_kernel, fed_kernel, params.attention)


def project(weights: AttentiveWeights, xs: Array) -> Array:
    """The tokens' part of what drives the inner cell, for all of time: (*B, T, E) to (*B, T, J)."""
    return xs @ weights.token_kernel


def moved(inner: Cell, weights: AttentiveWeights, state, driven: Array, dot):
    """One step of the inner cell from the product with its whole input, (*B, J)."""
    drive = inner.project(weights.inner._replace(input_kernel=Multiplied()), driven)
    return inner.step(weights.inner, state, drive, dot, None)

"""A cell of the tests' own, with what attention needs: a context with a mask, and three products in a step.

B batch, T time, S source time, D input features, H hidden features, M features of the memory.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.cells.contract import Cell, zeros
from seqjax.cells.initializers import glorot, orthogonal

M = 3


class Source(NamedTuple):
    """The context."""

    memory: Array  # (*B, S, M)
    mask: Array  # (*B, S) boolean


class AttentiveParams(NamedTuple):
    input_kernel: Array  # (D, H)
    hidden_kernel: Array  # (H, H)
    query_kernel: Array  # (H, M)
    read_kernel: Array  # (M, H)
    bias: Array  # (H,)


class AttentiveState(NamedTuple):
    hidden: Array  # (*B, H)


class AttentiveGates(NamedTuple):
    attention: Array  # (*B, S)


def init(key, in_features, features, dtype=jnp.float32):
    keys = jax.random.split(key, 4)
    return AttentiveParams(
        glorot(keys[0], (in_features, features), dtype),
        orthogonal(keys[1], (features, features), dtype),
        glorot(keys[2], (features, M), dtype),
        glorot(keys[3], (M, features), dtype),
        jnp.zeros((features,), dtype),
    )


def initial_state(params, batch_shape, dtype=jnp.float32):
    return AttentiveState(zeros(batch_shape, params.hidden_kernel.shape[0], dtype))


def project(weights, xs):
    return xs @ weights.input_kernel + weights.bias


def step(weights, state, drive, dot=jnp.dot, context=None):
    query = dot(state.hidden, weights.query_kernel)
    scores = jnp.einsum("...sm,...m->...s", context.memory, query)
    attention = jax.nn.softmax(jnp.where(context.mask, scores, -1e30))
    read = jnp.einsum("...s,...sm->...m", attention, context.memory)
    hidden = jnp.tanh(drive + dot(state.hidden, weights.hidden_kernel) + dot(read, weights.read_kernel))
    return AttentiveState(hidden), AttentiveGates(attention)


Attentive = Cell("Attentive", init, initial_state, project, step, lambda state: state.hidden)

r"""The Jordan network: the cycle runs from the output, not from the hidden units.

.. math:: h' = \phi(x W_x + s U + b), \quad y' = g(h' W_y + c), \quad s' = \alpha s + y'

D input features, H hidden features, K output features.

Source: Jordan (1986), Serial Order: A Parallel Distributed Processing Approach.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.cells.contract import Cell, sized, zeros
from seqjax.cells.initializers import Initializer, glorot, orthogonal
from seqjax.cells.products import product


class JordanParams(NamedTuple):
    input_kernel: Array  # (D, H)
    memory_kernel: Array  # (K, H)
    bias: Array  # (H,)
    output_kernel: Array  # (H, K)
    output_bias: Array  # (K,)


class JordanState(NamedTuple):
    memory: Array  # (*B, K), s: a decaying sum of past outputs
    output: Array  # (*B, K), y: the last output


class JordanGates(NamedTuple):
    hidden: Array  # (*B, H), the hidden units, which the network itself forgets


class Taught(NamedTuple):
    """Inputs for teacher forcing: the network remembers the true outputs instead of its own."""

    features: Array  # (*B, T, D)
    outputs: Array  # (*B, T, K), the true output *of the same step*: what step t + 1 is to remember of step t


class JordanDrive(NamedTuple):
    hidden: Array  # (*B, T, H)
    outputs: Array | None  # (*B, T, K), true outputs, or None: remember one's own


def initial_state(params: JordanParams, batch_shape: tuple[int, ...], dtype=jnp.float32) -> JordanState:
    """Nothing said yet: zeros."""
    outputs = params.output_kernel.shape[1]
    return JordanState(zeros(batch_shape, outputs, dtype), zeros(batch_shape, outputs, dtype))


def project(weights: JordanParams, xs: Array | Taught) -> JordanDrive:
    """Drive the hidden units from the inputs at once: (*B, T, D) to (*B, T, H); true outputs pass through."""
    features, outputs = xs if isinstance(xs, Taught) else (xs, None)
    return JordanDrive(product(features, weights.input_kernel, weights.bias), outputs)


def output(state: JordanState) -> Array:
    """What the next layer sees: the last output (*B, K)."""
    return state.output


@functools.cache
def jordan(
    outputs: int | None = None,
    decay: float = 0.0,
    activation: Callable[[Array], Array] = jnp.tanh,
    output_activation: Callable[[Array], Array] = jnp.tanh,
    input_init: Initializer = glorot,
    memory_init: Initializer = orthogonal,
) -> Cell:
    """A Jordan network. The same options give the same cell.

    Give ``xs`` as :class:`Taught` to train it with teacher forcing: each step still emits its own y', but the true
    output takes the place of y' in the memory. Since that is the output of the *same* step, nothing needs
    shifting, in either direction.

    Args:
        outputs: K; None: as many as hidden units.
        decay: α in [0, 1), how much of the memory outlives a step; 0 is the plain form.
        activation: φ, of the hidden units.
        output_activation: g, e.g. ``jax.nn.softmax`` over the K outputs.
        input_init: initialiser of the (D, H) and (H, K) kernels.
        memory_init: initialiser of the (K, H) kernel.

    Example:
        >>> from seqjax.cells import unroll
        >>> cell = jordan(outputs=2, output_activation=jax.nn.softmax)
        >>> params = cell.init(jax.random.key(0), 3, 4)
        >>> xs, truth = jnp.ones((5, 3)), jax.nn.one_hot(jnp.array([0, 1, 1, 0, 1]), 2)
        >>> state, ys = unroll(cell, params, Taught(xs, truth))
        >>> ys.shape, state.memory.tolist()                        # the memory holds the last true output
        ((5, 2), [0.0, 1.0])
    """

    def init(key: Array, in_features: int, features: int, dtype=jnp.float32) -> JordanParams:
        input_key, memory_key, output_key = jax.random.split(key, 3)
        width = features if outputs is None else outputs
        return JordanParams(
            input_init(input_key, (in_features, features), dtype),
            memory_init(memory_key, (width, features), dtype),
            jnp.zeros((features,), dtype),
            input_init(output_key, (features, width), dtype),
            jnp.zeros((width,), dtype),
        )

    def step(
        weights: JordanParams, state: JordanState, drive: JordanDrive, dot=product, context=None
    ) -> tuple[JordanState, JordanGates]:
        """Advance one time step. ``drive``: (*B, H), and perhaps the true output (*B, K)."""
        hidden = activation(dot(state.memory, weights.memory_kernel, drive.hidden))
        bias = jax.lax.broadcast_to_rank(weights.output_bias, hidden.ndim)
        own = output_activation(dot(hidden, weights.output_kernel) + bias)
        remembered = own if drive.outputs is None else drive.outputs
        return JordanState(decay * state.memory + remembered, own), JordanGates(hidden)

    return Cell("Jordan", sized(init), initial_state, project, step, output)


Jordan = jordan()

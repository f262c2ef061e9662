r"""The minimal LSTM: gates from the input alone, normalised to sum to one.

.. math:: h' = \frac{f}{f + i} \odot h + \frac{i}{f + i} \odot (x W_h + b_h), \quad f, i = \sigma(x W_{f,i} + b_{f,i})

D input features, H hidden features.

Source: Feng et al. (2024), Were RNNs All We Needed?
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.cells.contract import Cell, sized, zeros
from seqjax.cells.initializers import Initializer, gate_bias, gatewise, glorot
from seqjax.cells.products import product


class MinLSTMParams(NamedTuple):
    input_kernel: Array  # (D, 3H), columns in the order f, i, h
    bias: Array  # (3H,)


class MinLSTMState(NamedTuple):
    hidden: Array  # (*B, H)


class MinLSTMGates(NamedTuple):
    forget: Array  # (*B, H), how much of the state is kept: f/(f + i)
    input: Array  # (*B, H), how much of the candidate is written: i/(f + i)
    candidate: Array  # (*B, H)


def initial_state(params: MinLSTMParams, batch_shape: tuple[int, ...], dtype=jnp.float32) -> MinLSTMState:
    """Nothing remembered: zeros."""
    return MinLSTMState(zeros(batch_shape, params.bias.shape[0] // 3, dtype))


def project(weights: MinLSTMParams, xs: Array) -> MinLSTMGates:
    """Everything but the recurrence, for all of time at once: (*B, T, D) to three of (*B, T, H).

    f/(f + i) is σ(log f − log i), which stays finite when both gates close.
    """
    f, i, candidate = jnp.split(product(xs, weights.input_kernel, weights.bias), 3, axis=-1)
    odds = jax.nn.log_sigmoid(f) - jax.nn.log_sigmoid(i)
    return MinLSTMGates(jax.nn.sigmoid(odds), jax.nn.sigmoid(-odds), candidate)


def step(
    weights: MinLSTMParams, state: MinLSTMState, drive: MinLSTMGates, dot=product, context=None
) -> tuple[MinLSTMState, MinLSTMGates]:
    """Advance one time step."""
    return MinLSTMState(drive.forget * state.hidden + drive.input * drive.candidate), drive


def output(state: MinLSTMState) -> Array:
    """What the next layer sees: the hidden state (*B, H)."""
    return state.hidden


@functools.cache
def min_lstm(forget_bias: float = 1.0, input_init: Initializer = glorot) -> Cell:
    """A minLSTM with other initial weights. The same options give the same cell.

    Args:
        forget_bias: initial bias of the forget gate; the larger, the longer the first memories.
        input_init: initialiser of each gate's (D, H) kernel.

    Example:
        >>> cell = min_lstm(forget_bias=2.0)
        >>> cell.init(jax.random.key(0), 3, 1).bias.tolist()
        [2.0, 0.0, 0.0]
    """

    def init(key: Array, in_features: int, features: int, dtype=jnp.float32) -> MinLSTMParams:
        return MinLSTMParams(
            gatewise(input_init, key, 3, (in_features, features), dtype),
            gate_bias(3, features, index=0, value=forget_bias, dtype=dtype),
        )

    return Cell("MinLSTM", sized(init), initial_state, project, step, output, linear=True)


MinLSTM = min_lstm()

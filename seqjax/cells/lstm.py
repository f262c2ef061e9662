"""Long short-term memory.

D input features, H hidden features.

Source: Hochreiter & Schmidhuber (1997); forget gate, Gers, Schmidhuber & Cummins (2000).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.cells.contract import Cell, sized, zeros
from seqjax.cells.gating import half_logistic, halve
from seqjax.cells.initializers import Initializer, chrono, gate_bias, gatewise, glorot, orthogonal
from seqjax.cells.products import product


class LSTMParams(NamedTuple):
    input_kernel: Array  # (D, 4H), columns in the order i, f, g, o
    hidden_kernel: Array  # (H, 4H)
    bias: Array  # (4H,)


class LSTMState(NamedTuple):
    hidden: Array  # (*B, H)
    cell: Array  # (*B, H)


class LSTMGates(NamedTuple):
    input: Array  # (*B, H), how much of the candidate is written
    forget: Array  # (*B, H), how much of the cell is kept
    candidate: Array  # (*B, H)
    output: Array  # (*B, H), how much of the cell is read


def initial_state(params: LSTMParams, batch_shape: tuple[int, ...], dtype=jnp.float32) -> LSTMState:
    """Nothing remembered: zeros."""
    features = params.hidden_kernel.shape[0]
    return LSTMState(zeros(batch_shape, features, dtype), zeros(batch_shape, features, dtype))


def prepare(params: LSTMParams) -> LSTMParams:
    """Halve the logistic gates' columns, so that one ``tanh`` serves all four gates."""
    features = params.hidden_kernel.shape[0]
    return LSTMParams(*(halve(leaf, features, True, True, False, True) for leaf in params))


def project(weights: LSTMParams, xs: Array) -> Array:
    """Drive every gate from the inputs at once: (*B, T, D) to (*B, T, 4H)."""
    return product(xs, weights.input_kernel)


def step(weights: LSTMParams, state: LSTMState, drive: Array, dot=product, context=None) -> tuple[LSTMState, LSTMGates]:
    """Advance one time step. ``drive``: (*B, 4H)."""
    bias = jax.lax.broadcast_to_rank(weights.bias, drive.ndim)
    i, f, g, o = jnp.split(jnp.tanh(dot(state.hidden, weights.hidden_kernel, drive) + bias), 4, axis=-1)
    gates = LSTMGates(half_logistic(i), half_logistic(f), g, half_logistic(o))
    cell = gates.forget * state.cell + gates.input * gates.candidate
    return LSTMState(gates.output * jnp.tanh(cell), cell), gates


def output(state: LSTMState) -> Array:
    """What the next layer sees: the hidden state (*B, H)."""
    return state.hidden


@functools.cache
def lstm(
    forget_bias: float = 1.0,
    input_init: Initializer = glorot,
    hidden_init: Initializer = orthogonal,
    longest: float = 0.0,
) -> Cell:
    """An LSTM with other initial weights. The same options give the same cell.

    Args:
        forget_bias: initial bias of the forget gate; 1 keeps the cell open at first.
        input_init: initialiser of each gate's (D, H) kernel.
        hidden_init: initialiser of each gate's (H, H) kernel.
        longest: the longest memory expected, in steps: spreads the forget biases instead, see :func:`chrono`, and the
            input gates' are their negatives; 0: they are all alike.

    Example:
        >>> cell = lstm(forget_bias=2.0)
        >>> cell.init(jax.random.key(0), 3, 1).bias.tolist()
        [0.0, 2.0, 0.0, 0.0]
    """

    def init(key: Array, in_features: int, features: int, dtype=jnp.float32) -> LSTMParams:
        input_key, hidden_key = jax.random.split(key)
        bias = gate_bias(4, features, index=1, value=forget_bias, dtype=dtype)
        if longest:
            spread = chrono(jax.random.fold_in(key, 2), features, longest, dtype)
            bias = jnp.concatenate([-spread, spread, jnp.zeros((2 * features,), dtype)])
        return LSTMParams(
            gatewise(input_init, input_key, 4, (in_features, features), dtype),
            gatewise(hidden_init, hidden_key, 4, (features, features), dtype),
            bias,
        )

    return Cell("LSTM", sized(init), initial_state, project, step, output, prepare)


LSTM = lstm()

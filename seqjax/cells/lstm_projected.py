r"""Long short-term memory with a recurrent projection: :math:`h' = (o \odot \tanh c') P`.

The recurrent width is smaller than the cell's: a large memory at the price of a small state.

D input features, H features of the cell, P features of the projection.

Source: Sak, Senior & Beaufays (2014), Long Short-Term Memory Based Recurrent Neural Network Architectures for
Large Vocabulary Speech Recognition; ELMo's recurrence, Peters et al. (2018).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.cells.contract import Cell, sized, zeros
from seqjax.cells.gating import half_logistic, halve
from seqjax.cells.initializers import Initializer, gate_bias, gatewise, glorot, orthogonal
from seqjax.cells.products import product


class LSTMProjectedParams(NamedTuple):
    input_kernel: Array  # (D, 4H), columns in the order i, f, g, o
    hidden_kernel: Array  # (P, 4H)
    bias: Array  # (4H,)
    projection_kernel: Array  # (H, P)


class LSTMProjectedState(NamedTuple):
    hidden: Array  # (*B, P)
    cell: Array  # (*B, H)


class LSTMProjectedGates(NamedTuple):
    input: Array  # (*B, H), how much of the candidate is written
    forget: Array  # (*B, H), how much of the cell is kept
    candidate: Array  # (*B, H)
    output: Array  # (*B, H), how much of the cell is read


def initial_state(params: LSTMProjectedParams, batch_shape: tuple[int, ...], dtype=jnp.float32) -> LSTMProjectedState:
    """Nothing remembered: zeros."""
    features, projection = params.projection_kernel.shape
    return LSTMProjectedState(zeros(batch_shape, projection, dtype), zeros(batch_shape, features, dtype))


def prepare(params: LSTMProjectedParams) -> LSTMProjectedParams:
    """Halve the logistic gates' columns, so that one ``tanh`` serves all four gates."""
    features = params.projection_kernel.shape[0]
    inputs, hidden, bias = (halve(leaf, features, True, True, False, True) for leaf in params[:3])
    return LSTMProjectedParams(inputs, hidden, bias, params.projection_kernel)


def project(weights: LSTMProjectedParams, xs: Array) -> Array:
    """Drive every gate from the inputs at once: (*B, T, D) to (*B, T, 4H)."""
    return product(xs, weights.input_kernel, weights.bias)


def step(
    weights: LSTMProjectedParams, state: LSTMProjectedState, drive: Array, dot=product, context=None
) -> tuple[LSTMProjectedState, LSTMProjectedGates]:
    """Advance one time step. ``drive``: (*B, 4H)."""
    i, f, g, o = jnp.split(jnp.tanh(dot(state.hidden, weights.hidden_kernel, drive)), 4, axis=-1)
    gates = LSTMProjectedGates(half_logistic(i), half_logistic(f), g, half_logistic(o))
    cell = gates.forget * state.cell + gates.input * gates.candidate
    hidden = dot(gates.output * jnp.tanh(cell), weights.projection_kernel)
    return LSTMProjectedState(hidden, cell), gates


def output(state: LSTMProjectedState) -> Array:
    """What the next layer sees: the projected hidden state (*B, P)."""
    return state.hidden


@functools.cache
def lstm_projected(
    projection: int | None = None,
    forget_bias: float = 1.0,
    input_init: Initializer = glorot,
    hidden_init: Initializer = orthogonal,
) -> Cell:
    """An LSTM whose hidden state is projected. The same options give the same cell.

    Args:
        projection: P, the width of the hidden state and of the output; None: half of H.
        forget_bias: initial bias of the forget gate; 1 keeps the cell open at first.
        input_init: initialiser of each gate's (D, H) kernel and of the projection (H, P).
        hidden_init: initialiser of each gate's (P, H) kernel.

    Example:
        >>> cell = lstm_projected(projection=2)
        >>> state = cell.initial_state(cell.init(jax.random.key(0), 3, 8), ())
        >>> state.hidden.shape, state.cell.shape
        ((2,), (8,))
    """

    def init(key: Array, in_features: int, features: int, dtype=jnp.float32) -> LSTMProjectedParams:
        input_key, hidden_key, projection_key = jax.random.split(key, 3)
        width = max(features // 2, 1) if projection is None else projection
        return LSTMProjectedParams(
            gatewise(input_init, input_key, 4, (in_features, features), dtype),
            gatewise(hidden_init, hidden_key, 4, (width, features), dtype),
            gate_bias(4, features, index=1, value=forget_bias, dtype=dtype),
            input_init(projection_key, (features, width), dtype),
        )

    return Cell("LSTMProjected", sized(init), initial_state, project, step, output, prepare)


LSTMProjected = lstm_projected()

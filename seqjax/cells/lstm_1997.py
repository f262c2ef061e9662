"""Long short-term memory without the forget gate, as in 1997: the cell only ever adds.

Squashed by tanh and derived through all of time, as is usual today; the paper scales logistic functions and cuts the
gradient.

D input features, H hidden features.

Source: Hochreiter & Schmidhuber (1997), Long Short-Term Memory.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.cells.contract import Cell, sized, zeros
from seqjax.cells.gating import half_logistic, halve
from seqjax.cells.initializers import Initializer, gatewise, glorot, orthogonal
from seqjax.cells.products import product


class LSTM1997Params(NamedTuple):
    input_kernel: Array  # (D, 3H), columns in the order i, g, o
    hidden_kernel: Array  # (H, 3H)
    bias: Array  # (3H,)


class LSTM1997State(NamedTuple):
    hidden: Array  # (*B, H)
    cell: Array  # (*B, H), the constant error carousel


class LSTM1997Gates(NamedTuple):
    input: Array  # (*B, H), how much of the candidate is written
    candidate: Array  # (*B, H)
    output: Array  # (*B, H), how much of the cell is read


def initial_state(params: LSTM1997Params, batch_shape: tuple[int, ...], dtype=jnp.float32) -> LSTM1997State:
    """Nothing remembered: zeros."""
    features = params.hidden_kernel.shape[0]
    return LSTM1997State(zeros(batch_shape, features, dtype), zeros(batch_shape, features, dtype))


def prepare(params: LSTM1997Params) -> LSTM1997Params:
    """Halve the logistic gates' columns, so that one ``tanh`` serves all three gates."""
    features = params.hidden_kernel.shape[0]
    return LSTM1997Params(*(halve(leaf, features, True, False, True) for leaf in params))


def project(weights: LSTM1997Params, xs: Array) -> Array:
    """Drive every gate from the inputs at once: (*B, T, D) to (*B, T, 3H)."""
    return product(xs, weights.input_kernel, weights.bias)


def step(
    weights: LSTM1997Params, state: LSTM1997State, drive: Array, dot=product, context=None
) -> tuple[LSTM1997State, LSTM1997Gates]:
    """Advance one time step. ``drive``: (*B, 3H)."""
    i, g, o = jnp.split(jnp.tanh(dot(state.hidden, weights.hidden_kernel, drive)), 3, axis=-1)
    gates = LSTM1997Gates(half_logistic(i), g, half_logistic(o))
    cell = state.cell + gates.input * gates.candidate
    return LSTM1997State(gates.output * jnp.tanh(cell), cell), gates


def output(state: LSTM1997State) -> Array:
    """What the next layer sees: the hidden state (*B, H)."""
    return state.hidden


@functools.cache
def lstm_1997(input_init: Initializer = glorot, hidden_init: Initializer = orthogonal) -> Cell:
    """An LSTM of 1997 with other initial weights. The same options give the same cell.

    Args:
        input_init: initialiser of each gate's (D, H) kernel.
        hidden_init: initialiser of each gate's (H, H) kernel.

    Example:
        >>> cell = lstm_1997(input_init=jax.nn.initializers.ones)
        >>> params = cell.init(jax.random.key(0), 3, 4)
        >>> params.input_kernel.shape, float(params.input_kernel.min())
        ((3, 12), 1.0)
    """

    def init(key: Array, in_features: int, features: int, dtype=jnp.float32) -> LSTM1997Params:
        input_key, hidden_key = jax.random.split(key)
        return LSTM1997Params(
            gatewise(input_init, input_key, 3, (in_features, features), dtype),
            gatewise(hidden_init, hidden_key, 3, (features, features), dtype),
            jnp.zeros((3 * features,), dtype),
        )

    return Cell("LSTM1997", sized(init), initial_state, project, step, output, prepare)


LSTM1997 = lstm_1997()

"""Long short-term memory whose gates look at the cell: i and f at the old one, o at the new one.

D input features, H hidden features.

Source: Gers & Schmidhuber (2000), Recurrent Nets that Time and Count.
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

nothing: Initializer = jax.nn.initializers.zeros


class LSTMPeepholeParams(NamedTuple):
    input_kernel: Array  # (D, 4H), columns in the order i, f, g, o
    hidden_kernel: Array  # (H, 4H)
    bias: Array  # (4H,)
    input_peephole: Array  # (H,), diagonal weights from the cell to the input gate
    forget_peephole: Array  # (H,)
    output_peephole: Array  # (H,)


class LSTMPeepholeState(NamedTuple):
    hidden: Array  # (*B, H)
    cell: Array  # (*B, H)


class LSTMPeepholeGates(NamedTuple):
    input: Array  # (*B, H), how much of the candidate is written
    forget: Array  # (*B, H), how much of the cell is kept
    candidate: Array  # (*B, H)
    output: Array  # (*B, H), how much of the cell is read


def initial_state(params: LSTMPeepholeParams, batch_shape: tuple[int, ...], dtype=jnp.float32) -> LSTMPeepholeState:
    """Nothing remembered: zeros."""
    features = params.hidden_kernel.shape[0]
    return LSTMPeepholeState(zeros(batch_shape, features, dtype), zeros(batch_shape, features, dtype))


def prepare(params: LSTMPeepholeParams) -> LSTMPeepholeParams:
    """Halve all that leads to a logistic gate, so that every gate is a ``tanh``."""
    features = params.hidden_kernel.shape[0]
    packed = (halve(leaf, features, True, True, False, True) for leaf in params[:3])
    return LSTMPeepholeParams(*packed, *(0.5 * leaf for leaf in params[3:]))


def project(weights: LSTMPeepholeParams, xs: Array) -> Array:
    """Drive every gate from the inputs at once: (*B, T, D) to (*B, T, 4H)."""
    return product(xs, weights.input_kernel, weights.bias)


def step(
    weights: LSTMPeepholeParams, state: LSTMPeepholeState, drive: Array, dot=product, context=None
) -> tuple[LSTMPeepholeState, LSTMPeepholeGates]:
    """Advance one time step. ``drive``: (*B, 4H)."""
    i, f, g, o = jnp.split(dot(state.hidden, weights.hidden_kernel, drive), 4, axis=-1)
    peepholes = weights.input_peephole, weights.forget_peephole, weights.output_peephole
    writes, keeps, reads = (jax.lax.broadcast_to_rank(peephole, drive.ndim) for peephole in peepholes)
    written = half_logistic(jnp.tanh(i + writes * state.cell))
    kept = half_logistic(jnp.tanh(f + keeps * state.cell))
    candidate = jnp.tanh(g)
    cell = kept * state.cell + written * candidate
    read = half_logistic(jnp.tanh(o + reads * cell))
    return LSTMPeepholeState(read * jnp.tanh(cell), cell), LSTMPeepholeGates(written, kept, candidate, read)


def output(state: LSTMPeepholeState) -> Array:
    """What the next layer sees: the hidden state (*B, H)."""
    return state.hidden


@functools.cache
def lstm_peephole(
    forget_bias: float = 1.0,
    input_init: Initializer = glorot,
    hidden_init: Initializer = orthogonal,
    peephole_init: Initializer = nothing,
) -> Cell:
    """A peephole LSTM with other initial weights. The same options give the same cell.

    Args:
        forget_bias: initial bias of the forget gate; 1 keeps the cell open at first.
        input_init: initialiser of each gate's (D, H) kernel.
        hidden_init: initialiser of each gate's (H, H) kernel.
        peephole_init: initialiser of each (H,) peephole; zeros start as an LSTM without.

    Example:
        >>> cell = lstm_peephole(peephole_init=jax.nn.initializers.ones)
        >>> cell.init(jax.random.key(0), 3, 2).output_peephole.tolist()
        [1.0, 1.0]
    """

    def init(key: Array, in_features: int, features: int, dtype=jnp.float32) -> LSTMPeepholeParams:
        input_key, hidden_key, *peephole_keys = jax.random.split(key, 5)
        return LSTMPeepholeParams(
            gatewise(input_init, input_key, 4, (in_features, features), dtype),
            gatewise(hidden_init, hidden_key, 4, (features, features), dtype),
            gate_bias(4, features, index=1, value=forget_bias, dtype=dtype),
            *(peephole_init(k, (features,), dtype) for k in peephole_keys),
        )

    return Cell("LSTMPeephole", sized(init), initial_state, project, step, output, prepare)


LSTMPeephole = lstm_peephole()

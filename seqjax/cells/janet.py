r"""Just another network: an LSTM with nothing but the forget gate.

.. math:: s = x W_s + h U_s + b_s, \quad h' = \sigma(s) \odot h + (1 - \sigma(s - \beta)) \odot g

D input features, H hidden features.

Source: van der Westhuizen & Lasenby (2018), The Unreasonable Effectiveness of the Forget Gate.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.cells.contract import Cell, sized, zeros
from seqjax.cells.gating import half_logistic, halve
from seqjax.cells.initializers import Initializer, chrono, gatewise, glorot, orthogonal
from seqjax.cells.products import product


class JANETParams(NamedTuple):
    input_kernel: Array  # (D, 2H), columns in the order s, g
    hidden_kernel: Array  # (H, 2H)
    bias: Array  # (2H,)


class JANETState(NamedTuple):
    hidden: Array  # (*B, H), cell and output in one


class JANETGates(NamedTuple):
    forget: Array  # (*B, H), how much of the state is kept
    input: Array  # (*B, H), how much of the candidate is written: 1 − σ(s − β)
    candidate: Array  # (*B, H)


def initial_state(params: JANETParams, batch_shape: tuple[int, ...], dtype=jnp.float32) -> JANETState:
    """Nothing remembered: zeros."""
    return JANETState(zeros(batch_shape, params.hidden_kernel.shape[0], dtype))


def prepare(params: JANETParams) -> JANETParams:
    """Halve the forget gate's columns, so that it is a ``tanh``."""
    features = params.hidden_kernel.shape[0]
    return JANETParams(*(halve(leaf, features, True, False) for leaf in params))


def project(weights: JANETParams, xs: Array) -> Array:
    """Drive gate and candidate from the inputs at once: (*B, T, D) to (*B, T, 2H)."""
    return product(xs, weights.input_kernel, weights.bias)


def output(state: JANETState) -> Array:
    """What the next layer sees: the hidden state (*B, H)."""
    return state.hidden


@functools.cache
def janet(
    beta: float = 1.0,
    longest: float = 100.0,
    input_init: Initializer = glorot,
    hidden_init: Initializer = orthogonal,
) -> Cell:
    """A JANET with other constants or initial weights. The same options give the same cell.

    Args:
        beta: β, by how much writing is favoured over keeping.
        longest: the longest memory expected, in steps: sets the forget biases, see :func:`chrono`.
        input_init: initialiser of the gate's and the candidate's (D, H) kernel.
        hidden_init: initialiser of the gate's and the candidate's (H, H) kernel.

    Example:
        >>> bias = janet(longest=50.0).init(jax.random.key(0), 3, 8).bias
        >>> bool((bias[:8] >= 0).all() & (bias[:8] <= jnp.log(49.0)).all()), float(abs(bias[8:]).max())
        (True, 0.0)
    """

    def init(key: Array, in_features: int, features: int, dtype=jnp.float32) -> JANETParams:
        input_key, hidden_key, bias_key = jax.random.split(key, 3)
        return JANETParams(
            gatewise(input_init, input_key, 2, (in_features, features), dtype),
            gatewise(hidden_init, hidden_key, 2, (features, features), dtype),
            jnp.concatenate([chrono(bias_key, features, longest, dtype), jnp.zeros((features,), dtype)]),
        )

    def step(
        weights: JANETParams, state: JANETState, drive: Array, dot=product, context=None
    ) -> tuple[JANETState, JANETGates]:
        """Advance one time step. ``drive``: (*B, 2H)."""
        half, candidate = jnp.split(dot(state.hidden, weights.hidden_kernel, drive), 2, axis=-1)
        kept = half_logistic(jnp.tanh(half))
        written = 1 - half_logistic(jnp.tanh(half - 0.5 * beta))
        gates = JANETGates(kept, written, jnp.tanh(candidate))
        return JANETState(gates.forget * state.hidden + gates.input * gates.candidate), gates

    return Cell("JANET", sized(init), initial_state, project, step, output, prepare)


JANET = janet()

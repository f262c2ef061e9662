r"""The gated recurrent unit as in the paper of EMNLP 2014: reset before the product.

.. math:: n = \tanh(x W_n + (r \odot h) U_n + b_n), \quad h' = z \odot h + (1 - z) \odot n

Lectures often swap z and 1 − z: the same network with z's weights negated. D input features, H hidden features.

Source: Cho et al. (2014), Learning Phrase Representations using RNN Encoder–Decoder (arXiv 1406.1078v3); Chung et al.
(2014), Empirical Evaluation of Gated Recurrent Neural Networks on Sequence Modeling.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.cells.contract import Cell, sized, zeros
from seqjax.cells.gating import half_logistic, halve
from seqjax.cells.gru import GRUDrive
from seqjax.cells.initializers import Initializer, gate_bias, gatewise, glorot, orthogonal
from seqjax.cells.products import product


class GRUResetBeforeParams(NamedTuple):
    input_kernel: Array  # (D, 3H), columns in the order r, z, n
    hidden_kernel: Array  # (H, 3H)
    bias: Array  # (3H,)


class GRUResetBeforeWeights(NamedTuple):
    input_kernel: Array  # (D, 3H)
    bias: Array  # (3H,)
    reset_kernel: Array  # (H, H), what multiplies h
    update_kernel: Array  # (H, H), likewise
    candidate_kernel: Array  # (H, H), what multiplies r ⊙ h


class GRUResetBeforeState(NamedTuple):
    hidden: Array  # (*B, H)


class GRUResetBeforeGates(NamedTuple):
    reset: Array  # (*B, H), how much of the past the candidate sees
    update: Array  # (*B, H), how much of the past is kept
    candidate: Array  # (*B, H)


def initial_state(params: GRUResetBeforeParams, batch_shape: tuple[int, ...], dtype=jnp.float32) -> GRUResetBeforeState:
    """Nothing remembered: zeros."""
    return GRUResetBeforeState(zeros(batch_shape, params.hidden_kernel.shape[0], dtype))


def prepare(params: GRUResetBeforeParams) -> GRUResetBeforeWeights:
    """Halve the logistic gates' columns, so that a ``tanh`` serves them, and part the gates."""
    features = params.hidden_kernel.shape[0]
    inputs, hidden, bias = (halve(leaf, features, True, True, False) for leaf in params)
    return GRUResetBeforeWeights(inputs, bias, *jnp.split(hidden, 3, axis=-1))


def project(weights: GRUResetBeforeWeights, xs: Array) -> GRUDrive:
    """Drive every gate from the inputs at once: (*B, T, D) to three times (*B, T, H)."""
    return GRUDrive(*jnp.split(product(xs, weights.input_kernel, weights.bias), 3, axis=-1))


def step(
    weights: GRUResetBeforeWeights, state: GRUResetBeforeState, drive: GRUDrive, dot=product, context=None
) -> tuple[GRUResetBeforeState, GRUResetBeforeGates]:
    """Advance one time step. The candidate's product waits for the reset gate."""
    r = half_logistic(jnp.tanh(dot(state.hidden, weights.reset_kernel, drive.reset)))
    z = half_logistic(jnp.tanh(dot(state.hidden, weights.update_kernel, drive.update)))
    n = jnp.tanh(dot(r * state.hidden, weights.candidate_kernel, drive.candidate))
    return GRUResetBeforeState(n + z * (state.hidden - n)), GRUResetBeforeGates(r, z, n)


def output(state: GRUResetBeforeState) -> Array:
    """What the next layer sees: the hidden state (*B, H)."""
    return state.hidden


@functools.cache
def gru_reset_before(
    update_bias: float = 0.0, input_init: Initializer = glorot, hidden_init: Initializer = orthogonal
) -> Cell:
    """A GRU, reset before, with other initial weights. The same options give the same cell.

    Args:
        update_bias: initial bias of the update gate; the larger, the longer the first memories.
        input_init: initialiser of each gate's (D, H) kernel.
        hidden_init: initialiser of each gate's (H, H) kernel.

    Example:
        >>> cell = gru_reset_before(update_bias=1.0)
        >>> cell.init(jax.random.key(0), 3, 1).bias.tolist()
        [0.0, 1.0, 0.0]
    """

    def init(key: Array, in_features: int, features: int, dtype=jnp.float32) -> GRUResetBeforeParams:
        input_key, hidden_key = jax.random.split(key)
        return GRUResetBeforeParams(
            gatewise(input_init, input_key, 3, (in_features, features), dtype),
            gatewise(hidden_init, hidden_key, 3, (features, features), dtype),
            gate_bias(3, features, index=1, value=update_bias, dtype=dtype),
        )

    return Cell("GRUResetBefore", sized(init), initial_state, project, step, output, prepare)


GRUResetBefore = gru_reset_before()

r"""The gated recurrent unit, reset after the product, as in cuDNN, PyTorch and Keras.

.. math:: n = \tanh(x W_n + b_n + r \odot (h U_n + b_{hn})), \quad h' = z \odot h + (1 - z) \odot n

D input features, H hidden features.

Source: Cho et al. (2014), Learning Phrase Representations using RNN Encoder–Decoder, first version (arXiv 1406.1078v1);
NVIDIA's cuDNN 5 (2016), for the second bias.
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


class GRUParams(NamedTuple):
    input_kernel: Array  # (D, 3H), columns in the order r, z, n
    hidden_kernel: Array  # (H, 3H)
    bias: Array  # (3H,)
    candidate_bias: Array  # (H,), b_hn: added to the product inside the reset


class GRUWeights(NamedTuple):
    input_kernel: Array  # (D, 3H)
    bias: Array  # (3H,)
    hidden_kernel: Array  # (H, 3H)
    reset_kernel: Array  # (H, H), its columns of r; and so on
    update_kernel: Array  # (H, H)
    candidate_kernel: Array  # (H, H)
    candidate_bias: Array  # (H,)


class GRUDrive(NamedTuple):
    reset: Array  # (*B, H)
    update: Array  # (*B, H)
    candidate: Array  # (*B, H)


class GRUState(NamedTuple):
    hidden: Array  # (*B, H)


class GRUGates(NamedTuple):
    reset: Array  # (*B, H), how much of the past the candidate sees
    update: Array  # (*B, H), how much of the past is kept
    candidate: Array  # (*B, H)


def initial_state(params: GRUParams, batch_shape: tuple[int, ...], dtype=jnp.float32) -> GRUState:
    """Nothing remembered: zeros."""
    return GRUState(zeros(batch_shape, params.hidden_kernel.shape[0], dtype))


def prepare(params: GRUParams) -> GRUWeights:
    """Halve the logistic gates' columns, so that a ``tanh`` serves them; the gates together and apart."""
    features = params.hidden_kernel.shape[0]
    inputs, hidden, bias = (halve(leaf, features, True, True, False) for leaf in params[:3])
    reset, update, candidate = jnp.split(hidden, 3, axis=-1)
    return GRUWeights(inputs, bias, hidden, reset, update, candidate, params.candidate_bias)


def project(weights: GRUWeights, xs: Array) -> GRUDrive:
    """Drive every gate from the inputs at once: (*B, T, D) to three times (*B, T, H)."""
    return GRUDrive(*jnp.split(product(xs, weights.input_kernel, weights.bias), 3, axis=-1))


def step(weights: GRUWeights, state: GRUState, drive: GRUDrive, dot=product, context=None) -> tuple[GRUState, GRUGates]:
    """Advance one time step."""
    reset, update, candidate = _sums(weights, state.hidden, drive, dot)
    r, z = half_logistic(jnp.tanh(reset)), half_logistic(jnp.tanh(update))
    bias = jax.lax.broadcast_to_rank(weights.candidate_bias, candidate.ndim)
    n = jnp.tanh(drive.candidate + r * (candidate + bias))
    return GRUState(n + z * (state.hidden - n)), GRUGates(r, z, n)


def _sums(weights: GRUWeights, hidden: Array, drive: GRUDrive, dot) -> tuple[Array, Array, Array]:
    """What drives reset and update, and the state's part of the candidate, (*B, H) each.

    One product for one row. Three for many: gates that are slices of one array are not read in vectors.
    """
    if hidden.size == hidden.shape[-1]:
        reset, update, candidate = jnp.split(dot(hidden, weights.hidden_kernel), 3, axis=-1)
        return drive.reset + reset, drive.update + update, candidate
    reset = dot(hidden, weights.reset_kernel, drive.reset)
    update = dot(hidden, weights.update_kernel, drive.update)
    return reset, update, dot(hidden, weights.candidate_kernel)


def output(state: GRUState) -> Array:
    """What the next layer sees: the hidden state (*B, H)."""
    return state.hidden


@functools.cache
def gru(
    update_bias: float = 0.0,
    input_init: Initializer = glorot,
    hidden_init: Initializer = orthogonal,
    longest: float = 0.0,
) -> Cell:
    """A GRU with other initial weights. The same options give the same cell.

    Args:
        update_bias: initial bias of the update gate; the larger, the longer the first memories.
        input_init: initialiser of each gate's (D, H) kernel.
        hidden_init: initialiser of each gate's (H, H) kernel.
        longest: the longest memory expected, in steps: spreads these biases instead, see :func:`chrono`; 0: they are
            all alike.

    Example:
        >>> cell = gru(update_bias=1.0)
        >>> cell.init(jax.random.key(0), 3, 1).bias.tolist()
        [0.0, 1.0, 0.0]
    """

    def init(key: Array, in_features: int, features: int, dtype=jnp.float32) -> GRUParams:
        input_key, hidden_key = jax.random.split(key)
        bias = gate_bias(3, features, index=1, value=update_bias, dtype=dtype)
        if longest:
            spread = chrono(jax.random.fold_in(key, 2), features, longest, dtype)
            bias = jnp.concatenate([jnp.zeros_like(spread), spread, jnp.zeros_like(spread)])
        return GRUParams(
            gatewise(input_init, input_key, 3, (in_features, features), dtype),
            gatewise(hidden_init, hidden_key, 3, (features, features), dtype),
            bias,
            jnp.zeros((features,), dtype),
        )

    return Cell("GRU", sized(init), initial_state, project, step, output, prepare)


GRU = gru()

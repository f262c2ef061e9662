r"""The minimal GRU: gates from the input alone, so the state is a linear recurrence.

.. math:: z = \sigma(x W_z + b_z), \quad h' = (1 - z) \odot h + z \odot (x W_h + b_h)

D input features, H hidden features. Note that here, as in the paper, z *writes*; in the GRU it keeps.

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


class MinGRUParams(NamedTuple):
    input_kernel: Array  # (D, 2H), columns in the order z, h
    bias: Array  # (2H,)


class MinGRUState(NamedTuple):
    hidden: Array  # (*B, H)


class MinGRUGates(NamedTuple):
    update: Array  # (*B, H), how much of the candidate is written
    candidate: Array  # (*B, H)


def initial_state(params: MinGRUParams, batch_shape: tuple[int, ...], dtype=jnp.float32) -> MinGRUState:
    """Nothing remembered: zeros."""
    return MinGRUState(zeros(batch_shape, params.bias.shape[0] // 2, dtype))


def project(weights: MinGRUParams, xs: Array) -> MinGRUGates:
    """Everything but the recurrence, for all of time at once: (*B, T, D) to two of (*B, T, H)."""
    update, candidate = jnp.split(product(xs, weights.input_kernel, weights.bias), 2, axis=-1)
    return MinGRUGates(jax.nn.sigmoid(update), candidate)


def step(
    weights: MinGRUParams, state: MinGRUState, drive: MinGRUGates, dot=product, context=None
) -> tuple[MinGRUState, MinGRUGates]:
    """Advance one time step."""
    return MinGRUState((1 - drive.update) * state.hidden + drive.update * drive.candidate), drive


def output(state: MinGRUState) -> Array:
    """What the next layer sees: the hidden state (*B, H)."""
    return state.hidden


@functools.cache
def min_gru(update_bias: float = 0.0, input_init: Initializer = glorot) -> Cell:
    """A minGRU with other initial weights. The same options give the same cell.

    Args:
        update_bias: initial bias of the update gate; the smaller, the longer the first memories.
        input_init: initialiser of the gate's and the candidate's (D, H) kernel.

    Example:
        >>> cell = min_gru(update_bias=-1.0)
        >>> cell.init(jax.random.key(0), 3, 1).bias.tolist()
        [-1.0, 0.0]
    """

    def init(key: Array, in_features: int, features: int, dtype=jnp.float32) -> MinGRUParams:
        return MinGRUParams(
            gatewise(input_init, key, 2, (in_features, features), dtype),
            gate_bias(2, features, index=0, value=update_bias, dtype=dtype),
        )

    return Cell("MinGRU", sized(init), initial_state, project, step, output, linear=True)


MinGRU = min_gru()

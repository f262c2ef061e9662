r"""The simple recurrent network: :math:`h' = \phi(x W_x + h W_h + b)`.

D input features, H hidden features.

Source: Elman (1990), Finding Structure in Time; for rectified linear units started at the identity,
Le, Jaitly & Hinton (2015), A Simple Way to Initialize Recurrent Networks of Rectified Linear Units.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.cells.contract import Cell, sized, zeros
from seqjax.cells.initializers import Initializer, glorot, identity, orthogonal
from seqjax.cells.products import product

small: Initializer = jax.nn.initializers.normal(0.001)


class ElmanParams(NamedTuple):
    input_kernel: Array  # (D, H)
    hidden_kernel: Array  # (H, H)
    bias: Array  # (H,)


class ElmanState(NamedTuple):
    hidden: Array  # (*B, H)


class ElmanGates(NamedTuple):
    preactivation: Array  # (*B, H), what the activation sees: far from zero, a tanh unit is saturated


def initial_state(params: ElmanParams, batch_shape: tuple[int, ...], dtype=jnp.float32) -> ElmanState:
    """Nothing remembered: zeros."""
    return ElmanState(zeros(batch_shape, params.hidden_kernel.shape[0], dtype))


def project(weights: ElmanParams, xs: Array) -> Array:
    """Drive the units from the inputs at once: (*B, T, D) to (*B, T, H)."""
    return product(xs, weights.input_kernel, weights.bias)


def output(state: ElmanState) -> Array:
    """What the next layer sees: the hidden state (*B, H)."""
    return state.hidden


@functools.cache
def elman(
    activation: Callable[[Array], Array] = jnp.tanh,
    input_init: Initializer = glorot,
    hidden_init: Initializer = orthogonal,
    name: str = "Elman",
) -> Cell:
    """An Elman network with another activation or other initial weights. The same options give the same cell.

    Args:
        activation: φ, elementwise.
        input_init: initialiser of the (D, H) kernel.
        hidden_init: initialiser of the (H, H) kernel.
        name: what error messages call it.

    Example:
        >>> cell = elman(activation=jax.nn.relu)
        >>> params = cell.init(jax.random.key(0), 3, 4)
        >>> state = cell.initial_state(params, ())
        >>> state, gates = cell.step(params, state, jnp.array([-1.0, 0.0, 1.0, 2.0]))
        >>> cell.output(state).tolist()
        [0.0, 0.0, 1.0, 2.0]
    """

    def init(key: Array, in_features: int, features: int, dtype=jnp.float32) -> ElmanParams:
        input_key, hidden_key = jax.random.split(key)
        return ElmanParams(
            input_init(input_key, (in_features, features), dtype),
            hidden_init(hidden_key, (features, features), dtype),
            jnp.zeros((features,), dtype),
        )

    def step(
        weights: ElmanParams, state: ElmanState, drive: Array, dot=product, context=None
    ) -> tuple[ElmanState, ElmanGates]:
        """Advance one time step. ``drive``: (*B, H)."""
        preactivation = dot(state.hidden, weights.hidden_kernel, drive)
        return ElmanState(activation(preactivation)), ElmanGates(preactivation)

    return Cell(name, sized(init), initial_state, project, step, output)


@functools.cache
def irnn(input_init: Initializer = small, hidden_init: Initializer = identity) -> Cell:
    """A network of rectified linear units that starts by repeating its state: W_h = I, b = 0.

    Args:
        input_init: initialiser of the (D, H) kernel; the paper's is normal with deviation 0.001.
        hidden_init: initialiser of the (H, H) kernel.

    Example:
        >>> irnn().init(jax.random.key(0), 3, 2).hidden_kernel.tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    return elman(jax.nn.relu, input_init, hidden_init, name="IRNN")


Elman = elman()
ElmanReLU = elman(jax.nn.relu, name="ElmanReLU")
IRNN = irnn()

r"""Long short-term memory for irregular visits: the short-term part of the cell fades with elapsed time.

.. math:: c_S = \tanh(c W_d + b_d), \quad c^* = (c - c_S) + c_S\, g(\Delta t)

and then an LSTM on :math:`c^*`. D input features, H hidden features.

Source: Baytas et al. (2017), Patient Subtyping via Time-Aware LSTM Networks.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.cells.contract import Cell, sized, zeros
from seqjax.cells.gating import half_logistic, halve
from seqjax.cells.initializers import Initializer, gate_bias, gatewise, glorot, orthogonal
from seqjax.cells.products import product


class LSTMTimeAwareParams(NamedTuple):
    input_kernel: Array  # (D, 4H), columns in the order i, f, g, o
    hidden_kernel: Array  # (H, 4H)
    bias: Array  # (4H,)
    decay_kernel: Array  # (H, H), what of the cell is short-term
    decay_bias: Array  # (H,)


class LSTMTimeAwareState(NamedTuple):
    hidden: Array  # (*B, H)
    cell: Array  # (*B, H)


class LSTMTimeAwareGates(NamedTuple):
    input: Array  # (*B, H), how much of the candidate is written
    forget: Array  # (*B, H), how much of the faded cell is kept
    candidate: Array  # (*B, H)
    output: Array  # (*B, H), how much of the cell is read
    short_term: Array  # (*B, H), the part of the cell that fades
    kept: Array  # (*B, 1), g(Δt): how much of that part is left


class Visits(NamedTuple):
    """The input: what was seen at each visit, and how long after the visit before, in any fixed unit."""

    features: Array  # (*B, T, D)
    elapsed: Array  # (*B, T, 1), Δt ≥ 0


class VisitsDrive(NamedTuple):
    gates: Array  # (*B, T, 4H)
    kept: Array  # (*B, T, 1)


def log_decay(elapsed: Array) -> Array:
    """g(Δt) = 1/log(e + Δt), for long and uneven gaps; 1 at Δt = 0.

    Example:
        >>> [round(float(g), 3) for g in log_decay(jnp.array([0.0, 1000.0]))]
        [1.0, 0.145]
    """
    return 1 / jnp.log(jnp.e + elapsed)


def inverse_decay(elapsed: Array) -> Array:
    """g(Δt) = 1/Δt, for short gaps; 1 up to Δt = 1, so that nothing grows and zero is legal.

    Example:
        >>> inverse_decay(jnp.array([0.0, 0.5, 4.0])).tolist()
        [1.0, 1.0, 0.25]
    """
    return 1 / jnp.maximum(elapsed, 1)


def reversed_elapsed(elapsed: Array, mask: Array | None = None, reset: Array | None = None) -> Array:
    """Time to the *next* real visit, for reading with ``reverse=True``; zero at the last, of each document.

    Args:
        elapsed: (*B, T, 1), time since the visit before.
        mask: (*B, T) boolean, True on real visits. Default: all real.
        reset: (*B, T) boolean, True on the first visit of a new document, masked or not. Default: all are one document.

    Example:
        >>> mask = jnp.array([True, True, True, False])
        >>> reversed_elapsed(jnp.array([[0.0], [3.0], [5.0], [9.0]]), mask)[:, 0].tolist()
        [3.0, 5.0, 0.0, 0.0]
    """
    time = elapsed.shape[-2]
    here = jnp.broadcast_to(jnp.arange(time), elapsed.shape[:-1])
    real = here if mask is None else jnp.where(mask, here, time)
    after = jnp.concatenate([real[..., 1:], jnp.full_like(real[..., :1], time)], axis=-1)
    after = jax.lax.cummin(after, axis=after.ndim - 1, reverse=True)[..., None]
    next_visit = jnp.minimum(after, time - 1)
    following, there = jnp.take_along_axis(elapsed, next_visit, axis=-2), after < time
    if reset is not None:
        document = jnp.cumsum(reset, axis=-1)[..., None]
        there &= jnp.take_along_axis(document, next_visit, axis=-2) == document
    return jnp.where(there, following, jnp.zeros_like(following))


def initial_state(params: LSTMTimeAwareParams, batch_shape: tuple[int, ...], dtype=jnp.float32) -> LSTMTimeAwareState:
    """Nothing remembered: zeros."""
    features = params.hidden_kernel.shape[0]
    return LSTMTimeAwareState(zeros(batch_shape, features, dtype), zeros(batch_shape, features, dtype))


def prepare(params: LSTMTimeAwareParams) -> LSTMTimeAwareParams:
    """Halve the logistic gates' columns, so that one ``tanh`` serves all four gates."""
    features = params.hidden_kernel.shape[0]
    inputs, hidden, bias = (halve(leaf, features, True, True, False, True) for leaf in params[:3])
    return LSTMTimeAwareParams(inputs, hidden, bias, params.decay_kernel, params.decay_bias)


def step(
    weights: LSTMTimeAwareParams, state: LSTMTimeAwareState, drive: VisitsDrive, dot=product, context=None
) -> tuple[LSTMTimeAwareState, LSTMTimeAwareGates]:
    """Advance one visit. ``drive``: (*B, 4H) and g(Δt) (*B, 1)."""
    bias = jax.lax.broadcast_to_rank(weights.decay_bias, state.cell.ndim)
    short_term = jnp.tanh(dot(state.cell, weights.decay_kernel) + bias)
    faded = state.cell - short_term + short_term * drive.kept
    i, f, g, o = jnp.split(jnp.tanh(dot(state.hidden, weights.hidden_kernel, drive.gates)), 4, axis=-1)
    gates = LSTMTimeAwareGates(half_logistic(i), half_logistic(f), g, half_logistic(o), short_term, drive.kept)
    cell = gates.forget * faded + gates.input * gates.candidate
    return LSTMTimeAwareState(gates.output * jnp.tanh(cell), cell), gates


def output(state: LSTMTimeAwareState) -> Array:
    """What the next layer sees: the hidden state (*B, H)."""
    return state.hidden


@functools.cache
def lstm_time_aware(
    decay: Callable[[Array], Array] = log_decay,
    forget_bias: float = 1.0,
    input_init: Initializer = glorot,
    hidden_init: Initializer = orthogonal,
) -> Cell:
    """A Time-aware LSTM, whose ``xs`` are :class:`Visits`. The same options give the same cell.

    Args:
        decay: g, from Δt ≥ 0 to (0, 1], finite at zero (a masked visit has Δt = 0):
            :func:`log_decay` or :func:`inverse_decay`.
        forget_bias: initial bias of the forget gate; 1 keeps the cell open at first.
        input_init: initialiser of each gate's (D, H) kernel.
        hidden_init: initialiser of each gate's (H, H) kernel, and of the decay's.

    Example:
        >>> from seqjax.cells import unroll
        >>> cell = lstm_time_aware(decay=inverse_decay)
        >>> params = cell.init(jax.random.key(0), 3, 4)
        >>> days = jnp.array([0.0, 2.0, 30.0, 1.0])
        >>> state, ys = unroll(cell, params, Visits(jnp.ones((4, 3)), days[:, None]))
        >>> ys.shape
        (4, 4)
    """

    def init(key: Array, in_features: int, features: int, dtype=jnp.float32) -> LSTMTimeAwareParams:
        input_key, hidden_key, decay_key = jax.random.split(key, 3)
        return LSTMTimeAwareParams(
            gatewise(input_init, input_key, 4, (in_features, features), dtype),
            gatewise(hidden_init, hidden_key, 4, (features, features), dtype),
            gate_bias(4, features, index=1, value=forget_bias, dtype=dtype),
            hidden_init(decay_key, (features, features), dtype),
            jnp.zeros((features,), dtype),
        )

    def project(weights: LSTMTimeAwareParams, xs: Visits) -> VisitsDrive:
        """Drive every gate, and turn elapsed time into g(Δt), for all visits at once."""
        return VisitsDrive(product(xs.features, weights.input_kernel, weights.bias), decay(xs.elapsed))

    return Cell("LSTMTimeAware", sized(init), initial_state, project, step, output, prepare)


LSTMTimeAware = lstm_time_aware()

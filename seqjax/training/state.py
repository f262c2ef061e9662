"""What training carries from step to step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

AXIS = "devices"  # the name of the axis that pmap maps over


class TrainState(NamedTuple):
    """Everything a step reads and writes. All of it is in the checkpoint."""

    params: Any  # nested dict of arrays
    opt_state: Any  # what the optimiser remembers
    step: Array  # () int32, steps attempted
    skipped: Array  # () int32, steps in a row whose gradient was not finite
    scale: Array  # () float32, factor on the learning rate (reduce on plateau)
    average: Any  # exponential moving average of params, or None
    carry: Any  # recurrent state of truncated BPTT, leaves (rows, ·)


# The prefix for pmap: only the carry is split over devices, all else is the same on each.
NOTHING: Any = None
STATE = TrainState(
    params=None, opt_state=None, step=NOTHING, skipped=NOTHING, scale=NOTHING, average=None, carry=0
)  # fmt: skip


def create_state(params, optimizer: optax.GradientTransformation, carry=None, average: bool = False) -> TrainState:
    """The state before the first step.

    Args:
        params: nested dict of arrays.
        optimizer: what will update them.
        carry: the recurrent state before the first batch, leaves (rows, ·), or None.
        average: keep a moving average of ``params`` too.
    """
    return TrainState(
        params=params,
        opt_state=optimizer.init(params),
        step=jnp.zeros((), jnp.int32),
        skipped=jnp.zeros((), jnp.int32),
        scale=jnp.ones((), jnp.float32),
        average=jax.tree.map(jnp.array, params) if average else None,
        carry=carry,
    )


def with_leaves(function: Callable[..., Any]) -> jax.tree_util.Partial:
    """A function as a pytree: what it is made with is an argument of a jitted function, not a constant of its program.

    Args:
        function: a ``jax.tree_util.Partial``, whose arrays are its leaves, or any other, which has none.

    Example:
        >>> add = with_leaves(jax.tree_util.Partial(jnp.add, jnp.ones(1000)))
        >>> jax.make_jaxpr(lambda f, x: f(x))(add, 1.0).consts
        []
    """
    return function if isinstance(function, jax.tree_util.Partial) else jax.tree_util.Partial(function)

"""Look inside a run: the states and gates of every step, and the gradient that reaches each state.

D input features, H hidden features, T time, ``*B`` zero or more batch axes.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.cells.contract import Cell, Gates, State
from seqjax.cells.scan import Moment, advance
from seqjax.cells.unroll import arrange, batch_major


def trace(
    cell: Cell,
    params,
    xs,
    *,
    state: State | None = None,
    initial: State | None = None,
    mask: Array | None = None,
    reset: Array | None = None,
    reverse: bool = False,
    context=None,
) -> tuple[State, Gates]:
    """Run ``cell`` over ``xs`` and return its states and its gates at every step.

    The arguments are those of :func:`seqjax.cells.unroll.unroll`.

    Returns:
        ``(states, gates)``: leaves (*B, T, ·). The state is the one *after* each step; a masked step repeats
        it, and its gates are zero.

    Raises:
        InputError: a shape or a type is wrong.

    Example:
        >>> from seqjax import cells
        >>> params = cells.LSTM.init(jax.random.key(0), 3, 4)
        >>> states, gates = trace(cells.LSTM, params, jnp.zeros((2, 5, 3)))
        >>> gates.forget.shape, round(float(gates.forget[0, 0, 0]), 3)    # σ(1): the forget bias alone
        ((2, 5, 4), 0.731)
    """
    plan = arrange(cell, params, xs, state, initial, mask, reset, reverse)
    inputs, mask_now, reset_now = plan.inputs

    def body(state, moment):
        after, gates = advance(cell, plan.weights, state, plan.initial, moment, context=context)
        return after, (after, gates)

    moments = Moment(cell.project(plan.weights, inputs), mask_now, reset_now)
    _, (states, gates) = jax.lax.scan(body, plan.start, moments, reverse=reverse)
    return batch_major(states, None, plan.batch_axes), batch_major(gates, mask, plan.batch_axes)


def state_gradients(
    cell: Cell,
    params,
    xs,
    loss: Callable[[tuple[State, Array]], Array],
    *,
    state: State | None = None,
    initial: State | None = None,
    mask: Array | None = None,
    reset: Array | None = None,
    reverse: bool = False,
    context=None,
) -> State:
    r"""The gradient :math:`\partial L / \partial s_t` that reaches the state after every step.

    A zero is added to each state, and the loss is differentiated with respect to these zeros. Its norm
    against the distance to the loss shows how gradients vanish or explode.

    Args:
        loss: from ``(final_state, ys)``, what :func:`seqjax.cells.unroll.unroll` returns, to a scalar.

    The other arguments are those of ``unroll``.

    Returns:
        A state with leaves (*B, T, ·).

    Raises:
        InputError: a shape or a type is wrong.

    Source:
        Hochreiter (1991), Untersuchungen zu dynamischen neuronalen Netzen; Pascanu, Mikolov & Bengio (2013),
        On the Difficulty of Training Recurrent Neural Networks.

    Example:
        >>> from seqjax import cells
        >>> params = cells.IRNN.init(jax.random.key(0), 3, 4)
        >>> last = lambda result: result[1][-1].sum()              # of ys (T, H), the last step
        >>> gradients = state_gradients(cells.IRNN, params, jnp.ones((5, 3)), last, state=cells.ElmanState(jnp.ones(4)))
        >>> gradients.hidden[:, 0].tolist()                        # the identity neither fades nor grows
        [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    plan = arrange(cell, params, xs, state, initial, mask, reset, reverse)
    inputs, mask_now, reset_now = plan.inputs
    moments = Moment(cell.project(plan.weights, inputs), mask_now, reset_now)

    def loss_of(perturbations):
        def body(state, step):
            moment, perturbation = step
            after, _ = advance(cell, plan.weights, state, plan.initial, moment, context=context)
            after = jax.tree.map(jnp.add, after, perturbation)
            return after, after

        final, states = jax.lax.scan(body, plan.start, (moments, perturbations), reverse=reverse)
        return loss((final, batch_major(cell.output(states), mask, plan.batch_axes)))

    nothing = jax.tree.map(lambda leaf: jnp.zeros((plan.time, *leaf.shape), leaf.dtype), plan.start)
    return batch_major(jax.grad(loss_of)(nothing), None, plan.batch_axes)

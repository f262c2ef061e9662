"""Look inside a run: the states and gates of every step, and the gradient that reaches each state.

D input features, H hidden features, T time, ``*B`` zero or more batch axes.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.cells.contract import Cell, Gates, State
from seqjax.cells.scan import Moment, advance
from seqjax.cells.unroll import Run, arrange, check_features, silence
from seqjax.spread import alike, by_compiler


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
    run = arrange(cell, params, xs, state, initial, mask, reset, reverse, context)
    _, states, gates = _every_step(run, reverse)
    return states, silence(gates, mask)


def _every_step(run: Run, reverse: bool, perturbations=None):
    """The final state, and every step's state (perturbed) and gates."""
    arrays = alike((run.inputs, run.constants, run.start, perturbations))
    return by_compiler(functools.partial(_scan, run.cell, reverse), run.axes, *arrays)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _scan(cell: Cell, reverse: bool, inputs, constants, start, perturbations):
    weights, initial, context = constants

    def body(state, now):
        moment, perturbation = now
        after, gates = advance(cell, weights, state, initial, moment, context=context)
        if perturbation is not None:
            after = jax.tree.map(jnp.add, after, perturbation)
        return after, (after, gates)

    axis = jax.tree.leaves(start)[0].ndim - 1
    check_features(cell, weights, inputs.xs)
    moments = Moment(cell.project(weights, inputs.xs), inputs.mask, inputs.reset)
    time_first = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, axis, 0), (moments, perturbations))
    final, over_time = jax.lax.scan(body, start, time_first, reverse=reverse)
    return final, *jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, axis), over_time)


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
    run = arrange(cell, params, xs, state, initial, mask, reset, reverse, context)

    def loss_of(perturbations):
        final, states, _ = _every_step(run, reverse, perturbations)
        return loss((final, silence(cell.output(states), mask)))

    nothing = jax.tree.map(lambda leaf: jnp.zeros((*leaf.shape[:-1], run.time, leaf.shape[-1]), leaf.dtype), run.start)
    return jax.grad(loss_of)(nothing)

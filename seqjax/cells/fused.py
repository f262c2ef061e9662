"""The gradient of time, for any cell: products recomputed never, weight gradients in one product each.

Forward, a scan saves the states and the results of every ``dot``. Backward, a reverse scan runs each
step again with a ``dot`` that *returns the saved result*, so only elementwise work is repeated; it sends each
cotangent δ back as δ·matrixᵀ and merely emits (v, δ). After the scan each weight gradient is one product
Σ vᵀδ over all of time and batch. Autodiff of a scan would instead add one (H, ·) product per step.

Small weights (biases, peepholes) and the context are accumulated in the scan. Time-major throughout.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.cells.contract import Cell, State
from seqjax.cells.scan import Moment, advance


class Saved(NamedTuple):
    """What the forward pass leaves for the backward pass."""

    weights: Any
    moments: Moment
    start: State
    initial: State
    context: Any
    states: State  # after every step, leaves (T, *B, ·)
    products: list[Array]  # result of every dot of a step, (T, *B, ·)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 6))
def run_fused(cell: Cell, weights, moments: Moment, state: State, initial: State, context, reverse: bool):
    """Like :func:`seqjax.cells.scan.run_scan`, with the gradient above."""
    return _forward(cell, weights, moments, state, initial, context, reverse)[0]


def _forward(cell, weights, moments, state, initial, context, reverse):
    def body(state, moment):
        products = []

        def dot(vector, matrix):
            products.append(jnp.dot(vector, matrix))
            return products[-1]

        after, _ = advance(cell, weights, state, initial, moment, dot, context)
        return after, (after, products)

    final, (states, products) = jax.lax.scan(body, state, moments, reverse=reverse)
    return (final, states), Saved(weights, moments, state, initial, context, states, products)


@jax.custom_vjp
def _replay(vector, matrix, product, probe):
    """A ``dot`` that returns what it gave before; ``probe`` is zero and receives the cotangent δ."""
    return product


def _replay_forward(vector, matrix, product, probe):
    return product, matrix


def _replay_backward(matrix, cotangent):
    return cotangent @ matrix.T, None, None, cotangent


_replay.defvjp(_replay_forward, _replay_backward)


def _matrices_of(cell: Cell, saved: Saved) -> list[int]:
    """For every ``dot`` of a step, in order, which leaf of the weights it multiplies by."""
    leaves, tree = jax.tree.flatten(saved.weights)
    found: list[int] = []

    def trace(leaves, state, initial, moment, context):
        def dot(vector, matrix):
            places = [i for i, leaf in enumerate(leaves) if leaf is matrix]
            if not places:
                raise TypeError(
                    f"{cell.name}: every matrix given to `dot` should be a leaf of the prepared weights as it stands, "
                    f"but one of shape {matrix.shape} is not. Slice, transpose or stack it in `prepare`."
                )
            found.append(places[0])
            return jnp.dot(vector, matrix)

        return advance(cell, jax.tree.unflatten(tree, leaves), state, initial, moment, dot, context)[0]

    moment = jax.tree.map(lambda leaf: leaf[0], saved.moments)
    jax.eval_shape(trace, leaves, saved.start, saved.initial, moment, saved.context)
    return found


def _backward(cell: Cell, reverse: bool, saved: Saved, cotangents):
    final_cotangent, state_cotangents = cotangents
    leaves, tree = jax.tree.flatten(saved.weights)
    order = _matrices_of(cell, saved)
    small = {i: leaf for i, leaf in enumerate(leaves) if i not in order}
    time = jax.tree.leaves(saved.states)[0].shape[0]
    shared_emission: list[bool] = []

    def replayed(state, initial, drive, small, context, probes, moment, products):
        """One step, its products read from ``products``; also the vectors that were multiplied."""
        whole = [small.get(i, leaf) for i, leaf in enumerate(leaves)]
        vectors: list[Array] = []

        def dot(vector, matrix):
            index = len(vectors)
            vectors.append(vector)
            return _replay(vector, matrix, products[index], probes[index])

        moment = moment._replace(drive=drive)
        after, _ = advance(cell, jax.tree.unflatten(tree, whole), state, initial, moment, dot, context)
        return after, vectors

    def body(carry, inputs):
        future, sums = carry
        now, moment, products, t = inputs
        before = _state_before(saved, t, time, reverse)
        probes = [jnp.zeros_like(product) for product in products]
        pull: Any
        _, pull, vectors = jax.vjp(
            lambda *a: replayed(*a, moment, products),
            before, saved.initial, moment.drive, small, saved.context, probes, has_aux=True,
        )  # fmt: skip
        past, *grown, deltas = pull(jax.tree.map(jnp.add, future, now))
        initial, drive, vector_weights, context = grown
        sums = jax.tree.map(jnp.add, sums, (initial, vector_weights, context))
        shared_emission[:] = [delta is drive for delta in deltas]
        return (past, sums), (drive, vectors, [None if s else d for s, d in zip(shared_emission, deltas, strict=True)])

    sums = jax.tree.map(jnp.zeros_like, (saved.initial, small, saved.context))
    inputs = (state_cotangents, saved.moments, saved.products, jnp.arange(time))
    (start, sums), (drive, vectors, deltas) = jax.lax.scan(body, (final_cotangent, sums), inputs, reverse=not reverse)

    initial, small_gradient, context = sums
    gradient = dict(small_gradient)
    for place, vector, delta, shared in zip(order, vectors, deltas, shared_emission, strict=True):
        product = _over_time(vector, drive if shared else delta)
        gradient[place] = gradient[place] + product if place in gradient else product
    weights = jax.tree.unflatten(tree, [gradient[i] for i in range(len(leaves))])
    return weights, Moment(drive, None, None), start, initial, context


def _state_before(saved: Saved, t, time: int, reverse: bool) -> State:
    """The state that step ``t`` received, without copying the whole history shifted by one."""
    first, previous = (t == time - 1, t + 1) if reverse else (t == 0, t - 1)

    def pick(start, states):
        kept = jax.lax.dynamic_index_in_dim(states, jnp.clip(previous, 0, time - 1), keepdims=False)
        return jnp.where(first, start, kept)

    return jax.tree.map(pick, saved.start, saved.states)


def _over_time(vectors: Array, deltas: Array) -> Array:
    """Σ vᵀδ over time and batch: (T, *B, I), (T, *B, J) to (I, J), one product."""
    return vectors.reshape(-1, vectors.shape[-1]).T @ deltas.reshape(-1, deltas.shape[-1])


run_fused.defvjp(_forward, _backward)

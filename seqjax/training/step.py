"""The one training step of every task, and the one line that knows about devices.

A task gives three things: ``counts(batch) -> {term: count}`` from the batch alone,
``terms(params, batch, carry, keys, train) -> ({term: sum}, carry, {metric: (sum, count)})``, and the weight of
each term. The loss is Σ weight · sum / count, the counts added over devices and micro-batches *before* the
gradient, so that gradients are simply added: a mean of means would weigh padding.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from seqjax.checks import InputError, check_count
from seqjax.ops.dropout import row_keys
from seqjax.precision import wide
from seqjax.spread import alike
from seqjax.training.state import AXIS, STATE, TrainState

Sums = dict[str, Array]
Metrics = dict[str, tuple[Array, Array]]


class Objective(NamedTuple):
    """What a task wants made small."""

    counts: Callable[[Any], Sums]
    terms: Callable[..., tuple[Sums, Any, Metrics]]
    weights: Mapping[str, float]


def make_train_step(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    *,
    accumulate: int = 1,
    compute_dtype: jnp.dtype | None = None,
    average_decay: float = 0.0,
    axis_name: str = AXIS,
):
    """Build the pure step ``(state, batch, key) -> (state, metrics)``.

    Rows draw their random numbers from (key, step, global row): one device or many, one batch or
    ``accumulate`` micro-batches, dropout falls on the same numbers. A step whose gradient is not finite
    anywhere changes neither parameters nor optimiser nor carry; ``state.skipped`` counts such steps in a row.

    Args:
        objective: terms, counts and weights of the task.
        optimizer: any optax transformation; clipping belongs in its chain.
        accumulate: k micro-batches whose gradients are added before the update.
        compute_dtype: e.g. bfloat16: parameters and carry are cast to it for the forward and backward pass.
        average_decay: decay of the moving average of parameters, when the state has one.
        axis_name: the axis that the step is mapped over.

    Returns:
        The step. Its metrics are ``{name: (sum, count)}`` over the global batch; the objective's terms are
        among them, besides ``loss``, ``gradient_norm`` and ``skipped``.

    Raises:
        InputError: no micro-batch, or rows that do not split into as many.
    """
    check_count("make_train_step", "accumulate", accumulate)

    def step(state: TrainState, batch, key: Array) -> tuple[TrainState, Metrics]:
        keys = global_row_keys(key, state.step, batch, axis_name)
        totals = jax.lax.psum(objective.counts(batch), axis_name)
        gradient = functools.partial(_gradient, objective, state.params, totals, compute_dtype)
        result = _accumulated(gradient, batch, state.carry, keys, accumulate)
        grads, sums, metrics = jax.lax.psum((result.grads, result.sums, result.metrics), axis_name)

        finite = jnp.isfinite(optax.tree.norm(grads))
        new = _updated(state, grads, optimizer, average_decay)._replace(carry=result.carry)
        kept = jax.tree.map(lambda after, before: jnp.where(finite, after, before), new, state)
        skipped = jnp.where(finite, 0, state.skipped + 1)
        metrics = metrics | {name: (sums[name], totals[name]) for name in sums}
        metrics["loss"] = (weighted(objective.weights, sums, totals), jnp.ones(()))
        metrics["gradient_norm"] = (optax.tree.norm(grads), jnp.ones(()))
        metrics["skipped"] = (skipped, jnp.ones(()))
        return kept._replace(step=state.step + 1, skipped=skipped), metrics

    return step


def make_eval_step(objective: Objective, *, compute_dtype: jnp.dtype | None = None, axis_name: str = AXIS):
    """Build ``(params, carry, batch) -> (carry, {name: (sum, count)})``, summed over the global batch."""

    def step(params, carry, batch):
        params, cast_carry = cast((params, carry), compute_dtype)
        sums, after, metrics = objective.terms(params, batch, cast_carry, None, False)
        after = like(after, carry)
        totals = objective.counts(batch)
        return after, jax.lax.psum(metrics | {name: (sums[name], totals[name]) for name in sums}, axis_name)

    return step


def parallel(train_step, axis_name: str = AXIS, devices: Sequence[jax.Device] | None = None):
    """The only line in seqjax that knows how many devices train; all of them, unless some are named."""
    return jax.pmap(
        train_step, axis_name=axis_name, devices=devices, donate_argnums=0,
        in_axes=(STATE, 0, None), out_axes=(STATE, None),
    )  # fmt: skip


def parallel_eval(eval_step, axis_name: str = AXIS, devices: Sequence[jax.Device] | None = None):
    """Map an evaluation step over the devices, all or some: parameters whole, carry and batch split."""
    return jax.pmap(eval_step, axis_name=axis_name, devices=devices, in_axes=(None, 0, 0), out_axes=(0, None))


def global_row_keys(key: Array, step: Array, batch, axis_name: str) -> Array:
    """One key a row, (rows,), from the key, the step and the row's place in the global batch."""
    rows = jax.tree.leaves(batch)[0].shape[0]
    first = jax.lax.axis_index(axis_name) * rows
    return row_keys(jax.random.fold_in(key, step), first + jnp.arange(rows))


def weighted(weights: Mapping[str, float], sums: Sums, totals: Sums) -> Array:
    """Σ weight · sum / count; a term that counts or weighs nothing adds nothing. Counts may be fractions."""
    heard = [name for name, weight in weights.items() if weight]  # 0 times infinity is no number
    shares = (weights[name] * sums[name] / jnp.where(totals[name] == 0, 1, totals[name]) for name in heard)
    return sum(shares, jnp.zeros(()))


def cast(tree, dtype: jnp.dtype | None):
    """Floating leaves in ``dtype``; None leaves all as they are."""
    if dtype is None:
        return tree
    return jax.tree.map(lambda leaf: leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, tree)


def like(tree, other):
    """``tree`` in the types of ``other``: a carry keeps its type from step to step."""
    return jax.tree.map(lambda leaf, model: leaf.astype(model.dtype), tree, other)


class _Result(NamedTuple):
    """Of one micro-batch, or of several added up."""

    grads: Any
    sums: Sums
    metrics: Metrics
    carry: Any


def _gradient(objective: Objective, params, totals: Sums, dtype, batch, carry, keys) -> _Result:
    def loss(params):
        sums, after, metrics = objective.terms(cast(params, dtype), batch, cast(carry, dtype), keys, True)
        return weighted(objective.weights, sums, totals), (sums, metrics, like(after, carry))

    own = alike(params, batch)  # or jax.shard_map adds gradients up over devices before the step does
    grads, (sums, metrics, after) = jax.grad(loss, has_aux=True)(own)
    return _Result(grads, sums, metrics, after)


def _accumulated(gradient, batch, carry, keys: Array, accumulate: int) -> _Result:
    """Add up k micro-batches; contiguous rows, so a row keeps its global number."""
    if accumulate == 1:
        return gradient(batch, carry, keys)
    if len(keys) % accumulate:
        raise InputError(
            f"make_train_step: a device's rows should be a multiple of `accumulate`, {accumulate}, but they are "
            f"{len(keys)}."
        )
    split = functools.partial(jax.tree.map, lambda leaf: leaf.reshape(accumulate, -1, *leaf.shape[1:]))
    join = functools.partial(jax.tree.map, lambda leaf: leaf.reshape(-1, *leaf.shape[2:]))
    parts = split((batch, carry, keys))
    shapes = jax.eval_shape(gradient, *jax.tree.map(lambda leaf: leaf[0], parts))

    def empty(leaf):  # in bfloat16, 256 and 1 are 256
        return jnp.zeros(leaf.shape, wide(leaf.dtype) if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf.dtype)

    zero = jax.tree.map(empty, shapes[:3])

    def body(total, part):
        result = gradient(*part)
        return jax.tree.map(jnp.add, total, like(result[:3], total)), result.carry

    total, after = jax.lax.scan(body, alike(tuple(zero), parts), parts)
    grads, sums, metrics = like(total, tuple(shapes[:3]))
    return _Result(grads, sums, metrics, join(after))


def _updated(state: TrainState, grads, optimizer, average_decay: float) -> TrainState:
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    updates = jax.tree.map(lambda leaf: leaf * state.scale.astype(leaf.dtype), updates)
    params = optax.apply_updates(state.params, updates)
    average = state.average
    if average is not None:
        average = optax.incremental_update(params, average, 1.0 - average_decay)
    return state._replace(params=params, opt_state=opt_state, average=average)

"""Trade work for memory: keep the state at √T places and recompute what lies between.

The gradient is written out rather than left to ``jax.checkpoint`` over a scan, so that inputs, outputs and their
gradients are read and written in place, chunk by chunk, and nothing as long as time is ever copied.

Source: Chen et al. (2016), Training Deep Nets with Sublinear Memory Cost.
"""

import functools
import math

import jax
import jax.numpy as jnp

from seqjax.cells.contract import Cell, State
from seqjax.cells.scan import Constants, Inputs
from seqjax.cells.smooth import added, empty_sums, like, split_smooth
from seqjax.spread import alike


def run_in_chunks(method, cell: Cell, reverse: bool, constants: Constants, inputs: Inputs, start: State):
    """What ``method(cell, reverse, constants, inputs, start)`` gives, with √T of its memory.

    Args:
        method: runs a stretch of time, such as ``run_scan``.
        cell: the recurrence.
        reverse: chunks follow each other from right to left.
        constants: a pytree, the same for all of time.
        inputs: leaves (*B, T, ·) or (*B, T).
        start: the state before the first step, leaves (*B, ·).

    Returns:
        ``(final state, ys)``, ys (*B, T, H).
    """
    stretch = functools.partial(method, cell, reverse)
    axis = jax.tree.leaves(start)[0].ndim - 1
    time = jax.tree.leaves(inputs)[0].shape[axis]
    length = math.isqrt(time - 1) + 1
    even = time - time % length  # what is left over is a shorter chunk of its own, at the end
    first = time - even if reverse else 0

    def part(begin: int, size: int):
        return jax.tree.map(lambda leaf: jax.lax.slice_in_dim(leaf, begin, begin + size, axis=axis), inputs)

    state, ys = _chunks(method, cell, reverse, axis, length, constants, part(first, even), start)
    if even == time:
        return state, ys
    state, rest = jax.checkpoint(stretch)(constants, part(0 if reverse else even, time - even), state)
    return state, jnp.concatenate([rest, ys] if reverse else [ys, rest], axis=axis)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2, 3, 4))
def _chunks(method, cell, reverse: bool, axis: int, length: int, constants, inputs, start):
    return _forward(method, cell, reverse, axis, length, constants, inputs, start)[0]


def _forward(method, cell, reverse, axis, length, constants, inputs, start):
    """Run chunk by chunk; keep the state that each chunk starts from."""
    stretch = functools.partial(method, cell, reverse)
    count = jax.tree.leaves(inputs)[0].shape[axis] // length
    width = jax.eval_shape(stretch, constants, _cut(inputs, 0, axis, length), start)[1]
    ys = jnp.zeros((*width.shape[:axis], count * length, *width.shape[axis + 1 :]), width.dtype)

    def body(carry, index):
        state, ys = carry
        begin = (count - 1 - index if reverse else index) * length
        after, new = stretch(constants, _cut(inputs, begin, axis, length), state)
        return (after, jax.lax.dynamic_update_slice_in_dim(ys, new, begin, axis)), state

    (final, ys), starts = jax.lax.scan(body, alike((start, ys)), jnp.arange(count))
    return (final, ys), (constants, inputs, starts)


def _backward(method, cell, reverse, axis, length, saved, cotangents):
    stretch = functools.partial(method, cell, reverse)
    constants, inputs, starts = saved
    count = jax.tree.leaves(inputs)[0].shape[axis] // length
    smooth_constants, whole_constants = split_smooth(constants)
    smooth_inputs, whole_inputs = split_smooth(inputs)

    def body(carry, index):
        future, totals, gradients = carry
        begin = (count - 1 - index if reverse else index) * length
        now = jax.tree.leaves(_cut(inputs, begin, axis, length))

        def run(smooth_constants, smooth_inputs, state):
            return stretch(whole_constants(smooth_constants), whole_inputs(smooth_inputs, now), state)

        before = jax.tree.map(lambda leaf: leaf[index], starts)
        _, pull = jax.vjp(run, smooth_constants, _cut(smooth_inputs, begin, axis, length), before)
        grown, new, past = pull((future, _cut(cotangents[1], begin, axis, length)))
        gradients = [
            jax.lax.dynamic_update_slice_in_dim(leaf, value, begin, axis)
            for leaf, value in zip(gradients, new, strict=True)
        ]
        return (past, added(totals, grown), gradients), None

    carry = cotangents[0], empty_sums(smooth_constants), jax.tree.map(jnp.zeros_like, smooth_inputs)
    (start, totals, gradients), _ = jax.lax.scan(body, alike(carry), jnp.arange(count), reverse=True)
    return whole_constants(like(totals, smooth_constants), None), whole_inputs(gradients, None), start


_chunks.defvjp(_forward, _backward)


def _cut(leaves, begin, axis: int, length: int):
    return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, begin, length, axis), leaves)

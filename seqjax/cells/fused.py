"""The gradient of time, for any cell: no product computed twice, and weight gradients in few, large products.

Forward, a loop over time saves the states and the results of every ``dot``. Backward, a loop from the other
end runs each step again with a ``dot`` that *returns the saved result*, so only elementwise work is repeated;
it sends each cotangent δ back as δ·matrixᵀ and merely writes (v, δ) down. Weight gradients are products Σ vᵀδ
over many steps at once. Autodiff of a scan would add one (H, ·) product at every step.

Time is cut in chunks that stay in the cache: the products with the inputs and the weight gradients are done once
a chunk, so neither the drive nor any δ ever exists for all of time. Arrays stay (*B, T, ·) and are read and
written in place. Small weights (biases, peepholes) and the context are accumulated in the loop.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.cells.clock import Clock
from seqjax.cells.contract import Cell, State
from seqjax.cells.plan import Plan, for_all_rows, make_plan
from seqjax.cells.products import product
from seqjax.cells.scan import Constants, Inputs, Moment, advance
from seqjax.cells.smooth import added, empty_sums, like, split_smooth
from seqjax.precision import wide
from seqjax.spread import alike


class History(NamedTuple):
    """What is written down at every step; leaves (*B, T, ·)."""

    states: list[Array]  # leaves of the state after the step
    ys: Array | None  # the output, where it is not one of these leaves
    sums: list[Array]  # what each ``dot`` returned
    drive: list[Array]  # the leaves of the drive that the backward pass needs


class Saved(NamedTuple):
    """What the forward pass leaves for the backward pass."""

    constants: Constants
    inputs: Inputs
    start: State
    history: History


def run_fused(cell: Cell, reverse: bool, constants: Constants, inputs: Inputs, start: State) -> tuple[State, Array]:
    """Like :func:`seqjax.cells.scan.run_scan`, with the gradient above."""
    clock = Clock.of(cell, constants.weights, inputs.xs, start, reverse)
    missing = -clock.time % clock.length
    if not missing:
        return _run_whole(cell, reverse, constants, inputs, start)
    final, ys = _run_whole(cell, reverse, constants, _padded(inputs, missing, clock.axis), start)
    return final, jax.lax.slice_in_dim(ys, 0, clock.time, axis=clock.axis)


def _padded(inputs: Inputs, missing: int, axis: int) -> Inputs:
    """The same with masked steps after the last, which they repeat, so that time cuts into whole chunks."""
    mask = inputs.mask
    if mask is None:
        mask = jnp.ones(jax.tree.leaves(inputs.xs)[0].shape[: axis + 1], bool)

    def pad(leaf, mode="constant"):
        return jnp.pad(leaf, [(0, missing if i == axis else 0) for i in range(leaf.ndim)], mode)

    flags = jax.tree.map(pad, inputs._replace(xs=None, mask=mask))
    return flags._replace(xs=jax.tree.map(functools.partial(pad, mode="edge"), inputs.xs))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _run_whole(cell: Cell, reverse: bool, constants: Constants, inputs: Inputs, start: State) -> tuple[State, Array]:
    return _run(cell, reverse, constants, inputs, start, saving=False)[0]


def _forward(cell: Cell, reverse: bool, constants, inputs, start):
    return _run(cell, reverse, constants, inputs, start, saving=True)


def _run(cell: Cell, reverse: bool, constants: Constants, inputs: Inputs, start: State, saving: bool):
    """Run time forward; return ``(final, ys)``, and what is to be saved."""
    weights, initial, context = constants
    clock = Clock.of(cell, weights, inputs.xs, start, reverse)
    plan = plan_of(cell, constants, inputs, start, clock)
    flags = inputs._replace(xs=None)

    def chunk(number, carry):
        begin = clock.begin(number)
        drive = cell.project(weights, clock.cut(inputs.xs, begin))

        def step(index, carry):
            state, history = carry
            place = clock.within(index)
            t = begin + place
            sums: list[Array] = []

            @for_all_rows(clock.axis + 1)
            def dot(vector, matrix, add=None):
                sums.append(product(vector, matrix, add))
                return sums[-1]

            now = jax.tree.map(lambda leaf: clock.read(leaf, place), drive)
            mask, reset = jax.tree.map(lambda leaf: clock.read(leaf, t), flags[1:])
            after, _ = advance(cell, weights, state, initial, Moment(now, mask, reset), dot, context)
            made = _entry(plan, jax.tree.leaves(after), cell.output(after), sums, jax.tree.leaves(now), saving)
            return after, jax.tree.map(lambda leaf, new: clock.write(leaf, new, t), history, made)

        return jax.lax.fori_loop(0, clock.length, step, carry)

    shapes = jax.eval_shape(lambda: jax.tree.leaves(cell.project(weights, clock.cut(inputs.xs, 0))))
    drive = [jax.ShapeDtypeStruct((*s.shape[: clock.axis], *s.shape[clock.axis + 1 :]), s.dtype) for s in shapes]
    like = _entry(plan, jax.tree.leaves(start), jax.eval_shape(cell.output, start), list(plan.sums), drive, saving)
    history = jax.tree.map(lambda leaf: clock.room(leaf, clock.time), like)
    final, history = jax.lax.fori_loop(0, clock.chunks, chunk, alike((start, history)))
    ys = history.ys if plan.output is None else history.states[plan.output]
    return (final, ys), Saved(constants, inputs, start, history)


def _entry(plan: Plan, states, ys, sums, drive, saving: bool) -> History:
    """One step's line in the history; without saving, only what the output needs."""
    if not saving:
        states = [leaf if i == plan.output else None for i, leaf in enumerate(states)]
        sums, drive = [], [None for _ in drive]
    kept = [drive[i] for i in plan.kept] if saving else []
    return History(states, ys if plan.output is None else None, sums, kept)


def plan_of(cell: Cell, constants: Constants, inputs: Inputs, start: State, clock: Clock) -> Plan:
    """The plan of one step, from shapes alone."""

    def first(inputs, weights):
        drive = cell.project(weights, clock.cut(inputs.xs, 0))
        return jax.tree.map(lambda leaf: clock.read(leaf, 0), Moment(drive, *inputs[1:]))

    moment = jax.eval_shape(first, inputs, constants.weights)
    return make_plan(cell, constants.weights, moment, start, constants.initial, constants.context)


def _backward(cell: Cell, reverse: bool, saved: Saved, cotangents):
    (weights, initial, context), inputs, start, _ = saved
    clock = Clock.of(cell, weights, inputs.xs, start, not reverse)
    plan = plan_of(cell, saved.constants, inputs, start, clock)
    leaves, tree = jax.tree.flatten(weights)
    replay = Replay(cell, plan, clock, saved, cotangents[1], [leaves[place].T for place in plan.matrices])

    def chunk(number, carry):
        future, totals, gradients, dxs = carry
        begin = clock.begin(number)
        xs = clock.cut(inputs.xs, begin)
        drive, structure = jax.tree.flatten(jax.eval_shape(cell.project, weights, xs))
        rooms = [jnp.zeros(leaf.shape, leaf.dtype) for leaf in drive]
        own = [
            None if slot is not None else clock.room(s, clock.length)
            for s, slot in zip(plan.sums, plan.slots, strict=True)
        ]
        vectors = [clock.room(shape, clock.length) for shape in plan.vectors]
        step = functools.partial(replay.step, begin)
        past, totals, rooms, own, vectors = jax.lax.fori_loop(
            0, clock.length, step, alike((future, totals, rooms, own, vectors))
        )  # fmt: skip
        grown, dx = _pull(cell, weights, xs, jax.tree.unflatten(structure, rooms))
        gradients = [a + b.astype(a.dtype) for a, b in zip(gradients, jax.tree.leaves(grown), strict=True)]
        for j, (place, slot) in enumerate(zip(plan.matrices, plan.slots, strict=True)):
            new = _over_time(vectors[plan.read[j]], own[j] if slot is None else rooms[slot])
            gradients[place] += new.astype(gradients[place].dtype)
        return past, totals, gradients, clock.paste(dxs, dx, begin)

    small = {i: leaves[i] for i in plan.small}
    summed = initial, small, split_smooth(context)[0]
    smooth_xs, whole_xs = split_smooth(inputs.xs)
    nothing = *empty_sums((summed, leaves)), jax.tree.map(jnp.zeros_like, smooth_xs)
    past, totals, gradients, dxs = jax.lax.fori_loop(0, clock.chunks, chunk, alike((cotangents[0], *nothing)))
    initial, small, smooth = like(totals, summed)
    gradients = [(leaf + totals[1].get(i, 0)).astype(leaves[i].dtype) for i, leaf in enumerate(gradients)]
    constants = Constants(jax.tree.unflatten(tree, gradients), initial, split_smooth(context)[1](smooth, None))
    return constants, Inputs(whole_xs(dxs, None), None, None), past


class Replay(NamedTuple):
    """The steps again, from the other end, their products read back."""

    cell: Cell
    plan: Plan
    clock: Clock
    saved: Saved
    ys: Array  # cotangents of the outputs, (*B, T, H)
    transposed: list[Array]  # of every ``dot`` its matrix, turned over once: row-major products are faster

    def step(self, begin, index, carry):
        """One step back: the cotangent of the state before it, and (v, δ) of its products."""
        clock, plan, history = self.clock, self.plan, self.saved.history
        future, totals, rooms, own, vectors = carry
        place = clock.within(index)
        t = begin + place
        sums, kept, flags, arrived = jax.tree.map(
            lambda leaf: clock.read(leaf, t), (history.sums, history.drive, self.saved.inputs[1:], self.ys)
        )
        drive = [jnp.zeros_like(clock.read(room, 0)) for room in rooms]
        for i, leaf in zip(plan.kept, kept, strict=True):
            drive[i] = leaf
        states = jax.tree.unflatten(jax.tree.structure(self.saved.start), history.states)
        initial, small, smooth = self._summed()
        before = clock.before(self.saved.start, states, t)
        probes = [jnp.zeros_like(value) for value in sums]
        again = functools.partial(self._again, flags, sums)
        _, pull, now = jax.vjp(again, before, initial, drive, small, smooth, probes, has_aux=True)
        past, initial, drive, small, smooth, deltas = pull((future, arrived))
        totals = added(totals, (initial, small, smooth))
        rooms = [clock.write(room, new, place) for room, new in zip(rooms, drive, strict=True)]
        own = [None if room is None else clock.write(room, new, place) for room, new in zip(own, deltas, strict=True)]
        vectors = [clock.write(room, now[plan.read.index(i)], place) for i, room in enumerate(vectors)]
        return past, totals, rooms, own, vectors

    def _summed(self):
        """What gets a gradient at every step, summed on the way: the initial state, small weights, the context."""
        weights, initial, context = self.saved.constants
        leaves = jax.tree.leaves(weights)
        small = {i: leaves[i] for i in self.plan.small}
        return initial, small, split_smooth(context)[0]

    def _again(self, flags, sums, before, initial, drive, small, smooth, probes):
        """The step with its products read back; also, the vectors that were multiplied."""
        weights, _, context = self.saved.constants
        leaves, tree = jax.tree.flatten(weights)
        weights = jax.tree.unflatten(tree, [small.get(i, leaf) for i, leaf in enumerate(leaves)])
        vectors: list[Array] = []

        @for_all_rows(self.clock.axis + 1)
        def dot(vector, matrix, add=None):
            j = len(vectors)
            vectors.append(vector)
            if add is not None:
                add = jnp.broadcast_to(add, sums[j].shape)
            return _replay(vector, add, self.transposed[j], sums[j], probes[j])

        xs = self.saved.inputs.xs
        structure = jax.tree.structure(jax.eval_shape(self.cell.project, weights, self.clock.cut(xs, 0)))
        moment = Moment(jax.tree.unflatten(structure, drive), *flags)
        context = split_smooth(context)[1](smooth)
        after, _ = advance(self.cell, weights, before, initial, moment, dot, context)
        return (after, self.cell.output(after)), vectors


_run_whole.defvjp(_forward, _backward)


@jax.custom_vjp
def _replay(vector, add, transposed, saved, probe):
    """A ``dot`` that returns what it gave before; ``probe`` is zero and receives the cotangent δ."""
    return saved


def _replay_forward(vector, add, transposed, saved, probe):
    types = [None if leaf is None else jnp.zeros((), leaf.dtype) for leaf in (vector, add)]
    return saved, (transposed, types)


def _replay_backward(kept, delta):
    transposed, (vector, add) = kept
    past = product(delta, transposed).astype(vector.dtype)
    return past, None if add is None else delta.astype(add.dtype), None, None, delta


_replay.defvjp(_replay_forward, _replay_backward)


def _pull(cell: Cell, weights, xs, drive):
    """The cotangents of ``weights`` and of the floating ``xs`` from that of the drive.

    Batch and time are one axis to the products.
    """
    smooth, whole = split_smooth(xs)
    rows = [_rows(leaf) for leaf in jax.tree.leaves(xs)]

    def project(weights, smooth):
        return cell.project(weights, whole(smooth, rows))

    _, pull = jax.vjp(project, weights, [_turned(leaf).T for leaf in smooth])
    grown, flat = pull(jax.tree.map(_rows, drive))
    return grown, [new.reshape(leaf.shape) for new, leaf in zip(flat, smooth, strict=True)]


def _over_time(vectors: Array, deltas: Array) -> Array:
    """Σ vᵀδ over batch and time: (*B, T, I), (*B, T, J) to (I, J), one product, float32 at least."""
    return jnp.matmul(_turned(vectors), _rows(deltas), preferred_element_type=wide(deltas.dtype))


def _rows(leaf: Array) -> Array:
    """(*B, T, ·) to (B·T, ·)."""
    return leaf.reshape(-1, leaf.shape[-1])


def _turned(leaf: Array) -> Array:
    """(*B, T, I) to (I, B·T). Written out row by row where XLA on CPU would walk down columns a power of two apart."""
    turned = _rows(leaf).T
    slow = turned.shape[0] % 64 == 0 and jax.default_backend() == "cpu"  # such columns share the cache's places
    return jax.lax.optimization_barrier(turned) if slow else turned

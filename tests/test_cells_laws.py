"""The laws of time, over every cell × mask × direction × method, in float64."""

import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import CELLS, SYMBOLS, B, T, name_of
from cell_runs import (
    DIRECTIONS,
    QUICKLY,
    TRACES,
    assert_same,
    every_way,
    everywhere,
    host,
    make_case,
    only_rows,
    spoiled,
    ways_of,
    whole_rows,
)

from seqjax import cells, unroll

LENGTHS = [0, 1, 3, T]
PADDINGS = {
    "appended": ([range(length) for length in LENGTHS], 0.0),
    "appended-nan": ([range(length) for length in LENGTHS], np.nan),
    "prepended-inf": ([range(T - length, T) for length in LENGTHS], np.inf),
    "holes-nan": ([(), (4,), (1, 2, 5), range(T)], np.nan),
}
each_cell = pytest.mark.parametrize("row", CELLS, ids=name_of)


@pytest.fixture(autouse=True, scope="module")
def float64():
    with jax.enable_x64(True):
        yield


def padded(case, kind):
    """``case`` with row ``b`` cut to its first LENGTHS[b] steps, placed among garbage."""
    places, garbage = PADDINGS[kind]

    def place(leaf, garbage):
        out = np.full(leaf.shape, spoiled(leaf, garbage), leaf.dtype)
        for b, at in enumerate(places):
            out[b, list(at)] = leaf[b, : len(at)]
        return jnp.asarray(out)

    return case._replace(
        xs=jax.tree.map(lambda leaf: place(np.asarray(leaf), garbage), case.xs),
        ys_weight=place(np.asarray(case.ys_weight), 1.0),
        mask=place(np.ones((B, T), bool), False),
        reset=jnp.zeros((B, T), bool),
    )


def gathered(outcome, kind):
    """Outputs and gradients at real steps pushed to the left, and the largest number at padding."""
    places, _ = PADDINGS[kind]
    spilled = []

    def gather(leaf):
        out = np.zeros_like(leaf)
        for b, at in enumerate(places):
            out[b, : len(at)] = leaf[b, list(at)]
            spilled.append(np.abs(np.delete(leaf[b], list(at), axis=0)).max(initial=0.0))
        return out

    params, xs, *others = outcome.gradients
    moved = outcome._replace(ys=gather(outcome.ys), gradients=(params, jax.tree.map(gather, xs), *others))
    return moved, max(spilled)


@each_cell
def test_every_method_gives_the_same_values_and_gradients(row):
    for seed in range(2):
        found = every_way(row)(make_case(row, seed=seed))
        for way in everywhere(row):
            assert_same(found[way], found[way[0], "scan"])


@each_cell
def test_padding_changes_nothing(row):
    case = make_case(row)
    wanted = every_way(row)(padded(case, "appended"))
    for kind in PADDINGS:
        found = every_way(row)(padded(case, kind))
        for way in everywhere(row):
            outcome, spilled = gathered(found[way], kind)
            assert_same(outcome, wanted[way])
            assert spilled == 0


@each_cell
def test_a_padded_row_gives_what_it_gives_alone_without_padding(row):
    case = make_case(row)
    at, length = 2, 3
    found = every_way(row)(padded(only_rows(case, at), "appended")._replace(ys_weight=only_rows(case, at).ys_weight))
    short = jax.tree.map(lambda leaf: leaf[at : at + 1], case._replace(params=None))._replace(params=case.params)
    short = short._replace(
        xs=jax.tree.map(lambda leaf: leaf[:, :length], short.xs), ys_weight=short.ys_weight[:, :length]
    )
    alone = whole_rows(row)(short)
    for way in everywhere(row):
        outcome, wanted = found[way], alone[way[0]]
        assert_same(outcome.ys[at : at + 1, :length], wanted.ys)
        assert_same(jax.tree.map(lambda leaf: leaf[at : at + 1], outcome.final), wanted.final)
        assert_same(outcome.gradients[0], wanted.gradients[0])
        assert_same(jax.tree.map(lambda leaf: leaf[at : at + 1, :length], outcome.gradients[1]), wanted.gradients[1])


@each_cell
def test_an_empty_row_gives_its_initial_state_and_finite_gradients(row):
    case = padded(make_case(row), "appended-nan")
    found = every_way(row)(case)
    for way in everywhere(row):
        assert_same(
            jax.tree.map(lambda leaf: leaf[0], found[way].final), jax.tree.map(lambda leaf: leaf[0], case.state)
        )
        assert not found[way].ys[0].any()
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found[way]))


@each_cell
def test_a_row_does_not_see_its_neighbours(row):
    case = make_case(row)
    ruined = jax.tree.map(
        lambda leaf: jnp.asarray(np.concatenate([leaf[:1], np.full_like(leaf[1:], spoiled(leaf, np.nan))])), case.xs
    )
    found, wanted = every_way(row)(case._replace(xs=ruined)), every_way(row)(case)
    order = np.array([2, 0, 3, 1])
    moved = jax.tree.map(lambda leaf: leaf[order], case._replace(params=None))._replace(params=case.params)
    shuffled = every_way(row)(moved)
    for way in everywhere(row):
        assert_same(found[way].ys[0], wanted[way].ys[0])
        assert_same(
            jax.tree.map(lambda leaf: leaf[0], found[way].final), jax.tree.map(lambda leaf: leaf[0], wanted[way].final)
        )
        assert_same(
            jax.tree.map(lambda leaf: leaf[0], found[way].gradients[1:]),
            jax.tree.map(lambda leaf: leaf[0], wanted[way].gradients[1:]),
        )
        assert_same(shuffled[way].ys, wanted[way].ys[order])
        assert_same(shuffled[way].gradients[0], wanted[way].gradients[0])


def changed(case, steps):
    """``case`` with other inputs at ``steps``: half as much more, or the next symbol."""

    def change(leaf):
        leaf = np.array(leaf)
        leaf[:, steps] = (leaf[:, steps] + 1) % SYMBOLS if leaf.dtype.kind == "i" else leaf[:, steps] + 0.5
        return jnp.asarray(leaf)

    return case._replace(xs=jax.tree.map(change, case.xs))


@each_cell
def test_the_future_never_changes_the_past(row):
    case = make_case(row)
    wanted = every_way(row)(case)
    for now in (1, 4):
        later = every_way(row)(changed(case, slice(now + 1, T)))
        earlier = every_way(row)(changed(case, slice(0, now)))
        for way in ways_of(row):
            assert_same(later[False, way].ys[:, : now + 1], wanted[False, way].ys[:, : now + 1])
            assert_same(earlier[True, way].ys[:, now:], wanted[True, way].ys[:, now:])
            assert np.abs(later[False, way].ys - wanted[False, way].ys).max() > 1e-6


@each_cell
def test_one_step_at_a_time_equals_the_whole(row):
    case = make_case(row)
    wanted = every_way(row)(case)[False, "scan"]
    for prefill in (0, 3):
        state, ys = case.state, []
        for steps in [slice(0, prefill), *(slice(t, t + 1) for t in range(prefill, T))]:
            xs, mask, reset = jax.tree.map(operator.itemgetter((slice(None), steps)), (case.xs, case.mask, case.reset))
            flags = {"mask": mask, "reset": reset, "initial": case.initial, "context": case.context}
            state, now = unroll(row.cell, case.params, xs, state=state, **flags)
            ys.append(now)
        assert_same(jnp.concatenate(ys, axis=1), wanted.ys)
        assert_same(state, wanted.final)


def documents(case):
    """Two documents in each row, steps 0 to 2 and 3 to 6; where each starts and where it is real."""
    first = jnp.broadcast_to(jnp.arange(T) < 3, (B, T))
    starts = jnp.broadcast_to(jnp.isin(jnp.arange(T), jnp.array([0, 3])), (B, T))
    return case._replace(mask=jnp.ones((B, T), bool), reset=starts), first


@each_cell
def test_packed_documents_equal_separate_runs(row):
    case, first = documents(make_case(row))
    packed = every_way(row)(case)
    apart = case._replace(state=case.initial, reset=jnp.zeros((B, T), bool))
    left, right = every_way(row)(apart._replace(mask=first)), every_way(row)(apart._replace(mask=~first))
    carried = every_way(row)(apart._replace(mask=~first, state=case.state))
    for way in everywhere(row):
        second = carried if way[0] else right  # in reverse the right document is read first, from the carried state
        assert_same(packed[way].ys, left[way].ys + second[way].ys)
        assert_same(packed[way].final, left[way].final if way[0] else right[way].final)


@each_cell
def test_a_reset_on_a_masked_step_still_resets(row):
    case, first = documents(make_case(row))
    packed = every_way(row)(case._replace(mask=case.mask.at[:, 3].set(False)))
    alone = case._replace(state=case.initial, reset=jnp.zeros((B, T), bool))
    after = every_way(row)(alone._replace(mask=~first.at[:, 3].set(True)))
    before = every_way(row)(alone._replace(mask=first))
    for way in everywhere(row):
        if way[0]:
            assert_same(packed[way].ys[:, :3], before[way].ys[:, :3])
        else:
            assert_same(packed[way].ys[:, 3:], after[way].ys[:, 3:])


@each_cell
def test_a_learned_initial_state_gets_the_gradient_of_every_reset(row):
    case, first = documents(make_case(row))
    case = case._replace(state_weight=jax.tree.map(jnp.zeros_like, case.state_weight))
    packed = every_way(row)(case)
    apart = case._replace(state=case.initial, reset=jnp.zeros((B, T), bool))
    left, right = every_way(row)(apart._replace(mask=first)), every_way(row)(apart._replace(mask=~first))
    for way in everywhere(row):
        of_left, of_right = left[way].gradients[2], right[way].gradients[2]
        wanted = of_left if way[0] else jax.tree.map(np.add, of_left, of_right)
        assert_same(packed[way].gradients[3], wanted)
        assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(wanted)) > 1e-6


def flags_of(case):
    names = ("mask", "reset", "state", "initial", "context")
    return {name: getattr(case, name) for name in names}


@each_cell
def test_traced_states_are_those_of_the_run(row):
    case = host(make_case(row))

    def look(case):
        flags = flags_of(case)
        found = [cells.trace(row.cell, case.params, case.xs, reverse=reverse, **flags)[0] for reverse in DIRECTIONS]
        return [(states, row.cell.output(states)) for states in found]

    traced = host(jax.jit(look, compiler_options=QUICKLY)(case))
    for reverse, (states, outputs) in zip(DIRECTIONS, traced, strict=True):
        wanted = every_way(row)(case)[reverse, "scan"]
        last = 0 if reverse else T - 1
        assert_same(np.where(case.mask[..., None], outputs, 0), wanted.ys)
        assert_same(jax.tree.map(lambda leaf, last=last: leaf[:, last], states), wanted.final)


@each_cell
def test_the_gradient_at_a_state_is_that_of_starting_there(row):
    """∂L/∂s_t is the gradient of a run that starts from s_t and sees only what comes after."""
    case = host(make_case(row))._replace(mask=np.ones((B, T), bool), reset=np.zeros((B, T), bool))
    case = case._replace(ys_weight=np.zeros_like(case.ys_weight))

    def look(case, reverse):
        def loss(result):
            return sum(jax.tree.leaves(jax.tree.map(lambda a, b: (a * b).sum(), result[0], case.state_weight)))

        flags = {**flags_of(case), "reverse": reverse}
        states, _ = cells.trace(row.cell, case.params, case.xs, **flags)
        return states, cells.state_gradients(row.cell, case.params, case.xs, loss, **flags)

    found = host(jax.jit(lambda case: [look(case, reverse) for reverse in DIRECTIONS], compiler_options=QUICKLY)(case))
    for reverse, (states, gradients) in zip(DIRECTIONS, found, strict=True):
        for t in (1, 3, 5):
            rest = np.broadcast_to(np.arange(T) < t if reverse else np.arange(T) > t, (B, T))
            here = jax.tree.map(lambda leaf, t=t: leaf[:, t], states)
            wanted = every_way(row)(case._replace(state=here, mask=rest))[reverse, "scan"].gradients[2]
            assert_same(jax.tree.map(lambda leaf, t=t: leaf[:, t], gradients), wanted)
        last = 0 if reverse else T - 1
        assert_same(jax.tree.map(lambda leaf, last=last: leaf[:, last], gradients), case.state_weight)


@each_cell
def test_nothing_compiles_twice(row):
    every_way(row)(make_case(row, seed=8))
    every_way(row)(make_case(row, seed=9))
    assert TRACES[row.name] == 1

"""The parts of a beam that exist for speed, against plain NumPy: which states move, which candidates are highest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.decoding.places import _copy_changed, _gather, move, settle
from seqjax.ops.highest import first_highest, highest


def test_only_what_has_to_move_moves():
    draw = np.random.default_rng(0)
    rows, beam = 200, 5
    places = jnp.asarray(np.argsort(draw.random((rows, beam)), axis=1), jnp.int32)
    parents = jnp.asarray(draw.integers(0, beam, (rows, beam)), jnp.int32)
    alive = jnp.asarray(draw.random((rows, beam)) < 0.8)
    new, sources = (np.asarray(each) for each in jax.jit(settle)(places, parents, alive))
    places, parents, alive = np.asarray(places), np.asarray(parents), np.asarray(alive)
    assert (np.sort(new, axis=1) == np.arange(beam)).all()
    copies = 0
    for row in range(rows):
        owners = [int(places[row, parents[row, rank]]) for rank in range(beam) if alive[row, rank]]
        assert [sources[row, new[row, rank]] for rank in range(beam) if alive[row, rank]] == owners
        assert (sources[row, sources[row]] == sources[row]).all()  # what is read is never written
        copies += len(owners) - len(set(owners))
    assert (sources != np.arange(beam)).sum() == copies > rows / 2


def test_moving_in_place_is_gathering():
    rows, beam = 7, 4
    ranks = jnp.asarray(np.tile(np.arange(beam, dtype=np.int32), (rows, 1)))
    parents = jnp.asarray(np.random.default_rng(1).integers(0, beam, (rows, beam)), jnp.int32)
    state = {"a": np.arange(28.0), "b": (np.arange(56).reshape(28, 2, 1), np.arange(28) % 3 == 0)}

    @jax.jit
    def ways(state, parents):
        _, sources = settle(ranks, parents, ranks >= 0)
        wanted = (sources + beam * jnp.arange(rows)[:, None]).reshape(-1)
        return wanted, (move(state, sources), _gather(state, wanted), _copy_changed(state, wanted))

    wanted, moved = jax.tree.map(np.asarray, ways(state, parents))
    assert (wanted != np.arange(28)).sum() > 5
    for each in moved:
        jax.tree.map(lambda new, old: np.testing.assert_array_equal(new, old[wanted]), each, state)
    none = jax.tree.map(lambda leaf: leaf[:0], state)
    assert jax.tree.map(np.shape, move(none, parents[:0])) == jax.tree.map(np.shape, none)


@pytest.mark.parametrize("size, count", [(11, 4), (4096, 1), (5000, 5), (5000, 9), (5000, 5000)])
def test_the_highest_are_those_of_a_sort(size, count):
    draw = np.random.default_rng(size)
    values = draw.normal(size=(4, size)).astype(np.float32).round(1)  # with many ties
    values[1] = -np.inf
    values[2, :-2] = -np.inf
    values[3] = np.where(draw.random(size) < 0.5, 0.0, -0.0)
    found, ids = jax.jit(highest, static_argnums=1)(jnp.asarray(values), count)
    order = np.argsort(-values, axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(ids, order)
    np.testing.assert_array_equal(found, np.take_along_axis(values, order, axis=1))
    np.testing.assert_array_equal(jax.jit(first_highest)(jnp.asarray(values)), order[:, 0])

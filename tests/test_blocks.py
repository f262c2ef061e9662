"""Laws of the mixers and blocks of the catalogue."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from block_catalogue import BLOCKS, B, D, memory_of
from parameters import drawn

from seqjax.models.pure import pure
from seqjax.ops.dropout import row_keys

SWIFT = {"xla_backend_optimization_level": 0}  # compiling is nearly all that these tests do
SHORT, LONG = 5, 8  # real steps, and steps with padding
PLACES = {"right": [0, 1, 2, 3, 4], "left": [3, 4, 5, 6, 7], "holes": [0, 2, 3, 6, 7]}
each_row = pytest.mark.parametrize("row", BLOCKS, ids=lambda row: row.name)
each_causal = pytest.mark.parametrize("row", [row for row in BLOCKS if row.causal], ids=lambda row: row.name)


@functools.cache
def made(row):
    """``(params, apply)`` of a row of the catalogue, away from zero."""
    init, apply = pure(row.build)
    return drawn(init), apply


@functools.cache
def runner(row):
    """Compiled: a whole sequence to ``(ys, gradients of a weighted sum by the parameters, xs and the memory)``."""
    _, apply = made(row)

    def run(params, xs, how, mask, reset, weight):
        def loss(params, xs, memory):
            given = {"memory": how["memory"]._replace(values=memory)} if how else {}
            _, ys = apply(params, xs, mask=mask, reset=reset, **given)
            return (ys * weight[..., None]).sum(), ys

        values = how["memory"].values if how else None
        gradients, ys = jax.grad(loss, argnums=(0, 1, 2), has_aux=True)(params, xs, values)
        return ys, gradients

    return jax.jit(run, compiler_options=SWIFT)


def run(row, xs, mask=None, reset=None, weight=None, rows=slice(None), how=None):
    """Run a row of the catalogue; without a mask all steps are real, and without weights all of them count alike."""
    mask = np.ones(xs.shape[:2], bool) if mask is None else mask
    reset = np.zeros(xs.shape[:2], bool) if reset is None else reset
    weight = np.cos(np.arange(xs.shape[1])) * np.ones(xs.shape[:2]) if weight is None else weight
    how = told(row, rows) if how is None else how
    arrays = jax.tree.map(jnp.asarray, (xs, how, mask, reset))
    return jax.device_get(runner(row)(made(row)[0], *arrays, jnp.asarray(weight, jnp.float32)))


def told(row, rows=slice(None)) -> dict:
    """What else a row of the catalogue reads."""
    return {"memory": memory_of(rows)} if row.memory else {}


def inputs(time: int = LONG, seed: int = 0):
    """(B, T, D)."""
    return np.random.default_rng(seed).normal(size=(B, time, D)).astype(np.float32)


def assert_close(actual, wanted, tolerance: float = 2e-5):
    """Every leaf, relative to its largest number or to one."""
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1.0, np.abs(b).max(initial=0))),
        actual, wanted,
    )  # fmt: skip


@each_row
def test_padding_changes_nothing(row):
    xs, weight = inputs(SHORT), np.cos(np.arange(SHORT)) * np.ones((B, SHORT))
    params, apply = made(row)
    bare = jax.jit(lambda xs, how: apply(params, xs, **how)[1], compiler_options=SWIFT)(xs, told(row))
    wanted = None
    for garbage in (0.0, np.nan, np.inf):
        for places in PLACES.values():
            long, mask, weights = (
                np.full((B, LONG, D), garbage, "float32"),
                np.zeros((B, LONG), bool),
                np.ones((B, LONG)),
            )
            long[:, places], mask[:, places], weights[:, places] = xs, True, weight
            ys, (params, by_xs, by_memory) = run(row, long, mask, weight=weights)
            assert_close(ys[:, places], np.asarray(bare))
            found = (params, by_xs[:, places], by_memory)
            wanted = found if wanted is None else wanted
            assert_close(found, wanted)
            assert (ys[~mask] == 0).all()
            assert (by_xs[~mask] == 0).all()


@each_row
def test_an_empty_row_gives_zeros_and_finite_gradients(row):
    mask = np.ones((B, LONG), bool)
    mask[0] = False
    how = told(row)
    if row.memory:
        how["memory"].mask[:2] = False  # of an empty row, and of a row that is not
    ys, gradients = run(row, np.where(mask[..., None], inputs(), np.nan), mask, how=how)
    assert (ys[0] == 0).all()
    assert np.isfinite(ys).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    assert all((leaf[0] == 0).all() for leaf in jax.tree.leaves(gradients[1:]))


@each_row
def test_a_row_does_not_see_its_neighbours(row):
    xs, order, fresh = inputs(), np.array([2, 0, 3, 1]), inputs(seed=9)
    ys, (_, by_xs, by_memory) = run(row, xs)
    moved, (_, moved_xs, moved_memory) = run(row, xs[order], rows=order)
    assert_close((moved, moved_xs), (ys[order], by_xs[order]))
    assert_close(moved_memory, by_memory if by_memory is None else by_memory[order])
    mixed = run(row, np.concatenate([xs[:1], fresh[1:]]))
    np.testing.assert_array_equal(mixed[0][0], ys[0])
    np.testing.assert_array_equal(mixed[1][1][0], by_xs[0])


@each_causal
def test_the_future_never_changes_the_past(row):
    xs, other = inputs(), inputs(seed=9)
    mixed = np.concatenate([xs[:, :SHORT], other[:, SHORT:]], axis=1)
    np.testing.assert_array_equal(run(row, xs)[0][:, :SHORT], run(row, mixed)[0][:, :SHORT])


@functools.cache
def stepper(row):
    """Compiled: the beginning of B rows, and T steps more."""
    params, apply = made(row)

    def remember():
        how = jax.tree.map(jnp.asarray, told(row))
        return {"memory": apply(params, how["memory"], method="remember")} if how else {}

    def onward(state, xs, mask, how):
        return apply(params, xs, state=state, mask=mask, **how)

    return apply(params, B, LONG + 2, method="start"), remember(), jax.jit(onward, compiler_options=SWIFT)


@each_causal
@pytest.mark.parametrize("real", ["all", "holes"])
@pytest.mark.parametrize("split", [[1] * 8, [3, 1, 0, 1, 3]], ids=str)
def test_steps_and_prefills_equal_the_whole(row, real, split):
    xs, mask = inputs(), np.ones((B, LONG), bool)
    if real == "holes":
        mask = np.random.default_rng(1).random((B, LONG)) < 0.6
        mask[0, :3], mask[1] = False, False
    xs = np.where(mask[..., None], xs, np.nan)
    state, how, onward = stepper(row)
    first, found = 0, []
    for time in split:
        part = slice(first, first + time)
        state, ys = onward(state, jnp.asarray(xs[:, part]), jnp.asarray(mask[:, part]), how)
        found, first = [*found, np.asarray(ys)], first + time
    assert_close(np.concatenate(found, axis=1), run(row, xs, mask)[0])
    assert all(leaf.shape[0] == B for leaf in jax.tree.leaves((state, how))), "every leaf leads with the rows"


@each_row
def test_documents_in_one_row_are_as_if_apart(row):
    xs, reset, real = inputs(), np.zeros((B, LONG), bool), np.ones((B, LONG), bool)
    reset[:, [0, 3]], reset[2, 5] = True, True
    real[:, 6], real[1, 3] = False, False  # the first step of a document may be masked
    together = run(row, xs, real, reset)[0]
    for begin, end, rows in ((0, 3, [0, 1, 2, 3]), (3, 8, [0, 1, 3]), (3, 5, [2]), (5, 8, [2])):
        mask = np.zeros((B, LONG), bool)
        mask[rows, begin:end] = real[rows, begin:end]
        assert_close(run(row, xs, mask)[0][rows, begin:end], together[rows, begin:end])


@pytest.mark.parametrize("row", [row for row in BLOCKS if row.dropout], ids=lambda row: row.name)
def test_dropout_belongs_to_rows(row):
    params, apply = made(row)
    run = jax.jit(lambda xs, how, keys: apply(params, xs, keys=keys, **how)[1], compiler_options=SWIFT)
    xs, order, keys = inputs(), np.array([2, 0, 3, 1]), row_keys(jax.random.key(1), jnp.arange(B))
    dropped = run(xs, told(row), keys)
    assert_close(run(xs[order], told(row, order), keys[order]), dropped[order])
    assert not np.allclose(run(xs, told(row), keys[order]), dropped, atol=1e-3)
    assert not np.allclose(run(xs, told(row), row_keys(jax.random.key(2), jnp.arange(B))), dropped, atol=1e-3)

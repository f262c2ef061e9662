"""Laws of the models that read whole sequences: every row of the catalogue."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import name_of
from jax.sharding import AxisType, PartitionSpec
from parameters import drawn
from reading_catalogue import READING_MODELS

from seqjax.ops.dropout import row_keys

T = 8
LENGTHS = np.array([5, 3, 1, 0])  # real steps of the rows; the last is empty
B = len(LENGTHS)
GARBAGE = {"i": (10**6, -7), "u": (255,), "f": (np.inf, np.nan), "b": (True,)}
SWIFT = {"xla_backend_optimization_level": 0}
pytestmark = pytest.mark.usefixtures("strictly")
ROWS, WHOLE = PartitionSpec("data"), PartitionSpec()
ONE = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,))
each_model = pytest.mark.parametrize("row", READING_MODELS, ids=name_of)
each_causal = pytest.mark.parametrize("row", [row for row in READING_MODELS if row.causal], ids=name_of)


@functools.cache
def reader(row):
    """Compiled outputs, and the gradient of the sum of their squares over real rows, or real steps.

    As ``jax.shard_map`` runs them, its types checked: what their loops begin with belongs to the rows' devices.
    """
    init, apply = row.build()
    params = drawn(init)

    def run(params, batch):
        def total(params):
            found = apply(params, batch, None)
            real = batch["mask"] if row.per_step else batch["mask"].any(axis=1)
            squares = [
                jnp.where(real.reshape(*real.shape, *[1] * (leaf.ndim - real.ndim)), leaf, 0) ** 2
                for leaf in jax.tree.leaves(found)
            ]
            return sum(square.sum() for square in squares), found

        gradients, found = jax.grad(total, has_aux=True)(params)
        return found, gradients

    checked = not row.name.startswith("transcribe")  # the loop of CTC is optax's
    run = jax.shard_map(run, mesh=ONE, in_specs=(WHOLE, ROWS), out_specs=(ROWS, WHOLE), check_vma=checked)
    run = jax.jit(run, compiler_options=SWIFT)
    return lambda batch: jax.device_get(run(params, batch))


def laid(row, seed: int = 0, *, side: str = "right", garbage: int | None = None) -> dict[str, np.ndarray]:
    """A batch of rows that end, or begin, at different steps; the same content whatever the side and the padding."""
    batch = row.inputs(np.random.default_rng(seed), (B, T))
    mask = np.arange(T) < LENGTHS[:, None]
    for name, values in batch.items():
        kinds = GARBAGE[values.dtype.kind]
        fill = 0 if garbage is None else kinds[garbage % len(kinds)]
        batch[name] = np.where(mask.reshape(B, T, *[1] * (values.ndim - 2)), values, np.array(fill, values.dtype))
    batch["mask"] = mask
    if side == "right":
        return batch
    turns = list(enumerate(T - LENGTHS))
    return {name: np.stack([np.roll(leaf[row], turn, axis=0) for row, turn in turns]) for name, leaf in batch.items()}


def real_of(row, found, mask: np.ndarray):
    """What was said of rows that are not empty, or of real steps, row by row."""
    return jax.tree.map(lambda leaf: leaf[mask] if row.per_step else leaf[mask.any(axis=1)], found)


def assert_close(actual, wanted, tolerance: float = 2e-5):
    """Every leaf, relative to its largest number or to one."""
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1.0, np.abs(b).max(initial=0))),
        actual, wanted,
    )  # fmt: skip


@each_model
@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_changes_nothing(row, side):
    batch = laid(row)
    wanted, gradients = reader(row)(batch)
    for garbage in (None, 0, 1):
        padded = laid(row, side=side, garbage=garbage)
        found, changed = reader(row)(padded)
        assert_close(real_of(row, found, padded["mask"]), real_of(row, wanted, batch["mask"]))
        assert_close(changed, gradients)


@each_model
def test_a_row_does_not_see_its_neighbours(row):
    batch, other = laid(row), laid(row, seed=9)
    wanted, _ = reader(row)(batch)
    mixed, _ = reader(row)({name: np.concatenate([leaf[:1], other[name][1:]]) for name, leaf in batch.items()})
    turned, _ = reader(row)({name: leaf[::-1] for name, leaf in batch.items()})
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[0], b[0]), mixed, wanted)
    assert_close(
        real_of(row, jax.tree.map(lambda leaf: leaf[::-1], turned), batch["mask"]), real_of(row, wanted, batch["mask"])
    )


@each_model
def test_empty_rows_give_finite_numbers_and_gradients(row):
    found, gradients = reader(row)(laid(row, garbage=1))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found) if not row.per_step)
    assert any(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradients))


@each_causal
def test_the_future_never_changes_the_past(row):
    batch, other = laid(row), laid(row, seed=9)
    changed = {
        name: leaf if name == "mask" else np.concatenate([leaf[:, :2], other[name][:, 2:]], axis=1)
        for name, leaf in batch.items()
    }
    wanted, found = reader(row)(batch)[0], reader(row)(changed)[0]
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[:, :2], b[:, :2]), found, wanted)


def test_dropout_belongs_to_rows():
    row = READING_MODELS[0]
    init, apply = row.build()
    params, batch, keys = init(jax.random.key(0)), laid(row), row_keys(jax.random.key(1), jnp.arange(B))
    run = jax.jit(apply, compiler_options=SWIFT)
    first = run(params, batch, keys)
    turned = run(params, {name: leaf[::-1] for name, leaf in batch.items()}, keys[::-1])[::-1]
    np.testing.assert_allclose(first, turned, atol=1e-6)
    assert np.abs(np.asarray(first - run(params, batch, row_keys(jax.random.key(2), jnp.arange(B)))))[0].max() > 1e-3

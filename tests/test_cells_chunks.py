"""Time cut into chunks, evenly or with a padded last one, changes nothing."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import CELLS, name_of
from cell_runs import QUICKLY, host
from parameters import drawn

from seqjax import cells, unroll
from seqjax.cells import clock
from seqjax.cells.clock import chunk_length
from seqjax.cells.unroll import _along_time

SOME = [row for row in CELLS if row.name in ("lstm", "gru", "lstm-of-symbols", "bahdanau")]


TIME = 8


def outcomes(cell, method):
    """The loss and its gradients, forwards and in reverse."""
    random = np.random.default_rng(0)
    params, xs = cell.params(), cell.inputs(random, (2, TIME), jnp.float64)
    context = cell.context(random, (2,), jnp.float64)
    mask, reset = (jnp.asarray(random.random((2, TIME)) < share) for share in (0.8, 0.3))

    def run(reverse):
        def loss(params, xs, context):
            flags = {"mask": mask, "reset": reset, "context": context, "reverse": reverse}
            final, ys = unroll(cell.cell, params, xs, method=method, **flags)
            return jnp.sin(ys).sum() + sum((leaf**2).sum() for leaf in jax.tree.leaves(final))

        return jax.value_and_grad(loss, (0, 1), allow_int=True)(params, xs, context)

    return host(jax.jit(lambda: [run(reverse) for reverse in (False, True)], compiler_options=QUICKLY)())


@functools.cache
def scanned(cell):
    return outcomes(cell, "scan")


@pytest.mark.parametrize("cell", SOME, ids=name_of)
@pytest.mark.parametrize("steps", [3, 4], ids=["padded", "even"])
def test_chunks_change_nothing(cell, steps, monkeypatch):
    with jax.enable_x64(True):
        wanted, asked = scanned(cell), []
        monkeypatch.setattr(clock, "chunk_length", lambda *sizes: asked.append(sizes) or steps)
        _along_time.clear_cache()
        got = outcomes(cell, "fused")
        _along_time.clear_cache()
        assert asked
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12), got, wanted)


def test_a_padded_last_chunk_changes_nothing_where_all_steps_are_real(monkeypatch):
    params = drawn(lambda key: cells.GRU.init(key, 2, 3), 0)
    xs = jnp.asarray(np.random.default_rng(0).uniform(1, 3, size=(2, 5, 2)), jnp.float32)
    cell = cells.GRU._replace(project=lambda weights, xs: cells.GRU.project(weights, jnp.log(xs)))  # it reads no zeros

    def both(params, xs):
        def loss(params, xs, how):
            final, ys = unroll(cell, params, xs, **how)
            return (ys**2).sum(), (final, ys)

        hows = [{"method": method, "reverse": reverse} for method in ("fused", "scan") for reverse in (False, True)]
        return [jax.grad(loss, argnums=(0, 1), has_aux=True)(params, xs, how) for how in hows]

    monkeypatch.setattr(clock, "chunk_length", lambda *sizes: 3)
    _along_time.clear_cache()
    found = jax.jit(both, compiler_options=QUICKLY)(params, xs)
    _along_time.clear_cache()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), found[:2], found[2:])


@pytest.mark.parametrize("time", [1, 7, 31, 35, 100, 127, 128, 4096])
def test_little_is_padded(time):
    length = chunk_length(time, time * 131072, 1 << 20)
    chunks = -(-time // length)
    assert 1 <= length <= time
    assert chunks * length - time < chunks


@pytest.mark.parametrize("cell", [cells.LSTM, cells.GRU], ids=["lstm", "gru"])
def test_wide_weights_have_the_gradient_of_the_scan(cell):
    """Widths of 64 and its multiples are turned over before their products; once and twice derived, and vmapped."""
    params = drawn(lambda key: cell.init(key, 64, 64), scale=0.1)
    xs = jnp.asarray(np.random.default_rng(1).normal(size=(2, 3, 64)), jnp.float32)

    def gradient(method, params, xs):
        return jax.grad(lambda params, xs: jnp.sin(unroll(cell, params, xs, method=method)[1]).sum(), (0, 1))(
            params, xs
        )

    def measured(method):
        once = functools.partial(gradient, method)
        rows = jax.vmap(once, (None, 0))(params, xs)
        twice = jax.grad(lambda params: sum((leaf**2).sum() for leaf in jax.tree.leaves(once(params, xs))))(params)
        return once(params, xs), rows, twice

    run = jax.jit(lambda: [measured(method) for method in ("fused", "scan")], compiler_options=QUICKLY)
    got, wanted = jax.device_get(run())
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4 * (1 + abs(b).max())), got, wanted)

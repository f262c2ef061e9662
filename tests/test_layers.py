"""Laws of the layers of the catalogue, their oracles, and what they refuse."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import LAYERS, B, D, H, name_of
from flax import nnx
from parameters import drawn

from seqjax import cells
from seqjax.checks import InputError
from seqjax.layers import Bidirectional, Linear, Recurrent, Stack, functional
from seqjax.layers.parameters import Parameters
from seqjax.models.pure import pure
from seqjax.ops.dropout import row_keys

SWIFT = {"xla_backend_optimization_level": 0}  # compiling is nearly all that these tests do
SHORT, LONG = 5, 8  # real steps, and steps with padding
each_layer = pytest.mark.parametrize("row", LAYERS, ids=name_of)
each_causal = pytest.mark.parametrize("row", [row for row in LAYERS if row.causal], ids=name_of)
PLACES = {"right": [0, 1, 2, 3, 4], "left": [3, 4, 5, 6, 7], "holes": [0, 2, 3, 6, 7]}


def noisy(params):
    """The same parameters away from zero, so that no bias or initial state is."""
    random = np.random.default_rng(3)
    return jax.tree.map(lambda leaf: leaf + jnp.asarray(random.normal(size=leaf.shape, scale=0.3), leaf.dtype), params)


@functools.cache
def made(row):
    """``(params, apply)`` of a row of the catalogue."""
    init, apply = pure(row.build)
    return drawn(init), apply


@functools.cache
def runner(row):
    """A compiled function to ``(states, ys, gradients of a weighted sum of both by params and xs)``."""
    _, apply = made(row)

    def run(params, xs, mask, reset, state, weight):
        def loss(params, xs):
            start = apply(params, xs.shape[:1], method="start") if state is None else state
            states, ys = apply(params, xs, state=start, mask=mask, reset=reset)
            ends = sum(jnp.sin(leaf).sum() for leaf in jax.tree.leaves(states))
            return (ys * weight[..., None]).sum() + ends, (states, ys)

        gradients, (states, ys) = jax.grad(loss, argnums=(0, 1), has_aux=True)(params, xs)
        return states, ys, gradients

    return jax.jit(run, compiler_options=SWIFT)


@each_layer
def test_symbols_are_read_as_their_vectors(row):
    """The same outputs, and the same gradients of the table and of the weights; ids behind the mask may be anything."""
    params, apply = made(row)
    random = np.random.default_rng(4)
    table = jnp.asarray(random.normal(size=(6, D)), jnp.float32)
    ids, mask = random.integers(6, size=(B, SHORT)), jnp.asarray(random.random((B, SHORT)) < 0.7)
    weight = random.normal(size=(B, SHORT, 1))
    given = jnp.where(mask, ids, 99)

    def loss(params, table, whole):
        symbols = cells.Symbols(given, table)
        xs = jnp.where(mask[..., None], symbols.vectors(), 0) if whole else symbols
        states, ys = apply(params, xs, state=apply(params, (B,), method="start"), mask=mask)
        return (ys * weight).sum() + sum(jnp.sin(leaf).sum() for leaf in jax.tree.leaves(states)), ys

    ways = [jax.jit(jax.grad(functools.partial(loss, whole=w), (0, 1), has_aux=True), compiler_options=SWIFT)
            for w in (True, False)]  # fmt: skip
    wanted, found = (jax.device_get(way(params, table)) for way in ways)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5 * max(1, abs(b).max())), found, wanted)
    assert abs(found[0][1]).min(axis=1).max() > 0


def test_weights_made_ready_for_others_are_refused():
    layer, stack = Recurrent(cells.GRU, D, H, rngs=nnx.Rngs(0)), Stack(cells.GRU, D, H, layers=2, rngs=nnx.Rngs(0))
    xs, symbols = jnp.ones((B, SHORT, D)), cells.Symbols(jnp.zeros((B, SHORT), int), jnp.ones((2, D)))
    assert jnp.allclose(layer(xs)[1], layer(symbols, weights=layer.make_ready(symbols.table))[1], atol=1e-6)
    with pytest.raises(InputError, match="ready for symbols, but `xs` are vectors"):
        layer(xs, weights=layer.make_ready(symbols.table))
    with pytest.raises(InputError, match="ready for vectors, but `xs` are symbols"):
        layer(symbols, weights=layer.make_ready())
    with pytest.raises(InputError, match="one a layer, 2, but they are 1"):
        stack(xs, weights=stack.make_ready()[:1])
    with pytest.raises(InputError, match="read both ways"):
        Stack(cells.GRU, D, H, bidirectional=True, rngs=nnx.Rngs(0)).make_ready()


def run(row, xs, mask=None, reset=None, state=None, weight=None):
    """Run a row; without a mask all steps are real, and without weights all of them count."""
    mask = np.ones(xs.shape[:2], bool) if mask is None else mask
    reset = np.zeros(xs.shape[:2], bool) if reset is None else reset
    weight = np.cos(np.arange(xs.shape[1])) * np.ones(xs.shape[:2]) if weight is None else weight
    arrays = (jnp.asarray(xs, jnp.float32), jnp.asarray(mask), jnp.asarray(reset))
    return jax.device_get(runner(row)(made(row)[0], *arrays, state, jnp.asarray(weight, jnp.float32)))


def inputs(time: int = LONG, seed: int = 0):
    """(B, T, D)."""
    return np.random.default_rng(seed).normal(size=(B, time, D)).astype(np.float32)


def assert_close(actual, wanted, tolerance: float = 2e-5):
    """Every leaf, relative to its largest number or to one."""
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1.0, np.abs(b).max(initial=0))),
        actual, wanted,
    )  # fmt: skip


@each_layer
@pytest.mark.parametrize("garbage", [0.0, np.nan, np.inf])
def test_padding_changes_nothing(row, garbage):
    xs, weight = inputs(SHORT), np.cos(np.arange(SHORT)) * np.ones((B, SHORT))
    wanted = run(row, xs, weight=weight)
    for places in PLACES.values():
        long, mask, weights = np.full((B, LONG, D), garbage, np.float32), np.zeros((B, LONG), bool), np.ones((B, LONG))
        long[:, places], mask[:, places], weights[:, places] = xs, True, weight
        states, ys, (params, by_xs) = run(row, long, mask, weight=weights)
        assert_close((states, ys[:, places], (params, by_xs[:, places])), wanted)
        assert (ys[~mask] == 0).all()
        assert (by_xs[~mask] == 0).all()


@each_layer
def test_an_empty_row_keeps_its_initial_state(row):
    mask = np.ones((B, LONG), bool)
    mask[0] = False
    params, apply = made(row)
    states, ys, gradients = run(row, np.where(mask[..., None], inputs(), np.nan), mask)
    start = jax.device_get(apply(params, (B,), method="start"))
    assert_close(jax.tree.map(lambda leaf: leaf[0], states), jax.tree.map(lambda leaf: leaf[0], start))
    assert (ys[0] == 0).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


@each_layer
def test_a_row_does_not_see_its_neighbours(row):
    xs = inputs()
    states, ys, (_, by_xs) = run(row, xs)
    other = np.concatenate([xs[:1], inputs(seed=9)[1:]])
    changed = run(row, other)
    for whole, again in zip(
        jax.tree.leaves((states, ys, by_xs)), jax.tree.leaves((*changed[:2], changed[2][1])), strict=True
    ):
        np.testing.assert_array_equal(whole[0], again[0])
    _, apply = made(row)
    alone = [apply(made(row)[0], jnp.asarray(xs[b : b + 1]))[1] for b in range(2)]
    assert_close(np.concatenate(alone), ys[:2])


@each_causal
def test_the_future_never_changes_the_past(row):
    xs, other = inputs(), inputs(seed=9)
    mixed = np.concatenate([xs[:, :SHORT], other[:, SHORT:]], axis=1)
    np.testing.assert_array_equal(run(row, xs)[1][:, :SHORT], run(row, mixed)[1][:, :SHORT])


@each_causal
def test_steps_equal_the_whole_and_a_prefix_can_come_first(row):
    xs = inputs()
    params, apply = made(row)
    states, ys, _ = run(row, xs)
    step = jax.jit(lambda state, x: apply(params, x, state=state), compiler_options=SWIFT)
    state, found = apply(params, (B,), method="start"), []
    for t in range(LONG):
        state, y = step(state, jnp.asarray(xs[:, t : t + 1]))
        found.append(np.asarray(y[:, 0]))
    assert_close((jax.device_get(state), np.stack(found, axis=1)), (states, ys))
    first = np.arange(LONG) < SHORT
    half, _, _ = run(row, xs, np.broadcast_to(first, (B, LONG)))
    rest = run(row, xs, np.broadcast_to(~first, (B, LONG)), state=half)
    assert_close((rest[0], rest[1][:, SHORT:]), (states, ys[:, SHORT:]))


@each_layer
def test_documents_in_one_row_are_as_if_apart(row):
    xs, reset = inputs(), np.zeros((B, LONG), bool)
    reset[:, [0, 3]] = True
    together = run(row, xs, reset=reset)[1]
    for document in (slice(0, 3), slice(3, LONG)):
        mask = np.zeros((B, LONG), bool)
        mask[:, document] = True
        assert_close(run(row, xs, mask)[1][:, document], together[:, document])


@pytest.mark.parametrize("row", [row for row in LAYERS if row.learned], ids=name_of)
def test_a_learned_initial_state_starts_documents_and_learns(row):
    params, apply = made(row)
    learned = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params)}
    _, _, (gradients, _) = run(row, inputs())
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients):
        if "initial" in jax.tree_util.keystr(path):
            assert np.abs(leaf).max() > 1e-4
    start = jax.device_get(apply(params, (B,), method="start"))
    known = [np.asarray(leaf) for name, leaf in learned.items() if "initial" in name]
    assert sum(any(np.array_equal(leaf[0], value) for value in known) for leaf in jax.tree.leaves(start)) == len(known)
    elsewhere = jax.tree.map(lambda leaf: np.full_like(leaf, 7.0), start)
    every = np.ones((B, LONG), bool)
    fresh = run(row, inputs(), reset=every), run(row, inputs(), reset=every, state=elsewhere)
    assert_close(fresh[0][1][:, :-1], fresh[1][1][:, :-1])  # reading backwards, the last step takes what it is given


@pytest.mark.parametrize("merge", ["concatenate", "sum", "average"])
def test_both_directions_are_merged_as_said(merge):
    layer = Bidirectional(cells.GRU, D, H, merge=merge, rngs=nnx.Rngs(0))
    xs = jnp.asarray(inputs())
    left, right = layer.forward(xs)[1], layer.backward(xs)[1]
    wanted = {"concatenate": jnp.concatenate([left, right], -1), "sum": left + right, "average": (left + right) / 2}
    np.testing.assert_allclose(layer(xs)[1], wanted[merge], atol=1e-6)
    assert layer.out_features == wanted[merge].shape[-1]


def test_a_residual_adds_the_input_of_each_layer_that_fits():
    stack = Stack(cells.GRU, H, H, layers=2, residual=True, rngs=nnx.Rngs(0))
    xs = jnp.asarray(np.random.default_rng(0).normal(size=(B, LONG, H)), jnp.float32)
    first = xs + stack.layers[0](xs)[1]
    np.testing.assert_allclose(stack(xs)[1], first + stack.layers[1](first)[1], atol=1e-6)


def test_dropout_belongs_to_rows_and_stands_between_layers():
    stack = Stack(cells.GRU, D, 32, layers=2, dropout=0.5, rngs=nnx.Rngs(0))
    params, apply = functional(stack)
    keys = row_keys(jax.random.key(1), jnp.arange(B))
    run = jax.jit(lambda xs, keys: apply(params, xs, keys=keys)[1], compiler_options=SWIFT)
    xs, order = jnp.asarray(inputs()), jnp.array([2, 0, 3, 1])
    dropped = run(xs, keys)
    np.testing.assert_allclose(run(xs[order], keys[order]), dropped[order], atol=1e-6)
    assert not np.allclose(run(xs, keys[order]), dropped, atol=1e-3)
    assert not np.allclose(run(xs, None), dropped, atol=1e-3)
    single = Stack(cells.GRU, D, H, layers=1, dropout=0.5, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(single(xs)[1], single(xs, keys=keys)[1])


def test_functional_goes_there_and_back():
    layer = Stack(cells.LSTM, D, H, layers=2, learn_initial=True, rngs=nnx.Rngs(0))
    params, apply = functional(layer)
    xs = jnp.asarray(inputs())
    np.testing.assert_array_equal(apply(params, xs)[1], layer(xs)[1])
    before = jax.tree.map(np.array, params)
    assert not np.allclose(apply(noisy(params), xs)[1], layer(xs)[1])
    jax.tree.map(np.testing.assert_array_equal, functional(layer).params, before)
    assert all(isinstance(key, str | int) for key in _keys(params))


def _keys(tree):
    for key, value in tree.items():
        yield key
        yield from _keys(value) if isinstance(value, dict) else ()


@pytest.mark.parametrize(
    "build, words",
    [
        (lambda r: Recurrent(cells.GRU, 0, H, rngs=r), "`in_features` should be at least 1, but it is 0"),
        (lambda r: Recurrent(cells.GRU, D, -1, rngs=r), "`features` should be at least 1, but it is -1"),
        (lambda r: Stack(cells.GRU, D, H, layers=0, rngs=r), "`layers`"),
        (lambda r: Stack(cells.GRU, D, H, rngs=r)(jnp.ones((2, 5, D + 1))), "4"),
        (lambda r: Stack(cells.GRU, D, H, rngs=r)(jnp.ones((2, 5, D)), mask=jnp.ones((2, 4), bool)), "mask"),
        (lambda r: Linear(D, H, rngs=r)(jnp.ones((2, D + 1))), str(D + 1)),
    ],
    ids=["D", "H", "layers", "inputs", "mask", "linear"],
)
def test_what_does_not_fit_is_refused_with_its_size(build, words):
    with pytest.raises((InputError, TypeError), match=words):
        build(nnx.Rngs(0))


def test_parameters_that_are_not_the_modules_are_refused():
    params, apply = functional(Stack(cells.GRU, D, H, layers=2, rngs=nnx.Rngs(0)))
    xs = jnp.ones((2, 5, D))
    for wrong, words in (
        ({"layers": {0: params["layers"][0]}}, r"Stack: the parameters should have `layers\.1\.params\.bias`"),
        (params | {"layer": {}, "kernel": jnp.ones(3)}, "there should be no parameter `kernel`"),
        (jax.tree.map(lambda leaf: leaf[:2], params), r"`layers\.0\.params\.bias` should be \("),
    ):
        with pytest.raises(InputError, match=words):
            apply(wrong, xs)


def test_states_are_one_a_layer_or_none():
    stack = Stack(cells.GRU, D, H, layers=2, rngs=nnx.Rngs(0))
    states = stack.start((2,))
    with pytest.raises(InputError, match="one a layer, 2, but they are 3"):
        stack(jnp.ones((2, 5, D)), state=(*states, states[0]))
    both = Bidirectional(cells.GRU, D, H, rngs=nnx.Rngs(0))
    given, absent = (both(jnp.ones((2, 5, D)), state=state)[1] for state in ((None, None), None))
    np.testing.assert_array_equal(given, absent)


def test_visits_are_read_backwards_with_the_time_to_the_next():
    layer = Bidirectional(cells.LSTMTimeAware, D, H, rngs=nnx.Rngs(0))
    fading = layer.backward.params.values()._replace(decay_bias=jnp.ones(H))  # also of a state of zeros
    layer.backward.params = Parameters(fading)
    features = jax.random.normal(jax.random.key(0), (2, 5, D))
    elapsed = jax.random.uniform(jax.random.key(1), (2, 5, 1)).at[:, 0].set(0)
    mask = jnp.array([[True] * 5, [True, False, True, True, False]])
    _, ys = layer(cells.Visits(features, elapsed), mask=mask)
    backwards = cells.Visits(features, cells.reversed_elapsed(elapsed, mask))
    np.testing.assert_array_equal(ys[..., H:], layer.backward(backwards, mask=mask)[1])
    starts = jnp.zeros((2, 5), bool).at[:, 1].set(True)  # in the second row, where nothing is real
    mine = cells.reversed_elapsed(elapsed, mask, starts)
    np.testing.assert_array_equal(mine, cells.reversed_elapsed(elapsed, mask).at[:, 0].set(0))
    _, ys = layer(cells.Visits(features, elapsed), mask=mask, reset=starts)
    backwards = cells.Visits(features, mine)
    np.testing.assert_array_equal(ys[..., H:], layer.backward(backwards, mask=mask, reset=starts)[1])


def test_float64_trains_as_float32_does():
    with jax.enable_x64(True):
        xs = jax.random.normal(jax.random.key(0), (2, 5, D), jnp.float64)
        layer = Recurrent(cells.GRU, D, H, rngs=nnx.Rngs(0))
        params, apply = functional(layer)
        assert {leaf.dtype.name for leaf in jax.tree.leaves(params)} == {"float64"}
        for kind in (jnp.float64, jnp.float32):  # weights of a file may be narrower than what they read
            given = jax.tree.map(lambda leaf, kind=kind: leaf.astype(kind), params)
            grown = jax.grad(lambda params: apply(params, xs)[1].sum())(given)
            assert {leaf.dtype for leaf in jax.tree.leaves(grown)} == {jnp.dtype(kind)}


def test_a_residual_of_visits_adds_their_features():
    stack = Stack(cells.LSTMTimeAware, H, H, residual=True, rngs=nnx.Rngs(0))
    visits = cells.Visits(jnp.ones((B, 3, H)), jnp.ones((B, 3, 1)))
    mask = jnp.arange(3) < jnp.arange(B)[:, None]
    wanted = jnp.where(mask[..., None], stack.layers[0](visits, mask=mask)[1] + 1, 0)
    np.testing.assert_allclose(stack(visits, mask=mask)[1], wanted, atol=1e-6)

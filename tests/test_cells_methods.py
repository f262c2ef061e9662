"""Methods in float32, second derivatives, batch axes, and eager calls, over every cell."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import CELLS, B, name_of
from cell_runs import QUICKLY, assert_same, host, make_case, outcome, ways_of
from flax import nnx

from seqjax import InputError, cells, unroll
from seqjax.layers import Stack

FEW = ["lstm", "lstm-time-aware", "lstm-of-symbols", "bahdanau"]  # one input, two inputs, ids, a context
each_cell = pytest.mark.parametrize("row", CELLS, ids=name_of)
a_few_cells = pytest.mark.parametrize("row", [row for row in CELLS if row.name in FEW], ids=name_of)


@each_cell
def test_methods_agree_in_float32(row):
    case = make_case(row, dtype=jnp.float32)
    run = jax.jit(lambda case: [outcome(row, case, True, method) for method in ways_of(row)], compiler_options=QUICKLY)
    scan, *others = run(case)
    for found in others:
        assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves((scan.final, scan.ys, found.final, found.ys)))
        assert_same(host(found), host(scan), tolerance=1e-5)


@a_few_cells
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_recomputing_chunks_changes_nothing(row, reverse):
    with jax.enable_x64(True):
        method = "scan" if row.name == "lstm-time-aware" else "fused"
        ways = (method, "chunk"), ("scan", "none")
        run = jax.jit(lambda case: [outcome(row, case, reverse, *way) for way in ways], compiler_options=QUICKLY)
        for seed in range(2):
            chunked, plain = run(make_case(row, seed=seed))
            assert_same(host(chunked), host(plain))


@pytest.mark.parametrize("remat", ["none", "chunk"])
def test_layers_take_log_time(remat):
    stack, xs = Stack(cells.MinLSTM, 3, 4, layers=2, bidirectional=True, rngs=nnx.Rngs(0)), jnp.ones((2, 11, 3))
    way = {"mask": jnp.arange(11) < jnp.array([[11], [6]]), "remat": remat}
    assert_same(host(stack(xs, method="associative", **way)), host(stack(xs, method="scan", **way)), 1e-6)


def test_log_time_adds_up_in_float32():
    params = jax.tree.map(lambda leaf: 0 * leaf, cells.MinGRU.init(jax.random.key(0), 1, 1, jnp.bfloat16))
    params = params._replace(bias=jnp.array([-9, 1], jnp.bfloat16))  # each step writes a 8,000th of 1
    state, _ = unroll(cells.MinGRU, params, jnp.ones((2000, 1), jnp.bfloat16), method="associative")
    assert state.hidden.dtype == jnp.bfloat16
    assert abs(float(state.hidden[0]) - (1 - (1 - 1 / (1 + np.exp(9.0))) ** 2000)) < 0.002


@each_cell
def test_hessian_vector_products_agree(row):
    with jax.enable_x64(True):
        case = make_case(row)

        def product(case, direction, method):
            def gradient(params):
                return outcome(row, case._replace(params=params), False, method).gradients[0]

            return jax.jvp(gradient, (case.params,), (direction,))[1]

        run = jax.jit(lambda *given: [product(*given, m) for m in ("scan", "fused")], compiler_options=QUICKLY)
        scan, fused = run(case, row.params(seed=5))
        assert_same(host(fused), host(scan))
        assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(scan)) > 1e-6


def gradients_of_many_steps(name, dtype, symbols, method, remat):
    """Of the sum of a thousand outputs, by the parameters and by the two vectors that are read."""
    cell, table = cells.BY_NAME[name], jnp.ones((2, 3), dtype).at[1].set(0.5)
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), cell.init(jax.random.key(0), 3, 8))
    ids = jax.random.randint(jax.random.key(1), (1, 1024), 0, 2)

    def loss(params, table):
        given = cells.Symbols(ids, table)
        _, ys = unroll(cell, params, given if symbols else given.vectors(), method=method, remat=remat)
        return ys.astype(jnp.float32).sum()

    found = host(jax.jit(jax.grad(loss, (0, 1)), compiler_options=QUICKLY)(params, table))
    return [np.asarray(leaf, np.float32) for leaf in jax.tree.leaves(found)]


@functools.cache
def in_float32(name):
    return gradients_of_many_steps(name, jnp.float32, False, "scan", "none")


@pytest.mark.parametrize("remat", ["none", "chunk"])
@pytest.mark.parametrize("method", ["scan", "fused"])
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_gradients_of_many_steps_add_up_in_bfloat16(name, method, remat):
    """A thousand gradients of one sign: a sum in bfloat16 would stop at 256 of them, a third short or more."""
    for symbols in (False, True):
        found = gradients_of_many_steps(name, jnp.bfloat16, symbols, method, remat)
        for leaf, like in zip(found, in_float32(name), strict=True):
            assert np.linalg.norm(leaf - like) < 0.05 * np.linalg.norm(like)


def batched(case, change):
    """``case`` with ``change`` applied to every array that has batch axes."""
    return jax.tree.map(change, case._replace(params=None))._replace(params=case.params)


@each_cell
def test_no_and_two_batch_axes_equal_one(row):
    with jax.enable_x64(True):
        case = host(make_case(row))

        def values(case):
            flags = {"mask": case.mask, "reset": case.reset, "context": case.context}
            return unroll(row.cell, case.params, case.xs, state=case.state, initial=case.initial, **flags)

        run = jax.jit(values, compiler_options=QUICKLY)
        wanted = host(run(case))
        two = host(run(batched(case, lambda leaf: leaf.reshape(2, B // 2, *leaf.shape[1:]))))
        assert_same(jax.tree.map(lambda leaf: leaf.reshape(B, *leaf.shape[2:]), two), wanted)
        none = [host(run(batched(case, lambda leaf, b=b: leaf[b]))) for b in range(B)]
        assert_same(jax.tree.map(lambda *leaves: np.stack(leaves), *none), wanted)


@a_few_cells
def test_gradients_of_no_and_two_batch_axes_equal_those_of_one(row):
    with jax.enable_x64(True):
        case = host(make_case(row))
        run = jax.jit(lambda case: outcome(row, case, False, "fused").gradients, compiler_options=QUICKLY)
        wanted = host(run(case))
        two = host(run(batched(case, lambda leaf: leaf.reshape(2, B // 2, *leaf.shape[1:]))))
        assert_same(two[0], wanted[0])
        assert_same(jax.tree.map(lambda leaf: leaf.reshape(B, *leaf.shape[2:]), two[1:]), wanted[1:])
        none = [host(run(batched(case, lambda leaf, b=b: leaf[b]))) for b in range(B)]
        assert_same(jax.tree.map(lambda *leaves: sum(leaves), *[gradients[0] for gradients in none]), wanted[0])
        others = [gradients[1:] for gradients in none]
        assert_same(jax.tree.map(lambda *leaves: np.stack(leaves), *others), wanted[1:])


@pytest.mark.parametrize("method", ["scan", "fused"])
def test_an_eager_call_compiles_nothing_the_second_time(method, caplog):
    params = cells.GRU.init(jax.random.key(0), 3, 4)

    def call(value):
        return jax.grad(lambda params: unroll(cells.GRU, params, jnp.full((2, 5, 3), value), method=method)[1].sum())(
            params
        )

    call(1.0)
    with jax.log_compiles(True), caplog.at_level("WARNING"):
        call(2.0)
    assert not [record.getMessage() for record in caplog.records if "XLA compilation" in record.getMessage()]


def test_no_steps_give_the_initial_state_and_no_outputs():
    cell = cells.LSTMProjected
    params = cell.init(jax.random.key(0), 3, 4)
    state, ys = unroll(cell, params, jnp.ones((2, 0, 3)), initial=cells.LSTMProjectedState(jnp.ones(2), jnp.ones(4)))
    assert ys.shape == (2, 0, 2)
    assert float(state.cell.min()) == float(state.hidden.max()) == 1.0
    states, gates = cells.trace(cell, params, jnp.ones((2, 0, 3)))
    assert states.cell.shape == gates.forget.shape == (2, 0, 4)


def test_cells_differ_in_name_and_are_all_on_the_command_line():
    assert len({cell.name for cell in cells.BY_NAME.values()}) == len(cells.BY_NAME)
    for cell in cells.BY_NAME.values():
        state, ys = unroll(cell, cell.init(jax.random.key(0), 3, 4), jnp.ones((2, 0, 3)))
        assert ys.shape[-1] == cell.output(state).shape[-1]


def test_the_time_to_the_next_visit_skips_what_is_masked():
    elapsed = jnp.array([[9.0, 2.0, jnp.nan, 5.0, 7.0], [9.0, 1.0, 2.0, 3.0, 4.0]])[..., None]
    mask = jnp.array([[True, True, False, True, False], [False] * 4 + [True]])
    following = cells.reversed_elapsed(elapsed, mask)[..., 0]
    assert following[0, jnp.array([0, 1, 3])].tolist() == [2.0, 5.0, 0.0]
    assert float(following[1, 4]) == 0.0
    assert cells.reversed_elapsed(elapsed)[1, :, 0].tolist() == [1.0, 2.0, 3.0, 4.0, 0.0]


class Weights(NamedTuple):
    kernel: jax.Array


class State(NamedTuple):
    hidden: jax.Array


def without_self_connections(weights, state, drive, dot, context=None):
    """A step that reads its matrix directly too, and its drive in a vector that is multiplied."""
    first = dot(state.hidden, weights.kernel, drive) - jnp.diagonal(weights.kernel) * state.hidden
    return State(jnp.tanh(first + dot(drive * state.hidden, weights.kernel))), ()


def driven_twice(weights, state, drive, dot, context=None):
    """A step whose two products add the same drive."""
    gate = jax.nn.sigmoid(dot(0.5 * state.hidden, weights.kernel, drive))
    return State(gate * jnp.tanh(dot(state.hidden, weights.kernel, drive))), ()


def driven_by_one_number(weights, state, drive, dot, context=None):
    """A step whose drive is narrower than what it is added to."""
    return State(jnp.tanh(dot(state.hidden, weights.kernel, drive))), ()


def with_a_bias_beside(weights, state, drive, dot, context=None):
    """A step whose product adds weights."""
    return State(jnp.tanh(drive + dot(state.hidden, weights.kernel, 2 * weights.kernel[0]))), ()


def with_a_vector_of_all_rows(weights, state, drive, dot, context=None):
    """A step that multiplies weights, which have no batch axes."""
    shared = dot(weights.kernel[0], weights.kernel, weights.kernel[1])
    return State(jnp.tanh(shared * state.hidden + drive)), ()


STEPS = (
    (without_self_connections, 4),
    (driven_twice, 4),
    (driven_by_one_number, 1),
    (with_a_bias_beside, 4),
    (with_a_vector_of_all_rows, 4),
)


@pytest.mark.parametrize("step, width", STEPS, ids=lambda part: getattr(part, "__name__", ""))
def test_what_is_read_beside_a_product_has_its_gradient_too(step, width):
    cell = cells.Cell(
        "own",
        lambda key, inputs, features, dtype=jnp.float32: Weights(0.5 * jax.random.normal(key, (features, features))),
        lambda params, batch, dtype=jnp.float32: State(jnp.zeros((*batch, 4), dtype)),
        lambda params, xs: xs[..., :width],
        step,
        lambda state: state.hidden,
    )
    params, xs = cell.init(jax.random.key(0), 4, 4), jax.random.normal(jax.random.key(1), (2, 5, 4))

    def loss(method, params, xs):
        return (unroll(cell, params, xs, method=method)[1] ** 2).sum()

    found, wanted = (jax.grad(loss, argnums=(1, 2))(method, params, xs) for method in ("fused", "scan"))
    assert_same(found, wanted, tolerance=1e-5)


def test_a_matrix_for_a_state_is_refused_with_what_to_do():
    cell = cells.LSTM._replace(name="own", initial_state=lambda params, batch, dtype: State(jnp.zeros((*batch, 4, 4))))
    with pytest.raises(InputError, match=r"own should be floating vectors.*float32 \(2, 4, 4\).*\(\*B, H·H\)"):
        unroll(cell, cells.LSTM.init(jax.random.key(0), 3, 4), jnp.ones((2, 4, 3)))
    empty = cell._replace(initial_state=lambda params, batch, dtype: ())
    with pytest.raises(InputError, match=r"own should be floating vectors.*but it holds none"):
        unroll(empty, cells.LSTM.init(jax.random.key(0), 3, 4), jnp.ones((2, 4, 3)))

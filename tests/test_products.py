"""A product in parts is the product; one row alone gets what it gets among others, at widths where parts are taken."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cell_runs import assert_same

from seqjax import cells, unroll
from seqjax.cells.products import choose_parts, product

WIDE = (208, 832)  # 676 kB


def draw(*shape):
    return jnp.asarray(np.random.default_rng(len(shape)).normal(size=shape), jnp.float32)


@pytest.mark.parametrize("rows", [(), (1,), (1, 1)], ids=str)
def test_parts_add_up(rows):
    """With what is added, and both derivatives."""
    vector, matrix, add = draw(*rows, WIDE[0]), draw(*WIDE) / 14, draw(WIDE[1])
    assert choose_parts(1, WIDE, matrix.dtype, "cpu")[0] == 4

    def plain(vector, matrix, add):
        return vector @ matrix + add

    assert f"f32[4,1,{WIDE[1]}]" in str(jax.make_jaxpr(product)(vector, matrix))
    for make in (lambda f: f, lambda f: jax.grad(lambda *given: jnp.sin(f(*given)).sum(), (0, 1, 2))):
        assert_same(make(product)(vector, matrix, add), make(plain)(vector, matrix, add), 1e-5)


def test_parts_of_mapped_rows():
    """Rows that ``vmap`` hides: the same."""
    vectors, matrix = draw(3, WIDE[0]), draw(*WIDE) / 14
    assert_same(jax.vmap(product, (0, None))(vectors, matrix), vectors @ matrix, 1e-5)


WHOLE = (
    (2, WIDE, "float32", "cpu"),
    (1, WIDE, "float32", "gpu"),
    (1, WIDE, "bfloat16", "cpu"),
    (1, (210, 832), "float32", "cpu"),
    (1, (64, 64), "float32", "cpu"),
    (1, (1024, 1024), "float32", "cpu"),
)


@pytest.mark.parametrize("given", WHOLE, ids=str)
def test_whole_where_parts_do_not_help(given):
    assert choose_parts(*given)[0] == 1


@pytest.mark.parametrize("cell", [cells.LSTM, cells.GRU], ids=lambda cell: cell.name)
def test_a_row_alone_is_as_among_others(cell):
    """One row multiplies in parts, and a GRU's gates at once: outputs and gradients are those of two rows."""
    params, xs = cell.init(jax.random.key(0), 8, 240), draw(1, 5, 8)
    assert choose_parts(1, params.hidden_kernel.shape, "float32", "cpu")[0] == 4

    def loss(params, xs):
        return jnp.sin(unroll(cell, params, xs)[1]).sum() / len(xs)

    assert_same(unroll(cell, params, xs)[1][0], unroll(cell, params, jnp.tile(xs, (2, 1, 1)))[1][1], 1e-5)
    alone, among = (jax.grad(loss)(params, jnp.tile(xs, (rows, 1, 1))) for rows in (1, 2))
    assert_same(alone, among, 1e-5)

"""What is called one by one, as in a notebook, searched for leaks, or exported: the same programs every time."""

import gc

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from catalogue import MODELS, name_of
from flax import nnx
from jax import export

from seqjax import cells, unroll
from seqjax.layers import Block, Deep, SelfAttention
from seqjax.ops import crf
from seqjax.ops.attention_chunked import chunked_attention
from seqjax.ops.ctc import ctc_loss
from seqjax.ops.lambdas import lambda_layer
from seqjax.ops.pooling import pool_attention

DEEP = Deep(lambda rngs: Block(SelfAttention(2, 1, rngs=rngs), 2, 3, rngs=rngs), 2, rngs=nnx.Rngs(0))
FREE = crf.Transitions(jnp.zeros(2), jnp.zeros((2, 2)), jnp.zeros(2))
REAL = np.ones((2, 20), bool)
LOOPS = {
    "deep": lambda x: DEEP(x)[1],
    "crf": lambda x: crf.log_partition(x, FREE),
    "viterbi": lambda x: crf.viterbi(x, FREE)[1],
    "ctc": lambda x: ctc_loss(x, REAL, np.ones((2, 1), int))[0],
    "lambda": lambda x: lambda_layer(x[:, :, None], x, x, jnp.ones((3, 2)), causal=True),
    "attention": lambda x: chunked_attention(x[:, :, None], x[:, :, None], x[:, :, None], None, None, 0.0, None),
}


@pytest.mark.parametrize("name", LOOPS)
def test_an_eager_gradient_compiles_nothing_the_second_time(name, caplog):
    x = jnp.ones((2, 20, 2))

    def slope():
        return jax.grad(lambda x: LOOPS[name](x).sum())(x)

    slope()
    with jax.log_compiles():
        slope()
    assert not [record for record in caplog.records if "Compiling" in record.getMessage()]


def test_leaks_are_looked_for_in_vain():
    params = cells.GRU.init(jax.random.key(0), 2, 3)
    gc.freeze()  # every trace is searched for: not among all that other tests left
    with jax.checking_leaks():
        jax.make_jaxpr(jax.grad(lambda params: unroll(cells.GRU, params, jnp.ones((2, 5, 2)))[1].sum()))(params)


def test_the_gradient_of_an_empty_row_is_no_number_nowhere():
    mask = jnp.array([[True, True, False], [False, False, False]])
    with jax.debug_nans(True):
        slope = jax.grad(lambda scores: pool_attention(jnp.ones((2, 3, 4)), scores, mask).sum())(jnp.ones((2, 3)))
    assert not slope[1].any()


@pytest.mark.parametrize("row", [row for row in MODELS if row.memory is None], ids=name_of)
def test_models_are_exported_for_batches_of_any_size(row, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # a size that is left open is no int
    monkeypatch.setattr(cells.symbols, "NARROW", 1)
    model = row.build(0.0)
    (rows,) = export.symbolic_shape("B")
    ids, mask = jax.ShapeDtypeStruct((rows, 7), jnp.int32), jax.ShapeDtypeStruct((rows, 6), bool)
    params = jax.eval_shape(model.init, jax.random.key(0))
    exported = export.export(jax.jit(model.log_probabilities))(params, ids, mask)
    assert str(exported.out_avals[0].shape) == "(B, 6)"

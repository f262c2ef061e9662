"""The weights of attention that are shown are those that are used."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from seqjax.layers import Block, SelfAttention, functional

B, T, D, N = 2, 6, 8, 2
SWIFT = {"xla_backend_optimization_level": 0}
XS = jnp.asarray(np.random.default_rng(0).normal(size=(B, T, D)), jnp.float32)


@pytest.mark.parametrize(
    "options", [{"positions": "rotary", "kv_heads": 1}, {"positions": "alibi", "window": 3}], ids=str
)
def test_weights_are_those_with_which_values_are_read(options):
    layer = SelfAttention(D, N, rngs=nnx.Rngs(0), **options)
    (params, apply), groups = functional(layer), options.get("kv_heads", N)
    mask, reset = np.ones((B, T), bool), np.zeros((B, T), bool)
    mask[:, 4], reset[1, 2] = False, True

    def run(params, xs):
        how = {"mask": jnp.asarray(mask), "reset": jnp.asarray(reset)}
        return apply(params, xs, method="weights", **how), apply(params, xs, **how)[1]

    weights, wanted = jax.jit(run, compiler_options=SWIFT)(params, XS)
    columns = np.asarray(XS) @ params["inputs"]["kernel"] + params["inputs"]["bias"]
    values = columns[..., -groups * (D // N) :].reshape(B, T, groups, D // N).repeat(N // groups, axis=2)
    read = np.einsum("bnts,bsnk->btnk", weights, values).reshape(B, T, D)
    ys = read @ params["output"]["kernel"] + params["output"]["bias"]
    np.testing.assert_allclose(wanted, np.where(mask[..., None], ys, 0), atol=1e-5)


def test_the_weights_of_a_block_are_those_of_normal_inputs():
    """So that inputs ten times as large have the same."""
    layer = Block(SelfAttention(D, N, rngs=nnx.Rngs(0)), D, 12, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(layer.weights(100 * XS)[1], layer.weights(10 * XS)[1], atol=1e-4)

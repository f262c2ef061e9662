"""What small layers promise: nothing learned, a beginning that lets all through, queries of one size, places, paper."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from seqjax.layers import Lambda, Linear, functional
from seqjax.layers.frozen import Frozen
from seqjax.layers.highway import Highway
from seqjax.layers.pictures import PictureConvolution, Placed


def test_what_is_frozen_gets_no_gradient():
    params, apply = functional(Frozen(Linear(3, 2, rngs=nnx.Rngs(0))))
    slopes = jax.grad(lambda params: apply(params, jnp.ones((1, 3))).sum())(params)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(slopes))


def test_a_highway_begins_with_gates_that_are_nearly_shut():
    layer = Highway(4, rngs=nnx.Rngs(0))
    xs = jnp.zeros((1, 4))
    slope = jax.jacobian(lambda xs: layer(xs)[0])(xs)[:, 0]
    assert np.diag(slope).min() > 0.7  # of a gate half open: a half


def test_queries_of_a_lambda_layer_are_normalised():
    params, apply = functional(Lambda(8, 2, reach=2, width=4, rngs=nnx.Rngs(0)))
    xs = 10 * jnp.asarray(np.random.default_rng(0).normal(size=(1, 3, 8)), jnp.float32)
    kernel = params["inputs"]["kernel"]
    larger = params | {"inputs": {"kernel": kernel.at[:, :8].multiply(7.0)}}  # N · K columns
    np.testing.assert_allclose(apply(larger, xs)[1], apply(params, xs)[1], atol=1e-3)


def test_patches_know_their_row_and_their_column():
    ys = np.asarray(Placed(8, rngs=nnx.Rngs(0))(jnp.zeros((1, 2, 3, 8)), jnp.ones((1, 2, 3), bool)))[0].reshape(6, 8)
    assert len(np.unique(ys.round(4), axis=0)) == 6


def test_paper_stays_paper_whatever_a_convolution_adds():
    layer = PictureConvolution(1, 2, rngs=nnx.Rngs(0))
    layer.norm.bias[...] = jnp.ones(2)
    ys = layer(jnp.zeros((1, 4, 8, 1)), jnp.array([[[True, False]]]))
    assert bool((ys[:, :, :4] > 0).all())
    assert not np.any(ys[:, :, 4:])

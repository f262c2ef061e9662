"""The lambda layer: its formula, documents, states, long texts and large keys."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from oracles import lambdas as oracle

from seqjax.checks import InputError
from seqjax.layers.lambda_layer import Lambda
from seqjax.ops.lambdas import CHUNK, empty_lambda, lambda_layer, lambda_steps

B, T, N, K, J = 3, 2 * CHUNK + 5, 2, 3, 4
SWIFT = {"xla_backend_optimization_level": 0}  # compiling is nearly all that these tests do
each_side = pytest.mark.parametrize("causal", [True, False], ids=["causal", "both-sides"])


def case(reach: int, causal: bool, time: int = T):
    """Queries, keys, values and embeddings; which steps are real, and where documents begin."""
    random = np.random.default_rng(reach)
    shapes = (B, time, N, K), (B, time, K), (B, time, J), (reach if causal else 2 * reach - 1, K)
    mask, reset = random.random((B, time)) < 0.7, random.random((B, time)) < 0.08
    mask[0] = True
    return [random.normal(size=shape).astype(np.float32) for shape in shapes], mask, reset


@functools.cache
def runner(causal: bool):
    """Compiled: outputs, and the gradients of a weighted sum of them by all four arrays."""

    def total(arrays, mask, reset):
        ys = lambda_layer(*arrays, mask=mask, reset=reset, causal=causal)
        return (ys * jnp.cos(jnp.arange(ys.size, dtype=ys.dtype)).reshape(ys.shape)).sum(), ys

    return jax.jit(jax.grad(total, has_aux=True), compiler_options=SWIFT)


@functools.cache
def onward():
    """Compiled: some steps from a state on."""
    return jax.jit(
        lambda state, xs, embeddings, mask, reset=None: lambda_steps(state, *xs, embeddings, mask=mask, reset=reset),
        compiler_options=SWIFT,
    )


def assert_formula(arrays, mask, reset, causal, ys, tolerance=2e-5):
    """Every row against the loops."""
    query, key, value, embeddings = (np.asarray(array, np.float64) for array in arrays)
    for b in range(len(key)):
        wanted = oracle.lambda_layer(query[b], key[b], value[b], embeddings, mask[b], reset[b], causal)
        np.testing.assert_allclose(ys[b], wanted, atol=tolerance * max(1, np.abs(wanted).max()))


@each_side
@pytest.mark.parametrize("reach", [1, 4, CHUNK + 7])
def test_the_lambda_layer_equals_its_formula(reach, causal):
    arrays, mask, reset = case(reach, causal)
    assert_formula(arrays, mask, reset, causal, runner(causal)(arrays, mask, reset)[1])


@each_side
def test_without_masks_or_resets_all_is_real_and_one_document(causal):
    arrays, mask, reset = case(4, causal)
    bare = jax.jit(lambda arrays: lambda_layer(*arrays, causal=causal), compiler_options=SWIFT)
    assert_formula(arrays, mask | True, reset & False, causal, bare(arrays))
    masked = jax.jit(lambda arrays, mask: lambda_layer(*arrays, mask=mask, causal=causal), compiler_options=SWIFT)
    assert_formula(arrays, mask, reset & False, causal, masked(arrays, mask))


@each_side
def test_garbage_where_masked_changes_neither_outputs_nor_gradients(causal):
    arrays, mask, reset = case(4, causal)
    gradients, ys = runner(causal)(arrays, mask, reset)
    dirty = [np.where(mask.reshape(B, T, *[1] * (x.ndim - 2)), x, np.nan) for x in arrays[:3]] + arrays[3:]
    dirty_gradients, dirty_ys = runner(causal)(dirty, mask, reset)
    np.testing.assert_array_equal(dirty_ys, ys)
    jax.tree.map(np.testing.assert_array_equal, dirty_gradients, gradients)
    assert (np.asarray(ys)[~mask] == 0).all()


@each_side
def test_the_gradient_is_that_of_the_formula(causal):
    arrays, mask, reset = case(4, causal)
    gradients = jax.device_get(runner(causal)(arrays, mask, reset)[0])
    random, weigh = np.random.default_rng(0), np.cos(np.arange(B * T * N * J)).reshape(B, T, N, J)[1]
    small = 1e-5

    def moved(by):
        given = [np.asarray(x, np.float64) + by * d for x, d in zip(arrays, direction, strict=True)]
        rows = [x[1] for x in given[:3]]
        return (oracle.lambda_layer(*rows, given[3], mask[1], reset[1], causal) * weigh).sum()

    for number in range(3):
        direction = [np.zeros(x.shape) for x in arrays]
        direction[number][1] = random.normal(size=arrays[number][1].shape)
        slope = (moved(small) - moved(-small)) / (2 * small)
        np.testing.assert_allclose((gradients[number] * direction[number]).sum(), slope, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("split", [[CHUNK + 3, 1, 1, CHUNK], [2, 2 * CHUNK + 3]], ids=str)
def test_parts_equal_the_whole(split):
    arrays, mask, reset = case(6, True)
    state, first, found = empty_lambda(B, K, J, 6), 0, []
    for time in split:
        part = slice(first, first + time)
        state, ys = onward()(state, [x[:, part] for x in arrays[:3]], arrays[3], mask[:, part], reset[:, part])
        found, first = [*found, ys], first + time
    assert_formula([np.asarray(x)[:, :first] for x in arrays[:3]] + arrays[3:], mask[:, :first], reset[:, :first],
                   True, np.concatenate(found, axis=1))  # fmt: skip
    documents = np.cumsum(reset[:, :first], axis=1)
    own = mask[:, :first] & (documents == documents[:, -1:])
    np.testing.assert_array_equal(state.tokens, own.sum(axis=1))  # of the last document


def test_masked_steps_change_no_state():
    arrays, mask, _ = case(4, True)
    *xs, embeddings = arrays
    first, nothing = [x[:, :5] for x in xs], np.zeros((B, 5), bool)
    start = empty_lambda(B, K, J, 4)
    state, ys = onward()(start, first, embeddings, mask[:, :5], nothing)
    after, silent = onward()(state, [x * np.nan for x in first], embeddings, nothing, nothing)
    jax.tree.map(np.testing.assert_array_equal, after, state)
    assert (silent == 0).all()
    forgotten, _ = onward()(state, first, embeddings, nothing, nothing | (np.arange(5) == 2))
    np.testing.assert_allclose(onward()(forgotten, first, embeddings, mask[:, :5], nothing)[1], ys, atol=1e-6)


@each_side
def test_large_keys_neither_overflow_nor_vanish(causal):
    arrays, mask, reset = case(4, causal)
    arrays[1] = arrays[1] * 300 - np.arange(T, dtype=np.float32)[:, None] * 50
    arrays[1][1] += 4000
    gradients, ys = runner(causal)(arrays, mask, reset)
    assert_formula(arrays, mask, reset, causal, ys, tolerance=1e-4)
    assert all(np.isfinite(leaf).all() for leaf in gradients)


def test_distance_counts_only_within_reach():
    random = np.random.default_rng(0)
    value = np.zeros((1, 12, 1), np.float32)
    value[0, 2] = 1.0
    query, key = np.ones((1, 12, 1, 1), np.float32), np.full((1, 12, 1), -80.0, np.float32)
    key[0, 0] = 80.0  # all content is that of the first step: zero
    embeddings = random.normal(size=(4, 1)).astype(np.float32)
    start, mask = empty_lambda(1, 1, 1, 4), np.ones((1, 12), bool)
    ys = onward()(start, (query, key, value), embeddings, mask)[1][0, :, 0, 0]
    np.testing.assert_allclose(ys, np.concatenate([np.zeros(2), embeddings[:, 0], np.zeros(6)]), atol=1e-6)


def test_a_state_keeps_its_type():
    arrays, _, _ = case(4, True, time=3)
    state = empty_lambda(B, K, J, 4, jnp.bfloat16)
    narrow = [jax.ShapeDtypeStruct(x.shape, jnp.bfloat16) for x in arrays]
    after, ys = jax.eval_shape(lambda_steps, state, *narrow)
    assert [leaf.dtype for leaf in after] == [leaf.dtype for leaf in state]
    assert (ys.dtype, after.sums.dtype) == (jnp.bfloat16, jnp.float32)


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda q, k, v, e: lambda_layer(q, k[..., :1], v, e), r"key.*\(3, 5, 3\), but it is \(3, 5, 1\)"),
        (lambda q, k, v, e: lambda_layer(q, k, v, e), "odd number of rows"),
        (lambda q, k, v, e: lambda_layer(q, k, v, e, mask=jnp.ones((B, 5))), "mask.*boolean"),
        (lambda q, k, v, e: lambda_steps(empty_lambda(B, K, J, 9), q, k, v, e), r"state.values.*\(3, 3, 4\)"),
        (lambda q, k, v, e: Lambda(4, 3, reach=4, rngs=nnx.Rngs(0)), "multiple of `heads`, N = 3"),
        (lambda q, k, v, e: Lambda(4, 4, reach=4, rngs=nnx.Rngs(0)), "2 features at least.*Try heads=2"),
        (lambda q, k, v, e: Lambda(4, 2, reach=0, rngs=nnx.Rngs(0)), "reach"),
        (lambda q, k, v, e: Lambda(4, 2, reach=4, causal=False, rngs=nnx.Rngs(0)).start(2), "no later step"),
    ],
)
def test_what_does_not_fit_is_refused(call, said):
    arrays, _, _ = case(4, True, time=5)
    with pytest.raises(InputError, match=said):
        call(*map(jnp.asarray, arrays))

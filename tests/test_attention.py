"""Attention: every method against loops in float64 and against the others, padding, dropout, memory, refusals."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from attention_catalogue import CASES, HOLES, REAL, B, K, N, S, T, arrays, bias_of, dropout_keys
from oracles import attention as oracle

from seqjax.checks import InputError
from seqjax.ops import attention_cuts, masks, scores
from seqjax.ops.attention import attention, attention_weights, masked_softmax, read
from seqjax.ops.attention_dropout import BLOCK, drop_weights

COMPUTED = ["plain", "chunked", "library"]
case_named = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Three chunks of queries and two of keys where there would be one."""
    monkeypatch.setattr(attention_cuts, "LEAST", 4)
    monkeypatch.setattr(attention_cuts, "MOST", 4)


def looked_at(method, rate, query, key, value, bias, mask, weights, keys):
    """A loss that weighs every output differently."""
    ys = attention(query, key, value, mask=mask, bias=bias, rate=rate, keys=keys, method=method)
    return jnp.sum(ys.astype(weights.dtype) * weights), ys


@functools.cache
def compiled(method, rate=0.0, bias=False):
    """Outputs and gradients by query, key, value and, where there is one, bias."""
    wanted = (0, 1, 2, 3) if bias else (0, 1, 2)
    return jax.jit(jax.grad(functools.partial(looked_at, method, rate), wanted, has_aux=True))


def run(method, case, dtype, inputs=None):
    inputs, bias = inputs or arrays(dtype), bias_of(case, dtype)
    weights = jnp.asarray(np.random.default_rng(2).normal(size=(B, T, N, inputs[-1].shape[-1])), dtype)
    keys = dropout_keys() if case.rate else None
    return compiled(method, case.rate, bias is not None)(*inputs, bias, case.mask, weights, keys)


@case_named
def test_plain_and_chunked_agree_in_float64(case):
    with jax.enable_x64(True):
        plain, chunked = (run(method, case, jnp.float64) for method in ("plain", "chunked"))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), plain, chunked)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(plain))


@case_named
def test_attention_is_the_oracles(case):
    with jax.enable_x64(True):
        inputs, bias = arrays(jnp.float64), bias_of(case, jnp.float64)
        ys, weights = jax.jit(attention_weights)(*inputs, mask=case.mask, bias=bias)
    visible = np.broadcast_to(case.visible, (B, T, S))
    added = np.broadcast_to(0.0 if bias is None else np.asarray(bias), (B, N, T, S))
    for b in range(B):
        want = oracle.attention(*(np.asarray(x)[b] for x in inputs), visible[b], added[b])
        np.testing.assert_allclose(ys[b], want[0], atol=1e-12)
        np.testing.assert_allclose(weights[b], want[1], atol=1e-12)


@pytest.mark.parametrize("case", [CASES[1], CASES[4]], ids=lambda case: case.name)
def test_methods_agree_in_float32(case):
    query, key, _ = arrays(jnp.float32)
    plain, chunked, library = (run(method, case, jnp.float32, (query, key, key[..., ::-1])) for method in COMPUTED)
    for got in (chunked, library):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), got, plain)


def test_half_precision_takes_its_softmax_in_float32():
    case = CASES[1]
    inputs, bias = arrays(jnp.bfloat16), bias_of(case, jnp.bfloat16)
    ys, weights = jax.jit(attention_weights)(*inputs, mask=case.mask, bias=bias)
    assert (ys.dtype, weights.dtype) == (jnp.bfloat16, jnp.float32)
    np.testing.assert_allclose(weights.sum(-1)[0, :, :3], 1, atol=1e-6)
    wide = [x.astype(jnp.float32) for x in inputs]
    want = jax.jit(functools.partial(attention, method="plain"))(*wide, mask=case.mask, bias=bias.astype(jnp.float32))
    for got in (ys, run("chunked", case, jnp.bfloat16)[1]):
        np.testing.assert_allclose(got.astype(jnp.float32), want, atol=0.03)
    query, key = (jnp.array(x, jnp.bfloat16).reshape(1, -1, 1, 4) for x in ([512, 2, 0, 0], [[1, 0] * 2, [1, 1] * 2]))
    np.testing.assert_allclose(  # scores 256 and 257, which are one number in bfloat16
        jax.jit(attention_weights)(query, key, key)[1].ravel(), jax.nn.softmax(jnp.array([256.0, 257.0])), atol=1e-5
    )


@pytest.mark.parametrize("garbage", [np.nan, np.inf])
@pytest.mark.parametrize("method", COMPUTED)
def test_what_nobody_may_look_at_changes_nothing(method, garbage):
    looking, seen = HOLES.any(2)[..., None, None], HOLES.any(1)[..., None, None]
    weights, mask = jnp.ones((B, T, N, K)), jnp.asarray(HOLES)
    query, key, _ = arrays(jnp.float32)
    clean = compiled(method)(query, key, key, None, mask, weights, None)
    query, key = np.where(looking, query, np.float32(garbage)), np.where(seen, key, np.float32(garbage))
    dirty = compiled(method)(query, key, key, None, mask, weights, None)
    jax.tree.map(np.testing.assert_array_equal, clean, dirty)
    (to_query, to_key, to_value), ys = dirty
    for array, used in ((ys, looking), (to_query, looking), (to_key, seen), (to_value, seen)):
        assert np.isfinite(array).all()
        np.testing.assert_array_equal(np.where(used, 0, array), 0)


@pytest.mark.parametrize("method", ["plain", "chunked"])
def test_appended_padding_changes_nothing_with_dropout_too(method):
    query, key, value = arrays(jnp.float32)
    call = jax.jit(lambda q, k, v, m: attention(q, k, v, mask=m, rate=0.4, keys=dropout_keys(), method=method))
    short = call(query, key, value, masks.Structured(keys=jnp.asarray(REAL)))
    more = [(0, 0), (0, 61), (0, 0), (0, 0)]
    padded = [np.pad(x, more, constant_values=np.nan) for x in (query, key, value)]
    long = call(*padded, masks.Structured(keys=jnp.asarray(np.pad(REAL, more[:2]))))
    np.testing.assert_allclose(short, long[:, :T], atol=1e-5)
    kept = jax.jit(attention)(query, key, value, mask=jnp.asarray(REAL)[:, None])
    assert not np.allclose(short, kept, atol=0.01)


def test_dropped_weights_have_the_rate_and_the_mean_and_are_their_rows_own():
    weights, keys = jnp.ones((3, 4, 50, 3 * BLOCK + 5)), dropout_keys(3)
    drop = jax.jit(drop_weights, static_argnums=1)
    dropped = np.asarray(drop(weights, 0.25, keys))
    sigma = np.sqrt(0.25 * 0.75 / weights.size)
    assert abs((dropped == 0).mean() - 0.25) < 5 * sigma
    assert abs(dropped.mean() - 1) < 7 * sigma
    for axis in range(4):  # rows, heads, queries and keys differ
        first, second = np.take(dropped, 0, axis), np.take(dropped, 1, axis)
        assert 0.25 < (first == second).mean() < 0.75
    assert 0.25 < (dropped[..., :BLOCK] == dropped[..., BLOCK : 2 * BLOCK]).mean() < 0.75  # and blocks of keys
    np.testing.assert_array_equal(drop(weights[1:2], 0.25, keys[1:2]), dropped[1:2])
    assert drop_weights(weights, 0.0, keys) is weights
    assert drop_weights(weights, 0.5, None) is weights


@pytest.mark.parametrize("method", COMPUTED)
def test_batch_axes_are_none_or_many(method):
    query, key, _ = arrays(jnp.float32)
    call, mask = jax.jit(functools.partial(attention, method=method)), jnp.asarray(HOLES)
    whole = call(query, key, key, mask=mask)
    np.testing.assert_allclose(call(query[1], key[1], key[1], mask=mask[1]), whole[1], atol=1e-5)
    many = call(*(x[:, None] for x in (query, key, key)), mask=mask[:, None])
    np.testing.assert_allclose(many[:, 0], whole, atol=1e-5)


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0), (0, 0)])
@pytest.mark.parametrize("method", COMPUTED)
def test_no_queries_or_no_keys_give_zeros(sizes, method):
    query, key = jnp.ones((2, sizes[0], 2, 4)), jnp.ones((2, sizes[1], 2, 4))
    np.testing.assert_array_equal(attention(query, key, key, method=method), jnp.zeros((2, sizes[0], 2, 4)))


def temporary_bytes(method, mask, size):
    """Of a gradient, T = S = size, 2 heads."""
    x = jax.ShapeDtypeStruct((1, size, 2, 16), jnp.float32)
    loss = lambda q, k, v: jnp.sum(attention(q, k, v, mask=mask, method=method) ** 2)  # noqa: E731
    return jax.jit(jax.grad(loss, (0, 1, 2))).lower(x, x, x).compile().memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize("mask", [None, masks.Structured(causal=True, window=300)], ids=["all", "causal window"])
def test_chunked_memory_does_not_grow_with_queries_times_keys(mask, monkeypatch):
    monkeypatch.setattr(attention_cuts, "LEAST", 64)
    monkeypatch.setattr(attention_cuts, "MOST", 64)
    weights = 1024 * 1024 * 2 * 4
    small, large = temporary_bytes("chunked", mask, 512), temporary_bytes("chunked", mask, 1024)
    assert large < weights / 4
    assert large < 2.2 * small
    assert temporary_bytes("plain", mask, 1024) > weights


def test_masks_compose():
    whole = masks.causal(6)
    np.testing.assert_array_equal(whole, np.tril(np.ones((6, 6), bool)))
    np.testing.assert_array_equal(masks.causal(2, 6, first=3), whole[3:5])
    np.testing.assert_array_equal(jax.jit(lambda n: masks.causal(2, 6, first=n))(3), whole[3:5])
    near = np.abs(np.subtract.outer(np.arange(6), np.arange(6))) < 3
    np.testing.assert_array_equal(masks.window(2, 6, width=3, first=3), near[3:5])
    np.testing.assert_array_equal(masks.Structured(window=3).expand(6, 6), near)
    documents = jnp.array([[1, 1, 1, 2, 2, 0]])
    lengths = masks.padding(jnp.array([5]), 6)
    both = masks.combine(whole, None, lengths[:, None], masks.segments(documents, documents))
    np.testing.assert_array_equal(both[0].sum(-1), [1, 2, 3, 1, 2, 0])
    same = masks.Structured(causal=True, keys=lengths, query_segments=documents, key_segments=documents)
    np.testing.assert_array_equal(same.expand(6, 6), both)
    assert masks.combine() is None
    assert masks.Structured().expand(2, 2) is None
    bytes_ = jnp.arange(6, dtype=jnp.uint8)
    unsigned = masks.Structured(causal=True, query_positions=bytes_, key_positions=bytes_)
    np.testing.assert_array_equal(unsigned.expand(6, 6), whole)


SCORES = [
    (scores.dot, oracle.dot, ()),
    (scores.scaled_dot, oracle.scaled_dot, ()),
    (scores.bilinear, oracle.bilinear, ((4, 4),)),
    (scores.additive, oracle.additive, ((4,),)),
]


@pytest.mark.parametrize("score, slow, shapes", SCORES, ids=lambda x: getattr(x, "__name__", ""))
def test_scores_are_the_oracles(score, slow, shapes):
    random = np.random.default_rng(0)
    queries, keys, *rest = (random.normal(size=shape) for shape in ((2, 3, 4), (2, 5, 4), *shapes))
    with jax.enable_x64(True):
        got = score(jnp.asarray(queries), jnp.asarray(keys), *map(jnp.asarray, rest))
    for b in range(2):
        np.testing.assert_allclose(got[b], oracle.score_table(slow, queries[b], keys[b], *rest), atol=1e-12)


def test_weights_of_scores_in_half_precision_are_summed_in_float32():
    scores = jnp.zeros((1, 3), jnp.bfloat16)
    weights = masked_softmax(scores)
    assert weights.dtype == jnp.float32
    np.testing.assert_allclose(weights, 1 / 3, rtol=1e-6)


def test_the_library_looks_no_further_back_than_its_window():
    random, mask = np.random.default_rng(0), masks.Structured(causal=True, window=2)
    x = jnp.asarray(random.normal(size=(1, 4, 1, 4)), jnp.float32)
    library, plain = (attention(x, x, x, mask=mask, method=method) for method in ("library", "plain"))
    np.testing.assert_allclose(library, plain, atol=1e-6)


def test_read_takes_no_value_that_nobody_may_look_at():
    mask = jnp.array([[True, False], [False, False]])
    weights = masked_softmax(jnp.array([[1.0, jnp.nan], [jnp.nan, jnp.nan]]), mask)
    values = jnp.array([[2.0], [jnp.nan]])
    np.testing.assert_array_equal(read(weights, values, mask), [[2.0], [0.0]])


X = jnp.ones((2, 5, 4, 6))
REFUSED = {
    "`query` should be \\(\\*B, T, N, K\\)": lambda: attention(X[0, 0], X[0, 0], X[0, 0]),
    "`key` should be .*\\(2, 5, 4, 3\\)": lambda: attention(X, X[..., :3], X),
    "and K = 0": lambda: attention(X[..., :0], X[..., :0], X),
    "N = 4 heads of `query`, G = 3": lambda: attention(X, X[:, :, :3], X[:, :, :3]),
    "`mask` should broadcast to .*\\(2, 5, 5\\), but it is \\(3, 5\\).*mask\\[:, None\\]": lambda: attention(
        X, X, X, mask=jnp.ones((3, 5), bool)
    ),
    "`mask` should broadcast to .* but it is \\(5,\\)": lambda: attention(X, X, X, mask=jnp.ones(5, bool)),
    "`key` should be floating, but its type is int32": lambda: attention(X, X.astype(int), X),
    "`mask.keys` should broadcast to .*\\(2, 5\\), but it is \\(2, 3\\)": lambda: attention(
        X, X, X, mask=masks.Structured(keys=jnp.ones((2, 3), bool))
    ),
    "`mask.keys` should be boolean": lambda: attention(
        X, X, X, mask=masks.Structured(keys=jnp.ones((2, 5), int)), method="chunked"
    ),
    "`mask.query_positions` should broadcast to \\(\\*B, T\\)": lambda: attention(
        X, X, X, mask=masks.Structured(causal=True, query_positions=jnp.arange(4))
    ),
    "`mask` should be boolean": lambda: attention(X, X, X, mask=jnp.ones((5, 5))),
    "`bias` should broadcast to .*\\(2, 4, 5, 5\\)": lambda: attention(X, X, X, bias=jnp.ones((2, 5, 5))),
    "`rate` should be a probability": lambda: attention(X, X, X, rate=1.0),
    "one per row": lambda: attention(X, X, X, rate=0.5, keys=dropout_keys(3)),
    "Did you mean `chunked`": lambda: attention(X, X, X, method="chunks"),
    "drops no weights": lambda: attention(X, X, X, rate=0.5, keys=dropout_keys(2), method="library"),
    "as wide as its keys": lambda: attention(X, X, X[..., :2], method="library"),
    "padding: `lengths` should lie in .* but one is 6": lambda: masks.padding(jnp.array([2, 6]), 5),
    "width of a window": lambda: masks.window(3, width=0),
    "one side is None": lambda: masks.Structured(query_segments=jnp.ones((2, 3), int)),
    "agree in batch and features": lambda: scores.dot(X[0], X[0, :, :, :5]),
    "`kernel` should be \\(K, J\\)": lambda: scores.bilinear(X[0], X[0], jnp.ones((6, 5))),
    "`vector` should be \\(A,\\)": lambda: scores.additive(X[0], X[0], jnp.ones(5)),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_does_not_fit_is_refused(said):
    with pytest.raises(InputError, match=said):
        REFUSED[said]()


def test_without_keys_the_library_drops_nothing_whatever_the_rate():
    np.testing.assert_array_equal(attention(X, X, X, rate=0.5, method="library"), attention(X, X, X, method="library"))


@pytest.mark.parametrize("mask", [None, masks.Structured(causal=True), jnp.array([[[False, True], [True, True]]])])
def test_a_bias_of_minus_infinity_forbids_as_a_mask_does(mask):
    query = jnp.zeros((1, 2, 2, 8))
    value = jnp.arange(32.0).reshape(1, 2, 2, 8)
    bias = jnp.full((2, 2, 2), -jnp.inf).at[0, :, 1].set(0.0).at[1, :, 0].set(0.0)  # each head its own key
    bias = bias.at[1, 1].set(-jnp.inf)  # and a query of one head none; that of another only what comes later
    found = [compiled(method, bias=True)(query, query, value, bias, mask, value, None) for method in COMPUTED]
    for other in found[1:]:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), other, found[0])
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(found[0]))

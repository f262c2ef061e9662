"""Losses, metrics and dropout: padding is nothing, sums add up, and a row's randomness is its own."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.ops.dropout import LEVELS, dropout, fold, row_keys
from seqjax.ops.gelu import gelu
from seqjax.ops.losses import smoothed_cross_entropy, token_cross_entropy
from seqjax.ops.metrics import bits_per_unit, perplexity, token_accuracy

B, T, V = 3, 5, 7
MASK = np.arange(T) < np.array([[5], [2], [0]])


def batch(dtype=jnp.float32):
    logits = 4 * jax.random.normal(jax.random.key(0), (B, T, V))
    targets = jax.random.randint(jax.random.key(1), (B, T), 0, V)
    return logits.astype(dtype), targets, jnp.asarray(MASK)


def oracle(logits, targets, mask):
    """Token by token in float64: ``(total, gradient, correct)``."""
    logits = np.asarray(logits.astype(jnp.float32), np.float64)
    total, correct, gradient = 0.0, 0, np.zeros(logits.shape)
    for b, t in zip(*np.nonzero(np.asarray(mask)), strict=True):
        probabilities = np.exp(logits[b, t] - logits[b, t].max())
        probabilities /= probabilities.sum()
        target = int(targets[b, t])
        total -= np.log(probabilities[target])
        correct += int(np.argmax(logits[b, t]) == target)
        gradient[b, t] = probabilities - np.eye(V)[target]
    return total, gradient, correct


def loss(logits, targets, mask):
    return token_cross_entropy(logits, targets, mask)[0]


compiled_loss = jax.jit(token_cross_entropy)
loss_and_gradient = jax.jit(jax.value_and_grad(loss))
compiled_dropout = jax.jit(dropout, static_argnums=1)


def test_the_loss_and_its_gradient_are_the_oracles():
    logits, targets, mask = batch()
    total, gradient, correct = oracle(logits, targets, mask)
    value, count = compiled_loss(logits, targets, mask)
    np.testing.assert_allclose(value, total, rtol=1e-6)
    np.testing.assert_allclose(loss_and_gradient(logits, targets, mask)[1], gradient, atol=1e-6)
    assert (float(count), count.dtype) == (MASK.sum(), jnp.float32)
    assert [float(x) for x in token_accuracy(logits, targets, mask)] == [correct, MASK.sum()]


@pytest.mark.parametrize("padding", [np.nan, np.inf, -np.inf, 1e30])
def test_padding_changes_neither_loss_nor_gradient(padding):
    logits, targets, mask = batch()
    dirty = jnp.where(mask[..., None], logits, padding)
    wrong_ids = jnp.where(mask, targets, -99)
    clean, gradient = loss_and_gradient(logits, targets, mask)
    padded, padded_gradient = loss_and_gradient(dirty, wrong_ids, mask)
    assert float(clean) == float(padded)
    np.testing.assert_array_equal(gradient, padded_gradient)
    np.testing.assert_array_equal(padded_gradient[~MASK], 0)
    assert [float(x) for x in token_accuracy(dirty, wrong_ids, mask)] == [
        float(x) for x in token_accuracy(logits, targets, mask)
    ]


def test_sums_and_counts_of_parts_are_those_of_the_whole():
    whole = compiled_loss(*batch())
    parts = [compiled_loss(*(x[b : b + 1] for x in batch())) for b in range(B)]
    np.testing.assert_allclose(np.sum(parts, axis=0), whole, rtol=1e-6)


def test_no_real_token_is_zero_nats_of_zero_tokens_and_no_gradient():
    logits, targets, mask = batch()
    nothing = jnp.zeros_like(mask)
    assert [float(x) for x in compiled_loss(logits, targets, nothing)] == [0, 0]
    np.testing.assert_array_equal(loss_and_gradient(logits, targets, nothing)[1], 0)


def test_bfloat16_logits_are_summed_in_float32():
    tokens = 4096  # bfloat16 counts to 256
    logits = jnp.zeros((1, tokens, 2), jnp.bfloat16)
    total, count = compiled_loss(logits, jnp.zeros((1, tokens), int), jnp.ones((1, tokens), bool))
    assert (total.dtype, float(count)) == (jnp.float32, tokens)
    np.testing.assert_allclose(total, tokens * np.log(2), rtol=1e-5)
    logits, targets, mask = batch(jnp.bfloat16)
    total, gradient = loss_and_gradient(logits, targets, mask)
    np.testing.assert_allclose(total, oracle(logits, targets, mask)[0], rtol=1e-6)
    assert gradient.dtype == jnp.bfloat16
    half, wide = (smoothed_cross_entropy(x, targets, mask, 0.5)[0] for x in (logits, logits.astype(jnp.float32)))
    np.testing.assert_allclose(half, wide, rtol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_smoothing_is_the_cross_entropy_against_spread_targets(smoothing):
    random = np.random.default_rng(0)
    logits, targets = random.normal(size=(2, 3, 5)), random.integers(5, size=(2, 3))
    mask = np.array([[True, True, False], [True, False, False]])
    spread = (1 - smoothing) * np.eye(5)[targets] + smoothing / 5
    scores = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    wanted = -(spread * scores).sum(-1)[mask].sum()
    logits[~mask] = np.nan
    given = jnp.asarray(logits, jnp.float32), jnp.asarray(targets), jnp.asarray(mask)
    total, count = smoothed_cross_entropy(*given, smoothing)
    np.testing.assert_allclose(total, wanted, rtol=1e-5)
    assert float(count) == 3
    gradient = jax.grad(lambda x: smoothed_cross_entropy(x, *given[1:], smoothing)[0])(given[0])
    assert np.isfinite(gradient).all()
    assert (np.asarray(gradient)[~mask] == 0).all()


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_a_share_that_is_no_probability_is_refused(smoothing):
    with pytest.raises(InputError, match="smoothing"):
        smoothed_cross_entropy(jnp.zeros((1, 1, 2)), jnp.zeros((1, 1), int), jnp.ones((1, 1), bool), smoothing)


def test_one_sequence_needs_no_batch_axis():
    logits, targets, mask = batch()
    np.testing.assert_allclose(
        loss(logits[0], targets[0], mask[0]), oracle(logits[:1], targets, mask[:1])[0], rtol=1e-6
    )


def test_huge_logits_stay_finite():
    logits = jnp.array([[[1e30, 0.0, -1e30]]])
    value, gradient = loss_and_gradient(logits, jnp.array([[0]]), jnp.array([[True]]))
    assert float(value) == 0
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda logits, targets, mask: (logits, targets[:, 1:], mask), "targets.*\\(3, 5\\), but it is \\(3, 4\\)"),
        (lambda logits, targets, mask: (logits, targets, mask[0]), "mask.*\\(3, 5\\), but it is \\(5,\\)"),
        (lambda logits, targets, mask: (logits, targets, mask * 1), "mask.*boolean"),
        (lambda logits, targets, mask: (logits, targets + V, mask), r"targets.*ids in \[0, 7\)"),
        (lambda logits, targets, mask: (logits, targets * 1.0, mask), "targets.*integer"),
        (lambda logits, targets, mask: (targets, targets, mask), "logits.*floating"),
    ],
)
def test_what_does_not_fit_is_refused(change, said):
    with pytest.raises(InputError, match=said):
        token_cross_entropy(*change(*batch()))


def test_reports_speak_in_perplexity_and_bits():
    assert perplexity(0.0, 3) == 1
    np.testing.assert_allclose(perplexity(5 * np.log(7), 5), 7)
    np.testing.assert_allclose(bits_per_unit(5 * np.log(8), 5), 3)
    assert np.isnan(perplexity(0.0, 0))
    assert np.isnan(bits_per_unit(0.0, 0))
    assert perplexity(1e6, 1) == np.inf


def keys_of(rows, seed=0):
    return row_keys(jax.random.key(seed), jnp.arange(rows))


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.3, 0.5, 0.9])
def test_dropout_drops_at_its_rate_and_keeps_the_mean(rate):
    size = 1 << 18
    dropped = np.asarray(compiled_dropout(jnp.ones((4, size // 4)), rate, keys_of(4)))
    sigma = np.sqrt(rate * (1 - rate) / size)
    assert abs((dropped == 0).mean() - rate) < 4 * sigma + 1 / LEVELS
    assert abs(dropped.mean() - 1) < 4 * sigma / (1 - rate) + 1e-5
    assert len(np.unique(dropped)) == 2


def test_dropped_elements_are_independent():
    dropped = np.asarray(compiled_dropout(jnp.ones((64, 32, 33)), 0.5, keys_of(64))) == 0
    signs = 2.0 * dropped - 1
    bound = 4.5 / np.sqrt(signs.size)
    for axis in range(3):
        for distance in (1, 2, 3):
            assert abs((signs * np.roll(signs, distance, axis)).mean()) < bound


def test_a_row_is_dropped_alike_in_any_batch():
    x = jnp.arange(1.0, 6 * T * 5 + 1).reshape(6, T, 5)
    keys = keys_of(6)
    whole = np.asarray(compiled_dropout(x, 0.3, keys))
    np.testing.assert_array_equal(compiled_dropout(x[4:], 0.3, keys[4:]), whole[4:])
    np.testing.assert_array_equal(compiled_dropout(x[2], 0.3, keys[2]), whole[2])
    order = np.array([3, 0, 5])
    np.testing.assert_array_equal(dropout(x[order], 0.3, keys[order]), whole[order])
    np.testing.assert_array_equal(
        compiled_dropout(x.reshape(2, 3, T, 5), 0.3, keys.reshape(2, 3)), whole.reshape(2, 3, T, 5)
    )


def test_more_time_does_not_change_what_was_dropped_before():
    keys = keys_of(2)
    short, long = (np.asarray(compiled_dropout(jnp.ones((2, time, 3)), 0.5, keys)) for time in (3, 8))
    np.testing.assert_array_equal(long[:, :3], short)


def test_rows_places_and_seeds_are_dropped_differently():
    x = jnp.ones((2, 256))
    drawn = [
        compiled_dropout(x, 0.5, keys) for keys in (keys_of(2), fold(keys_of(2), 0), fold(keys_of(2), 1), keys_of(2, 1))
    ]
    rows = np.concatenate([np.asarray(d) for d in drawn])
    agreement = (rows[:, None] == rows[None]).mean(-1)[np.triu_indices(len(rows), 1)]
    assert ((agreement > 0.3) & (agreement < 0.7)).all()


def test_no_keys_or_no_rate_is_no_dropout():
    x = jnp.array([[1.0, jnp.nan]])
    assert dropout(x, 0.5, None) is x
    assert dropout(x, 0.0, keys_of(1)) is x
    assert fold(None, 3) is None


def test_a_rate_that_rounds_to_none_drops_and_scales_nothing():
    x = jnp.ones((1, 1 << 19))
    np.testing.assert_array_equal(compiled_dropout(x, 0.4 / LEVELS, keys_of(1)), x)


def test_the_gradient_of_dropout_is_its_mask():
    x, keys = jnp.full((2, 50), 3.0), keys_of(2)
    gradient = jax.jit(jax.grad(lambda x: dropout(x, 0.4, keys).sum()))(x)
    np.testing.assert_allclose(gradient * 3, compiled_dropout(x, 0.4, keys), rtol=1e-6)


def test_dropout_keeps_the_type_of_its_input():
    assert compiled_dropout(jnp.ones((2, 9), jnp.bfloat16), 0.5, keys_of(2)).dtype == jnp.bfloat16


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_a_rate_that_is_no_probability_is_refused(rate):
    with pytest.raises(InputError, match="rate"):
        dropout(jnp.ones((2, 3)), rate, keys_of(2))


@pytest.mark.parametrize("keys, said", [(keys_of(3), "one per row"), (jnp.zeros((2, 2), jnp.uint32), "typed")])
def test_keys_that_are_not_one_per_row_are_refused(keys, said):
    with pytest.raises(InputError, match=said):
        dropout(jnp.ones((2, 3)), 0.5, keys)


def test_gelu_and_its_derivatives_are_those_of_the_normal_distribution():
    xs = np.linspace(-6, 6, 25)
    share = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in xs])
    density = np.exp(-xs * xs / 2) / math.sqrt(2 * math.pi)
    wanted = (xs * share, share + xs * density, (2 - xs * xs) * density)
    for kind, error in ((jnp.float32, 1e-6), (jnp.bfloat16, 0.05)):
        found = gelu, jax.grad(gelu), jax.grad(jax.grad(gelu))
        for function, like in zip(found, wanted, strict=True):
            ys = jax.jit(jax.vmap(function))(jnp.asarray(xs, kind))
            assert ys.dtype == kind
            np.testing.assert_allclose(ys.astype(jnp.float32), like, atol=error, rtol=error)
    assert jax.grad(gelu)(jnp.float32(-50)) == 0
    assert jax.grad(gelu)(jnp.float32(50)) == 1

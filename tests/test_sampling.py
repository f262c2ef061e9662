"""Every filter against a slow oracle, every draw against its distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.ops import sampling as s
from seqjax.ops.dropout import row_keys
from seqjax.ops.sampling import Sampling, adjust, sample

V = 11


def rows_of_logits(ties=False):
    logits = 2 * jax.random.normal(jax.random.key(0), (40, V))
    logits = jnp.round(logits) if ties else logits
    return logits.at[:, 3].set(-jnp.inf).at[0].set(jnp.where(jnp.arange(V) == 5, 0.0, -jnp.inf))


draw = jax.jit(sample, static_argnums=2)


def probabilities(row):
    powers = np.exp(np.asarray(row, np.float64) - np.max(row))
    return powers / powers.sum()


def by_likelihood(row):
    return sorted(range(len(row)), key=lambda i: (-row[i], i))


def slow_top_k(row, k):
    return set(by_likelihood(row)[:k])


def slow_top_p(row, p):
    kept, mass = set(), 0.0
    for i in by_likelihood(row):
        if kept and mass >= p:
            break
        kept.add(i)
        mass += probabilities(row)[i]
    return kept


def slow_min_p(row, fraction):
    shares = probabilities(row)
    return {i for i in range(len(row)) if shares[i] >= fraction * shares.max() * (1 - 1e-9)}


@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "ties"])
@pytest.mark.parametrize(
    "fast, slow, value",
    [(s.top_k, slow_top_k, k) for k in (1, 2, 5, V, V + 4)]
    + [(s.top_p, slow_top_p, p) for p in (1e-9, 0.1234, 0.5678, 0.95, 1.0)]
    + [(s.min_p, slow_min_p, m) for m in (0.0, 0.0456, 0.345, 0.99)],
)
def test_a_filter_keeps_what_the_oracle_keeps(fast, slow, value, ties):
    logits = np.asarray(rows_of_logits(ties))
    fast = jax.jit(fast, static_argnums=1)
    filtered = np.asarray(fast(jnp.asarray(logits), value))
    for row, out in zip(logits, filtered, strict=True):
        kept = {i for i in slow(row, value) if np.isfinite(row[i])}
        assert {i for i in range(V) if np.isfinite(out[i])} == kept
        np.testing.assert_array_equal(out[sorted(kept)], row[sorted(kept)])


@pytest.mark.parametrize("fast, value", [(s.top_k, 3), (s.top_p, 0.7), (s.min_p, 0.1), (s.temperature, 0.7)])
def test_a_filter_takes_any_number_of_batch_axes(fast, value):
    logits = rows_of_logits()
    fast = jax.jit(fast, static_argnums=1)
    filtered = fast(logits, value)
    np.testing.assert_array_equal(fast(logits.reshape(5, 8, V), value).reshape(40, V), filtered)
    np.testing.assert_array_equal(fast(logits[7], value), filtered[7])


def test_top_p_of_equal_logits_keeps_as_many_as_it_needs():
    kept = [int(np.isfinite(s.top_p(jnp.zeros(8), p)).sum()) for p in (0.01, 0.125, 0.126, 0.5, 0.99, 1.0)]
    assert kept == [1, 1, 2, 4, 8, 8]


def test_top_p_of_one_drops_no_tail():
    logits = jnp.linspace(0, -60, 5000)
    assert np.isfinite(s.top_p(logits, 1.0)).all()


@pytest.mark.parametrize("value", [0.2, 1.0, 7.0])
def test_temperature_divides_log_probabilities(value):
    logits = rows_of_logits()[1:]
    wanted = [probabilities(np.asarray(row, np.float64) / value) for row in logits]
    np.testing.assert_allclose(jax.nn.softmax(s.temperature(logits, value)), wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("value", [1e-3, 1e-30, 1e-60])
def test_temperature_towards_zero_is_greedy(value):
    logits = rows_of_logits()
    keys = row_keys(jax.random.key(5), jnp.arange(len(logits)))
    cold = draw(logits, keys, Sampling(temperature=value))
    np.testing.assert_array_equal(cold, draw(logits, None, Sampling(greedy=True)))
    np.testing.assert_array_equal(cold, np.argmax(logits, axis=-1))


def test_temperature_leaves_certainty_certain():
    assert s.temperature(jnp.array([0.0, jnp.inf, -jnp.inf]), 2.0).tolist() == [-np.inf, 0.0, -np.inf]
    hottest = Sampling(temperature=1e37).temperature
    assert s.temperature(jnp.array([0.0, 1.0, -jnp.inf]), hottest).tolist()[2] == -np.inf


def test_the_repetition_penalty_lowers_seen_tokens_and_no_others():
    logits = np.asarray(rows_of_logits())
    seen = np.asarray(jax.random.bernoulli(jax.random.key(2), 0.5, logits.shape))
    out = np.asarray(s.repetition_penalty(jnp.asarray(logits), jnp.asarray(seen), 1.7))
    np.testing.assert_array_equal(out[~seen], logits[~seen])
    np.testing.assert_allclose(out[seen], np.where(logits > 0, logits / 1.7, logits * 1.7)[seen], rtol=1e-6)
    assert (out[seen] <= logits[seen]).all()


def test_seen_tokens_are_those_at_real_positions():
    tokens = jnp.array([[1, 2, 2, 4], [0, 3, 1, 1]])
    mask = jnp.array([[False, True, True, False], [False, False, False, False]])
    assert np.argwhere(s.seen_tokens(tokens, mask, 5)).tolist() == [[0, 2]]
    assert np.argwhere(s.seen_tokens(tokens.astype(jnp.uint8), mask, 256)).tolist() == [[0, 2]]  # 256 is no byte
    assert not s.seen_tokens(tokens[:, :0], mask[:, :0], 5).any()


def test_filters_apply_in_the_documented_order():
    logits = rows_of_logits()
    seen = logits > 1
    chosen = Sampling(temperature=2.0, top_k=6, top_p=0.8, min_p=0.2, repetition_penalty=1.5)
    wanted = s.temperature(s.repetition_penalty(logits, seen, 1.5), 2.0)
    wanted = s.min_p(s.top_p(s.top_k(wanted, 6), 0.8), 0.2)
    np.testing.assert_array_equal(adjust(logits, chosen, seen), wanted)
    reordered = s.temperature(s.top_p(logits, 0.8), 2.0)
    assert not np.array_equal(reordered, adjust(logits, Sampling(temperature=2.0, top_p=0.8)))


@pytest.mark.parametrize(
    "chosen",
    [
        Sampling(),
        Sampling(temperature=0.5),
        Sampling(temperature=3.0, top_k=4),
        Sampling(top_p=0.7),
        Sampling(min_p=0.2),
        Sampling(repetition_penalty=2.0),
    ],
    ids=lambda chosen: "-".join(f"{v}" for v in vars(chosen).values()),
)
def test_draws_have_the_frequencies_of_the_distribution(chosen):
    draws = 20_000
    logits = jnp.array([1.0, 0.5, -0.5, 2.0, -jnp.inf, 0.0])
    seen = jnp.arange(6) == 3
    many = jnp.broadcast_to(logits, (draws, 6))
    keys = row_keys(jax.random.key(11), jnp.arange(draws))
    ids = draw(many, keys, chosen, jnp.broadcast_to(seen, many.shape))
    expected = draws * probabilities(np.asarray(adjust(logits, chosen, seen)))
    counts = np.bincount(ids, minlength=6)
    possible = expected > 0
    assert (counts[~possible] == 0).all()
    distance = ((counts - expected)[possible] ** 2 / expected[possible]).sum()
    assert distance < 20.5  # the chi-square distribution of 5 degrees of freedom is below with 0.999


def test_a_row_is_drawn_with_its_own_key_only():
    logits = rows_of_logits()
    keys = row_keys(jax.random.key(3), jnp.arange(len(logits)))
    chosen = Sampling(temperature=2.0, top_k=7, top_p=0.9)
    together = np.asarray(draw(logits, keys, chosen))
    alone = [int(draw(logits[i : i + 1], keys[i : i + 1], chosen)[0]) for i in range(8)]
    assert together[:8].tolist() == alone
    order = np.arange(len(logits))[::-1]
    np.testing.assert_array_equal(draw(logits[order], keys[order], chosen), together[order])
    no_batch = draw(logits[4], keys[4], chosen)
    assert no_batch.shape == ()
    assert int(no_batch) == together[4]


def test_equal_configurations_are_one_configuration():
    assert hash(Sampling(top_k=3)) == hash(Sampling(top_k=3))
    assert Sampling(top_k=3) == Sampling(top_k=3) != Sampling(top_k=4)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"temperature": 0.0}, "temperature.*greedy=True"),
        ({"temperature": -1.0}, "temperature.*above 0, but it is -1.0"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"temperature": 1e38}, "temperature.*32 bits"),
        ({"top_k": 0}, "top_k.*at least 1"),
        ({"top_p": 0.0}, r"top_p.*\(0, 1\].*0.0.*Try"),
        ({"top_p": 1.1}, "top_p"),
        ({"top_p": float("nan")}, "top_p"),
        ({"min_p": 1.0}, "min_p"),
        ({"min_p": -0.1}, "min_p"),
        ({"repetition_penalty": 0.0}, "repetition_penalty"),
        ({"repetition_penalty": float("inf")}, "repetition_penalty"),
        ({"repetition_penalty": 1e39}, "repetition_penalty.*32 bits"),
        ({"repetition_penalty": 1e-46}, "repetition_penalty.*32 bits"),
    ],
)
def test_numbers_outside_their_range_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        Sampling(**options)


def test_drawing_without_keys_or_with_another_number_of_them_is_refused():
    with pytest.raises(InputError, match="greedy=True"):
        sample(jnp.zeros((2, 3)), None, Sampling())
    with pytest.raises(InputError, match="one per row"):
        sample(jnp.zeros((2, 3)), row_keys(jax.random.key(0), jnp.arange(3)), Sampling())
    with pytest.raises(InputError, match="seen"):
        s.repetition_penalty(jnp.zeros((2, 3)), jnp.zeros((2, 4), bool), 2.0)


def test_a_token_exactly_as_likely_as_the_fraction_is_kept():
    assert jnp.isfinite(s.min_p(jnp.log(jnp.array([0.5, 0.25, 0.125])), 0.5)).tolist() == [True, True, False]


def test_what_is_greedy_leaves_one_token_after_the_penalty():
    seen = jnp.array([False, True, False])
    left = adjust(jnp.array([1.0, 3.0, 2.0]), Sampling(greedy=True, repetition_penalty=9.0, top_k=2), seen)
    np.testing.assert_array_equal(left, [-np.inf, -np.inf, 2.0])

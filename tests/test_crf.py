"""Conditional random fields: sums and maxima over all sequences, counted out one by one."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.ops import crf

B, T, K = 6, 4, 3
MASK = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]], bool)
TAGS = np.random.default_rng(1).integers(0, K, (B, T))
SWIFT = {"xla_backend_optimization_level": 0}


def scores(seed: int = 0) -> tuple[np.ndarray, crf.Transitions]:
    """Emissions and transitions."""
    random = np.random.default_rng(seed)
    sizes = (K,), (K, K), (K,)
    return random.normal(size=(B, T, K), scale=2), crf.Transitions(*(random.normal(size=size) for size in sizes))


def score(emissions, transitions, tags) -> float:
    """Of one sequence, in float64; (n, K) emissions of real steps only."""
    if not len(tags):
        return 0.0
    total = transitions.start[tags[0]] + transitions.end[tags[-1]] + sum(emissions[t, k] for t, k in enumerate(tags))
    return total + sum(transitions.between[a, b] for a, b in itertools.pairwise(tags))


def enumerated(emissions, transitions, mask):
    """For every row: log Z, the best tags and their score, the probability of each tag at each real step."""
    for row, real in zip(emissions, mask, strict=True):
        every = list(itertools.product(range(K), repeat=int(real.sum())))
        found = np.array([score(row[real], transitions, tags) for tags in every])
        total = np.logaddexp.reduce(found)
        share = np.zeros((real.sum(), K))
        for tags, probability in zip(every, np.exp(found - total), strict=True):
            share[np.arange(len(tags)), list(tags)] += probability
        yield total, every[found.argmax()], found.max(), share


@jax.jit
def everything(emissions, transitions, mask, tags):
    """All that the module computes, compiled once."""

    def loss(emissions, transitions):
        return crf.log_likelihood(emissions, tags, transitions, mask).sum()

    gradients = jax.grad(loss, argnums=(0, 1))(emissions, transitions)
    total = crf.log_partition(emissions, transitions, mask)
    own = crf.sequence_score(emissions, tags, transitions, mask)
    return total, own, crf.viterbi(emissions, transitions, mask), crf.marginals(emissions, transitions, mask), gradients


def run(emissions, transitions, mask=MASK, tags=TAGS):
    """In float32, on the host again."""
    transitions = crf.Transitions(*(np.float32(leaf) for leaf in transitions))
    return jax.device_get(everything(np.float32(emissions), transitions, mask, np.int32(tags)))


@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_enumeration_finds_wherever_masked_steps_stand(seed):
    emissions, transitions = scores(seed)
    totals, own, (tags, best), shares, _ = run(emissions, transitions)
    for i, (total, wanted, highest, share) in enumerate(enumerated(emissions, transitions, MASK)):
        assert totals[i] == pytest.approx(total, abs=1e-5)
        assert best[i] == pytest.approx(highest, abs=1e-5)
        assert tags[i][MASK[i]].tolist() == list(wanted)
        assert not tags[i][~MASK[i]].any()
        np.testing.assert_allclose(shares[i][MASK[i]], share, atol=1e-5)
        assert not shares[i][~MASK[i]].any()
        assert own[i] == pytest.approx(score(emissions[i][MASK[i]], transitions, TAGS[i][MASK[i]]), abs=1e-5)


@pytest.mark.parametrize("garbage", [np.inf, -np.inf, np.nan, 1e30])
def test_what_stands_in_padding_reaches_neither_values_nor_gradients(garbage):
    emissions, transitions = scores()
    wanted = run(emissions, transitions)
    dirty = np.where(MASK[..., None], emissions, garbage)
    found = run(dirty, transitions, tags=np.where(MASK, TAGS, 10**6))
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


def test_forbidden_transitions_are_never_taken_and_gradients_stay_finite():
    emissions, transitions = scores()
    legal = crf.Transitions(np.array([True, False, True]), ~np.eye(K, dtype=bool), np.array([True, True, False]))
    bound = jax.tree.map(np.asarray, crf.forbid(transitions, legal))
    totals, _, (tags, _), _, (emitted, moved) = run(emissions, bound, tags=np.where(MASK.cumsum(1) % 2, 0, 1))
    infinite = crf.Transitions(*(np.where(a, s, -np.inf) for s, a in zip(transitions, legal, strict=True)))
    for i, (total, wanted, _, _) in enumerate(enumerated(emissions, infinite, MASK)):
        assert totals[i] == pytest.approx(total, abs=1e-5)
        assert tags[i][MASK[i]].tolist() == list(wanted)
    assert np.isfinite(emitted).all()
    assert all(np.isfinite(leaf).all() for leaf in moved)
    assert not np.diag(moved.between).any()  # nothing to learn there


def test_a_row_without_steps_has_probability_one_and_no_gradient():
    emissions, transitions = scores()
    totals, own, (_, best), _, (emitted, moved) = run(emissions, transitions, np.zeros_like(MASK))
    assert not any(leaf.any() for leaf in (totals, own, best, emitted, *moved))


def test_one_example_is_no_batch_and_no_mask_is_all_real():
    emissions, transitions = (jax.tree.map(jnp.float32, part) for part in scores())
    wanted = run(emissions, transitions)
    assert float(crf.log_partition(emissions[0], transitions)) == pytest.approx(wanted[0][0], abs=1e-5)
    assert crf.viterbi(emissions[0], transitions)[0].tolist() == wanted[2][0][0].tolist()


def test_pytorch_crf_finds_the_same():
    torch = pytest.importorskip("torch")
    torchcrf = pytest.importorskip("torchcrf")
    emissions, transitions = scores(5)
    mask = np.sort(MASK, axis=1)[:, ::-1]  # padding to the right is all it knows, and no empty row
    mask[-1, 0] = True
    other = torchcrf.CRF(K, batch_first=True).double()
    for name, value in zip(("start_transitions", "transitions", "end_transitions"), transitions, strict=True):
        getattr(other, name).data = torch.tensor(value)
    given = torch.tensor(emissions), torch.tensor(TAGS), torch.tensor(mask.copy())
    wanted = other(*given, reduction="none").detach().numpy()
    totals, own, (tags, _), _, _ = run(emissions, transitions, mask)
    np.testing.assert_allclose(own - totals, wanted, atol=1e-5)
    assert [row[real].tolist() for row, real in zip(tags, mask, strict=True)] == other.decode(given[0], given[2])


def test_shapes_that_do_not_fit_are_refused():
    emissions, transitions = (jax.tree.map(jnp.float32, part) for part in scores())
    with pytest.raises(InputError, match=r"transitions.between.*\(K, K\) = \(3, 3\)"):
        crf.viterbi(emissions, transitions._replace(between=jnp.zeros((3, 2))))
    with pytest.raises(InputError, match=r"`mask` should be"):
        crf.log_partition(emissions, transitions, jnp.ones((B, T + 1), bool))
    with pytest.raises(InputError, match=r"`tags` should be"):
        crf.log_likelihood(emissions, jnp.zeros((B,), int), transitions)


def test_minus_infinity_is_forbidden_tags_are_checked_and_no_time_is_borne():
    rule = crf.Transitions(jnp.zeros(2), jnp.array([[0.0, -jnp.inf]] * 2), jnp.zeros(2))
    np.testing.assert_allclose(crf.marginals(jnp.zeros((3, 2)), rule), [[0.5, 0.5], [1, 0], [1, 0]], atol=1e-6)
    for tags in (-1, 2):
        with pytest.raises(InputError, match=r"`tags` should hold ids in \[0, 2\)"):
            crf.log_likelihood(jnp.zeros((1, 2)), jnp.array([tags]), rule)
    nothing = jnp.zeros((3, 0, 2))
    np.testing.assert_array_equal(crf.log_partition(nothing, rule), 0)
    np.testing.assert_array_equal(crf.log_likelihood(nothing, jnp.zeros((3, 0), int), rule), 0)
    tags, score = crf.viterbi(nothing, rule)
    assert tags.shape == (3, 0)
    np.testing.assert_array_equal(score, 0)


def test_tags_in_padding_are_not_looked_at_equals_end_low_and_half_precision_is_summed_in_float32():
    emissions, transitions = (jax.tree.map(jnp.zeros_like, part) for part in scores())
    assert not crf.sequence_score(emissions, np.where(MASK, TAGS, 99), transitions, jnp.asarray(MASK)).any()
    assert not run(emissions, transitions)[2][0].any()
    many = crf.Transitions(jnp.zeros(200), jnp.zeros((200, 200)), jnp.zeros(200))  # more tags than 8 bits count
    jax.eval_shape(lambda: crf.sequence_score(jnp.zeros((3, 200)), np.full(3, 127, np.int8), many))
    half = [jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), part) for part in (emissions, transitions)]
    found = jax.eval_shape(lambda *given: (crf.log_partition(*given), crf.viterbi(*given)[1]), *half)
    assert [leaf.dtype for leaf in found] == [jnp.float32] * 2

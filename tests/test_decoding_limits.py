"""Least lengths, n-grams, prefixes and given references, against loops over lists."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from decodables import CASES, END, ROWS, M, V, logits_after, slow_allowed, slow_beam

from seqjax.checks import InputError
from seqjax.decoding import Decodable, Limits, Sampling, beam_search, generate, score, stream
from seqjax.decoding.engine import check_vocabulary
from seqjax.decoding.limits import forbid, read_prefix
from seqjax.ops.dropout import row_keys

GREEDY = Sampling(greedy=True)
WARM = Sampling(temperature=3.0)
KINDS = [
    Limits(min_length=3),
    Limits(no_repeat_ngram=1),
    Limits(no_repeat_ngram=2),
    Limits(min_length=2, no_repeat_ngram=3),
    Limits(no_repeat_ngram=M + 5),
]
PREFIXED = np.array([[True], [True], [False]])
forbidden = jax.jit(forbid, static_argnums=(3, 4))


def run(name="historian", *, way=generate, keys=None, sampling=GREEDY, max_tokens=M, end=END, **options):
    model, params, inputs, last = CASES[name]
    given = model, params, inputs(list(range(ROWS))), jnp.asarray(last), keys
    made = way(*given, max_tokens=max_tokens, sampling=sampling, end=end, **options)
    return jax.tree.map(np.asarray, made) if way is generate else made


def keys_of(seed):
    return row_keys(jax.random.key(seed), jnp.arange(ROWS))


def histories(rows=200, size=7, ids=4):
    draw = np.random.default_rng(0)
    return draw.integers(0, ids, (rows, size)), draw.normal(size=(rows, ids)).astype(np.float32)


@pytest.mark.parametrize("limits", KINDS, ids=str)
@pytest.mark.parametrize("end", [2, None])
def test_what_is_forbidden_is_what_the_loop_forbids(limits, end):
    made, logits = histories()
    logits[::3, 1:] = -np.inf  # what the model holds impossible stays so
    logits[1::3, 2] = -np.inf
    for count in range(made.shape[1] + 1):
        left = np.asarray(forbidden(jnp.asarray(logits), jnp.asarray(made), jnp.int32(count), limits, end))
        for row, out, before in zip(made, left, logits, strict=True):
            kept = slow_allowed(tuple(row[:count].tolist()), before, limits, end)
            assert np.flatnonzero(np.isfinite(out)).tolist() == kept
            np.testing.assert_array_equal(out[kept], before[kept])


def test_an_n_gram_is_of_generated_tokens_and_may_overlap():
    def left(made, n):
        padded = jnp.array([[*made, *([0] * (6 - len(made)))]])
        out = forbidden(jnp.zeros((1, 3)), padded, jnp.int32(len(made)), Limits(no_repeat_ngram=n), None)
        return np.flatnonzero(np.isfinite(np.asarray(out)[0])).tolist()

    assert left([], 1) == left([], 2) == [0, 1, 2]
    assert left([1], 1) == [0, 2]
    assert left([1, 1], 2) == [0, 2]  # "1 1" is there already
    assert left([1, 1], 3) == [0, 1, 2]
    assert left([1, 1, 1], 3) == [0, 2]
    assert left([0, 1, 2, 0, 1], 3) == [0, 1]
    assert left([0, 1, 2], 1) == [0, 1, 2]  # nothing is left and there is no end: the limit is dropped


def test_where_nothing_is_left_the_row_ends():
    model = Decodable(lambda params, inputs: ((), ()), lambda params, memory, state, last: (state, params[last]))
    limits = Limits(min_length=6, no_repeat_ngram=1)
    made = generate(
        model, jnp.zeros((4, 4)), None, jnp.array([1]), None, max_tokens=8, sampling=GREEDY, end=0, limits=limits
    )
    assert (made.tokens[0, :4].tolist(), made.lengths.tolist()) == ([1, 2, 3, 0], [4])
    np.testing.assert_allclose(made.log_probabilities[0], 4 * np.log(0.25), rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_greedy_under_limits_is_the_slow_one(name):
    limits, prefixes = Limits(min_length=2, no_repeat_ngram=2), ((), (1, 2), (2,))
    tokens = np.array([(*row, V, V)[:2] for row in prefixes])
    mask = np.arange(2) < np.array([[len(row)] for row in prefixes])
    made = run(name, limits=limits, prefix=(tokens, mask))
    for row, prefix in enumerate(prefixes):
        ((slow, total, _),) = slow_beam(name, row, beam=1, n=1, limits=limits, prefix=prefix)
        assert made.tokens[row, : made.lengths[row]].tolist() == list(slow)
        np.testing.assert_allclose(made.log_probabilities[row], total, rtol=1e-5)


def test_samples_keep_to_the_limits_and_their_probabilities():
    limits = Limits(min_length=2, no_repeat_ngram=2)
    seen = set()
    for seed in range(15):
        made = run(keys=keys_of(seed), sampling=WARM, limits=limits)
        for row in range(ROWS):
            tokens, total = tuple(made.tokens[row, : made.lengths[row]].tolist()), 0.0
            for place, token in enumerate(tokens):
                logits = logits_after("historian", row)[tokens[:place]]
                assert token in slow_allowed(tokens[:place], logits, limits, END)
                total += logits[token] - np.logaddexp.reduce(logits)
            np.testing.assert_allclose(made.log_probabilities[row], total, rtol=1e-5)
            seen.add(tokens)
    assert len(seen) > 10


def test_a_stream_keeps_to_limits_and_prefixes_across_its_blocks():
    options = {"limits": Limits(min_length=3, no_repeat_ngram=2), "prefix": (np.array([[2], [1], [9]]), PREFIXED)}
    whole = run(keys=keys_of(0), sampling=WARM, **options)
    parts = list(run(keys=keys_of(0), sampling=WARM, way=stream, block=1, **options))
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole.tokens)
    assert whole.tokens[:2, 0].tolist() == [2, 1]


def test_an_empty_prefix_forces_nothing_and_other_prefixes_compile_nothing():
    traces = []
    model, params, _, last = CASES["table"]

    def advance(*args):
        traces.append(1)
        return model.advance(*args)

    counted = Decodable(model.start, advance)

    def first(tokens, mask):
        prefix = np.array(tokens), np.array(mask)
        last_ones = jnp.asarray(last[: len(tokens)])
        return generate(counted, params, None, last_ones, None, max_tokens=M, sampling=GREEDY, prefix=prefix).tokens

    free = first([[0], [0], [0]], [[False]] * 3)
    np.testing.assert_array_equal(free, run("table", end=None).tokens)
    other = first([[2, 2, 0], [1, 0, 0], [0, 0, 0]], [[True, True, False], [True, False, False], [False] * 3])
    assert (other[0, :2].tolist(), other[1, 0].item(), other[2].tolist()) == ([2, 2], 1, free[2].tolist())
    wide = first([[2] * 6] * 3, [[True] + [False] * 5] * 3)
    assert wide[:, 0].tolist() == [2, 2, 2]
    assert len(traces) == 1
    assert read_prefix("test", (np.full((1, 6), 2), np.arange(6)[None] < 1), 1, V, M).tokens.shape == (1, M)
    traced = jax.jit(lambda mask: read_prefix("test", (np.full((1, 6), 2), mask), 1, V, M))(np.arange(6)[None] < 1)
    assert (traced.tokens.tolist(), traced.lengths.tolist()) == ([[2] + [0] * (M - 1)], [1])


def test_a_forced_token_keeps_its_probability_where_a_limit_forbids_it():
    tokens = np.array([[1, 1, 2, 1]] * ROWS)  # as long as a row may be
    made = run("table", limits=Limits(no_repeat_ngram=1), prefix=(tokens, tokens > 0))
    np.testing.assert_array_equal(made.tokens, tokens)
    model, params, inputs, last = CASES["table"]
    wanted = score(model, params, inputs(list(range(ROWS))), jnp.asarray(last), tokens, tokens > 0).sum(axis=1)
    np.testing.assert_allclose(made.log_probabilities, wanted, rtol=1e-5)


def test_a_model_is_asked_to_remember_all_that_is_made():
    """A cache for fewer steps would be written over in silence."""
    model, params, _, last = CASES["table"]
    asked = []
    shrinking = model._replace(within=lambda steps: asked.append(steps) or model)
    given, how = (shrinking, params, None, jnp.asarray(last)), {"max_tokens": 20, "end": END}
    generate(*given, None, sampling=GREEDY, **how)
    next(stream(*given, None, sampling=GREEDY, block=2, **how))
    beam_search(*given, beam=2, **how)
    assert asked == [32, 32, 32]


def test_half_precision_logits_are_normalised_in_float32():
    half = Decodable(lambda params, inputs: ((), ()), lambda params, memory, state, last: (state, params[last]))
    params = CASES["table"].params.astype(jnp.bfloat16)
    ones = np.ones((1, M), int)
    for kind in (jnp.bfloat16, jnp.float32):
        found = score(half, params.astype(kind), None, jnp.array([1]), ones, ones > 0)
        np.testing.assert_allclose(found, jax.nn.log_softmax(params[1].astype(jnp.float32))[1], rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_scores_of_references_are_those_of_the_model_wherever_the_padding_is(name):
    model, params, inputs, last = CASES[name]
    rows = np.array([[1, 2, 0, 1], [2, 2, 1, 0], [0, 1, 1, 2]])
    mask = np.array([[True] * 4, [False, True, False, True], [False] * 4])
    targets = np.where(mask, rows, 99)
    found = np.asarray(score(model, params, inputs(list(range(ROWS))), jnp.asarray(last), targets, mask))
    assert (found[~mask] == 0).all()
    for row in range(ROWS):
        real = rows[row][mask[row]].tolist()
        for place, nats in enumerate(found[row][mask[row]]):
            logits = logits_after(name, row)[tuple(real[:place])]
            np.testing.assert_allclose(nats, logits[real[place]] - np.logaddexp.reduce(logits), rtol=1e-4, atol=1e-6)


TWO = np.ones((ROWS, 2), int)


@pytest.mark.parametrize("way", [generate, stream], ids=["generate", "stream"])
@pytest.mark.parametrize(
    "options, said",
    [
        ({"limits": Limits(min_length=5)}, "min_length.*at most `max_tokens` = 4, but it is 5"),
        ({"prefix": (TWO, TWO > 0), "max_tokens": 1}, "prefix.*at most `max_tokens` = 1.*has 2"),
        ({"prefix": (TWO * V, TWO > 0)}, r"prefix.*ids in \[0, 3\).*holds 3"),
        ({"prefix": (-TWO, TWO > 0)}, "prefix.*holds -1"),
        ({"prefix": (TWO * 1.0, TWO > 0)}, "prefix.*integer"),
        ({"prefix": (TWO[:2], TWO[:2] > 0)}, r"prefix.*\(B, P\) = \(3, any\).*\(2, 2\)"),
        ({"prefix": (TWO, TWO)}, "prefix mask.*boolean"),
        ({"prefix": (TWO, np.array([[False, True]] * ROWS))}, "prefix.*right"),
    ],
)
def test_what_does_not_fit_is_refused(way, options, said):
    with pytest.raises(InputError, match=f"{way.__name__}: .*{said}"):
        run("table", way=way, **options)


def test_numbers_below_zero_are_no_limits():
    with pytest.raises(InputError, match=r"min_length.*at least 0.*-1"):
        Limits(min_length=-1)
    with pytest.raises(InputError, match=r"no_repeat_ngram.*at least 0.*-2.*Try 3"):
        Limits(no_repeat_ngram=-2)


@pytest.mark.parametrize(
    "targets, mask, said",
    [
        (TWO[:2], TWO[:2] > 0, r"targets.*\(B, T\) = \(3, any\)"),
        (TWO, TWO[:, :1] > 0, "mask.*"),
        (TWO * 7, TWO > 0, r"targets.*ids in \[0, 3\).*holds 7"),
    ],
)
def test_references_that_do_not_fit_are_refused(targets, mask, said):
    model, params, inputs, last = CASES["table"]
    with pytest.raises(InputError, match=f"score: .*{said}"):
        score(model, params, inputs([0, 1, 2]), jnp.asarray(last), targets, mask)


@pytest.mark.parametrize("end", [[0, 1], (0, 1), jnp.array(0), 0.0])
def test_an_end_that_is_no_id_is_refused(end):
    with pytest.raises(InputError, match="generate: `end` should be one id, an integer, or None"):
        check_vocabulary("generate", np.array([0]), end, 2)

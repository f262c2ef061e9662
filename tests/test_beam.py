"""Beam search against a slow search over lists, enumeration and greedy, for four models that remember differently."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from decodables import CASES, END, ROWS, M, V, enumerate_all, logits_after, slow_beam

from seqjax.checks import InputError
from seqjax.decoding import Decodable, Limits, Sampling, beam_search, generate, score, search_tree
from seqjax.decoding.beam import run_search
from seqjax.decoding.hypotheses import BeamRules

GREEDY = Sampling(greedy=True)
ALL_ROWS = tuple(range(ROWS))
FREE, TWICE = Limits(), Limits(min_length=2, no_repeat_ngram=2)
LIMITS = {"table": FREE, "recurrent": TWICE, "attentive": FREE, "historian": TWICE}
PENALTIES = (0.0, 0.8, 3.0, -0.5)
every_model = pytest.mark.parametrize("name", CASES)


def run(name, rows=ALL_ROWS, *, way=beam_search, max_tokens=M, end=END, **options):
    model, params, inputs, last = CASES[name]
    last = jnp.asarray(last[list(rows)])
    options = {"limits": LIMITS[name]} | options
    made = way(model, params, inputs(list(rows)), last, max_tokens=max_tokens, end=end, **options)
    return jax.tree.map(np.asarray, made)


def prefixed(*rows):
    """Prefixes of each row, padded to two with what is no id."""
    tokens = np.array([(*row, 99, 99)[:2] for row in rows])
    return tokens, np.arange(2) < np.array([[len(row)] for row in rows])


def narrow(name, rows=ALL_ROWS, prefixes=((), (), ()), **options):
    """One program for many tests: three hypotheses, two of them returned."""
    return run(name, rows, beam=3, n_best=2, prefix=prefixed(*prefixes), **options)


def hypotheses(beams, row):
    """[(tokens, log-probability, score)] of those that are there."""
    tokens, lengths, totals, scores = (np.asarray(leaf)[row] for leaf in beams)
    return [(tuple(t[:n].tolist()), p, s) for t, n, p, s in zip(tokens, lengths, totals, scores, strict=True) if n]


def assert_like(beams, row, slow, end=END):
    """The same hypotheses with the same numbers, by descending score; nothing where there are none."""
    found = hypotheses(beams, row)
    np.testing.assert_allclose([score for *_, score in found], [score for *_, score in slow], rtol=1e-5, atol=1e-6)
    totals = {tokens: total for tokens, total, _ in slow}
    assert {tokens for tokens, *_ in found} == set(totals)
    np.testing.assert_allclose([f[1] for f in found], [totals[f[0]] for f in found], rtol=1e-5, atol=1e-6)
    missing = np.asarray(beams.lengths)[row] == 0
    assert missing.tolist() == [rank >= len(slow) for rank in range(len(missing))]
    assert (np.asarray(beams.scores)[row, missing] == -np.inf).all()
    assert (np.asarray(beams.log_probabilities)[row, missing] == -np.inf).all()
    for tokens, length in zip(np.asarray(beams.tokens)[row], np.asarray(beams.lengths)[row], strict=True):
        assert (tokens[length:] == (0 if end is None else end)).all()


@every_model
def test_a_beam_of_one_is_greedy(name):
    greedy = run(name, keys=None, way=generate, sampling=GREEDY)
    assert len(set(np.asarray(greedy.lengths).tolist())) > 1
    for alpha in PENALTIES:
        beams = run(name, beam=1, length_penalty=alpha)
        np.testing.assert_array_equal(beams.tokens[:, 0], greedy.tokens)
        np.testing.assert_array_equal(beams.lengths[:, 0], greedy.lengths)
        np.testing.assert_allclose(beams.log_probabilities[:, 0], greedy.log_probabilities, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name, end", [*((name, END) for name in CASES), ("recurrent", None), ("table", 2)])
def test_a_beam_wider_than_the_tree_returns_all_in_order(name, end):
    for alpha in PENALTIES:
        beams = run(name, end=end, beam=V**M + 1, n_best=V**M + 1, length_penalty=alpha)
        for row in ALL_ROWS:
            slow = enumerate_all(name, row, n=V**M, alpha=alpha, end=end, limits=LIMITS[name])
            assert_like(beams, row, slow, end)


@every_model
def test_a_narrow_beam_is_the_slow_search_that_never_stops_early(name):
    for alpha in PENALTIES:
        beams = narrow(name, length_penalty=alpha)
        for row in ALL_ROWS:
            assert_like(beams, row, slow_beam(name, row, beam=3, n=2, alpha=alpha, limits=LIMITS[name]))


@every_model
def test_every_hypothesis_begins_with_its_rows_prefix(name):
    prefixes = (1, 2), (2,), ()
    for alpha in PENALTIES:
        found = narrow(name, prefixes=prefixes, length_penalty=alpha)
        for row, prefix in enumerate(prefixes):
            slow = slow_beam(name, row, beam=3, n=2, prefix=prefix, alpha=alpha, limits=LIMITS[name])
            assert_like(found, row, slow)


def test_a_prefix_that_ends_is_the_only_hypothesis():
    found = narrow("historian", prefixes=((1, END), (END, 2), (2, END)))
    assert [[tokens for tokens, *_ in hypotheses(found, row)] for row in ALL_ROWS] == [[(1, 0)], [(0,)], [(2, 0)]]


def test_stopping_early_changes_nothing():
    model, params, inputs, last = CASES["historian"]
    given = model, params, inputs(list(ALL_ROWS)), jnp.asarray(last)
    rules = BeamRules(M, 3, 2, END, LIMITS["historian"], early=False)
    for alpha in PENALTIES:
        late, steps, _ = run_search("test", *given, alpha, None, rules)
        assert steps == M
        for one, other in zip(narrow("historian", length_penalty=alpha), late, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_search_stops_when_nothing_better_can_come():
    steps = []

    def advance(params, memory, state, last):
        jax.debug.callback(lambda: steps.append(1))
        return state, params[last]

    model = Decodable(lambda params, inputs: ((), ()), advance)
    params = jnp.log(jnp.array([[0.05, 0.6, 0.35], [0.9, 0.05, 0.05], [0.3, 0.4, 0.3]]))
    found = beam_search(model, params, None, jnp.array([0, 0]), max_tokens=50, beam=3, end=0)
    jax.effects_barrier()
    assert hypotheses(found, 1)[0][0] == (1, 0)
    assert len(steps) == 2
    steps.clear()
    far = beam_search(model, params, None, jnp.array([0, 0]), max_tokens=50, beam=3, end=0, length_penalty=1.0)
    jax.effects_barrier()
    assert 2 < len(steps) < 50  # a long hypothesis may still gain, but not for ever
    assert hypotheses(far, 0)[0][0] == (1, 0)


@every_model
def test_a_row_does_not_see_its_neighbours(name):
    prefixes = (1, 2), (), (2,)
    for alpha in (0.0, 0.8):
        together = narrow(name, prefixes=prefixes, length_penalty=alpha)
        for row in ALL_ROWS:
            alone = narrow(name, [row], prefixes[row : row + 1], length_penalty=alpha, way=search_tree).beams
            np.testing.assert_array_equal(alone.tokens, together.tokens[row])
            np.testing.assert_array_equal(alone.lengths, together.lengths[row])
            np.testing.assert_allclose(alone.scores, together.scores[row], rtol=1e-5)
            np.testing.assert_allclose(alone.log_probabilities, together.log_probabilities[row], rtol=1e-5)


@every_model
def test_log_probabilities_are_those_of_reading_the_tokens_again(name):
    model, params, inputs, last = CASES[name]
    beams = narrow(name)
    real = np.arange(M) < np.asarray(beams.lengths)[..., None]
    for rank in range(2):
        again = score(model, params, inputs(list(ALL_ROWS)), jnp.asarray(last), beams.tokens[:, rank], real[:, rank])
        np.testing.assert_allclose(again.sum(axis=1), beams.log_probabilities[:, rank], rtol=1e-5)


def test_no_row_is_no_hypothesis():
    table = Decodable(lambda params, inputs: ((), ()), lambda params, memory, state, last: (state, params[last]))
    found = beam_search(table, jnp.zeros((V, V)), None, np.zeros(0, int), max_tokens=2, beam=3, n_best=2, end=END)
    assert found.tokens.shape == (0, 2, 2)


def test_equals_stand_in_order_of_parent_and_id():
    model = Decodable(lambda params, inputs: ((), ()), lambda params, memory, state, last: (state, params[last]))
    found = beam_search(model, jnp.zeros((4, 4)), None, jnp.array([3]), max_tokens=2, beam=6, n_best=6, end=3)
    sequences = [tokens for tokens, *_ in hypotheses(found, 0)]
    assert sequences == [(3,), (0, 3), (0, 0), (0, 1), (0, 2), (1, 0)]


def test_where_short_ones_gain_the_next_is_waited_for():
    model = Decodable(lambda params, inputs: ((), ()), lambda params, memory, state, last: (state, params[last]))
    params = jnp.log(jnp.array([[0.3, 0.7], [0.99, 0.01]]))  # 1 and then the end scores more than the end at once
    found = beam_search(model, params, None, jnp.array([0]), max_tokens=10, beam=2, end=0, length_penalty=-2.0)
    assert hypotheses(found, 0)[0][0] == (1, 0)


def test_an_impossible_token_is_never_a_hypothesis():
    model = Decodable(lambda params, inputs: ((), ()), lambda params, memory, state, last: (state, params[last]))
    params = jnp.log(jnp.array([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    found = beam_search(model, params, None, jnp.array([0]), max_tokens=5, beam=4, n_best=4, end=0)
    assert sorted(tokens for tokens, *_ in hypotheses(found, 0)) == [(1, 0), (2, 1, 0)]


@every_model
def test_a_tree_is_the_search_written_down(name):
    tree = narrow(name, [1], ((),), way=search_tree, length_penalty=0.5)
    known = logits_after(name, 1)
    ways = {(-1, 0): ((), 0.0)}
    for step, rank in np.ndindex(tree.tokens.shape):
        parent, token = tree.parents[step, rank], tree.tokens[step, rank]
        there = tree.ended[step, rank] or tree.alive[step, rank]
        assert (token >= 0) == (parent >= 0) == there == np.isfinite(tree.totals[step, rank])
        if there:
            made, total = ways[step - 1, parent]
            nats = known[made] - np.logaddexp.reduce(known[made])
            np.testing.assert_allclose(tree.log_probabilities[step, rank], nats[token], rtol=1e-4)
            np.testing.assert_allclose(tree.totals[step, rank], total + nats[token], rtol=1e-4)
            assert tree.ended[step, rank] == (token == END) != tree.alive[step, rank]
            if tree.alive[step, rank]:
                ways[step, rank] = (*made, token), total + nats[token]
    assert (np.diff(tree.totals, axis=1)[np.isfinite(tree.totals[:, 1:])] <= 0).all()
    length = int(tree.beams.lengths[0])
    assert tree.best.sum() == length
    np.testing.assert_array_equal(tree.scores[tree.best][-1], tree.beams.scores[0])
    assert [int(token) for token in tree.tokens[tree.best]] == tree.beams.tokens[0, :length].tolist()


def test_nothing_compiles_twice():
    traces = dict.fromkeys(("start", "advance", "prepare"), 0)
    case = CASES["attentive"]

    def counted(name):
        def call(*args):
            traces[name] += 1
            return getattr(case.model, name)(*args)

        return call

    model = Decodable(*(counted(name) for name in ("start", "advance", "prepare")))
    inputs, last = case.inputs(list(ALL_ROWS)), jnp.asarray(case.last)
    search = functools.partial(beam_search, model, max_tokens=M, end=END, n_best=2, limits=TWICE)
    ones = jnp.ones((ROWS, 2), jnp.int32)
    search(case.params, inputs, last, beam=3, prefix=(ones, ones > 0))
    assert traces == {"start": 1, "advance": 1, "prepare": 1}
    other = jax.tree.map(lambda leaf: leaf * 0.5, case.params)
    search(other, case.inputs([2, 1, 0]), last[::-1], beam=3, length_penalty=0.7, prefix=(ones[:, :1], ones[:, :1] > 0))
    assert traces == {"start": 1, "advance": 1, "prepare": 1}
    search(case.params, inputs, last, beam=2)
    assert traces == {"start": 1, "advance": 2, "prepare": 1}


def test_what_is_prepared_is_not_made_again_in_the_loop():
    stack = jnp.zeros((2, 7, 11)).at[1].set(jnp.arange(77.0).reshape(7, 11))
    model = Decodable(
        lambda weights, inputs: ((), ()),
        lambda weights, memory, state, last: (state, jax.nn.one_hot(last, 7) @ weights[1]),
        lambda params: (params[0], params[1]),
    )

    def ways(params):
        last = jnp.array([1])
        beams = beam_search(model, params, None, last, max_tokens=5, beam=2, end=None)
        return beams, generate(model, params, None, last, None, max_tokens=5, sampling=GREEDY)

    text = jax.jit(ways).lower(stack).compile().as_text()
    entry = text[text.index("ENTRY") :]
    assert text.count("while(") >= 2
    assert entry.count("f32[2,7,11]") >= 1
    loops = [part for part in text[: text.index("ENTRY")].split("\n\n") if "while" in part or "body" in part]
    assert loops
    assert not any("f32[2,7,11]" in part for part in loops)


@pytest.mark.parametrize("way", [beam_search, search_tree], ids=["beam_search", "search_tree"])
@pytest.mark.parametrize(
    "options, said",
    [
        ({"beam": 0}, "`beam`.*at least 1"),
        ({"n_best": 4}, "`n_best`.*between 1 and `beam` = 3.*4.*beam=4"),
        ({"n_best": 0}, "`n_best`.*at least 1"),
        ({"max_tokens": 0}, "max_tokens.*at least 1"),
        ({"limits": Limits(min_length=M + 1)}, "min_length.*at most `max_tokens` = 4.*5"),
        ({"end": V}, r"end.*ids in \[0, 3\)"),
        ({"end": -1}, "end.*-1"),
        ({"length_penalty": float("nan")}, "length_penalty.*finite"),
        ({"length_penalty": 1e9}, "length_penalty.*too far"),
        ({"length_penalty": -300.0}, "length_penalty.*too far"),  # finite, but 0 for four tokens
        ({"prefix": (np.array([[V]]), np.array([[True]]))}, "prefix.*holds 3"),
        ({"prefix": (np.zeros((1, 5), int), np.ones((1, 5), bool))}, "prefix.*at most `max_tokens` = 4.*has 5"),
    ],
)
def test_what_does_not_fit_is_refused(way, options, said):
    with pytest.raises(InputError, match=f"{way.__name__}: .*{said}"):
        run("table", [0], way=way, **({"beam": 3} | options))


def test_a_length_penalty_that_is_traced_is_refused():
    with pytest.raises(InputError, match="`length_penalty` should be a number when a program is traced"):
        jax.jit(lambda alpha: run("table", [0], beam=3, length_penalty=alpha))(0.6)


def test_a_tree_is_of_one_row():
    with pytest.raises(InputError, match="one row"):
        run("table", way=search_tree, beam=2)


def test_a_tree_is_in_float32_where_jax_is_told_to_use_float64():
    model = Decodable(lambda params, inputs: ((), ()), lambda params, memory, state, last: (state, params[last]))
    with jax.enable_x64(True):
        tree = search_tree(model, np.log(np.full((3, 3), 1 / 3)), None, np.array([0]), max_tokens=2, beam=2, end=0)
    numbers = (tree.log_probabilities, tree.totals, tree.scores, tree.beams.scores)
    assert [leaf.dtype for leaf in numbers] == [np.float32] * 4

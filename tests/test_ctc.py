"""Connectionist temporal classification beside the enumeration of every path: loss, gradients, greedy, prefix beam."""

import itertools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.decoding.prefix_beam import Companion, prefix_beam_search
from seqjax.ops.ctc import ctc_greedy, ctc_loss, frames_needed
from seqjax.plots.ctc import posteriors

T, K, U = 5, 3, 5
SWIFT = {"xla_backend_optimization_level": 0}


def written(path) -> tuple[int, ...]:
    """What a path writes: neither repetitions nor blanks."""
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)


def enumerated(log_probs: np.ndarray) -> dict[tuple[int, ...], float]:
    """The probability of every transcript, path by path."""
    found: dict[tuple[int, ...], float] = {}
    steps, symbols = log_probs.shape
    for path in itertools.product(range(symbols), repeat=steps):
        weight = np.exp(sum(log_probs[step, symbol] for step, symbol in enumerate(path)))
        found[written(path)] = found.get(written(path), 0.0) + weight
    return found


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


LOGITS = np.random.default_rng(0).normal(size=(T, K), scale=2.0)
ALL = enumerated(log_softmax(LOGITS))
TRANSCRIPTS = sorted(ALL)
LABELS = np.array([[*one, *[0] * (U - len(one))] for one in TRANSCRIPTS], np.int32)


def _run(logits, mask, labels):
    def total(logits):
        nats, possible = ctc_loss(logits, mask, labels)
        return nats.sum(), (nats, possible)

    gradient, (nats, possible) = jax.grad(total, has_aux=True)(logits)
    return nats, possible, gradient, ctc_greedy(logits, mask)


_run = jax.jit(_run, compiler_options=SWIFT)


def run(logits, mask, labels):
    """Loss, gradient and greedy transcripts of rows of one shape, compiled once."""
    short = len(TRANSCRIPTS) - len(logits)
    rows = [np.concatenate([leaf, np.repeat(leaf[:1], short, 0)]) for leaf in (logits, mask, labels)]
    nats, possible, gradient, (ids, lengths) = jax.device_get(_run(rows[0].astype(np.float32), rows[1], rows[2]))
    kept = slice(0, len(logits))
    return nats[kept], possible[kept], gradient[kept], ids[kept], lengths[kept]


def rows(count: int) -> tuple[np.ndarray, np.ndarray]:
    """The same frames in every row."""
    return np.repeat(LOGITS[None], count, 0), np.ones((count, T), bool)


def test_the_loss_is_that_of_all_paths_and_transcripts_share_one_probability():
    nats, possible, gradient, _, _ = run(*rows(len(TRANSCRIPTS)), LABELS)
    np.testing.assert_allclose(nats, [-np.log(ALL[one]) for one in TRANSCRIPTS], rtol=1e-5)
    assert possible.all()
    assert np.exp(-nats).sum() == pytest.approx(1, abs=1e-5)
    for row in (0, 3, len(TRANSCRIPTS) - 1):
        for place in ((0, 1), (2, 0), (4, 2)):
            moved = [LOGITS.copy(), LOGITS.copy()]
            moved[0][place] += 1e-4
            moved[1][place] -= 1e-4
            sides = [-np.log(enumerated(log_softmax(one))[TRANSCRIPTS[row]]) for one in moved]
            assert gradient[row][place] == pytest.approx((sides[0] - sides[1]) / 2e-4, abs=1e-4)


def test_a_transcript_may_be_as_improbable_as_float32_can_say():
    sure = np.zeros((1, T, K))
    sure[..., 0] = 1e5  # of the blank, in every frame
    nats, _, gradient, _, _ = run(sure, np.ones((1, T), bool), np.array([[1, 2, 1, 0, 0]]))
    np.testing.assert_allclose(nats, [3e5], rtol=1e-4)
    np.testing.assert_allclose(gradient[0].sum(axis=0), [3, -2, -1], atol=0.1)  # 3e5 is known to 0.03


def test_padding_of_frames_and_of_transcripts_changes_nothing():
    labels = np.array([[1, 1, 0, 0, 0], [0, 1, 0, 1, 0], [0, 0, 0, 1, 1]])
    short = enumerated(log_softmax(LOGITS[:4]))[(1, 1)]
    frames = np.full((3, T, K), np.nan)
    frames[0, :4], frames[1, 1:], frames[2, [0, 1, 3, 4]] = LOGITS[:4], LOGITS[:4], LOGITS[:4]
    frames[1, 0] = np.inf
    mask = np.isfinite(frames).all(axis=-1)
    nats, possible, gradient, ids, lengths = run(frames, mask, labels)
    np.testing.assert_allclose(nats, -np.log(short), rtol=1e-5)
    assert possible.all()
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient[0, :4], gradient[1, 1:], atol=1e-6)
    assert (gradient[~mask] == 0).all()
    assert (ids[1:] == ids[0]).all()
    assert (lengths[1:] == lengths[0]).all()


def test_a_transcript_that_needs_more_frames_than_there_are_is_left_out_and_its_neighbours_are_not():
    labels = np.array([[1, 1, 2, 2, 0], [1, 2, 1, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]])
    assert frames_needed(labels).tolist() == [6, 3, 1, 0]
    logits, mask = rows(4)
    mask[2:] = False
    nats, possible, gradient, _, lengths = run(logits, mask, labels)
    assert possible.tolist() == [False, True, False, True]
    assert (nats[[0, 2, 3]] == 0).all()
    assert nats[1] == pytest.approx(-np.log(ALL[(1, 2, 1)]), rel=1e-5)
    assert (gradient[[0, 2, 3]] == 0).all()
    assert np.abs(gradient[1]).max() > 0
    assert lengths[2:].tolist() == [0, 0]


def test_no_frames_at_all_are_borne():
    nats, possible = ctc_loss(jnp.zeros((2, 0, K)), np.zeros((2, 0), bool), np.array([[0], [1]]))
    assert (nats.tolist(), possible.tolist()) == ([0, 0], [True, False])


def test_greedy_writes_what_the_likeliest_path_writes():
    count = len(TRANSCRIPTS)
    logits = np.random.default_rng(1).normal(size=(count, T, K))
    _, _, _, ids, lengths = run(logits, np.ones((count, T), bool), LABELS)
    for row, length, own in zip(ids, lengths, logits, strict=True):
        assert tuple(row[:length]) == written(own.argmax(axis=-1))
        assert (row[length:] == 0).all()


def test_what_does_not_fit_is_refused():
    logits, mask = jnp.zeros((1, T, K)), np.ones((1, T), bool)
    with pytest.raises(InputError, match=r"`labels` should hold ids in \[0, 3\), but position \(0, 1\) holds 3"):
        ctc_loss(logits, mask, np.array([[1, 3]]))
    with pytest.raises(InputError, match="`blank`"):
        ctc_loss(logits, mask, np.array([[1]]), blank=3)
    with pytest.raises(InputError, match=r"`mask` should be \(B, T\) = \(1, 5\)"):
        ctc_greedy(logits, mask[:, 1:])


def bigrams(table: np.ndarray) -> Companion:
    """A language model that knows the symbol before, or (row 0) that there is none; column 0 is the end."""

    def advance(state, parents, symbols, grown):
        state = np.where(grown, symbols, state[parents])
        return state, table[state]

    return Companion(lambda rows: (np.zeros(rows, int), table[np.zeros(rows, int)]), advance)


@pytest.mark.parametrize("seed", range(3))
def test_a_wide_prefix_beam_finds_the_best_of_all_transcripts(seed):
    random = np.random.default_rng(seed)
    log_probs = log_softmax(random.normal(size=(T, K), scale=2.0))
    every = enumerated(log_probs)
    found = prefix_beam_search(log_probs, beam=64, n_best=64)
    assert {one.symbols for one in found} == set(every)
    for one in found:
        assert one.log_probability == pytest.approx(np.log(every[one.symbols]), abs=1e-9)
    table, weight, bonus = np.log(random.dirichlet(np.ones(K), size=K)), 0.7, 0.3

    def score(symbols):
        told = sum(table[a, b] for a, b in zip((0, *symbols), (*symbols, 0), strict=True))
        return np.log(every[symbols]) + weight * told + bonus * len(symbols)

    how = {"companion": bigrams(table), "weight": weight, "length_bonus": bonus}
    found = prefix_beam_search(log_probs, beam=64, n_best=64, **how)
    assert found[0].symbols == max(every, key=score)
    np.testing.assert_allclose([one.score for one in found], [score(one.symbols) for one in found], atol=1e-9)
    narrow = prefix_beam_search(log_probs, beam=4, **how)[0]
    assert narrow.score <= found[0].score + 1e-9
    assert narrow.log_probability <= np.log(every[narrow.symbols]) + 1e-9


def slow_prefix_beam(log_probs, beam, score):
    """Hannun et al. (2014), algorithm 1, over a dictionary; ``score(prefix, nats)`` says which are kept."""
    alive = {(): (0.0, -np.inf)}  # nats of the paths that end in a blank, and of the others
    for frame in log_probs:
        found = {}

        def add(prefix, end, nats, found=found):
            ends = list(found.get(prefix, (-np.inf, -np.inf)))
            ends[end] = np.logaddexp(ends[end], nats)
            found[prefix] = tuple(ends)

        for prefix, (blank, symbol) in alive.items():
            whole = np.logaddexp(blank, symbol)
            add(prefix, 0, whole + frame[0])
            if prefix:
                add(prefix, 1, symbol + frame[prefix[-1]])
            for new in range(1, K):
                add((*prefix, new), 1, (blank if prefix[-1:] == (new,) else whole) + frame[new])
        order = sorted(found, key=lambda prefix: -score(prefix, np.logaddexp(*found[prefix])))
        alive = {prefix: found[prefix] for prefix in order[:beam]}
    return {prefix: np.logaddexp(*ends) for prefix, ends in alive.items()}


@pytest.mark.parametrize("seed", range(3))
def test_what_a_narrow_beam_drops_is_decided_with_the_language_model(seed):
    random = np.random.default_rng(seed)
    log_probs = log_softmax(random.normal(size=(8, K)))
    table, weight, bonus = np.log(random.dirichlet(np.ones(K) / 2, size=K)), 1.5, 0.8

    def score(prefix, nats):
        return nats + weight * sum(table[a, b] for a, b in itertools.pairwise((0, *prefix))) + bonus * len(prefix)

    wanted = slow_prefix_beam(log_probs, 4, score)
    how = {"companion": bigrams(table), "weight": weight, "length_bonus": bonus}
    found = {one.symbols: one.log_probability for one in prefix_beam_search(log_probs, beam=4, n_best=4, **how)}
    assert found == pytest.approx(wanted)


def test_a_search_without_frames_writes_nothing_and_numbers_that_are_no_log_probabilities_are_refused():
    assert [(one.symbols, one.score) for one in prefix_beam_search(np.zeros((0, 3)))] == [((), 0.0)]
    impossible = np.full((2, 2), -np.inf)
    assert prefix_beam_search(impossible)[0].symbols == ()
    for wrong in (np.ones((2, 3)), np.full((2, 3), np.nan)):
        with pytest.raises(InputError, match="log_softmax"):
            prefix_beam_search(wrong)
    with pytest.raises(InputError, match="`n_best`"):
        prefix_beam_search(impossible, beam=2, n_best=3)


def test_the_picture_names_every_spike():
    table = np.array([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.0, 0.9]])
    drawn = posteriors(table, ["blank", "a", " "], frames=np.zeros((9, 4)), factor=2, title="a a")
    assert [text.get_text() for text in drawn.axes[-1].texts] == ["a", "a", "␣"]
    assert drawn.axes[-1].get_xlim() == (0, 10)
    drawn.canvas.draw()
    with pytest.raises(InputError, match=r"\(S, K\) = \(any, 2\)"):
        posteriors(table, ["blank", "a"])
    with pytest.raises(InputError, match="one step"):
        posteriors(np.zeros((0, 2)), ["blank", "a"])


def test_a_symbol_that_is_impossible_makes_nothing_else_so():
    logits = jnp.array([[[0.0, 0.0, -jnp.inf]]])

    def loss(logits):
        return ctc_loss(logits, jnp.ones((1, 1), bool), jnp.array([[1]]))[0].sum()

    np.testing.assert_allclose(loss(logits), np.log(2), rtol=1e-6)
    np.testing.assert_allclose(jax.grad(loss)(logits), [[[0.5, -0.5, 0.0]]], atol=1e-6)


def test_the_blank_may_be_any_symbol_a_hole_parts_none_and_half_precision_is_summed_in_float32():
    half = jnp.asarray(LOGITS[:, [1, 2, 0]], jnp.bfloat16)  # the blank is the last
    path, mask = jax.nn.one_hot(jnp.array([[0, 1, 0, 2, 1]]), K), jnp.array([[True, False, True, True, True]])

    def both(logits, labels):
        return ctc_loss(logits[None], jnp.ones((1, T), bool), labels, blank=2), ctc_greedy(path, mask, blank=2)

    (nats, _), (ids, lengths) = jax.jit(both, compiler_options=SWIFT)(half, jnp.array([[0, 2, 1]]))
    every = enumerated(log_softmax(np.asarray(half, np.float64)[:, [2, 0, 1]]))
    np.testing.assert_allclose(nats, [-np.log(every[(1, 2)])], rtol=1e-5)
    assert (ids.tolist(), lengths.tolist()) == ([[0, 1, 2, 2, 2]], [2])
    theirs = prefix_beam_search(log_softmax(LOGITS)[:, [1, 2, 0]], beam=64, blank=2)[0]
    assert tuple(symbol + 1 for symbol in theirs.symbols) == max(ALL, key=ALL.get)
    assert theirs.log_probability == pytest.approx(np.log(max(ALL.values())))


def test_products_that_pick_log_probabilities_are_exact_whatever_products_are_elsewhere():
    with jax.default_matmul_precision("bfloat16"):
        mask, labels = jnp.ones((1, T), bool), jnp.array([[1, 2]])
        program = str(jax.make_jaxpr(lambda logits: ctc_loss(logits, mask, labels)[0])(jnp.zeros((1, T, K))))
    assert program.count("dot_general") == program.count("precision=(Precision.HIGHEST") >= 1


def test_a_companion_of_weight_0_says_nothing_even_of_what_it_thinks_impossible():
    log_probs = np.log(np.random.default_rng(3).dirichlet(np.ones(K), size=4))
    never = bigrams(np.full((K, K), -np.inf))
    alone = prefix_beam_search(log_probs, beam=8)[0]
    assert prefix_beam_search(log_probs, beam=8, companion=never, weight=0.0)[0] == alone


@pytest.mark.parametrize("time", [0, 3])
def test_the_loss_is_as_wide_as_the_logits_but_float32_at_least(time):
    with jax.enable_x64(True):
        for given, wanted in ((jnp.float16, jnp.float32), (jnp.float32, jnp.float32), (jnp.float64, jnp.float64)):
            logits = jnp.asarray(np.random.default_rng(0).normal(size=(1, time, 2)), given)
            nats, _ = ctc_loss(logits, jnp.ones((1, time), bool), np.array([[1] if time else [0]]))
            assert nats.dtype == wanted
    if time:
        table = np.exp(np.asarray(logits[0])) / np.exp(np.asarray(logits[0])).sum(-1, keepdims=True)
        np.testing.assert_allclose(np.exp(-np.asarray(nats[0])), enumerated(np.log(table))[(1,)], rtol=1e-13)


@pytest.mark.parametrize("what", [{"beam": 2.0}, {"n_best": 1.5}, {"blank": 0.0}, {"beam": 0}, {"n_best": 0}])
def test_counts_of_a_prefix_beam_that_are_none_are_refused(what, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(InputError, match=f"prefix_beam_search: `{next(iter(what))}` should be"):
        prefix_beam_search(np.log(np.full((2, 3), 1 / 3)), **what)

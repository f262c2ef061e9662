"""The engine against the whole forward pass, on a tiny recurrent language model made of plain functions."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parameters import drawn

from seqjax import cells, unroll
from seqjax.checks import InputError
from seqjax.decoding import Decodable, Sampling, generate, pad_prompts, stream
from seqjax.decoding.decodable import open_model
from seqjax.decoding.engine import Rules, begin, run_block
from seqjax.ops.dropout import row_keys
from seqjax.ops.sampling import seen_tokens

V, E, H, STEPS = 9, 5, 8, 12
GREEDY = Sampling(greedy=True)
WARM = Sampling(temperature=1.5, top_k=7, top_p=0.95, repetition_penalty=1.2)
PROMPTS = [[1, 2, 3, 4], [5], [6, 7, 8, 1, 2, 3, 4], [2, 2], [8, 0, 3]]


class Params(NamedTuple):
    embedding: jax.Array  # (V, E)
    cell: tuple  # LSTMParams
    kernel: jax.Array  # (H, V)


def new_params(seed):
    random, cell = np.random.default_rng(seed), drawn(lambda key: cells.LSTM.init(key, E, H), seed)
    embedding, kernel = random.normal(scale=2, size=(V, E)), random.normal(scale=3, size=(H, V))
    return Params(jnp.asarray(embedding, jnp.float32), cell, jnp.asarray(kernel, jnp.float32))


def start(params, inputs):
    tokens, mask = inputs
    return (), unroll(cells.LSTM, params.cell, params.embedding[tokens], mask=mask, method="scan")[0]


def advance(params, memory, state, last):
    state, ys = unroll(cells.LSTM, params.cell, params.embedding[last][:, None], state=state, method="scan")
    return state, ys[:, 0] @ params.kernel


MODEL = Decodable(start, advance)
PARAMS = new_params(28)  # some rows come to an end that others never reach


def inputs_of(prompts, **options):
    tokens, mask = pad_prompts([prompt[:-1] for prompt in prompts], V, smallest=8, **options)
    return (jnp.asarray(tokens), jnp.asarray(mask)), jnp.array([prompt[-1] for prompt in prompts])


def keys_of(rows, seed=0):
    return row_keys(jax.random.key(seed), jnp.arange(rows))


def run(prompts=PROMPTS, *, sampling=GREEDY, keys=None, params=PARAMS, model=MODEL, max_tokens=STEPS, **options):
    keys = keys_of(len(prompts)) if keys is None else keys
    inputs, last = inputs_of(prompts, side=options.pop("side", "right"))
    return generate(model, params, inputs, last, keys, max_tokens=max_tokens, sampling=sampling, **options)


@jax.jit
def forward(params, tokens, mask):
    """Logits (B, T, V) of a whole sequence at once."""
    _, ys = unroll(cells.LSTM, params.cell, params.embedding[tokens], mask=mask, method="scan")
    return ys @ params.kernel


def logits_after(sequences):
    """Logits (B, T, V) in float64, from the whole forward pass over everything so far."""
    return np.asarray(forward(PARAMS, *pad_prompts(sequences, V, smallest=32)), np.float64)


def slow_greedy(prompts, steps):
    sequences = [list(prompt) for prompt in prompts]
    for _ in range(steps):
        for row, logits in zip(sequences, logits_after(sequences), strict=True):
            row.append(int(np.argmax(logits[len(row) - 1])))
    return [row[len(prompt) :] for row, prompt in zip(sequences, prompts, strict=True)]


def slow_log_probabilities(prompts, made):
    sequences = [[*prompt, *np.asarray(row).tolist()] for prompt, row in zip(prompts, made, strict=True)]
    totals = []
    for prompt, row, logits in zip(prompts, sequences, logits_after(sequences), strict=True):
        own = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
        totals.append(sum(own[t - 1, row[t]] for t in range(len(prompt), len(row))))
    return totals


def assert_same(ours, theirs):
    np.testing.assert_array_equal(ours.tokens, theirs.tokens)
    np.testing.assert_array_equal(ours.lengths, theirs.lengths)
    np.testing.assert_allclose(ours.log_probabilities, theirs.log_probabilities, rtol=1e-5, atol=1e-5)


def an_end():
    """An id that greedy decoding reaches in the middle of some rows and never in others."""
    tokens = np.asarray(run().tokens)
    for end in range(V):
        firsts = [int(np.argmax(row == end)) if end in row else STEPS for row in tokens]
        if 0 < min(firsts) < STEPS - 2 and max(firsts) == STEPS:
            return end, firsts
    raise AssertionError("no id ends some rows and not others: choose other parameters")


def test_greedy_is_the_argmax_of_the_whole_forward_pass():
    made = run()
    assert made.tokens.dtype == jnp.int32
    assert np.asarray(made.tokens).tolist() == slow_greedy(PROMPTS, STEPS)
    assert len(np.unique(made.tokens)) > 3


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(), WARM], ids=["greedy", "own", "warm"])
def test_log_probabilities_are_those_of_the_whole_forward_pass(sampling):
    made = run(sampling=sampling)
    np.testing.assert_allclose(made.log_probabilities, slow_log_probabilities(PROMPTS, made.tokens), rtol=1e-5)


@pytest.mark.parametrize("sampling", [GREEDY, WARM], ids=["greedy", "warm"])
def test_a_row_does_not_see_its_neighbours(sampling):
    keys, (end, _) = keys_of(len(PROMPTS)), an_end()
    together = run(sampling=sampling, end=end)
    for i, prompt in enumerate(PROMPTS):
        alone = run([prompt], sampling=sampling, keys=keys[i : i + 1], end=end)
        assert_same(alone, jax.tree.map(lambda leaf, i=i: leaf[i : i + 1], together))


@pytest.mark.parametrize("sampling", [GREEDY, WARM], ids=["greedy", "warm"])
def test_padding_of_prompts_changes_nothing(sampling):
    right = run(sampling=sampling)
    assert_same(run(sampling=sampling, side="left"), right)
    (tokens, mask), last = inputs_of(PROMPTS, fill=7)
    wider = (jnp.pad(tokens, ((0, 0), (3, 5))), jnp.pad(mask, ((0, 0), (3, 5))))
    keys = keys_of(len(PROMPTS))
    assert_same(generate(MODEL, PARAMS, wider, last, keys, max_tokens=STEPS, sampling=sampling), right)


def test_rows_that_ended_are_frozen_and_leave_the_others_alone():
    end, firsts = an_end()
    free, ended = run(), run(end=end)
    ended = jax.tree.map(np.asarray, ended)
    for row, first in enumerate(firsts):
        length = min(first + 1, STEPS)
        assert ended.lengths[row] == length
        np.testing.assert_array_equal(ended.tokens[row, :length], free.tokens[row, :length])
        np.testing.assert_array_equal(ended.tokens[row, length:], end)
    kept = [np.asarray(row)[:length] for row, length in zip(ended.tokens, ended.lengths, strict=True)]
    np.testing.assert_allclose(ended.log_probabilities, slow_log_probabilities(PROMPTS, kept), rtol=1e-5)


def test_stopping_early_changes_nothing_and_does_stop():
    end, firsts = an_end()
    rows = [i for i, first in enumerate(firsts) if first < STEPS]
    prompts = [PROMPTS[i] for i in rows]
    steps = []

    def counted(params, memory, state, last):
        jax.debug.callback(lambda: steps.append(1))
        return advance(params, memory, state, last)

    model = Decodable(start, counted)
    short = run(prompts, end=end, max_tokens=200, model=model)
    jax.effects_barrier()
    assert len(steps) == max(firsts[i] for i in rows) + 1
    np.testing.assert_array_equal(short.tokens[:, :STEPS], run(prompts, end=end).tokens)
    np.testing.assert_array_equal(short.tokens[:, STEPS:], end)


@pytest.mark.parametrize("sampling, block", [(WARM, 1), (WARM, 5), (GREEDY, 4), (GREEDY, 50)])
def test_a_stream_is_generate_block_by_block(sampling, block):
    whole = np.asarray(run(sampling=sampling).tokens)
    inputs, last = inputs_of(PROMPTS)
    parts = list(stream(MODEL, PARAMS, inputs, last, keys_of(5), max_tokens=STEPS, sampling=sampling, block=block))
    assert [part.shape[1] for part in parts[:-1]] == [block] * (len(parts) - 1)
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


@pytest.mark.parametrize("block", [1, 5, 50])
def test_a_stream_stops_when_every_row_has_ended(block):
    end, firsts = an_end()
    rows = [i for i, first in enumerate(firsts) if first < STEPS]
    inputs, last = inputs_of([PROMPTS[i] for i in rows])
    parts = list(stream(MODEL, PARAMS, inputs, last, None, max_tokens=STEPS, sampling=GREEDY, end=end, block=block))
    assert all(part.shape[1] for part in parts)
    tokens = np.concatenate(parts, axis=1)
    assert tokens.shape[1] == max(firsts[i] for i in rows) + 1
    np.testing.assert_array_equal(tokens, run(end=end).tokens[np.array(rows), : tokens.shape[1]])


def test_the_same_key_makes_the_same_and_another_makes_another():
    first, again, other = (np.asarray(run(sampling=WARM, keys=keys_of(5, seed)).tokens) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any(axis=1).all()


def test_equal_prompts_with_their_own_keys_differ():
    tokens = np.asarray(run([PROMPTS[0]] * 6, sampling=Sampling(temperature=3.0)).tokens)
    assert len({tuple(row) for row in tokens}) == 6


def constant(logits):
    """A model that always gives ``logits`` (V,)."""
    return Decodable(lambda p, i: ((), ()), lambda p, m, s, last: (s, jnp.broadcast_to(p, (last.shape[0], V)))), logits


def test_every_position_is_drawn_anew():
    model, logits = constant(jnp.zeros(V))
    rows = np.asarray(generate(model, logits, None, jnp.zeros(40, int), keys_of(40), max_tokens=60).tokens)
    for distance in (1, 2, 5):
        assert abs((rows[:, distance:] == rows[:, :-distance]).mean() - 1 / V) < 0.035


def test_the_last_prompt_token_counts_as_seen():
    model, logits = constant(jnp.full(V, 1.0).at[3].set(2.0))
    never = Sampling(greedy=True, repetition_penalty=1e9)
    made = generate(model, logits, None, jnp.array([3, 4]), None, max_tokens=1, sampling=never)
    assert made.tokens[:, 0].tolist() == [0, 3]


def test_a_heavy_repetition_penalty_never_repeats():
    (tokens, mask), last = inputs_of(PROMPTS)
    seen = seen_tokens(tokens, mask, V)
    never = Sampling(greedy=True, repetition_penalty=1e9)
    model = Decodable(start, lambda *args: (lambda state, logits: (state, logits - 100))(*advance(*args)))
    made = generate(model, PARAMS, (tokens, mask), last, None, max_tokens=2, sampling=never, seen=seen)
    for prompt, row in zip(PROMPTS, np.asarray(made.tokens).tolist(), strict=True):
        assert len({*prompt, *row}) == len(set(prompt)) + 2


def test_nothing_compiles_twice():
    traces = {"start": 0, "advance": 0}

    def counted(name, function):
        def call(*args):
            traces[name] += 1
            return function(*args)

        return call

    model = Decodable(counted("start", start), counted("advance", advance))
    run(model=model, sampling=WARM)
    first = dict(traces)
    run(model=model, sampling=WARM, keys=keys_of(5, seed=9))
    run(model=model, sampling=WARM, params=new_params(3))
    run([prompt[-2:] for prompt in PROMPTS], model=model, sampling=Sampling(**vars(WARM)))
    assert traces == first == {"start": 1, "advance": 1}
    run(model=model, sampling=GREEDY, end=3)
    assert len(list(stream(model, PARAMS, *inputs_of(PROMPTS), None, max_tokens=STEPS, sampling=GREEDY, block=5))) == 3
    assert traces == first


def test_weights_that_are_parameters_are_not_copied():
    """What is compiled returns copies: of a large model, all of its memory once more."""
    model = Decodable(
        start=lambda weights, inputs: ((), weights["cut"][inputs]),
        advance=advance,
        prepare=lambda params: {
            "all": params,
            "cut": params.embedding[:2],
            "twice": (params.kernel, params.kernel * 2),
        },
    )
    weights, _, state = open_model(model, PARAMS, jnp.array([1, 0]))
    assert all(
        one is other for one, other in zip(jax.tree.leaves(weights["all"]), jax.tree.leaves(PARAMS), strict=True)
    )
    assert weights["twice"][0] is PARAMS.kernel
    np.testing.assert_array_equal(weights["twice"][1], 2 * PARAMS.kernel)
    np.testing.assert_array_equal(state, PARAMS.embedding[np.array([1, 0])])


def test_a_block_writes_the_state_where_it_lies():
    """A cache of keys and values would be copied before every block of a stream."""
    rules = Rules(GREEDY)
    given, progress = begin("here", MODEL, PARAMS, *inputs_of(PROMPTS), None, STEPS, rules, None, None)
    after, tokens, made = run_block(MODEL, given, progress, np.int32(STEPS), size=5, rules=rules)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(progress.state))
    assert int(made) == 5
    rest, more, made = run_block(MODEL, given, after, np.int32(7), size=5, rules=rules)
    assert int(made) == 2
    assert int(rest.position) == 7
    both = np.concatenate([tokens, np.asarray(more)[:, :2]], axis=1)
    np.testing.assert_array_equal(both, run().tokens[:, :7])


def test_a_block_compiles_once_wherever_the_parameters_lie():
    """Parameters that were put on a device, as those of a run, make what follows from them stay there too."""
    model, known = Decodable(start, lambda *args: advance(*args)), run_block._cache_size()
    on_a_device = jax.device_put(PARAMS, jax.devices()[0])
    assert len(list(stream(model, on_a_device, *inputs_of(PROMPTS), None, max_tokens=9, sampling=GREEDY, block=3))) == 3
    assert run_block._cache_size() == known + 1


def test_generation_runs_inside_a_transformation():
    inputs, last = inputs_of(PROMPTS)
    inside = jax.jit(lambda *args: generate(MODEL, *args, None, max_tokens=4, sampling=GREEDY))
    np.testing.assert_array_equal(inside(PARAMS, inputs, last).tokens, run().tokens[:, :4])


@pytest.mark.parametrize("way", [generate, stream], ids=["generate", "stream"])
@pytest.mark.parametrize(
    "options, said",
    [
        ({"last": jnp.array([1, 2, 3, 4, V])}, r"last.*ids in \[0, 9\).*\(4,\) holds 9"),
        ({"last": jnp.array([1, 2, 3, 4, -1])}, "last.*holds -1"),
        ({"last": jnp.zeros(5)}, "last.*integer"),
        ({"last": jnp.array(1)}, r"last.*\(B,\)"),
        ({"keys": keys_of(4)}, r"one per row, \(5,\)"),
        ({"keys": None}, "keys.*greedy=True"),
        ({"max_tokens": 0}, "max_tokens.*at least 1"),
        ({"end": V}, "end.*ids"),
        ({"seen": jnp.zeros((5, V + 1), bool)}, "seen"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(way, options, said):
    inputs, last = inputs_of(PROMPTS)
    given = {"last": last, "keys": keys_of(5), "max_tokens": 3, "sampling": WARM} | options
    with pytest.raises(InputError, match=f"{way.__name__}.*{said}"):
        way(MODEL, PARAMS, inputs, **given)


def test_a_block_of_no_tokens_is_refused():
    with pytest.raises(InputError, match="block"):
        stream(MODEL, PARAMS, *inputs_of(PROMPTS), None, max_tokens=3, sampling=GREEDY, block=0)


@pytest.mark.parametrize(
    "model, said",
    [
        (Decodable(lambda p, i: ((), jnp.int32(0)), lambda p, m, s, last: (s, p.kernel[last])), "row axis"),
        (Decodable(lambda p, i: (jnp.zeros(3), ()), lambda p, m, s, last: (s, p.kernel[last])), "`memory.*row axis"),
        (Decodable(lambda p, i: ((), jnp.zeros(5)), lambda p, m, s, last: (s > 0, p.kernel[last])), "shape and type"),
        (Decodable(lambda p, i: ((), jnp.zeros(5)), lambda p, m, s, last: ((s,), p.kernel[last])), "state like"),
        (Decodable(lambda p, i: ((), ()), lambda p, m, s, last: (s, p.kernel)), r"logits.*\(B, V\)"),
    ],
)
def test_a_model_that_breaks_the_contract_is_refused(model, said):
    with pytest.raises(InputError, match=said):
        generate(model, PARAMS, None, jnp.zeros(5, int), None, max_tokens=3, sampling=GREEDY)


def test_numbers_of_python_among_parameters_do_not_widen_a_state():
    """A Python number among the weights is weakly typed: what is checked must be what is computed."""
    model = Decodable(
        start=lambda params, inputs: ((), {"h": jnp.ones((2, 4), jnp.bfloat16)}),
        advance=lambda params, memory, state, last: ({"h": state["h"] * params["decay"]}, jnp.eye(4)[:2]),
    )
    for _ in range(2):
        made = generate(model, {"decay": 0.5}, None, jnp.array([0, 1]), None, max_tokens=2, sampling=GREEDY)
        assert made.tokens.shape == (2, 2)

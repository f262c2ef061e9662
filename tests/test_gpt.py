"""What is peculiar to GPT: windows, documents in a row, initial weights, and the shapes it refuses."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from parameters import drawn

from seqjax.checks import InputError
from seqjax.decoding import Sampling, generate, pad_prompts
from seqjax.decoding.decodable import for_steps
from seqjax.models import GPT, GPTConfig, gpt
from seqjax.ops.dropout import row_keys

V, T, STEPS = 11, 13, 9
LENGTHS = (13, 1, 4, 0, 8)  # of prompts, so that rows fill their windows at different times
SWIFT = {"xla_backend_optimization_level": 0}
SMALL = {"features": 8, "layers": 1, "heads": 2, "hidden": 5}
WINDOWS = {  # by context
    1: GPTConfig(**SMALL, place="post"),
    4: GPTConfig(**SMALL),
    5: GPTConfig(**(SMALL | {"layers": 2}), mixer=("gru", "attention"), positions="alibi", window=3),
}
each_context = pytest.mark.parametrize("context", WINDOWS)


@functools.cache
def made(context: int, config: GPTConfig):
    """The model, and parameters away from zero."""
    model = gpt(config, V, context)
    return model, drawn(model.init)


def test_every_option_of_a_block_reaches_it():
    config = GPTConfig(
        features=12, heads=4, kv_heads=2, mixer=("attention", "lambda"), hidden=5, positions="alibi", norm="rms",
        place="post", activation="swiglu", dropout=0.1, layers=2, window=3, reach=7, remat=True,
    )  # fmt: skip
    model = nnx.eval_shape(lambda: GPT(config, V, 9, rngs=nnx.Rngs(0)))
    assert (model.deep.remat, model.deep.layers) == (True, 1)
    blocks = model.deep.blocks.blocks  # of all layers, stacked
    for block in blocks:
        assert (block.place, block.dropout, type(block.mixer_norm).__name__) == ("post", 0.1, "RMSNorm")
        assert (block.feed_forward.activation, block.feed_forward.down.kernel.shape) == ("swiglu", (1, 5, 12))
    attention, lambdas = (block.mixer for block in blocks)
    assert (attention.heads, attention.kv_heads, attention.positions) == (4, 2, "alibi")
    assert (attention.window, attention.dropout) == (3, 0.1)
    assert (lambdas.heads, lambdas.reach) == (4, 7)


def ids_of(rows: int, time: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(V, size=(rows, time)).astype(np.int32)


def first_of(place: int, context: int) -> int:
    """Where the newest window begins that holds a token and at least half a context before it; 0 if none does."""
    hop = (context + 1) // 2
    fit = [first for first in range(0, place + 1, hop) if context // 2 <= place - first < context]
    return max(fit) if place >= context else 0


def by_windows(model, params, rows, context: int) -> list[np.ndarray]:
    """Log-probabilities (V,) of what follows every token of every row, each by a forward pass of its own."""
    windows = [(row, first_of(p, context), p) for row in rows for p in range(len(row))]
    prompts, mask = np.zeros((len(windows), context), np.int32), np.zeros((len(windows), context), bool)
    for number, (row, first, last) in enumerate(windows):
        size = last + 1 - first
        prompts[number, :size], mask[number, :size] = row[first : last + 1], True
    batch = {"inputs": prompts, "targets": prompts, "mask": mask, "scored": mask, "reset": np.zeros_like(mask)}
    _, logits, *_ = jax.jit(model.predict, compiler_options=SWIFT)(params, batch, None, None)
    scores = np.asarray(jax.nn.log_softmax(logits))[np.arange(len(windows)), mask.sum(axis=1) - 1]
    return np.split(scores, np.cumsum([len(row) for row in rows])[:-1])


@each_context
def test_text_beyond_the_context_is_scored_from_the_newest_window_with_half_a_context_before(context):
    model, params = made(context, WINDOWS[context])
    ids, mask = ids_of(3, T + 1), np.random.default_rng(5).random((3, T)) < [[1.0], [0.7], [0.0]]
    found = np.asarray(jax.jit(model.log_probabilities, compiler_options=SWIFT)(params, ids, mask))
    wanted = by_windows(model, params, [ids[row, :-1][mask[row]] for row in range(2)], context)
    for row in range(2):
        scores = wanted[row][np.arange(mask[row].sum()), ids[row, 1:][mask[row]]]
        np.testing.assert_allclose(found[row][mask[row]], scores, atol=2e-5)
    assert (found[~mask] == 0).all()


@each_context
def test_rows_whose_windows_fill_at_different_times_step_as_each_would_be_scored(context):
    model, params = made(context, WINDOWS[context])
    weights = model.decodable.prepare(params)
    text = ids_of(len(LENGTHS), max(LENGTHS) + STEPS)
    tokens, mask = pad_prompts([text[row, :size] for row, size in enumerate(LENGTHS)], V, smallest=T, fill=7)
    memory, state = jax.jit(model.decodable.start, compiler_options=SWIFT)(weights, {"tokens": tokens, "mask": mask})
    advance = jax.jit(model.decodable.advance, compiler_options=SWIFT)
    rows = [text[row, : size + STEPS] for row, size in enumerate(LENGTHS)]
    wanted = by_windows(model, params, rows, context)
    for step in range(STEPS):
        last = np.array([row[size + step] for row, size in zip(rows, LENGTHS, strict=True)])
        state, logits = advance(weights, memory, state, last)
        scores = [found[size + step] for found, size in zip(wanted, LENGTHS, strict=True)]
        np.testing.assert_allclose(jax.nn.log_softmax(logits), scores, atol=2e-5)


def test_a_model_without_attention_and_positions_has_no_windows():
    config = GPTConfig(**SMALL, mixer=("min-gru",), positions="none")
    assert config.endless
    assert not WINDOWS[5].endless
    model, params = made(2, config)
    ids = ids_of(1, T + 1)
    other = np.where(np.arange(T + 1) == 0, (ids + 1) % V, ids)
    score = jax.jit(model.log_probabilities, compiler_options=SWIFT)
    first, second = (score(params, a, np.ones((1, T), bool)) for a in (ids, other))
    assert np.abs(np.asarray(first - second))[0, -1] > 1e-7
    _, state = jax.eval_shape(model.decodable.start, params, {"tokens": ids, "mask": ids >= 0})
    assert [leaf.shape for leaf in jax.tree.leaves(state)] == [(1, 8)], "the state of one recurrence and nothing else"


def test_documents_in_one_row_do_not_see_each_other():
    for config in (WINDOWS[5], GPTConfig(**SMALL, positions="sinusoidal")):
        model, params = made(16, config)
        ids = ids_of(1, 8)
        batch = {"inputs": ids, "targets": ids, "mask": ids >= 0, "scored": ids >= 0}
        apart = jnp.arange(8)[None] == jnp.array([[0], [3]])
        run = jax.jit(model.predict, compiler_options=SWIFT)
        _, whole, *_ = run(params, batch | {"reset": apart.any(axis=0)[None]}, None, None)
        turned = {name: np.roll(leaf, -3, axis=1) for name, leaf in batch.items()}
        _, alone, *_ = run(params, turned | {"reset": jnp.arange(8)[None] % 5 == 0}, None, None)
        np.testing.assert_allclose(whole[:, 3:], alone[:, :5], atol=2e-5)
        np.testing.assert_allclose(whole[:, :3], alone[:, 5:], atol=2e-5)


def test_a_batch_longer_than_the_context_is_refused():
    model, params = made(4, WINDOWS[4])
    ids = ids_of(1, 5)
    batch = {"inputs": ids, "targets": ids, "mask": ids >= 0, "scored": ids >= 0, "reset": ids < 0}
    with pytest.raises(InputError, match="at most C = 4 tokens long, but it is 5"):
        model.predict(params, batch, None, None)


def test_dropout_is_on_only_with_keys():
    model, params = made(8, GPTConfig(**SMALL, dropout=0.5))
    ids = ids_of(2, 8)
    batch = {"inputs": ids, "targets": ids, "mask": ids >= 0, "scored": ids >= 0, "reset": ids < 0}
    keys = row_keys(jax.random.key(1), jnp.arange(2))
    run = jax.jit(model.predict, compiler_options=SWIFT)
    plain, dropped, again = (run(params, batch, None, k)[1] for k in (None, keys, keys))
    assert np.abs(np.asarray(plain - dropped)).max() > 1e-3
    np.testing.assert_array_equal(dropped, again)


def test_another_prompt_length_compiles_nothing():
    model, params = made(8, GPTConfig(**SMALL))

    def write(size):
        tokens, mask = pad_prompts([ids_of(1, size)[0]], V)
        inputs = {"tokens": jnp.asarray(tokens), "mask": jnp.asarray(mask)}
        return generate(
            model.decodable, params, inputs, jnp.array([3]), None, max_tokens=20, sampling=Sampling(greedy=True)
        )  # fmt: skip

    write(2)
    with count_compilations() as compiled:
        write(9)
    assert compiled == []
    with count_compilations() as compiled:
        write(17)  # the next bucket
    assert compiled != []


@pytest.mark.parametrize(("steps", "slots"), [(5, 32), (60, 64)])
def test_a_cache_is_as_large_as_what_is_to_be_written_and_that_changes_nothing(steps, slots):
    """Where prompt and steps fit into the context, no window is ever full; else there is a slot for all of it."""
    model, params = made(64, GPTConfig(**SMALL))
    tokens, mask = pad_prompts([ids_of(1, size)[0] for size in (9, 3, 0)], V)
    inputs, last = {"tokens": jnp.asarray(tokens), "mask": jnp.asarray(mask)}, jnp.array([1, 2, 3])
    how = {"max_tokens": steps, "sampling": Sampling(greedy=True)}
    whole = generate(model.decodable._replace(within=None), params, inputs, last, None, **how)
    short = generate(model.decodable, params, inputs, last, None, **how)
    np.testing.assert_array_equal(short.tokens, whole.tokens)
    np.testing.assert_allclose(short.log_probabilities, whole.log_probabilities, atol=1e-5)
    given = for_steps(model.decodable, steps)
    _, state = jax.eval_shape(given.start, jax.eval_shape(given.prepare, params), inputs)
    assert state.ids.shape == (3, slots)
    assert given == for_steps(model.decodable, steps), "another model would be compiled anew"
    assert for_steps(model.decodable, 100) == for_steps(model.decodable, 1000) == model.decodable._replace(within=None)


@contextlib.contextmanager
def count_compilations():
    """What JAX compiles inside the block."""
    names: list[str] = []

    def listen(event, duration, **how):
        if "backend_compile" in event:
            names.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)


def initial(config: GPTConfig):
    """Initial parameters, over vocabulary and context large enough to measure."""
    return jax.jit(gpt(config, 300, 100).init, compiler_options=SWIFT)(jax.random.key(0))


def test_initial_weights_are_those_of_gpt_2():
    params = initial(GPTConfig(features=64, layers=8, heads=4))
    blocks = params["deep"]["blocks"]
    for leaf, std in (
        (params["embedding"]["table"], 0.02),
        (params["positions"]["table"], 0.02),
        (blocks["mixer"]["inputs"]["kernel"], 0.02),
        (blocks["feed_forward"]["up"]["kernel"], 0.02),
        (blocks["mixer"]["output"]["kernel"], 0.02 / 4),
        (blocks["feed_forward"]["down"]["kernel"], 0.02 / 4),
    ):
        assert abs(float(leaf.std()) / std - 1) < 0.05
    assert not any(np.any(leaf) for leaf in (blocks["mixer"]["inputs"]["bias"], blocks["feed_forward"]["up"]["bias"]))
    assert float(jnp.abs(blocks["mixer"]["inputs"]["kernel"][0] - blocks["mixer"]["inputs"]["kernel"][1]).max()) > 0.01
    post = initial(GPTConfig(features=64, layers=8, heads=4, place="post"))
    assert abs(float(post["deep"]["blocks"]["mixer"]["output"]["kernel"].std()) / 0.02 - 1) < 0.05
    assert "norm" not in post, "post-norm ends with the norm of the last block"


@pytest.mark.parametrize(
    "shape, words",
    [
        ({"features": 10, "heads": 4}, "D = 8 or D = 12"),
        ({"heads": 4, "kv_heads": 3}, "multiple of `kv_heads`, G = 3"),
        ({"layers": 3, "mixer": ("lstm", "attention")}, "multiple of the 2 mixers.*layers=4"),
        ({"mixer": ()}, "multiple of the 0 mixers"),
        ({"mixer": ("atention",)}, "Did you mean `attention`"),
        ({"mixer": ("lstm",), "positions": "alibi"}, "positions='none'"),
        ({"features": 12, "heads": 4, "positions": "rotary"}, "head width.*Try heads=2"),
        ({"positions": "rotory"}, "Did you mean `rotary`"), ({"dropout": 1.0}, "`dropout`"),
        ({"place": "mid"}, "`place`"), ({"layers": 0}, "`layers`"), ({"window": -1}, "`window`"),
        ({"activation": "tanh"}, "`activation`"), ({"norm": "batch"}, "`norm`"), ({"hidden": -1}, "`hidden`"),
    ],
)  # fmt: skip
def test_an_impossible_shape_is_refused(shape, words):
    with pytest.raises(InputError, match=words):
        GPTConfig(**shape)


def test_a_context_of_nothing_is_refused():
    with pytest.raises(InputError, match="`context` should be at least 1"):
        gpt(GPTConfig(), V, 0)


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "rotary"])
def test_what_its_caches_remember_is_counted(positions):
    model = GPT(GPTConfig(features=8, layers=1, heads=2, positions=positions), 7, 4, rngs=nnx.Rngs(0))

    @jax.jit
    def both(ids):
        state, _ = model(ids[:, :2], state=model.start(1))
        return model(ids[:, 2:], state=state)[1], model(ids)[1][:, 2:]

    last, wanted = both(jnp.array([[0, 1, 2]]))
    np.testing.assert_allclose(last, wanted, atol=1e-5)


def test_more_steps_than_positions_are_refused_in_a_program_too():
    model = GPT(GPTConfig(features=8, layers=1, heads=2), 7, 4, rngs=nnx.Rngs(0))
    with pytest.raises(InputError, match="at most C = 4 steps, the positions that are learned, but T = 6"):
        jax.eval_shape(lambda ids: model(ids)[1], jnp.zeros((1, 6), int))

"""Laws of the language models of the catalogue.

A mask may have holes: a masked symbol is not read, and what follows it goes on from what stands before.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import MODELS, H, V, name_of
from flax import nnx
from parameters import drawn

from seqjax.checks import InputError
from seqjax.decoding.decodable import for_steps
from seqjax.layers import functional
from seqjax.models import LanguageModelConfig, RecurrentLanguageModel, whole_past
from seqjax.ops.dropout import row_keys
from seqjax.ops.losses import token_cross_entropy

B, T, LONG = 4, 6, 9
PLACES = {"right": [0, 1, 2, 3, 4, 5], "left": [3, 4, 5, 6, 7, 8], "holes": [0, 2, 3, 5, 6, 8]}
each_model = pytest.mark.parametrize("row", MODELS, ids=name_of)
SWIFT = {"xla_backend_optimization_level": 0}


@functools.cache
def made(row, dropout: float = 0.0):
    """The model, and parameters away from zero."""
    model = row.build(dropout)
    return model, drawn(model.init)


@functools.cache
def scorer(row):
    """Compiled ``log_probabilities``, and the gradient of their sum by the parameters."""
    model, params = made(row)

    def run(ids, mask):
        def total(params):
            found = model.log_probabilities(params, ids, mask)
            return found.sum(), found

        gradients, found = jax.grad(total, has_aux=True)(params)
        return found, gradients

    run = jax.jit(run, compiler_options=SWIFT)
    return lambda ids, mask: jax.device_get(run(jnp.asarray(ids, jnp.int32), jnp.asarray(mask)))


def symbols(time: int = T, seed: int = 0, rows: int = B):
    """(rows, time + 1) ids."""
    return np.random.default_rng(seed).integers(V, size=(rows, time + 1))


def assert_close(actual, wanted, tolerance: float = 2e-5):
    """Every leaf, relative to its largest number or to one."""
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1.0, np.abs(b).max(initial=0))),
        actual, wanted,
    )  # fmt: skip


@each_model
@pytest.mark.parametrize("place", PLACES)
def test_padding_changes_nothing(row, place):
    ids, places = symbols(), PLACES[place]
    wanted, gradients = scorer(row)(ids, np.ones((B, T), bool))
    for garbage in (0, V - 1, -7, 10**6):
        inputs, targets = np.full((B, LONG), garbage), np.full((B, LONG), garbage)
        mask = np.zeros((B, LONG), bool)
        inputs[:, places], targets[:, places], mask[:, places] = ids[:, :-1], ids[:, 1:], True
        batch = {"inputs": inputs, "targets": targets, "mask": mask}
        if place != "holes":  # with a hole, a symbol's target is not the next one in the row
            padded = np.full((B, LONG + 1), garbage)
            padded[:, places[0] : places[0] + T + 1] = ids
            found, changed = scorer(row)(padded, mask)
            assert_close((found[:, places], changed), (wanted, gradients))
            assert (found[~mask] == 0).all()
        elif row.memory is None:
            model, params = made(row)
            batch |= {"reset": np.arange(LONG) == np.zeros((B, 1)), "scored": mask}
            _, logits, *_ = model.predict(params, jax.tree.map(jnp.asarray, batch), model.carry(B), None)
            scores = jax.nn.log_softmax(logits)[jnp.arange(B)[:, None], jnp.array(places), ids[:, 1:]]
            assert_close(np.asarray(scores), wanted)


@each_model
def test_a_row_does_not_see_its_neighbours(row):
    ids, mask = symbols(), np.ones((B, T), bool)
    whole, _ = scorer(row)(ids, mask)
    mixed, _ = scorer(row)(np.concatenate([ids[:1], symbols(seed=9)[1:]]), mask)
    np.testing.assert_array_equal(whole[0], mixed[0])
    model, params = made(row)
    alone = jax.jit(model.log_probabilities, compiler_options=SWIFT)(params, ids[:1], mask[:1])
    assert_close(np.asarray(alone), whole[:1])


@each_model
def test_the_future_never_changes_the_past(row):
    ids, mask = symbols(), np.ones((B, T), bool)
    other = np.concatenate([ids[:, :4], symbols(seed=9)[:, 4:]], axis=1)
    np.testing.assert_array_equal(scorer(row)(ids, mask)[0][:, :3], scorer(row)(other, mask)[0][:, :3])


@each_model
def test_a_model_sees_as_far_back_as_it_says(row):
    ids, mask = symbols(), np.ones((B, T), bool)
    other = ids.copy()
    other[:, 0] = (other[:, 0] + 1) % V
    same = np.isclose(scorer(row)(ids, mask)[0], scorer(row)(other, mask)[0], rtol=0, atol=1e-7)
    far = np.arange(T) >= (row.memory or T)
    assert same[:, far].all()
    assert not same[:, ~far][:, 0].any()


@each_model
@pytest.mark.parametrize("prefix", [0, 1, 4])
@pytest.mark.parametrize("known", [False, True], ids=["any-number", "so-many"])
def test_steps_equal_the_whole_after_any_prefix(row, prefix, known):
    ids = symbols()
    wanted, _ = scorer(row)(ids, np.ones((B, T), bool))
    prompt, mask = np.full((B, T), V - 1), np.zeros((B, T), bool)
    prompt[:, T - prefix :], mask[:, T - prefix :] = ids[:, :prefix], True
    start, advance = stepper(row, known)
    kind = jnp.uint8 if known else jnp.int32  # of a prompt; what is written is int32 either way
    memory, state = start({"tokens": jnp.asarray(prompt, kind), "mask": jnp.asarray(mask)})
    kinds = jax.tree.map(lambda leaf: leaf.dtype, state)
    for t in range(prefix, T):
        state, logits = advance(memory, state, jnp.asarray(ids[:, t], jnp.int32))
        scores = np.asarray(jax.nn.log_softmax(logits))[np.arange(B), ids[:, t + 1]]
        assert_close(scores, wanted[:, t])
    assert jax.tree.all(jax.tree.map(lambda leaf: leaf.shape[0] == B, state))
    assert jax.tree.map(lambda leaf: leaf.dtype, state) == kinds


@functools.cache
def stepper(row, known=False):
    """Compiled ``start`` and ``advance``, ready for any number of steps, or for so many that tables are worth it."""
    model, params = made(row)
    model = for_steps(model.decodable, 2 * V) if known else model.decodable
    weights = jax.jit(model.prepare, compiler_options=SWIFT)(params)
    both = (functools.partial(function, weights) for function in (model.start, model.advance))
    return tuple(jax.jit(function, compiler_options=SWIFT) for function in both)


@each_model
def test_rows_of_padding_change_no_loss_and_no_gradient(row):
    model, params = made(row, dropout=0.4)
    time, keys = row.memory or T, row_keys(jax.random.key(3), jnp.arange(B))
    ids = symbols(time)
    batch = {"inputs": ids[:, :-1], "targets": ids[:, 1:], "mask": np.ones((B, time), bool)}
    batch |= {"reset": np.arange(time) == np.zeros((B, 1)), "scored": batch["mask"]}

    @functools.partial(jax.jit, compiler_options=SWIFT)
    def gradient(batch, keys):
        def loss(params):
            _, logits, targets, scored = model.predict(params, batch, model.carry(len(keys)), keys)
            return token_cross_entropy(logits, targets, scored)

        (total, count), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        return total, count, gradients

    twice = {name: np.concatenate([leaf, leaf]) for name, leaf in batch.items()}
    garbage = {name: np.full_like(leaf, False if leaf.dtype == bool else 10**6) for name, leaf in batch.items()}
    among = {name: np.concatenate([garbage[name][:3], leaf, garbage[name][3:]]) for name, leaf in batch.items()}
    wanted = jax.device_get(gradient(twice, jnp.concatenate([keys, keys])))  # of the same shape: compiled once
    found = jax.device_get(gradient(among, jnp.concatenate([keys[:3], keys, keys[3:]])))
    assert_close(found, jax.tree.map(lambda leaf: leaf / 2, wanted))
    assert int(found[1]) == B * (1 if row.many_to_one else time)


def test_carried_batches_equal_one_long_batch():
    model, params = made(MODELS[1])
    ids = symbols(2 * T)
    whole = model.log_probabilities(params, jnp.asarray(ids, jnp.int32), jnp.ones((B, 2 * T), bool))
    carry, parts = model.carry(B), []
    for first in (0, T):
        reset = np.broadcast_to((np.arange(T) == 0) & (first == 0), (B, T))
        batch = {"inputs": ids[:, first : first + T], "targets": ids[:, first + 1 : first + T + 1], "reset": reset}
        batch |= {"mask": np.ones((B, T), bool), "scored": np.ones((B, T), bool)}
        carry, logits, targets, _ = model.predict(params, jax.tree.map(jnp.asarray, batch), carry, None)
        parts.append(jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], -1)[..., 0])
    assert_close(np.concatenate(parts, axis=1), np.asarray(whole))
    assert whole_past(LanguageModelConfig(features=H), V, carried=False).carry(B) is None
    with jax.enable_x64(True):  # it begins in the type in which it goes on
        assert {leaf.dtype.name for leaf in jax.tree.leaves(model.carry(B))} == {"float64"}


@pytest.mark.parametrize("width", [H, 3])
def test_tied_weights_score_symbols_with_their_own_vectors(width):
    config = LanguageModelConfig(features=H, embedding=width, tied=True)
    model = RecurrentLanguageModel(config, V, rngs=nnx.Rngs(0))
    ys = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, H)), jnp.float32)
    narrow = ys if width == H else ys @ model.narrow.kernel[...] + model.narrow.bias[...]
    np.testing.assert_allclose(model.score(ys), narrow @ model.embedding.table[...].T + model.head.bias[...], atol=1e-6)
    params, apply = functional(model)
    assert all(leaf.shape != (H, V) for leaf in jax.tree.leaves(params)), "no kernel of its own"
    gradient = jax.grad(lambda params: apply(params, ys, method="score")[..., 2].sum())(params)
    assert np.flatnonzero(np.abs(gradient["embedding"]["table"]).sum(axis=1)).tolist() == [2]


def test_layers_are_as_residual_and_begin_as_learned_as_is_asked():
    for asked in (False, True):
        config = LanguageModelConfig(features=H, residual=asked, learn_initial=asked)
        stack = nnx.eval_shape(lambda config=config: RecurrentLanguageModel(config, V, rngs=nnx.Rngs(0))).stack
        assert stack.residual is asked
        assert (stack.layers[0].initial is not None) is asked


@pytest.mark.parametrize(
    "shape, words",
    [
        ({"features": 0}, "`features`"), ({"layers": 0}, "`layers`"), ({"embedding": -1}, "`embedding`"),
        ({"dropout": 1.0}, "`dropout`"), ({"cell": "gro"}, "Did you mean `gru`"),
    ],
)  # fmt: skip
def test_an_impossible_shape_is_refused(shape, words):
    with pytest.raises(InputError, match=words):
        LanguageModelConfig(**shape)

"""Skip-gram, continuous bag of words and GloVe: their losses by hand, the laws, and the step on many devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import word_vectors as oracle

from seqjax.checks import InputError
from seqjax.models.word_vectors import (
    GloveConfig,
    SoftmaxVectorsConfig,
    VectorsConfig,
    cbow,
    glove,
    skipgram,
    skipgram_softmax,
)
from seqjax.ops.negative_sampling import negative_sampling
from seqjax.tasks.embeddings import objective
from seqjax.training.devices import fetch, local_rows, place
from seqjax.training.optimizers import OptimizerConfig, make_optimizer
from seqjax.training.state import create_state
from seqjax.training.step import cast, make_train_step, parallel

V, E, B, T, W, S, K = 11, 5, 4, 3, 2, 6, 2
SWIFT = {"xla_backend_optimization_level": 0}
VECTORS, GLOVE = VectorsConfig(features=E, negatives=K), GloveConfig(features=E, x_max=3.0)
MODELS = {
    "skipgram": (skipgram(VECTORS, V), functools.partial(oracle.skipgram, k=K)),
    "skipgram-softmax": (skipgram_softmax(SoftmaxVectorsConfig(features=E), V), oracle.skipgram_softmax),
    "cbow": (cbow(VECTORS, V), functools.partial(oracle.cbow, k=K)),
    "glove": (glove(GLOVE, V), functools.partial(oracle.glove, x_max=3.0, alpha=0.75)),
}
each_model = pytest.mark.parametrize("name", MODELS)


def batch_for(name, seed=0, rows=B):
    """Sentences that end in a row; its last words, and its last row, hold nothing."""
    random = np.random.default_rng(seed)
    ids = functools.partial(random.integers, 1, V, dtype=np.int32)
    if name == "glove":
        count = random.uniform(0.2, 9, rows).astype(np.float32)
        count[-1] = 0
        return {"row": ids(size=rows), "column": ids(size=rows), "count": count}
    sentence = np.cumsum(random.random((rows, T + 2 * W)) < 0.3, axis=1).astype(np.int32)
    sentence[:, -1] = -1
    sentence[-1] = -1
    reach = random.integers(1, W + 1, (rows, T)).astype(np.int32)
    return {"words": ids(size=sentence.shape), "sentence": sentence, "reach": reach, "negatives": ids(size=(rows, S))}


@functools.cache
def params_for(name):
    random = np.random.default_rng(1)
    shapes = jax.eval_shape(MODELS[name][0].init, jax.random.key(0))
    return jax.tree.map(lambda leaf: random.normal(size=leaf.shape, scale=0.7).astype(np.float32), shapes)


@functools.cache
def compiled(name):
    """(loss, its gradient, its count)."""
    model = MODELS[name][0]
    work = lambda params, batch: (*jax.value_and_grad(model.loss)(params, batch), model.examples(batch))  # noqa: E731
    return jax.jit(work, compiler_options=SWIFT)


def moved(params, way, by: float):
    return jax.tree.map(lambda leaf, d: leaf + by * d, params, way)


def difference(one, other) -> float:
    return max(jax.tree.leaves(jax.tree.map(lambda a, b: float(np.abs(a - b).max()), one, other)))


@each_model
def test_the_loss_and_its_gradient_are_those_of_pairs_taken_one_by_one(name):
    params, batch = params_for(name), batch_for(name)
    loss, gradient, count = compiled(name)(params, batch)
    exact = jax.tree.map(lambda leaf: leaf.astype(np.float64), params)
    wanted, examples = MODELS[name][1](exact, batch)
    assert examples > 0
    assert int(count) == examples
    np.testing.assert_allclose(float(loss), wanted, rtol=1e-5)
    random = np.random.default_rng(0)
    for _ in range(3):
        way = jax.tree.map(lambda leaf: random.normal(size=leaf.shape), exact)
        ends = [MODELS[name][1](moved(exact, way, by), batch)[0] for by in (1e-6, -1e-6)]
        slope = sum(
            jax.tree.leaves(jax.tree.map(lambda g, d: float((np.asarray(g, np.float64) * d).sum()), gradient, way))
        )
        np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-6, rtol=1e-4, atol=1e-4)


@each_model
def test_garbage_in_padding_changes_nothing(name):
    params, batch = params_for(name), batch_for(name)
    dirty = {key: np.array(value) for key, value in batch.items()}
    if name == "glove":
        dirty["row"][-1], dirty["column"][-1] = 10**6, -7
    else:
        dirty["words"][batch["sentence"] < 0] = 10**6
        dirty["words"][-1] = -7
    clean, changed = (compiled(name)(params, one) for one in (batch, dirty))
    assert difference(clean, changed) == 0


@each_model
def test_a_batch_is_the_sum_of_its_rows_and_nothing_gives_nothing(name):
    params, batch = params_for(name), batch_for(name)
    whole = compiled(name)(params, batch)
    empty = jax.tree.map(lambda leaf: np.repeat(leaf[-1:], B, axis=0), batch)
    parts = []
    for row in range(B):
        one = {key: np.array(value) for key, value in empty.items()}
        for key, value in batch.items():
            one[key][0] = value[row]
        parts.append(compiled(name)(params, one))
    summed = jax.tree.map(lambda *leaves: sum(leaves), *parts)
    assert difference(whole, summed) < 1e-4
    assert difference(parts[-1], jax.tree.map(jnp.zeros_like, parts[-1])) == 0


@each_model
def test_losses_of_vectors_in_half_precision_are_added_up_in_single(name):
    with jax.numpy_dtype_promotion("strict"):
        loss = jax.eval_shape(MODELS[name][0].loss, cast(params_for(name), jnp.bfloat16), batch_for(name))
    assert loss.dtype == jnp.float32


@pytest.mark.parametrize("name", ["skipgram", "cbow"])
def test_a_share_of_the_loss_has_its_share_of_the_gradient(name):
    params, batch = params_for(name), batch_for(name)
    share = jax.jit(jax.grad(lambda params, batch: MODELS[name][0].loss(params, batch) / 7), compiler_options=SWIFT)
    _, gradient, _ = compiled(name)(params, batch)
    assert difference(share(params, batch), jax.tree.map(lambda leaf: leaf / 7, gradient)) < 1e-5


@pytest.mark.parametrize("name", ["skipgram", "glove"])
def test_devices_do_not_matter(name):
    model = MODELS[name][0]
    optimizer = make_optimizer(OptimizerConfig(name="sgd", learning_rate=0.05, schedule="linear", clip=0.0), 8)
    start = jax.device_get(create_state(jax.tree.map(jnp.asarray, params_for(name)), optimizer))
    ends, losses = [], []
    for devices, accumulate in ((1, 1), (4, 1), (1, 2)):
        used = jax.local_devices()[:devices]
        step = make_train_step(objective(model, 7.0), optimizer, accumulate=accumulate)
        run, state = parallel(step, devices=used), place(start, used)
        for number in range(4):
            state, metrics = run(state, local_rows(batch_for(name, number), used), jax.random.key(0))
        ends.append(fetch(state).params)
        losses.append(float(metrics["loss"][0]))
    assert max(difference(ends[0], end) for end in ends[1:]) < 1e-5
    np.testing.assert_allclose(losses, losses[0], rtol=1e-5)


def test_the_learning_rate_is_that_of_one_pair():
    """A step of SGD moves the tables by the sum of what each pair would have moved them."""
    model, batch = MODELS["skipgram"][0], batch_for("skipgram")
    optimizer = make_optimizer(OptimizerConfig(name="sgd", learning_rate=0.025, schedule="constant", clip=0.0), 8)
    _, gradient, count = compiled("skipgram")(params_for("skipgram"), batch)
    state = place(create_state(jax.tree.map(jnp.array, params_for("skipgram")), optimizer), jax.local_devices()[:1])
    run = parallel(make_train_step(objective(model, float(count)), optimizer), devices=jax.local_devices()[:1])
    after, _ = run(state, local_rows(batch, jax.local_devices()[:1]), jax.random.key(0))
    wanted = jax.tree.map(lambda leaf, g: leaf - 0.025 * g, params_for("skipgram"), gradient)
    assert difference(fetch(after).params, wanted) < 1e-6


def test_sizes_that_cannot_be_are_refused():
    for make, message in (
        (lambda: VectorsConfig(features=0), "`features` should be at least 1"),
        (lambda: VectorsConfig(negatives=0), "`negatives` should be at least 1"),
        (lambda: GloveConfig(x_max=0.0), "`x_max` should be above 0"),
    ):
        with pytest.raises(InputError, match=message):
            make()


def test_words_are_not_told_from_no_noise():
    with pytest.raises(InputError, match="at least after J = 3"):
        negative_sampling(jnp.ones((1, 2, 4)), jnp.ones((1, 3, 4)), jnp.ones((1, 2, 3)), 5.0)

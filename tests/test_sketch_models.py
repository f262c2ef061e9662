"""Models of drawings: a point at a time is the whole drawing at once; what is drawn belongs to its row."""

import dataclasses
import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.decoding import Decodable, make_values
from seqjax.models.sketch import cell_centres, grid_cells, grid_head, read_points, unsteady
from seqjax.models.sketch_rnn import Latent, SketchRNNConfig, sketch_rnn
from seqjax.models.sketchformer import SketchformerConfig, sketchformer
from seqjax.ops.dropout import row_keys
from seqjax.tasks.sketch import DivergenceConfig, RecurrentSketchConfig, objective

B, T, CLASSES = 3, 5, 2
SWIFT = {"xla_backend_optimization_level": 0}
RNN = {"encoder_features": 3, "features": 4, "mixtures": 2}
FORMER = SketchformerConfig(features=4, layers=1, heads=2, hidden=5, latent=3, plan=2, mixtures=2)
MODELS = {
    "sketch-rnn": lambda: sketch_rnn(SketchRNNConfig(latent=2, **RNN)),
    "decoder-only": lambda: sketch_rnn(SketchRNNConfig(latent=0, places=False, **RNN)),
    "sketchformer": lambda: sketchformer(FORMER, longest=T),
    "sketchformer-paper": lambda: sketchformer(dataclasses.replace(FORMER, plan=0), longest=T),
    "sketchformer-grid": lambda: sketchformer(dataclasses.replace(FORMER, grid=4), longest=T, reach=3.0),
}


def drawings(seed: int = 0):
    """A batch of drawings of 5, 3 and 1 points."""
    random = np.random.default_rng(seed)
    strokes = np.concatenate([random.normal(size=(B, T, 2)), random.integers(0, 2, (B, T, 1))], axis=-1)
    mask = np.arange(T) < np.array([[5], [3], [1]])
    return {"strokes": strokes.astype(np.float32), "mask": mask, "label": np.array([0, 1, -1], np.int32)}


@functools.cache
def made(name):
    """A model and parameters far from where training starts."""
    model, random = MODELS[name](), np.random.default_rng(0)
    params = jax.device_get(jax.jit(model.init, compiler_options=SWIFT)(jax.random.key(0)))
    return model, jax.tree.map(lambda leaf: leaf + random.normal(size=leaf.shape, scale=0.3).astype("float32"), params)


@pytest.mark.parametrize("name", MODELS)
def test_one_point_at_a_time_is_the_whole_drawing_at_once(name):
    model, params = made(name)
    batch = drawings()

    def both(params, strokes, mask):
        points = read_points(strokes, mask)
        latent = model.encode(params, {"strokes": strokes, "mask": mask}) if model.encode else jnp.zeros((B, 0))
        weights = model.decodable.prepare(params)
        memory, state = model.decodable.start(weights, {"latent": latent})
        read = jnp.concatenate([points.offsets, points.pen[..., None]], axis=-1)
        lasts = jnp.concatenate([jnp.zeros((1, B, 3)), read.swapaxes(0, 1)[:-1]])

        def step(state, last):
            state, output = model.decodable.advance(weights, memory, state, last)
            return state, output.raw

        raws = jax.lax.scan(step, state, lasts)[1].swapaxes(0, 1)
        whole = model.read(params, {"strokes": strokes, "mask": mask}).nats
        return whole, model.head.nats(raws, points)

    whole, stepped = jax.jit(both, compiler_options=SWIFT)(params, batch["strokes"], batch["mask"])
    np.testing.assert_allclose(stepped, whole, rtol=2e-4, atol=2e-4)
    assert float(abs(whole[0]).min()) > 0
    with jax.enable_x64(True):  # what is remembered is as wide as what remembers it
        start, latent = model.decodable.start, jnp.zeros((B, model.latent))
        shapes = jax.eval_shape(lambda key: start(model.init(key), {"latent": latent})[1], jax.random.key(0))
        found = {leaf.dtype.name for leaf in jax.tree.leaves(shapes) if jnp.issubdtype(leaf.dtype, jnp.floating)}
        assert found == {"float64"}


def test_a_drawing_depends_on_its_own_key_and_vector_alone():
    model, params = made("sketch-rnn")
    keys, latent = row_keys(jax.random.key(1), jnp.arange(4)), jnp.asarray(np.eye(4, 2), jnp.float32)

    def draw(rows):
        rows = np.array(rows)
        return make_values(
            model.decodable, params, {"latent": latent[rows]}, jnp.zeros((len(rows), 3)), keys[rows],
            choose=model.head.choose, max_steps=6, options=jnp.float32(0.8),
        )  # fmt: skip

    whole, alone, turned = draw([0, 1, 2, 3]), draw([2]), draw([3, 2, 1, 0])
    np.testing.assert_allclose(whole.values[2], alone.values[0], atol=1e-5)
    np.testing.assert_allclose(whole.values[::-1], turned.values, atol=1e-5)
    ended = np.asarray(whole.values[..., 2] == 2)
    for row, length in enumerate(np.asarray(whole.lengths)):
        assert not ended[row, : length - 1].any()
        assert not np.asarray(whole.values[row, length:]).any()


COUNT = Decodable(lambda params, inputs: ((), ()), lambda params, memory, state, last: (state, last + params))


def until(output, keys, options):
    """Take the output as it is; rows end at the number of the options."""
    return output, output >= options


def test_a_prefix_is_kept_and_does_not_end_a_row():
    keys = row_keys(jax.random.key(0), jnp.arange(2))
    prefix = np.array([[5.0, 1.0], [0.0, 0.0]]), np.array([[True, True], [False, False]])
    found = make_values(
        COUNT, 1.0, None, np.array([0.0, 2.0]), keys, choose=until, max_steps=4, options=3.0, prefix=prefix
    )  # fmt: skip
    assert found.values.tolist() == [[5, 1, 2, 3], [3, 0, 0, 0]]
    assert found.lengths.tolist() == [4, 1]
    with pytest.raises(InputError, match="prefix of 2 steps"):
        make_values(COUNT, 1.0, None, np.zeros(2), keys, choose=until, max_steps=1, options=3.0, prefix=prefix)
    values, mask = prefix
    for wrong, said in [
        ((values[:1], mask), r"\(B, P, …\)"),
        ((values[..., None], mask), r"\(B, P, …\)"),
        ((values, np.array([[True, True], [False, True]])), "on the right"),
    ]:
        with pytest.raises(InputError, match=said):
            make_values(COUNT, 1.0, None, np.zeros(2), keys, choose=until, max_steps=4, prefix=wrong)


def test_every_step_draws_anew():
    def drawing(output, keys, options):
        return output + jax.vmap(jax.random.uniform)(keys), jnp.zeros(len(output), bool)

    keys = row_keys(jax.random.key(0), jnp.arange(2))
    found = make_values(COUNT, 0.0, None, np.zeros(2), keys, choose=drawing, max_steps=5)
    drawn = np.diff(np.asarray(found.values), axis=1, prepend=0)
    assert len(np.unique(drawn.round(4))) == 10


def test_a_grid_spreads_a_cell_over_its_area():
    side, reach = 4, 2.0
    centres = cell_centres(jnp.arange(side**2), side, reach)
    assert grid_cells(centres, side, reach).tolist() == list(range(side**2))
    assert grid_cells(jnp.array([[9.0, -9.0]]), side, reach).tolist() == [3]
    points = read_points(jnp.array([[[0.3, 0.2, 0.0]]]), jnp.array([[True]]))
    (nats,) = np.asarray(grid_head(side, reach).nats(jnp.zeros((1, 1, 19)), points))[0]
    assert nats == pytest.approx(np.log(16) + np.log(3))  # of 16 units of area, and of 3 states of the pen


def test_the_divergence_is_that_of_normal_distributions():
    random = np.random.default_rng(0)
    mean, log_variance = random.normal(size=(2, 1, 3))
    drawn = mean + np.exp(log_variance / 2) * random.normal(size=(200_000, 3))
    apart = -0.5 * ((drawn - mean) ** 2 / np.exp(log_variance) + log_variance) + 0.5 * drawn**2
    found = float(Latent(jnp.asarray(mean), jnp.asarray(log_variance)).divergence()[0])
    assert found == pytest.approx(apart.sum(axis=1).mean(), rel=0.02)


def test_the_weight_of_the_divergence_rises_and_a_floor_costs_nothing():
    model, params = made("sketch-rnn")
    batch = {name: jnp.asarray(leaf) for name, leaf in drawings().items()} | {"example": jnp.arange(B)}
    keys = row_keys(jax.random.key(0), jnp.arange(B))

    def divergence(floor, steps):
        config = RecurrentSketchConfig(divergence=DivergenceConfig(begin=0.25, left=0.5, floor=floor))
        terms = objective(model, config).terms
        return lambda params: terms(params, batch, jnp.full((B,), steps), keys, True)

    def measured(params):
        found = [divergence(0.0, steps)(params) for steps in (0, 1, 90)]
        floored = divergence(1e4, 90)(params)[0]["divergence"]
        return [(sums["divergence"], metrics["kl"][0]) for sums, _, metrics in found], found[0][1], floored

    found, carry, floored = jax.jit(measured, compiler_options=SWIFT)(params)
    np.testing.assert_allclose([paid / kl for paid, kl in found], [0.25, 0.625, 1.0], rtol=1e-5)
    assert carry.tolist() == [1] * B
    assert float(floored) == pytest.approx(B * 1e4)  # whatever the parameters


def test_vectors_are_drawn_as_far_from_their_means_and_hands_as_unsteady_as_is_said():
    points = jax.jit(read_points)(np.zeros((2, 500, 3), np.float32), np.ones((2, 500), bool))

    @jax.jit
    def run(keys):
        wide = jnp.zeros((2, 4000))
        return Latent(wide + 3, wide + np.log(4)).draw(keys), [unsteady(points, amount, keys) for amount in (0.05, 0.4)]

    drawn, hands = jax.device_get(run(row_keys(jax.random.key(0), jnp.arange(2))))
    np.testing.assert_allclose((drawn.mean(axis=1), drawn.std(axis=1)), ([3, 3], [2, 2]), atol=0.15)
    for amount, (before, wanted) in zip((0.05, 0.4), hands, strict=True):
        assert before.places.std() == pytest.approx(amount, rel=0.1)
        np.testing.assert_allclose(before.places + wanted.offsets, points.places, atol=1e-6)


def test_every_term_of_a_drawing_has_the_weight_that_is_asked_for():
    config, model = RecurrentSketchConfig(naming=0.3), SimpleNamespace(latent=2, prior=True)
    assert objective(model, config).weights == {"reconstruction": 1.0, "divergence": 0.2, "classification": 0.3}
    plain = objective(SimpleNamespace(latent=0, prior=True), RecurrentSketchConfig(naming=0))
    assert plain.weights == {"reconstruction": 1.0}

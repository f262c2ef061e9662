"""Readers of pictures beside NumPy, pictures inside larger paper, and the figure of where a captioner looked."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from seqjax.checks import InputError
from seqjax.models.captioner import AttentionCaptioner, AttentionCaptionerConfig
from seqjax.models.pictures import PictureConfig, PictureReader
from seqjax.models.pure import pure
from seqjax.ops.pictures import blank, convolve, cut_patches, grid_places
from seqjax.plots.looks import looks

SWIFT = {"xla_backend_optimization_level": 0}


def plain_convolution(xs, taps, stride):
    """In float64, tap by tap."""
    high, wide = xs.shape[1:3]
    padded = np.pad(xs.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    ys = sum(
        padded[:, i : i + high : stride, j : j + wide : stride] @ taps[i, j].astype(np.float64)
        for i in range(3)
        for j in range(3)
    )
    return np.asarray(ys)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_equals_a_sum_over_taps(stride):
    random = np.random.default_rng(0)
    xs, taps = random.normal(size=(2, 4, 6, 3)).astype("float32"), random.normal(size=(3, 3, 3, 5)).astype("float32")
    found = convolve(jnp.asarray(xs), jnp.asarray(taps), stride)
    np.testing.assert_allclose(found, plain_convolution(xs, taps, stride), atol=1e-5)


def test_patches_and_places_follow_the_lines_of_the_picture():
    picture = np.arange(4 * 6 * 2, dtype=np.float32).reshape(1, 4, 6, 2)
    patches = np.asarray(cut_patches(jnp.asarray(picture), 2))[0]
    for number in range(6):
        row, column = divmod(number, 3)
        part = picture[0, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        np.testing.assert_array_equal(patches[number], part.reshape(-1))
    mask = np.zeros((1, 3, 4), bool)
    mask[0, 1:, 1:3] = True
    rows, columns = grid_places(jnp.asarray(mask))
    assert np.asarray(rows)[mask].tolist() == [0, 0, 1, 1]
    assert np.asarray(columns)[mask].tolist() == [0, 1, 0, 1]


def test_paper_around_a_picture_changes_nothing_of_it():
    random, models = np.random.default_rng(0), {}
    for encoder in ("convolutions", "patches"):
        config = PictureConfig(encoder=encoder, features=4, layers=2, heads=2, patch=2)
        init, apply = pure(lambda rngs, config=config: PictureReader(config, 1, rngs=rngs))
        models[encoder] = (
            apply,
            jax.tree.map(
                lambda leaf: random.normal(size=leaf.shape, scale=0.5).astype("float32"),
                jax.eval_shape(init, jax.random.key(0)),
            ),
        )

    @functools.partial(jax.jit, compiler_options=SWIFT)
    def run(params, pictures, mask):
        return {name: apply(params[name], pictures, mask=mask) for name, (apply, _) in models.items()}

    picture = random.random((1, 4, 6, 1), np.float32)
    pictures, mask = np.zeros((3, 8, 12, 1), np.float32), np.zeros((3, 4, 6), bool)
    for row, (y, x) in enumerate(((0, 0), (2, 4), (4, 6))):  # above to the left, in the middle, below to the right
        pictures[row] = (0.0, np.nan, np.inf)[row]
        pictures[row, y : y + 4, x : x + 6] = picture[0]
        mask[row, y // 2 : y // 2 + 2, x // 2 : x // 2 + 3] = True
    for ys in run({name: params for name, (_, params) in models.items()}, pictures, mask.reshape(3, -1)).values():
        ys = np.asarray(ys).reshape(3, 4, 6, 4)
        real = ys[mask].reshape(3, 6, 4)
        np.testing.assert_allclose(real[1:], np.broadcast_to(real[:1], (2, 6, 4)), atol=2e-5)
        assert (ys[~mask] == 0).all()
        assert np.abs(real[0] - real[0].mean(axis=0)).max() > 1e-2


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="5 × 8 pixels are not whole patches of 4 × 4"):
        cut_patches(jnp.zeros((1, 5, 8, 1)), 4)
    with pytest.raises(InputError, match="do not make a patch of 8"):
        PictureConfig(patch=8, layers=3)
    with pytest.raises(InputError, match="heads"):
        PictureConfig(encoder="patches", features=6, heads=4)


def test_a_panel_for_each_word_is_bright_where_the_word_looked(tmp_path):
    weights = np.zeros((3, 8))
    weights[0, 0] = weights[1, 7] = 1
    weights[2] = 1 / 8
    drawn = looks(
        np.random.default_rng(0).random((4, 8, 1)), ["três", "oito", "<end>"], weights, patch=2, title="a row"
    )
    assert [axes.get_title("left") for axes in drawn.axes] == ["picture", "três", "oito", "<end>"]
    assert [len(axes.images) for axes in drawn.axes] == [1, 3, 3, 3]
    light = drawn.axes[2].images[-1].get_array()[..., 3]
    assert light.shape == (2, 4)
    assert np.unravel_index(light.argmax(), light.shape) == (1, 3)
    assert (light > 0).sum() == 1
    drawn.savefig(tmp_path / "looks.png")
    tall = looks(np.zeros((8, 8, 3)), ["a"] * 6, np.zeros((6, 16)), patch=2)
    assert len(tall.axes) == 7
    with pytest.raises(InputError, match=r"`weights` should be \(T, P\) = \(1, 8\)"):
        looks(np.zeros((4, 8)), ["a"], np.zeros((1, 9)), patch=2)
    with pytest.raises(InputError, match="whole patches"):
        looks(np.zeros((4, 8)), ["a"], np.zeros((1, 8)), patch=3)


@pytest.mark.parametrize("grid", [(0, 2), (3, 2), (8, 2)])
def test_patches_that_do_not_cut_pictures_evenly_are_not_blanked(grid):
    with pytest.raises(InputError, match=r"blank: `pictures` .* multiples of"):
        blank(jnp.ones((1, 4, 4, 1)), jnp.ones((1, *grid), bool))
    assert blank(jnp.ones((1, 0, 4, 1)), jnp.ones((1, 0, 2), bool)).shape == (1, 0, 4, 1)


def test_vectors_of_words_are_made_larger_as_a_transformers_are():
    shape = AttentionCaptionerConfig(features=12, picture=PictureConfig(features=4))
    model = nnx.eval_shape(lambda: AttentionCaptioner(shape, 1, 5, (64, 9), rngs=nnx.Rngs(0)))
    assert model.scale == pytest.approx(12**0.5)

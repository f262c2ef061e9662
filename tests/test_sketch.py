"""The task ``sketch`` from the command line: train, draw, evaluate other files, and what is refused."""

import contextlib
import json
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from command_line import assert_own_splits, assert_refused, seqjax, training

from seqjax.checks import InputError
from seqjax.data.stroke_files import read_svg
from seqjax.data.stroke_pictures import braille, paint
from seqjax.data.strokes import to_lines
from seqjax.tasks import sketch_generate
from seqjax.tasks.command import read_command
from seqjax.tasks.session import open_existing
from seqjax.tasks.sketch import build, use
from seqjax.tasks.sketch_baseline import LEAST, GaussianMixture, fit_baseline, fit_mixture
from seqjax.tasks.sketch_generate import GenerateSketches, between, generate
from seqjax.tasks.sketch_kept import kept_of
from seqjax.training.configuration import read_json
from seqjax.training.folder import RunFolder
from seqjax.training.journal import read

SHAPES = {
    "bar": [[0, 9, 1], [2, -9, 0], [0, 9, 1]],
    "roof": [[-4, 4, 0], [8, 0, 0], [-4, -4, 1]],
}
TINY = [
    "--model.encoder-features", 8, "--model.features", 16, "--model.latent", 2, "--model.plan", 2,
    "--model.mixtures", 2, "--model.dropout", 0, "--shown", 2, "--rival", 2, "--batch-size", 16,
    "--data.longest", 8, "--data.buckets", 1, "--data.augment.drop", 0,
    "--divergence.weight", 0.01, "--divergence.floor", 0,
    "--optimizer.warmup", 0, "--optimizer.learning-rate", 0.02,
]  # fmt: skip


def drawings(shape: str, count: int, seed: int) -> np.ndarray:
    """A shape, drawn by an unsteady hand."""
    random, made = np.random.default_rng(seed), np.empty(count, object)
    for number in range(count):
        points = np.array(SHAPES[shape], np.float32)
        points[:, :2] += random.normal(size=(3, 2)) * 0.3
        made[number] = points
    return made


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shapes")
    for number, shape in enumerate(SHAPES):
        parts = {"train": 40, "valid": 8, "test": 8}
        found = {name: drawings(shape, count, 10 * number + n) for n, (name, count) in enumerate(parts.items())}
        np.savez(folder / f"{shape}.npz", **found)
    return folder


def command(out, files, preset: str, *words) -> list:
    """A small run; ``words`` come last and win."""
    return ["sketch", preset, "--out", out, "--data.path", files, *TINY, "--steps", 2, "--evaluate-every", 2, *words]


@contextlib.contextmanager
def away(folder: Path):
    """While this holds, the data is gone."""
    hidden = folder.rename(folder.with_name("hidden"))
    try:
        yield
    finally:
        hidden.rename(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory, files) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("runs") / "shapes"
    said = training(*command(folder, files, "sketch-rnn", "--steps", 120, "--evaluate-every", 60))
    assert said.code == 0, said.err
    assert "80 + 16 + 16" in said.out
    return folder


def test_it_learns_to_draw_again_what_it_sees(run):
    last = read(run / "metrics.jsonl")[-1]
    assert last["split"] == "test"
    assert last["loss"] < last["bound"] < last["baseline"]
    assert last["bound"] == pytest.approx(last["loss"] + last["kl"])
    assert last["named"] > 0.8
    assert last["named_real"] == 1.0
    assert (run / "reconstructions.png").read_bytes().startswith(b"\x89PNG")
    assert "⣀" in (run / "samples.txt").read_text() or "⠉" in (run / "samples.txt").read_text()


def test_generate_writes_svg_and_png_of_every_kind_without_the_data(run, files, tmp_path):
    with away(files):
        said = seqjax("generate", run, "--out", tmp_path / "made", "--count", 2, "--temperature", 0.2)
    assert said.code == 0, said.err
    kinds = ("samples", "variations", "reconstructions", "interpolations", "completions")
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == sorted(
        f"{kind}.{ending}" for kind in kinds for ending in ("svg", "png")
    )
    assert [line.split("/")[-1] for line in said.out.splitlines()] == [f"{kind}.svg and .png" for kind in kinds]
    strokes = read_svg(tmp_path / "made" / "reconstructions.svg")
    assert len(to_lines(strokes)) >= 10
    before = (tmp_path / "made" / "samples.svg").read_text()
    seqjax("generate", run, "--out", tmp_path / "made", "--what", "samples", "--count", 2, "--temperature", 0.2)
    assert (tmp_path / "made" / "samples.svg").read_text() == before
    assert_refused(seqjax("generate", run), "--out DIR should name the folder")
    assert_refused(seqjax("generate", run, "--out", tmp_path, "--temperature", 0), "--temperature")


def test_evaluate_repeats_the_last_row_without_the_data_and_reads_other_files(run, files, tmp_path):
    last = read(run / "metrics.jsonl")[-1]
    with away(files):
        own = json.loads(seqjax("evaluate", run, "--json").out)
    assert_own_splits(run)
    for name in ("loss", "kl", "named", "baseline"):
        assert own[name] == pytest.approx(last[name], rel=1e-4)
    said = seqjax("evaluate", run, "--data.path", tmp_path / "none.npz")
    assert_refused(said, "none.npz", "no such file")
    kept = (run / "drawings.npz").read_bytes()
    (run / "drawings.npz").write_bytes(kept[:-200])
    assert_refused(seqjax("evaluate", run), "drawings.npz", "not readable", "Delete it")
    (run / "drawings.npz").write_bytes(kept)


def test_what_a_run_keeps_of_its_drawings_is_what_it_would_read_again(run, tmp_path):
    _, config, folder = open_existing(str(run))
    spread = read_json(folder.scaling)["spread"]
    kept, again = (kept_of(where, config, None, spread) for where in (folder, RunFolder(tmp_path)))
    for a, b in ((kept.test, again.test), (kept.train, again.train)):
        assert [one.name for one in a] == [one.name for one in b]
        assert all(np.array_equal(one.strokes, other.strokes) for one, other in zip(a, b, strict=True))
    np.testing.assert_allclose(kept.rival.pen, again.rival.pen)
    for one, other in zip(kept.rival.mixture, again.rival.mixture, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("preset", ["decoder-only", "sketchformer", "sketchformer-grid"])
def test_every_preset_makes_a_job_whose_loss_is_a_number(preset, tmp_path, files):
    flags = ["--data.path", files, "--out", tmp_path, "--data.longest", 8, "--batch-size", 4]
    config = read_command([str(word) for word in ["sketch", preset, *flags]]).config
    job = build(config, RunFolder(tmp_path)).job
    params = jax.eval_shape(job.init, jax.random.key(0))
    batch, carry = job.batches[0], job.carry(4)
    sums, _, metrics = jax.eval_shape(lambda p, b: job.objective.terms(p, b, carry, None, False), params, batch)
    assert {leaf.shape for leaf in jax.tree.leaves(sums)} == {()}
    assert ("accuracy" in metrics) == preset.startswith("sketchformer")


def test_what_a_model_cannot_draw_is_said(tmp_path, files):
    for preset, kind, words in (
        ("decoder-only", "interpolations", "draws from nothing"),
        ("sketchformer", "samples", "no distribution to draw from.*--what variations"),
    ):
        config = read_command(["sketch", preset, "--data.path", str(files)]).config
        folder = RunFolder(tmp_path / preset)
        folder.path.mkdir()
        build(config, folder)
        own = use(config, folder, lambda shapes: shapes)
        with pytest.raises(InputError, match=f"no {kind}: .*{words}"):
            list(generate(own, GenerateSketches(out=str(tmp_path / "made"), what=kind)))
    assert not (tmp_path / "made").exists()


def test_drawings_that_are_none_are_refused_and_leave_no_run(tmp_path):
    wrong = np.empty(1, object)
    wrong[0] = np.array([[1, 2, 0], [3, 4, 2]], np.float32)
    np.savez(tmp_path / "cat.npz", train=wrong, valid=wrong, test=wrong)
    said = training(*command(tmp_path / "run", tmp_path / "cat.npz", "sketch-rnn"))
    assert_refused(said, "cat.npz, train drawing 1", "point 2", "pen state 2.0")
    assert not (tmp_path / "run").exists()


def test_the_rival_fits_at_least_as_well_as_what_the_offsets_were_drawn_from():
    random = np.random.default_rng(0)
    turned = np.array([[1.0, 0.8], [0.0, 0.6]])
    offsets = np.concatenate([random.normal(size=(300, 2)) @ turned, random.normal(size=(200, 2)) * 0.2 + 4])
    true = GaussianMixture(
        np.array([0.6, 0.4]), np.array([[0.0, 0.0], [4.0, 4.0]]), np.stack([turned.T @ turned, 0.04 * np.eye(2)])
    )
    assert fit_mixture(offsets, 2).log_density(offsets).mean() >= true.log_density(offsets).mean()
    line = np.column_stack([np.linspace(0, 1, 50), np.zeros(50)])
    values = np.linalg.eigvalsh(fit_mixture(line, 2).covariances)
    assert values.min() == pytest.approx(LEAST**2)


def test_the_rival_sees_one_state_of_the_pen_before():
    strokes = [np.array([[1.0, 0, 0], [1, 0, 1], [-1, 1, 1]])] * 97
    fitted = fit_baseline(strokes, 2)
    np.testing.assert_allclose(np.exp(fitted.pen[0]), [0.497, 0.497, 0.005], atol=2e-3)
    places = fitted.mixture.log_density(strokes[0][:, :2]).mean()
    assert fitted.nats(strokes) == pytest.approx(-places + (2 * np.log(2) + np.log(100 / 98)) / 3, abs=0.01)


def test_pictures_stay_on_their_paper():
    far = np.array([[1e7, 1e7, 0], [0, -1e7, 1]])
    assert paint(far, 8, 4.0).shape == (8, 8)
    assert np.isfinite(paint(far, 8, 4.0)).all()
    assert [len(line) for line in braille(np.zeros((3, 3)), 4, 2)] == [4, 4]


def test_variations_lie_between_several_neighbours_and_completions_begin_with_half(monkeypatch):
    vectors, random = np.array([[0.0], [1.0], [2.0], [3.0], [99.0]]), np.random.default_rng(0)
    found = np.array([between(vectors, vectors[1], random)[0] for _ in range(50)])
    assert found.min() < 1
    assert 2 < found.max() < 3
    monkeypatch.setattr(sketch_generate, "chosen", lambda *given: [np.ones((5, 3)), np.ones((2, 3))])
    use = SimpleNamespace(
        model=SimpleNamespace(encode=None), draw=lambda latent, key, temperature, begun: [len(one) for one in begun]
    )
    rows = sketch_generate.completions(use, GenerateSketches(out="x", count=2)).rows
    assert [(len(first), more) for first, *more in rows] == [(3, [3] * 5), (1, [1] * 5)]

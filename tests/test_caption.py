"""The task ``caption`` from the command line: train, describe files, draw where it looked, and what is refused."""

import json
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from command_line import assert_own_splits, assert_refused, seqjax, training
from PIL import Image

from seqjax.data.caption_config import Caption
from seqjax.tasks.caption import build
from seqjax.tasks.caption_use import Describer, examine
from seqjax.tasks.command import read_command
from seqjax.tasks.hypotheses import Hypothesis
from seqjax.training.folder import RunFolder
from seqjax.training.journal import read

TINY = [
    "--data.size", 4, 8, "--batch-size", 8, "--shown", 1, "--examples", 4, "--optimizer.warmup", 0,
    "--optimizer.learning-rate", 0.02, "--model.picture.features", 8, "--model.picture.layers", 2,
    "--data.longest", 6,
]  # fmt: skip
SAID = {"en": ("left", "right"), "pt": ("à esquerda", "à direita")}


def draw(path: Path, left: int, right: int) -> None:
    """A picture with so much light on its left and on its right."""
    pixels = np.zeros((4, 8), np.uint8)
    pixels[:, 1:3], pixels[:, 5:7] = left, right
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Pictures with a light on one side, each with a caption in each language."""
    path, lines = tmp_path_factory.mktemp("lights"), []
    for number in range(24):
        light, side = 150 + 4 * number, number % 2
        draw(path / f"{number}.png", *(light, 0) if side == 0 else (0, light))
        lines += [f"{number}.png\t{said[side]}\t{language}" for language, said in SAID.items()]
    (path / "captions.tsv").write_text("\n".join(lines), encoding="utf-8")
    return path


def command(out, folder, preset: str, *words) -> list:
    """A small run; ``words`` come last and win."""
    return [
        "caption", preset, "--out", out, "--data.path", folder, *TINY, "--steps", 2, "--evaluate-every", 2, *words,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory, folder) -> Path:
    """A finished run."""
    out = tmp_path_factory.mktemp("runs") / "lights"
    said = training(*command(out, folder, "attention", "--model.features", 12, "--steps", 60, "--evaluate-every", 60))
    assert said.code == 0, said.err
    assert "32 pixels" not in said.out
    return out


def test_it_learns_describes_files_and_draws_where_it_looked(run, folder, tmp_path):
    last = read(run / "metrics.jsonl")[-1]
    assert last["split"] == "test"
    assert last["exact_match"] == 1
    assert last["bleu"] == pytest.approx(100)
    assert {"loss", "accuracy", "bleu"} <= last.keys()
    assert (run / "attention.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((run / "labels.json").read_text())["labels"] == ["en", "pt"]
    paths = f"{folder}/0.png\n{folder}/1.png\n"
    assert seqjax("predict", run, stdin=paths).out == "left\nright\n"
    flags = ["--language", "pt", "--beam", 2, "--n-best", 2, "--attention", tmp_path / "maps"]
    said = seqjax("predict", run, *flags, stdin=paths)
    rows = [line.split("\t") for line in said.out.splitlines()]
    assert [row[0] for row in rows] == ["1", "1", "2", "2"]
    assert (rows[0][2], rows[2][2]) == ("à esquerda", "à direita")
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["0001.png", "0002.png"]
    said = seqjax("score", run, stdin=f"{folder}/0.png\tà esquerda\tpt\n{folder}/0.png\tà direita\tpt\n")
    good, bad = (float(line.split("\t")[0]) for line in said.out.splitlines())
    assert good == pytest.approx(float(rows[0][1]), abs=1e-3)
    assert bad < good - 1


def test_evaluate_repeats_the_last_row_and_reads_other_files(run, folder, tmp_path):
    last = read(run / "metrics.jsonl")[-1]
    said = json.loads(seqjax("evaluate", run, "--json").out)
    assert_own_splits(run)
    for name in ("loss", "accuracy", "exact_match", "bleu"):
        assert said[name] == pytest.approx(last[name], rel=1e-4)
    lines = f"{folder}/0.png\tright\ten\n{folder}/0.png\tleft\ten\n{folder}/1.png\tleft\ten\nnone.png\tleft\ten\n"
    (tmp_path / "other.tsv").write_text(lines)
    said = seqjax("evaluate", run, "--data.path", tmp_path / "other.tsv")
    assert_refused(said, "other.tsv, line 4", "none.png does not exist", "--data.skip-broken")
    said = json.loads(
        seqjax("evaluate", run, "--json", "--data.path", tmp_path / "other.tsv", "--data.skip-broken").out
    )
    assert (said["exact_match"], said["skipped"]) == (0.5, 1)  # either caption of the first picture is right
    (tmp_path / "other.tsv").write_text(f"{folder}/0.png\tlinks\tde\n")
    assert_refused(seqjax("evaluate", run, "--data.path", tmp_path / "other.tsv"), "is in 'de'", "trained on", "en, pt")


def test_predict_refuses_what_it_cannot_read_or_leaves_its_line_empty(run, folder):
    paths = f"{folder}/0.png\n{folder}/none.png\n"
    assert_refused(seqjax("predict", run, stdin=paths), "line 2", "none.png does not exist", "--skip-broken")
    said = seqjax("predict", run, "--skip-broken", stdin=paths)
    assert said.out == "left\n\n"
    assert "1 of 2 pictures" in said.err
    assert_refused(seqjax("predict", run, "--language", "de", stdin=paths), "--language", "'de'", "en, pt")
    assert_refused(seqjax("predict", run, "--n-best", 2, stdin=paths), "--beam 2")
    assert_refused(seqjax("score", run, stdin=f"{folder}/0.png left\n"), "line 1", "PATH TAB CAPTION")


@pytest.mark.parametrize("preset, encoder", [("lstm", "convolutions"), ("transformer", "patches")])
def test_every_preset_makes_a_job_whose_loss_is_a_number(preset, encoder, tmp_path, folder):
    flags = ["--model.picture.encoder", encoder, "--label-smoothing", 0.1 if preset == "lstm" else 0]
    config = read_command([str(word) for word in command(tmp_path, folder, preset, *flags)]).config
    job = build(config, RunFolder(tmp_path)).job
    params = jax.eval_shape(job.init, jax.random.key(0))
    train = preset == "lstm"
    sums, _, more = jax.eval_shape(lambda p, b: job.objective.terms(p, b, None, None, train), params, job.batches[0])
    assert more.keys() == {"nats" if train else "accuracy"}  # beside what is smoothed, what is not
    assert jax.tree.map(lambda leaf: leaf.shape, sums) == {"cross_entropy": ()}
    assert ("embedding" in params["reader"]["encoder"]) == (encoder == "patches")


def test_wrong_flags_and_files_are_refused_and_leave_no_run(tmp_path, folder):
    for flags, words in (
        (["--data.size", 5, 8], ["5 × 8 pixels are not whole patches", "--data.size 4 8"]),
        (["--data.longest", 1], ["2 symbols", "--data.longest is 1"]),
        (["--model.features", 0], ["--model.features should be at least 1"]),
        (["--model.picture.patch", 3], ["--model.picture.patch should be 1, 2, 4, 8"]),
        (["--model.attention", "local-p"], ["attention", "additive"]),
    ):
        said = training(*command(tmp_path / "run", folder, "attention", *flags))
        assert_refused(said, *words)
        assert not (tmp_path / "run").exists()


def test_of_validation_only_so_many_captions_are_looked_at_and_any_of_a_picture_is_right():
    class Sure(Describer):
        def openings(self, captions):
            return np.zeros(len(captions), np.int32)

        def describe(self, pictures, opening, options):
            return [[Hypothesis(picture, 0.0)] for picture in pictures]

        def text(self, ids):
            return ids

    captions = [Caption(*row) for row in (("1", "left", "en"), ("1", "right", "en"), ("2", "up", "en"))]
    part = SimpleNamespace(captions=captions, draw=lambda chosen, epoch: np.array(["right", "", "down"])[chosen])
    measure = examine(Sure(None, None, None, None, None), {"valid": part, "test": part}, 1, None, from_files=False)
    assert measure(None, "valid") == {"exact_match": 0.0}  # of the first, one caption is known
    assert measure(None, "test") == {"exact_match": 0.5}

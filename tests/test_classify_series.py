"""Classes of series on the command line: visits, digits and films; areas under curves against scikit-learn."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from command_line import assert_own_splits, assert_refused, seqjax, training
from flax import nnx

from seqjax import cells
from seqjax.checks import InputError
from seqjax.models.reading import RecurrentReaderConfig, make_reader
from seqjax.models.series import TimeAwareReaderConfig, TimeAwareSeriesConfig, make_series_encoder
from seqjax.tasks.classify import PRESETS, build, use
from seqjax.tasks.classify_source import source_of
from seqjax.tasks.classify_visits import scores
from seqjax.tasks.command import read_command
from seqjax.tasks.ranking_metrics import area_under_roc, average_precision, of_classes, with_interval
from seqjax.training.folder import RunFolder
from seqjax.training.journal import read

SWIFT = ["--batch-size", "16", "--log-every", "20", "--optimizer.warmup", "0", "--shown", "1", "--data.buckets", "1"]
TABLE = ["--data.time", "day", "--data.label", "status", "--data.leave-out", "ending"]


def table(people: int = 60, *, labelled: bool = True) -> str:
    """The last two visits of whoever is ill are close together; nothing else tells."""
    random = np.random.default_rng(0)
    lines = ["person,day," + ("status,ending," if labelled else "") + "dose,sex"]
    for number in range(people):
        ill = bool(number % 2)
        gaps = np.array([*random.integers(20, 60, size=number % 4 + 1), 3 if ill else 50])
        for day in np.cumsum([0, *gaps]):
            told = f"{'ill' if ill else 'well'},{number}," if labelled else ""
            lines.append(f"p{number},{day},{told}{random.normal():.2f},{'fm'[number % 3 > 0]}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("visits") / "visits.csv"
    path.write_text(table(), encoding="utf-8")
    return path


def command(out, file, *words) -> list:
    """A small run over visits; ``words`` come last and win."""
    flags = [*TABLE, "--data.id", "person", "--data.path", file, "--model.reader.features", "8", *SWIFT]
    return ["classify", "time-aware-lstm", "--out", out, *flags, "--optimizer.learning-rate", "0.05", *words]


@pytest.fixture(scope="module")
def run(tmp_path_factory, file):
    """A finished run over visits, and what it said."""
    folder = tmp_path_factory.mktemp("runs") / "visits"
    said = training(*command(folder, file, "--steps", "60", "--evaluate-every", "30"))
    assert said.code == 0, said.err
    return folder, said


def test_visits_are_told_apart_by_their_intervals(run):
    folder, said = run
    row = read(folder / "metrics.jsonl")[-1]
    assert row["split"] == "test"
    assert row["auroc_low"] <= row["auroc"] <= row["auroc_high"]
    assert row["auroc"] > 0.65
    assert {"auprc", "auprc_low", "auprc_high", "macro_f1", "baseline", "baseline_auroc"} <= row.keys()
    assert "divided by" in said.out
    assert "visits from 0 to" in (folder / "samples.txt").read_text()


def test_a_table_without_classes_gets_a_line_an_id(run, file):
    folder, _ = run
    said = seqjax("predict", folder, stdin=table(12, labelled=False))
    assert said.code == 0, said.err
    rows = [line.split("\t") for line in said.out.splitlines()]
    assert [row[0] for row in rows] == [f"p{number}" for number in range(12)]
    assert np.mean([row[1] == ("well", "ill")[n % 2] for n, row in enumerate(rows)]) > 0.6
    alone = "\n".join(line for line in table(12, labelled=False).splitlines() if line[:3] in ("per", "p5,"))
    assert seqjax("predict", folder, stdin=alone).out.splitlines() == said.out.splitlines()[5:6]
    assert seqjax("predict", folder, stdin="").out == ""
    assert_refused(seqjax("predict", folder, stdin=table(4).replace("person", "who")), "standard input", "'person'")
    assert_refused(
        seqjax("predict", folder, stdin="person,day,dose,sex\np1,0,1,f\np1,1,much,f\n"),
        "line 3, column 'dose'",
        "'much'",
    )


def test_evaluate_needs_the_folder_alone_and_measures_other_tables(run, tmp_path):
    folder, _ = run
    last = read(folder / "metrics.jsonl")[-1]
    said = json.loads(seqjax("evaluate", folder, "--json").out)
    assert_own_splits(folder)
    for name in ("loss", "auroc", "auroc_low", "auprc"):
        assert said[name] == pytest.approx(last[name], rel=1e-4)
    (tmp_path / "other.csv").write_text(table(8))
    assert json.loads(seqjax("evaluate", folder, "--json", "--data.path", tmp_path / "other.csv").out)["auroc"] > 0.6
    (tmp_path / "strange.csv").write_text(table(8).replace(",ill,", ",il,"))
    assert_refused(seqjax("evaluate", folder, "--data.path", tmp_path / "strange.csv"), "'il'", "Did you mean `ill`")
    lines = (tmp_path / "other.csv").read_text().splitlines()
    late = lines[1].replace("p0,", "late,", 1)
    (tmp_path / "short.csv").write_text("\n".join([lines[0], *reversed(lines[1:]), late]) + "\n")
    words = ["evaluate", folder, "--json", "--data.path", tmp_path / "short.csv"]
    assert_refused(seqjax(*words), "--data.sort")
    assert_refused(seqjax(*words, "--data.sort"), "'late' has one visit", "--data.skip-short")
    assert_refused(seqjax(*words, "--data.skip-broken"), "--data.skip-broken is nothing for the data of this run")
    assert json.loads(seqjax(*words, "--data.sort", "--data.skip-short").out)["skipped"] == 1
    said = seqjax("evaluate", folder, "--data.skip-short")
    assert_refused(said, "its test split would hold what it was trained on")
    assert "is a flag of training" not in said.err, "evaluate has it, for other files"
    said = seqjax("predict", folder, stdin="person,day,dose,sex\np1,0,1,f\n")
    assert_refused(said, "--data.skip-short is a flag of training; predict reads as the run was trained to")


def test_a_refused_table_leaves_no_folder(file, tmp_path):
    assert_refused(training(*command(tmp_path / "run", file, "--data.id", "persn")), "'persn'", "Did you mean `person`")
    (tmp_path / "short.csv").write_text(table() + "late,0,ill,1,1,f\n")
    short = command(tmp_path / "run", tmp_path / "short.csv")
    assert_refused(training(*short), "'late' has one visit", "--data.skip-short")
    assert not (tmp_path / "run").exists()


def test_digits_are_read_a_row_a_step(tmp_path):
    flags = ["--data.pixels", "8", "--model.reader.features", "16", "--model.output.dropout", "0", "--shown", "2"]
    words = ["classify", "digits", "--out", tmp_path / "run", *SWIFT, *flags, "--batch-size", "32"]
    said = training(*words, "--steps", "120", "--evaluate-every", "120", "--optimizer.learning-rate", "0.02")
    assert said.code == 0, said.err
    row = read(tmp_path / "run" / "metrics.jsonl")[-1]
    assert row["accuracy"] > 0.7
    assert row["baseline"] > 0.7
    assert "@" in (tmp_path / "run" / "samples.txt").read_text()
    numbers = " ".join(["0.5"] * 64)
    assert len(seqjax("predict", tmp_path / "run", stdin=numbers + "\n").out.splitlines()) == 1
    assert_refused(seqjax("predict", tmp_path / "run", stdin=numbers + " 1\n"), "line 1 should hold")
    assert_refused(seqjax("predict", tmp_path / "run", stdin="one two\n"), "line 1 should hold", "one two")
    assert_refused(seqjax("evaluate", tmp_path / "run", "--data.path", "x.png"), "x.png", "scikit-learn")


def test_films_become_batches_of_frames(tmp_path):
    flags = ["--data.films", "24", "8", "8", "--data.motions", "left", "right", "--data.frames", "5", "8"]
    config = read_command(["classify", "frames", *flags, *SWIFT, "--batch-size", "4"]).config
    job, summary = build(config, RunFolder(tmp_path))
    batch = job.batches[0]
    assert (batch["xs"].shape, batch["label"].shape) == ((4, 8, 144), (4,))
    assert 5 <= batch["mask"].sum(axis=1).min() <= batch["mask"].sum(axis=1).max() <= 8
    assert ("films", "24 + 8 + 8 (train + valid + test)") in summary
    source = source_of(config.data)
    [(columns, film)] = source.read_lines([" ".join(["0"] * 288)], config.data)
    assert (columns, film.shape) == ([], (2, 12, 12))
    with pytest.raises(InputError, match="frames of 12 × 12 numbers"):
        source.read_lines(["0 1"], config.data)
    rival = source.rival(use(config, RunFolder(tmp_path), lambda shapes: None).front, *source.read(config.data)[:2])
    assert 0 <= rival["baseline"] <= 1


def test_every_preset_of_series_is_there():
    assert {"time-aware-lstm", "visits-lstm", "visits-lstm-elapsed"} <= PRESETS.keys()
    assert {
        f"{kind}{model}" for kind in ("digits", "frames") for model in ("", "-tcn", "-transformer")
    } <= PRESETS.keys()


def test_areas_equal_scikit_learn():
    from sklearn.metrics import average_precision_score, roc_auc_score

    random = np.random.default_rng(0)
    for classes, ties in ((2, 1), (2, 8), (4, 3)):
        wanted = random.integers(0, classes, 200)
        made = random.integers(1, 2 + 20 // ties, size=(200, classes)) + 3.0 * np.eye(classes)[wanted]
        probabilities = made / made.sum(axis=1, keepdims=True)
        one = np.eye(classes)[wanted] if classes > 2 else wanted
        scores = probabilities if classes > 2 else probabilities[:, 1]
        assert of_classes(area_under_roc, wanted, probabilities) == pytest.approx(roc_auc_score(one, scores))
        found = of_classes(average_precision, wanted, probabilities)
        assert found == pytest.approx(average_precision_score(one, scores))


def test_intervals_hold_the_area_and_shrink_with_more_examples():
    random = np.random.default_rng(0)
    widths = []
    for count in (30, 600):
        wanted = np.arange(count) % 2
        positive = 1 / (1 + np.exp(-(wanted - 0.5 + random.normal(size=count))))
        found = with_interval("auroc", area_under_roc, wanted, np.stack([1 - positive, positive], axis=1), draws=200)
        assert found["auroc_low"] < found["auroc"] < found["auroc_high"]
        widths.append(found["auroc_high"] - found["auroc_low"])
    assert widths[1] < widths[0] / 2
    made = np.stack([1 - positive, positive], axis=1)[:40]
    both = scores(wanted[:40], made)
    for name, area in (("auroc", area_under_roc), ("auprc", average_precision)):
        assert both[name] == of_classes(area, wanted[:40], made)


@pytest.mark.parametrize("make, forget, others", [(cells.lstm, 1, (2, 3)), (cells.gru, 1, (0, 2))])
def test_gates_start_spread_out_over_the_memory_that_is_expected(make, forget, others):
    bias = make(longest=50.0).init(jax.random.key(0), 2, 16).bias
    parts = np.asarray(bias).reshape(-1, 16)
    assert (parts[forget] >= 0).all()
    assert parts[forget].max() <= np.log(49) + 1e-6
    assert parts[forget].std() > 0.3
    assert not parts[list(others)].any()


def test_memory_is_for_cells_that_have_gates():
    with pytest.raises(InputError, match="with `memory` 100"):
        RecurrentReaderConfig(cell="elman", memory=100)


def test_the_memory_that_is_expected_and_how_it_fades_reach_the_cells():
    shape = RecurrentReaderConfig(cell="gru", features=4, memory=50)
    reader = nnx.eval_shape(lambda: make_reader(shape, 3, rngs=nnx.Rngs(0)))
    assert reader.stack.layers[0].forward.cell is cells.gru(longest=50.0)
    for decay, wanted in (("log", cells.log_decay), ("inverse", cells.inverse_decay)):
        visits = TimeAwareSeriesConfig(reader=TimeAwareReaderConfig(features=4, decay=decay))
        encoder = nnx.eval_shape(lambda visits=visits: make_series_encoder(visits, 3, rngs=nnx.Rngs(0)))
        assert encoder.layers[0][0].cell is cells.lstm_time_aware(decay=wanted)

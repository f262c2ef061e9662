"""The task ``forecast`` from the command line: train, forecast rows of CSV, evaluate other series, and refusals."""

import datetime
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from command_line import assert_own_splits, assert_refused, seqjax, training

from seqjax.data.time_series import read_series
from seqjax.data.time_series_windows import split_windows
from seqjax.tasks import forecast_adding as adding
from seqjax.tasks.command import read_command
from seqjax.tasks.forecast import FORECAST, build
from seqjax.tasks.session import open_existing, trained
from seqjax.training.folder import RunFolder
from seqjax.training.journal import read

TINY = [
    "--data.context", 14, "--data.horizon", 7, "--batch-size", 16, "--optimizer.warmup", 0,
    "--optimizer.learning-rate", 0.01,
]  # fmt: skip


def table(days: int = 260, *, seed: int = 0) -> str:
    """A week that repeats itself one higher, but for chance, and a column that knows nothing."""
    random = np.random.default_rng(seed)
    week = np.tile([0.0, 1.0, 2.0, 1.5, 3.0, 5.0, 4.0], days // 7 + 1)[:days]
    rows = ["day,visits,noise"]
    for day in range(days):
        date = datetime.date(2023, 1, 1) + datetime.timedelta(day)
        rows.append(f"{date},{week[day] + day / 7 + 0.1 * random.normal():.4f},{random.normal():.4f}")
    return "\n".join(rows) + "\n"


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("days") / "days.csv"
    path.write_text(table())
    return path


def command(out, file, preset: str, *words) -> list:
    """A small run; ``words`` come last and win."""
    return [
        "forecast", preset, "--out", out, "--data.path", file, "--data.targets", "visits", *TINY,
        "--steps", 2, "--evaluate-every", 2, *words,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory, file) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("runs") / "days"
    flags = ["--steps", 120, "--evaluate-every", 60, "--model.reader.features", 8, "--model.anchor", "season"]
    said = training(*command(folder, file, "lstm", *flags))
    assert said.code == 0, said.err
    return folder


def test_it_beats_the_naive_forecasts_and_draws_its_band(run):
    last = read(run / "metrics.jsonl")[-1]
    assert last["split"] == "test"
    assert last["loss"] < last["baseline"] == min(last[name] for name in ("naive", "seasonal_naive", "drift"))
    assert {"linear_ar", "pinball", "coverage", "mae"} <= last.keys()
    assert 0.4 < last["coverage"] <= 1
    assert (run / "forecast.png").read_bytes().startswith(b"\x89PNG")
    assert "(7 ahead): visits" in (run / "samples.txt").read_text()


def test_predict_goes_on_where_the_rows_end(run, tmp_path, file):
    lines = file.read_text().splitlines()
    picture = tmp_path / "ahead.png"
    said = seqjax("predict", run, "--picture", picture, stdin="\n".join(lines) + "\n")
    made = [line.split(",") for line in said.out.splitlines()]
    assert made[0] == ["day", "visits", "visits_0.1", "visits_0.5", "visits_0.9"]
    last = datetime.date.fromisoformat(lines[-1].split(",")[0])
    assert [row[0] for row in made[1:]] == [str(last + datetime.timedelta(n)) for n in range(1, 8)]
    assert all(float(row[2]) <= float(row[3]) <= float(row[4]) for row in made[1:])
    assert picture.read_bytes().startswith(b"\x89PNG")
    shuffled = [",".join(line.split(",")[place] for place in (0, 2, 1)) for line in lines[:1] + lines[-14:]]
    assert seqjax("predict", run, stdin="\n".join(shuffled) + "\n").out == said.out  # the last 14 rows are enough
    assert_refused(seqjax("predict", run, stdin="\n".join(lines[:9]) + "\n"), "14 rows", "there are 8")
    assert_refused(seqjax("predict", run, stdin="day,visits\n1,2\n"), "'noise'", "standard input")
    assert_refused(seqjax("predict", run, stdin="day,visits,noise\n2023-01-01,2,x\n"), "row 2, column `noise`", "'x'")
    said = seqjax("predict", run, "--picture", tmp_path / "ahead.nothing", stdin="\n".join(lines) + "\n")
    assert_refused(said, "--picture", ".png")


def test_evaluate_repeats_the_last_row_and_reads_other_series_without_the_first(run, tmp_path, file):
    last = read(run / "metrics.jsonl")[-1]
    said = json.loads(seqjax("evaluate", run, "--json").out)
    assert_own_splits(run)
    for name in ("loss", "pinball", "baseline", "linear_ar", "coverage", "mae"):
        assert said[name] == pytest.approx(last[name], rel=1e-4)
    use = trained(open_existing(str(run)))
    windows = split_windows(read_series(use.data), use.scaling, use.data)["test"]
    point, quantiles = use.forecast(windows.seen)
    inside = (quantiles[..., 0] <= windows.came) & (windows.came <= quantiles[..., -1])
    assert last["coverage"] == pytest.approx(inside.mean())
    assert 0 < last["coverage"] < 1
    for number, quantile in enumerate(np.moveaxis(use.back(point, quantiles)[1], -1, 0)):
        np.testing.assert_array_equal(quantile, use.scaling.back(quantiles[..., number]))
    (tmp_path / "other.csv").write_text(table(60, seed=5))
    text = file.read_text()
    file.unlink()
    try:
        other = json.loads(seqjax("evaluate", run, "--json", "--data.path", tmp_path / "other.csv").out)
    finally:
        file.write_text(text)
    assert other["loss"] < other["baseline"]
    assert other["baseline"] != last["baseline"]


def test_a_run_remembers_its_column_of_times(run, tmp_path, file):
    lines = [line.split(",") for line in file.read_text().splitlines()]
    rows = [["row", "visits", "day", "noise"]]
    rows += [[str(n), visits, day, noise] for n, (day, visits, noise) in enumerate(lines[1:])]
    text = "\n".join(map(",".join, rows)) + "\n"
    assert seqjax("predict", run, stdin=text).out == seqjax("predict", run, stdin=file.read_text()).out
    numbered = seqjax("predict", run, "--data.time", "row", stdin=text).out.splitlines()
    assert (numbered[0].split(",")[0], numbered[1].split(",")[0]) == ("row", "260")
    renamed = text.replace("day", "date")
    said = seqjax("predict", run, stdin=renamed)
    assert_refused(said, "'day'", "--data.time")
    assert "--data.time is a flag" not in said.err
    (tmp_path / "renamed.csv").write_text(renamed)
    assert_refused(seqjax("evaluate", run, "--data.path", tmp_path / "renamed.csv"), "'day'", "--data.time")
    said = seqjax("evaluate", run, "--json", "--data.path", tmp_path / "renamed.csv", "--data.time", "date")
    assert json.loads(said.out)["baseline"] > 0
    assert_refused(seqjax("evaluate", run, "--data.time", "date"), "--data.path")


def test_predict_and_samples_write_times_as_the_file_has_them(tmp_path):
    days = np.busday_offset(np.datetime64("2023-01-02"), np.arange(200))
    for name, form in (("offset", "{}T00:00:00+05:00"), ("digits", "{:%Y%m%d}")):
        rows = "".join(f"{form.format(day.item())},{n % 5 + n / 9},{n % 7}\n" for n, day in enumerate(days))
        (tmp_path / f"{name}.csv").write_text("day,visits,noise\n" + rows)
        run = tmp_path / name
        said = training(*command(run, tmp_path / f"{name}.csv", "lstm", "--model.reader.features", 4))
        assert said.code == 0, said.err
        assert json.loads((run / "scaling.json").read_text())["season"] == 5
        short = "day,visits,noise\n" + "\n".join(rows.splitlines()[-14:]) + "\n"  # too short to see that days work
        made = [line.split(",")[0] for line in seqjax("predict", run, stdin=short).out.splitlines()[1:]]
        ahead = np.busday_offset(days[-1], np.arange(1, 8))
        assert made == [form.format(day.item()) for day in ahead]
        assert any(f"{form.format(day.item())} (1 ahead)" in (run / "samples.txt").read_text() for day in days)


def test_the_loss_is_that_of_the_forecasts_themselves(run, file):
    """By hand: every origin of the test split, from the rows before it, in the file's units."""
    last = read(run / "metrics.jsonl")[-1]
    lines = file.read_text().splitlines()
    visits = np.array([float(line.split(",")[1]) for line in lines[1:]])
    deviation, origins = visits[:182].std(), range(221, 260 - 7 + 1)  # 0.7 and 0.85 of 260 days
    seasonal = np.mean([np.abs(visits[o : o + 7] - visits[o - 7 : o]).mean() for o in origins])
    assert last["seasonal_naive"] == pytest.approx(seasonal / deviation, rel=1e-4)
    assert last["mae"] / deviation == pytest.approx(last["loss"], rel=1e-3)
    scaling = json.loads((run / "scaling.json").read_text())
    assert scaling["deviation"][0] == pytest.approx(deviation)
    assert scaling["season"] == 7


@pytest.mark.parametrize("preset", [name for name in FORECAST.presets if name != "adding"])
def test_every_preset_makes_a_job_whose_loss_is_a_number(preset, tmp_path, file):
    flags = command(tmp_path, file, preset, "--model.anchor", "season", "--shown", 0)
    config = read_command([str(word) for word in flags]).config
    job = build(config, RunFolder(tmp_path)).job
    params = jax.eval_shape(job.init, jax.random.key(0))
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 16))
    half = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, "bfloat16"), params)
    for train, weights in ((True, half), (False, params)):
        step = lambda p, b, k, train=train: job.objective.terms(p, b, None, k if train else None, train)  # noqa: E731
        sums, _, _ = jax.eval_shape(step, weights, job.batches[0], keys)
        assert jax.tree.map(lambda leaf: leaf.shape, sums) == {"error": (), "pinball": ()}


WRONG = {
    "an unparsable number": (table().replace("2023-01-03,", "2023-01-03,much", 1), [], ["row 4, column `visits`"]),
    "unsorted times": (table().replace("2023-01-03,", "2022-01-03,", 1), [], ["row 4", "Sort"]),
    "a time that comes twice": (table().replace("2023-01-03,", "2023-01-02,", 1), [], ["row 4", "twice"]),
    "a constant column": (
        "day,visits,noise\n" + "".join(f"{n},{n * n},7\n" for n in range(200)), [], ["`noise` is constant", "7"],
    ),
    "a series shorter than its horizon": (table(20), [], ["20 steps", "--data.horizon"]),
    "too few windows for a batch": (table(36), ["--data.split", 0.6, 0.2, 0.2], ["batch"]),
    "no season for the anchor": (table(), ["--model.anchor", "season", "--data.season", 1], ["--data.season"]),
    "no such file": (None, [], ["wrong.csv", "does not exist"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_series_that_are_wrong_are_refused_and_leave_no_run(kind, tmp_path):
    text, flags, words = WRONG[kind]
    if text is not None:
        (tmp_path / "wrong.csv").write_text(text)
    assert_refused(training(*command(tmp_path / "run", tmp_path / "wrong.csv", "lstm", *flags)), *words)
    assert not (tmp_path / "run").exists()


def test_the_adding_problem_is_trained_measured_and_used(tmp_path):
    run = tmp_path / "run"
    flags = ["--data.length", 6, "--data.held", 60, "--model.reader.features", 4, "--batch-size", 8]
    said = training("forecast", "adding", "--out", run, *flags, "--steps", 3, "--evaluate-every", 3)
    assert said.code == 0, said.err
    last = read(run / "metrics.jsonl")[-1]
    assert 0.1 < last["baseline"] < 0.25
    assert last["loss"] > 0
    made = json.loads(seqjax("evaluate", run, "--json").out)
    assert (made["loss"], made["baseline"]) == pytest.approx((last["loss"], last["baseline"]), rel=1e-4)
    assert np.isfinite(float(seqjax("predict", run, stdin="0.5,1\n0.25,0\n0.125,1\n").out))
    assert_refused(seqjax("predict", run, stdin="0.5,1\n0.25\n"), "line 2", "0.25")
    assert_refused(seqjax("evaluate", run, "--data.path", "x.csv"), "drawn, not read")
    assert_refused(training("forecast", "adding", "--out", tmp_path / "other", "--data.length", 1), "length", "2 steps")


def test_always_answering_the_mean_is_a_sixth_off():
    sums = np.random.default_rng(0).random((100_000, 2)).sum(axis=1)
    assert adding.baseline(sums)["baseline"] == pytest.approx(1 / 6, rel=0.02)

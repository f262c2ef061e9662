"""The record of a run: what is cut back is what a run that never stopped would have written."""

import io
import json
import math
import sys

import numpy as np
import pytest
from rich.console import Console

from seqjax.checks import InputError
from seqjax.training.journal import Journal, append_sample, cut_samples, read
from seqjax.training.progress import Bar, Reporter, reporter, tensorboard


def write_run(folder, first, last):
    """What a run from step ``first`` to ``last`` writes; its values depend on the step alone."""
    journal = Journal(folder)
    for step in range(first, last + 1):
        journal.write({"step": step, "split": "train", "loss": math.sin(step) * 1e-7, "note": "ç"})
        if step % 3 == 0:
            journal.write({"step": step, "split": "valid", "loss": np.float32(1 / (step + 1))})
            append_sample(folder / "samples.txt", step, f"sample\n=== step 1 ===\n\n{step} ends")
    return journal


def record(folder):
    return [(folder / name).read_bytes() for name in ("metrics.jsonl", "samples.txt")]


@pytest.mark.parametrize("checkpoint", [-1, 0, 3, 7, 9])
@pytest.mark.parametrize("torn", [0, 1, 9, 25, 45], ids="{} bytes lost".format)
def test_a_record_cut_back_and_continued_is_that_of_a_run_left_alone(tmp_path, checkpoint, torn):
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    for folder in (alone, killed):
        folder.mkdir()
        write_run(folder, 0, 12)
    for name in ("metrics.jsonl", "samples.txt"):
        path = killed / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size - torn])
    Journal(killed).cut(checkpoint)
    cut_samples(killed / "samples.txt", checkpoint)
    assert all(row["step"] <= checkpoint for row in read(killed / "metrics.jsonl"))
    write_run(killed, checkpoint + 1, 12)
    assert record(killed) == record(alone)


def test_half_a_heading_at_the_end_of_the_samples_is_dropped(tmp_path):
    path = tmp_path / "samples.txt"
    append_sample(path, 10, "whole")
    whole = path.read_bytes()
    path.write_bytes(whole + b"=== step 2")
    cut_samples(path, 10)
    assert path.read_bytes() == whole


def test_bytes_that_are_no_text_are_kept_and_characters_that_have_none_are_replaced(tmp_path):
    path = tmp_path / "samples.txt"
    path.write_bytes(b"=== step 1 ===\n\xff\n")
    append_sample(path, 2, "a\udc80b")
    cut_samples(path, 2)
    assert path.read_bytes() == b"=== step 1 ===\n\xff\n=== step 2 ===\na?b\n\n"


def test_rows_of_the_test_split_are_measured_again(tmp_path):
    journal = write_run(tmp_path, 1, 2)
    before = journal.path.read_bytes()
    journal.write({"step": 2, "split": "test", "loss": 1.0})
    journal.cut(2)
    assert journal.path.read_bytes() == before


def test_numbers_come_back_exactly_and_every_line_is_json(tmp_path):
    values = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, np.float32(0.1), np.int64(2**60), True, None]
    journal = Journal(tmp_path)
    journal.write({"step": np.int32(4), "values": values, "bad": [math.nan, math.inf, np.float32("nan")]})
    (row,) = read(journal.path)
    assert row == {"step": 4, "values": [*values[:4], float(np.float32(0.1)), *values[5:]], "bad": [None, None, None]}
    json.loads(journal.path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_a_journal_that_writes_nothing_makes_no_file(tmp_path):
    journal = Journal(tmp_path)
    journal.cut(5)
    cut_samples(tmp_path / "samples.txt", 5)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("broken", ['{"step": ', '{"step": true}', "[" * 20_000], ids=["torn", "no number", "deep"])
def test_a_broken_line_in_the_middle_is_named(tmp_path, broken):
    journal = write_run(tmp_path, 1, 2)
    journal.path.write_text(f'{{"step": 1}}\n{broken}\n{{"step": 3}}\n')
    with pytest.raises(InputError, match="line 2 should be a JSON object with a `step`"):
        journal.cut(2)
    with pytest.raises(InputError, match="line 2"):
        read(journal.path)


@pytest.mark.parametrize("row", [{"loss": 1.0}, {"step": 1.5}, {"step": "3"}])
def test_a_row_without_a_whole_step_is_refused(tmp_path, row):
    with pytest.raises(InputError, match="a row should have a `step`"):
        Journal(tmp_path).write(row)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere/metrics.jsonl: cannot be written \(No such file"):
        Journal(tmp_path / "nowhere").write({"step": 1})
    with pytest.raises(InputError, match=r"nowhere: the record cannot be read"):
        read(tmp_path / "nowhere")


def test_plain_lines_are_aligned_and_tell_speed_and_time_left():
    lines, seconds = [], iter(range(100))
    plain = Reporter(1000, show=lines.append, clock=lambda: next(seconds))
    for step in range(1, 11):
        plain.update(step, 2.0, 640.0)
    plain.row({"step": 10, "split": "train", "loss": 2.0, "skipped": 0, "tokens_per_second": 84200.0, "seconds": 9.0})
    plain.row({"step": 1000, "split": "valid", "loss": 1.5, "skipped": 2}, best=True)
    assert lines == [
        "step   10/1000  train  loss 2.000  84.2k tokens/s  16:30 left",
        "step 1000/1000  valid  loss 1.500  skipped 2  best",
    ]
    assert plain.speed() == 640.0
    assert plain.line({"step": 1, "split": "train"}).endswith("  16:30 left")
    plain.total = 3610
    assert plain.line({"step": 1, "split": "train"}).endswith("  1:00:00 left")


def test_a_terminal_gets_a_bar_and_everything_else_gets_lines():
    shown = {}
    for terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=terminal, width=120, color_system=None)
        with reporter(200, start=7, console=console) as show:
            assert isinstance(show, Bar) is terminal
            for step in range(1, 51):
                show.update(step, 1.25, 100.0)
            show.row({"step": 50, "split": "train", "loss": 1.25})
            show.row({"step": 50, "split": "valid", "loss": 1.5})
            show.note("a sample [bold] with brackets [/]")
            show.table("results", [{"split": "valid", "loss": 1.5}, {"split": "test", "loss": 1.625, "accuracy": 0.5}])
        shown[terminal] = console.file.getvalue()
    for text in shown.values():
        assert "a sample [bold] with brackets [/]" in text
        assert "step  50/200  valid  loss 1.500" in text
        assert "test 1.625 0.5000" in " ".join(text.split())
    assert " 7/200 " in shown[True]
    assert "left" in shown[True]
    assert "50/200" in shown[True]
    assert "loss 1.2500" in shown[True]
    assert "step  50/200  train" in shown[False]
    assert "\x1b" not in shown[False]
    assert "left" in shown[False]


def test_silence_is_silent(capsys):
    with reporter(10, silent=True) as show:
        show.update(1, 1.0, 1.0)
        show.row({"step": 1, "split": "train"})
        show.note("no")
        show.table("no", [{"a": 1}])
    assert capsys.readouterr().out == ""


def test_a_missing_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(InputError, match=r"pip install 'seqjax\[log\]'"):
        tensorboard(tmp_path)


def test_tensorboard_is_given_every_number_under_its_split(monkeypatch, tmp_path):
    written = []

    class Writer:
        def __init__(self, folder, purge_step):
            written.append((folder, purge_step))

        def add_scalar(self, *row):
            written.append(row)

        flush = close = lambda self: None

    monkeypatch.setitem(sys.modules, "tensorboardX", type("Module", (), {"SummaryWriter": Writer}))
    place = tensorboard(tmp_path)
    place.cut(4)
    place.write({"step": 5, "split": "train", "loss": 1.5, "note": "text", "skipped": 2})
    place.close()
    assert written == [(str(tmp_path), 5), ("train/loss", 1.5, 5), ("train/skipped", 2, 5)]

"""Bad input on the command line: one clear message, exit code 2, no traceback, and nothing lost."""

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import TINY, assert_refused, seqjax, snapshot, story, training

from seqjax.checks import InputError
from seqjax.data import Tokenizer
from seqjax.training.checkpoint import Checkpoints
from seqjax.training.store import Store


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    """A file of text."""
    path = tmp_path_factory.mktemp("text") / "story.txt"
    path.write_text(story())
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory, text) -> Path:
    """A run with two checkpoints, which no test changes."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert training(*command(folder, text)).code == 0
    return folder


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """A copy of it, as if it had been made there."""
    copy = Path(shutil.copytree(finished, tmp_path / "run"))
    (copy / "config.json").write_text((copy / "config.json").read_text().replace(str(finished), str(copy)))
    return copy


def command(out, text, *words) -> list:
    """A small run; ``words`` come last and win."""
    return ["--out", out, "--data.path", text, *TINY, "--steps", 4, "--evaluate-every", 2, "--log-every", 2, *words]


TEXTS = {
    "missing": (None, ["does not exist", "text.txt"]),
    "empty": (b"", ["is empty"]),
    "binary": (b"ab\0cd" * 99, ["is binary", "byte 2"]),
    "latin-1": (b"abc \xe9 " * 99, ["byte 4", "--data.encoding latin-1"]),
    "too short for one batch": (b"abcdefgh" * 5, ["too short", "8 rows of 8 steps", "--batch-size"]),
    "of one symbol": (b"a" * 5000, ["one symbol", "'a'"]),
    "of line ends": (b"\n" * 5000, ["one symbol"]),
    "too short to split": (b"ab", ["split is empty", "--data.valid-path"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_that_cannot_be_used_is_refused_and_leaves_no_run(kind, tmp_path):
    data, words = TEXTS[kind]
    path = tmp_path / "text.txt"
    if data is not None:
        path.write_bytes(data)
    assert_refused(training(*command(tmp_path / "run", path)), "text", *words)
    assert not (tmp_path / "run").exists()


def test_an_empty_name_is_not_the_folder_that_one_stands_in(run, tmp_path, text, monkeypatch):
    monkeypatch.chdir(text.parent)
    assert_refused(seqjax("evaluate", run, "--data.path", ""), "--data.path is an empty name")
    assert_refused(training(*command(tmp_path / "new", "")), "--data.path is an empty name")
    assert_refused(training("forecast", "--data.path="), "--data.path is an empty name")
    assert_refused(training(*command("", text)), "--out is an empty name")
    assert_refused(seqjax("generate", ""), "a run's folder is empty")


def test_a_folder_without_text_is_refused(tmp_path):
    (tmp_path / "texts").mkdir()
    assert_refused(training(*command(tmp_path / "run", tmp_path / "texts")), "holds no text files")


def test_an_unreadable_file_is_named(tmp_path, text, monkeypatch):
    def forbidden(*args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(text))

    monkeypatch.setattr("seqjax.data.text.open", forbidden, raising=False)
    assert_refused(training(*command(tmp_path / "run", text)), str(text), "Permission denied")


FLAGS = {
    "rows that do not split over four devices": (["--batch-size", 6], ["multiple of 4", "--batch-size 8"]),
    "no rows": (["--batch-size", 0], ["--batch-size", "at least 1"]),
    "no steps": (["--steps", 0], ["--steps", "at least 1"]),
    "more steps than can be counted": (["--steps", 10**20], ["--steps should be below 2^31"]),
    "samples longer than can be counted": (["--sample-tokens", 5 * 10**9], ["--sample-tokens should lie in [0, 2^31)"]),
    "a width that cannot be counted": (["--model.features", 10**11], ["--model.features should be below 2^31"]),
    "an empty name": (["--data.valid-path="], ["--data.valid-path is an empty name"]),
    "a width of zero": (["--model.features", 0], ["--model.features should", "at least 1", "0"]),
    "a negative width": (["--model.features", -3], ["--model.features should", "-3"]),
    "no layers": (["--model.layers", 0], ["--model.layers should"]),
    "a negative embedding": (["--model.embedding", -1], ["--model.embedding should"]),
    "dropout of everything": (["--model.dropout", 1], ["--model.dropout should", "[0, 1)"]),
    "no time": (["--data.length", 0], ["--data.length should"]),
    "a learning rate that is no number": (["--optimizer.learning-rate", "nan"], ["finite", "nan"]),
    "an infinite learning rate": (["--optimizer.learning-rate", "inf"], ["finite", "inf"]),
    "a negative learning rate": (["--optimizer.learning-rate", -1], ["finite", "-1"]),
    "a learning rate in words": (["--optimizer.learning-rate", "fast"], ["--optimizer.learning-rate", "'fast'"]),
    "an unknown cell": (["--model.cell", "lsmt"], ["'lsmt'", "Did you mean `lstm`?"]),
    "an unknown optimiser": (["--optimizer.name", "adagrat"], ["Did you mean `adagrad`?"]),
    "an unknown tokenizer": (["--data.tokenizer", "bep"], ["--data.tokenizer", "bpe"]),
    "an unknown flag": (["--model.featurs", 3], ["Perhaps you meant", "--model.features"]),
    "an unknown flag of the run": (["--stpes", 3], ["Perhaps you meant", "--steps"]),
    "a flag without its value": (["--seed"], ["--seed"]),
    "fractions that are no split": (["--data.split", 0.5, 0.1, 0.1], ["sum to 1"]),
    "a negative seed": (["--seed", -1], ["--seed"]),
}


@pytest.mark.parametrize("kind", FLAGS)
def test_a_bad_flag_is_refused_before_anything_is_made(kind, tmp_path, text):
    flags, words = FLAGS[kind]
    said = training(*command(tmp_path / "run", text, *flags))
    assert_refused(said, *words)
    assert said.out == ""
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "words, meant",
    [
        (["lmm"], "`lm`"), (["char-lsmt"], "`char-lstm`"), (["lm", "word-lsmt"], "`word-lstm`"),
        (["--config"], "config.json"), (["--config", "--steps", "2"], "config.json"),
    ],
)  # fmt: skip
def test_an_unknown_word_suggests_the_nearest(words, meant):
    assert_refused(training(*words), meant)


def test_an_unknown_verb_or_flag_suggests_the_nearest(finished):
    assert_refused(seqjax("trian"), "`trian`", "Did you mean `train`?")
    assert_refused(seqjax("generate", finished, "--promt", "x"), "--prompt")
    assert_refused(seqjax("generate"), "RUN")


def test_a_corrected_command_is_not_taken_for_another_run(tmp_path, text):
    assert_refused(training(*command(tmp_path / "run", tmp_path / "txet")), "does not exist")
    assert training(*command(tmp_path / "run", text)).code == 0


def test_a_folder_of_another_run_is_refused_with_the_difference(run, text):
    before = snapshot(run)
    said = training(*command(run, text, "--seed", 3, "--model.features", 24))
    assert_refused(said, "seed: the run has 0, this command asks for 3", "model.features", "16", "24", "--out")
    assert_refused(training(*command(run, text, "--steps", 2)), "steps")
    assert snapshot(run) == before


def test_a_folder_of_another_preset_is_refused_with_the_difference(run, text):
    before = snapshot(run)
    said = training("lm", "gpt", "--out", run, "--data.path", text)
    assert_refused(said, "preset: the run has 'char-lstm', this command asks for 'gpt'", "model.cell", "another --out")
    assert snapshot(run) == before


def test_a_run_that_was_killed_as_it_began_is_begun_again(tmp_path, text):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "config.json.draft").write_text('{"task":')
    assert training(*command(tmp_path / "run", text)).code == 0


@pytest.mark.parametrize("words", [("--prompt", "日本", "--sample-tokens", 5), ("--sample-tokens", -5)])
def test_samples_that_cannot_be_made_are_refused_before_training(words, tmp_path, text):
    assert_refused(training(*command(tmp_path / "run", text), *words), words[0])
    assert not (tmp_path / "run").exists()


def test_a_configuration_brings_its_task_with_it(tmp_path, text):
    (tmp_path / "config.json").write_text(json.dumps({"task": "tag", "preset": "bilstm-crf", "config": {"seed": -1}}))
    assert_refused(training("--config", tmp_path / "config.json"), "--seed should lie in")


def test_a_folder_that_is_no_run_is_left_alone(tmp_path, text):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("the only copy")
    assert_refused(training(*command(tmp_path / "thesis", text)), "no run", "chapter.txt")
    assert snapshot(tmp_path / "thesis").keys() == {"chapter.txt"}


def test_a_file_is_no_folder(tmp_path, text):
    before = snapshot(text.parent)
    assert_refused(training(*command(text, text)), "this is a file")
    assert_refused(training(*command(text / "below", text)), "cannot be written")
    assert snapshot(text.parent) == before


@pytest.mark.parametrize(
    ("name", "words"), [("lr[0.1]", "because of [ and ]"), ("a\\b", "because of \\"), ("\udcff", "which is no UTF-8")]
)
def test_a_folder_where_checkpoints_could_not_be_read_again_is_refused_before_training(name, words, tmp_path, text):
    assert_refused(training(*command(tmp_path / name, text)), "--out", words)
    assert not list(tmp_path.iterdir())
    with Checkpoints(tmp_path / name) as checkpoints, pytest.raises(InputError, match="cannot be kept in a folder"):
        checkpoints.save(1, {"params": {"kernel": np.ones(2)}}, {})


@pytest.mark.parametrize("name", ["a[b", "a*b", "{a} b?", "日本"])
def test_checkpoints_come_back_from_a_folder_of_an_odd_name(name, tmp_path):
    tree = {"params": {"kernel": np.ones(2)}}
    with Checkpoints(tmp_path / name) as checkpoints:
        checkpoints.save(1, tree, {})
        assert checkpoints.restore(tree).step == 1


def test_a_folder_that_cannot_be_made_is_named(text):
    assert_refused(training(*command("/proc/nowhere/run", text)), "/proc/nowhere/run", "cannot be written")


def damage(run: Path, step: int) -> None:
    """Change one byte in the largest file of a checkpoint."""
    files = [path for path in (run / "checkpoints" / str(step)).rglob("*") if path.is_file()]
    file = max(files, key=lambda path: path.stat().st_size)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def test_a_flipped_byte_is_shown_named_and_passed_over(run, text):
    damage(run, 4)
    assert "step 2" in seqjax("inspect", run).out
    assert "BROKEN" in seqjax("inspect", run).out
    said = seqjax("generate", run, "--max-tokens", 5)
    assert said.code == 0
    assert "WARNING" in said.err
    assert "checkpoints/4" in said.err
    assert training(*command(run, text)).code == 0
    assert "BROKEN" not in seqjax("inspect", run).out


def test_only_broken_checkpoints_are_refused_and_kept(run, text):
    damage(run, 2)
    damage(run, 4)
    before = snapshot(run)
    for said in (training(*command(run, text)), seqjax("generate", run), seqjax("evaluate", run)):
        assert_refused(said, "no checkpoint here can be used", "step 2", "step 4")
    assert snapshot(run) == before


def full(*args, **kwargs):
    """What a full disk says."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_fills_in_a_save_keeps_what_was_there(tmp_path, text, finished, monkeypatch):
    write = Store.write
    monkeypatch.setattr(Store, "write", lambda self, step, *rest: (write if step < 4 else full)(self, step, *rest))
    said = training(*command(tmp_path / "run", text))
    assert_refused(said, "step 4", "No space left on device", "Step 2 is there and unharmed")
    monkeypatch.undo()
    assert training(*command(tmp_path / "run", text)).code == 0
    rows = [(folder / "metrics.jsonl").read_text().splitlines() for folder in (tmp_path / "run", finished)]
    numbers = [[{**json.loads(row), "seconds": 0, "tokens_per_second": 0} for row in lines] for lines in rows]
    assert numbers[0] == numbers[1]


def test_a_disk_that_is_full_from_the_start_leaves_no_half_run(tmp_path, text, monkeypatch):
    monkeypatch.setattr(Tokenizer, "save", full)
    assert_refused(training(*command(tmp_path / "run", text)), "No space left on device")
    assert not (tmp_path / "run").exists()


def test_a_disk_too_full_for_the_curves_does_not_cost_the_test(run, text, monkeypatch):
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    said = training(*command(run, text))
    assert said.code == 0
    assert "no curves.png" in said.out
    assert json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["split"] == "test"


ASKED = {
    "characters never seen": (["--prompt", "The \N{SNOWMAN}"], ["U+2603", "--data.tokenizer byte"]),
    "temperature 0": (["--temperature", 0], ["`temperature`", "above 0"]),
    "temperature below 0": (["--temperature", -1], ["`temperature`", "-1"]),
    "no temperature": (["--temperature", "nan"], ["`temperature`", "nan"]),
    "top-p 0": (["--top-p", 0], ["`top_p`", "(0, 1]"]),
    "top-p above 1": (["--top-p", 1.5], ["`top_p`", "(0, 1]"]),
    "top-k 0": (["--top-k", 0], ["`top_k`", "at least 1"]),
    "min-p 1": (["--min-p", 1], ["`min_p`"]),
    "no tokens": (["--max-tokens", 0], ["--max-tokens", "at least 1"]),
    "a seed below 0": (["--seed", -1], ["--seed"]),
    "a seed of twenty digits": (["--seed", 10**20], ["--seed"]),
}


@pytest.mark.parametrize("kind", ASKED)
def test_text_that_cannot_be_written_is_refused_before_a_word(kind, finished):
    flags, words = ASKED[kind]
    said = seqjax("generate", finished, *flags)
    assert_refused(said, *words)
    assert said.out == ""


def test_a_line_that_cannot_be_scored_is_named(finished):
    said = seqjax("score", finished, stdin="The cat sat.\n\N{SNOWMAN}\n")
    assert_refused(said, "line 2", "U+2603")
    assert said.out == ""


def test_lines_that_are_not_utf_8_are_refused_with_the_byte(finished):
    assert_refused(seqjax("score", finished, stdin=b"The cat sat.\nThe \xff\n"), "byte 17", "UTF-8")


@pytest.mark.parametrize("verb", ["generate", "evaluate", "score", "inspect"])
def test_a_folder_that_holds_no_run_is_said(verb, tmp_path, text):
    assert_refused(seqjax(verb, tmp_path), "no config.json")
    assert_refused(seqjax(verb, tmp_path / "nowhere"), "no such folder")
    assert_refused(seqjax(verb, text), "it is a file.")


@pytest.mark.parametrize(
    "words", [["predict", "--beam", 5], ["evaluate", "--data.skip-broken"], ["neighbours", "king"]]
)
def test_a_mistyped_run_is_said_before_its_flags(words, finished):
    verb, *others = words
    for said in (seqjax(verb, finished.parent / "rnu", *others), seqjax(verb, finished.parent / "far", *others)):
        assert_refused(said, "there is no such folder")
        assert "Unrecognized" not in said.err
        assert ("Did you mean `run`?" in said.err) == ("/rnu" in said.err)
    assert_refused(seqjax(verb, finished / "config.json", *others), "it is a file in one", f"Try {finished}.")
    assert_refused(seqjax(verb, "--data.path=x", finished.parent / "rnu"), "there is no such folder")
    assert seqjax(verb, finished.parent / "rnu", "--help").code == 0


@pytest.mark.parametrize("verb", ["generate", "evaluate", "score"])
def test_a_run_without_checkpoints_says_how_to_get_one(verb, run):
    shutil.rmtree(run / "checkpoints")
    assert_refused(seqjax(verb, run), "no checkpoint yet", f"seqjax train --config {run}/config.json --out {run}")
    assert "none yet" in seqjax("inspect", run).out


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"model": {}}', '{"version": "1.0"}'])
def test_a_broken_tokenizer_is_named(content, run):
    (run / "tokenizer.json").write_text(content)
    for said in (seqjax("generate", run), seqjax("evaluate", run), seqjax("inspect", run)):
        assert_refused(said, "tokenizer.json", "broken")


def test_evaluating_a_text_that_is_not_there_is_refused(finished):
    assert_refused(seqjax("evaluate", finished, "--data.path", "/nowhere/text"), "/nowhere/text", "does not exist")


def test_a_run_whose_own_text_is_elsewhere_says_whose_it_is(run):
    saved = json.loads((run / "config.json").read_text())
    for path, own in ((["texts/story.txt"], True), (["/nowhere/story.txt"], False)):
        saved["config"]["data"]["path"] = path
        (run / "config.json").write_text(json.dumps(saved))
        said = seqjax("evaluate", run)
        assert_refused(said, path[0], "does not exist")
        assert ("the run's own data.path, named from the folder where training was started" in said.err) == own
        assert ("or give --data.path FILE" in said.err) == own
    assert "own data.path" not in seqjax("evaluate", run, "--data.path", "texts/story.txt").err


@pytest.mark.parametrize("content", ["", "[]", '{"task": "lm"}', '{"task": "ml", "preset": "x", "config": {}}'])
def test_a_run_whose_configuration_is_broken_is_refused(content, run, text):
    (run / "config.json").write_text(content)
    before = snapshot(run)
    for said in (seqjax("inspect", run), seqjax("generate", run), training(*command(run, text))):
        assert_refused(said, "task" if "ml" in content else "config.json")
    assert snapshot(run) == before


ODD = {
    "a task that is a list": (("task", []), "`task` should be a name, but it is []"),
    "no task": (("task", None), "`task` should be a name, but it is None"),
    "a preset that is a list": (("preset", ["x"]), "`preset` should be a name"),
    "no preset": (("preset", None), "`preset` should be a name, but it is None"),
}


@pytest.mark.parametrize("kind", ODD)
def test_a_run_of_a_task_or_a_preset_that_is_no_name_is_refused(kind, run, text):
    (name, value), words = ODD[kind]
    file = run / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {name: value}))
    for said in (seqjax("inspect", run), seqjax("evaluate", run), training(*command(run, text))):
        assert_refused(said, "config.json", words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"steps": 4, "seed": 1, "steps": 8}', ["`steps` is given twice"]),
        ('{"task": "lm", "preset": "char-lstm", "config": {"seed": 1, "seed": 2}}', ["`seed` is given twice"]),
        ('{"task": "lm", "preset": "char-lsmt", "config": {}}', ["'char-lsmt'", "Did you mean `char-lstm`?"]),
        ('{"task": "lm", "preset": ["gpt"], "config": {}}', ["`preset` should be one of lm"]),
        ("[" * 20_000, ["not readable as JSON"]),
    ],
    ids=["twice", "twice in a run's", "a mistyped preset", "a preset that is a list", "too deep"],
)
def test_a_configuration_that_cannot_be_meant_is_refused(content, words, tmp_path, text):
    (tmp_path / "config.json").write_text(content)
    said = training("--config", tmp_path / "config.json", "--out", tmp_path / "run", "--data.path", text)
    assert_refused(said, "config.json", *words)


def test_a_list_of_files_that_is_none_is_refused(run, text):
    (run / "data.json").write_text("[]")
    assert_refused(seqjax("evaluate", run), "data.json: should be an object", "[]")
    assert_refused(training(*command(run, text)), "data.json: should be an object", "[]")


def test_rows_of_others_do_not_keep_a_run_from_being_inspected(run):
    rows = '{"step": 4, "loss": 1.0}\n{"step": 4, "split": ["a"], "loss": 2.0}\n'
    with open(run / "metrics.jsonl", "a") as file:
        file.write(rows)
    said = seqjax("inspect", run)
    assert said.code == 0, said
    assert all(row in said.out for row in rows.splitlines())

"""Law 6: resume equals continue, bit for bit, wherever the run was stopped."""

import json
import random
import shutil
import time

import jax
import numpy as np
import pytest
import toy_task as toy
from tiny_runs import ask_to_stop, difference, flags, output_of, record, run_here, start

from seqjax.checks import InputError
from seqjax.data import Tokenizer
from seqjax.tasks.command import read_command
from seqjax.tasks.session import begin, session
from seqjax.training.configuration import RunConfig
from seqjax.training.folder import as_identity, open_run
from seqjax.training.journal import read
from seqjax.training.loop import Trainer
from seqjax.training.optimizers import OptimizerConfig, make_schedule
from seqjax.training.progress import reporter
from seqjax.training.recorder import Recorder

PLATEAU = {"optimizer__schedule": "plateau", "optimizer__patience": 1, "optimizer__learning_rate": 0.5}
AVERAGE = {
    "average": 0.9, "keep": 3, "average_last": 3, "accumulate": 2, "batch_size": 8, "model__layers": 2,
    "model__cell": "gru",
}  # fmt: skip


def reached(folder):
    """The last step in metrics.jsonl."""
    path = folder / "run" / "metrics.jsonl"
    return max((row["step"] for row in read(path)), default=0) if path.exists() else 0


def test_a_run_killed_three_times_is_the_run_left_alone(tmp_path):
    pick, options = random.Random(6), PLATEAU | AVERAGE | {"steps": 60}
    output_of(start(flags(tmp_path / "alone", **options)))  # before the others: what it compiles, they find
    command = flags(tmp_path / "killed", **options)
    for least in (pick.randrange(0, 15), pick.randrange(15, 30), pick.randrange(30, 45)):
        process = start(command)
        while reached(tmp_path / "killed") < least and process.poll() is None:
            time.sleep(0.002)
        time.sleep(pick.random() * 0.05)
        process.kill()
        output_of(process, -9)
    assert "continuing at step" in output_of(start(command))
    ended = record(tmp_path / "alone")
    assert difference(record(tmp_path / "killed"), ended) == ""
    assert len({row["learning_rate"] for row in ended.rows if row["split"] == "train"}) > 2  # the plateau was seen
    assert {"params", "average", "opt_state", "plateau", "carry", "scalars"} <= ended.arrays.keys()
    assert not list((tmp_path / "killed").rglob("*.orbax-checkpoint-tmp*"))


def test_everything_that_is_remembered_survives_a_stop(tmp_path):
    changes = PLATEAU | AVERAGE
    run_here(flags(tmp_path / "alone", **changes))
    run_here(flags(tmp_path / "stopped", **changes), at=27, act=ask_to_stop)
    run_here(flags(tmp_path / "stopped", **changes))
    assert difference(record(tmp_path / "stopped"), record(tmp_path / "alone")) == ""


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """The folder of a run that nobody stopped."""
    folder = tmp_path_factory.mktemp("ended")
    assert run_here(flags(folder)) == 0
    return folder


@pytest.fixture(scope="module")
def alone(ended):
    """What that run left behind."""
    return record(ended)


def again(folder, ended, **changes):
    """The command of a run into a copy of ``ended``, which reads the same text."""
    shutil.copytree(ended / "run", folder / "run")
    return flags(folder, **{"data__path": ended / "text.txt"} | changes)


@pytest.mark.parametrize("step", [1, 30])
def test_a_signal_between_steps_loses_nothing(tmp_path, alone, capsys, step):
    assert run_here(flags(tmp_path), at=step, act=ask_to_stop) == 128 + 15
    assert f"SIGTERM: stopped after step {step} and saved. The same command continues" in capsys.readouterr().out
    assert record(tmp_path).step == step
    assert run_here(flags(tmp_path)) == 0
    assert f"continuing at step {step}" in capsys.readouterr().out
    assert difference(record(tmp_path), alone) == ""


def test_a_finished_run_started_again_changes_nothing(tmp_path, ended, alone, capsys):
    assert run_here(again(tmp_path, ended)) == 0
    assert "continuing at step 40" in capsys.readouterr().out
    assert difference(record(tmp_path), alone) == ""


def test_more_steps_extend_a_run_and_its_schedule_keeps_its_horizon(tmp_path, ended, alone, capsys):
    command = again(tmp_path, ended)
    with pytest.raises(InputError, match=r"optimizer\.horizon: the run has 40, this command asks for 60"):
        run_here([*command, "--steps", "60", "--optimizer.horizon", "60"])
    run_here([*command, "--steps", "60"])
    assert "learning rate ends at 0 before the last step" in capsys.readouterr().out
    extended = record(tmp_path)
    kept = [row for row in alone.rows if row["split"] != "test"]
    assert extended.rows[: len(kept)] == kept
    rates = {row["step"]: row["learning_rate"] for row in extended.rows if row["split"] == "train"}
    assert rates[40] == rates[45] == rates[60] == 0.0
    assert rates[35] > 0
    with pytest.raises(InputError, match="steps: the run has 60, this command asks for 40"):
        run_here(command)


def test_an_extension_stopped_half_way_is_the_extension_left_alone(tmp_path):
    constant = {"optimizer__schedule": "constant", "sample_tokens": 0}
    run_here(flags(tmp_path / "one", steps=20, **constant))
    further = again(tmp_path / "two", tmp_path / "one", steps=40, **constant)
    run_here(flags(tmp_path / "one", steps=40, **constant))
    run_here(further, at=7, act=ask_to_stop)
    run_here(further)
    assert difference(record(tmp_path / "one"), record(tmp_path / "two")) == ""


def test_a_folder_that_another_process_trains_in_is_refused_and_left_alone(tmp_path):
    said = []

    def begin_again():
        for changes in ({}, {"steps": 60}):
            with pytest.raises(InputError) as refused:
                run_here(flags(tmp_path, **changes))
            said.append(str(refused.value))

    assert run_here(flags(tmp_path, steps=10), at=3, act=begin_again) == 0
    assert ["another process is training in this folder" in one for one in said] == [True, True]
    assert json.loads((tmp_path / "run" / "config.json").read_text())["config"]["steps"] == 10
    assert record(tmp_path).step == 10
    assert run_here(flags(tmp_path, steps=10)) == 0, "the folder should be free again"


def test_another_configuration_in_the_folder_is_refused_with_the_difference(tmp_path, ended, alone):
    command = again(tmp_path, ended)
    wanted = r"(?s)another configuration.*model.features: the run has 8, this command asks for 12.*seed: the run has 0"
    with pytest.raises(InputError, match=wanted):
        run_here([*command, "--model.features", "12", "--seed", "3"])
    assert difference(record(tmp_path), alone) == ""


def test_a_start_without_a_checkpoint_leaves_no_symbols_of_other_data(tmp_path):
    command, symbols = flags(tmp_path, sample_tokens=0), []
    for text in ("ab ab ab\n" * 99, "xyz xyz xyz\n" * 99):
        (tmp_path / "text.txt").write_text(text)
        asked = read_command(command)
        with session(asked) as (folder, recorder):
            begin(asked, folder, recorder)  # and then the machine stops
        symbols.append(Tokenizer.load(folder.tokenizer).size)
    assert symbols == [6, 7]


def test_a_run_of_an_older_version_goes_on_with_defaults_for_what_it_does_not_say(tmp_path, ended, alone):
    command, file = again(tmp_path, ended), tmp_path / "run" / "config.json"
    said = json.loads(file.read_text())
    assert said["config"]["model"].pop("residual") is False
    said["config"].pop("average_last")
    file.write_text(json.dumps(said))
    run_here(command)
    assert difference(record(tmp_path), alone) == ""


def test_a_damaged_newest_checkpoint_is_named_and_the_older_one_gives_the_same_end(tmp_path, alone, capsys):
    run_here(flags(tmp_path), at=33, act=ask_to_stop)
    checkpoints = tmp_path / "run" / "checkpoints"
    assert sorted(path.name for path in checkpoints.iterdir()) == ["30", "33"]
    file = max(
        (path for path in (checkpoints / "33").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size
    )
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    capsys.readouterr()
    assert run_here(flags(tmp_path)) == 0
    said = capsys.readouterr()
    assert f"WARNING: {checkpoints / '33'} is not used: the file {file.relative_to(checkpoints / '33')}" in said.err
    assert "continuing at step 30" in said.out
    assert difference(record(tmp_path), alone) == ""
    assert (checkpoints / "broken-33").is_dir()


def test_a_run_with_only_damaged_checkpoints_is_refused_and_kept(tmp_path, ended):
    command = again(tmp_path, ended)
    for checkpoint in (tmp_path / "run" / "checkpoints").iterdir():
        shutil.rmtree(checkpoint / "params")
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    with pytest.raises(InputError, match="no checkpoint here can be used, and nothing was changed"):
        run_here(command)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


def test_early_stopping_remembers_how_long_it_has_waited(tmp_path):
    still = {"optimizer__learning_rate": 0.0, "patience": 2, "steps": 200, "sample_tokens": 0}
    run_here(flags(tmp_path / "alone", **still))
    assert run_here(flags(tmp_path / "stopped", **still), at=25, act=ask_to_stop) == 128 + 15
    run_here(flags(tmp_path / "stopped", **still))
    ended = record(tmp_path / "alone")
    assert (ended.step, ended.meta["memory"]["best_step"]) == (30, 10)
    kept = {path.name for path in (tmp_path / "alone" / "run" / "checkpoints").iterdir()}
    assert kept == {"10", "20", "30"}  # the newest two, and the best
    assert difference(record(tmp_path / "stopped"), ended) == ""
    run_here(flags(tmp_path / "stopped", **still))
    assert difference(record(tmp_path / "stopped"), ended) == ""


SGD = OptimizerConfig(name="sgd")


def train_toy(folder, make, optimizer=SGD, **options):
    """The loop over the toy task."""
    config = RunConfig(out=str(folder), batch_size=8, **options)
    run, _ = open_run(folder, as_identity("toy", "", config))
    with (
        reporter(config.steps, silent=True) as show,
        Recorder(run, show, keep=2, agree_every=1, started=time.perf_counter()) as recorder,
    ):
        return Trainer(toy.job(make), config, optimizer, run).run(recorder)


def test_other_places_of_rows_are_cut_back_too_and_what_is_restored_is_saved(tmp_path):
    heard = []

    class Place:
        def cut(self, step):
            heard.append(step)

        def write(self, row):
            heard.append(row["loss"])

    run, _ = open_run(tmp_path, as_identity("toy", "", RunConfig(out=str(tmp_path))))
    how = {"keep": 2, "agree_every": 1, "started": 0.0, "also": [Place()]}
    with reporter(2, silent=True) as show:
        with Recorder(run, show, **how) as first:
            assert first.resume({}) is None
            first.write({"step": 1, "split": "train", "loss": 0.5})
            first.save(1, {"params": {"w": np.ones(1)}}, {}, protect=())
        with Recorder(run, show, **how) as second:
            second.resume({})
            assert second.saved(1)  # a signal before the first step has nothing to save
    assert heard == [-1, 0.5, 1]


def test_too_many_steps_without_a_gradient_stop_the_run_and_name_the_step(tmp_path):
    def make(number):
        batch = toy.batch(number)
        return batch | {"y": batch["y"] * (np.nan if number in (2, 3) or number >= 6 else 1)}

    with pytest.raises(InputError, match=r"step 9: the gradient was not finite for 3 steps in a row.*Try"):
        train_toy(tmp_path, make, steps=20, max_skipped=3, evaluate_every=5, log_every=1)
    rows = [row for row in read(tmp_path / "metrics.jsonl") if row["split"] == "train"]
    assert [row["skipped"] for row in rows][:6] == [0, 0, 1, 2, 2, 2]
    assert "loss" not in rows[2]
    assert "loss" in rows[4]


def test_steps_that_were_skipped_are_remembered_after_a_stop(tmp_path):
    def make(number):
        batch = toy.batch(number)
        stop = number == 6 and not (tmp_path / "stopped").exists()
        if stop:
            (tmp_path / "stopped").mkdir()
            ask_to_stop()
        return batch | {"y": batch["y"] * (np.nan if number in (2, 5, 8) else 1) + 1000 * (number > 7)}

    options = {"steps": 12, "max_skipped": 2, "evaluate_every": 20, "log_every": 4}
    (tmp_path / "stopped").mkdir()
    train_toy(tmp_path / "alone", make, **options)
    (tmp_path / "stopped").rmdir()
    assert train_toy(tmp_path / "killed", make, **options).step == 7
    assert train_toy(tmp_path / "killed", make, **options).step == 12
    rows = [[{**row, "seconds": 0, "tokens_per_second": 0} for row in read(tmp_path / name / "metrics.jsonl")]
            for name in ("alone", "killed")]  # fmt: skip
    assert rows[0] == rows[1]
    logged = [row for row in rows[0] if row["split"] == "train"]
    assert [row["skipped"] for row in logged] == [1, 2, 3]
    assert logged[2]["loss"] == pytest.approx(1e6, rel=0.05)  # of the steps since the row before, and of no others
    rate = make_schedule(SGD, 12)
    assert [row["learning_rate"] for row in logged] == [float(rate(updates)) for updates in (3, 6, 9)]


def test_a_run_compiles_its_two_steps_once(tmp_path, caplog):
    still = OptimizerConfig(name="sgd", schedule="plateau", patience=1, learning_rate=1e-9)
    with jax.log_compiles():
        train_toy(tmp_path, toy.batch, still, steps=12, evaluate_every=3, log_every=2, average=0.5)
    rates = {row.get("learning_rate") for row in read(tmp_path / "metrics.jsonl")}
    assert len(rates) > 2  # the plateau changed the state from outside
    said = [record.getMessage() for record in caplog.records]
    assert sum(text.startswith("Compiling jit(_fun)") for text in said) == 2


def test_rows_that_do_not_split_over_the_devices_are_refused_at_once(tmp_path):
    assert jax.device_count() == 4
    with pytest.raises(InputError, match="--batch-size should be a multiple of 4"):
        run_here(flags(tmp_path, batch_size=6))

"""What happens to checkpoints when the disk fills, the process is killed, or Orbax fails: nothing is lost."""

import errno
import itertools
import os
import random
import resource
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest

from seqjax.training import checkpoint, manifest
from seqjax.training.checkpoint import CheckpointError, Checkpoints
from seqjax.training.store import Store


def model(step, size=3):
    noise = np.random.default_rng(step)  # does not compress
    return {"params": {"w": np.full(3, float(step)), "rest": {str(i): noise.normal(size=size) for i in range(5)}}}


@pytest.fixture
def folder(tmp_path):
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        for step in (10, 20, 30):
            checkpoints.save(step, model(step), {})
    return tmp_path / "checkpoints"


def test_silence_of_orbax_is_an_error(folder, monkeypatch):
    with Checkpoints(folder) as checkpoints:
        monkeypatch.setattr(checkpoints._store._open(), "save", lambda *a, **k: False)
        checkpoints.save(40, model(40), {})
        with pytest.raises(CheckpointError, match=r"step 40 could not be saved: .*declined"):
            checkpoints.wait()


def test_a_crash_between_checkpoint_and_manifest_falls_back_and_saves_again(folder, monkeypatch):
    monkeypatch.setattr(manifest, "seal", lambda *a: None)
    with Checkpoints(folder, keep_last=9) as checkpoints:
        checkpoints.save(40, model(40), {})
    monkeypatch.undo()
    said = []
    with Checkpoints(folder, keep_last=9, warn=said.append) as checkpoints:
        assert checkpoints.restore(model(0)).step == 30
        assert "never finished" in said[0]
        checkpoints.save(40, model(41), {})
    restored = Checkpoints(folder, warn=pytest.fail).restore(model(0))
    assert restored.step == 40
    assert (restored.items["params"]["w"] == 41).all()


def test_a_kill_before_the_first_manifest_is_a_fresh_start(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "seal", lambda *a: None)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(10, model(10), {})
    monkeypatch.undo()
    said = []
    with Checkpoints(tmp_path, warn=said.append) as checkpoints:
        assert checkpoints.restore(model(0)) is None
        assert "never finished" in said[0]
        with pytest.raises(CheckpointError, match="never finished"):
            checkpoints.restore(model(0), step=10)
        checkpoints.save(10, model(10), {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10", "broken-10"]
    assert Checkpoints(tmp_path, warn=pytest.fail).restore(model(0)).step == 10


def test_a_kill_while_old_steps_are_deleted_leaves_nothing_that_looks_like_one(folder, monkeypatch):
    monkeypatch.setattr(checkpoint.shutil, "rmtree", lambda *a, **k: None)  # killed before a file was removed
    with Checkpoints(folder, keep_last=1) as checkpoints:
        checkpoints.save(40, model(40), {})
        checkpoints.wait()
        assert checkpoints.steps() == [40]
    monkeypatch.undo()
    assert (folder / "deleted-10").is_dir()
    with Checkpoints(folder, keep_last=1) as checkpoints:
        checkpoints.save(50, model(50), {})
    assert [path.name for path in folder.iterdir()] == ["50"]


def full_disk(*arguments, **options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("where", ["write", "seal", "limit"])
def test_a_disk_that_fills_is_one_clear_line_and_harms_nothing(folder, monkeypatch, capfd, where):
    checkpoints, limits = Checkpoints(folder), resource.getrlimit(resource.RLIMIT_FSIZE)
    big = model(40, size=20_000 if where == "limit" else 3)
    if where == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    else:
        monkeypatch.setattr(*((Store, "write") if where == "write" else (manifest, "seal")), full_disk)
    try:
        checkpoints.save(40, big, {})
        with pytest.raises(CheckpointError) as caught:
            checkpoints.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        monkeypatch.undo()
    reason = "File too large" if where == "limit" else "No space left on device"
    assert f"step 40 could not be saved: {reason}. Step 30 is there and unharmed" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert checkpoints.steps() == [10, 20, 30]
    checkpoints.save(40, big, {})  # room again
    checkpoints.__exit__(None)
    assert [status.ok for status in Checkpoints(folder).statuses()] == [True] * 3
    assert sorted(path.name for path in folder.iterdir()) == ["20", "30", "40"]
    assert "Traceback" not in capfd.readouterr().err


def test_what_a_failed_save_puts_back_is_cleared_too(folder, monkeypatch):
    late = iter([False, True, True])  # a write that Orbax gave up goes on in a thread of its own

    def pause(seconds):
        if next(late, False):
            (folder / "40.orbax-checkpoint-tmp" / "params").mkdir(parents=True)

    monkeypatch.setattr(Store, "write", full_disk)
    monkeypatch.setattr(checkpoint, "time", types.SimpleNamespace(sleep=pause))
    with pytest.raises(CheckpointError, match="No space"), Checkpoints(folder) as checkpoints:
        checkpoints.save(40, model(40), {})
    assert next(late, None) is None  # it came back twice
    assert sorted(path.name for path in folder.iterdir()) == ["10", "20", "30"]


def test_the_error_of_a_save_comes_out_at_the_next_poll_or_at_the_end(folder, monkeypatch):
    monkeypatch.setattr(Store, "write", full_disk)
    with pytest.raises(CheckpointError, match="No space"), Checkpoints(folder) as checkpoints:
        checkpoints.save(40, model(40), {})
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(40, model(40), {})
        with pytest.raises(CheckpointError, match="No space"):
            any(checkpoints.poll() for _ in itertools.count())  # until it has failed
        checkpoints.poll()


def test_an_error_of_the_run_is_not_hidden_by_one_of_its_checkpoint(folder, monkeypatch):
    monkeypatch.setattr(Store, "write", full_disk)
    said = []

    def run():
        with Checkpoints(folder, warn=said.append) as checkpoints:
            checkpoints.save(40, model(40), {})
            raise KeyError("of the run")

    with pytest.raises(KeyError, match="of the run"):
        run()
    assert "No space left" in said[0]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    checkpoints = Checkpoints(tmp_path / "file" / "checkpoints")
    checkpoints.save(1, {"w": np.ones(2)}, {})
    with pytest.raises(CheckpointError, match=r"file/checkpoints: .*step 1 could not be saved: Not a directory"):
        checkpoints.wait()


CHILD = """
import sys, numpy as np
from pathlib import Path
from seqjax.training.checkpoint import Checkpoints
with Checkpoints(Path(sys.argv[1]), keep_last=2) as checkpoints:
    restored = checkpoints.restore({"w": np.zeros(50_000)})
    for step in range(1 if restored is None else restored.step + 1, 1_000_000):
        checkpoints.save(step, {"w": np.full(50_000, float(step))}, {"step": step})
        print(step, flush=True)
"""


def test_a_kill_at_any_moment_leaves_a_checkpoint_that_is_whole(tmp_path):
    pick, newest = random.Random(1), 0
    for _ in range(2):
        child = subprocess.Popen([sys.executable, "-c", CHILD, tmp_path], stdout=subprocess.PIPE, text=True)
        for _ in range(3):
            begun = int(child.stdout.readline())
        time.sleep(pick.uniform(0, 0.2))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        restored = Checkpoints(tmp_path, warn=lambda text: None).restore({"w": np.zeros(50_000)})
        assert restored.step == restored.meta["step"] >= begun - 1 > newest
        assert (restored.items["w"] == restored.step).all()
        newest = restored.step


def test_orbax_rich_and_matplotlib_are_not_imported_before_they_are_needed():
    program = (
        "import sys, seqjax.plots.curves\n"
        "from seqjax.training import checkpoint, journal, progress\n"
        "print(sorted({'orbax', 'rich', 'matplotlib', 'tensorboardX', 'flax'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

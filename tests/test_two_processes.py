"""Law 5 over processes: two real ones, joined by ``--distributed``, train as one does."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import Record, flags, free_port, output_of, record, start

SCRIPT = Path(__file__).parent / "scripts" / "two_processes.py"
CHANGES = {
    "steps": 20, "optimizer__name": "sgd", "optimizer__learning_rate": 1.0, "optimizer__clip": 0.5,
    "data__tokenizer": "bpe", "data__vocabulary": 280, "keep": 3,
}  # fmt: skip


def two_processes(arguments: list[str], code: int = 0) -> list[str]:
    """What each of two processes said."""
    shared = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{free_port()}", "JAX_NUM_PROCESSES": "2", "NPROC": "16"}
    both = [start([*arguments, "--distributed"], script=SCRIPT, JAX_PROCESS_ID=str(i), **shared) for i in range(2)]
    try:
        return [output_of(process, code) for process in both]
    finally:
        for process in both:
            process.kill()


def assert_close(one: Record, other: Record) -> None:
    """The same rows, the same arrays, to 1e-5; the same texts."""
    assert [row.keys() for row in one.rows] == [row.keys() for row in other.rows]
    for a, b in zip(one.rows, other.rows, strict=True):
        assert a["split"] == b["split"]
        left, right = ([value for name, value in row.items() if name != "split"] for row in (a, b))
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5, err_msg=str(a))
    assert (one.samples, one.step, one.meta["data"]) == (other.samples, other.step, other.meta["data"])
    for item, arrays in one.arrays.items():
        for name, array in arrays.items():
            other_array = other.arrays[item][name]
            np.testing.assert_allclose(array, other_array, rtol=1e-5, atol=1e-5, err_msg=f"{item} {name}")


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    """The folder of a run in one process with one device."""
    folder = tmp_path_factory.mktemp("one_process")
    output_of(start(flags(folder, **CHANGES)))
    return folder


def test_two_processes_train_as_one_and_only_the_first_writes(tmp_path, one_process):
    first, second = two_processes(flags(tmp_path, **CHANGES))
    assert "on 2 device(s)" in first
    assert "step 20/20" in first
    assert "changed 0 files" not in first
    assert second.strip().splitlines()[-1] == "changed 0 files: []"
    assert "step 20/20" not in second
    ended = record(tmp_path)
    assert_close(ended, record(one_process))
    assert max(np.abs(array).max() for array in ended.arrays["carry"].values()) > 0.01


def test_two_processes_go_on_from_the_checkpoint_of_one(tmp_path, one_process):
    shutil.copytree(one_process, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "20")
    first, second = two_processes(flags(tmp_path, **CHANGES, data__path=one_process / "text.txt"))
    assert "continuing at step 10" in first
    assert "changed 0 files" in second
    assert_close(record(tmp_path), record(one_process))


def test_what_the_first_process_refuses_ends_both(tmp_path, one_process):
    shutil.copytree(one_process, tmp_path, dirs_exist_ok=True)
    first, second = two_processes(flags(tmp_path, **CHANGES, seed=7), code=2)
    assert "another configuration" in first
    assert "process 0 refused" in second

"""Checkpoints come back bit for bit, and anything that was altered is noticed, named and not used."""

import os
import random
import shutil
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from seqjax.checks import InputError
from seqjax.training import manifest
from seqjax.training.checkpoint import CheckpointError, Checkpoints


class Carry(NamedTuple):
    hidden: np.ndarray
    nothing: tuple


def model(step, size=3):
    """Items of every kind: NamedTuples of optax, int keys, bfloat16, key data, scalars, empty nodes."""
    rng = np.random.default_rng(step)
    params = {"layers": {0: {"kernel": rng.normal(size=(size, 4)).astype(np.float32)}}, "a/b.c": np.float32(step)}
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3))
    return {
        "params": params,
        "optimizer": jax.tree.map(np.asarray, optimizer.init(params)),
        "carry": Carry(np.asarray(jnp.full((2, 5), step / 3, jnp.bfloat16)), ()),
        "key": np.asarray(jax.random.key_data(jax.random.key(step))),
        "nothing": optax.EmptyState(),
        "mixed": [np.zeros((0, 5), np.float32), np.array(True), np.int64(step), np.array([np.nan, -0.0, np.inf])],
    }


def abstract(items):
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), items)


def same(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert type(b) is np.ndarray
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with the steps 10, 20 and 30; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("run") / "checkpoints"
    with Checkpoints(folder) as checkpoints:
        for step in (10, 20, 30):
            checkpoints.save(step, model(step), {"best": step / 7, "grain": {"next_index": step}})
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "checkpoints")


def restore(folder, step=None, names=None):
    """Restore, and what was said aloud."""
    said = []
    with Checkpoints(folder, warn=said.append) as checkpoints:
        targets = abstract({name: item for name, item in model(0).items() if names is None or name in names})
        return checkpoints.restore(targets, step=step), " ".join(said)


def files_of(folder, step):
    return sorted(path for path in (folder / str(step)).rglob("*") if path.is_file())


def test_a_checkpoint_comes_back_bit_for_bit(saved):
    restored, said = restore(saved)
    assert (restored.step, said) == (30, "")
    assert restored.meta == {"best": 30 / 7, "grain": {"next_index": 30}}
    same(model(30), restored.items)


def test_an_older_step_and_some_items_can_be_asked_for(saved):
    restored, _ = restore(saved, step=20, names=("params", "nothing"))
    assert restored.step == 20
    same({name: model(20)[name] for name in ("params", "nothing")}, restored.items)
    assert restore(saved, names=())[0].meta["grain"] == {"next_index": 30}


def test_no_checkpoint_is_no_error(tmp_path):
    assert restore(tmp_path / "nowhere") == (None, "")
    assert not (tmp_path / "nowhere").exists()


def test_python_numbers_come_back_as_python_numbers(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, {"numbers": {"count": 3, "rate": 0.1, "done": True}}, {})
        items = checkpoints.restore({"numbers": {"count": 0, "rate": 0.0, "done": False}}).items
    assert items == {"numbers": {"count": 3, "rate": 0.1, "done": True}}
    assert {name: type(value) for name, value in items["numbers"].items()} == {
        "count": int,
        "rate": float,
        "done": bool,
    }


def test_arrays_may_change_as_soon_as_save_has_returned(tmp_path):
    array = np.ones(200_000)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, {"params": {"w": array}}, {})
        array[:] = 7
        restored = checkpoints.restore({"params": {"w": np.zeros(200_000)}})
    assert (restored.items["params"]["w"] == 1).all()


@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_byte_is_noticed_and_named_and_the_step_before_is_used(folder, seed):
    pick = random.Random(seed)
    files = [path for path in files_of(folder, 30) if path.stat().st_size]
    victim = folder / "30" / manifest.NAME if seed == 0 else pick.choice(files)
    data = bytearray(victim.read_bytes())
    place = len(data) - 1 if seed == 1 else pick.randrange(len(data))
    data[place] ^= 1 << pick.randrange(8)
    victim.write_bytes(data)
    restored, said = restore(folder)
    assert restored.step == 20
    same(model(20), restored.items)
    assert victim.relative_to(folder / "30").as_posix() in said
    assert "WARNING" in said
    assert "damaged" in said


@pytest.mark.parametrize("harm", ["delete", "truncate", "empty", "add", "no manifest", "rename"])
def test_missing_truncated_and_foreign_files_are_noticed_and_named(folder, harm):
    victim = next(path for path in files_of(folder, 30) if path.parent.name == "d" and path.stat().st_size > 50)
    if harm == "delete":
        victim.unlink()
    elif harm in ("truncate", "empty"):
        os.truncate(victim, victim.stat().st_size // 2 if harm == "truncate" else 0)
    elif harm == "add":
        victim = victim.with_name("foreign")
        victim.write_text("not of this checkpoint")
    elif harm == "no manifest":
        victim = folder / "30" / manifest.NAME
        victim.unlink()
    else:
        os.rename(folder / "30", folder / "40")
        victim = folder / "30" / manifest.NAME
    restored, said = restore(folder)
    assert restored.step == 20
    assert victim.relative_to(folder / "30").as_posix() in said


def test_every_byte_of_a_manifest_counts(tmp_path):
    (tmp_path / "array").write_bytes(b"numbers")
    manifest.seal(tmp_path, 3)
    path = tmp_path / manifest.NAME
    whole = path.read_bytes()
    assert manifest.fault(tmp_path, 3) is None
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert manifest.fault(tmp_path, 3).startswith("the file manifest.json is damaged")


def test_hidden_files_of_others_are_overlooked(folder):
    (folder / "30" / ".DS_Store").write_text("a file manager was here")
    assert restore(folder)[0].step == 30


def test_reading_changes_nothing_and_saving_moves_broken_steps_away(folder):
    os.truncate(files_of(folder, 30)[0], 1)
    before = sorted(folder.rglob("*"))
    restore(folder)
    assert sorted(folder.rglob("*")) == before
    said = []
    with Checkpoints(folder, warn=said.append) as checkpoints:
        assert checkpoints.restore(abstract(model(0))).step == 20
        for step in (25, 30):
            checkpoints.save(step, model(step), {})
    assert "moved to broken-30" in said[-1]
    assert (folder / "broken-30").is_dir()
    assert restore(folder)[0].step == 30
    assert restore(folder)[1] == ""


def test_if_none_verifies_each_is_listed_and_nothing_is_changed(folder):
    for step in (10, 20, 30):
        files_of(folder, step)[-1].unlink()
    before = sorted(folder.rglob("*"))
    with pytest.raises(CheckpointError, match=r"step 30: .*\n.*step 20: .*\n.*step 10: "):
        restore(folder)
    assert sorted(folder.rglob("*")) == before


def test_statuses_say_what_verifies(folder):
    os.truncate(files_of(folder, 20)[3], 0)
    with Checkpoints(folder) as checkpoints:
        found = checkpoints.statuses()
    assert [(status.step, status.ok) for status in found] == [(10, True), (20, False), (30, True)]
    assert files_of(folder, 20)[3].name in found[1].reason
    assert found[0].bytes == sum(path.stat().st_size for path in files_of(folder, 10))


def test_the_last_and_the_protected_are_kept(tmp_path):
    with Checkpoints(tmp_path, keep_last=2) as checkpoints:
        for step in range(1, 7):
            checkpoints.save(step, {"w": np.ones(2)}, {}, protect={2} if step < 6 else {3})
            checkpoints.wait()
            assert checkpoints.steps() == [[1], [1, 2], [2, 3], [2, 3, 4], [2, 4, 5], [5, 6]][step - 1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["5", "6"]


@pytest.mark.parametrize("step, words", [(30, "is there already"), (25, "older than step 30")])
def test_saving_a_step_again_or_an_older_one_is_refused(folder, step, words):
    with Checkpoints(folder) as checkpoints, pytest.raises(CheckpointError, match=words):
        checkpoints.save(step, model(step), {})


@pytest.mark.parametrize(
    "items, words",
    [
        ({"params": {"w": np.zeros((2, 2))}}, r"`w` float64 \(2, 2\) is missing"),
        ({"carry": Carry(np.zeros((2, 6), jnp.bfloat16), ())}, r"`hidden` should be bfloat16 \(2, 6\), but it is"),
        ({"ema": {}}, "no item `ema`. There are: params"),
    ],
)
def test_arrays_that_do_not_fit_are_named(saved, items, words):
    with Checkpoints(saved) as checkpoints, pytest.raises(CheckpointError, match=words):
        checkpoints.restore(items)


@pytest.mark.parametrize(
    "items, meta, words",
    [
        ({"a": {"k": jax.random.key(0)}}, {}, "`k` is a random key"),
        ({"a": {"k": "text"}}, {}, "`k` should be an array of numbers, but it is a str"),
        ({"a": {"k": {"l": 1}, "k/l": 1}}, {}, "two leaves have the name `k/l`"),
        ({"a": np.ones(1)}, {"loss": np.ones(1)}, "`meta` should be what JSON can hold"),
        ({"document": np.ones(1)}, {}, "is taken"),
        ({"encoder/params": np.ones(1)}, {}, "'encoder/params', which is taken or no plain name"),
        ({"": np.ones(1)}, {}, "no plain name"),
    ],
)
def test_what_cannot_be_saved_is_refused_at_once(tmp_path, items, meta, words):
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(InputError, match=words):
        checkpoints.save(1, items, meta)


def test_a_step_may_be_an_array_and_is_no_fraction(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(jnp.int32(3), {"a": np.ones(1)}, {})
        assert [status.step for status in checkpoints.statuses() if status.ok] == [3]
        with pytest.raises(InputError, match=r"`step` should be an integer, at least 0, but it is 3.5"):
            checkpoints.save(3.5, {"a": np.ones(1)}, {})


def test_a_step_that_is_not_there_is_an_error(saved):
    with pytest.raises(CheckpointError, match=r"no checkpoint of step 15. There are: \[10, 20, 30\]"):
        restore(saved, step=15)

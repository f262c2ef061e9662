"""Which parameters a run that was trained is used with: the best, the mean of the newest, or the newest intact ones."""

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.training.best import best_params
from seqjax.training.checkpoint import Checkpoints
from seqjax.training.configuration import RunConfig
from seqjax.training.folder import RunFolder

SHAPES = {"w": np.zeros(2, np.float32)}


@pytest.fixture
def folder(tmp_path):
    """A run with the steps 10, 20, 30 and 40, of which the second is the best; a signal came after step 35."""
    run = RunFolder(tmp_path)
    with Checkpoints(run.checkpoints, keep_last=5) as checkpoints:
        for step in (10, 20, 30, 35, 40):
            items = {"params": {"w": np.full(2, step, np.float32)}, "average": {"w": np.full(2, step + 1, np.float32)}}
            checkpoints.save(step, items, {"memory": {"best_step": None if step == 10 else 20}})
    return run


def used(folder, **options):
    """The number that fills the parameters, and their step."""
    params, step = best_params(RunConfig(**({"keep": 4, "evaluate_every": 10} | options)), folder, SHAPES)
    assert params["w"].dtype == np.float32
    return float(params["w"][0]), step


def damage(folder, step):
    (folder.checkpoints / str(step) / "foreign").write_text("not of this checkpoint")


def test_the_best_is_used_or_the_mean_of_the_newest_and_of_averages_theirs(folder):
    assert used(folder) == (20, 20)
    assert used(folder, average=0.5) == (21, 20)
    assert used(folder, average_last=2) == (35, 40)
    assert used(folder, average=0.5, average_last=3) == (31, 40)


def test_what_is_damaged_is_named_and_not_used(folder, capsys):
    damage(folder, 20)
    assert used(folder) == (40, 40)
    assert "The newest step, 40, is used instead of the best." in capsys.readouterr().err
    assert used(folder, average_last=3) == (pytest.approx(80 / 3), 40)
    damage(folder, 40)
    assert used(folder, average_last=2) == (20, 30)
    assert used(folder, average_last=2, evaluate_every=50) == (32.5, 35)  # stopped before there was a validation


def test_a_run_without_a_checkpoint_is_to_be_trained_first(tmp_path):
    with pytest.raises(InputError, match=r"no checkpoint yet\. Train it first: seqjax train --config"):
        best_params(RunConfig(), RunFolder(tmp_path), SHAPES)

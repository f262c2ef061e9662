"""Figures show what the rows say, and belong to nobody."""

import sys

import pytest

from seqjax.checks import InputError
from seqjax.plots import figure
from seqjax.plots.curves import curves

ROWS = [
    {"step": 10, "split": "train", "loss": 3.0, "learning_rate": 0.1},
    {"step": 10, "split": "valid", "loss": 3.1},
    {"step": 20, "split": "train", "loss": None, "learning_rate": 0.2},
    {"step": 30, "split": "train", "loss": 2.0, "learning_rate": 0.3},
    {"step": 30, "split": "valid", "loss": 2.5},
    {"step": 40, "split": "valid", "loss": 2.6},
    {"step": 40, "split": "test", "loss": 2.7},
]


def lines(drawn, panel=0):
    return {line.get_label(): line.get_xydata().tolist() for line in drawn.axes[panel].lines}


def test_curves_hold_the_losses_the_best_and_the_test():
    assert lines(curves(ROWS)) == {
        "training": [[10, 3.0], [30, 2.0]],
        "validation": [[10, 3.1], [30, 2.5], [40, 2.6]],
        "best, 2.500 at 30": [[30, 2.5]],
        "test, 2.700": [[40, 2.7]],
    }


def test_the_learning_rate_has_a_panel_of_its_own():
    drawn = curves(ROWS, learning_rate=True)
    assert list(lines(drawn, 1).values()) == [[[10, 0.1], [20, 0.2], [30, 0.3]]]
    assert [axes.get_ylabel() for axes in drawn.axes] == ["loss (nats per token)", "learning rate"]


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], ROWS[1:2], ROWS[-1:]], ids=["all", "train", "valid", "test"])
def test_every_part_of_a_run_can_be_drawn_and_saved(rows, scale, tmp_path):
    drawn = curves(rows, scale=scale, title="a run")
    drawn.savefig(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert drawn.axes[0].get_yscale() == scale


def test_rows_without_a_loss_are_refused():
    with pytest.raises(InputError, match="`rows` should hold at least one"):
        curves([{"step": 1, "split": "train", "loss": None}])


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"pip install 'seqjax\[viz\]'"):
        figure()


def test_drawing_leaves_no_global_figure():
    from matplotlib import pyplot

    curves(ROWS)
    assert pyplot.get_fignums() == []

"""Figures show what the rows say, and belong to nobody."""

import math
import sys
import warnings

import numpy as np
import pytest
from matplotlib.text import Text

from seqjax import plots
from seqjax.checks import InputError
from seqjax.plots import figure
from seqjax.plots.confusion import confusion
from seqjax.plots.curves import curves
from seqjax.plots.forecast import Drawn

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


@pytest.mark.parametrize("loss", [math.nan, math.inf, "2.0", [2.0]], ids=["nan", "inf", "text", "list"])
def test_a_loss_that_is_no_finite_number_is_passed_over(loss):
    assert lines(curves([{"step": 5, "split": "valid", "loss": loss}, *ROWS])) == lines(curves(ROWS))


TEXT = "_$\\frac$ $$ 年\U0010ffff"  # hidden in legends, no formula, no glyph
ONE = Drawn(np.arange(3.0), np.ones(2), np.ones(1), np.zeros(1), np.full(1, 2.0), np.ones(1), TEXT)
HALF = np.full((2, 2), 0.5)
DRAW = {
    "curves": lambda t: curves(ROWS, title=t, unit=t),
    "alignment": lambda t: plots.alignment(HALF, [t, t], [t, t], title=t),
    "posteriors": lambda t: plots.posteriors(HALF, [t, t], title=t),
    "dependencies": lambda t: plots.dependencies([t, t], [2, 0], [t, t], tags=[t, t], title=t),
    "embedding_map": lambda t: plots.embedding_map(np.eye(2), [t, t], groups=[t, t], title=t),
    "forecasts": lambda t: plots.forecasts([ONE], ylabel=t, band=t, errors={t: [0.5]}, error=t),
    "gate_activations": lambda t: plots.gate_activations({t: HALF}, [t, t], units=[t, t], title=t),
    "gradient_norms": lambda t: plots.gradient_norms({t: np.ones(3)}, title=t),
    "looks": lambda t: plots.looks(np.ones((2, 1)), [t, t], HALF, patch=1, title=t),
    "piano_roll": lambda t: plots.piano_roll([(0.0, 0.5, 60)], title=t),
    "pictures": lambda t: plots.pictures([[HALF]], [t]),
    "positional_encodings": lambda t: plots.positional_encodings(HALF, title=t),
    "scalar_mix": lambda t: plots.scalar_mix({t: [0.0, 1.0]}, layers=[t, t], title=t),
    "search_tree": lambda t: plots.search_tree([[0]], [[0]], [[-0.5]], [[-0.5]], [[True]], [t], title=t),
    "sketches": lambda t: plots.sketches([[[np.eye(2)]]], labels=[t], title=t),
    "transitions": lambda t: plots.transitions(HALF, [t, t + t], title=t),
    "confusion": lambda t: confusion(HALF, [t, t + t], title=t),
}


@pytest.mark.parametrize("name", DRAW)
def test_any_text_is_drawn_as_it_is_and_nothing_warns(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = DRAW[name](TEXT)
        drawn.draw_without_rendering()
    shown = [text.get_text() for text in drawn.findobj(Text)]
    assert any("$\\frac$" in text for text in shown)
    if name in ("forecasts", "scalar_mix"):
        legend = drawn.axes[-1].get_legend()
        assert ["frac" in text.get_text() for text in legend.get_texts()] == [True]


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"pip install 'seqjax\[viz\]'"):
        figure()


def test_drawing_leaves_no_global_figure():
    from matplotlib import pyplot

    curves(ROWS)
    assert pyplot.get_fignums() == []


def forecast_of(times, **ends):
    return plots.forecasts([Drawn(np.arange(float(times)), np.ones(2), np.ones(1), **ends)])


REFUSED = {
    "a blank beyond the symbols": (lambda: plots.posteriors(HALF, ["", "a"], blank=2), "`blank`"),
    "no frame a step": (lambda: plots.posteriors(HALF, ["", "a"], factor=0), "`factor`"),
    "times that do not fit": (lambda: forecast_of(2), r"`times` should be \(T \+ H,\) = \(3,\)"),
    "a band that does not fit": (lambda: forecast_of(3, low=np.ones(2)), "`low`"),
    "a point nowhere": (lambda: plots.sketches([[[np.array([[math.nan, 0.0]])]]]), "finite"),
    "a note at no time": (lambda: plots.piano_roll([(math.nan, 1.0, 60)]), "finite"),
    "half a head": (lambda: plots.dependencies(["a"], [0.5], ["root"]), "whole numbers"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_drawn_is_refused_in_words(kind):
    draw, words = REFUSED[kind]
    with pytest.raises(InputError, match=words):
        draw()


NOTHING = {
    "gradients that vanished": lambda: plots.gradient_norms({"gone": np.zeros(3)}),
    "transitions that are all forbidden": lambda: plots.transitions([[-math.inf]], ["O"]),
    "a line without points": lambda: plots.sketches([[[np.zeros((0, 2))]]]),
}


@pytest.mark.parametrize("kind", NOTHING)
def test_figures_of_nothing_are_drawn_and_nothing_warns(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NOTHING[kind]().draw_without_rendering()

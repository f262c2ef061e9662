"""Pictures of gates and gradients show the numbers they were given."""

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.plots.gates import gate_activations
from seqjax.plots.gradients import gradient_norms


def test_each_curve_holds_its_norms_and_bears_its_name():
    norms = {"fades": 0.1 ** np.arange(5), "stays": np.ones(5)}
    axes = gradient_norms(norms, title="reach").axes[0]
    assert [line.get_ydata().tolist() for line in axes.lines] == [values.tolist() for values in norms.values()]
    assert [text.get_text() for text in axes.texts] == list(norms)
    assert axes.get_yscale() == "log"
    assert axes.get_title("left") == "reach"


def test_what_is_below_the_floor_or_not_finite_is_not_drawn():
    axes = gradient_norms({"a": [1.0, 0.0, 1e-9, np.inf]}, floor=1e-8).axes[0]
    assert np.isnan(axes.lines[0].get_ydata()).tolist() == [False, True, True, True]
    assert axes.texts[0].xy[0] == 0


def test_names_that_would_meet_stand_apart():
    axes = gradient_norms({str(n): np.full(9, 1 + n / 1000) for n in range(4)} | {"low": np.full(9, 1e-3)}).axes[0]
    heights = sorted(float(np.log10(text.xy[1])) for text in axes.texts)
    low, high = np.log10(axes.get_ylim())
    assert min(np.diff(heights)) > 0.045 * (high - low)


def test_panels_hold_the_gates_with_the_symbols_below(tmp_path):
    values = np.linspace(0, 1, 12).reshape(4, 3)
    drawn = gate_activations({"input": values, "forget": 1 - values}, "a b\n", units=[7, 8, 9], title="gates")
    first, second = drawn.axes[:2]
    assert np.allclose(first.images[0].get_array(), values.T)
    assert np.allclose(second.images[0].get_array(), 1 - values.T)
    assert [label.get_text() for label in second.get_xticklabels()] == ["a", "␣", "b", "⏎"]
    assert [label.get_text() for label in first.get_yticklabels()] == ["7", "8", "9"]
    drawn.savefig(tmp_path / "gates.png")
    assert (tmp_path / "gates.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "draw, message",
    [
        (lambda: gradient_norms({}), "at least one curve"),
        (lambda: gradient_norms({"a": []}), "T at least 1"),
        (lambda: gradient_norms({"a": np.ones((2, 2))}), r"should be \(T,\)"),
        (lambda: gate_activations({}, "ab"), "at least one gate"),
        (lambda: gate_activations({"f": np.ones((2, 3))}, "abc"), r"should be \(T, H\) = \(3, any\)"),
        (lambda: gate_activations({"f": np.ones((2, 3))}, "ab", units=[1]), r"= \(2, 1\)"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, message):
    with pytest.raises(InputError, match=message):
        draw()

"""The figure of a CRF's transitions."""

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.plots import transitions


def test_forbidden_transitions_are_no_tone_and_ends_are_a_row_and_a_column():
    scores = np.array([[0.5, -1e4], [-2.0, np.nan]])
    drawn = transitions(scores, ["O", "I-X"], start=[0.1, -np.inf], end=[0.3, 0.0], title="names")
    panel = drawn.axes[0]
    table = panel.images[0].get_array()
    assert table.shape == (3, 3)
    assert np.ma.getmaskarray(table).tolist() == [[False, True, True], [False, True, False], [False, True, False]]
    assert [text.get_text() for text in panel.get_xticklabels()] == ["O", "I-X", "end"]
    assert panel.images[0].get_clim() == (-2.0, 2.0)
    assert drawn.axes[-1].get_ylabel() == "score, nats"


def test_many_tags_fit_and_shapes_are_checked():
    drawn = transitions(np.zeros((60, 60)), [f"B-{n}" for n in range(60)])
    assert max(drawn.get_size_inches()) < 12
    drawn.canvas.draw()
    with pytest.raises(InputError, match=r"`scores` should be \(K, K\) = \(2, 2\)"):
        transitions(np.zeros((2, 3)), ["O", "I-X"])
    with pytest.raises(InputError, match="`tags`"):
        transitions(np.zeros((0, 0)), [])

"""Small pictures side by side: rows of them, with a word above each column."""

from collections.abc import Sequence

import numpy as np

from seqjax.checks import InputError
from seqjax.plots import figure
from seqjax.plots.labels import heading, plain


def pictures(rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str] = ()):
    """Draw rows of grey pictures.

    Args:
        rows: of pictures (H, W), 0 paper and 1 ink; all rows of the same length.
        titles: what stands above each column.

    Example:
        >>> pictures([[np.zeros((8, 8)), np.ones((8, 8))]], ["given", "completed"]).axes[1].get_title()
        'completed'
    """
    across = len(rows[0]) if rows else 0
    if not across or any(len(row) != across for row in rows):
        raise InputError(f"pictures: rows should be of one length, but they hold {[len(row) for row in rows]}.")
    if titles and len(titles) != across:
        raise InputError(f"pictures: {across} columns need as many titles, but there are {len(titles)}.")
    drawn = figure(figsize=(1.1 * across, 1.1 * len(rows) + (0.3 if titles else 0)))
    for row, axes in zip(rows, drawn.subplots(len(rows), across, squeeze=False), strict=True):
        for picture, one in zip(row, axes, strict=True):
            one.imshow(np.asarray(picture), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
            one.set_xticks([])
            one.set_yticks([])
    for number, title in enumerate(titles):
        drawn.axes[number].set_title(heading(title), fontsize=8, **plain())
    return drawn

"""Which class was taken for which, as a table of tones with the counts written in."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from seqjax.checks import InputError, check_shape
from seqjax.plots.heatmaps import Paint, arrange, draw

READABLE = 0.22  # inches of a cell in which a count can be read
DARK = 0.45  # share of a row from which its count is written in a light tone


def confusion(counts: ArrayLike, classes: Sequence[str], *, title: str = ""):
    """Draw a confusion matrix: a row for each class as it is, a column for each class as it was taken to be.

    The tone is the share of the row, so that rare classes can be read beside frequent ones; the number is the count.

    Args:
        counts: (K, K), how many examples of each class were taken for each.
        classes: K names.
        title: above the figure.

    Returns:
        A matplotlib ``Figure``.

    Raises:
        InputError: shapes that do not fit, no class, or the extra ``viz`` is not installed.

    Example:
        >>> drawn = confusion([[8, 2], [1, 0]], ["yes", "no"])
        >>> [text.get_text() for text in drawn.axes[0].texts]
        ['8', '2', '1']
    """
    K = len(classes)
    if not K:
        raise InputError("confusion: `classes` should name one class at least.")
    table = np.asarray(counts, float)
    check_shape("confusion", "counts", table, "(K, K)", (K, K), "One row and one column a class.")
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    cell = float(np.clip(9 / K, 0.11, 0.42))
    sheet = arrange([title], list(classes), list(classes), 1, cell, title_size=11)
    drawn = draw({title: shares}, sheet, ("class", "taken for"), Paint(unit="share of the class"))
    if cell >= READABLE:
        for row, column in np.argwhere(table > 0).tolist():
            tone = "1.0" if shares[row, column] > DARK else "0.25"
            size = min(8.0, 72 * cell / 3.2)
            drawn.axes[0].text(
                column, row, f"{table[row, column]:.0f}", ha="center", va="center", fontsize=size, color=tone
            )  # fmt: skip
    return drawn

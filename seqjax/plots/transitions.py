"""What the tags of a conditional random field say of one another, as a table of tones."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from seqjax.checks import InputError, check_shape
from seqjax.plots.heatmaps import BOTH_WAYS, Paint, arrange, draw

START, END = "start", "end"
LONGEST = 40  # characters of a tag; kinds are told apart by their ends
IMPOSSIBLE = -1e3  # nats; a score below it forbids a transition


def transitions(
    scores: ArrayLike,
    tags: Sequence[str],
    *,
    start: ArrayLike | None = None,
    end: ArrayLike | None = None,
    title: str = "",
):
    """Draw transition scores: a row for each tag, a column for each tag that may come after it.

    Blue raises the score of a sequence, red lowers it, white is 0; a transition that is forbidden is grey.

    Args:
        scores: (K, K), nats; row: a tag, column: the one after it. NaN, −inf or below −1000: forbidden.
        tags: K names.
        start: (K,), of a tag that comes first: one more row, on top.
        end: (K,), of a tag that comes last: one more column, to the right.
        title: above the figure.

    Returns:
        A matplotlib ``Figure``.

    Raises:
        InputError: shapes that do not fit, no tag, or the extra ``viz`` is not installed.

    Source:
        Lample et al. (2016), Neural Architectures for Named Entity Recognition, section 2.2, the matrix A.

    Example:
        >>> drawn = transitions([[0.5, -np.inf], [1.0, 0.2]], ["O", "I-X"], start=[0.1, -np.inf])
        >>> [label.get_text() for label in drawn.axes[0].get_yticklabels()]
        ['start', 'O', 'I-X']
    """
    K = len(tags)
    if not K:
        raise InputError("transitions: `tags` should name one tag at least.")
    table = np.asarray(scores, float)
    check_shape("transitions", "scores", table, "(K, K)", (K, K), "One row and one column a tag.")
    rows, columns = list(tags), list(tags)
    for name, ends in (("start", start), ("end", end)):
        if ends is not None:
            check_shape("transitions", name, ends, "(K,)", (K,))
    if end is not None:
        table, columns = np.column_stack([table, np.asarray(end, float)]), [*columns, END]
    if start is not None:
        first = np.asarray(start, float)
        first = np.append(first, np.nan) if end is not None else first
        table, rows = np.vstack([first, table]), [START, *rows]
    table = np.where(table > IMPOSSIBLE, table, np.nan)
    most = float(np.nanmax(np.abs(table), initial=0.0)) or 1.0
    cell = float(np.clip(9 / max(table.shape), 0.11, 0.34))
    sheet = arrange([title], rows, columns, 1, cell, title_size=11, longest=LONGEST)
    return draw({title: table}, sheet, ("tag", "next tag"), Paint(BOTH_WAYS, -most, most, "score, nats"))

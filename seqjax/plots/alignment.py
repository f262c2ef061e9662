"""Where attention looks: weights as heat maps, with the tokens of both sides along the axes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from seqjax.checks import InputError, check_count, check_shape
from seqjax.plots.heatmaps import Paint, arrange, draw

TOLERANCE = 1e-3  # how far outside [0, 1] rounding may carry a weight
SIDES = ("target", "source")


def alignment(
    weights: ArrayLike,
    targets: Sequence[str],
    sources: Sequence[str],
    *,
    highest: float = 1.0,
    sides: tuple[str, str] = SIDES,
    title: str = "",
):
    """Draw the weights of one attention as a heat map: a row for each target, a column for each source.

    Cells are square, and every token has a label; beyond about 200 tokens a side steps are counted from 0 instead.

    Args:
        weights: (T, S), probabilities; a row sums to one, or to zero where there was nothing to look at.
        targets: T tokens that ask.
        sources: S tokens that are looked at.
        highest: the probability of the darkest tone; what is higher is as dark, and the colour bar says so.
        sides: what rows and columns are, for instance ``("query", "key")``.
        title: above the figure.

    Returns:
        A matplotlib ``Figure``.

    Raises:
        InputError: weights that are not (T, S) or no probabilities, no token, or the extra ``viz`` is not installed.

    Source:
        Bahdanau, Cho & Bengio (2015), Neural machine translation by jointly learning to align and translate, figure 3.

    Example:
        >>> drawn = alignment(np.eye(2), "ab", "a ")
        >>> [label.get_text() for label in drawn.axes[0].get_xticklabels()]
        ['a', '␣']
    """
    table = _probabilities("alignment", "weights", weights, targets, sources)
    _check_scale("alignment", highest)
    side = max(table.shape)
    cell = min(float(np.clip(9 / side, 0.13, 0.34)), max(16 / side, 0.02))
    return draw(
        {title: table}, arrange([title], targets, sources, 1, cell, title_size=11), sides, Paint(highest=highest)
    )


def heads(
    weights: Mapping[str, ArrayLike] | ArrayLike,
    targets: Sequence[str],
    sources: Sequence[str],
    *,
    columns: int | None = None,
    highest: float = 1.0,
    sides: tuple[str, str] = SIDES,
    title: str = "",
):
    """Draw the weights of many heads side by side, one panel each, on one scale.

    The tokens stand along the outer panels; where they would be too small to read, steps are counted from 0 instead.

    Args:
        weights: by name, (T, S) each; or (N, T, S), which are called head 1, head 2, ….
        targets: T tokens.
        sources: S tokens.
        columns: panels in a row, for instance the heads of a layer; without it, what makes a handy sheet.
        highest: the probability of the darkest tone.
        sides: what rows and columns are.
        title: above the figure.

    Returns:
        A matplotlib ``Figure``.

    Raises:
        InputError: no head, or as :func:`alignment`.

    Example:
        >>> drawn = heads(np.full((4, 2, 3), 1 / 3), "ab", "xyz")
        >>> [panel.get_title("left") for panel in drawn.axes[:4]]
        ['head 1', 'head 2', 'head 3', 'head 4']
    """
    tables = _named("heads", weights, targets, sources)
    _check_scale("heads", highest)
    if columns is not None:
        check_count("heads", "columns", columns)
    across = min(columns or _handy(len(tables), len(targets), len(sources)), len(tables))
    down = math.ceil(len(tables) / across)
    cell = float(np.clip(min(14 / (across * len(sources)), 11 / (down * len(targets))), 0.02, 0.26))
    return draw(
        tables, arrange(list(tables), targets, sources, across, cell, above=title), sides, Paint(highest=highest)
    )


def one_by_one(
    weights: Mapping[str, ArrayLike] | ArrayLike,
    targets: Sequence[str],
    sources: Sequence[str],
    *,
    highest: float = 1.0,
    sides: tuple[str, str] = SIDES,
) -> dict[str, Any]:
    """Draw every head as a figure of its own: :func:`alignment` of each, its name as the title.

    Args:
        weights: by name, (T, S) each; or (N, T, S), which are called head 1, head 2, ….
        targets: T tokens.
        sources: S tokens.
        highest: the probability of the darkest tone.
        sides: what rows and columns are.

    Returns:
        Matplotlib figures by the names of ``weights``.

    Raises:
        InputError: no head, or as :func:`alignment`.

    Example:
        >>> list(one_by_one({"layer 1 head 1": np.eye(2), "layer 1 head 2": np.eye(2)}, "ab", "ab"))
        ['layer 1 head 1', 'layer 1 head 2']
    """
    tables = _named("one_by_one", weights, targets, sources)
    return {
        name: alignment(table, targets, sources, highest=highest, sides=sides, title=name)
        for name, table in tables.items()
    }


def _probabilities(where: str, name: str, values: ArrayLike, targets: Sequence[str], sources: Sequence[str]):
    table = np.asarray(values, float)
    check_shape(where, name, table, "(T, S)", (len(targets), len(sources)), "One token a row, and one a column.")
    if not table.size:
        raise InputError(f"{where}: `{name}` should be (T, S) with T and S at least 1, but it is {table.shape}.")
    wrong = ~((table >= -TOLERANCE) & (table <= 1 + TOLERANCE))
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InputError(
            f"{where}: `{name}` should hold probabilities, but position {place} holds {table[place]:.4g}. "
            f"Are these scores, before the softmax?"
        )
    return table


def _check_scale(where: str, highest: float) -> None:
    if not 0 < highest <= 1:
        raise InputError(f"{where}: `highest` should be a probability above 0, but it is {highest}.")


def _named(where: str, weights, targets: Sequence[str], sources: Sequence[str]) -> dict[str, np.ndarray]:
    if not isinstance(weights, Mapping):
        weights = np.asarray(weights, float)
        check_shape(where, "weights", weights, "(N, T, S)", (None, len(targets), len(sources)))
        weights = {f"head {number}": table for number, table in enumerate(weights, start=1)}
    if not weights:
        raise InputError(f"{where}: `weights` should hold at least one head, but it is empty.")
    return {
        name: _probabilities(where, f"weights[{name!r}]", table, targets, sources) for name, table in weights.items()
    }


def _handy(panels: int, T: int, S: int) -> int:
    """Panels in a row: no gap in the last row if that can be, and a sheet about 1.5 times as wide as high."""

    def awkward(across: int) -> float:
        down = math.ceil(panels / across)
        ratio = across * (S + 4) / (down * (T + 4))
        return abs(math.log(ratio / 1.5)) + 2 * (across * down - panels) / panels

    return min(range(1, panels + 1), key=awkward)

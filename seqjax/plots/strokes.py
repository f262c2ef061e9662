"""Drawings in rows, as a figure and as SVG.

A drawing is a list of lines (N, 2), to the right and down.
"""

from collections.abc import Sequence
from html import escape

import numpy as np

from seqjax.checks import InputError
from seqjax.plots import figure
from seqjax.plots.labels import heading, heading_style, plain

Lines = Sequence[np.ndarray]
ROOM = 1.15  # a cell, over the largest drawing


def placed(rows: Sequence[Sequence[Lines]]) -> tuple[list[list[list[np.ndarray]]], float]:
    """Drawings each in the middle of a cell of its own, all in one scale: cell (r, c) is about (c + ½, r + ½) · side.

    Returns:
        The lines, and the side of a cell.
    """
    if not rows or not any(len(row) for row in rows):
        raise InputError("sketches: there should be one drawing at least.")
    boxes = [[_points(lines) for lines in row] for row in rows]
    if not all(np.isfinite(points).all() for row in boxes for points in row):
        raise InputError("sketches: points should be finite numbers.")
    side = ROOM * max(float(np.ptp(points, axis=0).max()) for row in boxes for points in row) or 1.0
    found: list[list[list[np.ndarray]]] = []
    for r, row in enumerate(rows):
        found.append([])
        for c, lines in enumerate(row):
            middle = (boxes[r][c].min(axis=0) + boxes[r][c].max(axis=0)) / 2
            found[r].append([line - middle + (np.array([c, r]) + 0.5) * side for line in lines])
    return found, side


def _points(lines: Lines) -> np.ndarray:
    """All points of a drawing; of an empty one, the origin."""
    points = np.concatenate([np.zeros((0, 2)), *lines])
    return points if len(points) else np.zeros((1, 2))


def sketches(rows: Sequence[Sequence[Lines]], *, labels: Sequence[str] = (), title: str = ""):
    """Draw drawings in a table.

    Args:
        rows: of drawings; they may differ in how many there are.
        labels: of the rows.
        title: above the figure.

    Returns:
        A matplotlib ``Figure``.

    Raises:
        InputError: no drawing, points that are not finite, or the extra ``viz`` is not installed.

    Example:
        >>> drawn = sketches([[[np.array([[0, 0], [1, 2]])], []]], labels=["a line, and nothing"])
        >>> len(drawn.axes[0].lines)
        1
    """
    found, side = placed(rows)
    columns, cell = max(map(len, rows)), 0.62
    beside = 0.2 + 0.1 * max(map(len, labels), default=0)  # inches
    drawn = figure(figsize=(columns * cell + beside, len(rows) * cell + (0.4 if title else 0.1)))
    axes = drawn.add_subplot()
    for row in found:
        for number, lines in enumerate(row):
            for line in lines:
                axes.plot(line[:, 0], line[:, 1], color=("#1f3a5f", "#2a4d7c")[number % 2], linewidth=1.1)
    axes.set(xlim=(0, columns * side), ylim=(len(rows) * side, 0), aspect="equal", xticks=[])
    axes.set_title(heading(title), fontsize=11, **heading_style())
    places = (np.arange(len(labels)) + 0.5) * side
    axes.set_yticks(places if labels else [], [heading(name) for name in labels], **plain())
    axes.tick_params(length=0, labelcolor="0.25", labelsize=9)
    axes.spines[:].set_visible(False)
    return drawn


def sketches_svg(rows: Sequence[Sequence[Lines]], *, cell: float = 80.0, title: str = "") -> str:
    """The same table as the text of an SVG file: a ``<path>`` for each drawing, of ``M`` and ``L``.

    Args:
        rows: of drawings.
        cell: side of a drawing's cell, pixels.
        title: of the document.

    Example:
        >>> print(sketches_svg([[[np.array([[0, 0], [10, 0]])]]]).splitlines()[-2])
        <path d="M5.22 40 L74.78 40"/>
    """
    found, side = placed(rows)
    wide, tall = max(map(len, rows)) * cell, len(rows) * cell
    paths = []
    for lines in (drawing for row in found for drawing in row):
        pieces = (" L".join(f"{x:.6g} {y:.6g}" for x, y in (line / side * cell).round(2).tolist()) for line in lines)
        paths.append(f'<path d="{" ".join("M" + piece for piece in pieces)}"/>')
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {tall:g}" width="{wide:g}" height="{tall:g}" '
        'fill="none" stroke="#1f3a5f" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round">'
    )
    return "\n".join([head, f"<title>{escape(title, quote=False)}</title>", *paths, "</svg>"]) + "\n"

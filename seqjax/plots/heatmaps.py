"""Heat maps with tokens along their sides: one, or a grid of them, laid out in inches."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from seqjax.plots import figure
from seqjax.plots.labels import fonts, heading, heading_style, inches, labels

PAPER_TO_INK = ("#fbfaf6", "#b5c7d6", "#5b87ad", "#1f4e79", "#0d2741")
BOTH_WAYS = ("#7a2e1d", "#c98b6b", "#fbfaf6", "#5b87ad", "#0d2741")  # below 0, 0, above 0
NOWHERE = "#e4e1d8"  # where a table holds NaN
SMALLEST = 4.5  # points; labels that would be smaller give way to counted steps


class Paint(NamedTuple):
    """How numbers become tones."""

    tones: tuple[str, ...] = PAPER_TO_INK  # from the lowest to the highest
    lowest: float = 0.0
    highest: float = 1.0
    unit: str = "probability"  # beside the colour bar


class Sheet(NamedTuple):
    """Where things stand, in inches: the sizes of labels are known before the figure is."""

    above: str  # a title of the whole
    targets: list[str]
    sources: list[str]
    shown: bool  # whether tokens are written at all
    upright: list[bool]  # by source, whether its label fits a column unturned
    cell: float
    font: float  # points
    across: int
    down: int
    left: float
    bottom: float
    top: float  # for a panel's title
    gap: float
    title_size: float  # points, of a panel's title
    width: float
    height: float


def arrange(
    names: Sequence[str],
    targets: Sequence[str],
    sources: Sequence[str],
    across: int,
    cell: float,
    *,
    above: str = "",
    title_size: float = 9,
    longest: int = 16,
) -> Sheet:
    """Find room for panels of T rows and S columns with tokens along the outer ones.

    Args:
        names: titles of the panels.
        targets: T tokens, for the rows.
        sources: S tokens, for the columns.
        across: panels side by side.
        cell: the side of a cell in inches. Tokens are left out where their font would be below ``SMALLEST``.
        above: a title of the whole sheet.
        title_size: points.
        longest: characters of a token.
    """
    rows, columns = labels(targets, longest), labels(sources, longest)
    font = min(10.0, cell * 72 * 0.78)
    shown = font >= SMALLEST
    upright = [inches(text, font) + 0.06 <= cell for text in columns]
    if 3 * sum(upright) < 2 * len(upright):
        upright = [False] * len(upright)
    line = 1.3 * font / 72
    deep = max(line if stands else inches(text, font) for text, stands in zip(columns, upright, strict=True))
    left = 0.42 + (max(inches(text, font) for text in rows) if shown else 0.25)
    bottom = 0.4 + (deep if shown else 0.2)
    wide, title = len(sources) * cell, max(inches(name, title_size) for name in names)
    top, gap, down = 0.35, max(0.16, title + 0.1 - wide), math.ceil(len(names) / across)
    width = left + across * wide + (across - 1) * gap + 0.85
    width = max(width, left + (across - 1) * (wide + gap) + title + 0.1, left + inches(above, 11) + 0.1)
    height = (0.3 if above else 0.0) + down * (len(targets) * cell + top) + bottom
    short = max(0.0, 1.5 - height)  # room for the colour bar
    return Sheet(
        above, rows, columns, shown, upright, cell, font, across, down,
        left, bottom + short, top, gap, title_size, width, height + short,
    )  # fmt: skip


def draw(tables: Mapping[str, np.ndarray], sheet: Sheet, sides: tuple[str, str], paint: Paint):
    """Fill a sheet.

    Args:
        tables: by title, (T, S) each.
        sheet: made for them.
        sides: what rows and columns are.
        paint: tones, and the numbers at both ends of them.

    Returns:
        A matplotlib ``Figure``: its first axes are the panels, its last the colour bar.
    """
    from matplotlib.colors import LinearSegmentedColormap

    drawn = figure(figsize=(sheet.width, sheet.height), dpi=150, layout="none")
    tones = LinearSegmentedColormap.from_list("ink", paint.tones).with_extremes(bad=NOWHERE)
    wide, high = len(sheet.sources) * sheet.cell, len(sheet.targets) * sheet.cell
    for number, (name, table) in enumerate(tables.items()):
        row, column = divmod(number, sheet.across)
        x = sheet.left + column * (wide + sheet.gap)
        y = sheet.bottom + (sheet.down - 1 - row) * (high + sheet.top)
        axes = drawn.add_axes((x / sheet.width, y / sheet.height, wide / sheet.width, high / sheet.height))
        axes.imshow(table, aspect="auto", cmap=tones, vmin=paint.lowest, vmax=paint.highest, interpolation="nearest")
        _frame(axes, sheet)
        _name_rows(axes, sheet, sides[0] if column == 0 else None)
        _name_columns(axes, sheet, sides[1] if number + sheet.across >= len(tables) else None)
        axes.set_title(heading(name), loc="left", fontsize=sheet.title_size, pad=7, **heading_style())
    over = max(float(np.nanmax(table, initial=paint.lowest)) for table in tables.values()) > paint.highest * (1 + 1e-6)
    _bar(drawn, sheet, sheet.left + sheet.across * (wide + sheet.gap) - sheet.gap, over, paint.unit)
    if sheet.above:
        place = sheet.left / sheet.width, 1 - 0.1 / sheet.height
        drawn.text(*place, heading(sheet.above), fontsize=11, va="top", **heading_style())
    return drawn


def _bar(drawn, sheet: Sheet, right: float, over: bool, unit: str) -> None:
    """The colour bar, beside the panels and no higher than is handy."""
    every = sheet.down * (len(sheet.targets) * sheet.cell + sheet.top) - sheet.top
    tall = max(min(2.2, every), 0.9)
    place = right + 0.16, sheet.bottom + every - tall, 0.11, tall
    sizes = sheet.width, sheet.height, sheet.width, sheet.height
    axes = drawn.add_axes(tuple(inch / size for inch, size in zip(place, sizes, strict=True)))
    bar = drawn.colorbar(drawn.axes[0].images[0], cax=axes, extend="max" if over else "neither")
    bar.set_label(unit, fontsize=8, color="0.25")
    bar.outline.set_visible(False)
    bar.ax.tick_params(color="0.6", labelcolor="0.25", labelsize=7)


def _frame(axes, sheet: Sheet) -> None:
    """A thin frame, and, where cells are large enough, faint lines for the eye to follow."""
    from matplotlib.collections import LineCollection

    axes.spines[:].set(color="0.75", linewidth=0.6)
    axes.tick_params(length=0)
    if sheet.cell >= 0.1:
        T, S = len(sheet.targets), len(sheet.sources)
        across = [[(-0.5, row - 0.5), (S - 0.5, row - 0.5)] for row in range(1, T)]
        down = [[(column - 0.5, -0.5), (column - 0.5, T - 0.5)] for column in range(1, S)]
        axes.add_collection(LineCollection(across + down, colors="0.9", linewidths=0.35), autolim=False)


def _name_rows(axes, sheet: Sheet, side: str | None) -> None:
    if side is None or not sheet.shown:
        _count(axes.yaxis, side)
        return
    axes.set_yticks(range(len(sheet.targets)), sheet.targets, family=list(fonts()), parse_math=False)
    axes.tick_params(axis="y", labelsize=sheet.font, labelcolor="0.15", pad=2.5)
    axes.set_ylabel(side, fontsize=8, color="0.45")


def _name_columns(axes, sheet: Sheet, side: str | None) -> None:
    if side is None or not sheet.shown:
        _count(axes.xaxis, side)
        return
    axes.set_xticks(range(len(sheet.sources)), sheet.sources, family=list(fonts()), parse_math=False)
    axes.tick_params(axis="x", labelsize=sheet.font, labelcolor="0.15", pad=2.5)
    for text, stands in zip(axes.get_xticklabels(), sheet.upright, strict=True):
        text.set_rotation(0 if stands else 90)
    axes.set_xlabel(side, fontsize=8, color="0.45")


def _count(axis, side: str | None) -> None:
    if side is None:
        axis.set_ticks([])
        return
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(5, integer=True))
    axis.set_tick_params(length=2, labelsize=7, labelcolor="0.25", color="0.6")
    axis.set_label_text(side, fontsize=8, color="0.45")

"""The tree that a beam search walked: what it kept at every step, how likely, and what it chose."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from seqjax.plots import figure
from seqjax.plots.hypotheses import Node, Place, Steps, check, fates_of, nodes_of, rows_of
from seqjax.plots.labels import fonts, heading, heading_style, inches

PITCH, TALL = 0.52, 0.34  # inches from row to row, and height of a box
FAN, RUN = 0.4, 0.46  # inches in which edges part, and in which they run level under their probability
HEAVY = 5.0  # points, the width of an edge of probability 1
LOOKS = {  # what became of a hypothesis: the colour of line, box and text
    "dropped": ("#b9c0c7", "#ffffff", "#8a9299"),
    "kept": ("#5b87ad", "#eef3f8", "#1f3a54"),
    "finished": ("#2d7d46", "#e6f2ea", "#1c4f2d"),
    "best": ("#c0392b", "#fbeae7", "#7c1f14"),
}


def search_tree(
    parents: ArrayLike,
    tokens: ArrayLike,
    log_probabilities: ArrayLike,
    totals: ArrayLike,
    ended: ArrayLike,
    names: Sequence[str],
    *,
    scores: ArrayLike | None = None,
    title: str = "",
):
    """Draw the hypotheses a beam of k kept over some steps, from left to right.

    The width of an edge is the probability of its token, which is written above it; a box holds the token and the
    log-probability of all up to there. What was dropped is grey, what lived to the last step blue, what ended green,
    and the best hypothesis red and bold: the best of those that ended, or, if none did, of those at the last step.
    Edges do not cross.

    Args:
        parents: (steps, k), the slot of the step before that a hypothesis went on from; ignored in step 0.
        tokens: (steps, k), ids in ``[0, len(names))``, ignored in empty slots.
        log_probabilities: (steps, k) of the token, in nats.
        totals: (steps, k), of the whole hypothesis; a slot that is not finite is empty.
        ended: (steps, k), True from the step at which the hypothesis ended. A slot whose parent had ended only
            carries it along, and is not drawn.
        names: how each token is written.
        scores: (steps, k), by which hypotheses are ranked, where that is not by ``totals`` (a length penalty).
        title: above the figure.

    Returns:
        A matplotlib ``Figure``.

    Raises:
        InputError: arrays that are not (steps, k), ids or parents out of range, no hypothesis, or the extra ``viz``
            is not installed.

    Example:
        >>> logs = np.log([[0.6, 0.4], [0.5, 0.9]])
        >>> sums = np.log([[0.6, 0.4], [0.3, 0.36]])
        >>> drawn = search_tree([[0, 0], [0, 1]], [[0, 1], [1, 0]], logs, sums, np.zeros((2, 2), bool), "ab")
        >>> [box.get_gid() for box in drawn.axes[0].patches if box.get_gid().startswith("best box")]
        ['best box 0 1', 'best box 1 1']
    """
    steps = Steps(
        np.asarray(parents),
        np.asarray(tokens),
        np.asarray(log_probabilities, float),
        np.asarray(totals, float),
        np.asarray(ended, bool),
        np.asarray(totals if scores is None else scores, float),
    )
    check(steps, len(names))
    nodes = nodes_of(steps, names)
    fates = fates_of(nodes)
    places, size = _places(nodes, rows_of(nodes, steps.parents.shape[1]), title)
    drawn = figure(figsize=size, dpi=150, layout="none")
    axes = drawn.add_axes((0, 0, 1, 1), xlim=(0, size[0]), ylim=(size[1], 0))  # one unit is one inch
    axes.set_axis_off()
    for at in sorted(nodes, key=lambda at: list(LOOKS).index(fates[at])):  # the best lies on top
        _edge(axes, at, nodes[at], fates[at], places)
        _box(axes, at, nodes[at], fates[at], places[at], score=scores is not None and nodes[at].ended)
    for step in sorted({step for step, _ in nodes}):
        box = next(places[at] for at in nodes if at[0] == step)
        axes.text(box.x + box.wide / 2, box.header, f"step {step + 1}", color="0.5", fontsize=7.5, ha="center")
    axes.plot(0.3, places[None].y, "o", color=LOOKS["best"][0], markersize=7, gid="start")
    _legend(axes, set(fates.values()), any(node.ended for node in nodes.values()), size[1] - 0.2)
    if title:
        axes.text(0.25, 0.25, heading(title), fontsize=11, va="center", **heading_style())
    return drawn


class _Spot(NamedTuple):
    """Where a box stands, in inches from the top left: its left edge, its middle, and the line for its column."""

    x: float
    y: float
    wide: float
    header: float


def _places(nodes: dict[Place, Node], rows: dict[Place, float], title: str):
    """A spot for every box and, under None, for the start; and the size of the figure."""
    high, low = min(0.0, *rows.values()), max(0.0, *rows.values())
    above = 0.32 if title else 0.0
    top = above + 0.42
    places: dict[Place | None, _Spot] = {None: _Spot(0.3, top + TALL / 2 - high * PITCH, 0.06, above + 0.3)}
    x = 0.36
    for step in sorted({step for step, _ in nodes}):
        column = {at: node for at, node in nodes.items() if at[0] == step}
        wide = max(max(inches(n.name, 10), inches(_nats(n.total), 6.5)) for n in column.values()) + 0.16
        x += FAN + RUN
        for at in column:
            places[at] = _Spot(x, top + TALL / 2 + (rows[at] - high) * PITCH, wide, above + 0.3)
        x += wide
    return places, (max(x + 0.3, 7.2, inches(title, 11) + 0.5), top + TALL + (low - high) * PITCH + 0.62)


def _edge(axes, at: Place, node: Node, fate: str, places: dict[Place | None, _Spot]) -> None:
    """From the parent: a curve while edges part, then level under the probability."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    begin, end = places[node.parent], places[at]
    x, level = begin.x + begin.wide, end.x - RUN
    points = [(x, begin.y), (x + FAN / 2, begin.y), (level - FAN / 2, end.y), (level, end.y), (end.x, end.y)]
    path = Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4, Path.LINETO])
    width = max(HEAVY * node.probability, 0.4)
    style = {"edgecolor": LOOKS[fate][0], "facecolor": "none", "capstyle": "butt", "linewidth": width}
    axes.add_patch(PathPatch(path, gid=f"{fate} edge {at[0]} {at[1]}", zorder=2 + (fate == "best"), **style))
    lift = 0.02 + width / 144
    axes.text(
        level + RUN / 2, end.y - lift, _probability(node.probability), color=LOOKS[fate][2], fontsize=6.5,
        ha="center", va="bottom", zorder=4,
    )  # fmt: skip


def _box(axes, at: Place, node: Node, fate: str, spot: _Spot, score: bool) -> None:
    """The token, below it the log-probability of the hypothesis, and a full stop where it ended."""
    from matplotlib.patches import FancyBboxPatch

    line, fill, ink = LOOKS[fate]
    box = FancyBboxPatch(
        (spot.x, spot.y - TALL / 2), spot.wide, TALL, "round,pad=0,rounding_size=0.06",
        facecolor=fill, edgecolor=line, linewidth=1.8 if fate == "best" else 1.0, zorder=4,
        gid=f"{fate} box {at[0]} {at[1]}",
    )  # fmt: skip
    axes.add_patch(box)
    if node.ended:
        _end(axes, spot.x + spot.wide, spot.y, line)
    weight = "bold" if fate == "best" else "normal"
    middle = spot.x + spot.wide / 2
    axes.text(
        middle, spot.y - 0.055, node.name, color=ink, fontsize=10, weight=weight, family=list(fonts()),
        ha="center", va="center", zorder=5, parse_math=False,
    )  # fmt: skip
    axes.text(middle, spot.y + 0.105, _nats(node.total), color=ink, fontsize=6.5, ha="center", va="center", zorder=5)
    if score:
        below = {"color": ink, "fontsize": 6.5, "style": "italic", "ha": "center", "va": "top", "zorder": 5}
        axes.text(middle, spot.y + TALL / 2 + 0.025, f"score {_nats(node.score)}", **below)


def _end(axes, x: float, y: float, colour: str) -> None:
    """A full stop behind a hypothesis that ended: a short line into a square."""
    axes.plot([x, x + 0.1], [y, y], color=colour, linewidth=1.2, zorder=3)
    axes.plot(x + 0.13, y, "s", color=colour, markersize=5, zorder=4)


def _legend(axes, fates: set[str], ended: bool, y: float) -> None:
    style: dict[str, Any] = {"fontsize": 7.5, "color": "0.35", "va": "center"}
    x = 0.25
    for fate in reversed(LOOKS):
        if fate in fates:
            line, fill, _ = LOOKS[fate]
            axes.plot(x + 0.06, y, "s", color=fill, markeredgecolor=line, markersize=8, markeredgewidth=1.3)
            axes.text(x + 0.19, y, fate, **style)
            x += 0.31 + 0.058 * len(fate)
    if ended:
        axes.plot(x + 0.06, y, "s", color="0.35", markersize=5)
        axes.text(x + 0.15, y, "end", **style)
        x += 0.5
    for probability in (0.1, 0.5, 1.0):
        x += 0.12
        axes.plot([x, x + 0.3], [y, y], color="0.45", linewidth=HEAVY * probability, solid_capstyle="butt")
        axes.text(x + 0.35, y, f"{probability:g}", **style)
        x += 0.54
    axes.text(x + 0.05, y, "probability of the token; in the boxes: nats so far", **style)


def _probability(value: float) -> str:
    if value < 0.001:
        return "<0.001"
    return f"{value:.2f}" if value >= 0.095 else f"{value:.1g}"


def _nats(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")

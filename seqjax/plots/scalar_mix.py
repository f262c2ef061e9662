"""How much each layer weighs in a mix of layers."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from seqjax.checks import InputError, check_shape
from seqjax.plots import figure, quiet_axes
from seqjax.plots.labels import heading, heading_style, legend_name, plain

TONES = ("#1f4e79", "#c0633f", "#7a8c5c", "#8a6fa8", "#b59a3f", "#5f9ea0")


def scalar_mix(scores: ArrayLike | Mapping[str, ArrayLike], *, layers: Sequence[str] = (), title: str = ""):
    """Draw the weights that a mix gives to layers as bars; a dashed line stands where all weigh alike.

    Args:
        scores: (L,), what the mix has learned, before the softmax; or several of them by name, one bar each.
        layers: L names; by default the first is the words' own, and the others are numbered.
        title: above the figure.

    Returns:
        A matplotlib ``Figure``.

    Raises:
        InputError: no layer, mixes of different lengths, numbers that are not finite, or the extra ``viz`` is not
            installed.

    Source:
        Peters et al. (2018), Deep Contextualized Word Representations, figure 2, shows the same weights as tones.

    Example:
        >>> drawn = scalar_mix([0.0, 0.0, np.log(2.0)])
        >>> [round(float(bar.get_height()), 3) for bar in drawn.axes[0].patches]
        [0.25, 0.25, 0.5]
    """
    mixes = scores if isinstance(scores, Mapping) else {"": scores}
    rows = {name: np.asarray(row, float) for name, row in mixes.items()}
    depth = next((row.size for row in rows.values()), 0)
    if not depth:
        raise InputError("scalar_mix: `scores` should hold a number for each layer, but there is no layer.")
    for row in rows.values():
        check_shape("scalar_mix", "scores", row, "(L,)", (depth,))
        if not np.isfinite(row).all():
            raise InputError("scalar_mix: `scores` should be finite numbers.")
    names = list(layers) or ["words", *(f"layer {number}" for number in range(1, depth))]
    check_shape("scalar_mix", "layers", names, "(L,)", (depth,), "One name a layer.")
    drawn = figure(figsize=(1.6 + 0.9 * depth * (1 + 0.35 * (len(rows) - 1)), 3), dpi=150)
    axes, width = drawn.subplots(), 0.62 / len(rows)
    axes.axhline(1 / depth, color="0.55", linewidth=1, linestyle=(0, (4, 3)), zorder=3)
    for number, (name, row) in enumerate(rows.items()):
        weights = np.exp(row - row.max())
        places = np.arange(depth) + (number - (len(rows) - 1) / 2) * width
        look = {"color": TONES[number % len(TONES)], "label": legend_name(name)}
        bars = axes.bar(places, weights / weights.sum(), 0.94 * width, **look)
        axes.bar_label(bars, fmt="%.2f", fontsize=7, color="0.35", padding=2)
    axes.set_xticks(np.arange(depth), [heading(name) for name in names], **plain())
    axes.set_ylabel("weight", fontsize=9, color="0.25")
    axes.set_ylim(0, axes.get_ylim()[1] * 1.06)
    quiet_axes(axes)
    axes.tick_params(axis="x", length=0)
    if any(rows):
        place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.2}
        legend = axes.legend(frameon=False, ncols=len(rows), fontsize=8, labelcolor="0.25", **place)
        for text in legend.get_texts():
            text.set(**plain())
    if title:
        drawn.suptitle(heading(title), x=0.01, ha="left", fontsize=11, **heading_style())
    return drawn

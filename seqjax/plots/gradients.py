"""How far back a gradient reaches: its norm against the distance to the loss."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from seqjax.checks import InputError, check_shape
from seqjax.plots import figure, quiet_axes
from seqjax.plots.labels import heading, heading_style, plain

COLOURS = ("#1f4e79", "#c0392b", "#2d7d46", "#b9770e", "#6c3483", "#117a8b", "#7b5544", "#566573")


def gradient_norms(norms: Mapping[str, ArrayLike], *, floor: float = 1e-20, title: str = ""):
    r"""Draw :math:`\lVert\partial L/\partial h_{T-d}\rVert` against d, one labelled curve a network, on a log scale.

    Straight lines fall, or grow, by the same factor every step.

    Args:
        norms: by name, (T,) each: the norm at distance 0, 1, 2, … steps from the loss. For
            :func:`seqjax.cells.state_gradients` that is from the last step to the first.
        floor: what lies lower is not shown.
        title: above the figure.

    Returns:
        A matplotlib ``Figure``.

    Raises:
        InputError: no curve, a curve that is not (T,) with T at least 1, or the extra ``viz`` is not installed.

    Example:
        >>> drawn = gradient_norms({"halved": 0.5 ** np.arange(10), "kept": np.ones(10)})
        >>> [text.get_text() for text in drawn.axes[0].texts]
        ['halved', 'kept']
    """
    curves = {name: np.asarray(values, float) for name, values in norms.items()}
    if not curves:
        raise InputError("gradient_norms: `norms` should hold at least one curve, but it is empty.")
    for name, values in curves.items():
        check_shape("gradient_norms", f"norms[{name!r}]", values, "(T,)", (None,))
        if not values.size:
            raise InputError(f"gradient_norms: `norms[{name!r}]` should be (T,) with T at least 1, but it is (0,).")
    drawn = figure(figsize=(7, 4.2), dpi=150)
    axes = drawn.subplots()
    longest = max(len(values) for values in curves.values()) - 1
    ends = []
    for number, values in enumerate(curves.values()):
        colour = COLOURS[number % len(COLOURS)]
        seen = np.where(np.isfinite(values) & (values >= floor), values, np.nan)
        axes.plot(seen, color=colour, linewidth=1.8)
        real = np.flatnonzero(np.isfinite(seen))
        ends.append((real[-1], seen[real[-1]], colour) if real.size else (0, floor, colour))
    if not any(np.isfinite(line.get_ydata()).any() for line in axes.lines):  # all of them vanished
        axes.set_ylim(floor, 1)
    axes.set(yscale="log", xlim=(0, max(longest, 1)), xlabel="distance to the loss, d (steps)")
    axes.set_ylabel(r"$\Vert\partial L / \partial h_{T-d}\Vert$")
    axes.margins(y=0.08)
    quiet_axes(axes)
    axes.grid(axis="y", which="minor", visible=False)
    _name_the_ends(axes, list(curves), ends, longest)
    if title:
        axes.set_title(heading(title), loc="left", fontsize=11, **heading_style())
    return drawn


def _name_the_ends(axes, names: Sequence[str], ends: Sequence[tuple[int, float, str]], longest: int) -> None:
    """Write each curve's name beside its end; neighbours are kept a line apart."""
    low, high = np.log10(axes.get_ylim())
    line, near = 0.055 * (high - low), 0.12 * max(longest, 1)
    height = {number: float(np.log10(end[1])) for number, end in enumerate(ends)}
    upwards = sorted(height, key=height.__getitem__)
    for _ in range(50):  # push neighbours apart until all have room
        for below, above in itertools.combinations(upwards, 2):
            overlap = line - (height[above] - height[below])
            if overlap > 0 and abs(ends[above][0] - ends[below][0]) < near:
                height[below] -= overlap / 2
                height[above] += overlap / 2
    for number, (name, (at, _, colour)) in enumerate(zip(names, ends, strict=True)):
        axes.annotate(
            heading(name), (at, 10 ** height[number]), xytext=(5, 0), textcoords="offset points",
            color=colour, fontsize=9, va="center", annotation_clip=False, **plain(),
        )  # fmt: skip

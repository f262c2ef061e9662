"""How a run went: loss against step."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from seqjax.checks import InputError
from seqjax.plots import figure, quiet_axes
from seqjax.plots.labels import heading, heading_style, plain

STYLES = {
    "train": {"color": "#9db4c8", "linewidth": 1.2, "label": "training"},
    "valid": {"color": "#1f4e79", "linewidth": 2.0, "label": "validation"},
}


def curves(
    rows: Iterable[Mapping[str, Any]],
    *,
    learning_rate: bool = False,
    scale: str = "linear",
    title: str = "",
    unit: str = "nats per token",
):
    """Draw training and validation loss against step; mark the best validation, and the test.

    Args:
        rows: of metrics.jsonl: ``step``, ``split``, ``loss``. Rows without a loss, or with one that is not finite, are
            passed over.
        learning_rate: draw that too, below.
        scale: of the loss, ``"linear"`` or ``"log"``.
        title: above the figure.
        unit: of the loss.

    Returns:
        A matplotlib ``Figure``.

    Raises:
        InputError: no row has a loss, or the extra ``viz`` is not installed.

    Example:
        >>> drawn = curves([{"step": 10, "split": "train", "loss": 2.0}, {"step": 20, "split": "train", "loss": 1.5}])
        >>> drawn.axes[0].get_ylabel()
        'loss (nats per token)'
    """
    rows = list(rows)
    points = {split: _points(rows, split, "loss") for split in ("train", "valid", "test")}
    if not any(steps for steps, _ in points.values()):
        raise InputError("curves: `rows` should hold at least one with `step`, `split` and `loss`, but none does.")
    drawn = figure(figsize=(7, 5.4 if learning_rate else 4), dpi=150)
    ratios = {"height_ratios": [3, 1]} if learning_rate else None
    panels = drawn.subplots(1 + learning_rate, 1, sharex=True, squeeze=False, gridspec_kw=ratios)[:, 0]
    _losses(panels[0], points)
    panels[0].set_ylabel(f"loss ({heading(unit)})", **plain())
    panels[0].set_yscale(scale)
    if learning_rate:
        panels[1].plot(*_points(rows, "train", "learning_rate"), color="0.45", linewidth=1.2)
        panels[1].set(ylabel="learning rate", ylim=(0, None))
    if scale == "log":
        panels[0].yaxis.set_major_formatter("{x:.3g}")
        panels[0].yaxis.set_minor_formatter("{x:.2g}")
    for axes in panels:
        quiet_axes(axes)
    panels[-1].set(xlabel="step", xlim=(0, None))
    panels[-1].xaxis.set_major_formatter("{x:,.0f}")
    if title:
        panels[0].set_title(heading(title), loc="left", fontsize=11, **heading_style())
    return drawn


def _losses(axes, points: dict[str, tuple[list, list]]) -> None:
    for split, style in STYLES.items():
        steps, losses = points[split]
        if steps:
            axes.plot(steps, losses, marker="o" if len(steps) < 15 else None, markersize=3, **style)
    steps, losses = points["valid"]
    if steps:
        best = min(range(len(losses)), key=losses.__getitem__)
        label = f"best, {losses[best]:.3f} at {steps[best]:,}"
        axes.plot(steps[best], losses[best], "o", color="#c0392b", markersize=6, zorder=3, label=label)
    steps, losses = points["test"]
    if steps:
        axes.plot(steps[-1], losses[-1], "D", color="#2d7d46", markersize=6, label=f"test, {losses[-1]:.3f}", zorder=3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, loc="upper right")
    axes.margins(y=0.12)


def _points(rows: list[Mapping[str, Any]], split: str, name: str) -> tuple[list, list]:
    found = [(row["step"], row[name]) for row in rows if row.get("split") == split and _is_number(row.get(name))]
    return [step for step, _ in found], [value for _, value in found]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)

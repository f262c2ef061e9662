"""What the gates of a recurrence do over a text: one row a unit, one column a symbol."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from seqjax.checks import InputError, check_shape
from seqjax.plots import figure
from seqjax.plots.labels import fonts, heading, heading_style, labels, plain

INK = "#1f4e79"


def gate_activations(
    gates: Mapping[str, ArrayLike],
    symbols: Sequence[str],
    *,
    units: Sequence[int | str] | None = None,
    limits: tuple[float, float] = (0.0, 1.0),
    title: str = "",
):
    """Draw gates over a sequence as heat maps on one scale, a panel each, with the symbols along the axis.

    Args:
        gates: by name, (T, H) each, H units over T steps: for instance fields of the gates that
            :func:`seqjax.cells.trace` returns. The panels may differ in H.
        symbols: T of them, the inputs; blanks are drawn as ␣ and ends of line as ⏎.
        units: names of the H rows; without them the rows are counted, not named.
        limits: the values of the lightest and the darkest tone: 0 is closed, 1 is open.
        title: above the figure.

    Returns:
        A matplotlib ``Figure``.

    Raises:
        InputError: no gate, a gate that is not (T, H), names that are not H, or the extra ``viz`` is not installed.

    Example:
        >>> drawn = gate_activations({"forget": np.eye(3)}, "a b")
        >>> [label.get_text() for label in drawn.axes[0].get_xticklabels()]
        ['a', '␣', 'b']
    """
    panels = {name: np.asarray(values, float) for name, values in gates.items()}
    if not panels:
        raise InputError("gate_activations: `gates` should hold at least one gate, but it is empty.")
    for name, values in panels.items():
        rows = len(units) if units is not None else None
        check_shape("gate_activations", f"gates[{name!r}]", values, "(T, H)", (len(symbols), rows))
    heights = [float(np.clip(values.shape[1] * 0.24, 1.0, 2.4)) for values in panels.values()]
    size = (float(np.clip(0.155 * len(symbols) + 1.2, 5, 16)), sum(heights) + 0.45 * len(panels) + 0.5)
    drawn = figure(figsize=size, dpi=150)
    ratios = {"height_ratios": heights}
    every = drawn.subplots(len(panels), 1, sharex=True, squeeze=False, gridspec_kw=ratios)[:, 0]
    for axes, (name, values) in zip(every, panels.items(), strict=True):
        image = axes.imshow(values.T, aspect="auto", cmap=_tones(), vmin=limits[0], vmax=limits[1])
        _quiet_panel(axes, name, units)
    every[-1].set_xticks(range(len(symbols)), labels(symbols), family=list(fonts()), parse_math=False)
    every[-1].set_xlabel("input (one symbol a step)")
    bar = drawn.colorbar(image, ax=list(every), shrink=min(1.0, 2.2 / size[1]), aspect=14, pad=0.015)
    bar.set_label("activation")
    bar.outline.set_visible(False)
    bar.ax.tick_params(color="0.6", labelcolor="0.25", labelsize=8)
    if title:
        drawn.suptitle(heading(title), x=0.01, ha="left", fontsize=11, **heading_style())
    return drawn


def _tones():
    """From paper to ink."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("ink", ["#fbfaf6", "#9db4c8", INK])


def _quiet_panel(axes, name: str, units: Sequence[int | str] | None) -> None:
    axes.spines[:].set_visible(False)
    axes.tick_params(axis="x", length=0, labelsize=8, labelcolor="0.25")
    axes.tick_params(axis="y", length=0 if units is not None else 3, color="0.6", labelsize=8, labelcolor="0.25")
    axes.set_title(heading(name), loc="left", fontsize=9, **plain() | {"color": "0.35"})
    axes.set_ylabel("unit")
    if units is not None:
        axes.set_yticks(range(len(units)), [heading(str(unit)) for unit in units], **plain())

"""What a model is told about places: a table of encodings, and how alike two places are."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from seqjax.checks import InputError, check_shape
from seqjax.plots import figure
from seqjax.plots.labels import heading, heading_style

BELOW_TO_ABOVE = ("#8c2d19", "#e0a48f", "#fbfaf6", "#9db4c8", "#1f4e79")
NAMES: dict[str, Any] = {"fontsize": 9, "color": "0.25"}


def positional_encodings(table: ArrayLike, *, title: str = ""):
    r"""Draw encodings of positions, and beside them the dot product of every two.

    For sinusoids the product depends on the distance alone, :math:`\sum_i \cos(\omega_i(s - t))`, so the second panel
    has one tone along each diagonal. A learned table shows what it made of distance.

    Args:
        table: (T, D), the encoding of position t in row t, sinusoidal or learned.
        title: above the figure.

    Returns:
        A matplotlib ``Figure``. In both panels zero is paper, and opposite values are equally dark.

    Raises:
        InputError: a table that is not (T, D), is empty or not finite, or the extra ``viz`` is not installed.

    Source:
        Vaswani et al. (2017), Attention is all you need, section 3.5.

    Example:
        >>> drawn = positional_encodings(np.eye(3, 5))
        >>> drawn.axes[1].images[0].get_array().diagonal().tolist()
        [1.0, 1.0, 1.0]
    """
    rows = np.asarray(table, float)
    check_shape("positional_encodings", "table", rows, "(T, D)", (None, None))
    if not rows.size or not np.isfinite(rows).all():
        raise InputError(f"positional_encodings: `table` {rows.shape} should hold finite numbers, at least one.")
    wide = float(np.clip(4 * rows.shape[1] / rows.shape[0], 2.5, 7))
    drawn = figure(figsize=(wide + 4 + 2.4, 4.5), dpi=150)
    encodings, products = drawn.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": [wide, 4]})
    _heat(drawn, encodings, rows, "value")
    encodings.set_xlabel("feature", **NAMES)
    encodings.set_ylabel("position", **NAMES)
    encodings.set_title("encodings", loc="left", fontsize=9, color="0.35")
    _heat(drawn, products, rows @ rows.T, "dot product")
    products.set_xlabel("position", **NAMES)
    products.set_title("dot product of two positions", loc="left", fontsize=9, color="0.35")
    if title:
        drawn.suptitle(heading(title), x=0.01, ha="left", fontsize=11, **heading_style())
    return drawn


def _heat(drawn, axes, values: np.ndarray, name: str) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.ticker import MaxNLocator

    tones = LinearSegmentedColormap.from_list("about zero", BELOW_TO_ABOVE)
    most = float(np.abs(values).max()) or 1.0
    image = axes.imshow(values, aspect="auto", cmap=tones, vmin=-most, vmax=most, interpolation="nearest")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    axes.spines[:].set_visible(False)
    axes.tick_params(color="0.6", labelcolor="0.25", labelsize=8)
    bar = drawn.colorbar(image, ax=axes, aspect=26, pad=0.03)
    bar.set_label(name, fontsize=8, color="0.25")
    bar.outline.set_visible(False)
    bar.ax.tick_params(color="0.6", labelcolor="0.25", labelsize=7)

"""Figures, through matplotlib (the extra ``viz``), imported when the first one is drawn."""

from typing import Any

from seqjax.checks import InputError


def figure(**options: Any):
    """An empty matplotlib ``Figure`` that belongs to nobody: no window, no global state.

    Args:
        options: as for ``matplotlib.figure.Figure``; constrained layout unless said otherwise.

    Raises:
        InputError: the extra ``viz`` is not installed.

    Example:
        >>> figure(figsize=(4, 3)).get_size_inches().tolist()
        [4.0, 3.0]
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("Figures need the extra `viz`: pip install 'seqjax[viz]'.") from None
    return Figure(**{"layout": "constrained"} | options)


def quiet_axes(axes) -> None:
    """Take away what does not carry data: the frame above and to the right, and heavy grid lines."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("0.6")
    axes.tick_params(which="both", color="0.6", labelcolor="0.25")
    axes.grid(axis="y", which="both", color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)


from seqjax.plots.alignment import alignment as alignment  # noqa: E402
from seqjax.plots.alignment import heads as heads  # noqa: E402
from seqjax.plots.alignment import one_by_one as one_by_one  # noqa: E402
from seqjax.plots.ctc import posteriors as posteriors  # noqa: E402
from seqjax.plots.curves import curves as curves  # noqa: E402
from seqjax.plots.dependencies import dependencies as dependencies  # noqa: E402
from seqjax.plots.embedding_map import embedding_map as embedding_map  # noqa: E402
from seqjax.plots.forecast import forecasts as forecasts  # noqa: E402
from seqjax.plots.gates import gate_activations as gate_activations  # noqa: E402
from seqjax.plots.gradients import gradient_norms as gradient_norms  # noqa: E402
from seqjax.plots.looks import looks as looks  # noqa: E402
from seqjax.plots.piano_roll import piano_roll as piano_roll  # noqa: E402
from seqjax.plots.pictures import pictures as pictures  # noqa: E402
from seqjax.plots.positions import positional_encodings as positional_encodings  # noqa: E402
from seqjax.plots.scalar_mix import scalar_mix as scalar_mix  # noqa: E402
from seqjax.plots.search import search_tree as search_tree  # noqa: E402
from seqjax.plots.strokes import sketches as sketches  # noqa: E402
from seqjax.plots.transitions import transitions as transitions  # noqa: E402

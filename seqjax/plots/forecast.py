"""What was forecast, how sure of it the model was, and what came."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from seqjax.checks import InputError, check_shape
from seqjax.plots import figure, quiet_axes
from seqjax.plots.labels import heading, heading_style, legend_name, plain

COLOR, BAND, CAME, OTHERS = "#1f4e79", "#9db4c8", "0.15", ("#c0392b", "#2d7d46", "#b9770e", "0.6")


class Drawn(NamedTuple):
    """One forecast.

    Attributes:
        times: (T + H,) places on the axis of time: of the T steps before the forecast, and its own H.
        before: (T,) what was seen.
        point: (H,) what was forecast.
        low: (H,) the lower end of the band; None: no band.
        high: (H,) its upper end.
        came: (H,) what came; None: nobody knows yet.
        title: above it.
    """

    times: np.ndarray
    before: np.ndarray
    point: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    came: np.ndarray | None = None
    title: str = ""


def forecasts(
    drawn: Sequence[Drawn],
    *,
    ylabel: str = "",
    band: str = "",
    dates: bool = False,
    errors: Mapping[str, Sequence[float]] | None = None,
    error: str = "error",
) -> Any:
    """Draw forecasts with their bands, one below the other, and how errors grow with the steps ahead.

    Args:
        drawn: one or more.
        ylabel: what is forecast.
        band: what the band is, for the legend.
        dates: whether times are days since 1970-01-01.
        errors: under the name of each method, its mean error (H,) at each step ahead; drawn in a panel of its own.
        error: the name of that error.

    Returns:
        A matplotlib ``Figure``.

    Raises:
        InputError: nothing to draw; shapes that do not fit; the extra ``viz`` is not installed.

    Example:
        >>> seen, ahead = np.array([1.0, 2.0]), np.array([3.0])
        >>> one = Drawn(np.arange(3.0), seen, ahead, ahead - 1, ahead + 1)
        >>> [len(axes.lines) for axes in forecasts([one], errors={"naive": [0.5]}).axes]
        [2, 1]
    """
    if not drawn:
        raise InputError("forecasts: `drawn` should hold one forecast at least, but it is empty.")
    for one in drawn:
        check_shape("forecasts", "times", one.times, "(T + H,)", (len(one.before) + len(one.point),))
        for name in ("low", "high", "came"):
            if getattr(one, name) is not None:
                check_shape("forecasts", name, getattr(one, name), "(H,)", (len(one.point),))
    panels = len(drawn) + bool(errors)
    made = figure(figsize=(8, 0.6 + 2.5 * panels), dpi=130)
    axes = made.subplots(panels, 1, squeeze=False)[:, 0]
    for place, one in zip(axes, drawn, strict=False):
        _draw(place, one, band, dates)
        place.set_ylabel(heading(ylabel), **plain())
    _legend(axes[0], loc="lower left", bbox_to_anchor=(0.45, 1.0), ncols=4)
    if errors:
        for number, (name, values) in enumerate(errors.items()):
            color = OTHERS[(number - 1) % len(OTHERS)] if number else COLOR
            width = 1.2 if number else 2.2
            label = legend_name(name.replace("_", " "))
            axes[-1].plot(np.arange(1, len(values) + 1), values, color=color, linewidth=width, label=label)
        axes[-1].set(xlabel="steps ahead", xlim=(0, None), ylim=(0, None))
        axes[-1].set_ylabel(heading(error), **plain())
        _legend(axes[-1])
        quiet_axes(axes[-1])
    return made


def _legend(axes, **options: Any) -> None:
    """Names as they are: a dollar sign begins no formula."""
    for text in axes.legend(frameon=False, fontsize=8, **options).get_texts():
        text.set(**plain())


def _draw(axes, one: Drawn, band: str, dates: bool) -> None:
    times = one.times
    if dates:
        times = np.round(times * 86_400).astype("timedelta64[s]") + np.datetime64("1970-01-01", "s")
    seen = len(one.before)
    axes.plot(times[:seen], one.before, color=CAME, linewidth=1.2, label="seen")
    ahead = times[seen:]
    if one.low is not None and one.high is not None:
        axes.fill_between(
            ahead, one.low, one.high, color=BAND, alpha=0.55, linewidth=0, label=legend_name(band or "band")
        )
    axes.plot(ahead, one.point, color=COLOR, linewidth=2, marker="." if len(ahead) < 3 else None, label="forecast")
    if one.came is not None:
        axes.plot(ahead, one.came, color=OTHERS[0], linewidth=1.2, label="what came")
    if dates:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        axes.xaxis.set_major_locator(places := AutoDateLocator(maxticks=8))
        axes.xaxis.set_major_formatter(ConciseDateFormatter(places))
    if one.title:
        axes.set_title(heading(one.title), loc="left", fontsize=10, **heading_style())
    quiet_axes(axes)

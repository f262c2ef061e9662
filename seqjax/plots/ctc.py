"""What connectionist temporal classification says over time: spikes of symbols, and the blank between them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from seqjax.checks import InputError, check_count, check_ids, check_shape
from seqjax.plots import figure, quiet_axes
from seqjax.plots.labels import heading, heading_style, plain

INK = ("#1f4e79", "#7a2e1d", "#3b7a57", "#8a6d1b", "#5e3c7d", "#b5532a", "#2f7f93", "#944a6b")
QUIET = 0.1  # probability; a symbol that never rises above it is not drawn
LONGEST = 14.0  # inches


def posteriors(
    probabilities: ArrayLike,
    names: Sequence[str],
    *,
    frames: ArrayLike | None = None,
    factor: int = 1,
    blank: int = 0,
    title: str = "",
):
    """Draw how likely every symbol is at each step, the blank as a grey ground, and above it what was seen or heard.

    Args:
        probabilities: (S, K), rows sum to 1.
        names: K names of symbols.
        frames: (T, F), the frames that the steps came from; drawn with time to the right and the first feature on top.
        factor: frames for one step.
        blank: the place of the blank among the symbols.
        title: above the figure.

    Returns:
        A matplotlib ``Figure``; its last axes are the probabilities.

    Raises:
        InputError: shapes that do not fit, no step, or the extra ``viz`` is not installed.

    Source:
        Graves et al. (2006), Connectionist Temporal Classification, figure 1.

    Example:
        >>> drawn = posteriors([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], ["blank", "a"], frames=np.zeros((6, 8)), factor=2)
        >>> [text.get_text() for text in drawn.axes[-1].texts]
        ['a']
    """
    table = np.asarray(probabilities, float)
    check_shape("posteriors", "probabilities", table, "(S, K)", (None, len(names)), "One name a symbol.")
    check_count("posteriors", "factor", factor)
    check_ids("posteriors", "blank", np.asarray(blank), len(names))
    if not len(table):
        raise InputError("posteriors: `probabilities` should hold one step at least.")
    wide = float(np.clip(0.12 * len(table) * max(factor, 2) / 2 + 2, 4.5, LONGEST))
    drawn = figure(figsize=(wide, 2.2 if frames is None else 3.3), dpi=150)
    end = factor * len(table)
    if frames is None:
        axes = drawn.subplots()
    else:
        seen = np.asarray(frames, float)
        check_shape("posteriors", "frames", seen, "(T, F)", (None, None))
        above, axes = drawn.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (2, 3)})
        above.imshow(
            seen.T, cmap="Greys", aspect="auto", extent=(0, len(seen), seen.shape[1], 0), interpolation="nearest"
        )
        above.set_yticks([])
        above.spines[:].set(color="0.75", linewidth=0.6)
        above.tick_params(length=0)
        end = max(end, len(seen))
    _draw_spikes(axes, table, list(names), (np.arange(len(table)) + 0.5) * factor, blank)
    axes.set(xlim=(0, end), ylim=(0, 1.12), yticks=(0, 0.5, 1), ylabel="probability")
    axes.set_xlabel(
        f"{'frame' if factor == 1 else f'frame, {factor} a step'}; grey: {heading(names[blank])}", **plain()
    )
    drawn.suptitle(heading(title), x=0.02, ha="left", fontsize=11, **heading_style())
    return drawn


def _draw_spikes(axes, table: np.ndarray, names: Sequence[str], times: np.ndarray, blank: int) -> None:
    """A line for each symbol that is ever likely, its name at each of its peaks."""
    quiet_axes(axes)
    axes.fill_between(times, table[:, blank], color="0.9", step=None, linewidth=0, label=names[blank])
    axes.plot(times, table[:, blank], color="0.65", linewidth=0.8, linestyle=(0, (3, 2)))
    best = table.argmax(axis=1)
    loud = [number for number in np.flatnonzero(table.max(axis=0) > QUIET).tolist() if number != blank]
    for place, number in enumerate(loud):
        colour = INK[place % len(INK)]
        axes.plot(times, table[:, number], color=colour, linewidth=1.4)
        runs = np.flatnonzero(np.diff(np.concatenate([[0], best == number, [0]])))
        for first, after in zip(runs[::2], runs[1::2], strict=True):
            top = first + int(table[first:after, number].argmax())
            axes.annotate(
                heading(names[number]) or "␣", (times[top], table[top, number]), xytext=(0, 2), ha="center",
                va="bottom", textcoords="offset points", color=colour, fontsize=9, **plain(),
            )  # fmt: skip

"""A tune as a piano roll: time to the right, pitch upwards, a bar for each note."""

import math
from collections.abc import Sequence
from fractions import Fraction

from seqjax.checks import InputError
from seqjax.plots import figure, quiet_axes
from seqjax.plots.labels import heading, plain

NAMED = {0: "C", 4: "E", 7: "G"}  # by semitones above C
INK, LINE = "#1f4e79", "#c9c4b6"

Time = float | Fraction


def piano_roll(notes: Sequence[tuple[Time, Time, int]], bars: Sequence[Time] = (), title: str = ""):
    """Draw a tune.

    Args:
        notes: start and length in whole notes, and the MIDI number, of each: ``Tune.notes``.
        bars: where bars end, in whole notes: ``Tune.bar_ends``.
        title: what stands above.

    Returns:
        A figure: a stroke for each note, an upright line after each bar.

    Example:
        >>> drawn = piano_roll([(0.0, 0.5, 60), (0.5, 0.25, 64)], bars=[0.75], title="Two notes")
        >>> drawn.axes[0].get_title()
        'Two notes'
    """
    if not notes:
        raise InputError("piano_roll: there are no notes to draw.")
    if not all(math.isfinite(float(time)) for time in [*bars, *(time for note in notes for time in note[:2])]):
        raise InputError("piano_roll: times should be finite numbers.")
    end = max([float(start) + float(length) for start, length, _ in notes] + [float(bar) for bar in bars])
    low, high = min(pitch for _, _, pitch in notes) - 1, max(pitch for _, _, pitch in notes) + 1
    drawn = figure(figsize=(min(14.0, max(4.0, 0.6 * end + 1.5)), 2.8))
    axes = drawn.subplots()
    quiet_axes(axes)
    axes.vlines([float(bar) for bar in bars], low, high, color=LINE, linewidth=0.8, zorder=1)
    for start, length, pitch in notes:
        axes.barh(pitch, float(length) * 0.94, left=float(start), height=0.8, align="center", color=INK, zorder=2)
    named = [pitch for pitch in range(low, high + 1) if pitch % 12 in NAMED]
    axes.set_yticks(named, [f"{NAMED[pitch % 12]}{pitch // 12 - 1}" for pitch in named], fontsize=7)
    axes.set_xlim(0, end)
    axes.set_ylim(low, high)
    axes.set_xlabel("whole notes")
    axes.set_title(heading(title), fontsize=10, **plain())
    return drawn

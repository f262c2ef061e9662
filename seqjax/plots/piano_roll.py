"""A tune as a piano roll: time to the right, pitch upwards, a bar for each note."""

import numpy as np

from seqjax.data.abc_notation import Tune, measure
from seqjax.plots import figure, quiet_axes

NAMED = {0: "C", 4: "E", 7: "G"}  # by semitones above C
INK, LINE = "#1f4e79", "#c9c4b6"


def piano_roll(tune: Tune):
    """Draw a tune.

    Args:
        tune: as :func:`seqjax.data.abc_reader.read_abc` gives it.

    Returns:
        A figure: a stroke for each note, its length in whole notes; an upright line after each bar.

    Example:
        >>> from seqjax.data.abc_reader import read_abc
        >>> (tune,) = read_abc("X:1\\nT:Scale\\nK:C\\nCDEF GABc|c8|]")
        >>> piano_roll(tune).axes[0].get_title()
        'Scale, 4/4, C'
    """
    notes = tune.notes
    bars = np.cumsum([float(sum(event.length for event in bar.events)) for bar in tune.bars])
    pitches = [note.pitch for note in notes] or [60]
    low, high = min(pitches) - 1, max(pitches) + 1
    drawn = figure(figsize=(min(14.0, max(4.0, 0.55 * float(bars[-1] / measure(tune.meter)) + 1.5)), 2.8))
    axes = drawn.subplots()
    quiet_axes(axes)
    axes.vlines(bars, low, high, color=LINE, linewidth=0.8, zorder=1)
    for note in notes:
        axes.barh(note.pitch, float(note.length) * 0.94, left=float(note.start), height=0.8, color=INK, zorder=2)
    named = [pitch for pitch in range(low, high + 1) if pitch % 12 in NAMED]
    axes.set_yticks(named, [f"{NAMED[pitch % 12]}{pitch // 12 - 1}" for pitch in named], fontsize=7)
    axes.set_xlim(0, float(bars[-1]))
    axes.set_ylim(low, high)
    axes.set_xlabel("whole notes")
    axes.set_title(", ".join(part for part in (tune.title, tune.meter, tune.key) if part), fontsize=10)
    return drawn

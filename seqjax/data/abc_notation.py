"""Tunes: keys, meters, bars and notes, and how they are written in ABC notation.

A tune is a header (``X:`` its number, ``T:`` title, ``M:`` meter, ``L:`` unit of length, ``K:`` key) and bars.
:mod:`seqjax.data.abc_reader` reads it.

Source:
    The ABC music standard 2.1 (2011).
"""

import itertools
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from seqjax.checks import InputError

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}  # semitones above C
FIFTHS = "FCGDAEB"  # the order in which sharps come; flats come from its end
MODES = {"": 0, "maj": 0, "ion": 0, "mix": -1, "dor": -2, "m": -3, "min": -3, "aeo": -3, "phr": -4, "loc": -5, "lyd": 1}
ACCIDENTALS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
MIDDLE_C = 60


class Event(NamedTuple):
    """What sounds at one time.

    Attributes:
        pitches: MIDI numbers, 60 is middle C; none: a rest.
        length: in whole notes.
        tied: whether it goes on into the next event.
    """

    pitches: tuple[int, ...]
    length: Fraction
    tied: bool = False


class Bar(NamedTuple):
    """Events, and the bar line after them."""

    events: tuple[Event, ...]
    line: str = "|"


class Note(NamedTuple):
    """One note in time: whole notes from the beginning, and a MIDI number."""

    start: Fraction
    length: Fraction
    pitch: int


class Tune(NamedTuple):
    """A tune.

    Attributes:
        title: of the header; empty if it has none.
        meter: e.g. ``6/8``.
        unit: what a note without a number lasts, in whole notes.
        key: as it is written, e.g. ``Dmix``.
        bars: in order.
        skipped: characters that are no ABC, where they were to be skipped.
    """

    title: str
    meter: str
    unit: Fraction
    key: str
    bars: tuple[Bar, ...]
    skipped: int = 0

    @property
    def notes(self) -> list[Note]:
        """Every note with its time; tied notes are one."""
        found: list[Note] = []
        held: dict[int, int] = {}
        time = Fraction(0)
        for event in (event for bar in self.bars for event in bar.events):
            going = {}
            for pitch in event.pitches:
                if pitch in held:
                    found[held[pitch]] = found[held[pitch]]._replace(length=found[held[pitch]].length + event.length)
                else:
                    found.append(Note(time, event.length, pitch))
                going[pitch] = held.get(pitch, len(found) - 1)
            held = going if event.tied else {}
            time += event.length
        return found

    @property
    def bar_ends(self) -> list[Fraction]:
        """Where each bar ends, in whole notes from the beginning."""
        lengths = [sum((event.length for event in bar.events), Fraction(0)) for bar in self.bars]
        return list(itertools.accumulate(lengths))

    @property
    def whole_bars(self) -> float:
        """The share of bars that are as long as the meter says, the first and the last left out: they may be parts."""
        inner = [sum((event.length for event in bar.events), Fraction(0)) for bar in self.bars[1:-1]]
        return sum(length == measure(self.meter) for length in inner) / len(inner) if inner else 1.0


def measure(meter: str) -> Fraction:
    """How long a bar is, in whole notes.

    Example:
        >>> measure("6/8"), measure("C|")
        (Fraction(3, 4), Fraction(1, 1))
    """
    if meter in ("C", "C|", "none", ""):
        return Fraction(1)
    numbers = re.fullmatch(r"\(?([\d+]+)\)?/(\d+)", meter.replace(" ", ""))
    if not numbers or not int(numbers[2]):
        raise InputError(f"abc: the meter should be like 4/4, C or C|, but it is {meter!r}.")
    return Fraction(sum(int(part) for part in numbers[1].split("+") if part), int(numbers[2]))


def signature(key: str) -> dict[str, int]:
    """The accidental of each letter in a key: semitones up or down.

    Example:
        >>> signature("D"), signature("Gm")
        ({'F': 1, 'C': 1}, {'B': -1, 'E': -1})
    """
    if key.strip().lower() in ("", "none"):
        return {}
    if key.strip() in ("HP", "Hp"):
        return {"F": 1, "C": 1}
    found = re.match(r"\s*([A-G])([#b]?)\s*([A-Za-z]*)", key)
    mode = found[3].lower() if found else ""
    mode = mode if mode in ("", "m") else mode[:3]
    if not found or mode not in MODES:
        raise InputError(f"abc: the key should be like G, Bb, F#m or Ddor, but it is {key!r}.")
    fifths = FIFTHS.index(found[1]) - 1 + 7 * {"": 0, "#": 1, "b": -1}[found[2]] + MODES[mode]
    if abs(fifths) > 7:
        raise InputError(f"abc: the key {key!r} would need {abs(fifths)} sharps or flats.")
    return dict.fromkeys(FIFTHS[:fifths], 1) if fifths >= 0 else dict.fromkeys(FIFTHS[fifths:][::-1], -1)


def write_abc(tune: Tune, number: int = 1) -> str:
    """Write a tune in ABC notation; reading it gives its notes again.

    Example:
        >>> bars = Bar((Event((70,), Fraction(1, 4)), Event((71,), Fraction(3, 16)))), Bar((Event((), Fraction(1, 2)),))
        >>> print(write_abc(Tune("Two bars", "4/4", Fraction(1, 8), "F", bars)))
        X:1
        T:Two bars
        M:4/4
        L:1/8
        K:F
        B2 =B3/2 | z4 |
    """
    head = [f"X:{number}", *([f"T:{tune.title}"] if tune.title else [])]
    head += [f"M:{tune.meter}", f"L:{tune.unit}", f"K:{tune.key}"]
    bars = [" ".join([*_written(bar, tune), bar.line]) for bar in tune.bars]
    return "\n".join([*head, *(" ".join(bars[first : first + 4]) for first in range(0, len(bars), 4))])


def _written(bar: Bar, tune: Tune) -> Iterator[str]:
    own: dict[tuple[str, int], int] = {}
    keyed = signature(tune.key)
    for event in bar.events:
        units = event.length / tune.unit
        length = "" if units == 1 else str(units)
        names = [_spelt(pitch, keyed, own) for pitch in event.pitches]
        sound = "z" if not names else names[0] if len(names) == 1 else f"[{''.join(names)}]"
        yield sound + length + ("-" if event.tied else "")


def _spelt(pitch: int, keyed: dict[str, int], own: dict[tuple[str, int], int]) -> str:
    """The name of a pitch in a key, with an accidental where the key or the bar says otherwise."""
    flat = -1 in keyed.values()

    def reach(letter: str, shift: int) -> int | None:
        octave, rest = divmod(pitch - MIDDLE_C - STEPS[letter] - shift, 12)
        return None if rest else octave

    ways = [(letter, keyed.get(letter, 0)) for letter in STEPS]
    ways += [(letter, shift) for shift in ((0, -1, 1) if flat else (0, 1, -1)) for letter in STEPS]
    letter, shift = next(way for way in ways if reach(*way) is not None)
    octave = reach(letter, shift)
    assert octave is not None
    sign = ""
    if own.get((letter, octave), keyed.get(letter, 0)) != shift:
        own[letter, octave] = shift
        sign = {value: name for name, value in ACCIDENTALS.items()}[shift]
    name = letter.lower() + "'" * (octave - 1) if octave > 0 else letter + "," * -octave
    return sign + name

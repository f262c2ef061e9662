"""Tunes in ABC notation, read into notes.

What sounds is read: notes, chords, rests, ties, tuplets, broken rhythm, changes of key, meter and unit. What decorates
is passed over: grace notes, slurs, ornaments, names of chords, words. Repeats are read as they are written, once.

Source:
    The ABC music standard 2.1 (2011).
"""

import re
from fractions import Fraction

from seqjax.checks import InputError
from seqjax.data.abc_notation import ACCIDENTALS, MIDDLE_C, STEPS, Bar, Event, Tune, measure, signature

IN_TIME_OF = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}  # p notes of a tuplet take the time of q; else 2, in compound meter 3

_NOTE = re.compile(r"(\^\^|\^|__|_|=)?([A-Ga-g])([,']*)")
_LENGTH = re.compile(r"(\d*)(/*)(\d*)")
_LINE = re.compile(r":*\|+\]?:*|\[\||::|:\|:")
_PASSED = re.compile(r'\{[^}]*\}|"[^"]*"|![^!\n]*!|\+[^+\n]*\+|\\\s*$|[ \t`.~HJLMNOPRSTuvy*$\r]|%.*')
_TUPLET = re.compile(r"\((\d)(?::(\d?))?(?::(\d?))?")
_FIELD = re.compile(r"\[([A-Za-z]):([^\]\n]*)\]")
_ENDING = re.compile(r"\[?\d+(?:[,-]\d+)*")


def read_abc(text: str, *, strict: bool = True) -> list[Tune]:
    """Read the tunes of a text.

    Args:
        text: one tune or several, each from its ``X:`` on; music without a header counts as one in C, 4/4.
        strict: refuse what is no ABC; else skip it, and count it in ``skipped``: what a model wrote.

    Raises:
        InputError: no tune; what cannot be read, with its line and column.

    Example:
        >>> (tune,) = read_abc("X:1\\nT:Scale\\nM:2/4\\nL:1/8\\nK:D\\nDEFG|A2d2|]")
        >>> [note.pitch for note in tune.notes], str(tune.notes[-1].start), tune.whole_bars
        ([62, 64, 66, 67, 69, 74], '3/4', 1.0)
    """
    lines = text.split("\n")
    starts = [number for number, line in enumerate(lines) if line.startswith("X:")] or [0]
    ends = [*starts[1:], len(lines)]
    tunes = [_Reader(strict).read(lines[a:b], a) for a, b in zip(starts, ends, strict=True)]
    tunes = [tune for tune in tunes if tune.bars]
    if not tunes:
        raise InputError("abc: the text holds no notes.")
    return tunes


class _Reader:
    """The state of reading one tune."""

    def __init__(self, strict: bool):
        self.strict, self.skipped = strict, 0
        self.fields = {"T": "", "M": "4/4", "L": "", "K": "C"}
        self.bars: list[Bar] = []
        self.events: list[Event] = []
        self.own: dict[tuple[str, int], int] = {}  # accidentals of this bar
        self.tuplet, self.left, self.broken = Fraction(1), 0, Fraction(1)
        self.signature = signature("C")

    def set_field(self, name: str, value: str, where: str) -> None:
        value = value.split("%")[0].strip()
        try:
            if name == "K":
                self.signature = signature(value)
            elif name == "M":
                measure(value)
            elif name == "L" and not re.fullmatch(r"1|1/\d*[1-9]\d*", value):
                raise InputError(f"abc: the unit of length should be like 1/8, but it is {value!r}.")
        except InputError as error:
            if self.strict:
                raise InputError(f"abc: {where}: {str(error).removeprefix('abc: ')}") from None
            self.skipped += len(value)
            return
        self.fields[name] = value

    @property
    def unit(self) -> Fraction:
        written = self.fields["L"]
        return Fraction(written) if written else Fraction(1, 16 if measure(self.fields["M"]) < Fraction(3, 4) else 8)

    def read(self, lines: list[str], first: int) -> Tune:
        head, unit = None, None
        for number, line in enumerate(lines, first + 1):
            if re.match(r"[A-Za-z]:(?![|:])", line):
                if not (line[0] == "T" and self.fields["T"]) and line[0] in "TMLK":
                    self.set_field(line[0], line[2:], f"line {number}")
            elif line.strip() and not line.startswith("%"):
                if head is None:
                    head, unit = dict(self.fields), self.unit
                self.music(line, number)
        self.close("|")
        head = head or self.fields
        return Tune(head["T"], head["M"], unit or self.unit, head["K"], tuple(self.bars), self.skipped)

    def close(self, line: str) -> None:
        if self.events:
            self.bars.append(Bar(tuple(self.events), line))
        elif self.bars and line != "|":
            self.bars[-1] = self.bars[-1]._replace(line=line)
        self.events, self.own = [], {}

    def music(self, line: str, number: int) -> None:
        place = 0
        while place < len(line):
            end = self.one(line, place, number)
            if end == place:
                if self.strict:
                    raise InputError(f"abc: line {number}, column {place + 1}: {line[place]!r} is no ABC notation.")
                self.skipped += 1
                end += 1
            place = end

    def one(self, line: str, place: int, number: int) -> int:
        """Read what stands at a place, and say where it ends; the same place where nothing can be read."""
        if field := _FIELD.match(line, place):
            if field[1] in "KML":
                self.set_field(field[1], field[2], f"line {number}, column {place + 1}")
            return field.end()
        if bar := _LINE.match(line, place):
            self.close(bar[0])
            ending = _ENDING.match(line, bar.end())
            return ending.end() if ending else bar.end()
        if line[place] == "[" and (ending := _ENDING.match(line, place)):
            return ending.end()
        if tuplet := _TUPLET.match(line, place):
            count = int(tuplet[1])
            compound = 3 if measure(self.fields["M"]).numerator % 3 == 0 else 2
            self.tuplet = Fraction(int(tuplet[2] or IN_TIME_OF.get(count, compound)), count or 1)
            self.left = int(tuplet[3] or count)
            return tuplet.end() if count else place
        if line[place] in "<>" and self.events:
            run = len(line[place:]) - len(line[place:].lstrip(line[place]))
            short = Fraction(1, 2**run)
            before, after = (2 - short, short) if line[place] == ">" else (short, 2 - short)
            self.events[-1] = self.events[-1]._replace(length=self.events[-1].length * before)
            self.broken = after
            return place + run
        if line[place] == "-" and self.events:
            self.events[-1] = self.events[-1]._replace(tied=True)
            return place + 1
        if line[place] in "()":
            return place + 1
        return self.sound(line, place)

    def sound(self, line: str, place: int) -> int:
        if line[place] in "zxZ":
            length, end = self.length(line, place + 1)
            whole = line[place] == "Z"
            self.add((), measure(self.fields["M"]) * length / self.unit if whole else length)
            return end
        if line[place] == "[":
            pitches, inside, end = [], None, place + 1
            while note := _NOTE.match(line, end):
                pitches.append(self.pitch(*note.groups()))
                length, end = self.length(line, note.end())
                inside = inside or length
            if not pitches or line[end : end + 1] != "]":
                return place
            length, end = self.length(line, end + 1)
            self.add(tuple(sorted(set(pitches))), length * (inside or self.unit) / self.unit)
            return end
        if note := _NOTE.match(line, place):
            pitch = self.pitch(*note.groups())
            length, end = self.length(line, note.end())
            self.add((pitch,), length)
            return end
        passed = _PASSED.match(line, place)
        return passed.end() if passed else place

    def pitch(self, accidental: str | None, letter: str, octaves: str) -> int:
        octave = (letter.islower()) + octaves.count("'") - octaves.count(",")
        letter = letter.upper()
        if accidental:
            self.own[letter, octave] = ACCIDENTALS[accidental]
        shift = self.own.get((letter, octave), self.signature.get(letter, 0))
        return MIDDLE_C + 12 * octave + STEPS[letter] + shift

    def length(self, line: str, place: int) -> tuple[Fraction, int]:
        found = _LENGTH.match(line, place)
        assert found is not None
        above, slashes, below = found.groups()
        under = int(below) if below and slashes else 2 ** len(slashes)
        return self.unit * Fraction(int(above or 1), under or 1), found.end() if slashes else found.end(1)

    def add(self, pitches: tuple[int, ...], length: Fraction) -> None:
        scale, self.broken = self.broken, Fraction(1)
        if self.left:
            scale, self.left = scale * self.tuplet, self.left - 1
        if length:
            self.events.append(Event(pitches, length * scale))

"""Tunes by a small grammar of our own, in ABC notation: what ``lm tunes`` learns from by default.

A tune has two parts of eight bars, each repeated, as the dances of Ireland and Scotland do. A part is four phrases of
two bars over a row of chords: a question, an answer, the question again, and an ending on the keynote. On a beat stands
a note of the bar's chord; between beats the melody goes by step towards the next one.
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from seqjax.data.abc_notation import MIDDLE_C, STEPS, Bar, Event, Tune, signature, write_abc

KEYS = ("G", "D", "A", "C", "F", "Em", "Am", "Dm", "Ador", "Ddor", "Gmix", "Dmix")
KINDS = {"jig": ("6/8", 3, 2), "reel": ("4/4", 4, 2), "waltz": ("3/4", 2, 3)}  # meter, notes of a beat, beats of a bar
CHORDS = ((0, 3, 4, 0), (0, 4, 0, 4), (0, 5, 3, 4), (0, 3, 0, 4), (0, 6, 0, 6))  # by degree: I IV V I, …
FIRST = ("The Merry", "The Old", "The Idle", "The Silver", "The Roving", "The Blackbird's", "Morning", "The Lame")
LAST = ("Piper", "Mill", "Road", "Harbour", "Fiddler", "Glen", "Weaver", "Lantern")
UNIT = Fraction(1, 8)
LOWEST, HIGHEST = -2, 12  # degrees above the keynote that a melody keeps to


def write_tunes(split: str, count: int = 0) -> list[str]:
    """Tunes as texts, one each; no two splits share a seed.

    Args:
        split: train, valid or test.
        count: how many; 0: 1,200 for training and 100 for each of the others.

    Example:
        >>> print(write_tunes("test", 1)[0][:30])
        X:1
        T:The Old Glen
        M:3/4
        L:1/8
    """
    number = ("train", "valid", "test").index(split)
    count = count or (1200 if split == "train" else 100)
    return [write_abc(compose(np.random.default_rng([number, seed]))) for seed in range(count)]


def compose(random: np.random.Generator) -> Tune:
    """One tune."""
    kind = str(random.choice(list(KINDS)))
    meter, notes, beats = KINDS[kind]
    key = str(random.choice(KEYS))
    pitches = scale(key)
    parts = [part(random, notes, beats, start) for start in (0, int(random.integers(2, 5)))]
    bars = [
        Bar(
            tuple(Event((pitches[degree - LOWEST],), UNIT * length) for degree, length in bar),
            "|" if number % 8 < 7 else ":|",
        )
        for number, bar in enumerate(bar for one in parts for bar in one)
    ]
    return Tune(f"{random.choice(FIRST)} {random.choice(LAST)}", meter, UNIT, key, tuple(bars))


def scale(key: str) -> list[int]:
    """The MIDI numbers of the degrees from ``LOWEST`` to ``HIGHEST`` of a key, its keynote between D4 and C5.

    Example:
        >>> scale("G")[2:10]
        [67, 69, 71, 72, 74, 76, 78, 79]
    """
    keyed, letters = signature(key), sorted(STEPS, key=STEPS.__getitem__)
    found = []
    for degree in range(LOWEST, HIGHEST + 1):
        octave, place = divmod(letters.index(key[0]) + degree, 7)
        found.append(MIDDLE_C + 12 * octave + STEPS[letters[place]] + keyed.get(letters[place], 0))
    return found if key[0] != "A" and key[0] != "B" else [pitch - 12 for pitch in found]


def part(random: np.random.Generator, notes: int, beats: int, start: int) -> list[list[tuple[int, int]]]:
    """Eight bars of (degree, length in units): question, answer, question, ending."""
    row = CHORDS[random.integers(len(CHORDS))]
    place = start
    phrases = []
    for chords in (row[:2], row[2:]):
        bars = []
        for chord in chords:
            bar, place = melody(random, chord, place, notes, beats)
            bars.append(bar)
        phrases.append(bars)
    question, answer = phrases
    leading, place = melody(random, 4, question[-1][-1][0], notes, beats)
    return [*question, *answer, *question, leading, close(notes, beats, 7 if place > 3 else 0)]


def melody(random: np.random.Generator, chord: int, place: int, notes: int, beats: int):
    """One bar over a chord from where the melody stands: its notes, and where it stands then."""
    tones = [degree for degree in range(LOWEST, HIGHEST + 1) if (degree - chord) % 7 in (0, 2, 4)]
    bar: list[tuple[int, int]] = []
    for _ in range(beats):
        near = [tone for tone in tones if abs(tone - place) <= 3 and tone != place] or tones
        goal = int(random.choice(near))
        bar += rhythm(random, walk(place, goal, notes))
        place = goal
    return bar, place


def walk(start: int, goal: int, notes: int) -> list[int]:
    """A beat: the goal first, then steps around it.

    Example:
        >>> walk(0, 2, 4)
        [2, 3, 2, 1]
    """
    way = 1 if goal >= start else -1
    around = [goal, goal + way, goal, goal - way][:notes]
    return [min(max(degree, LOWEST), HIGHEST) for degree in around]


def rhythm(random: np.random.Generator, degrees: Sequence[int]) -> list[tuple[int, int]]:
    """Notes of one unit each, or a long one first."""
    if len(degrees) > 2 and random.random() < 0.3:
        return [(degrees[0], 2), *((degree, 1) for degree in degrees[2:])]
    return [(degree, 1) for degree in degrees]


def close(notes: int, beats: int, keynote: int) -> list[tuple[int, int]]:
    """The last bar: a beat around the keynote, and the keynote held."""
    return [*((degree, 1) for degree in walk(keynote - 1, keynote, notes)), (keynote, notes * (beats - 1))]

"""Series of numbers with one class each: visits of a table, digits read pixel by pixel, frames of a moving digit."""

import dataclasses
from typing import Any, Literal, NamedTuple, get_args

from seqjax.checks import InputError
from seqjax.data.config import check_split
from seqjax.data.digits import SIDE
from seqjax.data.tables import delimiter_of

Motion = Literal["left", "right", "up", "down", "still", "clockwise", "anticlockwise"]
MOTIONS: tuple[Motion, ...] = get_args(Motion)


class LabelledSeries(NamedTuple):
    """The class of a series, and what the series is read from: a history of visits, a picture, a film."""

    label: str
    series: Any


class SeriesSplits(NamedTuple):
    """Series of each split, and how many were skipped, by where."""

    train: list[LabelledSeries]
    valid: list[LabelledSeries]
    test: list[LabelledSeries]
    skipped: dict[str, int]


def check_least(where: str, config: Any, **least: float) -> None:
    """Refuse numbers of a configuration that are too small."""
    for name, value in least.items():
        if not getattr(config, name) >= value:
            raise InputError(f"{where}: `{name}` should be at least {value}, but it is {getattr(config, name)}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MadeVisitsConfig:
    """The default visits: doses of a drug that the body loses with time; ``--data.made.*``.

    Who ends with more than the usual amount in the blood is ``high``. How much of each dose is left depends on how long
    ago it was, so the intervals matter as much as the doses.
    """

    people: int = 1200  # who are made up
    longest: int = 16  # visits of one of them at most
    half_life: float = 14.0  # days in which the body loses half of what there is
    seed: int = 0  # of all that is drawn

    def __post_init__(self):
        check_least("data.made", self, people=20, longest=2, half_life=0.1, seed=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class VisitsConfig:
    """Visits in tables of comma-separated values, a row each; on the command line, ``--data.*``.

    Every column that is not named below is read at every visit: numbers where its cells are numbers, else categories.

    Raises:
        InputError: fractions that do not sum to 1, columns that are named twice, sizes out of range.

    Example:
        >>> VisitsConfig(time="id")
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: data: `id`, `time` and `label` should be three columns, but they are 'id', 'id', ...
    """

    path: tuple[str, ...] = ()  # files of comma-separated values; empty: made-up visits, see `made`
    id: str = "id"  # column: whose visit it is
    time: str = "time"  # column: when it was, a number in any unit, or an ISO date
    label: str = "label"  # column: the class, the same at all visits of one id
    static: tuple[str, ...] = ()  # columns that should be the same at all visits of one id, which is then checked
    categories: tuple[str, ...] = ()  # columns of numbers that are only names, such as codes
    leave_out: tuple[str, ...] = ()  # columns that are not read, such as those that give the class away
    missing: tuple[str, ...] = ("", "NA", "NaN", "nan", "NULL", "null", "?")  # cells that say that nothing was measured
    encoding: str = "utf-8"  # of the files, e.g. latin-1
    separator: str = ","  # between cells, e.g. ; or \t, a tab
    sort: bool = False  # put the visits of each id in the order of time, where they are not
    skip_short: bool = False  # skip whoever came only once, and count them
    split: tuple[float, float, float] = (0.7, 0.15, 0.15)  # train, validation and test: fractions of the ids of a class
    elapsed: bool = False  # read the time since the visit before as one more number
    unit: float = 0.0  # what elapsed times are divided by; 0: their median in training
    buckets: int = 3  # most lengths of batches; each is compiled once
    made: MadeVisitsConfig = MadeVisitsConfig()

    def __post_init__(self):
        check_split(self.split)
        check_least("data", self, buckets=1, unit=0)
        if len(delimiter_of(self.separator)) != 1:
            raise InputError(
                f"data: `separator` should be one character, but it is {self.separator!r}. Try ';', or '\\t' for a tab."
            )
        if len({self.id, self.time, self.label}) < 3:
            raise InputError(
                "data: `id`, `time` and `label` should be three columns, "
                f"but they are {self.id!r}, {self.time!r}, {self.label!r}."
            )
        named = {self.id: "id", self.time: "time", self.label: "label"}
        for field in ("static", "categories", "leave_out"):
            for column in getattr(self, field):
                if column in named:
                    raise InputError(f"data: the column {column!r} is `{named[column]}`, so it cannot be in `{field}`.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DigitsConfig:
    """Handwritten digits, 8 × 8 pixels, read a pixel after the other; on the command line, ``--data.*``.

    Source:
        Le, Jaitly & Hinton (2015), A Simple Way to Initialize Recurrent Networks of Rectified Linear Units, section
        4.2, for reading digits pixel by pixel, and in a random order.
    """

    permuted: bool = False  # read the pixels in a random order, the same for all digits
    order: int = 0  # seed of that order
    pixels: int = 1  # read in one step; 8: a row a step
    buckets: int = 1  # most lengths of batches; all digits are equally long

    def __post_init__(self):
        check_least("data", self, order=0, pixels=1, buckets=1)
        if SIDE**2 % self.pixels:
            raise InputError(f"data: `pixels` should divide {SIDE**2}, but it is {self.pixels}. Try 8.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FramesConfig:
    """Films of a handwritten digit that moves; which way is the class. On the command line, ``--data.*``.

    It starts anywhere and leaves the picture on one side to come back on the other, so that no single frame tells.
    Digits of the test split are never seen in training, and each film is as long as it happens to be.
    """

    motions: tuple[Motion, ...] = MOTIONS  # ways in which it moves, the classes
    films: tuple[int, int, int] = (7000, 350, 350)  # train, validation and test
    frames: tuple[int, int] = (8, 16)  # of a film, at least and at most
    side: int = 12  # pixels of a frame, across and down
    noise: float = 0.05  # standard deviation of what is added to each pixel
    seed: int = 0  # of all that is drawn
    buckets: int = 2  # most lengths of batches; each is compiled once

    def __post_init__(self):
        check_least("data", self, side=SIDE, noise=0, seed=0, buckets=1)
        if len(set(self.motions)) < max(2, len(self.motions)):
            raise InputError(f"data: `motions` should be two at least, each named once, but they are {self.motions}.")
        if not 2 <= self.frames[0] <= self.frames[1]:
            raise InputError(f"data: `frames` should be 2 at least and no fewer at most, but they are {self.frames}.")
        if min(self.films) < len(self.motions):
            raise InputError(f"data: `films` should be {len(self.motions)} at least, one a motion, not {self.films}.")

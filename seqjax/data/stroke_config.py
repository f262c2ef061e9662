"""Which drawings are read, how they are split and scaled, and how training changes them."""

import dataclasses
import math

from seqjax.checks import InputError
from seqjax.data.config import check_split

FACES = (
    "futural", "futuram", "rowmant", "scripts", "scriptc", "timesi", "timesib", "timesr",
    "gothgbt", "gothgrt", "gothitt",
)  # fmt: skip


def check_least(where: str, config, **least: float) -> None:
    """Refuse fields below what they should be at least, or not finite."""
    for name, value in least.items():
        got = getattr(config, name)
        if not (math.isfinite(got) and got >= value):
            raise InputError(f"{where}: `{name}` should be at least {value:g}, but it is {got}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FontsConfig:
    """The default data: letters and digits of the Hershey stroke fonts; ``--data.fonts.*``.

    Of fonts that draw their Latin letters alike, one is meant here. What two fonts draw alike is kept once, by the
    test split first: nothing of it was ever drawn in training.
    """

    faces: tuple[str, ...] = FACES  # fonts whose letters and digits have classes
    valid: tuple[str, ...] = ("timesi",)  # of these, the validation split
    test: tuple[str, ...] = ("futuram", "timesr")  # of these, the test split
    others: bool = True  # learn from every other sign too, of every font (Greek, Japanese, music, …): without a class
    tolerance: float = 1.0  # units of the fonts, whose capitals are 21 tall: points this near to a line are left out

    def __post_init__(self):
        held = (*self.valid, *self.test)
        for name in held:
            if name not in self.faces:
                raise InputError(
                    f"data.fonts: `{name}` is held out, but it is none of `faces`: {' '.join(self.faces)}."
                )
        if not self.valid or not self.test or len({*held}) < len(held) or len({*self.faces}) == len(held):
            raise InputError(
                "data.fonts: `valid` and `test` should name one font at least, no font twice, and leave one to train "
                f"on, but they are {self.valid} and {self.test} of {self.faces}."
            )
        check_least("data.fonts", self, tolerance=0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How drawings change from epoch to epoch while training; ``--data.augment.*``.

    Source:
        Ha & Eck (2017), section 3.3, for the scales and the points left out; Simard, Steinkraus & Platt (2003), Best
        Practices for Convolutional Neural Networks Applied to Visual Document Analysis, section 2, for bent paper.
    """

    scale: float = 0.3  # both axes are stretched by factors of their own, up to this much more or less
    shear: float = 0.3  # slant, up to this much to either side
    turn: float = 0.15  # radians, up to this much to either side
    bend: float = 0.3  # spreads of an offset by which the paper is bent in waves, at most, along each axis
    mirror: float = 0.5  # probability of turning a drawing that has no class left to right, and of upside down
    drop: float = 0.03  # probability of leaving out a point inside a stroke

    def __post_init__(self):
        check_least("data.augment", self, scale=0.0, shear=0.0, turn=0.0, bend=0.0, mirror=0.0, drop=0.0)
        if self.scale >= 1 or self.drop >= 1 or self.mirror > 1:
            raise InputError(
                f"data.augment: `scale` and `drop` should be below 1, and `mirror` at most 1, but they are "
                f"{self.scale}, {self.drop} and {self.mirror}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class StrokesConfig:
    """Drawings and batches; on the command line, ``--data.*``.

    Files are ``.npz`` in the stroke-3 layout of QuickDraw (arrays train, valid and test; the class is the name of the
    file) or ``.svg`` (one drawing each; the class is the name of its folder).

    Raises:
        InputError: fractions that do not sum to 1, sizes out of range.

    Example:
        >>> StrokesConfig(longest=0)
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: data: `longest` should be at least 2, but it is 0.
    """

    path: tuple[str, ...] = ()  # files or folders of .npz and .svg; empty: glyphs of the stroke fonts, see `fonts`
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)  # train, validation and test, of drawings in .svg files
    tolerance: float = 0.0  # units of the files: points nearer than this to the line of their neighbours are left out
    longest: int = 64  # most points of a drawing; longer ones are left out, and counted
    buckets: int = 3  # most lengths of batches; each is compiled once
    augment: AugmentConfig = AugmentConfig()
    fonts: FontsConfig = FontsConfig()

    def __post_init__(self):
        check_split(self.split)
        check_least("data", self, tolerance=0.0, longest=2, buckets=1)

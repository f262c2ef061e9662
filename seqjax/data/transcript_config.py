"""What is to be transcribed: handwritten strips, speech that is made here, or files of one's own."""

import dataclasses
from typing import Literal, get_args

from seqjax.checks import InputError, check_choice
from seqjax.data.config import check_split

Source = Literal["digits", "spoken"]


def _check_least(where: str, config, **least: float) -> None:
    for name, value in least.items():
        if not getattr(config, name) >= value:
            raise InputError(f"{where}: `{name}` should be at least {value:g}, but it is {getattr(config, name)}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StripsConfig:
    """The default data: rows of handwritten digits, a frame a column of pixels; ``--data.strips.*``.

    Raises:
        InputError: sizes out of range.
    """

    strips: int = 4_000  # strips of an epoch; their digits are drawn anew in each
    held: int = 300  # strips of the validation split; as many of the test split
    digits: tuple[int, int] = (3, 8)  # fewest and most digits of a strip
    gap: int = 4  # most columns of paper between two digits, on average half of them
    shift: int = 1  # while training: rows that a digit is moved up or down, at most
    noise: float = 0.1  # while training: deviation of what is added to every pixel, where ink is 1
    seed: int = 0  # of what is written on the strips

    def __post_init__(self):
        _check_least("data.strips", self, strips=1, held=1, gap=0, shift=0, noise=0, seed=0)
        if not 1 <= self.digits[0] <= self.digits[1]:
            raise InputError(
                f"data.strips: `digits` should be two numbers from 1 on, but it is {self.digits}. Try 3 8."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpokenConfig:
    """Numbers and dates that espeak-ng says, in many voices; ``--data.spoken.*``.

    Raises:
        InputError: sizes out of range; no voices.
    """

    utterances: int = 1_000  # to train on
    held: int = 100  # of the validation split; as many of the test split
    voices: tuple[str, ...] = ("en", "en+m3", "en+f2", "en+f4")  # as espeak-ng names them: LANGUAGE+VARIANT
    speed: tuple[int, int] = (120, 180)  # words a minute, slowest and fastest
    pitch: tuple[int, int] = (30, 70)  # of 0 to 99, lowest and highest
    seed: int = 0  # of what is said, and how

    def __post_init__(self):
        _check_least("data.spoken", self, utterances=1, held=1, seed=0)
        if not self.voices:
            raise InputError("data.spoken: `voices` should name one voice at least. Try en.")
        for name, least, most in (("speed", 80, 450), ("pitch", 0, 99)):
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise InputError(
                    f"data.spoken: `{name}` should be two numbers from {least} to {most}, but it is {(low, high)}."
                )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SoundConfig:
    """How sound becomes frames; ``--data.sound.*``.

    Raises:
        InputError: sizes out of range.
    """

    rate: int = 16_000  # samples a second
    resample: bool = False  # bring files of another rate to this one, instead of refusing them
    window: float = 0.025  # seconds of a frame
    hop: float = 0.010  # seconds from one frame to the next
    bands: int = 40  # mel bands: features of a frame
    low: float = 20.0  # Hz, where the lowest band begins
    high: float = 0.0  # Hz, where the highest band ends; 0: half the rate

    def __post_init__(self):
        _check_least("data.sound", self, rate=100, bands=1, low=0, high=0)
        if self.window * self.rate < 2 or self.hop * self.rate < 1:
            raise InputError(
                f"data.sound: `window` and `hop` should be longer than a sample, but they are {self.window:g} and "
                f"{self.hop:g} seconds, at {self.rate:,} samples a second. Try 0.025 and 0.01."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TranscriptsConfig:
    """Recordings, what is said in them, and batches; on the command line, ``--data.*``.

    A file has two columns, ``WAV TAB text`` in each line; a path that is not absolute begins at the file's own folder.

    Raises:
        InputError: fractions that do not sum to 1, unknown names, sizes out of range.

    Example:
        >>> TranscriptsConfig(source="spoken").handwritten
        False
        >>> TranscriptsConfig(source="speech")
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: data: `source` should be a known name, but it is 'speech'. Did you mean `spoken`? ...
    """

    path: tuple[str, ...] = ()  # files or folders of WAV TAB text; empty: see `source`
    valid_path: tuple[str, ...] = ()  # recordings for validation, instead of a split
    test_path: tuple[str, ...] = ()  # recordings for the test, instead of a split
    source: Source = "digits"  # without path: digits by hand, see `strips`, or what espeak-ng says, see `spoken`
    encoding: str = "utf-8"  # of the files, e.g. latin-1
    skip_broken: bool = False  # leave broken lines and recordings out, and count them
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)  # train, validation and test, as fractions of recordings
    min_count: int = 1  # characters that training has less often are <unk>
    lower: bool = False  # put transcripts into lower case
    buckets: int = 3  # most lengths of batches; each is compiled once
    strips: StripsConfig = StripsConfig()
    spoken: SpokenConfig = SpokenConfig()
    sound: SoundConfig = SoundConfig()

    def __post_init__(self):
        check_choice("data", "source", self.source, get_args(Source))
        check_split(self.split)
        _check_least("data", self, min_count=1, buckets=1)
        if (self.valid_path or self.test_path) and not self.path:
            raise InputError(
                "data: validation or test files are given, but nothing to train on. Try --data.path FILE beside them."
            )

    @property
    def handwritten(self) -> bool:
        """Whether frames are columns of pixels; else they are of sound."""
        return not self.path and self.source == "digits"

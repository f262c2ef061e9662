"""Rows of handwritten digits, read from left to right as strips: a frame is a column of eight pixels.

T columns.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError
from seqjax.data.digits import SIDE, SPLITS, Split, draw_row, load_digits
from seqjax.data.picture_files import pillow
from seqjax.data.transcript_config import StripsConfig


class Strip(NamedTuple):
    """Columns, and what is written there.

    Attributes:
        columns: (T, 8) float32, 0 paper and 1 ink, the top row first.
        labels: the digits, from left to right.
    """

    columns: np.ndarray
    labels: tuple[int, ...]

    @property
    def text(self) -> str:
        """The digits as characters."""
        return "".join(map(str, self.labels))


class DigitStrips:
    """The strips of one split. How many digits a strip has, and its width, stay; which digits, changes by epoch.

    Args:
        config: how many, how long, how disturbed.
        split: ``train`` strips are drawn anew in each epoch, and disturbed; the others never.

    Attributes:
        lengths: (N,), columns of each.

    Example:
        >>> strips = DigitStrips(StripsConfig(strips=5), "train")
        >>> one, other = strips.draw(0, epoch=0), strips.draw(0, epoch=1)
        >>> one.columns.shape == other.columns.shape, one.text == other.text, len(one.text) == len(other.text)
        (True, False, True)
    """

    def __init__(self, config: StripsConfig, split: Split):
        self.config, self.split, self.digits = config, split, load_digits(split)
        self.number = SPLITS.index(split)
        size = config.strips if split == "train" else config.held
        random = np.random.default_rng((config.seed, self.number))
        self.counts = random.integers(config.digits[0], config.digits[1] + 1, size)
        self.paper = np.array([random.integers(0, config.gap + 1, count + 1).sum() for count in self.counts])
        self.lengths = SIDE * self.counts + self.paper

    def draw(self, number: int, epoch: int = 0) -> Strip:
        """Strip ``number`` of an epoch."""
        config, random = self.config, np.random.default_rng((self.config.seed, self.number, epoch, number))
        count = int(self.counts[number])
        chosen = random.integers(0, len(self.digits.labels), count)
        gaps = random.multinomial(self.paper[number], np.full(count + 1, 1 / (count + 1)))
        pictures = list(self.digits.pictures[chosen])
        if self.split == "train":
            moves = random.integers(-config.shift, config.shift + 1, count)
            pictures = [_moved(picture, move) for picture, move in zip(pictures, moves, strict=True)]
        row = draw_row(pictures, width=int(self.lengths[number]), shifts=gaps[:-1].tolist())
        if self.split == "train" and config.noise:
            row = row + random.normal(0, config.noise, row.shape).astype(np.float32)
        return Strip(np.ascontiguousarray(row.T), tuple(self.digits.labels[chosen].tolist()))


def _moved(picture: np.ndarray, rows: int) -> np.ndarray:
    """A picture some rows lower, or higher where ``rows`` is negative; what leaves it is gone."""
    if not rows:
        return picture
    found = np.zeros_like(picture)
    found[max(rows, 0) : len(found) + min(rows, 0)] = picture[max(-rows, 0) : len(found) - max(rows, 0)]
    return found


def read_strip(path: str | Path) -> np.ndarray:
    """The columns (T, 8) of a picture that is eight rows high; whichever tone is the commoner is paper.

    Args:
        path: a picture that Pillow reads, or a ``.npy`` of (8, T) numbers, 0 paper and 1 ink.

    Raises:
        InputError: missing, broken, or of another height; Pillow is not installed.
    """
    path = Path(os.path.expanduser(path))
    if not path.is_file():
        raise InputError(f"data: {path}: there is no such picture.")
    tones = _read_array(path) if path.suffix == ".npy" else _read_picture(path)
    if tones.ndim != 2 or tones.shape[0] != SIDE:
        raise InputError(
            f"data: {path}: a strip should be (8, T), 8 rows of pixels, but it is {tones.shape}. "
            "Scale it to 8 rows first."
        )
    if not np.isfinite(tones).all():
        raise InputError(f"data: {path}: holds numbers that are not finite.")
    return np.ascontiguousarray(tones.T, np.float32)


def _read_array(path: Path) -> np.ndarray:
    try:
        return np.asarray(np.load(path, allow_pickle=False), np.float32)
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise InputError(f"data: {path} is broken: {error}.") from None


def _read_picture(path: Path) -> np.ndarray:
    image = pillow()
    try:
        with image.open(path) as picture:
            tones = np.asarray(picture.convert("L"), np.float32) / 255
    except Exception as error:  # whatever a broken file makes Pillow raise
        raise InputError(f"data: {path} is no picture that can be read: {error}.") from None
    return 1 - tones if np.median(tones) > 0.5 else tones

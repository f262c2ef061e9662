"""Handwritten digits, 8 × 8 pixels, and rows of them: what captions, transcripts and moving pictures are made of.

The pictures are those that ship inside scikit-learn (extra ``data``): 1,797 digits of 13 people, a test set of the
UCI Machine Learning Repository. Splits are by picture: what is drawn for the test split was never drawn in training.

Source:
    Alpaydin & Kaynak, Optical Recognition of Handwritten Digits (1998).
"""

import functools
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from seqjax.checks import InputError, check_choice

SIDE = 8  # pixels
Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")
SHARES = {"train": (0.0, 0.7), "valid": (0.7, 0.85), "test": (0.85, 1.0)}


class Digits(NamedTuple):
    """N pictures of digits.

    Attributes:
        pictures: (N, 8, 8) float32, 0 paper and 1 ink.
        labels: (N,) int32, 0 to 9.
    """

    pictures: np.ndarray
    labels: np.ndarray


@functools.cache
def _all_digits() -> Digits:
    try:
        from sklearn.datasets import load_digits as read
    except ImportError:
        raise InputError(
            "digits: the handwritten digits ship inside scikit-learn, which is not installed. "
            "Try: pip install 'seqjax[data]'."
        ) from None
    found = read()
    return Digits((found.images / 16).astype(np.float32), found.target.astype(np.int32))


def load_digits(split: Split) -> Digits:
    """The digits of one split, in an order that never changes; about 70, 15 and 15 % of each digit.

    Raises:
        InputError: scikit-learn is not installed.

    Example:
        >>> [len(load_digits(split).labels) for split in SPLITS]
        [1258, 270, 269]
    """
    check_choice("digits", "split", split, SPLITS)
    digits = _all_digits()
    first, end = SHARES[split]
    chosen = []
    for digit in range(10):
        members = np.random.default_rng(digit).permutation(np.flatnonzero(digits.labels == digit))
        chosen.append(members[round(first * len(members)) : round(end * len(members))])
    order = np.sort(np.concatenate(chosen))
    return Digits(digits.pictures[order], digits.labels[order])


def draw_row(pictures: Sequence[np.ndarray], *, width: int = 0, shifts: Sequence[int] = ()) -> np.ndarray:
    """Digits side by side, from left to right: (8, W).

    Args:
        pictures: (8, 8) each.
        width: W; 0: as wide as the digits and their shifts.
        shifts: columns of paper before each digit; default none.

    Example:
        >>> digits = load_digits("train")
        >>> draw_row(digits.pictures[:2], shifts=(1, 2), width=24).shape
        (8, 24)
    """
    shifts = tuple(shifts) or (0,) * len(pictures)
    if len(shifts) != len(pictures):
        raise InputError(f"draw_row: {len(pictures)} pictures need as many shifts, but there are {len(shifts)}.")
    least = sum(shifts) + SIDE * len(pictures)
    if width and width < least:
        raise InputError(f"draw_row: `width` should be at least {least}, but it is {width}.")
    row = np.zeros((SIDE, width or least), np.float32)
    place = 0
    for shift, picture in zip(shifts, pictures, strict=True):
        place += shift
        row[:, place : place + SIDE] = picture
        place += SIDE
    return row

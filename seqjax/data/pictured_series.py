"""Digits read pixel by pixel, and films of a digit that moves."""

import numpy as np

from seqjax.data.digits import SIDE, SPLITS, load_digits
from seqjax.data.series_config import DigitsConfig, FramesConfig, LabelledSeries, SeriesSplits

INK = " .:-=+*#%@"
STEP = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0), "still": (0, 0)}
TURN = ((0, 1), (1, 0), (0, -1), (-1, 0))  # clockwise: right, down, left, up
SPAN = 2  # frames that a side of the turn lasts


def read_digits(config: DigitsConfig) -> SeriesSplits:
    """Pictures (8, 8) of handwritten digits, 0 paper and 1 ink.

    Raises:
        InputError: scikit-learn is not installed.
    """
    parts = []
    for split in SPLITS:
        digits = load_digits(split)
        pairs = zip(digits.labels, digits.pictures, strict=True)
        parts.append([LabelledSeries(str(label), picture) for label, picture in pairs])
    train, valid, test = parts
    return SeriesSplits(train, valid, test, dict.fromkeys(SPLITS, 0))


def pixel_order(config: DigitsConfig) -> np.ndarray:
    """(64,): which pixel is read when.

    Example:
        >>> pixel_order(DigitsConfig())[:3].tolist(), sorted(pixel_order(DigitsConfig(permuted=True)).tolist())[:3]
        ([0, 1, 2], [0, 1, 2])
    """
    places = np.arange(SIDE**2)
    return np.random.default_rng(config.order).permutation(places) if config.permuted else places


def pixel_steps(picture: np.ndarray, config: DigitsConfig) -> np.ndarray:
    """The pixels of a picture (8, 8) in the order in which they are read: (64 / P, P), P pixels a step.

    Example:
        >>> pixel_steps(np.eye(8, dtype=np.float32), DigitsConfig(pixels=8)).shape
        (8, 8)
    """
    return picture.reshape(-1)[pixel_order(config)].reshape(-1, config.pixels)


def read_films(config: FramesConfig) -> SeriesSplits:
    """Films (T, S, S) of handwritten digits that move, their motions in turn.

    Raises:
        InputError: scikit-learn is not installed.
    """
    parts = []
    for number, (split, count) in enumerate(zip(SPLITS, config.films, strict=True)):
        pictures, random = load_digits(split).pictures, np.random.default_rng([config.seed, number])
        motions = [config.motions[film % len(config.motions)] for film in range(count)]
        parts.append([LabelledSeries(motion, draw_film(random, pictures, motion, config)) for motion in motions])
    train, valid, test = parts
    return SeriesSplits(train, valid, test, dict.fromkeys(SPLITS, 0))


def draw_film(random: np.random.Generator, pictures: np.ndarray, motion: str, config: FramesConfig) -> np.ndarray:
    """One film: a digit that starts anywhere, moves a pixel a frame and comes back in on the other side.

    Args:
        random: what is drawn: the digit, how many frames, where it starts, the noise.
        pictures: (N, 8, 8).
        motion: one of ``config.motions``. The turns go round a square of two pixels a side, from any of its corners.
        config: sizes and noise.

    Returns:
        (T, S, S) float32.

    Example:
        >>> film = draw_film(np.random.default_rng(0), np.ones((1, 8, 8)), "right", FramesConfig(noise=0))
        >>> bool((film[1] == np.roll(film[0], 1, axis=1)).all())
        True
    """
    canvas = np.zeros((config.side, config.side), np.float32)
    canvas[:SIDE, :SIDE] = pictures[random.integers(len(pictures))]
    place, phase = random.integers(config.side, size=2), random.integers(len(TURN) * SPAN)
    film = []
    for frame in range(random.integers(config.frames[0], config.frames[1], endpoint=True)):
        film.append(np.roll(canvas, tuple(place), axis=(0, 1)))
        place = place + _move(motion, int(phase + frame) // SPAN % len(TURN))
    drawn = np.stack(film)
    return (drawn + config.noise * random.normal(size=drawn.shape)).astype(np.float32)


def _move(motion: str, side: int) -> np.ndarray:
    """Rows down and columns to the right."""
    if motion in STEP:
        return np.array(STEP[motion])
    return np.array(TURN[side if motion == "clockwise" else -1 - side])


def sketch(pictures: np.ndarray) -> str:
    """Pictures (N, R, C), 0 paper and 1 ink, side by side in characters: R lines.

    Example:
        >>> print(sketch(np.eye(2)[None]))
        @
         @
    """
    tones = np.clip((pictures * (len(INK) - 1)).round(), 0, len(INK) - 1).astype(int)
    return "\n".join(
        "  ".join("".join(INK[tone] for tone in row) for row in rows).rstrip() for rows in zip(*tones, strict=True)
    )

"""Handwritten digits in a row and what they are in words: the data that ``caption`` learns from by default.

N examples, Y × X pixels.
"""

import functools

import numpy as np

from seqjax.data.caption_config import NUMERALS, Caption, DigitRowsConfig, Pictured
from seqjax.data.digits import SIDE, SPLITS, Split, load_digits

GAP = 2  # columns of paper between two digits, at most
NOISY, NOISE = 0.5, 0.1  # how many rows have blots, and how strong they are, at most
FADE, ERASED = 0.25, 0.3  # how much ink fades, and how many digits lose a corner


def write_rows(config: DigitRowsConfig, split: Split) -> Pictured:
    """Rows of one to ``config.most`` digits of this split, each with a caption in one language.

    What example n says is fixed. For training, each epoch draws other digits of the same values, at other places and a
    little changed: a function of (seed, epoch, n). Those of the other splits are what they are.

    Args:
        config: how many, and how long.
        split: whose digits: a digit that is drawn for the test was never drawn for training.

    Raises:
        InputError: scikit-learn is not installed.

    Example:
        >>> rows = write_rows(DigitRowsConfig(held=3), "test")
        >>> [(caption.text, caption.language) for caption in rows.captions]
        [('four two six', 'en'), ('oito', 'pt'), ('one', 'en')]
        >>> rows.draw(np.array([0, 2]), 0).shape
        (2, 8, 32, 1)
    """
    number = SPLITS.index(split)
    count = config.examples if split == "train" else config.held
    random = np.random.default_rng([config.seed, number])
    lengths = random.integers(1, config.most + 1, size=count)
    values = random.integers(10, size=(count, config.most))
    languages = random.integers(len(config.languages), size=count)
    captions = []
    for place, (length, row, language) in enumerate(zip(lengths, values, languages, strict=True)):
        name = config.languages[language]
        words = " ".join(NUMERALS[name][value] for value in row[:length])
        captions.append(Caption(f"{split}-{place + 1:05d}", words, name))
    digits = load_digits(split)
    by_value = [digits.pictures[digits.labels == value] for value in range(10)]
    changing = split == "train"

    def draw(numbers: np.ndarray, epoch: int) -> np.ndarray:
        drawn = np.zeros((len(numbers), *config.size, 1), np.float32)
        for picture, n in zip(drawn, numbers.tolist(), strict=True):
            own = np.random.default_rng([config.seed, number, epoch if changing else 0, n])
            _draw_row(picture[..., 0], by_value, values[n, : lengths[n]], own, changing and config.changes)
        return drawn

    return Pictured(captions, draw)


def _draw_row(canvas: np.ndarray, by_value: list[np.ndarray], values: np.ndarray, random, change: bool) -> None:
    """Put digits of these values on paper (8, X), anywhere, a little apart."""
    gaps = random.integers(GAP + 1, size=len(values))
    gaps[0] = 0
    room = canvas.shape[1] - SIDE * len(values) - gaps.sum()
    if room < 0:
        gaps[:], room = 0, canvas.shape[1] - SIDE * len(values)
    place = int(random.integers(room + 1))
    for value, gap in zip(values, gaps, strict=True):
        place += int(gap)
        picture = by_value[value][random.integers(len(by_value[value]))]
        canvas[:, place : place + SIDE] = _changed(picture, random) if change else picture
        place += SIDE
    if change and random.random() < NOISY:
        canvas += NOISE * random.random() * random.standard_normal(canvas.shape, np.float32)
        np.clip(canvas, 0, 1, out=canvas)


def _changed(picture: np.ndarray, random) -> np.ndarray:
    """A digit (8, 8) moved up or down, leaning, fainter or stronger, and perhaps without a corner of itself."""
    chances = random.random(5)
    moved = int(chances[0] * 3) - 1
    lean = (chances[1] - 0.5) * 0.4
    found = (_leaning(lean) @ picture.reshape(-1)).reshape(SIDE, SIDE)
    found = np.roll(found, moved, axis=0)
    found[: max(moved, 0)] = 0
    found[SIDE + min(moved, 0) :] = 0
    found = found * (1 + FADE * (2 * chances[2] - 1))
    if chances[3] < ERASED:
        row, column = random.integers(SIDE - 1, size=2)
        found[row : row + 2, column : column + 2] = 0
    return found


def _leaning(lean: float) -> np.ndarray:
    """(64, 64): pixels to pixels of the same digit with every row moved by ``lean`` for each row from the middle."""
    return _leanings()[round((lean + 0.2) / 0.4 * 8)]


@functools.cache
def _leanings() -> np.ndarray:
    found = np.zeros((9, SIDE * SIDE, SIDE * SIDE), np.float32)
    for number, lean in enumerate(np.linspace(-0.2, 0.2, 9)):
        for row in range(SIDE):
            for column in range(SIDE):
                source = column + lean * (row - (SIDE - 1) / 2)
                low = int(np.floor(source))
                for near, share in ((low, 1 - (source - low)), (low + 1, source - low)):
                    if 0 <= near < SIDE:
                        found[number, row * SIDE + column, row * SIDE + near] += share
    return found

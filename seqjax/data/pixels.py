"""Pictures as text, a character a pixel and a line a row: what a language model completes.

The five greys of a picture are five characters, so that what the model writes can be looked at in the terminal.
"""

import numpy as np

from seqjax.checks import InputError
from seqjax.data.digits import load_digits

GREYS = "·░▒▓█"  # from paper to ink


def write_picture(picture: np.ndarray) -> str:
    """A picture (H, W), 0 paper and 1 ink, as H lines of W characters.

    Example:
        >>> print(write_picture(np.array([[0.0, 0.5], [1.0, 0.1]])))
        ·▒
        █·
    """
    levels = np.clip(np.round(np.asarray(picture) * (len(GREYS) - 1)), 0, len(GREYS) - 1).astype(int)
    return "\n".join("".join(GREYS[level] for level in row) for row in levels)


def read_picture(text: str, height: int = 8, width: int = 8) -> np.ndarray:
    """The picture (H, W) of a text, in five greys; lines that are missing or short are paper.

    Raises:
        InputError: a character that is no grey; more lines or longer ones than the picture has.

    Example:
        >>> read_picture("·▒\\n█·", 2, 2).tolist()
        [[0.0, 0.5], [1.0, 0.0]]
    """
    picture = np.zeros((height, width), np.float32)
    lines = text.split("\n")
    if len(lines) > height or max(map(len, lines)) > width:
        raise InputError(
            f"pixels: a picture should have {height} lines of {width} characters at most, "
            f"but there are {len(lines)} lines, the longest of {max(map(len, lines))}."
        )
    for row, line in enumerate(lines):
        for column, character in enumerate(line):
            if character not in GREYS:
                raise InputError(
                    f"pixels: line {row + 1}, column {column + 1}: {character!r} is none of the greys {GREYS}."
                )
            picture[row, column] = GREYS.index(character) / (len(GREYS) - 1)
    return picture


def write_digits(split) -> list[str]:
    """The handwritten digits of a split as texts, one each; scikit-learn has them (extra ``data``)."""
    return [write_picture(picture) for picture in load_digits(split).pictures]

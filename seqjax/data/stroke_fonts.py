"""Glyphs of the Hershey fonts: letters as the way of a pen. The data that ``sketch`` learns from by default.

The fonts ship inside the package Hershey-Fonts (extra ``data``). A glyph's class is its character, where the font has
the Latin letter there: in others the same place holds Greek, Japanese, musical or weather signs, which have no class.

Source:
    Hershey (1967), Calligraphy for Computers, U.S. Naval Weapons Laboratory report 2101.
"""

import functools
import string
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError, check_choice
from seqjax.data.stroke_config import FontsConfig
from seqjax.data.strokes import Drawing, from_lines, simplify

CHARACTERS = string.ascii_letters + string.digits
PLACES = [chr(code) for code in range(33, 127)]


class Glyphs(NamedTuple):
    """Drawings of the three splits."""

    train: list[Drawing]
    valid: list[Drawing]
    test: list[Drawing]


@functools.cache
def _fonts():
    try:
        from HersheyFonts import HersheyFonts
    except ImportError:
        raise InputError(
            "sketch: the default drawings are glyphs of the package Hershey-Fonts, which is not installed. "
            "Try: pip install 'seqjax[data]', or --data.path FILE with drawings of your own."
        ) from None
    return HersheyFonts()


def read_font(name: str, characters: str | list[str] = CHARACTERS) -> dict[str, list[np.ndarray]]:
    """The lines (N, 2) of each character that a font draws, to the right and down, in its own units.

    Raises:
        InputError: an unknown font, or the package is not installed.

    Example:
        >>> [line.tolist() for line in read_font("futural", "T")["T"]]
        [[[8, -12], [8, 9]], [[1, -12], [15, -12]]]
    """
    fonts = _fonts()
    check_choice("data.fonts", "faces", name, fonts.default_font_names)
    fonts.load_default_font(name)
    found = {}
    for character in characters:
        lines = [np.array(list(line)) for line in fonts.strokes_for_text(character)]
        lines = [line for line in lines if len(line) > 1]
        if lines:
            found[character] = lines
    return found


def read_glyphs(config: FontsConfig) -> Glyphs:
    """Glyphs split by font; what several fonts draw alike is kept once, by the test split first.

    Example:
        >>> glyphs = read_glyphs(FontsConfig(others=False))
        >>> len(glyphs.test), glyphs.test[0].name, glyphs.test[0].strokes.shape[1]
        (123, 'a', 3)
    """
    seen: set[bytes] = set()

    def collect(names: tuple[str, ...], characters, *, named: bool) -> list[Drawing]:
        found = []
        for name in names:
            for character, lines in read_font(name, characters).items():
                whole = from_lines(lines)
                if whole.tobytes() in seen:
                    continue
                seen.add(whole.tobytes())
                strokes = from_lines([simplify(line, config.tolerance) for line in lines])
                found.append(Drawing(strokes, character if named else ""))
        return found

    test = collect(config.test, CHARACTERS, named=True)
    valid = collect(config.valid, CHARACTERS, named=True)
    rest = tuple(name for name in config.faces if name not in (*config.test, *config.valid))
    train = collect(rest, CHARACTERS, named=True)
    if config.others:
        train += collect(tuple(_fonts().default_font_names), PLACES, named=False)
    return Glyphs(train, valid, test)

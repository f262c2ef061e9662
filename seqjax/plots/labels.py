"""Tokens as labels: blanks made visible, and only glyphs that a font of this machine has."""

import functools
import unicodedata
from collections.abc import Sequence
from typing import Any

VISIBLE = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍"}
FAMILIES = (
    "DejaVu Sans Mono", "DejaVu Sans",
    "Noto Sans Mono CJK SC", "Noto Sans Mono CJK JP", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR",
    "Noto Sans SC", "Noto Sans JP", "Noto Sans KR", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei",
    "Droid Sans Fallback", "PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo", "Microsoft YaHei", "Yu Gothic",
    "MS Gothic", "Malgun Gothic", "Noto Sans Devanagari", "Lohit Devanagari", "Kohinoor Devanagari", "Mangal",
    "Nirmala UI", "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Thai", "Noto Sans Bengali", "Noto Sans Tamil",
    "Noto Sans Telugu", "Noto Sans Georgian", "Noto Sans Armenian", "Noto Sans Ethiopic", "Noto Sans",
    "Arial Unicode MS", "Unifont",
)  # fmt: skip
COLUMN = 0.602  # width of a character of the first family, in units of the font size


@functools.cache
def fonts() -> tuple[str, ...]:
    """Families to draw labels with: those of ``FAMILIES`` that this machine has, in that order.

    Example:
        >>> fonts()[:2]
        ('DejaVu Sans Mono', 'DejaVu Sans')
    """
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return tuple(family for family in FAMILIES if family in installed)


@functools.cache
def drawable(character: str) -> bool:
    """Whether one of :func:`fonts` has a glyph for a character, normal and bold.

    Example:
        >>> drawable("ж"), drawable("\U0010ffff")
        (True, False)
    """
    from matplotlib.font_manager import FontProperties, findfont, get_font

    def has(family: str, weight: str) -> bool:
        font = get_font(findfont(FontProperties(family=[family], weight=weight)))
        return font.get_char_index(ord(character)) != 0

    return any(has(family, "normal") and has(family, "bold") for family in fonts())


def label(token: str, longest: int = 16) -> str:
    """How a token is written in a picture.

    A blank becomes ␣, an end of line ⏎, other spaces ⍽; a mark that needs a letter stands on ◌. A character that has
    no glyph here (most machines lack a font for some script), or never had one, is written as its number in
    Unicode, so that two of them can be told apart.

    Args:
        token: any text.
        longest: characters; a longer label ends in ….

    Example:
        >>> [label(token) for token in (" the", "\\n", "\\u202f", "\\u200f", "")]
        ['␣the', '⏎', '⍽', '200F', '∅']
    """
    standing = "◌" if token and unicodedata.category(token[0]) in ("Mn", "Mc") and drawable(token[0]) else ""
    written = standing + "".join(_written(character) for character in token) if token else "∅"
    return written if len(written) <= longest else written[: longest - 1] + "…"


def labels(tokens: Sequence[str], longest: int = 16) -> list[str]:
    """:func:`label` of each."""
    return [label(token, longest) for token in tokens]


def heading(text: str) -> str:
    """A title with a box, ▯, for each character that has no glyph here.

    Example:
        >>> heading("3 mai \U0010ffff")
        '3 mai ▯'
    """
    return "".join(character if drawable(character) else "▯" for character in " ".join(text.split()))


def legend_name(text: str) -> str:
    """A :func:`heading` for a legend, where matplotlib leaves out what is empty or begins with an underscore.

    Example:
        >>> legend_name("naive"), legend_name("_naive"), legend_name("")
        ('naive', ' _naive', ' ')
    """
    name = heading(text)
    return name if name and name[0] != "_" else f" {name}"


def plain() -> dict[str, Any]:
    """Options of a text that shows a :func:`heading` or a :func:`label` as it is: a dollar sign begins no formula."""
    return {"family": ["DejaVu Sans", *fonts()], "parse_math": False}


def heading_style() -> dict[str, Any]:
    """The same, in the tone of titles."""
    return plain() | {"color": "0.2"}


def columns(text: str) -> int:
    """Width of a label in characters of a font of fixed width.

    Example:
        >>> columns("abc"), columns("年")
        (3, 2)
    """
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.category(character) == "Mn" for character in text)


def inches(text: str, size: float) -> float:
    """Width of a label in inches at a font size in points.

    Example:
        >>> round(inches("x" * 12, 10), 2)
        1.0
    """
    return columns(text) * COLUMN * size / 72


def _written(character: str) -> str:
    shown = VISIBLE.get(character, character)
    kind = unicodedata.category(shown)
    if kind == "Zs":
        return "⍽"
    return shown if kind[0] not in "CZ" and drawable(shown) else f"{ord(character):04X}"

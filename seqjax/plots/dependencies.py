"""A dependency tree as arcs above the words of its sentence."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from seqjax.checks import InputError, check_shape
from seqjax.plots import figure
from seqjax.plots.labels import fonts, heading, heading_style, inches, labels

INK, TONE = "#1f4e79", "#c0392b"  # of arcs, and of the one from the root
WORD, NAME, TAG = 11.0, 7.5, 7.5  # points, of words, of relations, of parts of speech
FLOOR, STEP, APART, GAP = 0.1, 0.27, 0.075, 0.2  # inches: foot of an arc, level to level, foot to foot, word to word


class Arc(NamedTuple):
    """Where one arc stands."""

    word: int  # the dependent, from 0
    head: int  # from 0; the word itself for the root
    level: int  # from 1, how high


def dependencies(
    words: Sequence[str], heads: ArrayLike, relations: Sequence[str], *, tags: Sequence[str] = (), title: str = ""
):
    """Draw a tree: an arrow from each head to each word that hangs on it, with the relation on top.

    Arcs over other arcs stand higher; of those that cross, as in a non-projective tree, each has its own height.

    Args:
        words: T tokens.
        heads: (T,) numbers of words, from 1; 0 for the root.
        relations: T names.
        tags: T parts of speech, to be written below the words; may be left out.
        title: above the figure.

    Returns:
        A matplotlib ``Figure``.

    Raises:
        InputError: no word, numbers of things that differ, a head out of range, or the extra ``viz`` is not installed.

    Source:
        Tesnière (1959), Éléments de syntaxe structurale, for trees of words; arcs over the line of words as in Hudson
        (1984), Word Grammar.

    Example:
        >>> drawn = dependencies(["Birds", "sing"], [2, 0], ["nsubj", "root"], tags=["NOUN", "VERB"])
        >>> [text.get_text() for text in drawn.axes[0].texts]
        ['Birds', 'sing', 'NOUN', 'VERB', 'nsubj', 'root']
    """
    above = _check(words, heads, relations, tags)
    arcs, shown = lay_arcs(above), labels(words, 24)
    names = labels(relations, 24)
    xs = _columns(shown, names, tags, arcs)
    high = max(arc.level for arc in arcs)
    left, foot = inches(shown[0], WORD) / 2 + 0.2, 0.55 if tags else 0.38
    width = max(xs[-1] + left + inches(shown[-1], WORD) / 2 + 0.2, inches(title, WORD) + 0.4)
    height = foot + FLOOR + STEP * high + 0.25 + (0.35 if title else 0)
    drawn = figure(figsize=(width, height), dpi=150, layout="none")
    axes = drawn.add_axes((0, 0, 1, 1), xlim=(-left, width - left), ylim=(-foot, height - foot))
    axes.set_axis_off()
    style: dict[str, Any] = {"ha": "center", "parse_math": False, "family": list(fonts())}
    for x, word in zip(xs, shown, strict=True):
        axes.text(x, -0.06, word, fontsize=WORD, color="0.1", va="top", **style)
    for x, tag in zip(xs, labels(tags), strict=False):
        axes.text(x, -0.32, tag, fontsize=TAG, color="0.5", va="top", **style)
    feet = _feet(arcs, xs)
    for number, arc in enumerate(arcs):
        _draw(axes, arc, feet[number], names[arc.word], FLOOR + STEP * arc.level, style)
    if title:
        axes.text(0.2 - left, height - foot - 0.12, heading(title), fontsize=WORD, va="top", **heading_style())
    return drawn


def lay_arcs(heads: Sequence[int]) -> list[Arc]:
    """A level for the arc of every word: above all that it spans, and apart from those it crosses.

    Args:
        heads: T numbers in [0, T].

    Example:
        >>> [arc.level for arc in lay_arcs([2, 3, 0, 3])]        # the arc from the root is higher than all others
        [1, 1, 2, 1]
    """
    spans = {word: (min(word, head - 1), max(word, head - 1)) for word, head in enumerate(heads) if head}
    levels: dict[int, int] = {}
    for word, (first, last) in sorted(spans.items(), key=lambda item: item[1][1] - item[1][0]):
        below = [levels[o] for o in levels if first <= spans[o][0] and spans[o][1] <= last]
        level = max(below, default=0) + 1
        while any(levels[o] == level and spans[o][0] < last and first < spans[o][1] for o in levels):
            level += 1
        levels[word] = level
    top = max(levels.values(), default=0) + 1
    return [Arc(word, head - 1 if head else word, levels.get(word, top)) for word, head in enumerate(heads)]


def _check(words: Sequence[str], heads: ArrayLike, relations: Sequence[str], tags: Sequence[str]) -> list[int]:
    above, T = np.asarray(heads), len(words)
    if not T:
        raise InputError("dependencies: `words` should hold one word at least.")
    check_shape("dependencies", "heads", above, "(T,)", (T,), "One head a word.")
    if above.dtype.kind not in "iu":
        raise InputError(f"dependencies: `heads` should hold whole numbers, but they are {above.dtype}.")
    check_shape("dependencies", "relations", list(relations), "(T,)", (T,), "One relation a word.")
    if len(tags):
        check_shape("dependencies", "tags", list(tags), "(T,)", (T,), "One part of speech a word, or none at all.")
    wrong = (above < 0) | (above > T) | (above == np.arange(1, T + 1))
    if wrong.any():
        word = int(wrong.argmax())
        raise InputError(
            f"dependencies: `heads` should hold numbers of other words, 1 to {T}, or 0 for the root, but the head of "
            f"word {word + 1} is {above[word]}."
        )
    return above.tolist()


def _columns(shown: Sequence[str], names: Sequence[str], tags: Sequence[str], arcs: Sequence[Arc]) -> np.ndarray:
    """The middle of every word in inches, so far apart that words do not touch and relations fit their arcs."""
    below = tags or [""] * len(shown)
    wide = [max(inches(word, WORD), inches(tag, TAG)) for word, tag in zip(shown, below, strict=True)]
    counts = np.bincount([end for arc in arcs for end in {arc.word, arc.head}], minlength=len(shown))
    wide = [max(width, APART * count) for width, count in zip(wide, counts, strict=True)]
    xs = np.zeros(len(shown))
    for word in range(1, len(shown)):
        xs[word] = xs[word - 1] + (wide[word - 1] + wide[word]) / 2 + GAP
    for arc in sorted(arcs, key=lambda arc: abs(arc.word - arc.head)):
        first, last = sorted((arc.word, arc.head))
        if first < last:
            room = xs[last] - xs[first] - APART * (counts[first] + counts[last]) / 2
            xs[last:] += max(0.0, inches(names[arc.word], NAME) + 0.12 - room)
    return xs


def _feet(arcs: Sequence[Arc], xs: np.ndarray) -> list[tuple[float, float]]:
    """Where each arc leaves its head and where it arrives: side by side over a word, outer arcs outside inner ones."""
    ends: list[list[tuple[tuple[int, int], int, int]]] = [[] for _ in xs]  # by word: (order, arc, which foot)
    for number, arc in enumerate(arcs):
        span = arc.head - arc.word
        if not span:
            ends[arc.word].append(((1, 0), number, 1))
            continue
        for foot, (own, other) in enumerate(((arc.head, arc.word), (arc.word, arc.head))):
            ends[own].append(((0, own - other) if other < own else (2, own - other), number, foot))
    feet = [[0.0, 0.0] for _ in arcs]
    for word, found in enumerate(ends):
        for place, (_, number, foot) in enumerate(sorted(found)):
            feet[number][foot] = xs[word] + APART * (place - (len(found) - 1) / 2)
    return [(one, two) for one, two in feet]


def _draw(axes, arc: Arc, feet: tuple[float, float], name: str, top: float, style: dict[str, Any]) -> None:
    """One arrow, and its relation on top."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    begin, end = feet
    colour = INK if arc.head != arc.word else TONE
    if arc.head == arc.word:
        path = Path([(end, top), (end, 0.03)])
    else:
        bend = min(0.12, abs(end - begin) / 2)
        side = bend if end > begin else -bend
        points = [(begin, 0.03), (begin, top - bend), (begin, top), (begin + side, top)]
        points += [(end - side, top), (end, top), (end, top - bend), (end, 0.03)]
        corner = [Path.CURVE3] * 2
        path = Path(points, [Path.MOVETO, Path.LINETO, *corner, Path.LINETO, *corner, Path.LINETO])
    arrow = FancyArrowPatch(
        path=path, arrowstyle="-|>,head_length=3.2,head_width=1.5", color=colour, linewidth=0.9, fill=False,
        shrinkA=0, shrinkB=0, joinstyle="miter", capstyle="butt", gid=f"arc {arc.head + 1} {arc.word + 1}",
    )  # fmt: skip
    axes.add_patch(arrow)
    middle = end if arc.head == arc.word else (begin + end) / 2
    paper = {"facecolor": "white", "edgecolor": "none", "boxstyle": "square,pad=0.12"}
    axes.text(middle, top, name, fontsize=NAME, color=colour, va="center", zorder=3, bbox=paper, **style)

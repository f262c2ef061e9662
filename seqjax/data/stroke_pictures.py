"""Drawings as pixels: for a classifier that looks at them, and for a terminal."""

import itertools

import numpy as np

from seqjax.data.strokes import to_lines

MOST = 1000  # points of one straight piece
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of a braille character: row, column


def dots(strokes: np.ndarray, spacing: float) -> np.ndarray:
    """Points (N, 2) along all lines of a drawing, no further apart than ``spacing``, about the middle of its box."""
    pieces = [np.zeros((1, 2))]
    for line in to_lines(strokes):
        for start, end in itertools.pairwise(line):
            count = min(int(np.hypot(*(end - start)) / spacing) + 2, MOST)
            pieces.append(start + (end - start) * np.linspace(0, 1, count)[:, None])
    points = np.concatenate(pieces[1:] if len(pieces) > 1 else pieces)
    return points - (points.min(axis=0) + points.max(axis=0)) / 2


def paint(strokes: np.ndarray, side: int, span: float) -> np.ndarray:
    """A drawing as soft ink on paper, in the middle: (side, side) float32, 0 to 1.

    Args:
        strokes: (T, 3), stroke-3.
        side: pixels.
        span: how much of the paper a side shows, in the units of the strokes.

    Example:
        >>> picture = paint(np.array([[0, 4, 1]]), 8, 8.0)          # a line down the middle
        >>> (picture > 0.5).sum(axis=0).tolist()
        [0, 0, 6, 6, 6, 6, 0, 0]
    """
    points = dots(strokes, span / side / 3) / span * side + side / 2
    middles = np.arange(side) + 0.5
    across, down = (np.exp(-0.5 * (points[:, [axis]] - middles) ** 2) for axis in (0, 1))
    return np.minimum(down.T @ across / 1.5, 1).astype(np.float32)


def braille(strokes: np.ndarray, columns: int, lines: int) -> list[str]:
    """A drawing in characters of a terminal, each 2 × 4 dots, as large as fits.

    Example:
        >>> braille(np.array([[0, 8, 0], [4, 0, 1]]), 2, 2)
        ['⡇⠀', '⠧⠤']
    """
    points = dots(strokes, max(np.ptp(dots(strokes, 1e9), axis=0).max() / 200, 1e-9))
    size = np.maximum(np.ptp(points, axis=0), 1e-9)
    factor = min((2 * columns - 1) / size[0], (4 * lines - 1) / size[1])
    x, y = np.round((points - points.min(axis=0)) * factor).astype(int).T
    canvas = np.zeros((lines, columns), int)
    for column, row in {*zip(x.tolist(), y.tolist(), strict=True)}:
        canvas[row // 4, column // 2] |= DOTS[row % 4][column % 2]
    return ["".join(chr(0x2800 + code) for code in line) for line in canvas]


def side_by_side(pictures: list[list[str]], gap: str = "  ") -> str:
    """Pictures of as many lines, in one row."""
    return "\n".join(gap.join(lines) for lines in zip(*pictures, strict=True))

"""Drawings of a run: read, checked, split, and in units of the training split."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError
from seqjax.data.example_batches import Examples
from seqjax.data.stroke_config import StrokesConfig
from seqjax.data.stroke_files import read_npz, read_svg
from seqjax.data.stroke_fonts import read_glyphs
from seqjax.data.strokes import Drawing, simplify_strokes
from seqjax.data.text import outside_runs

NOTHING = -1  # the label of a drawing without a class


class StrokeSplits(NamedTuple):
    """Drawings in the units they came in."""

    train: list[Drawing]
    valid: list[Drawing]
    test: list[Drawing]
    too_long: int = 0  # drawings left out


def read_stroke_splits(config: StrokesConfig) -> StrokeSplits:
    """The drawings that a configuration names; without files, glyphs.

    Raises:
        InputError: a file that is missing or broken, a drawing that is none, a split without drawings.
    """
    files = config.path
    parts = read_drawing_files(files, config) if files else dict(read_glyphs(config.fonts)._asdict())
    kept = {name: [one for one in part if 0 < len(one.strokes) <= config.longest] for name, part in parts.items()}
    for name, part in kept.items():
        if not part:
            raise InputError(
                f"data: the {name} split has no drawing of at most {config.longest} points "
                f"({len(parts[name])} are longer or empty). Try more files, or a larger --data.longest."
            )
    lost = sum(len(part) for part in parts.values()) - sum(len(part) for part in kept.values())
    return StrokeSplits(**kept, too_long=lost)


def read_drawing_files(paths: Sequence[str], config: StrokesConfig) -> dict[str, list[Drawing]]:
    """Drawings of ``.npz`` and ``.svg`` files, by split."""
    parts: dict[str, list[Drawing]] = {"train": [], "valid": [], "test": []}
    alone: list[Drawing] = []
    for file in find_drawings(paths):
        if file.suffix == ".svg":
            alone.append(Drawing(read_svg(file, max(config.tolerance, 0.0)), file.parent.name))
            continue
        for name, drawings in read_npz(file).items():
            parts[name] += [Drawing(simplify_strokes(strokes, config.tolerance), file.stem) for strokes in drawings]
    order = np.random.default_rng(len(alone)).permutation(len(alone))
    ends = np.round(np.cumsum(config.split) * len(alone)).astype(int)
    for name, first, last in zip(parts, np.append(0, ends[:-1]), ends, strict=True):
        parts[name] += [alone[number] for number in order[first:last]]
    return parts


def find_drawings(paths: Sequence[str]) -> list[Path]:
    """The ``.npz`` and ``.svg`` files below these paths, in order.

    Raises:
        InputError: a path that is missing, or of another kind; a folder without drawings.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            named = (file for file in path.rglob("*") if file.suffix in (".npz", ".svg") and file.is_file())
            below = sorted(outside_runs(path, named))
            if not below:
                raise InputError(f"{path}: there is no .npz and no .svg file in this folder.")
            found += below
        elif not path.exists():
            raise InputError(f"{path}: there is no such file.")
        elif path.suffix not in (".npz", ".svg"):
            raise InputError(f"{path}: drawings are read from .npz (stroke-3) or .svg, but this is {path.suffix!r}.")
        else:
            found.append(path)
    return found


def class_names(drawings: Sequence[Drawing]) -> list[str]:
    """The classes of drawings, in order, each once.

    Example:
        >>> class_names([Drawing(np.ones((1, 3)), "cat"), Drawing(np.ones((1, 3))), Drawing(np.ones((1, 3)), "bus")])
        ['bus', 'cat']
    """
    return sorted({one.name for one in drawings} - {""})


def stroke_examples(drawings: Sequence[Drawing], scale: float, names: Sequence[str]) -> Examples:
    """Drawings as arrays for :func:`seqjax.data.example_batches`: ``strokes`` (T, 3) and ``label``.

    Args:
        drawings: in the units they came in.
        scale: what offsets are divided by.
        names: of the classes; a drawing of none of them has the label −1.

    Example:
        >>> examples = stroke_examples([Drawing(np.array([[2, 4, 1]], np.float32), "cat")], 2.0, ["bus", "cat"])
        >>> examples.steps["strokes"][0].tolist(), examples.rows["label"].tolist()
        ([[1.0, 2.0, 1.0]], [1])
    """
    numbers = {name: number for number, name in enumerate(names)}
    divisor = np.array([scale, scale, 1.0])
    return Examples(
        {"strokes": [(one.strokes / divisor).astype(np.float32) for one in drawings]},
        {"label": np.array([numbers.get(one.name, NOTHING) for one in drawings], np.int32)},
    )

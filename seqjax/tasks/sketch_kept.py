"""What a run of drawings keeps beside its parameters, so that its folder is all it needs once it is trained.

The drawings of the test split, those of the training split that a :class:`Namer` learns from and variations are drawn
between, and the rival of the report, fitted to all of the training split: ``drawings.npz``.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError
from seqjax.data.stroke_splits import StrokeSplits, read_stroke_splits, stroke_examples
from seqjax.data.strokes import Drawing
from seqjax.tasks.sketch_baseline import Baseline, GaussianMixture, fit_baseline
from seqjax.tasks.sketch_namer import MOST
from seqjax.training.devices import writer_first
from seqjax.training.folder import RunFolder


class Kept(NamedTuple):
    """What is kept; drawings are in the units they came in."""

    test: list[Drawing]
    train: list[Drawing]  # of the training split, at most so many as a namer learns from
    rival: Baseline | None  # in units of the training spread


def kept_of(folder: RunFolder, config, splits: StrokeSplits | None, spread: float) -> Kept:
    """What a run keeps of its data: made of its splits, or as it was written then.

    Where neither is there, as in runs that are older than this file, the data is read again.
    """

    def prepare(first: bool) -> Kept:
        if folder.drawings.exists():
            return load(folder.drawings)
        kept = keep(splits or read_stroke_splits(config.data), spread, config.rival)
        if first and splits is not None:
            save(kept, folder.drawings)
        return kept

    return writer_first(prepare) if splits is not None else prepare(False)


def keep(splits: StrokeSplits, spread: float, components: int) -> Kept:
    """What a run keeps of its data.

    Args:
        splits: all of the data.
        spread: what offsets are divided by.
        components: of the rival's mixture; 0: no rival.

    Example:
        >>> drawings = [Drawing(np.array([[1, 0, 0], [0, 2, 1]], np.float32), name) for name in ("bus", "cat", "")]
        >>> kept = keep(StrokeSplits(drawings, drawings[:1], drawings[1:]), 1.0, 2)
        >>> [one.name for one in kept.train], len(kept.test), kept.rival.pen.shape
        (['bus', 'cat', ''], 2, (3, 3))
    """
    shuffled = np.random.default_rng(0).permutation(len(splits.train)).tolist()
    order = sorted(shuffled, key=lambda number: not splits.train[number].name)[:MOST]  # those with a class first
    units = stroke_examples(splits.train, spread, []).steps["strokes"]
    rival = fit_baseline(units, components) if components else None
    return Kept(splits.test, [splits.train[number] for number in sorted(order)], rival)


def save(kept: Kept, path: Path) -> None:
    """Write ``drawings.npz``, whole or not at all."""
    arrays = _laid("test", kept.test) | _laid("train", kept.train)
    if kept.rival is not None:
        arrays |= {f"rival_{name}": array for name, array in kept.rival.mixture._asdict().items()}
        arrays["rival_pen"] = kept.rival.pen
    draft = path.with_name(path.name + ".draft")
    with open(draft, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    os.replace(draft, path)


def load(path: Path) -> Kept:
    """Read back what :func:`save` wrote.

    Raises:
        InputError: the file is broken.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        test, train = (_taken(arrays, name) for name in ("test", "train"))
        rival = None
        if "rival_pen" in arrays:
            mixture = GaussianMixture(*(arrays[f"rival_{name}"] for name in GaussianMixture._fields))
            rival = Baseline(mixture, arrays["rival_pen"])
    except Exception as error:  # whatever a broken archive raises
        raise InputError(
            f"{path}: this is not readable as what a run keeps of its drawings ({error}). Delete it where the "
            "drawings themselves are still there: they are read again then."
        ) from None
    return Kept(test, train, rival)


def _laid(name: str, drawings: Sequence[Drawing]) -> dict[str, np.ndarray]:
    """Drawings as three arrays: all points (ΣT, 3), and of each drawing T and its class."""
    return {
        f"{name}_points": np.concatenate([np.zeros((0, 3), np.float32), *(one.strokes for one in drawings)]),
        f"{name}_lengths": np.array([len(one.strokes) for one in drawings], np.int64),
        f"{name}_classes": np.array([one.name for one in drawings], str),
    }


def _taken(arrays: dict[str, np.ndarray], name: str) -> list[Drawing]:
    points, lengths, classes = (arrays[f"{name}_{part}"] for part in ("points", "lengths", "classes"))
    if lengths.sum() != len(points):
        raise ValueError(f"it should hold {lengths.sum()} points of {name}, but it holds {len(points)}")
    each = np.split(points, np.cumsum(lengths)[:-1])
    return [Drawing(strokes, str(label)) for strokes, label in zip(each, classes, strict=False) if len(strokes)]

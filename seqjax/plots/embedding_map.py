"""A map of words: their vectors on the plane that keeps most of what sets them apart."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from seqjax.checks import InputError, check_shape
from seqjax.plots import figure
from seqjax.plots.labels import heading, heading_style, legend_name, plain

INKS = ("#1f4e79", "#8c2d19", "#4a7c59", "#7a5195", "#b8860b", "#3a3a3a", "#c2559d", "#2a9d8f")


def principal_plane(vectors: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (N, 2) on the first two principal components, and the share of the variance that each keeps, (2,).

    Source:
        Pearson (1901), On Lines and Planes of Closest Fit to Systems of Points in Space.

    Example:
        >>> points, shares = principal_plane([[0, 0, 0], [2, 0, 0], [0, 1, 0], [2, 1, 0]])
        >>> np.abs(points).round(6).tolist(), shares.round(2).tolist()
        ([[1.0, 0.5], [1.0, 0.5], [1.0, 0.5], [1.0, 0.5]], [0.8, 0.2])
    """
    rows = np.asarray(vectors, float)
    check_shape("principal_plane", "vectors", rows, "(N, E)", (None, None))
    if not rows.size or not np.isfinite(rows).all():
        raise InputError(f"principal_plane: `vectors` {rows.shape} should hold finite numbers, at least one.")
    centred = rows - rows.mean(axis=0)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2] * np.where(axes[:2].sum(axis=1, keepdims=True) < 0, -1, 1)  # the same way round on every machine
    points = np.zeros((len(rows), 2))
    points[:, : len(axes)] = centred @ axes.T
    shares = np.zeros(2)
    shares[: len(axes)] = lengths[:2] ** 2 / max(float((lengths**2).sum()), 1e-12)
    return points, shares


def embedding_map(vectors: ArrayLike, words: Sequence[str], *, groups: Sequence[str] | None = None, title: str = ""):
    """Draw words where their vectors fall on the plane of their first two principal components.

    Vectors are first brought to length 1, for it is the angle between two that says how alike they are.

    Args:
        vectors: (N, E), one a word.
        words: N names.
        groups: N names of groups; each gets an ink of its own.
        title: above the figure.

    Returns:
        A matplotlib ``Figure``.

    Raises:
        InputError: sizes that do not fit, numbers that are not finite, or the extra ``viz`` is not installed.

    Example:
        >>> drawn = embedding_map(np.eye(3), ["cat", "dog", "car"], groups=["pet", "pet", "thing"])
        >>> [text.get_text() for text in drawn.axes[0].texts]
        ['cat', 'dog', 'car']
    """
    rows = np.asarray(vectors, float)
    check_shape("embedding_map", "vectors", rows, "(N, E)", (len(words), None))
    kinds = list(groups) if groups is not None else [""] * len(words)
    check_shape("embedding_map", "groups", kinds, "(N,)", (len(words),))
    points, shares = principal_plane(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
    inks = {kind: INKS[number % len(INKS)] for number, kind in enumerate(dict.fromkeys(kinds))}
    drawn = figure(figsize=(7, 5.5), dpi=150)
    axes = drawn.subplots()
    for kind, ink in inks.items():
        chosen = np.array([one == kind for one in kinds])
        axes.scatter(*points[chosen].T, s=9, color=ink, linewidths=0, label=legend_name(kind) if kind else None)
    for (x, y), word, kind in zip(points, words, kinds, strict=True):
        style = {"xytext": (3, 3), "textcoords": "offset points", "fontsize": 8, "color": inks[kind]}
        axes.annotate(heading(word), (x, y), **style, **plain())
    axes.margins(0.12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("0.6")
    axes.tick_params(color="0.6", labelcolor="0.25", labelsize=8)
    for name, share, label in zip(("first", "second"), shares, (axes.set_xlabel, axes.set_ylabel), strict=True):
        label(f"{name} component, {100 * share:.0f} % of the variance", fontsize=9, color="0.25")
    if title:
        axes.set_title(heading(title), loc="left", fontsize=11, **heading_style())
    return drawn

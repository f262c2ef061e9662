"""Where a captioner looked: a picture, and over it, for every word, the attention of that word.

Y × X pixels, C channels, T words, P patches.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from seqjax.checks import InputError, check_shape
from seqjax.plots import figure
from seqjax.plots.labels import heading, heading_style

GAP, WORD = 0.1, 0.27  # inches between panels, and above each of them


def looks(
    picture: ArrayLike,
    words: Sequence[str],
    weights: ArrayLike,
    *,
    patch: int,
    columns: int = 0,
    title: str = "",
):
    """Draw a picture, and then one panel a word: the picture, lit where the word looked.

    Args:
        picture: (Y, X, C) or (Y, X), 0 to 1; C is 1 or 3.
        words: T of them, what stands above the panels.
        weights: (T, P), probabilities of the patches, from left to right and then down.
        patch: pixels of a patch's side.
        columns: panels in a row, the picture's own included; 0: what makes a handy sheet.
        title: of the whole.

    Returns:
        A matplotlib ``Figure``: one axes a panel, the picture first.

    Raises:
        InputError: shapes that do not fit; the extra ``viz`` is not installed.

    Source:
        Xu et al. (2015), Show, Attend and Tell, figures 2 to 4.

    Example:
        >>> weights = np.eye(2, 8)                                # the first word looks at the first patch, …
        >>> drawn = looks(np.ones((4, 8)), ["um", "dois"], weights, patch=2)
        >>> [axes.get_title("left") for axes in drawn.axes]
        ['picture', 'um', 'dois']
    """
    pixels = np.asarray(picture, float)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    check_shape("looks", "picture", pixels, "(Y, X, C)", (None, None, None))
    high, wide = pixels.shape[:2]
    if pixels.shape[2] not in (1, 3) or patch < 1 or high % patch or wide % patch:
        raise InputError(
            f"looks: `picture` should be grey or have three colours, and be of whole patches of {patch} × {patch} "
            f"pixels, but it is {pixels.shape}."
        )
    grid = high // patch, wide // patch
    table = np.asarray(weights, float)
    check_shape("looks", "weights", table, "(T, P)", (len(words), grid[0] * grid[1]))
    panels = len(words) + 1
    across = min(panels, columns or max(1, min(panels, round(math.sqrt(1.6 * panels * high / wide)) or 1)))
    down = -(-panels // across)
    wide_in = float(np.clip(11 / across, 1.2, 3.2)) - GAP
    high_in, above = wide_in * high / wide, WORD + (0.3 if title else 0.0)
    size = across * (wide_in + GAP) + GAP, above + down * (high_in + WORD) - WORD + GAP
    drawn = figure(figsize=size, dpi=150, layout="none")
    if title:
        drawn.suptitle(
            heading(title), x=0.01, y=1 - 0.06 / size[1], ha="left", va="top", fontsize=10, **heading_style()
        )
    places = {"left": GAP / size[0], "right": 1 - GAP / size[0], "top": 1 - above / size[1], "bottom": GAP / size[1]}
    places |= {"wspace": GAP / wide_in, "hspace": WORD / high_in}
    for number, axes in enumerate(drawn.subplots(down, across, squeeze=False, gridspec_kw=places).flat):
        axes.set_axis_off()
        if number < panels:
            _panel(axes, pixels, None if number == 0 else table[number - 1].reshape(grid))
            name = "picture" if number == 0 else words[number - 1]
            axes.set_title(heading(name), loc="left", fontsize=9, pad=3, **heading_style())
    for axes in drawn.axes[panels:]:
        axes.remove()
    return drawn


def _panel(axes, pixels: np.ndarray, weights: np.ndarray | None) -> None:
    """The picture; with weights (R, K), dim where nothing was looked at."""
    high, wide = pixels.shape[:2]
    whole = {"extent": (0, wide, high, 0), "interpolation": "nearest"}
    shown = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    axes.imshow(np.clip(shown, 0, 1), **whole)
    if weights is None:
        return
    light = weights / max(float(weights.max()), 1e-9)
    ink = np.zeros((*light.shape, 4))
    ink[..., :3] = (1.0, 0.72, 0.2)
    ink[..., 3] = 0.75 * light
    axes.imshow(np.zeros((1, 1, 4)) + np.array([0.05, 0.15, 0.27, 0.45]), **whole)
    axes.imshow(ink, **(whole | {"interpolation": "bicubic"}))

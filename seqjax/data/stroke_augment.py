"""Drawings that change from epoch to epoch: stretched, slanted, turned, bent, with points left out.

What happens to a drawing is a function of (seed, epoch, example): the same in any batch.
"""

from collections.abc import Callable

import numpy as np

from seqjax.data.batches import Batch
from seqjax.data.stroke_config import AugmentConfig

WAVES = (3.0, 9.0)  # lengths, spreads of an offset: about one to three heights of a letter
PURPOSE = 0x57  # told apart from other draws of the same seed


def augmentation(config: AugmentConfig, seed: int) -> Callable[[Batch, int], Batch]:
    """``(batch, epoch) -> batch``, for :func:`seqjax.data.example_batches`; ``strokes`` and ``mask`` change.

    Example:
        >>> batch = {"strokes": np.ones((1, 3, 3), np.float32), "mask": np.ones((1, 3), bool), "example": np.array([7])}
        >>> one, other = (augmentation(AugmentConfig(), 0)(batch, epoch)["strokes"] for epoch in (0, 1))
        >>> bool((one == augmentation(AugmentConfig(), 0)(batch, 0)["strokes"]).all()), bool((one == other).all())
        (True, False)
    """

    def change(batch: Batch, epoch: int) -> Batch:
        strokes, mask = np.zeros_like(batch["strokes"]), np.zeros_like(batch["mask"])
        for row, example in enumerate(batch["example"]):
            if example < 0:
                continue
            random = np.random.default_rng((PURPOSE, seed, epoch, int(example)))
            made = leave_out(batch["strokes"][row][batch["mask"][row]], config.drop, random)
            if "label" in batch and batch["label"][row] < 0:
                made[:, :2] *= np.where(random.random(2) < config.mirror, -1, 1)
            made[:, :2] = bend(made[:, :2] @ transformation(config, random), config.bend, random)
            strokes[row, : len(made)], mask[row, : len(made)] = made, True
        return batch | {"strokes": strokes, "mask": mask}

    return change


def transformation(config: AugmentConfig, random: np.random.Generator) -> np.ndarray:
    """A matrix (2, 2) that offsets are multiplied by: stretched, then slanted, then turned."""
    wide, tall = 1 + random.uniform(-config.scale, config.scale, 2)
    slant, turn = random.uniform(-config.shear, config.shear), random.uniform(-config.turn, config.turn)
    stretched = np.diag([wide, tall]) @ np.array([[1.0, 0.0], [slant, 1.0]])
    return (stretched @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]).astype(np.float32)


def bend(offsets: np.ndarray, most: float, random: np.random.Generator) -> np.ndarray:
    """Offsets (T, 2) on paper that is bent in a wave along each axis, by up to ``most``; neighbours stay neighbours.

    Example:
        >>> offsets = np.array([[1, 0], [0, 1]], np.float32)
        >>> bend(offsets, 0.0, np.random.default_rng(0)).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    places = np.cumsum(np.insert(offsets, 0, 0, axis=0), axis=0)
    turns, lengths, starts = random.uniform(0, 2 * np.pi, 2), random.uniform(*WAVES, 2), random.uniform(0, 2 * np.pi, 2)
    waves = 2 * np.pi / lengths * np.stack([np.cos(turns), np.sin(turns)])
    moved = places + random.uniform(-most, most, 2) * np.sin(places @ waves + starts)
    return np.diff(moved, axis=0).astype(offsets.dtype)


def leave_out(strokes: np.ndarray, probability: float, random: np.random.Generator) -> np.ndarray:
    """Stroke-3 without some of the points inside strokes: the next point is reached from the one before.

    Example:
        >>> line = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 1], [5, 5, 0], [1, 0, 1]], np.float32)
        >>> leave_out(line, 0.999, np.random.default_rng(0)).tolist()
        [[2.0, 2.0, 1.0], [5.0, 5.0, 0.0], [1.0, 0.0, 1.0]]
    """
    after_lift = np.append(False, strokes[:-1, 2] > 0)
    inside = (strokes[:, 2] == 0) & ~after_lift
    inside[-1] = False
    left = inside & (random.random(len(strokes)) < probability)
    group = np.append(0, np.cumsum(~left)[:-1])  # a point that is left out goes with the next that is not
    made = np.zeros((int((~left).sum()), 3), np.float32)
    np.add.at(made[:, :2], group, strokes[:, :2])
    made[:, 2] = strokes[~left, 2]
    return made

"""A classifier of drawings that looks at their ink: it names what a model has drawn.

N drawings, P pixels, C classes.
Source: Rifkin, Yeo & Poggio (2003), Regularized Least-Squares Classification.
"""

from collections.abc import Sequence

import numpy as np

from seqjax.data.stroke_augment import transformation
from seqjax.data.stroke_config import AugmentConfig
from seqjax.data.stroke_pictures import paint

SIDE = 20  # pixels
COPIES = 8  # of each drawing, changed
MOST = 4_000  # pictures learned from
WIDER = AugmentConfig(scale=0.2, shear=0.25, turn=0.1)


class Namer:
    """Least squares with a Gaussian kernel, on pictures of drawings and of changed copies of them.

    Args:
        drawings: (T, 3) each, in units of the training spread.
        names: of their classes, of as many.
        seed: of the changes.

    Example:
        >>> down, right = np.array([[0, 3, 1]], np.float32), np.array([[3, 0, 1]], np.float32)
        >>> Namer([down, right], ["l", "-"]).name([np.array([[0.3, 2.5, 1]], np.float32)])
        ['l']
    """

    def __init__(self, drawings: Sequence[np.ndarray], names: Sequence[str], seed: int = 0):
        self.names = sorted(set(names))
        random = np.random.default_rng(seed)
        sizes = [np.ptp(np.cumsum(np.insert(one[:, :2], 0, 0, axis=0), axis=0), axis=0).max() for one in drawings]
        self.span = 1.4 * float(np.quantile(sizes, 0.98)) + 1e-6
        chosen = random.permutation(len(drawings))[:MOST]
        copies = max(1, min(COPIES, MOST // len(chosen)))
        pictures, numbers = [], []
        for copy in range(copies):
            for number in chosen:
                made = np.array(drawings[number])
                if copy:
                    made[:, :2] = made[:, :2] @ transformation(WIDER, random)
                pictures.append(paint(made, SIDE, self.span).ravel())
                numbers.append(self.names.index(names[number]))
        self.pictures = np.stack(pictures)
        some = self.pictures[:: max(1, len(pictures) // 500)]
        self.width = max(float(np.median(apart(some, some))), 1e-6)
        targets = np.eye(len(self.names))[numbers]
        kernel = self._kernel(self.pictures) + 1e-2 * np.eye(len(pictures))
        self.scores = np.linalg.solve(kernel, targets.astype(kernel.dtype))

    def name(self, drawings: Sequence[np.ndarray]) -> list[str]:
        """The likeliest class of each drawing (T, 3)."""
        if not drawings:
            return []
        pictures = np.stack([paint(one, SIDE, self.span).ravel() for one in drawings])
        return [self.names[number] for number in (self._kernel(pictures) @ self.scores).argmax(axis=1)]

    def _kernel(self, pictures: np.ndarray) -> np.ndarray:
        return np.exp(-2 * apart(pictures, self.pictures) / self.width)


def apart(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Squared distances of pictures (N, P) and (M, P): (N, M)."""
    squares = (some**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)
    return np.maximum(squares - 2 * some @ others.T, 0)

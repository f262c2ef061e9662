"""What a drawing is worth without looking further back than one point: mixture and bigrams, fitted to training strokes.

Every offset comes from one Gaussian mixture, whatever came before; every state of the pen from the state before it.
N offsets, K components.
Source: Dempster, Laird & Rubin (1977), Maximum Likelihood from Incomplete Data via the EM Algorithm.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqjax.ops import mixture_density
from seqjax.ops.mixture_density import LEAST, PEN

ROUNDS = 100  # of EM, at most
ENOUGH = 1e-4  # nats an offset: a round that gains less is the last
MANY = 100_000  # offsets that the mixture is fitted to at most


class GaussianMixture(NamedTuple):
    """K normal distributions in the plane."""

    weights: np.ndarray  # (K,), summing to 1
    means: np.ndarray  # (K, 2)
    covariances: np.ndarray  # (K, 2, 2)

    def joint(self, offsets: np.ndarray) -> np.ndarray:
        """log π_k N(offset | k): (N, K), nats."""
        apart = offsets[:, None] - self.means
        squares = np.einsum("nki,kij,nkj->nk", apart, np.linalg.inv(self.covariances), apart)
        areas = np.log(2 * np.pi) + 0.5 * np.linalg.slogdet(self.covariances)[1]
        return np.log(self.weights) - areas - 0.5 * squares

    def log_density(self, offsets: np.ndarray) -> np.ndarray:
        """log p(offset): (N,), nats."""
        return np.logaddexp.reduce(self.joint(offsets), axis=1)


def fit_mixture(offsets: np.ndarray, components: int, seed: int = 0) -> GaussianMixture:
    """Fit K components by EM, from means far apart, within the bounds of the models' own deviations and correlations.

    Example:
        >>> random = np.random.default_rng(0)
        >>> offsets = random.normal(size=(400, 2)) * 0.1 + random.choice([-3.0, 3.0], size=(400, 1))
        >>> found = fit_mixture(offsets, 2)
        >>> np.sort(found.means[:, 0]).round(1).tolist(), found.weights.round(1).tolist()
        ([-3.0, 3.0], [0.5, 0.5])
    """
    random = np.random.default_rng(seed)
    offsets = np.asarray(offsets, np.float64)
    components = min(components, len(np.unique(offsets, axis=0)))
    means = offsets[[random.integers(len(offsets))]]
    while len(means) < components:  # the next one likely where no mean is near
        near = ((offsets[:, None] - means) ** 2).sum(axis=-1).min(axis=1)
        means = np.append(means, offsets[[random.choice(len(offsets), p=near / near.sum())]], axis=0)
    start = np.eye(2) * max(offsets.var() / components, LEAST**2)
    found = GaussianMixture(np.full(components, 1 / components), means, np.tile(start, (components, 1, 1)))
    before = -np.inf
    for _ in range(ROUNDS):
        joint = found.joint(offsets)
        totals = np.logaddexp.reduce(joint, axis=1)
        if totals.mean() - before < ENOUGH:
            break
        before = totals.mean()
        found = _maximise(offsets, np.exp(joint - totals[:, None]))
    return found


def _maximise(offsets: np.ndarray, shares: np.ndarray) -> GaussianMixture:
    """The mixture of the components' shares (N, K) of each offset."""
    sizes = shares.sum(axis=0) + 1e-9
    means = shares.T @ offsets / sizes[:, None]
    squares = np.einsum("nk,ni,nj->kij", shares, offsets, offsets) / sizes[:, None, None]
    found = squares - means[:, :, None] * means[:, None]
    deviations = np.sqrt(np.maximum(np.diagonal(found, axis1=1, axis2=2), LEAST**2))  # (K, 2)
    most = mixture_density.MOST * deviations.prod(axis=1)
    across = np.clip(found[:, 0, 1], -most, most)
    covariances = np.stack([deviations[:, 0] ** 2, across, across, deviations[:, 1] ** 2], axis=-1).reshape(-1, 2, 2)
    return GaussianMixture(sizes / sizes.sum(), means, covariances)


def pen_states(strokes: np.ndarray) -> np.ndarray:
    """Stroke-3 (T, 3) to the states of the pen after each point: 0 on the paper, 1 lifted, 2 at the end."""
    states = strokes[:, 2].astype(int)
    states[-1:] = PEN - 1
    return states


class Baseline(NamedTuple):
    """Offsets each by itself, pen states each from the one before."""

    mixture: GaussianMixture
    pen: np.ndarray  # (3, 3), log p(state | the state before); a drawing begins after state 0

    def nats(self, drawings: Sequence[np.ndarray]) -> float:
        """−log p, nats per point, over drawings (T, 3) in units of the training spread."""
        offsets = np.concatenate([one[:, :2] for one in drawings])
        gained = sum(self.pen[before, after].sum() for before, after in map(_pairs, drawings))
        parts = (offsets[first : first + MANY] for first in range(0, len(offsets), MANY))
        return float(-(sum(self.mixture.log_density(part).sum() for part in parts) + gained) / len(offsets))


def _pairs(strokes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    states = pen_states(strokes)
    return np.append(0, states[:-1]), states


def fit_baseline(drawings: Sequence[np.ndarray], components: int, seed: int = 0) -> Baseline:
    """Fit to drawings (T, 3) in units of their spread; every pair of pen states is counted once more than it came.

    Example:
        >>> lines = [np.array([[1, 0, 0], [1, 0, 1], [0, 1, 1]], np.float32)] * 50
        >>> np.exp(fit_baseline(lines, 2).pen[1]).round(2).tolist()          # after a lifted pen: the end
        [0.02, 0.02, 0.96]
    """
    counts = np.ones((PEN, PEN))
    for before, after in map(_pairs, drawings):
        np.add.at(counts, (before, after), 1)
    offsets = np.concatenate([one[:, :2] for one in drawings])
    mixture = fit_mixture(offsets[:: -(-len(offsets) // MANY)], components, seed)
    return Baseline(mixture, np.log(counts / counts.sum(axis=1, keepdims=True)))

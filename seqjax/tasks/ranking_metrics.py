"""How well probabilities rank examples: areas under curves, and how far chance may have moved them.

N examples, K classes.
"""

from collections.abc import Callable

import numpy as np

from seqjax.checks import check_shape

DRAWS = 1000  # samples of the bootstrap
LEVEL = 0.95  # of its intervals


def area_under_roc(positive: np.ndarray, scores: np.ndarray) -> float:
    """The probability that a positive example scores higher than a negative one; a tie counts half.

    Args:
        positive: (N,) booleans, both kinds among them.
        scores: (N,).

    Source:
        Hanley & McNeil (1982), The Meaning and Use of the Area under a Receiver Operating Characteristic Curve.

    Example:
        >>> area_under_roc(np.array([False, True, False, True]), np.array([0.1, 0.4, 0.4, 0.8]))
        0.875
    """
    check_shape("area_under_roc", "scores", scores, "(N,)", positive.shape)
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    most = positive.sum()
    return float((ranks[positive].sum() - most * (most + 1) / 2) / (most * (len(positive) - most)))


def average_precision(positive: np.ndarray, scores: np.ndarray) -> float:
    """The area under the curve of precision against recall, as a sum of steps: Σ (Rₙ − Rₙ₋₁) Pₙ.

    Args:
        positive: (N,) booleans, one True at least.
        scores: (N,).

    Source:
        Davis & Goadrich (2006), The Relationship between Precision-Recall and ROC Curves, for why steps.

    Example:
        >>> average_precision(np.array([False, True, False, True]), np.array([0.1, 0.3, 0.4, 0.8]))
        0.8333333333333333
    """
    check_shape("average_precision", "scores", scores, "(N,)", positive.shape)
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.diff(scores[order], append=np.nan) != 0)  # of equal scores
    right = np.cumsum(positive[order])[last]
    precision, recall = right / (last + 1), right / positive.sum()
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def of_classes(area: Callable[..., float], wanted: np.ndarray, probabilities: np.ndarray) -> float:
    """An area of the second of two classes; of more, the mean of each against all others; NaN if a class is missing.

    Args:
        area: of one class: ``(positive, scores) -> area``.
        wanted: (N,) ids of classes.
        probabilities: (N, K).

    Source:
        Provost & Domingos (2000), Well-trained PETs, for each class against the others.

    Example:
        >>> of_classes(area_under_roc, np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]))
        1.0
    """
    classes = probabilities.shape[1]
    if len(np.unique(wanted)) < classes:
        return float("nan")
    which = [1] if classes == 2 else range(classes)
    return float(np.mean([area(wanted == one, probabilities[:, one]) for one in which]))


def with_interval(
    name: str, area: Callable[..., float], wanted: np.ndarray, probabilities: np.ndarray, *, draws: int = DRAWS
) -> dict[str, float]:
    """An area, and beneath ``NAME_low`` and ``NAME_high`` where 95 of 100 samples of the examples put it.

    Samples of the bootstrap that miss a class do not count.

    Args:
        name: of the metric.
        area: see :func:`of_classes`.
        wanted: (N,) ids of classes.
        probabilities: (N, K).
        draws: samples of N examples, drawn with replacement.

    Source:
        Efron & Tibshirani (1993), An Introduction to the Bootstrap, section 13.3, the percentile interval.

    Example:
        >>> sure = np.array([[0.9, 0.1], [0.2, 0.8]] * 20)
        >>> with_interval("auroc", area_under_roc, np.arange(40) % 2, sure)
        {'auroc': 1.0, 'auroc_low': 1.0, 'auroc_high': 1.0}
    """
    random, found = np.random.default_rng(0), []
    for _ in range(draws):
        taken = random.integers(len(wanted), size=len(wanted))
        found.append(of_classes(area, wanted[taken], probabilities[taken]))
    kept = [value for value in found if not np.isnan(value)] or [float("nan")]
    low, high = np.quantile(kept, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {name: of_classes(area, wanted, probabilities), f"{name}_low": float(low), f"{name}_high": float(high)}

"""How good guesses of classes are, on the host: accuracy, F1, what was taken for what; and a simple rival.

N examples, K classes.
"""

import importlib.util
from collections.abc import Sequence

import numpy as np

from seqjax.checks import check_shape

MOST = 20_000  # texts that the baseline is trained on, at most


def confusion_matrix(wanted: np.ndarray, made: np.ndarray, classes: int) -> np.ndarray:
    """(K, K): row i, column j counts the examples of class i that were taken for class j.

    Args:
        wanted: (N,) ids of classes.
        made: (N,) ids of classes.
        classes: K.

    Example:
        >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    check_shape("confusion_matrix", "made", made, "(N,)", wanted.shape)
    return np.bincount(wanted * classes + made, minlength=classes**2).reshape(classes, classes)


def accuracy_of(counts: np.ndarray) -> float:
    """The share of examples that were taken for what they are.

    Example:
        >>> accuracy_of(np.array([[3, 1], [0, 0]]))
        0.75
    """
    return float(np.trace(counts) / max(1, counts.sum()))


def macro_f1(counts: np.ndarray) -> float:
    """The mean over classes of F1, the harmonic mean of precision and recall: rare classes count as much as others.

    A class that neither occurs nor is guessed is left out.

    Args:
        counts: (K, K), see :func:`confusion_matrix`.

    Source:
        Yang & Liu (1999), A Re-examination of Text Categorization Methods, section 2.

    Example:
        >>> macro_f1(np.array([[2, 0, 0], [1, 1, 0], [0, 0, 0]]))
        0.7333333333333334
    """
    right, either = np.diag(counts), counts.sum(axis=0) + counts.sum(axis=1)
    scores = 2 * right[either > 0] / either[either > 0]
    return float(scores.mean()) if scores.size else 0.0


def most_confused(counts: np.ndarray, classes: Sequence[str], most: int = 5) -> list[tuple[str, str, int]]:
    """The pairs of classes that were taken for one another most often: (one, other, how often in both directions).

    Example:
        >>> most_confused(np.array([[5, 2, 0], [1, 5, 0], [1, 0, 9]]), ["es", "pt", "fi"])
        [('es', 'pt', 3), ('es', 'fi', 1)]
    """
    both = np.triu(counts + counts.T, k=1)
    order = np.argsort(-both, axis=None, kind="stable")[:most]
    pairs = [divmod(int(place), len(classes)) for place in order]
    return [(classes[i], classes[j], int(both[i, j])) for i, j in pairs if both[i, j]]


def has_sklearn() -> bool:
    """Whether scikit-learn is installed."""
    return importlib.util.find_spec("sklearn") is not None


def ngram_baseline(
    texts: Sequence[str], labels: Sequence[str], test_texts: Sequence[str], test_labels: Sequence[str]
) -> float:
    """The accuracy of a logistic regression over the TF-IDF of character n-grams, 1 to 3, with scikit-learn's defaults.

    Args:
        texts: to train on; beyond 20,000, that many of them, evenly spaced.
        labels: of each.
        test_texts: to measure on.
        test_labels: of each.

    Returns:
        Accuracy in [0, 1].

    Source:
        Cavnar & Trenkle (1994), N-Gram-Based Text Categorization, for the features.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    kept = np.linspace(0, len(texts) - 1, min(len(texts), MOST)).astype(int)
    rival = make_pipeline(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3), lowercase=False), LogisticRegression(max_iter=200)
    )
    rival.fit([texts[i] for i in kept], [labels[i] for i in kept])
    return float(rival.score(list(test_texts), list(test_labels)))

"""What series of numbers have in common in ``classify``: a front, a rival, configurations by their model."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from seqjax.checks import InputError
from seqjax.models.series import (
    AttentionSeriesConfig,
    ConvolutionSeriesConfig,
    RecurrentSeriesConfig,
    TimeAwareSeriesConfig,
    make_series_encoder,
)
from seqjax.tasks.classify_config import ClassConfig
from seqjax.tasks.classify_front import Front
from seqjax.tasks.classify_source import contents_of, labels_in

LONGEST = 1024  # steps, where positions are learned


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentSeriesClassifyConfig(ClassConfig):
    """Train recurrent layers that give a series a class."""

    model: RecurrentSeriesConfig = RecurrentSeriesConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvolutionSeriesClassifyConfig(ClassConfig):
    """Train a temporal convolutional network that gives a series a class."""

    model: ConvolutionSeriesConfig = ConvolutionSeriesConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionSeriesClassifyConfig(ClassConfig):
    """Train the encoder of a Transformer that gives a series a class."""

    model: AttentionSeriesConfig = AttentionSeriesConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimeAwareSeriesClassifyConfig(ClassConfig):
    """Train Time-aware LSTMs that give a series of visits a class."""

    model: TimeAwareSeriesConfig = TimeAwareSeriesConfig()


def series_front(
    config, read: Callable[[Any], dict[str, np.ndarray]], in_features: int, summary: list[tuple[str, str]]
) -> Front:
    """A front of series.

    Args:
        config: of the run.
        read: ``content -> {name: array (T, ...)}``, ``xs`` (T, D) among them.
        in_features: D.
        summary: what to show before training.
    """

    def arrays(contents, where: str = "data: series"):
        rows = [read(content) for content in contents]
        return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}

    def make(rngs):
        return make_series_encoder(config.model, in_features, longest=LONGEST, rngs=rngs)

    def pieces(content) -> list[str]:
        return [str(step) for step in range(1, len(read(content)["xs"]) + 1)]

    return Front(arrays, make, pieces, summary)


def orderless(front: Front, examples: Sequence[Any]) -> np.ndarray:
    """(N, 3D): of each example the first, the mean and the last of its steps."""
    found = front.arrays(contents_of(examples))["xs"]
    return np.stack([np.concatenate([xs[0], xs.mean(axis=0), xs[-1]]) for xs in found])


def orderless_probabilities(front: Front, train: Sequence[Any], test: Sequence[Any]) -> np.ndarray:
    """(N, K): what a logistic regression over :func:`orderless` says of the test split, classes in their order."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rival = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return rival.fit(orderless(front, train), labels_in(train)).predict_proba(orderless(front, test))


def orderless_rival(front: Front, train: Sequence[Any], test: Sequence[Any]) -> dict[str, float]:
    """The accuracy of a logistic regression over the first, the mean and the last of the steps, as ``baseline``."""
    names = np.array(sorted(set(labels_in(train))))
    made = names[orderless_probabilities(front, train, test).argmax(axis=1)]
    return {"baseline": float((made == np.array(labels_in(test))).mean())}


def numbers_of(lines: list[str], shape: tuple[int, ...], what: str) -> list[tuple[list[str], np.ndarray]]:
    """Lines of numbers, parted by blanks, commas or tabs, as arrays; the first size may be left open with −1.

    Args:
        lines: as ``predict`` is given them.
        shape: of each array.
        what: how a refusal calls what should stand there.

    Example:
        >>> numbers_of(["1, 2 3 4"], (-1, 2), "pairs")[0][1].tolist()
        [[1.0, 2.0], [3.0, 4.0]]
    """
    found: list[tuple[list[str], np.ndarray]] = []
    for number, line in enumerate(lines, 1):
        try:
            values = np.array([float(word) for word in line.replace(",", " ").split()], np.float32)
            if not len(values) or not np.isfinite(values).all():
                raise ValueError("numbers should stand there, and finite ones")
            found.append(([], values.reshape(shape)))
        except ValueError as error:
            raise InputError(f"line {number} should hold {what}: {error}. It begins with {line[:40]!r}.") from None
    return found

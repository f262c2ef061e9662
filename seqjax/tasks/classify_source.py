"""What examples with a class are read from: texts, visits, pictures. The seam between ``classify`` and its data.

An example is a pair: its label, and its content, whatever a front turns into arrays. A kind of data joins with one row
of ``SOURCES``, by the type of ``config.data``; all else of ``classify`` is the same for every kind.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from seqjax.checks import InputError
from seqjax.data.labelled import check_labels, read_labelled, read_labelled_files
from seqjax.data.labelled_config import LabelledConfig
from seqjax.tasks.class_metrics import ngram_baseline
from seqjax.tasks.classify_front import FRONTS, Front, symbol_front
from seqjax.training.folder import RunFolder

LONGEST = 60  # characters of a text that is shown


def _nothing(wanted: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    return {}


class Source(NamedTuple):
    """One kind of data.

    Attributes:
        unit: what examples are called.
        step: what steps of an example are called.
        skipped: what is said of examples that were skipped.
        read: ``data -> splits``, which have ``train``, ``valid`` and ``test``, lists of examples, and ``skipped``, how
            many were left out of each.
        read_files: ``(paths, data, names of classes) -> (examples, how many were skipped)`` of other files.
        read_lines: ``(lines, data) -> [(columns, content)]``: what ``predict`` is given, and what the line that it
            prints of each begins with.
        front: ``(config, folder, contents of training or None) -> Front``, where the preset has none of its own.
        told: ``content -> text`` to be shown.
        rival: ``(front, examples of training, examples of testing) -> metrics`` of a simple rival, ``baseline`` first.
        scores: ``(wanted (N,), probabilities (N, K)) -> metrics`` of the test split besides accuracy and F1.
    """

    unit: str
    step: str
    skipped: str
    read: Callable[[Any], Any]
    read_files: Callable[[Sequence[str], Any, Sequence[str]], tuple[Sequence[Any], int]]
    read_lines: Callable[[list[str], Any], list[tuple[list[str], Any]]]
    front: Callable[[Any, RunFolder, Sequence[Any] | None], Front]
    told: Callable[[Any], str]
    rival: Callable[[Front, Sequence[Any], Sequence[Any]], dict[str, float]]
    scores: Callable[[np.ndarray, np.ndarray], dict[str, float]] = _nothing


def labels_in(examples: Sequence[Any]) -> list[str]:
    """The label of each example."""
    return [label for label, _ in examples]


def contents_of(examples: Sequence[Any]) -> list[Any]:
    """The content of each example."""
    return [content for _, content in examples]


def _text_files(paths: Sequence[str], data: LabelledConfig, names: Sequence[str]) -> tuple[Sequence[Any], int]:
    examples, places, skipped = read_labelled_files(paths, data)
    check_labels(examples, places, set(names))
    return examples, skipped


def _text_lines(lines: list[str], data: LabelledConfig) -> list[tuple[list[str], str]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise InputError(f"line {number} is empty: there is nothing to label. Take it out.")
    return [([], line) for line in lines]


def _text_rival(front: Front, train: Sequence[Any], test: Sequence[Any]) -> dict[str, float]:
    sides = [side(examples) for examples in (train, test) for side in (contents_of, labels_in)]
    return {"baseline": ngram_baseline(*sides)}


TEXTS = Source(
    unit="texts",
    step="symbols",
    skipped="lines without a label or a text",
    read=read_labelled,
    read_files=_text_files,
    read_lines=_text_lines,
    front=symbol_front,
    told=lambda text: text if len(text) <= LONGEST else text[: LONGEST - 1] + "…",
    rival=_text_rival,
)
SOURCES: dict[type, Source] = {LabelledConfig: TEXTS}


def source_of(data: Any) -> Source:
    """The source that a configuration of data asks for."""
    return SOURCES[type(data)]


def front_of(config, folder: RunFolder, contents: Sequence[Any] | None) -> Front:
    """The front that a configuration asks for: the preset's own if there is one, else that of its data."""
    return FRONTS.get(type(config), source_of(config.data).front)(config, folder, contents)

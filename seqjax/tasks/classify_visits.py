"""``classify time-aware-lstm`` and its rivals: how the visits of somebody end. Adds presets and a source."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from seqjax.data.series_config import LabelledSeries, VisitsConfig
from seqjax.data.tables import table_rows
from seqjax.data.visit_columns import Columns, columns_to_arrays, learn_columns
from seqjax.data.visits import History, check_known, collect, read_histories, read_visits
from seqjax.models.classifier import PoolingConfig
from seqjax.models.reading import RecurrentReaderConfig
from seqjax.models.series import RecurrentSeriesConfig, TimeAwareReaderConfig, TimeAwareSeriesConfig
from seqjax.tasks.classify_config import PRESETS
from seqjax.tasks.classify_front import Front
from seqjax.tasks.classify_series import (
    RecurrentSeriesClassifyConfig,
    TimeAwareSeriesClassifyConfig,
    orderless_probabilities,
    series_front,
)
from seqjax.tasks.classify_source import SOURCES, Source, labels_in
from seqjax.tasks.ranking_metrics import area_under_roc, average_precision, of_classes, with_interval
from seqjax.training.devices import writer_first
from seqjax.training.folder import RunFolder
from seqjax.training.optimizers import OptimizerConfig

MOST = 24  # names of numbers that are shown


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentVisitsConfig(RecurrentSeriesClassifyConfig):
    """Train recurrent layers that tell from somebody's visits how they end."""

    data: VisitsConfig = VisitsConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimeAwareVisitsConfig(TimeAwareSeriesClassifyConfig):
    """Train Time-aware LSTMs that tell from somebody's visits how they end."""

    data: VisitsConfig = VisitsConfig()


def visits_front(config, folder: RunFolder, contents: Sequence[History] | None) -> Front:
    """Visits as scaled numbers, masks and categories, and the time since the visit before.

    Args:
        config: of the run.
        folder: of the run; what training tells of the columns is kept there.
        contents: histories of the training split; None: it is there.
    """

    def prepare(first: bool) -> Columns:
        if first and contents is not None and not folder.scaling.exists():
            learn_columns(config.data, contents).save(folder.scaling)
        return Columns.load(folder.scaling)

    columns = writer_first(prepare)
    names = [*columns.features, *(["elapsed time"] if config.data.elapsed else [])]
    unit = f"divided by {columns.unit:.4g}" + ("" if config.data.unit else ", the median in training")
    shown = ", ".join(names[:MOST]) + (", …" if len(names) > MOST else "")
    summary = [("numbers", f"{len(names)} a visit: {shown}"), ("elapsed", unit)]
    front = series_front(config, lambda history: columns_to_arrays(columns, config.data, history), len(names), summary)
    return front._replace(pieces=lambda history: [f"{time:g}" for time in history.times])


def _files(paths: Sequence[str], data: VisitsConfig, names: Sequence[str]) -> tuple[Sequence[LabelledSeries], int]:
    found, skipped = read_histories(paths, data)
    check_known(found, names)
    return found, skipped


def _lines(lines: list[str], data: VisitsConfig) -> list[tuple[list[str], History]]:
    if not lines:
        return []
    rows = table_rows("\n".join(lines), "standard input", data.separator)
    found, _ = collect(data, [("standard input", next(rows), rows)], labelled=False)  # it needs no column of classes
    return [([history.id], history) for _, history in found]


def told(history: History) -> str:
    """Whose visits, how many, over how long, and the last of them.

    Example:
        >>> told(History("ann", np.array([0.0, 30.0]), {"bili": ["1.0", "3.0"], "chol": ["", "7"]}, ["", ""]))
        'ann: 2 visits from 0 to 30; the last: bili 3.0, chol 7'
    """
    last = ", ".join(f"{name} {cells[-1] or '–'}" for name, cells in history.cells.items())
    first, *_, end = history.times
    return f"{history.id}: {len(history.times)} visits from {first:g} to {end:g}; the last: {last}"


def scores(wanted: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """``auroc`` and ``auprc``, each with where 95 of 100 bootstrap samples of the ids put it.

    Of two classes, of the second in alphabetical order; of more, the mean over each against the others. Nothing, where
    a class is missing.
    """
    if len(np.unique(wanted)) < probabilities.shape[1]:
        return {}
    roc = with_interval("auroc", area_under_roc, wanted, probabilities)
    return roc | with_interval("auprc", average_precision, wanted, probabilities)


def rival(front: Front, train: Sequence[Any], test: Sequence[Any]) -> dict[str, float]:
    """What a logistic regression over the first, the mean and the last visit reaches: accuracy and ``auroc``."""
    names = sorted(set(labels_in(train)))
    wanted = np.array([names.index(label) for label in labels_in(test)])
    made = orderless_probabilities(front, train, test)
    found = {"baseline": float((made.argmax(axis=1) == wanted).mean())}
    area = of_classes(area_under_roc, wanted, made)
    return found if np.isnan(area) else found | {"baseline_auroc": area}


SOURCES[VisitsConfig] = Source(
    unit="ids",
    step="visits",
    skipped="ids that came once",
    read=read_visits,
    read_files=_files,
    read_lines=_lines,
    front=visits_front,
    told=told,
    rival=rival,
    scores=scores,
)
SHARED: dict[str, Any] = {
    "steps": 600, "batch_size": 64, "evaluate_every": 60, "class_weights": "balanced",
    "optimizer": OptimizerConfig(name="adamw", learning_rate=4e-3, warmup=40, options={"weight_decay": 0.01}),
}  # fmt: skip
OUTPUT = PoolingConfig(pooling="last", dropout=0.2)
LSTM = RecurrentSeriesConfig(reader=RecurrentReaderConfig(features=64, bidirectional=False), output=OUTPUT)
PRESETS["time-aware-lstm"] = TimeAwareVisitsConfig(
    **SHARED, model=TimeAwareSeriesConfig(reader=TimeAwareReaderConfig(features=64), output=OUTPUT)
)
PRESETS["visits-lstm"] = RecurrentVisitsConfig(**SHARED, model=LSTM)
PRESETS["visits-lstm-elapsed"] = RecurrentVisitsConfig(**SHARED, model=LSTM, data=VisitsConfig(elapsed=True))

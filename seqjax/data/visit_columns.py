"""What the training split says of the columns of a table of visits, and histories as arrays by it.

T visits of one id, D numbers of a visit.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seqjax.checks import InputError, nearest
from seqjax.data.series_config import VisitsConfig
from seqjax.data.visits import History, is_number, number_in

FARTHEST = 5.0  # standard deviations from the mean, where numbers are cut


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    """One column: its numbers are brought to mean 0 and standard deviation 1, its categories are told apart."""

    name: str
    mean: float = 0.0
    scale: float = 1.0
    gaps: bool = False  # whether some cells are missing, so that a mask stands beside the numbers
    categories: tuple[str, ...] = ()  # empty: numbers


@dataclasses.dataclass(frozen=True, kw_only=True)
class Columns:
    """All columns that are read, and the unit of elapsed time; see :func:`learn_columns`."""

    columns: tuple[Column, ...]
    unit: float  # of elapsed time, as a number of the table's units
    elapsed_mean: float = 0.0  # of log(1 + Δt), Δt in that unit
    elapsed_scale: float = 1.0

    @property
    def features(self) -> list[str]:
        """What each of the D numbers of a visit is, the elapsed time left out."""
        names = []
        for column in self.columns:
            names += [f"{column.name}={category}" for category in column.categories] or [column.name]
            names += [f"{column.name} measured"] if column.gaps else []
        return names

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), ensure_ascii=False, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Columns":
        """Read back what :meth:`save` wrote.

        Raises:
            InputError: the file cannot be read, or is something else.
        """
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            columns = [
                Column(**column | {"categories": tuple(column["categories"])}) for column in saved.pop("columns")
            ]
            return cls(columns=tuple(columns), **saved)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path}: cannot be read ({error}). Is this the folder of a run over visits?") from None


def learn_columns(config: VisitsConfig, histories: Sequence[History]) -> Columns:
    """Means, standard deviations and categories of each column; of the training split, and of nothing else.

    A column of which some cell is a number holds numbers; else, or where ``config.categories`` names it, categories.

    Raises:
        InputError: a cell that is no number among numbers; a column that is the same everywhere.

    Example:
        >>> times, places = np.array([0.0, 2.0]), ["line 2", "line 3"]
        >>> history = History("ann", times, {"bili": ["1.0", "3.0"], "sex": ["f", "f"], "chol": ["", "7"]}, places)
        >>> other = history._replace(cells=history.cells | {"sex": ["m", "m"]})
        >>> columns = learn_columns(VisitsConfig(), [history, other])
        >>> columns.features, columns.columns[0].mean, columns.unit
        (['bili', 'sex=f', 'sex=m', 'chol', 'chol measured'], 2.0, 2.0)
        >>> columns_to_arrays(columns, VisitsConfig(), history)["xs"].tolist()
        [[-1.0, 1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0, 1.0]]
    """
    names = list(histories[0].cells)
    if not names:
        raise InputError("data: the table has no columns but id, time and label, so there is nothing to read.")
    found = tuple(_learn(name, config, histories) for name in names)
    gaps = np.concatenate([np.diff(history.times) for history in histories])
    unit = config.unit or float(np.median(gaps))
    elapsed = np.concatenate([np.log1p(_elapsed(history, unit)) for history in histories])
    return Columns(
        columns=found, unit=unit, elapsed_mean=float(elapsed.mean()), elapsed_scale=float(elapsed.std()) or 1
    )


def _learn(name: str, config: VisitsConfig, histories: Sequence[History]) -> Column:
    cells = [(cell, place) for one in histories for cell, place in zip(_cells(one, name), one.places, strict=True)]
    measured = [(cell, place) for cell, place in cells if cell not in config.missing]
    gaps = len(measured) < len(cells)
    if len({cell for cell, _ in measured}) < 2 and not (gaps and measured):
        told = f"it is always {measured[0][0]!r}" if measured else "it has no value"
        raise InputError(f"data: the column {name!r} tells nothing: {told}. Leave it out: --data.leave-out {name}.")
    if name in config.categories or not any(map(is_number, (cell for cell, _ in measured))):
        return Column(name=name, categories=tuple(sorted({cell for cell, _ in measured})))
    values = np.array([number_in(cell, name, place) for cell, place in measured])
    return Column(name=name, mean=float(values.mean()), scale=float(values.std()) or 1.0, gaps=gaps)


def columns_to_arrays(columns: Columns, config: VisitsConfig, history: History) -> dict[str, np.ndarray]:
    """``xs`` (T, D), and ``elapsed`` (T, 1), the time since the visit before, 0 at the first; both float32.

    Where nothing was measured the number is 0, the mean, and its mask is 0; so are all categories of one never seen.

    Raises:
        InputError: a column that is missing, a cell that is no number.
    """
    parts = []
    for column in columns.columns:
        cells = _cells(history, column.name)
        if column.categories:
            parts += [np.array([cell == category for cell in cells]) for category in column.categories]
            continue
        real = np.array([cell not in config.missing for cell in cells])
        pairs = zip(cells, history.places, real, strict=True)
        values = np.array([number_in(cell, column.name, place) if there else 0.0 for cell, place, there in pairs])
        scaled = np.clip((values - column.mean) / column.scale, -FARTHEST, FARTHEST)
        parts += [np.where(real, scaled, 0.0), *([real] if column.gaps else [])]
    elapsed = _elapsed(history, columns.unit)
    if config.elapsed:
        parts.append((np.log1p(elapsed) - columns.elapsed_mean) / columns.elapsed_scale)
    return {"xs": np.stack(parts, axis=1).astype(np.float32), "elapsed": elapsed[:, None].astype(np.float32)}


def _elapsed(history: History, unit: float) -> np.ndarray:
    return np.diff(history.times, prepend=history.times[0]) / unit


def _cells(history: History, name: str) -> list[str]:
    if name not in history.cells:
        table, _, _ = history.places[0].rpartition(",")
        raise InputError(f"data: {table} has no column {name!r}. {nearest(name, history.cells)}")
    return history.cells[name]

"""Tables of visits to one history a person, split by person, and every way in which a table goes wrong.

T visits of one id.
"""

import itertools
import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError, nearest
from seqjax.data.labelled import split_labelled
from seqjax.data.labelled_config import Labelled
from seqjax.data.made_visits import make_visits
from seqjax.data.series_config import LabelledSeries, SeriesSplits, VisitsConfig
from seqjax.data.tables import table_rows
from seqjax.data.text import read_files
from seqjax.data.times import date_advice, moment_of, read_date


class History(NamedTuple):
    """The visits of one id, in the order of time.

    Attributes:
        id: whose they are.
        times: (T,) float64, in the unit of the table; of dates, days since the first visit.
        cells: the table's cells by column, T each, as they are written.
        places: where each visit stands, to be named in a refusal.
    """

    id: str
    times: np.ndarray
    cells: dict[str, list[str]]
    places: list[str]


def read_visits(config: VisitsConfig) -> SeriesSplits:
    """Read tables, or make visits up, and split them by id, so that each part has its share of every class.

    Raises:
        InputError: what :func:`read_histories` refuses; one class, or a class with one id; an empty split.

    Example:
        >>> from seqjax.data.series_config import MadeVisitsConfig
        >>> splits = read_visits(VisitsConfig(made=MadeVisitsConfig(people=40)))
        >>> len(splits.train), len(splits.valid), len(splits.test), sorted(splits.train[0].series.cells)
        (29, 5, 6, ['age', 'dose', 'pulse', 'sex'])
    """
    if config.path:
        found, skipped = read_histories(config.path, config)
    else:
        found, skipped = collect(config, [("made-up visits", *make_visits(config))])
    counts = Counter(label for label, _ in found)
    if len(counts) == 1:
        raise InputError(
            f"data: all {len(found)} ids have the {config.label} {found[0].label!r}: nothing to tell apart."
        )
    if rare := [label for label, count in counts.items() if count < 2]:
        raise InputError(
            f"data: the class {rare[0]!r} of {config.label} has one id, and it takes two to learn and to test. "
            "Merge it with another, or take that id out."
        )
    by_id = {series.id: LabelledSeries(label, series) for label, series in found}
    parts = split_labelled([Labelled(label, series.id) for label, series in found], config.split)
    for name, part in zip(("validation", "test"), parts[1:], strict=True):
        if not part:
            raise InputError(
                f"data: the {name} split is empty: there are {len(found)} ids. Give more, or --data.split."
            )
    train, valid, test = ([by_id[example.text] for example in part] for part in parts)
    return SeriesSplits(train, valid, test, {"the table": skipped})


def read_histories(
    paths: Sequence[str], config: VisitsConfig, *, labelled: bool = True
) -> tuple[list[LabelledSeries], int]:
    """The histories of tables with a line of column names each, and how many ids were skipped.

    Raises:
        InputError: what :func:`collect` and :func:`seqjax.data.text.read_files` refuse.
    """
    tables = ((str(path), text) for path, text in read_files(paths, config.encoding))
    parted = ((name, table_rows(text, name, config.separator)) for name, text in tables)
    return collect(config, ((name, next(rows, []), rows) for name, rows in parted), labelled=labelled)


def collect(
    config: VisitsConfig, tables: Iterable[tuple[str, Sequence[str], Iterable[Sequence[str]]]], *, labelled: bool = True
) -> tuple[list[LabelledSeries], int]:
    """Bring the rows of each id together, in the order in which ids come first.

    Args:
        config: which columns there are.
        tables: of each its name, its columns, and its rows.
        labelled: whether there is a column of classes; else the labels are "".

    Returns:
        The histories, and how many ids were skipped because they came once.

    Raises:
        InputError: with table and line: a column that is not there or there twice, too few cells, no id, a time that is
            no number, or no date where the first is one, times of one id that do not rise, a class or a static column
            that changes within an id, an id that came once; and no visits at all.
    """
    dates: bool | None = None
    rows: dict[str, list[tuple[float, str, dict[str, str]]]] = {}
    for name, header, lines in tables:
        columns = [column.strip() for column in header]
        check_columns(name, columns, config, labelled=labelled)
        for number, line in enumerate(lines, 2):
            if not line:
                continue
            place = f"{name}, line {number}"
            if len(line) != len(columns):
                raise InputError(f"data: {place} has {len(line)} cells, but there are {len(columns)} columns.")
            cells = dict(zip(columns, (cell.strip() for cell in line), strict=True))
            if cells[config.id] in config.missing:
                raise InputError(f"data: {place} has no {config.id}, so nobody knows whose visit it is.")
            if dates is None:
                dates = not is_number(cells[config.time]) and read_date(cells[config.time]) is not None
            time = _time_in(cells[config.time], dates, f"data: {place}, column {config.time!r}")
            rows.setdefault(cells[config.id], []).append((time, place, cells))
    found, skipped = [], 0
    for person, visits in rows.items():
        if len(visits) == 1 and config.skip_short:
            skipped += 1
            continue
        found.append(_history(person, visits, config, labelled, since_first=bool(dates)))
    if not found:
        raise InputError(f"data: there are no visits to read, only {skipped} ids that came once.")
    return found, skipped


def check_columns(name: str, columns: Sequence[str], config: VisitsConfig, *, labelled: bool = True) -> None:
    """Refuse a table whose columns are not those that the configuration speaks of."""
    if twice := [column for column, count in Counter(columns).items() if count > 1]:
        raise InputError(f"data: {name} has two columns {twice[0]!r}. Give one of them another name.")
    wanted: dict[str, tuple[str, ...]] = {
        "id": (config.id,),
        "time": (config.time,),
        "label": (config.label,) if labelled else (),
    }
    wanted |= {"static": config.static, "categories": config.categories}
    wanted |= {"leave-out": config.leave_out if labelled else ()}
    for flag, given in wanted.items():
        for column in given:
            if column not in columns:
                raise InputError(f"data: {name} has no column {column!r} (--data.{flag}). {nearest(column, columns)}")


def is_number(cell: str) -> bool:
    """Whether a cell is a finite number."""
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _time_in(cell: str, dates: bool, where: str) -> float:
    """When a visit was: a number, or of ``dates`` the days since 1970-01-01."""
    if dates:
        date = read_date(cell)
        if date is None:
            advice = date_advice(cell) or "Mend it, or take that row out."
            raise InputError(f"{where}: {cell!r} should be an ISO date like those before it. {advice}")
        return moment_of(date)
    if not is_number(cell):
        raise InputError(
            f"{where}: {cell!r} is no number. Times are numbers, for instance days since the first visit, or in every "
            f"row ISO dates, such as 2024-02-29. {date_advice(cell)}".rstrip()
        )
    return float(cell)


def number_in(cell: str, column: str, place: str) -> float:
    """A cell as a finite number.

    Example:
        >>> number_in("1,5", "bili", "visits.csv, line 3")
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: data: visits.csv, line 3, column 'bili': '1,5' is no number. Mend it, or ...
    """
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(
            f"data: {place}, column {column!r}: {cell!r} is no number. Mend it, or say that it means that nothing was "
            f"measured (--data.missing) or that the column holds categories (--data.categories {column})."
        )
    return value


def _history(
    person: str,
    visits: list[tuple[float, str, dict[str, str]]],
    config: VisitsConfig,
    labelled: bool,
    since_first: bool,
) -> LabelledSeries:
    if len(visits) == 1:
        raise InputError(
            f"data: {visits[0][1]}: the {config.id} {person!r} has one visit, and a series takes two. "
            "Leave such ids out and count them: --data.skip-short."
        )
    if config.sort:
        visits = sorted(visits, key=lambda visit: visit[0])
    for (before, first, early), (after, second, late) in itertools.pairwise(visits):
        if after == before:
            raise InputError(
                f"data: {second}: the {config.id} {person!r} has two visits at {config.time} {late[config.time]} "
                f"(the other: {first}). Make one of the two."
            )
        if after < before:
            raise InputError(
                f"data: {second}: the visits of the {config.id} {person!r} should stand in the order of time, but "
                f"{config.time} {late[config.time]} comes after {early[config.time]}. Try --data.sort."
            )
    for column in (*([config.label] if labelled else []), *config.static):
        _check_constant(person, visits, column, config)
    times, places, cells = zip(*visits, strict=True)
    label = cells[0][config.label] if labelled else ""
    if labelled and label in config.missing:
        raise InputError(f"data: {places[0]}: the {config.id} {person!r} has no {config.label}. Take that id out.")
    apart = {config.id, config.time, config.label, *config.leave_out}
    kept = {column: [row[column] for row in cells] for column in cells[0] if column not in apart}
    moments = np.array(times) - (times[0] if since_first else 0.0)
    return LabelledSeries(label, History(person, moments, kept, list(places)))


def _check_constant(person: str, visits, column: str, config: VisitsConfig) -> None:
    first = visits[0][2][column]
    for _, place, cells in visits:
        if cells[column] != first:
            raise InputError(
                f"data: {place}, column {column!r}: it should be the same at all visits of the {config.id} {person!r}, "
                f"but here it is {cells[column]!r} and before {first!r}."
            )


def check_known(found: Collection[LabelledSeries], known: Collection[str]) -> None:
    """Refuse a class that training never sees, and say whose it is."""
    for label, history in found:
        if label not in known:
            raise InputError(
                f"data: {history.places[0]}: no model can give the class {label!r}, which stands nowhere in what was "
                f"trained on. {nearest(label, known)}"
            )

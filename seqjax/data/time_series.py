"""Series of numbers with times: from CSV, with the standard library, and from the tables that statsmodels ships.

T steps, D columns of numbers.
"""

import csv
import datetime
import io
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError, nearest
from seqjax.data.tables import delimiter_of
from seqjax.data.text import read_files
from seqjax.data.time_series_config import TimeSeriesConfig
from seqjax.data.times import date_advice, days_of, is_compact, moment_of, read_date, zone_of

NOTHING = ("", "na", "n/a", "nan", "null", "none")  # cells without a number


class TimeSeries(NamedTuple):
    """Columns of numbers along time.

    Attributes:
        time: the name of the column of times.
        dates: whether times are dates; else they are numbers.
        moments: (T,) float64: days since 1970-01-01 in UTC, or the numbers, rising.
        names: of the D columns.
        values: (T, D) float64.
        filled: how many empty cells were filled.
        clock: (T,) float64: days since 1970-01-01 by the clock of each time; None: as the moments are.
        zone: what the last date says of its zone: nothing, ``Z``, or an offset such as ``+05:00``.
        compact: whether dates are written in eight digits, as 20240229.
    """

    time: str
    dates: bool
    moments: np.ndarray
    names: tuple[str, ...]
    values: np.ndarray
    filled: int = 0
    clock: np.ndarray | None = None
    zone: str = ""
    compact: bool = False

    @property
    def local(self) -> np.ndarray:
        """(T,): the times by their own clock."""
        return self.moments if self.clock is None else self.clock

    @property
    def steps(self) -> int:
        """T."""
        return len(self.moments)

    def part(self, first: int, end: int) -> "TimeSeries":
        """Steps ``first`` to ``end``, the last one left out."""
        clock = None if self.clock is None else self.clock[first:end]
        return self._replace(moments=self.moments[first:end], values=self.values[first:end], clock=clock)


def read_series(config: TimeSeriesConfig) -> TimeSeries:
    """The series that a configuration names.

    Raises:
        InputError: what :func:`parse_series` refuses; a file that cannot be read; statsmodels is not installed.
    """
    if not config.path:
        from seqjax.data.time_series_bundled import bundled_series

        return _checked(bundled_series(config.name), config)
    found = list(read_files((config.path,), config.encoding))
    if len(found) != 1:
        raise InputError(f"data: {config.path} should be one CSV file, but it is a folder of {len(found)}.")
    path, text = found[0]
    return parse_series(text, str(path), config)


def _checked(series: TimeSeries, config: TimeSeriesConfig) -> TimeSeries:
    """Refuse columns of a file where there is no file, and targets that the series does not have."""
    for flag, value in (("columns", config.columns), ("time", config.time)):
        if value:
            raise InputError(
                f"data: --data.{flag} is of a file, but none is given. Try --data.path FILE.csv beside it."
            )
    for name in config.targets:
        if name not in series.names:
            raise InputError(f"data: the series {config.name} has no column {name!r}. {nearest(name, series.names)}")
    return series


def parse_series(text: str, where: str, config: TimeSeriesConfig) -> TimeSeries:
    r"""Read CSV.

    Args:
        text: of the file; its first row names the columns.
        where: what a refusal calls it.
        config: its ``time``, ``columns``, ``delimiter`` and ``missing``.

    Raises:
        InputError: columns that are missing or named twice; a row of another width; a cell that is no number; an
            empty cell, unless ``missing`` says what to do; times that are no times, come twice or fall.

    Example:
        >>> series = parse_series("day,level\n2024-02-28,3\n2024-02-29,4.5\n", "f.csv", TimeSeriesConfig())
        >>> series.names, series.values.tolist(), series.dates
        (('level',), [[3.0], [4.5]], True)
        >>> parse_series("day,level\n1,3\n2,4,5\n", "f.csv", TimeSeriesConfig())
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: f.csv, row 3: it has 3 cells, but the first row has 2.
    """
    reader = csv.reader(io.StringIO(text), delimiter=delimiter_of(config.delimiter))
    try:
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise InputError(f"{where}, row {reader.line_num}: this is not CSV ({error}).") from None
    if not rows:
        raise InputError(f"{where}: there is no row in it.")
    header, body = [name.strip() for name in rows[0][1]], rows[1:]
    time, names = _columns(header, where, config)
    for number, row in body:
        if len(row) != len(header):
            raise InputError(f"{where}, row {number}: it has {len(row)} cells, but the first row has {len(header)}.")
    if not body:
        raise InputError(f"{where}: there is no row below the names of the columns.")
    place = header.index(time)
    times = _times([row[place] for _, row in body], [f"{where}, row {n}, column `{time}`" for n, _ in body])
    _check_rising(times.moments, [(number, row[place]) for number, row in body], f"{where}, column `{time}`")
    values, filled = _values(body, [header.index(name) for name in names], names, where, config)
    return TimeSeries(
        time, times.dates, times.moments, names, values, filled, times.clock, times.zone, times.compact
    )  # fmt: skip


def _columns(header: Sequence[str], where: str, config: TimeSeriesConfig) -> tuple[str, tuple[str, ...]]:
    """The column of times, and those of numbers."""
    twice = [name for place, name in enumerate(header) if name in header[:place]]
    if twice:
        raise InputError(f"{where}: two columns are called {twice[0]!r}. Every column should have a name of its own.")
    time = config.time or header[0]
    names = config.columns or tuple(name for name in header if name != time)
    for name in (time, *names, *config.targets):
        if name not in header:
            advice = f"{nearest(name, header)} Are the columns parted by {config.delimiter!r} (--data.delimiter)?"
            advice += " If the times stand in another column, name it: --data.time." if name == time else ""
            raise InputError(f"{where}: there is no column {name!r} in the first row. {advice}")
    if not names or time in names:
        raise InputError(f"{where}: besides the times in column {time!r}, there should be a column of numbers.")
    if strange := [name for name in config.targets if name not in names]:
        raise InputError(f"{where}: {strange[0]!r} cannot be forecast: it is no column of numbers that is read.")
    return time, tuple(names)


def _values(body, places, names, where: str, config: TimeSeriesConfig) -> tuple[np.ndarray, int]:
    """The numbers (T, D), and how many of them were filled in."""
    values, filled = np.zeros((len(body), len(names))), 0
    for step, (number, row) in enumerate(body):
        for column, (place, name) in enumerate(zip(places, names, strict=True)):
            cell = f"{where}, row {number}, column `{name}`"
            if row[place].strip().lower() in NOTHING:
                if config.missing == "refuse" or not step:
                    advice = "Leave the rows before the first number out." if not step else "Try --data.missing carry."
                    raise InputError(f"{cell}: it is empty ({row[place]!r}). {advice}")
                values[step, column], filled = values[step - 1, column], filled + 1
                continue
            value = _float(row[place])
            if value is None or not math.isfinite(value):
                advice = (
                    "If the column holds no numbers, name those that do (--data.columns), or the times (--data.time)."
                )
                raise InputError(f"{cell}: {row[place]!r} is no finite number. The first row is row 1. {advice}")
            values[step, column] = value
    return values, filled


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


class _Times(NamedTuple):
    """What a column of times says; see :class:`TimeSeries`."""

    dates: bool
    moments: np.ndarray
    clock: np.ndarray | None = None
    zone: str = ""
    compact: bool = False


def _times(cells: Sequence[str], places: Sequence[str]) -> _Times:
    """Dates where the first cell is no number, or all cells are dates of eight digits; else numbers."""
    compact = all(map(is_compact, cells))
    if not compact and _float(cells[0]) is not None:
        return _Times(False, np.array([_number(cell, place) for cell, place in zip(cells, places, strict=True)]))
    found = [_date(cell, place) for cell, place in zip(cells, places, strict=True)]
    moments, clock = (np.array([days(date) for date in found]) for days in (moment_of, days_of))
    return _Times(True, moments, clock, zone_of(cells[-1]), compact)


def _number(text: str, where: str) -> float:
    number = _float(text)
    if number is None or not math.isfinite(number):
        raise InputError(f"{where}: {text!r} should be a number like those before it.")
    return number


def _date(text: str, where: str) -> datetime.datetime:
    date = read_date(text)
    if date is None:
        advice = date_advice(text) or "If the times stand in another column, name it: --data.time."
        raise InputError(
            f"{where}: {text!r} should be an ISO date such as 2024-02-29 or 2024-02-29T13:00. {advice}"
        )  # fmt: skip
    return date


def _check_rising(moments: np.ndarray, rows: Sequence[tuple[int, str]], where: str) -> None:
    wrong = np.flatnonzero(np.diff(moments) <= 0)
    if not len(wrong):
        return
    (_, before), (number, text) = rows[wrong[0]], rows[wrong[0] + 1]
    if moments[wrong[0]] == moments[wrong[0] + 1]:
        raise InputError(f"{where}, row {number}: the time {text!r} comes twice. Keep one row for each time.")
    raise InputError(f"{where}, row {number}: the time {text!r} stands after {before!r}. Sort the rows by time.")

"""Series of numbers with times: from CSV, with the standard library, and from the tables that statsmodels ships.

T steps, D columns of numbers.
"""

import calendar
import csv
import datetime
import io
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError, nearest
from seqjax.data.text import read_files
from seqjax.data.time_series_config import TimeSeriesConfig

NOTHING = ("", "na", "n/a", "nan", "null", "none")  # cells without a number
SEASONS = ((1 / 24, 24), (1.0, 7), (7.0, 52), (30.4, 12), (91.3, 4))  # days between steps, steps of a season


class TimeSeries(NamedTuple):
    """Columns of numbers along time.

    Attributes:
        time: the name of the column of times.
        dates: whether times are dates; else they are numbers.
        moments: (T,) float64: days since 1970-01-01, or the numbers, rising.
        names: of the D columns.
        values: (T, D) float64.
        filled: how many empty cells were filled.
    """

    time: str
    dates: bool
    moments: np.ndarray
    names: tuple[str, ...]
    values: np.ndarray
    filled: int = 0

    @property
    def steps(self) -> int:
        """T."""
        return len(self.moments)

    def part(self, first: int, end: int) -> "TimeSeries":
        """Steps ``first`` to ``end``, the last one left out."""
        return self._replace(moments=self.moments[first:end], values=self.values[first:end])


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
    reader = csv.reader(io.StringIO(text), delimiter=config.delimiter)
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
    dates = _float(body[0][1][place]) is None
    moments = np.array([_moment(row[place], dates, f"{where}, row {n}, column `{time}`") for n, row in body])
    _check_rising(moments, [(number, row[place]) for number, row in body], f"{where}, column `{time}`")
    values, filled = _values(body, [header.index(name) for name in names], names, where, config)
    return TimeSeries(time, dates, moments, names, values, filled)


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
                raise InputError(f"{cell}: {row[place]!r} is no finite number. The first row is row 1.")
            values[step, column] = value
    return values, filled


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _moment(text: str, dates: bool, where: str) -> float:
    """Days since 1970-01-01, or a number."""
    wanted = "an ISO date such as 2024-02-29 or 2024-02-29T13:00" if dates else "a number like those before it"
    if not dates:
        number = _float(text)
        if number is not None and math.isfinite(number):
            return number
    else:
        try:
            found = datetime.datetime.fromisoformat(text.strip())
            zone = found.tzinfo or datetime.UTC
            return found.replace(tzinfo=zone).timestamp() / 86_400
        except (ValueError, OverflowError):
            pass
    raise InputError(f"{where}: {text!r} should be {wanted}.")


def _check_rising(moments: np.ndarray, rows: Sequence[tuple[int, str]], where: str) -> None:
    wrong = np.flatnonzero(np.diff(moments) <= 0)
    if not len(wrong):
        return
    (_, before), (number, text) = rows[wrong[0]], rows[wrong[0] + 1]
    if moments[wrong[0]] == moments[wrong[0] + 1]:
        raise InputError(f"{where}, row {number}: the time {text!r} comes twice. Keep one row for each time.")
    raise InputError(f"{where}, row {number}: the time {text!r} stands after {before!r}. Sort the rows by time.")


def season_of(series: TimeSeries, wanted: int = 0) -> int:
    """Steps of a season: those ``wanted``, else what goes with the days between two steps; 1 where nothing does.

    Example:
        >>> days = np.arange(0.0, 700.0, 7.0)
        >>> season_of(TimeSeries("week", True, days, ("x",), days[:, None]))
        52
    """
    if wanted or not series.dates or series.steps < 2:
        return wanted or 1
    days = float(np.median(np.diff(series.moments)))
    return next((steps for between, steps in SEASONS if abs(days / between - 1) < 0.05), 1)


def next_times(series: TimeSeries, count: int) -> list[str]:
    """The times of the steps after the last one, as they would stand in the file.

    Where all dates have one day of the month, or are the last of it, months are counted; else the median time between
    steps goes on, in whole days where all times are.

    Raises:
        InputError: the years beyond 9999, which have no ISO date.

    Example:
        >>> days = np.array([19723.0, 19754.0, 19783.0])            # 2024-01-01, 2024-02-01, 2024-03-01
        >>> next_times(TimeSeries("month", True, days, ("x",), days[:, None]), 2)
        ['2024-04-01', '2024-05-01']
    """
    try:
        return _next_times(series, count)
    except (ValueError, OverflowError):
        raise InputError(
            f"{series.time}: the {count} times after {time_text(series, series.moments[-1])} are not all dates: the "
            "last year that is written is 9999. Are the times right? A column of numbers has no end."
        ) from None


def _next_times(series: TimeSeries, count: int) -> list[str]:
    last = float(series.moments[-1])
    between = float(np.median(np.diff(series.moments))) if series.steps > 1 else 1.0
    if series.dates and series.steps > 1:
        dates = [_date(moment) for moment in series.moments]
        months = np.diff([date.year * 12 + date.month for date in dates])
        for days in (0, 1):  # as they are; the last days of months as the first ones of the next
            moved = [date + datetime.timedelta(days=days) for date in dates]
            if len({(date.day, date.time()) for date in moved}) == 1 and (months == months[0]).all() and months[0]:
                ahead = (_later(moved[-1], int(months[0]) * n) for n in range(1, count + 1))
                return [_written(date - datetime.timedelta(days=days), series) for date in ahead]
    moments = last + between * np.arange(1, count + 1)
    whole = series.dates and (series.moments % 1 == 0).all() and between >= 1
    return [time_text(series, moment) for moment in (np.round(moments) if whole else moments)]


def time_text(series: TimeSeries, moment: float) -> str:
    """A moment as it would stand in the file of a series."""
    return _written(_date(moment), series) if series.dates else f"{moment:.10g}"


def _date(moment: float) -> datetime.datetime:
    return datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=round(moment * 86_400))


def _later(date: datetime.datetime, months: int) -> datetime.datetime:
    year, month = divmod(date.year * 12 + date.month - 1 + months, 12)
    return date.replace(year=year, month=month + 1, day=min(date.day, calendar.monthrange(year, month + 1)[1]))


def _written(date: datetime.datetime, series: TimeSeries) -> str:
    whole_days = np.all(series.moments % 1 == 0) and date.time() == datetime.time()
    return date.date().isoformat() if whole_days else date.isoformat()

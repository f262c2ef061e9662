"""How the times of a series go on: its season, its working days, and what comes after its last step.

T steps.
"""

import calendar
import datetime

import numpy as np

from seqjax.checks import InputError
from seqjax.data.time_series import TimeSeries
from seqjax.data.times import date_at, days_of

SEASONS = ((1 / 24, 24), (1.0, 7), (7.0, 52), (30.4, 12), (91.3, 4))  # days between steps, steps of a season
WEEK = 5  # working days
SHORTEST = 18  # days from the first to the last of three weeks of working days


def season_of(series: TimeSeries, wanted: int = 0) -> int:
    """Steps of a season: those ``wanted``, else what goes with the days between two steps; 1 where nothing does.

    Example:
        >>> days = np.arange(0.0, 700.0, 7.0)
        >>> season_of(TimeSeries("week", True, days, ("x",), days[:, None]))
        52
    """
    if wanted or not series.dates or series.steps < 2:
        return wanted or 1
    if working_days(series):
        return WEEK
    days = float(np.median(np.diff(series.moments)))
    return next((steps for between, steps in SEASONS if abs(days / between - 1) < 0.05), 1)


def working_days(series: TimeSeries, known: bool = False) -> bool:
    """Whether a daily series of three weeks at least leaves out Saturdays and Sundays.

    Args:
        series: its dates.
        known: that the series goes on one that does, so that less of it is enough.

    Example:
        >>> days = np.array([19723.0, 19724, 19725, 19726, 19727, 19730])       # Monday to Friday, and a Monday
        >>> series = TimeSeries("day", True, days, ("x",), days[:, None])
        >>> working_days(series), working_days(series, known=True)
        (False, True)
    """
    if not series.dates or series.steps < 2:
        return False
    daily = abs(float(np.median(np.diff(series.moments))) - 1) < 0.05
    enough = known or (daily and series.local[-1] - series.local[0] >= SHORTEST)
    return bool(enough and np.is_busday(_whole_days(series.local)).all())


def _whole_days(moments: np.ndarray) -> np.ndarray:
    return np.floor(moments).astype(int).astype("datetime64[D]")


def next_moments(series: TimeSeries, count: int, working: bool = False) -> np.ndarray:
    """The moments of the steps after the last one, (count,): days by the clock of the series, or numbers.

    Where all dates have one day of the month, or are the last of it, months are counted, as many as mostly lie between
    two; days without Saturdays and Sundays go on without; else the median time between steps goes on, in whole days
    where all times are.

    Args:
        series: what goes on.
        count: of the steps.
        working: see ``known`` of :func:`working_days`.

    Raises:
        ValueError: the years beyond 9999.
        OverflowError: likewise.
    """
    local, ahead = series.local, np.arange(1, count + 1)
    if series.steps < 2:
        return local[-1] + ahead
    if series.dates and (months := _months_ahead(series, count)):
        return np.array(months)
    if working_days(series, working):
        days = np.busday_offset(_whole_days(local[-1:]), ahead)
        return days.astype(float) + local[-1] % 1
    whole = series.dates and bool((local % 1 == 0).all())
    between = float(np.median(np.diff(local if whole else series.moments)))
    moments = local[-1] + between * ahead
    return np.round(moments) if whole and between >= 1 else moments


def _months_ahead(series: TimeSeries, count: int) -> list[float]:
    """Days of the next dates with the same day of the month; none where the dates do not have that in common."""
    dates = [date_at(moment) for moment in series.local]
    between = sorted(np.diff([date.year * 12 + date.month for date in dates]).tolist())
    months = between[(len(between) - 1) // 2]  # the lower median: where some are missing, others lie further apart
    for days in (0, 1):  # as they are; the last days of months as the first ones of the next
        moved = [date + datetime.timedelta(days=days) for date in dates]
        if len({(date.day, date.time()) for date in moved}) == 1 and months:
            later = (_later(moved[-1], months * n) for n in range(1, count + 1))
            return [days_of(date) - days for date in later]
    return []


def _later(date: datetime.datetime, months: int) -> datetime.datetime:
    year, month = divmod(date.year * 12 + date.month - 1 + months, 12)
    return date.replace(year=year, month=month + 1, day=min(date.day, calendar.monthrange(year, month + 1)[1]))


def next_times(series: TimeSeries, count: int, working: bool = False) -> list[str]:
    """The times of the steps after the last one, see :func:`next_moments`, as they would stand in the file.

    Raises:
        InputError: the years beyond 9999, which have no ISO date.

    Example:
        >>> days = np.array([19723.0, 19754.0, 19783.0])            # 2024-01-01, 2024-02-01, 2024-03-01
        >>> next_times(TimeSeries("month", True, days, ("x",), days[:, None]), 2)
        ['2024-04-01', '2024-05-01']
    """
    try:
        return [_written(series, moment) for moment in next_moments(series, count, working)]
    except (ValueError, OverflowError):
        raise InputError(
            f"{series.time}: the {count} times after {time_text(series, series.moments[-1])} are not all dates: the "
            "last year that is written is 9999. Are the times right? A column of numbers has no end."
        ) from None


def time_text(series: TimeSeries, moment: float) -> str:
    """A moment as it would stand in the file of a series: dates with the offset of the last time there."""
    return _written(series, moment + (series.local[-1] - series.moments[-1]))


def _written(series: TimeSeries, moment: float) -> str:
    """A moment by the clock of the series."""
    if not series.dates:
        return f"{moment:.10g}"
    date = date_at(moment)
    if series.zone or date.time() != datetime.time() or np.any(series.local % 1):
        return date.isoformat() + series.zone
    return f"{date:%Y%m%d}" if series.compact else date.date().isoformat()

"""Times as people write them, and days since 1970-01-01."""

import datetime
import re

EPOCH = datetime.datetime(1970, 1, 1)
YEARS = range(1800, 2201)  # in which eight digits may be a date


def days_of(date: datetime.datetime) -> float:
    """Days since 1970-01-01 by the clock that the date shows, whatever its offset.

    Example:
        >>> days_of(datetime.datetime(1970, 1, 2, 12))
        1.5
    """
    return (date.replace(tzinfo=None) - EPOCH).total_seconds() / 86_400


def moment_of(date: datetime.datetime) -> float:
    """Days since 1970-01-01 in UTC; a date without an offset is taken as UTC.

    Example:
        >>> moment_of(datetime.datetime.fromisoformat("1970-01-02T00:00+06:00"))
        0.75
    """
    offset = date.utcoffset() or datetime.timedelta()
    return (date.replace(tzinfo=None) - EPOCH - offset).total_seconds() / 86_400


def date_at(days: float) -> datetime.datetime:
    """The date ``days`` after 1970-01-01, to the second."""
    return EPOCH + datetime.timedelta(seconds=round(days * 86_400))


def read_date(text: str) -> datetime.datetime | None:
    """An ISO date, with or without a time of day; None if it is none."""
    try:
        return datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        return None


def is_compact(text: str) -> bool:
    """Whether eight digits are a date of the years 1800 to 2200.

    Example:
        >>> [is_compact(text) for text in ("20240229", "20230229", "99990101", "2024-02-29")]
        [True, False, False, False]
    """
    if not re.fullmatch(r"\s*[0-9]{8}\s*", text):
        return False
    date = read_date(text)
    return date is not None and date.year in YEARS


def zone_of(text: str) -> str:
    """What an ISO date says of its zone: nothing, ``Z``, or an offset.

    Example:
        >>> [zone_of(text) for text in ("2024-01-01", "2024-01-01T00:00Z", "2024-01-01T00:00+0530")]
        ['', 'Z', '+05:30']
    """
    date = read_date(text)
    if date is None or date.tzinfo is None:
        return ""
    return "Z" if text.strip()[-1] in "zZ" else date.isoformat().removeprefix(date.replace(tzinfo=None).isoformat())


def date_advice(text: str) -> str:
    """How to write what looks like a date and is no ISO date, else "".

    Example:
        >>> date_advice("2000-1"), date_advice("01/31/2024"), date_advice("2000-13")
        ('Write the first of the month: 2000-01-01.', 'Write year-month-day, such as 2024-01-31.', '')
    """
    if month := re.fullmatch(r"\s*([0-9]{4})[-/.](0?[1-9]|1[0-2])\s*", text):
        return f"Write the first of the month: {month[1]}-{month[2]:0>2}-01."
    if re.match(r"\s*([0-9]{1,4}[-/. ]){2}[0-9]{1,4}\b", text):
        return "Write year-month-day, such as 2024-01-31."
    return ""

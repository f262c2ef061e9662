"""Series that ship inside statsmodels (extra ``data``): read from its files, without importing it."""

import csv
import datetime
import importlib.util
import pathlib

import numpy as np

from seqjax.checks import InputError
from seqjax.data.time_series import TimeSeries

EPOCH = datetime.date(1970, 1, 1).toordinal()


def bundled_series(name: str) -> TimeSeries:
    """One of the series that statsmodels ships.

    - ``co2``: parts per million of carbon dioxide in the air at Mauna Loa, weekly, 1958 to 2001; 59 weeks without a
      measurement lie on the line between their neighbours, the last of them in 1985.
    - ``elnino``: degrees Celsius of the sea's surface off Peru, monthly, 1950 to 2010.
    - ``sunspots``: their number, yearly, 1700 to 2008.

    Raises:
        InputError: statsmodels is not installed.

    Source:
        Keeling & Whorf (2001) for the first; the National Oceanic and Atmospheric Administration for the others.

    Example:
        >>> series = bundled_series("co2")
        >>> series.steps, series.names, series.filled
        (2284, ('co2',), 59)
    """
    rows = _rows(name)
    if name == "elnino":
        days = [datetime.date(int(row[0]), month, 1).toordinal() - EPOCH for row in rows for month in range(1, 13)]
        values = [float(cell) for row in rows for cell in row[1:13]]
        return TimeSeries("month", True, np.array(days, float), ("temperature",), np.array(values)[:, None])
    if name == "sunspots":
        years, values = ([float(row[column]) for row in rows] for column in (0, 1))
        return TimeSeries("year", False, np.array(years), ("sunspots",), np.array(values)[:, None])
    days = [datetime.datetime.strptime(row[0], "%Y%m%d").toordinal() - EPOCH for row in rows]
    moments = np.array(days, float)
    known = np.array([bool(row[1].strip()) for row in rows])
    measured = np.array([float(row[1]) for row, there in zip(rows, known, strict=True) if there])
    level = np.interp(moments, moments[known], measured)
    return TimeSeries("week", True, moments, ("co2",), level[:, None], int((~known).sum()))


SEASONS = {"sunspots": 11}  # years from one maximum to the next


def _rows(name: str) -> list[list[str]]:
    found = importlib.util.find_spec("statsmodels")
    if found is None or not found.submodule_search_locations:
        raise InputError(
            f"data: the series {name} ships inside statsmodels, which is not installed. "
            "Try: pip install 'seqjax[data]', or --data.path FILE.csv."
        )
    path = pathlib.Path(next(iter(found.submodule_search_locations))) / "datasets" / name / f"{name}.csv"
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return list(csv.reader(file))[1:]
    except OSError as error:
        raise InputError(f"data: {path}, a file of statsmodels, cannot be read: {error.strerror}.") from None

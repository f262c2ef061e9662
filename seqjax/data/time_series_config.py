"""Which series is read, which of its columns are forecast, from how many steps and for how many."""

import dataclasses
from typing import Literal, get_args

from seqjax.checks import InputError, check_choice
from seqjax.data.config import check_split
from seqjax.data.tables import delimiter_of

SeriesName = Literal["co2", "elnino", "sunspots"]
WhenMissing = Literal["refuse", "carry"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimeSeriesConfig:
    """A CSV file with a column of times and columns of numbers; on the command line, ``--data.*``.

    The first row names the columns. Times are ISO dates, dates of eight digits (20240229) or numbers, and rise.

    Raises:
        InputError: fractions that do not sum to 1, unknown names, sizes out of range.

    Example:
        >>> TimeSeriesConfig(horizon=12, season=12).context
        104
        >>> TimeSeriesConfig(horizon=0)
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: data: `horizon` should be at least 1 step, but it is 0.
    """

    path: str = ""  # a CSV file whose first row names its columns; empty: a series of statsmodels, see `name`
    name: SeriesName = "co2"  # without a path: weekly CO2 in the air, the sea's monthly temperature, or yearly sunspots
    time: str = ""  # the column of times; default: the first
    columns: tuple[str, ...] = ()  # columns of numbers that are read; default: all the others
    targets: tuple[str, ...] = ()  # columns that are forecast; default: all that are read
    delimiter: str = ","  # between the columns; \t: a tab
    encoding: str = "utf-8"  # of the file, e.g. latin-1
    missing: WhenMissing = "refuse"  # what to do with an empty cell; carry: it holds what the row before it held
    context: int = 104  # steps that a forecast is made from
    horizon: int = 26  # steps that are forecast
    season: int = 0  # steps of a season; 0: as times have it (52 weeks, 12 months, 7 or 5 days, 24 hours), 1: none
    split: tuple[float, float, float] = (0.7, 0.15, 0.15)  # train, validation and test, one after the other in time

    def __post_init__(self):
        check_choice("data", "name", self.name, get_args(SeriesName))
        check_choice("data", "missing", self.missing, get_args(WhenMissing))
        check_split(self.split)
        for name, least in (("context", 2), ("horizon", 1), ("season", 0)):
            if getattr(self, name) < least:
                unit = "step" if least == 1 else "steps"
                raise InputError(
                    f"data: `{name}` should be at least {least} {unit}, but it is {getattr(self, name)}."
                )  # fmt: skip
        if len(delimiter_of(self.delimiter)) != 1:
            raise InputError(
                f"data: `delimiter` should be one character, but it is {self.delimiter!r}. Try ';', or '\\t' for a tab."
            )
        if strange := [name for name in self.targets if self.columns and name not in self.columns]:
            raise InputError(
                f"data: `targets` should be among the columns that are read, {', '.join(self.columns)}, "
                f"but {strange[0]} is not. Name it in --data.columns too."
            )

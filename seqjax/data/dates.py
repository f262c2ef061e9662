"""Dates as people write them in many languages, and in ISO 8601: the data that ``translate`` learns from by default.

What is written is the Unicode Common Locale Data Repository's (CLDR), through ``babel``: the long forms of each
language, with the name of the day where the form has one. Forms that leave open which number is the day and which
the month are left out, and so is one that another language uses for another day. Years are those of the Gregorian
calendar, 1900 to 2099.

Source:
    Unicode Technical Standard 35, Unicode Locale Data Markup Language, part 4: Dates, section 8.
"""

import datetime
import functools
import re
from collections.abc import Sequence

import numpy as np

from seqjax.checks import InputError, nearest
from seqjax.data.pair_config import DatesConfig, Pair

FIRST = datetime.date(1900, 1, 1)
DAYS = (datetime.date(2100, 1, 1) - FIRST).days
FORMS = ("full", "long", "medium")
BETWEEN = "; "  # dates of a line
_MARKS = dict.fromkeys(map(ord, "\u200e\u200f\u061c"))  # invisible: which way to write


def write_date(day: datetime.date, language: str, form: str = "full") -> str:
    """A date in words, with plain spaces and without marks of direction.

    Args:
        day: of the Gregorian calendar.
        language: as CLDR names it, e.g. ``pt`` or ``zh_Hant``.
        form: full, long or medium.

    Raises:
        InputError: an unknown language; babel is not installed.

    Example:
        >>> day = datetime.date(2022, 5, 3)
        >>> write_date(day, "pt"), write_date(day, "ja", "long")
        ('terça-feira, 3 de maio de 2022', '2022年5月3日')
    """
    locale = locale_of(language)
    from babel.dates import format_date

    return " ".join(format_date(day, form, locale=locale).translate(_MARKS).split())


def find_forms(languages: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The forms of each language that no one can mistake for another day, here or in the languages before it.

    Raises:
        InputError: an unknown language, or one without such a form; babel is not installed.

    Example:
        >>> find_forms(["de", "ja"])  # 03.05.2022 is left out, 2022/05/03 is not
        {'de': ('full', 'long'), 'ja': ('full', 'long', 'medium')}
    """
    days = [datetime.date(2023, 1, 1) + datetime.timedelta(n) for n in range(365 + 366)]  # one of them a leap year
    meaning: dict[str, datetime.date] = {}
    found = {}
    for language in languages:
        good: list[str] = []
        for form in FORMS:
            if not _names_its_parts(locale_of(language).date_formats[form].pattern):
                continue
            written = {write_date(day, language, form): day for day in days}
            if len(written) == len(days) and all(meaning.get(text, day) == day for text, day in written.items()):
                meaning |= written
                good.append(form)
        if not good:
            others = ", ".join(name for name in languages if name != language)
            raise InputError(
                f"data.dates: no form of {language!r} names one day only beside those of {others or 'none'}. Leave it "
                f"out of --data.dates.languages."
            )
        found[language] = tuple(good)
    return found


def write_pairs(config: DatesConfig, split: Sequence[float]) -> list[list[Pair]]:
    """Lines of one to ``config.most`` dates, each line in one language, and the same dates in ISO 8601.

    Each day belongs to one split, and all lines of a split are written with its days alone. All is a function of the
    configuration (and of the release of CLDR that babel carries).

    Args:
        config: how many lines, and in which languages.
        split: fractions of the days for training, validation and test.

    Raises:
        InputError: a split without days; what :func:`find_forms` refuses.

    Example:
        >>> write_pairs(DatesConfig(lines=1, most=2, languages=("en", "es")), (0.8, 0.1, 0.1))[0]
        [Pair(source='viernes, 4 de febrero de 2039; lunes, 19 de febrero de 2035', target='2039-02-04 2035-02-19')]
    """
    forms = find_forms(config.languages)
    ends = np.round(np.cumsum(split)[:2] * DAYS).astype(int)
    parts = np.split(np.random.default_rng(config.seed).permutation(DAYS), ends)
    if not all(len(part) for part in parts):
        raise InputError(f"data.dates: `split` {tuple(split)} leaves one of the splits without a day. Try 0.8 0.1 0.1.")
    lines = []
    for number, (days, count) in enumerate(zip(parts, (config.lines, config.held, config.held), strict=True), start=1):
        chances = np.random.default_rng([config.seed, number]).random((count, 2 + 2 * config.most))
        lines.append(_write_lines(config, forms, days, chances))
    return lines


def _write_lines(config: DatesConfig, forms: dict[str, tuple[str, ...]], days: np.ndarray, chances) -> list[Pair]:
    """One line for each of ``chances``: (N, 2 + 2·most) numbers in [0, 1)."""
    languages = (chances[:, 0] * len(config.languages)).astype(int).tolist()
    counts = (1 + chances[:, 1] * config.most).astype(int).tolist()
    chosen, styles = np.split(chances[:, 2:], 2, axis=1)
    chosen = days[(chosen * len(days)).astype(int)].tolist()
    lines = []
    for number, count, offsets, chance in zip(languages, counts, chosen, styles.tolist(), strict=True):
        language, line = config.languages[number], [FIRST + datetime.timedelta(offset) for offset in offsets[:count]]
        known = forms[language]
        styled = [known[int(c * len(known))] for c in chance[:count]]
        texts = [write_date(day, language, form) for day, form in zip(line, styled, strict=True)]
        lines.append(Pair(BETWEEN.join(texts), " ".join(day.isoformat() for day in line)))
    return lines


def _names_its_parts(pattern: str) -> bool:
    """Whether the month is a word, or the year stands first and the day last; and the year has all its digits.

    Example:
        >>> [_names_its_parts(pattern) for pattern in ("d 'de' MMM y", "dd.MM.y", "y/MM/dd", "d MMM yy")]
        [True, False, True, False]
    """
    fields = re.sub(r"'[^']*'", "", pattern)
    order = "".join(dict.fromkeys(re.sub("[^yMLd]", "", fields).replace("L", "M")))
    return "yy" not in fields.replace("yyyy", "y") and (bool(re.search("MMM|LLL", fields)) or order == "yMd")


@functools.cache
def locale_of(language: str, where: str = "data.dates"):
    """What babel knows of a language; ``where`` is what a refusal begins with.

    Raises:
        InputError: an unknown language; babel is not installed.
    """
    try:
        import babel
    except ImportError:
        raise InputError(
            "data: the default data is written by babel, which is not installed. "
            "Try pip install -e '.[data]', or give data of your own: --data.path FILE."
        ) from None
    try:
        return babel.Locale.parse(language)
    except (ValueError, babel.UnknownLocaleError):
        known = [name for name in babel.localedata.locale_identifiers() if "_" not in name]
        raise InputError(f"{where}: the language {language!r} is unknown. {nearest(language, known)}") from None

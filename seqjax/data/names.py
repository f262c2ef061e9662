"""Which language is this name? The data that ``classify`` learns from by default.

Names of territories, months, weekdays and languages as the Unicode Common Locale Data Repository (CLDR) has them,
through ``babel``. A name that several of the languages share is nobody's, and is left out. What a name stands for is
a concept (the territory PT, the third month): all names of a concept belong to one split.

Source:
    Unicode Technical Standard 35, Unicode Locale Data Markup Language, part 1: Core, and part 4: Dates.
"""

import collections
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from seqjax.checks import InputError
from seqjax.data.dates import locale_of
from seqjax.data.labelled_config import Labelled, NamesConfig

Concept = tuple[str, str]  # what kind of thing, and its code


def find_names(language: str) -> dict[Concept, list[str]]:
    """What a language calls territories, months, weekdays and languages.

    Months and days are named alone and inside a date, where a language tells these apart.

    Args:
        language: as CLDR names it.

    Raises:
        InputError: an unknown language; babel is not installed.

    Example:
        >>> names = find_names("pt")
        >>> names["territory", "FI"], names["month", "5"], names["day", "0"]
        (['Finlândia'], ['maio'], ['segunda-feira'])
    """
    locale = locale_of(language, "data.names")
    found: dict[Concept, dict[str, None]] = collections.defaultdict(dict)
    tables: list[tuple[str, dict]] = [("territory", locale.territories), ("language", locale.languages)]
    for kind, names in (("month", locale.months), ("day", locale.days)):
        tables += [(kind, names[context]["wide"]) for context in ("stand-alone", "format")]
    for kind, table in tables:
        for code, name in table.items():
            found[kind, str(code)][" ".join(name.split())] = None
    return {concept: list(names) for concept, names in found.items()}


def own_names(languages: Sequence[str]) -> Iterator[tuple[Concept, Labelled]]:
    """Names that one of the languages has and no other, by concept; capital letters make no difference.

    Example:
        >>> [name for concept, name in own_names(["de", "nl", "en"]) if concept == ("month", "5")]
        [Labelled(label='de', text='Mai'), Labelled(label='nl', text='mei'), Labelled(label='en', text='May')]
        >>> [name.label for concept, name in own_names(["de", "nl", "en"]) if concept == ("month", "4")]
        []
    """
    names = {language: find_names(language) for language in languages}
    owners: dict[str, set[str]] = collections.defaultdict(set)
    for language, known in names.items():
        for name in itertools.chain.from_iterable(known.values()):
            owners[name.casefold()].add(language)
    concepts = sorted({concept for found in names.values() for concept in found})
    for concept, language in itertools.product(concepts, languages):
        for name in names[language].get(concept, ()):
            if name and len(owners[name.casefold()]) == 1:
                yield concept, Labelled(language, name)


def write_names(config: NamesConfig, split: Sequence[float]) -> list[list[Labelled]]:
    """Names for training, validation and test; each concept belongs to one of them.

    A name that stands for two concepts (a territory and its language) is of the split that comes first. All is a
    function of the configuration (and of the release of CLDR that babel carries).

    Args:
        config: which languages.
        split: fractions of the concepts.

    Raises:
        InputError: a split in which a language has no name; what :func:`find_names` refuses.

    Example:
        >>> parts = write_names(NamesConfig(languages=("fi", "pt")), (0.8, 0.1, 0.1))
        >>> parts[2][0]
        Labelled(label='fi', text='torstai')
    """
    found = list(own_names(config.languages))
    concepts = sorted({concept for concept, _ in found})
    order = np.random.default_rng(config.seed).permutation(len(concepts))
    ends = np.round(np.cumsum(split)[:2] * len(concepts)).astype(int)
    parts: list[list[Labelled]] = []
    seen: set[Labelled] = set()
    for places in np.split(order, ends):
        chosen = {concepts[place] for place in places.tolist()}
        rows = list(dict.fromkeys(name for concept, name in found if concept in chosen and name not in seen))
        seen |= set(rows)
        parts.append(rows)
    for name, rows in zip(("training", "validation", "test"), parts, strict=True):
        lacking = [language for language in config.languages if language not in {row.label for row in rows}]
        if lacking:
            raise InputError(
                f"data.names: the {name} split has no name of its own in {', '.join(lacking)}, so `split` "
                f"{tuple(split)} or `languages` does not do. Try 0.8 0.1 0.1, and no two forms of one language."
            )
    return parts

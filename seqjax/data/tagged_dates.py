"""Dates inside sentences, and what every part of a date is: the data that ``tag`` learns from by default.

The dates are the Unicode Common Locale Data Repository's (CLDR), through ``babel``; the sentences are ours, in eight
languages. Numbers that are no part of a date stand beside them, and words that would be a month elsewhere. Years
are those of the Gregorian calendar, 1900 to 2099.

Source:
    Unicode Technical Standard 35, Unicode Locale Data Markup Language, part 4: Dates, section 8.
"""

import datetime
import functools
import re
from collections.abc import Sequence

import numpy as np

from seqjax.checks import InputError, nearest
from seqjax.data.conll import Tagged
from seqjax.data.dates import DAYS, FIRST, locale_of
from seqjax.data.tag_config import TaggedDatesConfig

FORMS = ("full", "long", "medium", "yMMMEd", "MMMEd", "MMMMd", "yMd")  # each with a day
PARTS = {"d": "DAY", "M": "MONTH", "L": "MONTH", "y": "YEAR", "E": "WEEKDAY", "c": "WEEKDAY"}
CHANCES = 16  # random numbers that a sentence may need

# {date} is a date; {few} a number as of a day, {many} one as of a year.
SENTENCES = {
    "en": (
        "The meeting is on {date} in room {few}.",
        "{date}: flight {many} to Lisbon leaves from gate {few}.",
        "We paid {many} euros for {few} tickets, and the train leaves on {date}.",
        "The library moved from {date} to {date}; bus {few} still goes there.",
        "May I see the {few} letters of {date}?",
        "Room {few} holds {many} chairs.",
        "The concert of {date} was heard by {many} people, and {few} of them wept.",
    ),
    "pt": (
        "A reunião é a {date}, na sala {few}.",
        "{date}: o voo {many} para Lisboa parte da porta {few}.",
        "Pagámos {many} euros por {few} bilhetes, e o comboio parte a {date}.",
        "A biblioteca mudou de {date} para {date}; o autocarro {few} ainda vai lá.",
        "Posso ver as {few} cartas de {date}?",
        "A sala {few} tem {many} cadeiras.",
        "O concerto de {date} foi ouvido por {many} pessoas, e {few} choraram.",
    ),
    "es": (
        "La reunión es el {date} en la sala {few}.",
        "{date}: el vuelo {many} a Lisboa sale de la puerta {few}.",
        "Pagamos {many} euros por {few} entradas, y el tren sale el {date}.",
        "La biblioteca pasó del {date} al {date}; el autobús {few} aún va allí.",
        "¿Puedo ver las {few} cartas del {date}?",
        "La sala {few} tiene {many} sillas.",
        "El concierto del {date} lo oyeron {many} personas, y {few} lloraron.",
    ),
    "fr": (
        "La réunion a lieu le {date} dans la salle {few}.",
        "{date} : le vol {many} pour Lisbonne part de la porte {few}.",
        "Nous avons payé {many} euros pour {few} billets, et le train part le {date}.",
        "La bibliothèque passe du {date} au {date} ; le bus {few} y va encore.",
        "La sonde a quitté Mars le {date} avec {few} pierres.",
        "La salle {few} compte {many} chaises.",
        "Le concert du {date} fut entendu par {many} personnes, et {few} ont pleuré.",
    ),
    "it": (
        "La riunione è il {date} nella sala {few}.",
        "{date}: il volo {many} per Lisbona parte dalla porta {few}.",
        "Abbiamo pagato {many} euro per {few} biglietti, e il treno parte il {date}.",
        "La biblioteca passa dal {date} al {date}; l'autobus {few} va ancora lì.",
        "Posso vedere le {few} lettere del {date}?",
        "La sala {few} ha {many} sedie.",
        "Il concerto del {date} fu ascoltato da {many} persone, e {few} piansero.",
    ),
    "de": (
        "Die Sitzung ist am {date} in Raum {few}.",
        "{date}: Flug {many} nach Lissabon geht von Tor {few} ab.",
        "Wir zahlten {many} Euro für {few} Karten, und der Zug fährt am {date}.",
        "Die Bibliothek zieht vom {date} auf den {date} um; Bus {few} fährt noch hin.",
        "Darf ich die {few} Briefe vom {date} sehen?",
        "Raum {few} hat {many} Stühle.",
        "Das Konzert vom {date} hörten {many} Leute, und {few} weinten.",
    ),
    "nl": (
        "De vergadering is op {date} in zaal {few}.",
        "{date}: vlucht {many} naar Lissabon vertrekt van poort {few}.",
        "We betaalden {many} euro voor {few} kaartjes, en de trein vertrekt op {date}.",
        "De bibliotheek verhuist van {date} naar {date}; bus {few} rijdt er nog heen.",
        "Mag ik de {few} brieven van {date} zien?",
        "Zaal {few} heeft {many} stoelen.",
        "Het concert van {date} werd door {many} mensen gehoord, en {few} huilden.",
    ),
    "sv": (
        "Mötet är den {date} i rum {few}.",
        "{date}: flyg {many} till Lissabon går från grind {few}.",
        "Vi betalade {many} euro för {few} biljetter, och tåget går den {date}.",
        "Biblioteket flyttar från den {date} till den {date}; buss {few} går fortfarande dit.",
        "Sonden lämnade Mars den {date} med {few} stenar.",
        "Rum {few} har {many} stolar.",
        "Konserten den {date} hördes av {many} personer, och {few} grät.",
    ),
}  # fmt: skip


def cut_words(text: str) -> list[str]:
    """Words, numbers and marks, each a token.

    Example:
        >>> cut_words("terça-feira, 3.")
        ['terça', '-', 'feira', ',', '3', '.']
    """
    return re.findall(r"\w+|[^\w\s]", text)


def tag_date(day: datetime.date, language: str, form: str) -> tuple[list[str], list[str]]:
    """The tokens of a date in words, and a BIO tag for each: DAY, MONTH, YEAR or WEEKDAY.

    Args:
        day: of the Gregorian calendar.
        language: as CLDR names it, e.g. ``pt``.
        form: full, long, medium, or one of CLDR's skeletons, such as ``yMMMEd``.

    Raises:
        InputError: an unknown language; babel is not installed.

    Example:
        >>> words, tags = tag_date(datetime.date(2022, 5, 3), "pt", "full")
        >>> list(zip(words, tags))[:5]
        [('terça', 'B-WEEKDAY'), ('-', 'I-WEEKDAY'), ('feira', 'I-WEEKDAY'), (',', 'O'), ('3', 'B-DAY')]
    """
    words, tags = [], []
    for text, part in _date(day, language, form):
        found = cut_words(text)
        words += found
        tags += [f"{'I' if place else 'B'}-{part}" if part else "O" for place in range(len(found))]
    return words, tags


def write_tagged_dates(config: TaggedDatesConfig, split: Sequence[float]) -> list[list[Tagged]]:
    """Sentences with their tags, for training, validation and test.

    Each day belongs to one split. All is a function of the configuration (and of the release of CLDR that babel
    carries).

    Args:
        config: how many sentences, and in which languages.
        split: fractions of the days.

    Raises:
        InputError: a split without days, a language without sentences; babel is not installed.

    Example:
        >>> train, _, _ = write_tagged_dates(TaggedDatesConfig(sentences=1, languages=("en",)), (0.8, 0.1, 0.1))
        >>> " ".join(train[0].words), len(train[0].tags)
        ('The library moved from 2 / 4 / 2039 to June 14 , 1946 ; bus 25 still goes there .', 21)
    """
    for language in config.languages:
        if language not in SENTENCES:
            raise InputError(f"data.dates: there are no sentences in {language!r}. {nearest(language, SENTENCES)}")
    if not config.languages:
        raise InputError(f"data.dates: `languages` should name one at least. Known: {', '.join(SENTENCES)}.")
    ends = np.round(np.cumsum(split)[:2] * DAYS).astype(int)
    parts = np.split(np.random.default_rng(config.seed).permutation(DAYS), ends)
    if not all(len(part) for part in parts):
        raise InputError(f"data.dates: `split` {tuple(split)} leaves one of the splits without a day. Try 0.8 0.1 0.1.")
    written = []
    for number, (days, count) in enumerate(zip(parts, (config.sentences, config.held, config.held), strict=True), 1):
        chances = np.random.default_rng([config.seed, number]).random((count, CHANCES))
        written.append([_sentence(config.languages, days, iter(row)) for row in chances.tolist()])
    return written


def _sentence(languages: Sequence[str], days: np.ndarray, chances) -> Tagged:
    def choose(among):
        return among[int(next(chances) * len(among))]

    language = choose(languages)
    words: list[str] = []
    tags: list[str] = []
    for piece in re.split(r"({\w+})", choose(SENTENCES[language])):
        if piece == "{date}":
            day = FIRST + datetime.timedelta(int(choose(days)))
            found, marks = tag_date(day, language, choose(FORMS))
        else:
            number = {"{few}": range(1, 32), "{many}": range(1900, 2100)}.get(piece)
            found = cut_words(piece) if number is None else [str(choose(number))]
            marks = ["O"] * len(found)
        words += found
        tags += marks
    return Tagged(tuple(words), tuple(tags))


def _date(day: datetime.date, language: str, form: str) -> list[tuple[str, str]]:
    """Pieces of text and what each is; "" for what stands between parts."""
    from babel.dates import DateTimeFormat

    values = DateTimeFormat(day, locale_of(language))
    return [
        (text, "") if not field else (values[field], PARTS.get(field[0], ""))
        for text, field in _pattern(language, form)
    ]


@functools.cache
def _pattern(language: str, form: str) -> tuple[tuple[str, str], ...]:
    """Text and field, one of them empty, of every piece of a pattern of CLDR."""
    locale = locale_of(language)
    from babel.dates import tokenize_pattern

    known = locale.date_formats if form in ("full", "long", "medium") else locale.datetime_skeletons
    pieces = []
    for kind, value in tokenize_pattern(known[form].pattern):
        field, count = ("", 0) if isinstance(value, str) else value
        pieces.append((str(value), "") if kind == "chars" else ("", field * count))
    return tuple(pieces)

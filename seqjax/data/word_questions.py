"""Questions that vectors of words are judged by: how similar two words are, and what is to c as b is to a."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from seqjax.checks import InputError
from seqjax.data.text import read_files


class Similarity(NamedTuple):
    """Two words and how similar people found them."""

    one: str
    other: str
    score: float


class Analogy(NamedTuple):
    """``a`` is to ``b`` as ``c`` to ``d``."""

    a: str
    b: str
    c: str
    d: str


def read_similarities(path: str, encoding: str = "utf-8") -> list[Similarity]:
    """Read lines of two words and a number, with tabs, commas or spaces between; ``#`` begins a remark.

    A first line whose third column is no number is taken for the names of the columns.

    Raises:
        InputError: a line that is something else; no line at all; what cannot be read.
    """
    found = []
    for where, line in _lines(path, encoding):
        parts = [part.strip() for part in re.split(r"\t|,|;" if re.search("[\t,;]", line) else r"\s+", line.strip())]
        number = _number(parts[2]) if len(parts) > 2 else None
        if number is None:
            if where.endswith("line 1") and len(parts) > 2:
                continue
            raise InputError(f"{where}: should be WORD TAB WORD TAB NUMBER, but it is {line[:60]!r}.")
        found.append(Similarity(parts[0], parts[1], number))
    if not found:
        raise InputError(f"{path}: there are no pairs of words in it.")
    return found


def read_analogies(path: str, encoding: str = "utf-8") -> dict[str, list[Analogy]]:
    """Read questions of four words a line, below ``: NAME`` of their section.

    Raises:
        InputError: a line that is something else; no question at all; what cannot be read.
    """
    sections: dict[str, list[Analogy]] = {}
    section = "all"
    for where, line in _lines(path, encoding):
        if line.startswith(":"):
            section = line[1:].strip() or "all"
            continue
        words = line.split()
        if len(words) != 4:
            raise InputError(
                f"{where}: should be four words, or `: NAME` of a section, but it is {line[:60]!r}. "
                f"Analogies look like `Athens Greece Oslo Norway`."
            )
        sections.setdefault(section, []).append(Analogy(*words))
    if not sections:
        raise InputError(f"{path}: there are no questions in it.")
    return sections


def _lines(path: str, encoding: str) -> Iterator[tuple[str, str]]:
    if Path(path).expanduser().is_dir():
        raise InputError(f"{path}: this is a folder, but a file is wanted.")
    for file, text in read_files([path], encoding):
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and not line.startswith("#"):
                yield f"{file}, line {number}", line


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

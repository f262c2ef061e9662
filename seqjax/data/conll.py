"""Sentences with a tag for every token, from files: CoNLL columns, CoNLL-U, and sequences of characters.

T tokens of a sentence.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from seqjax.checks import InputError
from seqjax.data.conllu import COLUMNS, looks_like_conllu, parse_conllu
from seqjax.data.tag_config import TagsConfig
from seqjax.data.text import read_files

DOCUMENT = "-DOCSTART-"


class Tagged(NamedTuple):
    """One sentence."""

    words: tuple[str, ...]  # T tokens
    tags: tuple[str, ...]  # T tags
    where: str = ""  # file of the sentence, for messages
    lines: tuple[int, ...] = ()  # of each token, from 1; characters share one

    def at(self, token: int) -> str:
        """File and line of a token."""
        return f"{self.where}, line {self.lines[min(token, len(self.lines) - 1)]}" if self.lines else self.where


def read_tagged(paths: Sequence[str], config: TagsConfig) -> list[Tagged]:
    """The sentences of files and folders, in order.

    Args:
        paths: files or folders.
        config: how they are written.

    Raises:
        InputError: with file and line: a missing column, columns that change in number, a sentence that is too long,
            a sequence and tags of different length; not one sentence; what :func:`seqjax.data.text.read_files` refuses.
    """
    found: list[Tagged] = []
    for path, text in read_files(paths, config.encoding):
        found += parse_tagged(text, str(path), config)
    if not found:
        raise InputError(f"data: {', '.join(map(str, paths))} holds no sentence, only blank lines.")
    return found


def parse_tagged(text: str, where: str, config: TagsConfig) -> list[Tagged]:
    r"""The sentences of one text.

    Example:
        >>> parse_tagged("3\tB-DAY\nmai\tB-MONTH\n\n2022\tB-YEAR\n", "dates.conll", TagsConfig())[1]
        Tagged(words=('2022',), tags=('B-YEAR',), where='dates.conll', lines=(4,))
        >>> parse_tagged("ACGT\tOEEO\n", "exons.tsv", TagsConfig(tokens="characters"))[0].tags
        ('O', 'E', 'E', 'O')
        >>> parse_tagged("3\tB-DAY\nmai\n", "dates.conll", TagsConfig())
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: data: dates.conll, line 2: should have 2 columns as line 1 has, ... 'mai'. ...
    """
    lines = re.split("\r\n|\n|\r", text)
    if config.tokens == "characters":
        sentences = _sequences(lines, where)
    elif looks_like_conllu(lines):
        sentences = _trees(text, where, config)
    else:
        sentences = _columns(lines, where, config)
    return [_not_too_long(sentence, config) for sentence in sentences]


def _sequences(lines: list[str], where: str) -> Iterator[Tagged]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        columns = line.split("\t")
        if len(columns) != 2:
            raise InputError(
                f"data: {where}, line {number}: should be `SEQUENCE TAB TAGS`, but it has {len(columns)} column(s): "
                f"{_shown(line)}."
            )
        sequence, tags = columns
        if len(sequence) != len(tags):
            raise InputError(
                f"data: {where}, line {number}: should have a tag of one letter for every character, but there are "
                f"{len(sequence)} characters and {len(tags)} tags."
            )
        yield Tagged(tuple(sequence), tuple(tags), where, (number,))


def _trees(text: str, where: str, config: TagsConfig) -> Iterator[Tagged]:
    column = COLUMNS.index(config.conllu_column)
    for tree in parse_conllu(text, where, heads=False):
        rows = [row for row in tree.rows if row[0].isdigit()]
        tags = tuple(row[column] for row in rows)
        if set(tags) == {"_"}:
            raise InputError(f"data: {tree.where}: the column {config.conllu_column} is empty in a whole sentence.")
        yield Tagged(tree.forms, tags, tree.where)


def _columns(lines: list[str], where: str, config: TagsConfig) -> Iterator[Tagged]:
    """Tokens in columns; the first line with a token says how many.

    Where columns are separated by tabs, a line before a sentence that has none and begins with ``# `` is a comment.
    """
    wanted, first = 0, 0
    tabs = any("\t" in line for line in lines)
    words: list[str] = []
    tags: list[str] = []
    numbers: list[int] = []
    for number, line in enumerate([*lines, ""], start=1):
        if tabs and not words and line.startswith("# ") and "\t" not in line:
            continue
        columns = [column.strip() for column in line.split("\t")] if "\t" in line else line.split()
        if not any(columns) or columns[0] == DOCUMENT:
            if words:
                yield Tagged(tuple(words), tuple(tags), where, tuple(numbers))
                words, tags, numbers = [], [], []
            continue
        if not wanted:
            wanted, first = len(columns), number
            _check_columns(wanted, f"data: {where}, line {number}", line, config)
        if len(columns) != wanted:
            raise InputError(
                f"data: {where}, line {number}: should have {wanted} columns as line {first} has, but it has "
                f"{len(columns)}: {_shown(line)}. Columns are separated by tabs, or by spaces where a line has no tab."
            )
        word, tag = columns[config.word_column], columns[config.tag_column]
        if not word or not tag:
            raise InputError(
                f"data: {where}, line {number}: the {'tag' if word else 'token'} is missing: {_shown(line)}."
            )
        words.append(word)
        tags.append(tag)
        numbers.append(number)


def _check_columns(count: int, where: str, line: str, config: TagsConfig) -> None:
    for flag, column in (("word", config.word_column), ("tag", config.tag_column)):
        if not -count <= column < count:
            raise InputError(f"{where}: has no column {column} (--data.{flag}-column), only {count}: {_shown(line)}.")
    if config.word_column % count == config.tag_column % count:
        raise InputError(
            f"{where}: a column is missing: token and tag should be two columns, but there is {count}: {_shown(line)}."
        )


def _not_too_long(sentence: Tagged, config: TagsConfig) -> Tagged:
    if len(sentence.words) > config.longest:
        why = "Are the blank lines between sentences missing? " if config.tokens == "words" else ""
        raise InputError(
            f"data: {sentence.at(0)}: the sentence that begins here has {len(sentence.words):,} tokens, more than "
            f"--data.longest {config.longest}. {why}If it is right as it is, try --data.longest {len(sentence.words)}."
        )
    return sentence


def _shown(line: str) -> str:
    return repr(line if len(line) <= 60 else line[:59] + "…")

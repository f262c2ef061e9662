"""Rows of tables: CSV, and a refusal that says where it is none."""

import csv
import io
from collections.abc import Iterator

from seqjax.checks import InputError


def delimiter_of(typed: str) -> str:
    r"""What parts the cells, as it was typed: a backslash and a t are a tab.

    Example:
        >>> delimiter_of("\\t") == "\t", delimiter_of(";")
        (True, ';')
    """
    return "\t" if typed == r"\t" else typed


def table_rows(text: str, where: str, delimiter: str = ",") -> Iterator[list[str]]:
    r"""The rows of a CSV text, the empty ones too.

    Raises:
        InputError: with the line: what the csv module does not take.

    Example:
        >>> list(table_rows('a,b\n1,"2, 3"\n', "f.csv"))
        [['a', 'b'], ['1', '2, 3']]
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(delimiter))
    try:
        yield from reader
    except csv.Error as error:
        raise InputError(f"{where}, line {reader.line_num}: this is not CSV ({error}).") from None

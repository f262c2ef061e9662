r"""CoNLL-U: sentences as ten tab-separated columns, with a dependency tree over the words.

The columns are ID, FORM, LEMMA, UPOS, XPOS, FEATS, HEAD, DEPREL, DEPS and MISC; ``_`` stands for nothing. A blank line
ends a sentence, ``#`` begins a comment. A line with the ID ``1-2`` writes the words 1 and 2 as one, and one with
``1.1`` is an empty node: neither is a word, and both are kept, so that a file can be written as it was read.

T words of a sentence.
Source: Universal Dependencies, CoNLL-U format, version 2.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError
from seqjax.data.spanning_tree import find_cycle
from seqjax.data.text import read_files

COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
HEAD, DEPREL, DEPS = 6, 7, 8
UNKNOWN = -1  # the head of a word, where nobody says


class Tree(NamedTuple):
    """A sentence and the dependency tree over its words.

    Attributes:
        forms: T words.
        upos: T universal parts of speech; ``_`` where none is given.
        heads: (T,) int32, the number of the word that each hangs on, counted from 1; 0 for the root, -1 where unknown.
        labels: T names of the relation to the head; ``_`` where none is given.
        name: the sentence's ``sent_id``, or "".
        comments: lines before the words, with their ``#``.
        rows: all lines, ten columns each, those of multiword tokens and empty nodes among them.
        where: file and line of the sentence's first word, for messages.
    """

    forms: tuple[str, ...]
    upos: tuple[str, ...]
    heads: np.ndarray
    labels: tuple[str, ...]
    name: str
    comments: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    where: str


def read_conllu(paths: Sequence[str], encoding: str = "utf-8", *, heads: bool = True) -> list[Tree]:
    """The sentences of files and folders, in order.

    Args:
        paths: files or folders.
        encoding: of the files.
        heads: whether every sentence has to be a tree; otherwise HEAD is not looked at, and heads are -1.

    Raises:
        InputError: what :func:`parse_conllu` and :func:`seqjax.data.text.read_files` refuse; not one sentence.
    """
    trees = [tree for path, text in read_files(paths, encoding) for tree in parse_conllu(text, str(path), heads=heads)]
    if not trees:
        raise InputError(f"data: {', '.join(map(str, paths))} holds no sentence of CoNLL-U.")
    return trees


def parse_conllu(text: str, where: str, *, heads: bool = True) -> list[Tree]:
    r"""The sentences of a text in CoNLL-U.

    Args:
        text: of a file.
        where: what to call it in messages.
        heads: as for :func:`read_conllu`.

    Raises:
        InputError: with ``where`` and the line: not ten columns, ids out of order, a word without a form, a head that
            is no number or no word of the sentence, no root, two roots, a cycle.

    Example:
        >>> text = "# sent_id = a\n1\tBirds\t_\tNOUN\t_\t_\t2\tnsubj\t_\t_\n2\tsing\t_\tVERB\t_\t_\t0\troot\t_\t_\n\n"
        >>> (tree,) = parse_conllu(text, "birds.conllu")
        >>> tree.forms, tree.heads.tolist(), tree.labels, write_conllu([tree]) == text
        (('Birds', 'sing'), [2, 0], ('nsubj', 'root'), True)
        >>> parse_conllu(text.replace("\t0\t", "\t1\t"), "birds.conllu")
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: birds.conllu, line 2: the sentence has no root, the words 1, 2 hang on each other ...
    """
    trees: list[Tree] = []
    comments: list[str] = []
    rows: list[tuple[int, tuple[str, ...]]] = []  # numbers of lines, and their columns
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        line = line.removesuffix("\r")
        if line.startswith("#"):
            comments.append(line)
        elif line.strip():
            rows.append((number, _columns(line, f"{where}, line {number}")))
        elif rows:
            trees.append(_tree(rows, comments, where, heads))
            comments, rows = [], []
    return trees


def write_conllu(trees: Iterable[Tree]) -> str:
    """Sentences as the text of a file: comments, ten columns a line, a blank line after each."""
    return "".join("\n".join([*tree.comments, *("\t".join(row) for row in tree.rows), "", ""]) for tree in trees)


def make_tree(forms: Sequence[str], heads: Sequence[int], labels: Sequence[str], upos: Sequence[str] = ()) -> Tree:
    """A sentence from its words.

    Args:
        forms: T words.
        heads: T numbers of words, from 1; 0 for the root, -1 where unknown.
        labels: T relations.
        upos: T parts of speech; may be left out.

    Example:
        >>> tree = make_tree(["Birds", "sing"], [2, 0], ["nsubj", "root"], ["NOUN", "VERB"])
        >>> tree.rows[0]
        ('1', 'Birds', '_', 'NOUN', '_', '_', '2', 'nsubj', '_', '_')
    """
    blank = ("_",) * len(forms)
    upos = tuple(upos) or blank
    pairs = enumerate(zip(forms, upos, strict=True), start=1)
    rows = tuple((str(number), form, "_", pos, *"______") for number, (form, pos) in pairs)
    bare = Tree(tuple(forms), upos, np.full(len(forms), UNKNOWN, np.int32), blank, "", (), rows, "")
    return bare if UNKNOWN in heads else with_heads(bare, heads, labels)


def with_heads(tree: Tree, heads: Sequence[int], labels: Sequence[str]) -> Tree:
    """The same sentence with another tree over its words; enhanced dependencies (DEPS), which would be of the old one,
    are dropped.

    Args:
        tree: of T words.
        heads: T numbers of words, 0 for the root.
        labels: T relations.
    """
    found = iter(zip(heads, labels, strict=True))
    rows = []
    for row in tree.rows:
        if row[0].isdigit():
            head, label = next(found)
            row = (*row[:HEAD], str(int(head)), label, "_", row[-1])
        rows.append(row)
    return tree._replace(heads=np.asarray(heads, np.int32), labels=tuple(labels), rows=tuple(rows))


def looks_like_conllu(lines: Iterable[str]) -> bool:
    """Whether the first line that is neither blank nor a comment has ten columns, the first of them an id.

    Example:
        >>> looks_like_conllu(["# text = Hi", "1\\tHi" + "\\t_" * 8]), looks_like_conllu(["# 1 is a number"])
        (True, False)
    """
    for line in lines:
        if line.strip() and not line.startswith("#"):
            columns = line.rstrip("\r").split("\t")
            return len(columns) == len(COLUMNS) and bool(re.fullmatch(r"\d+([-.]\d+)?", columns[0]))
    return False


def check_heads(heads: Sequence[int], lines: Sequence[int], where: str) -> None:
    """Refuse heads that are no tree.

    Args:
        heads: T numbers of words, from 1; 0 for the root.
        lines: T numbers of lines, for the message.
        where: the file.

    Raises:
        InputError: a head out of range, no root, two roots, a cycle.
    """
    for head, line in zip(heads, lines, strict=True):
        if not 0 <= head <= len(heads):
            raise InputError(
                f"{where}, line {line}: HEAD should be a word of the sentence, 1 to {len(heads)}, or 0 for the root, "
                f"but it is {head}."
            )
    cycle = sorted(find_cycle(heads))
    words = f"the words {', '.join(map(str, cycle))} hang on each other in a cycle"
    words = f"the word {cycle[0]} hangs on itself" if len(cycle) == 1 else words
    roots = [line for head, line in zip(heads, lines, strict=True) if head == 0]
    if not roots:
        raise InputError(f"{where}, line {lines[0]}: the sentence has no root, {words}. One word has HEAD 0.")
    if len(roots) > 1:
        raise InputError(
            f"{where}, line {roots[1]}: a second root of the sentence; the first is on line {roots[0]}. "
            "One word of a sentence has HEAD 0. Is a blank line missing between two sentences?"
        )
    if cycle:
        raise InputError(f"{where}, line {lines[cycle[0] - 1]}: {words}, so that they never reach the root.")


def _columns(line: str, where: str) -> tuple[str, ...]:
    columns = tuple(line.split("\t"))
    if len(columns) != len(COLUMNS):
        hint = "Columns are separated by tabs, not by spaces. " if len(line.split()) >= len(COLUMNS) else ""
        missing = f" ({COLUMNS[len(columns)]} is missing)" if 1 < len(columns) < len(COLUMNS) else ""
        raise InputError(
            f"{where}: should have ten columns separated by tabs, {' '.join(COLUMNS)}, but it has {len(columns)}"
            f"{missing}. {hint}A column with nothing to say holds `_`."
        )
    empty = next((name for name, value in zip(COLUMNS, columns, strict=True) if not value.strip()), None)
    if empty:
        raise InputError(f"{where}: the column {empty} is empty. A column with nothing to say holds `_`.")
    return columns


def _tree(rows: list[tuple[int, tuple[str, ...]]], comments: list[str], where: str, heads: bool) -> Tree:
    """One sentence."""
    words = _words(rows, where)
    first = rows[0][0]
    if not words:
        raise InputError(f"{where}, line {first}: a sentence without a word.")
    found = [UNKNOWN] * len(words)
    if heads:
        for place, (number, row) in enumerate(words):
            if not row[HEAD].isdecimal():
                raise InputError(
                    f"{where}, line {number}: HEAD should be the number of a word, or 0 for the root, but it is "
                    f"{row[HEAD]!r}."
                )
            found[place] = int(row[HEAD])
        check_heads(found, [number for number, _ in words], where)
    name = next((c.partition("=")[2].strip() for c in comments if re.match(r"#\s*sent_id\s*=", c)), "")
    columns = list(zip(*(row for _, row in words), strict=True))
    return Tree(
        columns[1], columns[3], np.array(found, np.int32), columns[DEPREL], name, tuple(comments),
        tuple(row for _, row in rows), f"{where}, line {first}",
    )  # fmt: skip


def _words(rows: list[tuple[int, tuple[str, ...]]], where: str) -> list[tuple[int, tuple[str, ...]]]:
    """The lines that are words, their ids checked to be 1, 2, 3, … in order."""
    words: list[tuple[int, tuple[str, ...]]] = []
    last = 0, rows[0][0]  # word of a multiword token, and the token's line
    for number, row in rows:
        after, spot = len(words), f"{where}, line {number}"
        span, empty = re.fullmatch(r"(\d+)-(\d+)", row[0]), re.fullmatch(r"(\d+)\.[1-9]\d*", row[0])
        if span:
            if int(span[1]) != after + 1 or int(span[2]) < int(span[1]):
                raise InputError(f"{spot}: the multiword token {row[0]} should stand before its first word, {span[1]}.")
            last = max(last, (int(span[2]), number))
        elif empty:
            if int(empty[1]) != after:
                raise InputError(f"{spot}: the empty node {row[0]} should stand after the word {empty[1]}.")
        elif row[0] != str(after + 1):
            hint = " Is a blank line missing between two sentences?" if row[0] == "1" else ""
            raise InputError(f"{spot}: ids should count words from 1; here {after + 1} is wanted, not {row[0]}.{hint}")
        else:
            words.append((number, row))
    if words and last[0] > len(words):
        raise InputError(f"{where}, line {last[1]}: a multiword token ends with word {last[0]} of {len(words)}.")
    return words

"""Two-column files, aligned files, or dates, to pairs: for training, validation and test."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError
from seqjax.data.dates import write_pairs
from seqjax.data.pair_config import Pair, PairsConfig
from seqjax.data.text import read_files

_SKIP = "Mend it, or skip such lines and count them: --data.skip-broken."


class PairSplits(NamedTuple):
    """Pairs of each split, and what was left out.

    Attributes:
        train: pairs to train on; and so on.
        dropped: of each file read for a split, how many lines were skipped and why: ``{"train": {"broken": 2}}``.
            Where one file is split, all of it counts as ``train``.
    """

    train: list[Pair]
    valid: list[Pair]
    test: list[Pair]
    dropped: dict[str, dict[str, int]]


class _Line(NamedTuple):
    where: str  # the file
    number: int  # from 1
    text: str


def read_pairs(config: PairsConfig) -> PairSplits:
    """Read pairs, or write dates, and split them.

    With ``valid_path`` and ``test_path`` the pairs of ``path`` are for training. With one of them, ``path`` is split
    into training and the one that is missing, in the proportions of ``split``. See :func:`split_pairs` for how.

    Raises:
        InputError: what :func:`read_pair_files` and :func:`seqjax.data.dates.write_pairs` refuse; an empty split.

    Example:
        >>> from seqjax.data.pair_config import DatesConfig
        >>> splits = read_pairs(PairsConfig(dates=DatesConfig(lines=5, held=2, languages=("en", "pt"))))
        >>> len(splits.train), len(splits.test), splits.dropped["train"]
        (5, 2, {})
    """
    if not config.path:
        train, valid, test = (_turned(part, config.swap) for part in write_pairs(config.dates, config.split))
        return PairSplits(train, valid, test, {"train": {}, "valid": {}, "test": {}})
    pairs, skipped = read_pair_files(config.path, config, config.target_path)
    valid, valid_skipped = _given(config.valid_path, config, config.valid_target_path)
    test, test_skipped = _given(config.test_path, config, config.test_target_path)
    fractions = [config.split[0], 0.0 if valid else config.split[1], 0.0 if test else config.split[2]]
    parts = split_pairs(pairs, [fraction / sum(fractions) for fraction in fractions])
    train, valid, test = parts[0], valid or parts[1], test or parts[2]
    for name, part in (("training", train), ("validation", valid), ("test", test)):
        if not part:
            raise InputError(
                f"data: the {name} split is empty: there are {len(pairs)} pairs ({len({p.source for p in pairs})} "
                f"different sources), and `split` is {tuple(config.split)}. "
                f"Give more pairs, or files of their own: --data.valid-path, --data.test-path."
            )
    return PairSplits(train, valid, test, {"train": skipped, "valid": valid_skipped, "test": test_skipped})


def read_pair_files(
    paths: Sequence[str], config: PairsConfig, target_paths: Sequence[str] = ()
) -> tuple[list[Pair], dict[str, int]]:
    """The pairs of files and folders, in order, without spaces around a side; and how many lines were skipped, by why.

    Args:
        paths: of two columns, ``source TAB target``; with ``target_paths``, of sources only.
        config: its ``encoding``, ``swap`` and ``skip_broken``.
        target_paths: line for line the targets, if they stand in files of their own.

    Raises:
        InputError: a line without a tab or with three columns, an empty side, aligned files of other lengths or of two
            columns; what :func:`seqjax.data.text.read_files` refuses; nothing but skipped lines.
    """
    lines = _lines(paths, config.encoding)
    if target_paths:
        rows = _aligned(lines, _lines(target_paths, config.encoding), paths, target_paths)
    else:
        rows = [(line, line.text.split("\t")) for line in lines]
    pairs, skipped = [], Counter[str]()
    for line, columns in rows:
        sides = [column.strip() for column in columns]
        problem = "broken" if len(sides) != 2 else "" if all(sides) else "empty"
        if not problem:
            pairs.append(Pair(*sides))
        elif config.skip_broken:
            skipped[problem] += 1
        else:
            raise _broken(line, sides)
    if not pairs:
        raise InputError(
            f"data: {', '.join(map(str, paths))} holds no pairs, only {sum(skipped.values())} other lines."
        )
    return _turned(pairs, config.swap), dict(skipped)


def split_pairs(pairs: Sequence[Pair], fractions: Sequence[float], seed: int = 0) -> list[list[Pair]]:
    """Deal pairs to parts at random, those with the same source together; within a part they keep their order.

    At random, because files of pairs are often sorted, by length for instance, and their end is not like their
    beginning. Together, because the answer to a source of the test would else be known from training.

    Args:
        pairs: in any order.
        fractions: of the pairs, one for each part; their sum is 1.
        seed: of the dealing. Not that of the run: all runs on a file are tested alike.

    Example:
        >>> pairs = [Pair(source, source.upper()) for source in "abcdefghij" * 2]
        >>> [[pair.source for pair in part] for part in split_pairs(pairs, [0.6, 0.2, 0.2])]
        [['c', 'd', 'e', 'f', 'g', 'h', 'c', 'd', 'e', 'f', 'g', 'h'], ['a', 'j', 'a', 'j'], ['b', 'i', 'b', 'i']]
    """
    names: dict[str, int] = {}
    group = np.array([names.setdefault(pair.source, len(names)) for pair in pairs], np.int64)
    order = np.random.default_rng(seed).permutation(len(names))
    sizes = np.bincount(group, minlength=len(names))[order]
    before = np.cumsum(sizes) - sizes  # pairs dealt before each group
    ends = np.round(np.cumsum(fractions) * len(pairs))[:-1]
    part_of = np.empty(len(names), np.int64)
    part_of[order] = np.searchsorted(ends, before, side="right")
    parts: list[list[Pair]] = [[] for _ in fractions]
    for pair, part in zip(pairs, part_of[group], strict=True):
        parts[part].append(pair)
    return parts


def _given(paths, config: PairsConfig, target_paths) -> tuple[list[Pair], dict[str, int]]:
    return read_pair_files(paths, config, target_paths) if paths else ([], {})


def _turned(pairs: list[Pair], swap: bool) -> list[Pair]:
    return [Pair(pair.target, pair.source) for pair in pairs] if swap else pairs


def _lines(paths: Sequence[str], encoding: str) -> list[_Line]:
    """Lines as an editor counts them: nothing but line ends ends one, and the last one of a file has one or none."""
    found = []
    for path, text in read_files(paths, encoding):
        lines = re.split("\r\n|\n|\r", text)
        last = len(lines) - (not lines[-1])
        found += [_Line(str(path), number, line) for number, line in enumerate(lines[:last], start=1)]
    return found


def _aligned(sources: list[_Line], targets: list[_Line], paths, target_paths) -> list[tuple[_Line, list[str]]]:
    if len(sources) != len(targets):
        raise InputError(
            f"data: sources and targets should have as many lines, but {', '.join(map(str, paths))} has "
            f"{len(sources)} and {', '.join(map(str, target_paths))} has {len(targets)}."
        )
    if sources and all(line.text.count("\t") == 1 for line in sources):  # the answers would stand in the sources
        raise InputError(
            f"data: every line of {', '.join(map(str, paths))} has a tab, as if it held both columns. Then leave out "
            "the files of targets; if the tab belongs to the sources, make it a space."
        )
    return [
        (target if source.text.strip() else source, [source.text, target.text])
        for source, target in zip(sources, targets, strict=True)
    ]


def _broken(line: _Line, sides: list[str]) -> InputError:
    where = f"data: {line.where}, line {line.number}"
    if len(sides) == 2:
        return InputError(f"{where}: one side of the pair is empty. {_SKIP}")
    held = "has no tab" if len(sides) == 1 else f"has {len(sides)} columns"
    shown = line.text if len(line.text) <= 60 else line.text[:59] + "…"
    return InputError(f"{where} should be `source TAB target`, but it {held}: {shown!r}. {_SKIP}")

"""Two-column files, JSON lines, or names, to labelled texts: for training, validation and test."""

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError, nearest
from seqjax.data.labelled_config import Labelled, LabelledConfig
from seqjax.data.names import write_names
from seqjax.data.text import read_files
from seqjax.data.tokenizer import Tokenizer

_SKIP = "Mend it, or skip such lines and count them: --data.skip-broken."
_GOLDEN = (math.sqrt(5) - 1) / 2
_JSON_ENDS = (".jsonl", ".ndjson", ".json")


class LabelledSplits(NamedTuple):
    """Labelled texts of each split, and how many lines of the files of each were skipped."""

    train: list[Labelled]
    valid: list[Labelled]
    test: list[Labelled]
    skipped: dict[str, int]


class Place(NamedTuple):
    """Where a line stands."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}"


def read_labelled(config: LabelledConfig) -> LabelledSplits:
    """Read labelled texts, or write names, and split them.

    With ``valid_path`` and ``test_path`` the texts of ``path`` are for training. With one of them, ``path`` is split
    into training and the one that is missing, in the proportions of ``split``. See :func:`split_labelled` for how.

    Raises:
        InputError: what :func:`read_labelled_files` and :func:`seqjax.data.names.write_names` refuse; one class, or a
            class with one example; a label that stands in a file of validation or test alone; an empty split.

    Example:
        >>> from seqjax.data.labelled_config import NamesConfig
        >>> splits = read_labelled(LabelledConfig(names=NamesConfig(languages=("fi", "pt"))))
        >>> len(splits.train) > 4 * len(splits.test) > 0
        True
    """
    if not config.path:
        train, valid, test = write_names(config.names, config.split)
        return LabelledSplits(train, valid, test, {"train": 0, "valid": 0, "test": 0})
    examples, places, skipped = read_labelled_files(config.path, config)
    _check_classes(examples, places)
    counts = {"train": skipped, "valid": 0, "test": 0}
    given: dict[str, list[Labelled]] = {}
    for name, paths in (("valid", config.valid_path), ("test", config.test_path)):
        if paths:
            given[name], where, counts[name] = read_labelled_files(paths, config)
            check_labels(given[name], where, {example.label for example in examples})
    fractions = [
        config.split[0],
        *(0.0 if name in given else config.split[i] for i, name in ((1, "valid"), (2, "test"))),
    ]
    train, *others = split_labelled(examples, [fraction / sum(fractions) for fraction in fractions])
    valid, test = (given.get(name, part) for name, part in zip(("valid", "test"), others, strict=True))
    for name, part in (("validation", valid), ("test", test)):
        if not part:
            raise InputError(
                f"data: the {name} split is empty: there are {len(examples)} texts, and `split` is "
                f"{tuple(config.split)}. Give more texts, or files of their own: --data.valid-path, --data.test-path."
            )
    return LabelledSplits(train, valid, test, counts)


def read_labelled_files(
    paths: Sequence[str], config: LabelledConfig
) -> tuple[list[Labelled], list[Place], int]:  # fmt: skip
    """The labelled texts of files and folders, in order, where each stands, and how many lines were skipped.

    Args:
        paths: files of two columns, ``label TAB text``, or of JSON objects, one a line. A column in double quotes, as
            spreadsheets write it, is read without them, and each ``""`` in it as ``"``.
        config: says which, and what to do with broken lines.

    Raises:
        InputError: with file and line: no tab, an empty label or text, no JSON object, a field that is missing; what
            :func:`seqjax.data.text.read_files` refuses; nothing but skipped lines.
    """
    found, places, skipped = [], [], 0
    for path, text in read_files(paths, config.encoding):
        as_json = config.form == "json" or (config.form == "auto" and str(path).lower().endswith(_JSON_ENDS))
        lines = re.split("\r\n|\n|\r", text)
        for number, line in enumerate(lines[: len(lines) - (not lines[-1])], start=1):
            example, problem = _from_json(line, config) if as_json else _from_columns(line, config)
            if problem and not config.skip_broken:
                raise InputError(f"data: {path}, line {number} {problem} {_advice(text, as_json)}")
            skipped += bool(problem)
            if example is not None:
                found.append(example)
                places.append(Place(str(path), number))
    if not found:
        raise InputError(f"data: {', '.join(map(str, paths))} holds no labelled text, only {skipped} other lines.")
    return found, places, skipped


def split_labelled(examples: Sequence[Labelled], fractions: Sequence[float], seed: int = 0) -> list[list[Labelled]]:
    """Deal examples to parts, class by class, so that every part holds about its fraction of each class.

    The same text goes to one part, wherever it stands, and is dealt with the class that it has first. Every class has
    an example in the first part. Within a part they keep their order.

    Args:
        examples: in any order.
        fractions: one for each part; their sum is 1.
        seed: of the dealing. Not that of the run: all runs on a file are tested alike.

    Example:
        >>> examples = [Labelled("ab"[n % 2], str(n)) for n in range(10)]
        >>> [[text for _, text in part] for part in split_labelled(examples, [0.6, 0.2, 0.2])]
        [['0', '1', '2', '3', '7', '8'], ['4', '9'], ['5', '6']]
    """
    texts: dict[str, int] = {}
    group = np.array([texts.setdefault(example.text, len(texts)) for example in examples], np.int64)
    classes: dict[str, list[int]] = {}
    for number, first in enumerate(np.unique(group, return_index=True)[1].tolist()):
        classes.setdefault(examples[first].label, []).append(number)
    random, ends = np.random.default_rng(seed), np.cumsum(fractions)
    order = np.concatenate([random.permutation(members) for members in classes.values()])
    part_of = np.empty(len(texts), np.int64)
    spread = (random.random() + _GOLDEN * np.arange(len(order))) % 1  # any run of them is spread evenly over [0, 1)
    part_of[order] = np.minimum(np.searchsorted(ends, spread, side="right"), len(fractions) - 1)
    texts_of: dict[str, list[int]] = {}  # of each class, those that have another label too among them
    for number, example in zip(group.tolist(), examples, strict=True):
        texts_of.setdefault(example.label, []).append(number)
    for members in texts_of.values():
        if not (part_of[members] == 0).any():
            part_of[members[0]] = 0
    parts: list[list[Labelled]] = [[] for _ in fractions]
    for number, example in zip(group, examples, strict=True):
        parts[part_of[number]].append(example)
    return parts


def check_labels(examples: Sequence[Labelled], places: Sequence[Place], known: Sequence[str] | set[str]) -> None:
    """Refuse a label that training never sees, and say where it stands."""
    for example, place in zip(examples, places, strict=True):
        if example.label not in known:
            count = sum(other.label == example.label for other in examples)
            raise InputError(
                f"data: {place}: the label {example.label!r} stands in no line that is trained on, so no model can "
                f"give it ({count} such {'line' if count == 1 else 'lines'}). {nearest(example.label, known)}"
            )


def encode_texts(
    config: LabelledConfig, tokenizer: Tokenizer, texts: Sequence[str], *, where: str = "data: text"
) -> tuple[list[np.ndarray], int]:
    """Ids (T,) of each text, and how many were cut at ``config.length``.

    Raises:
        InputError: a text is too long, where that is to be refused.
    """
    ids = tokenizer.encode_documents([prepared(config, text) for text in texts])
    most = config.length or max(map(len, ids), default=0)
    long = [number for number, row in enumerate(ids) if len(row) > most]
    if long and config.too_long == "refuse":
        first = long[0]
        raise InputError(
            f"{where} {first + 1} has {len(ids[first])} symbols, but at most {most} are allowed, and so for "
            f"{len(long)} of {len(ids)}: {texts[first][:60]!r}. Cut it, or train with "
            f"--data.too-long truncate or --data.length {max(map(len, ids))}."
        )
    return [row[:most] for row in ids], len(long)


def prepared(config: LabelledConfig, text: str) -> str:
    """A text as the tokenizer is to see it."""
    return text.lower() if config.lower else text


def _check_classes(examples: Sequence[Labelled], places: Sequence[Place]) -> None:
    counts = Counter(example.label for example in examples)
    if len(counts) == 1:
        raise InputError(
            f"data: all {len(examples)} texts have the label {next(iter(counts))!r}: there is nothing to tell apart. "
            "Give texts of another class too. Do the columns stand the other way round? Try --data.swap."
        )
    rare = [label for label, count in counts.items() if count == 1]
    if rare:
        place = next(where for where, one in zip(places, examples, strict=True) if one.label == rare[0])
        others = f", and so for {len(rare) - 1} other classes" if len(rare) > 1 else ""
        hint = " Do the columns stand the other way round? Try --data.swap." if 2 * len(rare) > len(counts) else ""
        raise InputError(
            f"data: the class {rare[0]!r} has one example ({place}){others}: it cannot be learnt and tested. "
            f"Give more of its texts, merge it with another class, or leave that line out.{hint}"
        )


def _from_columns(line: str, config: LabelledConfig) -> tuple[Labelled | None, str]:
    columns = [_unquoted(column.strip()) for column in line.split("\t")]
    if len(columns) != 2:
        held = "has no tab" if len(columns) == 1 else f"has {len(columns)} columns"
        shown = line if len(line) <= 60 else line[:59] + "…"
        wanted = "text TAB label" if config.swap else "label TAB text"
        return None, f"should be `{wanted}`, but it {held}: {shown!r}."
    return _whole(*(reversed(columns) if config.swap else columns))


def _advice(text: str, as_json: bool) -> str:
    """What to do about a broken line, which may not be the only one."""
    if as_json and text.lstrip().startswith("["):
        return "The file is one JSON array: write one object a line, without brackets and commas around them."
    if as_json or "\t" in text:
        return _SKIP
    commas = ", though there are commas" if "," in text else ""
    return f"No line of the file has one{commas}: separate the two columns by a tab, or write JSON lines (.jsonl)."


def _unquoted(cell: str) -> str:
    inner = cell[1:-1].replace('""', "")
    quoted = len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner
    return cell[1:-1].replace('""', '"').strip() if quoted else cell


def _from_json(line: str, config: LabelledConfig) -> tuple[Labelled | None, str]:
    try:
        found = json.loads(line)
    except ValueError as error:
        return None, f"should be a JSON object, but it cannot be read ({error})."
    if not isinstance(found, dict):
        return None, f"should be a JSON object, but it is {line[:60]!r}."
    sides = []
    for name, flag in ((config.label_field, "label"), (config.text_field, "text")):
        if name not in found:
            return None, f"has no field {name!r} (try --data.{flag}-field). {nearest(name, found)}"
        value = found[name]
        if not isinstance(value, str | int):
            return None, f"should have a word in the field {name!r}, but it is {value!r}."
        sides.append(value.strip() if isinstance(value, str) else json.dumps(value))
    return _whole(*sides)


def _whole(label: str, text: str) -> tuple[Labelled | None, str]:
    for name, side in (("label", label), ("text", text)):
        if not side:
            return None, f"has an empty {name}."
    return Labelled(label, text), ""

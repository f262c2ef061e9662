"""Pictures and captions for training, validation and test, from files or of digits; and batches of them.

B rows, T steps of a caption, Y × X pixels, C channels, P patches.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError
from seqjax.data.caption_config import Caption, CaptionsConfig, Pictured
from seqjax.data.digit_captions import write_rows
from seqjax.data.digits import SPLITS
from seqjax.data.example_batches import ExampleBatches, Examples, example_batches
from seqjax.data.pair_config import Pair
from seqjax.data.pairs import split_pairs
from seqjax.data.picture_files import SUFFIXES, PictureError, read_picture
from seqjax.data.text import outside_runs, read_files

_SKIP = "Mend it, or skip what is broken and count it: --data.skip-broken."
_LISTS = ("captions.tsv", "captions.txt")
_FEW = 8  # captions that are no longer than this get batches of one length


class CaptionSplits(NamedTuple):
    """Captions of each split, and how many were left out, by why."""

    train: Pictured
    valid: Pictured
    test: Pictured
    skipped: dict[str, int]


def read_captions(config: CaptionsConfig) -> CaptionSplits:
    """Read captions and their pictures, or write rows of digits, and split them.

    All captions of one picture go to one split. With ``valid_path`` and ``test_path`` those of ``path`` are for
    training. With one of them, ``path`` is split into training and the one that is missing.

    Raises:
        InputError: what :func:`read_caption_files` and :func:`seqjax.data.digit_captions.write_rows` refuse; an empty
            split.
    """
    if not config.path:
        train, valid, test = (write_rows(config.digits, name) for name in SPLITS)
        return CaptionSplits(train, valid, test, {})
    read, skipped = read_caption_files(config.path, config)
    given = {}
    for name, paths in (("valid", config.valid_path), ("test", config.test_path)):
        if paths:
            given[name], others = read_caption_files(paths, config)
            skipped = dict(Counter(skipped) + Counter(others))
    fractions = [
        config.split[0],
        *(0.0 if name in given else config.split[i] for i, name in ((1, "valid"), (2, "test"))),
    ]
    pairs = [Pair(caption.image, str(number)) for number, caption in enumerate(read.captions)]
    parts = split_pairs(pairs, [fraction / sum(fractions) for fraction in fractions])
    train, valid, test = (_taken(read, [int(pair.target) for pair in part]) for part in parts)
    found = CaptionSplits(train, given.get("valid", valid), given.get("test", test), skipped)
    for name, part in zip(("training", "validation", "test"), found[:3], strict=True):
        if not part.captions:
            raise InputError(
                f"data: the {name} split is empty: there are {len(pairs)} captions of "
                f"{len({pair.source for pair in pairs})} pictures, and `split` is {tuple(config.split)}. "
                "Give more pictures, or files of their own: --data.valid-path, --data.test-path."
            )
    return found


def read_caption_files(paths: Sequence[str], config: CaptionsConfig) -> tuple[Pictured, dict[str, int]]:
    """The captions of files and folders in order, their pictures, and how many were left out, by why.

    Args:
        paths: see :class:`CaptionsConfig`.
        config: its ``encoding``, ``skip_broken``, ``size`` and ``colour``.

    Raises:
        InputError: with file and line: columns that are missing, an empty caption, languages in some lines only, a
            picture that is missing or broken; what :func:`seqjax.data.text.read_files` refuses; nothing but skipped
            lines.
    """
    listed = [entry for path in paths for entry in _list(Path(os.path.expanduser(path)), config.encoding)]
    pixels: list[np.ndarray] = []
    places: dict[str, int | None] = {}  # of every file among the pixels; None: it is broken
    captions: list[Caption] = []
    skipped: Counter[str] = Counter()
    for where, problem, caption in listed:
        try:
            if caption is None:
                raise InputError(problem)
            if caption.image not in places:
                places[caption.image] = None
                pixels.append(read_picture(caption.image, config.pixels, colour=config.colour))
                places[caption.image] = len(pixels) - 1
        except (PictureError, InputError) as error:
            broken = isinstance(error, PictureError)
            if not (broken or caption is None):
                raise  # Pillow is not installed
            if not config.skip_broken:
                raise InputError(f"data: {where}: {error} {_SKIP}") from None
            kind = "captions of missing or broken pictures" if broken else "broken lines"
            skipped[kind] += 1
            continue
        if places[caption.image] is None:
            skipped["captions of missing or broken pictures"] += 1
        else:
            captions.append(caption)
    if not captions:
        raise InputError(f"data: {', '.join(map(str, paths))} holds no captions, only {len(listed)} that were skipped.")
    _check_languages(captions)
    numbers = np.array([places[caption.image] for caption in captions], np.int64)
    stacked = np.stack(pixels)
    return Pictured(captions, lambda chosen, epoch: stacked[numbers[chosen]].astype(np.float32) / 255), dict(skipped)


class _Entry(NamedTuple):
    where: str
    problem: str
    caption: Caption | None


def _list(path: Path, encoding: str) -> list[_Entry]:
    """What a file or a folder says of pictures, none of which is opened."""
    if path.is_dir():
        lists = [path / name for name in _LISTS if (path / name).is_file()]
        return _list_file(lists[0], encoding) if lists else _list_folder(path, encoding)
    return _list_file(path, encoding)


def _list_file(path: Path, encoding: str) -> list[_Entry]:
    return [
        _entry(path, number, [column.strip() for column in line.split("\t")])
        for number, line in _lines(path, encoding)
        if line.strip()
    ]


def _entry(path: Path, number: int, columns: list[str]) -> _Entry:
    where = f"{path}, line {number}"
    if len(columns) not in (2, 3):
        held = "has no tab" if len(columns) == 1 else f"has {len(columns)} columns"
        return _Entry(where, f"it should be `image TAB caption`, or with TAB language, but it {held}.", None)
    if not all(columns):
        return _Entry(where, "a column is empty.", None)
    image, text, *language = columns
    return _Entry(where, "", Caption(str(path.parent / image), " ".join(text.split()), *language))


def _list_folder(path: Path, encoding: str) -> list[_Entry]:
    named = (file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    pictures = sorted(outside_runs(path, named))
    if not pictures:
        raise InputError(
            f"data: the folder {path} holds neither {' nor '.join(_LISTS)} nor any picture ({', '.join(SUFFIXES)})."
        )
    found = []
    for picture in pictures:
        text = picture.with_suffix(".txt")
        lines = [(n, line) for n, line in _lines(text, encoding) if line.strip()] if text.is_file() else []
        if not lines:
            found.append(_Entry(str(picture), f"there is no caption beside it, in {text.name}.", None))
        found += [
            _Entry(f"{text}, line {number}", "", Caption(str(picture), " ".join(line.split())))
            for number, line in lines
        ]
    return found


def _lines(path: Path, encoding: str) -> list[tuple[int, str]]:
    texts = [text for _, text in read_files([str(path)], encoding)]
    return [(number, line) for text in texts for number, line in enumerate(re.split("\r\n|\n|\r", text), start=1)]


def _check_languages(captions: Sequence[Caption]) -> None:
    named = [bool(caption.language) for caption in captions]
    if any(named) and not all(named):
        without = captions[named.index(False)]
        raise InputError(
            f"data: some captions name their language and others do not, that of {without.image} for instance. Give a "
            "third column to all lines, or to none."
        )


def _taken(pictured: Pictured, chosen: Sequence[int]) -> Pictured:
    """The captions with these numbers."""
    own = np.asarray(chosen, np.int64)
    draw: Callable[[np.ndarray, int], np.ndarray] = pictured.draw
    return Pictured([pictured.captions[n] for n in chosen], lambda numbers, epoch: draw(own[numbers], epoch))


def caption_batches(
    pictured: Pictured,
    texts: Sequence[np.ndarray],
    opening: np.ndarray,
    *,
    patches: int,
    rows: int,
    seed: int = 0,
    train: bool,
    buckets: int | Sequence[int] = 4,
) -> ExampleBatches:
    """Lay pictures and captions into batches of pairs, as :class:`seqjax.models.PairModel` reads them.

    Besides what :class:`ExampleBatches` says, a batch holds ``inputs`` (B, T), what opens the caption and then its
    symbols, ``targets`` (B, T), the symbols and then 0, ``source`` (B, Y, X, C) and ``source_mask`` (B, P).

    Args:
        pictured: N captions, one at least.
        texts: ids (T − 1,) of each.
        opening: (N,) ids, the first input of each.
        patches: P.
        rows: B.
        seed: of the order.
        train: shuffled without end, or once.
        buckets: most different T, or those of the training batches.

    Raises:
        InputError: fewer captions than one batch of training.
    """
    ids = [np.asarray(text, np.int32) for text in texts]
    steps = {
        "inputs": [np.append(np.int32(first), text) for first, text in zip(opening, ids, strict=True)],
        "targets": [np.append(text, np.int32(0)) for text in ids],
    }
    longest = max((len(text) + 1 for text in ids), default=0)
    if isinstance(buckets, int) and longest <= _FEW:
        buckets = (longest,)

    def change(batch, epoch: int):
        drawn = pictured.draw(batch["example"][batch["real"]], epoch)
        source = np.zeros((len(batch["real"]), *drawn.shape[1:]), np.float32)
        source[batch["real"]] = drawn
        return batch | {"source": source, "source_mask": np.repeat(batch["real"][:, None], patches, axis=1)}

    examples = Examples(steps, {})
    return example_batches(examples, rows=rows, seed=seed, train=train, buckets=buckets, change=change)

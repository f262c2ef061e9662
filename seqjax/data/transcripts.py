"""Recordings and what is said in them: files of two columns, or data that is made here, for three splits.

N samples of a sound, T frames.
"""

import itertools
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqjax.checks import InputError
from seqjax.data.sound import read_sound
from seqjax.data.spoken import speak, write_utterances
from seqjax.data.text import read_files
from seqjax.data.transcript_config import SoundConfig, TranscriptsConfig

TOO_LONG = "transcripts longer than their frames"  # why recordings are left out
_SKIP = "Mend it, or leave such lines out and count them: --data.skip-broken."


class Recording(NamedTuple):
    """What is to be transcribed, and how."""

    values: np.ndarray  # samples (N,) of a sound, or columns (T, F) of a picture
    text: str
    place: str  # where it was named, for refusals
    source: str  # of the values: recordings of one source stay in one split


class Medium(NamedTuple):
    """How recordings are read.

    Attributes:
        read: the values of the file with this path.
        frames: ``values -> T``.
    """

    read: Callable[[Path], np.ndarray]
    frames: Callable[[np.ndarray], int]


class Recordings(NamedTuple):
    """Recordings of each split, and what was left out of the files of each, by why."""

    train: list[Recording]
    valid: list[Recording]
    test: list[Recording]
    skipped: dict[str, dict[str, int]]


def frames_needed(text: Sequence[Any]) -> int:
    """The fewest steps that CTC needs for a transcript: one a symbol, and a blank between equal neighbours.

    Example:
        >>> frames_needed("112"), frames_needed("")
        (4, 0)
    """
    return len(text) + sum(a == b for a, b in zip(text[1:], text, strict=False))


def check_frames(where: str, text: str, frames: int, factor: int, symbols: Sequence[int] | None = None) -> None:
    """Refuse a transcript that needs more steps than its frames leave.

    Args:
        where: what the refusal begins with.
        text: the transcript.
        frames: T.
        factor: frames for one step of the model.
        symbols: the ids that are written for it, of which two neighbours may be equal where its characters are not,
            as two unknown ones are; None: a symbol a character.

    Example:
        >>> check_frames("a.tsv, line 1", "aab", 7, 2)
        >>> check_frames("a.tsv, line 1", "aab", 6, 2)
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: data: a.tsv, line 1: the transcript 'aab' needs 4 steps (3 symbols, and a blank ...
    """
    written: Sequence[Any] = text if symbols is None else [*symbols]
    steps, least = -(-frames // factor), frames_needed(written)
    if steps < least:
        shown = text if len(text) <= 40 else text[:39] + "…"
        unknown = " (characters that the model does not know, or --data.min-count leaves out, are all one symbol)"
        raise InputError(
            f"data: {where}: the transcript {shown!r} needs {least} steps ({len(written)} symbols, and a blank between "
            f"equal neighbours{unknown if least > frames_needed(text) else ''}), but the recording has {steps} "
            f"({frames} frames, {factor} a step). Is it the right recording? Else try a smaller --model.factor, or "
            "leave such lines out: --data.skip-broken."
        )


def sound_medium(config: SoundConfig) -> Medium:
    """WAV files, as frames of spectra."""
    window, hop = round(config.window * config.rate), round(config.hop * config.rate)
    return Medium(
        lambda path: read_sound(path, rate=config.rate, resample=config.resample),
        lambda samples: max(0, (len(samples) - window) // hop + 1),
    )


def read_recordings(config: TranscriptsConfig, factor: int) -> Recordings:
    """The recordings of a configuration: those of its files, or what espeak-ng says.

    With ``valid_path`` and ``test_path`` the recordings of ``path`` are for training. With one of them, ``path`` is
    split into training and the one that is missing, in the proportions of ``split``.

    Raises:
        InputError: what :func:`read_recording_files` refuses; an empty split; espeak-ng is missing.
    """
    medium = sound_medium(config.sound)
    if not config.path:
        train, valid, test = (_spoken(part, config, medium, factor) for part in write_utterances(config.spoken))
        return Recordings(train, valid, test, {})
    found, skipped = read_recording_files(config.path, config, medium, factor)
    counts, given = {"train": skipped}, {}
    for name, paths in (("valid", config.valid_path), ("test", config.test_path)):
        if paths:
            given[name], counts[name] = read_recording_files(paths, config, medium, factor)
    shares = [config.split[0], *(0.0 if name in given else config.split[i] for i, name in ((1, "valid"), (2, "test")))]
    train, *others = deal(found, [share / sum(shares) for share in shares])
    valid, test = (given.get(name, part) for name, part in zip(("valid", "test"), others, strict=True))
    for name, part in (("training", train), ("validation", valid), ("test", test)):
        if not part:
            raise InputError(
                f"data: the {name} split is empty: there are {len(found)} recordings, and `split` is "
                f"{tuple(config.split)}. Give more, or files of their own: --data.valid-path, --data.test-path."
            )
    return Recordings(train, valid, test, counts)


def _spoken(utterances, config: TranscriptsConfig, medium: Medium, factor: int) -> list[Recording]:
    found = []
    for path, one in zip(speak(utterances), utterances, strict=True):
        samples = read_sound(path, rate=config.sound.rate, resample=True)
        check_frames(str(path), one.text, medium.frames(samples), factor)
        found.append(Recording(samples, one.text, str(path), str(path)))
    return found


def deal(found: Sequence[Recording], shares: Sequence[float]) -> list[list[Recording]]:
    """Recordings in parts of these shares of their sources, dealt at random, but always alike."""
    sources = {source: number for number, source in enumerate(dict.fromkeys(one.source for one in found))}
    order = np.random.default_rng(0).permutation(len(sources))
    ends = np.round(np.cumsum([0.0, *shares]) * len(sources)).astype(int)
    parts = [set(order[first:end].tolist()) for first, end in itertools.pairwise(ends)]
    return [[one for one in found if sources[one.source] in part] for part in parts]


def read_recording_files(
    paths: Sequence[str], config: TranscriptsConfig, medium: Medium, factor: int
) -> tuple[list[Recording], dict[str, int]]:
    """The recordings that files and folders of ``RECORDING TAB text`` name, and how many were left out, by why.

    Args:
        paths: such files.
        config: says what to do with broken lines.
        medium: how recordings are read.
        factor: frames for one step of the model.

    Raises:
        InputError: with file and line: not two columns, an empty text, a recording that is missing or broken, or has
            fewer frames than CTC needs for its transcript; nothing but broken lines.
    """
    found: list[Recording] = []
    skipped: dict[str, int] = {}
    for file, text in read_files(paths, config.encoding):
        lines = re.split("\r\n|\n|\r", text)
        for number, line in enumerate(lines[: len(lines) - (not lines[-1])], start=1):
            try:
                found.append(_recording(line, f"{file}, line {number}", Path(file).parent, config, medium, factor))
            except _BrokenLineError as broken:
                if not config.skip_broken:
                    raise InputError(str(broken)) from None
                skipped[broken.why] = skipped.get(broken.why, 0) + 1
    if not found:
        many = ", ".join(f"{count} {why}" for why, count in skipped.items())
        raise InputError(
            f"data: {', '.join(map(str, paths))} names no recording that can be used: {many or 'no lines'}."
        )
    return found, skipped


class _BrokenLineError(InputError):
    """A line that cannot be used; ``why`` in a word or two."""

    def __init__(self, why: str, text: str):
        super().__init__(text)
        self.why = why


def _recording(line: str, place: str, folder: Path, config, medium: Medium, factor: int) -> Recording:
    columns = [column.strip() for column in line.split("\t")]
    if len(columns) != 2 or not all(columns):
        held = f"has {len(columns)} column(s)" if len(columns) != 2 else "has an empty column"
        shown = line if len(line) <= 60 else line[:59] + "…"
        raise _BrokenLineError(
            "broken lines", f"data: {place} should be `RECORDING TAB text`, but it {held}: {shown!r}. {_SKIP}"
        )
    path, text = folder / os.path.expanduser(columns[0]), columns[1].lower() if config.lower else columns[1]
    try:
        values = medium.read(path)
    except InputError as error:
        raise _BrokenLineError(
            "broken recordings", f"{str(error).rstrip('.')}. It is named in {place}. {_SKIP}"
        ) from None
    try:
        check_frames(place, text, medium.frames(values), factor)
    except InputError as error:
        raise _BrokenLineError(TOO_LONG, str(error)) from None
    return Recording(values, text, place, os.path.realpath(path))

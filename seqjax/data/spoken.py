"""Speech that is made here: numbers, digit by digit, and dates, said by espeak-ng in many voices.

Sound files are kept in a folder for temporary files, so that the next run finds them.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError
from seqjax.data.sound import CONVERT, read_wav
from seqjax.data.transcript_config import SpokenConfig

PROGRAM = "espeak-ng"
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
TEENS = (
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip


class Utterance(NamedTuple):
    """What is said, and how."""

    text: str
    voice: str
    speed: int  # words a minute
    pitch: int  # 0 to 99


def write_utterances(config: SpokenConfig) -> list[list[Utterance]]:
    """Training, validation and test utterances: half of them three to six digits, half of them a day of a month.

    Example:
        >>> train, valid, test = write_utterances(SpokenConfig(utterances=2, held=1))
        >>> len(train), len(valid[0].text.split()) > 1
        (2, True)
    """
    return [
        [_utterance(np.random.default_rng((config.seed, part, number)), config) for number in range(size)]
        for part, size in enumerate((config.utterances, config.held, config.held))
    ]


def _utterance(random: np.random.Generator, config: SpokenConfig) -> Utterance:
    if random.random() < 0.5:
        text = " ".join(DIGITS[digit] for digit in random.integers(0, 10, random.integers(3, 7)))
    else:
        text = f"{MONTHS[random.integers(12)]} {in_words(int(random.integers(1, 31)))}"
    speed, pitch = (int(random.integers(low, high + 1)) for low, high in (config.speed, config.pitch))
    return Utterance(text, config.voices[random.integers(len(config.voices))], speed, pitch)


def in_words(number: int) -> str:
    """A number below 40 in words.

    Example:
        >>> in_words(7), in_words(12), in_words(30), in_words(21)
        ('seven', 'twelve', 'thirty', 'twenty one')
    """
    tens, ones = divmod(number, 10)
    if tens < 2:
        return (DIGITS + TEENS)[number]
    return ("twenty", "thirty")[tens - 2] + (f" {DIGITS[ones]}" if ones else "")


def command(utterance: Utterance, path: Path) -> list[str]:
    """The command that writes an utterance to a WAV file.

    Example:
        >>> " ".join(command(Utterance("one two", "en+f2", 150, 50), Path("1.wav")))
        'espeak-ng -v en+f2 -s 150 -p 50 -w 1.wav -- one two'
    """
    how = ["-v", utterance.voice, "-s", str(utterance.speed), "-p", str(utterance.pitch)]
    return [PROGRAM, *how, "-w", str(path), "--", utterance.text]


def run_program(words: Sequence[str]) -> None:
    """Run a command, quietly.

    Raises:
        InputError: it cannot be started, or it fails, with what it said.
    """
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
        )  # fmt: skip
    except OSError as error:
        raise InputError(f"data.spoken: the program {words[0]} cannot be started: {error.strerror}.") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise InputError(f"data.spoken: `{' '.join(words)}` failed: {said[:200]}")


def speak(
    utterances: Sequence[Utterance], folder: Path | None = None, *, run: Callable[[Sequence[str]], None] = run_program
) -> list[Path]:  # fmt: skip
    """A WAV file of each utterance; those that are there already, and can be read, are not made again.

    Args:
        utterances: what to say.
        folder: where files are kept; None: a folder for temporary files.
        run: runs a command.

    Raises:
        InputError: espeak-ng is not installed, fails (it does not know the voice, say), or writes no sound.
    """
    if shutil.which(PROGRAM) is None and run is run_program:
        raise InputError(
            f"data: `source` spoken needs the program {PROGRAM}, which is not on this machine. Install it (on Debian "
            f"and Ubuntu: apt install {PROGRAM}), or give recordings of your own: --data.path FILE."
        )
    folder = folder or Path(tempfile.gettempdir()) / "seqjax-spoken"
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for utterance in utterances:
        path = folder / f"{hashlib.sha256(repr(tuple(utterance)).encode()).hexdigest()[:24]}.wav"
        if not _is_sound(path):
            part = path.with_suffix(f".{os.getpid()}.part")
            try:
                _say(utterance, part, run)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
        found.append(path)
    return found


def _is_sound(path: Path) -> bool:
    with contextlib.suppress(InputError):
        return len(read_wav(path)[0]) > 0
    return False


def _say(utterance: Utterance, path: Path, run: Callable[[Sequence[str]], None]) -> None:
    """Write one file, or say which voice it was that could not."""
    words = command(utterance, path)
    advice = (
        f"Does it know the voice {utterance.voice!r} (--data.spoken.voices)? `{PROGRAM} --voices` lists languages, "
        f"`{PROGRAM} --voices=variant` what may stand behind a +."
    )
    try:
        run(words)
    except InputError as error:
        raise InputError(f"{str(error).rstrip('.')}. {advice}") from None
    try:
        read_wav(path)
    except InputError as error:
        said = str(error).removeprefix("data: ").partition(CONVERT)[0].strip().rstrip(".")
        raise InputError(f"data.spoken: `{' '.join(words)}` wrote no sound: {said}. {advice}") from None

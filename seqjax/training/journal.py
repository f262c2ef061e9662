"""The written record of a run: metrics.jsonl and samples.txt, which a resumed run cuts back to its checkpoint.

Rows of a step must be written before that step's checkpoint is saved: then a resumed record is, row for
row, the record of a run that was never stopped.
"""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from seqjax.checks import InputError
from seqjax.training.manifest import write_whole

HEADING = re.compile(r"=== step (\d+) ===")


class Journal:
    """Rows of numbers, one JSON object a line, each on the disk's cache as soon as it is written.

    The file is opened by the first row, so a process that writes nothing makes no file.

    Args:
        folder: of the run.
        name: of the file.

    Example:
        >>> import tempfile
        >>> journal = Journal(Path(tempfile.mkdtemp()))
        >>> for step in (10, 20, 30):
        ...     journal.write({"step": step, "split": "train", "loss": 1 / step})
        >>> journal.cut(20)
        >>> [row["step"] for row in read(journal.path)]
        [10, 20]
    """

    def __init__(self, folder: str | Path, name: str = "metrics.jsonl"):
        self.path = Path(folder) / name

    def write(self, row: dict[str, Any]) -> None:
        """Add a row. Floats come back exactly; NaN and infinities, which JSON has not, become ``null``.

        Raises:
            InputError: the row has no whole number ``step``, or the file cannot be written.
        """
        if not isinstance(row.get("step"), int | np.integer):
            raise InputError(f"{self.path}: a row should have a `step`, a whole number, but it is {row.get('step')!r}.")
        _append(self.path, as_json(row) + "\n")

    def cut(self, step: int) -> None:
        """Drop rows of later steps, of the test split, and a last line that a kill left half-written.

        The test split is measured again when training ends again. The file changes whole or not at all.
        """
        if self.path.exists():
            kept = [line for line, row in _lines(self.path) if row["step"] <= step and row.get("split") != "test"]
            _replace(self.path, b"".join(line + b"\n" for line in kept))


def read(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a metrics.jsonl; a last line that a kill left half-written is overlooked.

    Raises:
        InputError: another line is no JSON object with a ``step``; its number is named.
    """
    return [row for _, row in _lines(Path(path))]


def append_sample(path: str | Path, step: int, text: str) -> None:
    """Add a block to samples.txt: a heading that names the step, and the text.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "samples.txt"
        >>> append_sample(path, 10, "the cat")
        >>> append_sample(path, 20, "the cat sat")
        >>> cut_samples(path, 10)
        >>> print(path.read_text().strip())
        === step 10 ===
        the cat
    """
    body = "\n".join(" " + line if HEADING.match(line) else line for line in text.split("\n"))
    _append(Path(path), f"=== step {step} ===\n{body}\n\n")


def cut_samples(path: str | Path, step: int) -> None:
    """Drop the blocks of later steps."""
    path = Path(path)
    if not path.exists():
        return
    kept, keep = [], True
    for line in path.read_bytes().split(b"\n")[:-1]:
        heading = HEADING.match(line.decode(errors="replace"))
        keep = int(heading[1]) <= step if heading else keep
        if keep:
            kept.append(line + b"\n")
    _replace(path, b"".join(kept))


def _lines(path: Path) -> list[tuple[bytes, dict[str, Any]]]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"{path}: the record cannot be read ({error.strerror}).") from None
    found = []
    for number, line in enumerate(lines, start=1):
        row = _row(line)
        if row is not None:
            found.append((line, row))
        elif number < len(lines):
            raise InputError(
                f"{path}: line {number} should be a JSON object with a `step`, but it is {line[:60]!r}. "
                "Mend or delete that line."
            )
    return found


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and type(row.get("step")) is int else None


def as_json(value: Any) -> str:
    """``value`` as JSON; a number that is not finite, which JSON does not know, is null.

    Example:
        >>> as_json({"loss": float("nan"), "step": 3})
        '{"loss": null, "step": 3}'
    """
    return json.dumps(_plain(value), allow_nan=False)


def _plain(value: Any) -> Any:
    """What JSON can hold."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _append(path: Path, text: str) -> None:
    try:
        with open(path, "ab") as file:
            file.write(text.encode(errors="replace"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror}). Make room, then give the same command."
        ) from None


def _replace(path: Path, data: bytes) -> None:
    try:
        if data != path.read_bytes():
            write_whole(path, data)
    except OSError as error:
        raise InputError(f"{path}: cannot be cut back ({error.strerror}). Make room, then try again.") from None

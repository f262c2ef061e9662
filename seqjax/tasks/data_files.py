"""The files that a run read when it began, so that it is said when they are others: ``data.json`` in its folder.

A split is cut from a whole file. If the file is another one, the test split may hold what was trained on.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seqjax.checks import InputError
from seqjax.data.text import outside_runs
from seqjax.training.configuration import read_json
from seqjax.training.folder import RunFolder

END = 1 << 20  # bytes at the beginning and at the end of a file that its digest is of, with its size


def remember_files(config: Any, folder: RunFolder) -> None:
    """Write down what the data files of a run are that begins."""
    if found := dict(_outlines(config)):
        draft = folder.data.with_name("data.draft")
        draft.write_text(json.dumps(found, indent=1, sort_keys=True), encoding="utf-8")
        os.replace(draft, folder.data)


def changed_files(config: Any, folder: RunFolder) -> str:
    """What to say of data files that are not those which the run began with; nothing where all are, or it is not known.

    Where no file is there at all, nothing is said: reading them is refused.

    Example:
        >>> changed_files(None, RunFolder(Path("nowhere")))
        ''
    """
    if not folder.data.exists():
        return ""
    had, found = read_json(folder.data), dict(_outlines(config))
    if not isinstance(had, dict):
        raise InputError(f"{folder.data}: should be an object with the files of a run, but it is {had!r:.60}.")
    others = [name for name in sorted({*had, *found}) if had.get(name) != found.get(name)]
    if not others or not found:
        return ""
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return (
        f"note: {others[0]}{more}: not what this run began with. What is split off for validation and test may have "
        "been trained on; for other data, give another --out."
    )


@contextlib.contextmanager
def naming_own_files(config: Any) -> Iterator[None]:
    """Where a run's own file is missing that is named from the folder of training, refusals say whose it is."""
    try:
        yield
    except InputError as error:
        for flag, path in _paths(config):
            if path in str(error) and not os.path.isabs(os.path.expanduser(path)) and not os.path.exists(path):
                raise InputError(
                    f"{error}\n(It is the run's own {flag}, named from the folder where training was started: "
                    "go there, or give --data.path FILE.)"
                ) from None
        raise


def _paths(config: Any) -> Iterator[tuple[str, str]]:
    """The files and folders that the data of a configuration names, each with its dotted name."""
    data = getattr(config, "data", None)
    if dataclasses.is_dataclass(data) and not isinstance(data, type):
        yield from _paths_in(dataclasses.asdict(data), "data")


def _paths_in(data: Mapping[str, Any], where: str) -> Iterator[tuple[str, str]]:
    for name, value in data.items():
        if isinstance(value, dict):
            yield from _paths_in(value, f"{where}.{name}")
        elif name.endswith("path"):
            paths = [value] if isinstance(value, str) else value or ()
            yield from ((f"{where}.{name}", path) for path in paths if path)


def _outlines(config: Any) -> Iterator[tuple[str, list]]:
    """Each file that a configuration names, or that a folder holds, with its size and a digest."""
    for _, name in _paths(config):
        root = Path(name).expanduser()
        for path in sorted(outside_runs(root, root.rglob("*"))) if root.is_dir() else [root]:
            if path.is_file():
                yield str(path), _outline(path)


def _outline(path: Path) -> list:
    with path.open("rb") as file:
        size, digest = path.stat().st_size, hashlib.blake2b(file.read(END), digest_size=16)
        if size > END:
            file.seek(max(END, size - END))
            digest.update(file.read())
    return [size, digest.hexdigest()]

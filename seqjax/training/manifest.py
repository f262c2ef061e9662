"""Digests of every file of a checkpoint: one flipped byte is noticed, and its file named.

Orbax restores altered array data without a word, so a checkpoint counts only while it agrees with its
manifest. The manifest is written last: a folder without one was never finished.
"""

import contextlib
import errno
import hashlib
import json
import os
from pathlib import Path

NAME = "manifest.json"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, also when the machine stops half-way.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "note"
        >>> write_whole(path, b"all of it")
        >>> path.read_bytes()
        b'all of it'
    """
    draft = path.with_name(path.name + ".draft")
    with open(draft, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    _settle(path.parent)


def seal(folder: Path, step: int) -> None:
    """Digest all files of a finished checkpoint and put its manifest in place; both are on the disk afterwards."""
    files = {name: _digest(folder / name, settle=True) for name in _names(folder)}
    for inner in sorted({(folder / name).parent for name in files}):
        _settle(inner)
    write_whole(folder / NAME, _encode({"step": step, "files": files}))
    _settle(folder.parent)


def is_sealed(folder: Path, step: int) -> bool:
    """Whether the manifest is there and whole; the files are not read."""
    return isinstance(_read(folder, step), dict)


def fault(folder: Path, step: int) -> str | None:
    """What is wrong with a checkpoint's files, the file named; ``None`` if every byte is as it was written.

    Hidden files that somebody else put there (names with a leading dot) are overlooked.
    """
    files = _read(folder, step)
    if isinstance(files, str):
        return files
    there = _names(folder)
    for name in sorted(files.keys() | there):
        if name not in there:
            return f"the file {name} is missing"
        if name not in files:
            return f"the file {name} is not of this checkpoint: its manifest does not list it"
        try:
            got = _digest(folder / name)
        except OSError as error:
            return f"the file {name} cannot be read ({error.strerror})"
        if got["bytes"] != files[name]["bytes"]:
            return f"the file {name} has {got['bytes']:,} bytes, but {files[name]['bytes']:,} were written"
        if got != files[name]:
            return f"the file {name} is damaged: its bytes are not those that were written"
    return None


def _read(folder: Path, step: int) -> dict[str, dict] | str:
    """The files by name, or what is wrong with the manifest."""
    try:
        data = (folder / NAME).read_bytes()
    except FileNotFoundError:
        return f"it was never finished: the file {NAME} is missing"
    except OSError as error:
        return f"the file {NAME} cannot be read ({error.strerror})"
    try:
        content = json.loads(data.split(b"\n")[0])
        whole = _encode(content) == data
    except ValueError:
        whole = False
    if not whole:
        return f"the file {NAME} is damaged: it does not agree with its own digest"
    if content["step"] != step:
        return f"the file {NAME} is of step {content['step']}, not of step {step}: was the folder renamed?"
    return content["files"]


def _encode(content: dict) -> bytes:
    """One line of JSON, and one line with its digest."""
    body = json.dumps(content, sort_keys=True).encode()
    return body + b"\n" + hashlib.blake2b(body, digest_size=32).hexdigest().encode() + b"\n"


def _names(folder: Path) -> set[str]:
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    own = {NAME, NAME + ".draft"}
    return {path.relative_to(folder).as_posix() for path in found} - own


def _digest(path: Path, settle: bool = False) -> dict:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32)).hexdigest()
        size = os.fstat(file.fileno()).st_size
        if settle:
            os.fsync(file.fileno())
    return {"bytes": size, "blake2b": digest}


def _settle(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can be asked that of a folder."""
    with contextlib.suppress(PermissionError):  # Windows opens no folder
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        finally:
            os.close(handle)

"""Files and folders to documents of text, and every way in which that goes wrong.

A document is a ``str``; its line ends are kept as they are. Files are read one at a time.
"""

import codecs
import difflib
import functools
import os
import pathlib
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence

from seqjax.checks import InputError, nearest
from seqjax.data.config import DataConfig

_ENCODINGS = ("ascii", "cp1252", "latin-1", "utf-16", "utf-32", "utf-8")
_GZIP = b"\x1f\x8b"
_SHOWN = 3  # files that were skipped and are named
_SEPARATORS = {"paragraph": re.compile(r"(?:\r\n|\r|\n)(?:[^\S\r\n]*(?:\r\n|\r|\n))+"), "line": re.compile("[\r\n]+")}


def embedded_documents() -> list[str]:
    """The documentation that ships inside Python: one document a topic, in alphabetical order.

    Example:
        >>> embedded_documents()[0].split()[1]
        '"assert"'
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise InputError("data: this Python comes without pydoc_data. Give a text of your own: --data.path") from None
    return [topics[name] for name in sorted(topics)]


def read_documents(paths: Sequence[str], config: DataConfig) -> list[str]:
    """Read files and folders, in the order given; a folder's files in alphabetical order.

    Links to folders are followed. Hidden, empty and binary files of a folder are skipped, and folders of runs in it,
    which change as they train; standard error says so.

    Args:
        paths: files or folders; none at all is :func:`embedded_documents`.
        config: its ``encoding``, and its ``documents``: one a file, a paragraph (blank lines between) or a line.

    Returns:
        Documents with at least one character each.

    Raises:
        InputError: missing, empty, unreadable or binary files, folders without text, bytes that are not text.
    """
    whole = (text for _, text in read_files(paths, config.encoding)) if paths else iter(embedded_documents())
    documents = [document for text in whole for document in divide(text, config.documents)]
    if not documents:
        raise InputError(f"data: {', '.join(map(str, paths))} holds nothing but empty lines.")
    return documents


def read_files(paths: Sequence[str], encoding: str) -> Iterator[tuple[pathlib.Path, str]]:
    """Each file's path and its text, whole, one file at a time, in the order of :func:`read_documents`.

    Raises:
        InputError: missing, empty, unreadable or binary files, folders without text, bytes that are not text.
    """
    check_encoding(encoding)
    for path in paths:
        yield from _read_path(pathlib.Path(os.path.expanduser(path)), encoding)


def divide(text: str, documents: str) -> list[str]:
    """Cut a text into its paragraphs or lines, without the empty ones; ``"file"`` leaves it whole.

    Example:
        >>> divide("One\\nis.\\n\\nTwo.", "paragraph")
        ['One\\nis.', 'Two.']
    """
    parts = [text] if documents == "file" else _SEPARATORS[documents].split(text)
    return [part for part in parts if part and (documents == "file" or not part.isspace())]


def check_encoding(encoding: str) -> None:
    """Refuse the name of an encoding that Python does not know, or that is not one of text.

    Example:
        >>> check_encoding("latin1")
        >>> check_encoding("utf-9")
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: data: `encoding` 'utf-9' is unknown. Did you mean `utf-8`? Known: ...
    """
    try:
        "".encode(encoding)
    except (LookupError, ValueError, TypeError):
        raise InputError(f"data: `encoding` {encoding!r} is unknown. {nearest(encoding, _ENCODINGS)}") from None


def _read_path(path: pathlib.Path, encoding: str) -> Iterator[tuple[pathlib.Path, str]]:
    mode = _mode(path)
    if stat.S_ISDIR(mode):
        yield from _read_folder(path, encoding)
    elif stat.S_ISREG(mode) or stat.S_ISFIFO(mode):
        data = _read_bytes(path)
        if not data:
            raise InputError(f"data: {path} is empty.")
        if kind := _binary_kind(data, encoding):
            raise InputError(f"data: {path} is binary{_why_binary(data, kind)}")
        yield path, _decode(path, data, encoding)
    else:
        raise InputError(f"data: {path} is neither a file nor a folder.")


def _read_folder(folder: pathlib.Path, encoding: str) -> Iterator[tuple[pathlib.Path, str]]:
    files, left = _files_below(folder)
    texts, skipped = 0, []
    for file in files:
        data = _read_bytes(file)
        kind = _binary_kind(data, encoding) if data else "empty"
        if kind:
            skipped.append((file, kind))
            continue
        texts += 1
        yield file, _decode(file, data, encoding)
    skipped = sorted(skipped, key=lambda one: not one[1].startswith("UTF-16")) + left
    named = ", ".join(f"{file.relative_to(folder)} ({kind})" for file, kind in skipped[:_SHOWN])
    named += ", …" if len(skipped) > _SHOWN else ""
    if not texts:
        raise InputError(
            f"data: the folder {folder} holds no text files (hidden, empty and binary files do not count)"
            + (f". Skipped: {named}." if skipped else ".")
        )
    if skipped:
        print(f"{folder}: {texts:,} files read, {len(skipped):,} skipped: {named}", file=sys.stderr)


def is_run(folder: pathlib.Path) -> bool:
    """Whether this is the folder of a run: what stands there is written by training, and no data."""
    return (folder / "config.json").is_file() and (folder / "checkpoints").is_dir()


def outside_runs(folder: pathlib.Path, files: Iterable[pathlib.Path]) -> list[pathlib.Path]:
    """Those of the files below a folder that stand in no folder of a run below it.

    Example:
        >>> outside_runs(pathlib.Path("data"), [pathlib.Path("data/a/b.txt")])
        [PosixPath('data/a/b.txt')]
    """
    known = functools.cache(is_run)
    return [file for file in files if not any(known(folder / way) for way in [*file.relative_to(folder).parents][:-1])]


def _files_below(folder: pathlib.Path) -> tuple[list[pathlib.Path], list[tuple[pathlib.Path, str]]]:
    """The files in a folder; and what is left out, a folder as one, and why. Links to folders are followed once."""

    def refuse(error: OSError):
        raise _unreadable(pathlib.Path(error.filename), error)

    found, left, walked = [], [], set()
    tops = [str(folder)]
    for top in tops:  # links come after what really stands here
        for parent, folders, names in os.walk(top, onerror=refuse):
            if (own := os.path.realpath(parent)) in walked:
                folders.clear()
                continue
            walked.add(own)
            left += [(pathlib.Path(parent, name), "hidden") for name in [*folders, *names] if name.startswith(".")]
            runs = {name for name in folders if not name.startswith(".") and is_run(pathlib.Path(parent, name))}
            left += [(pathlib.Path(parent, name), "a run") for name in runs]
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in runs)
            tops += [path for name in folders if os.path.islink(path := os.path.join(parent, name))]
            found += [pathlib.Path(parent, name) for name in names if not name.startswith(".")]
    return sorted(file for file in found if file.is_file()), sorted(left)


def _mode(path: pathlib.Path) -> int:
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"data: {path} does not exist. {_nearest_file(path)}".rstrip()) from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def _nearest_file(path: pathlib.Path) -> str:
    if not path.parent.is_dir():
        return f"Neither does the folder {path.parent}."
    try:
        names = sorted(os.listdir(path.parent))
    except OSError:
        return ""
    similar = difflib.get_close_matches(path.name, names, n=1, cutoff=0.4)
    return f"Did you mean {path.parent / similar[0]}?" if similar else ""


def _read_bytes(path: pathlib.Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: pathlib.Path, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or str(error)
    return InputError(f"data: {path} cannot be read: {reason}.")


def _binary_kind(data: bytes, encoding: str) -> str:
    """What bytes are that are no text, "" if they may be: text has no NUL, unless its characters are wider."""
    if data.startswith(_GZIP):
        return "gzip"
    if b"\0" not in data or b"\0" in "a".encode(encoding)[-2:]:
        return ""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return "UTF-16, try --data.encoding utf-16" if wide else "binary"


def _why_binary(data: bytes, kind: str) -> str:
    if kind == "gzip":
        return ", compressed by gzip. Unpack it first: gunzip FILE.gz."
    hint = "It starts like UTF-16: try --data.encoding utf-16." if kind != "binary" else "Give a file of text."
    return f": byte {data.index(0)} is NUL. {hint}"


def _decode(path: pathlib.Path, data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        other = "utf-8" if codecs.lookup(encoding).name != "utf-8" else "latin-1"
        raise InputError(
            f"data: {path} is not {encoding}: byte {error.start} is 0x{data[error.start]:02x} ({error.reason}). "
            f"Try --data.encoding {other}."
        ) from None
    except UnicodeError as error:
        raise InputError(f"data: {path} is not {encoding}: {error}. Try --data.encoding utf-8.") from None

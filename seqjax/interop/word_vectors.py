"""Files of word vectors: word2vec text and binary, GloVe text, read one line at a time.

A file of any size is cut to a vocabulary while it is read. Names that end in ``.gz`` are unpacked on the way.

V words, E features.
"""

import contextlib
import gzip
import os
import pathlib
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import BinaryIO, Literal, NamedTuple, cast, get_args

import numpy as np

from seqjax.checks import InputError, check_choice, check_shape

Format = Literal["word2vec", "word2vec-binary", "glove"]
HEADER = re.compile(rb"\s*(\d{1,15})\s+(\d{1,7})\s*")
NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf(inity)?)", re.IGNORECASE)
BLOCK = 1 << 20  # bytes
LONGEST = 1 << 12  # bytes of a word; with no end after that many, this is no file of vectors


class WordVectors(NamedTuple):
    """Words and their vectors, in the order of the file."""

    words: tuple[str, ...]  # V, each once
    vectors: np.ndarray  # (V, E) float32


class Shape(NamedTuple):
    """What the beginning of a file says."""

    format: Format
    words: int | None  # V, as the header promises; None: there is no header
    features: int  # E


def read_vectors(
    path: str | os.PathLike, words: Collection[str] | None = None, limit: int | None = None
) -> WordVectors:
    """Read a file of word vectors, whichever of the formats it has.

    Only what is kept is held in memory. A word that comes twice counts once, with its first vector.

    Args:
        path: the file.
        words: keep these only; None: all.
        limit: look at the first so many vectors only; None: at all.

    Raises:
        InputError: no file, or not one of word vectors; a vector with another number of features than the first; a
            number that is none; fewer or more vectors than the header promises; none of ``words`` is there.

    Source:
        Mikolov et al. (2013) and Pennington et al. (2014), the formats of their programs.

    Example:
        >>> import tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "vectors.txt"
        >>> _ = path.write_text("2 3\\ncat 1 0 0.5\\ndog 0 1 0.25\\n")
        >>> read_vectors(path, words={"dog", "emu"})
        WordVectors(words=('dog',), vectors=array([[0.  , 1.  , 0.25]], dtype=float32))
    """
    shape = read_shape(path)
    wanted = None if words is None else frozenset(words)
    rows = _binary_rows if shape.format == "word2vec-binary" else _text_rows
    found: dict[str, None] = {}
    numbers = bytearray()  # grows in place
    with _open(path) as file:
        for where, name, row in rows(file, shape, limit, str(path), wanted):
            if name in found:
                continue
            if not np.isfinite(row).all():
                raise InputError(f"{where}: the vector of {name!r} holds a number that is not finite.")
            found[name] = None
            numbers += row.tobytes()
    if not found:
        raise InputError(_nothing(path, wanted))
    return WordVectors(tuple(found), np.frombuffer(numbers, "<f4").reshape(len(found), shape.features))


def read_shape(path: str | os.PathLike) -> Shape:
    """Which format a file has, how many vectors it promises and how wide they are; only its beginning is read.

    Raises:
        InputError: no file, or not one of word vectors.
    """
    with _open(path) as file:
        first, rest = file.readline(BLOCK), file.read(BLOCK)
    header = HEADER.fullmatch(first)
    if header is None:
        return Shape("glove", None, _glove_features(path, first))
    count, features = map(int, header.groups())
    if not (count and features):
        raise InputError(f"{path}: the header promises {count} vectors of {features} numbers, so there is nothing.")
    if not rest:
        raise InputError(f"{path}: truncated: the header promises {count} vectors, and nothing follows.")
    second = rest.split(b"\n", 1)[0]
    text = _is_text(second, features)
    return Shape("word2vec" if text else "word2vec-binary", count, features)


def write_vectors(
    path: str | os.PathLike, words: Sequence[str], vectors: np.ndarray, format: Format = "word2vec"
) -> None:
    """Write word vectors so that every bit of them is read back.

    Args:
        path: the file; an old one is replaced.
        words: V, without white space.
        vectors: (V, E).
        format: ``word2vec``: text with a header; ``word2vec-binary``; ``glove``: text without.

    Raises:
        InputError: as many words as vectors are wanted; a word with white space or without a character; a format that
            is none.
    """
    check_choice("write_vectors", "format", format, get_args(Format))
    vectors = np.asarray(vectors, "<f4")
    check_shape("write_vectors", "vectors", vectors, "(V, E)", (len(words), None))
    for word in words:
        if not word or set(word) & set(" \t\r\n"):
            raise InputError(f"write_vectors: {word!r} cannot stand in such a file: white space ends a word there.")
    numbers = " ".join(["%.9g"] * vectors.shape[1])
    with open(path, "wb") as file:
        if format != "glove":
            file.write(f"{len(words)} {vectors.shape[1]}\n".encode())
        for word, row in zip(words, vectors, strict=True):
            file.write(word.encode() + b" ")
            file.write(row.tobytes() if format == "word2vec-binary" else (numbers % tuple(row.tolist())).encode())
            file.write(b"\n")


Row = tuple[str, str, np.ndarray]  # where it stands, the word, its vector (E,)


def _text_rows(file: BinaryIO, shape: Shape, limit: int | None, path: str, wanted) -> Iterator[Row]:
    """Vectors of a text file, those of ``wanted`` only; every line must have the right number of fields."""
    header = shape.words is not None
    if header:
        file.readline()
    read = 0
    for number, line in enumerate(file, 1 + header):
        if not line.strip():
            continue
        if limit is not None and read >= limit:
            return
        read += 1
        where = f"{path}, line {number}"
        word, fields = _split_line(line, shape.features, where)
        name = word.decode("utf-8", "replace")
        if wanted is None or name in wanted:
            yield where, name, _numbers(fields, where)
    if shape.words is not None and read != shape.words:
        kind = "truncated: the" if read < shape.words else "the"
        raise InputError(f"{path}: {kind} header promises {shape.words:,} vectors, but {read:,} stand in the file.")


def _split_line(line: bytes, features: int, where: str) -> tuple[bytes, bytes]:
    """The word and the numbers behind it. A word may hold spaces, as some of GloVe's do, but no numbers behind one."""
    line = line.strip(b" \t\r\n").replace(b"\t", b" ")
    if line.count(b" ") == features:
        word, fields = line.split(b" ", 1)
        return word, fields
    parts = line.split()
    word, extra = parts[0], parts[1 : max(1, len(parts) - features)]
    if len(parts) <= features or any(NUMBER.fullmatch(part) for part in extra):
        raise InputError(
            f"{where}: the vector of {_shown(word)} has {len(parts) - 1} numbers, "
            f"but {features} are wanted, as before it. Is the file damaged there?"
        )
    return b" ".join([word, *extra]), b" ".join(parts[len(parts) - features :])


def _numbers(fields: bytes, where: str) -> np.ndarray:
    try:
        return np.array([float(field) for field in fields.split(b" ")], "<f4")
    except ValueError:
        bad = next((field for field in fields.split(b" ") if not NUMBER.fullmatch(field)), b"")
        raise InputError(f"{where}: {_shown(bad)} stands where a number should.") from None


def _binary_rows(file: BinaryIO, shape: Shape, limit: int | None, path: str, wanted) -> Iterator[Row]:
    """Vectors of a binary file: a word, a space, E float32 of little end, and perhaps a line end."""
    assert shape.words is not None
    file.readline()
    width, held, at = 4 * shape.features, b"", 0
    for number in range(1, 1 + min(shape.words, shape.words if limit is None else limit)):
        where = f"{path}, vector {number}"
        while (end := held.find(b" ", at)) < 0 or end + 1 + width > len(held):
            if end < 0 and len(held) - at > LONGEST:
                raise InputError(f"{where}: no word begins here. Is this word2vec's binary format?")
            more = file.read(BLOCK)
            if not more:
                raise InputError(
                    f"{path}: truncated: the header promises {shape.words:,} vectors of {shape.features} numbers, "
                    f"but the file ends in vector {number:,}."
                )
            held, at = held[at:] + more, 0
        name = held[at:end].lstrip(b"\r\n").decode("utf-8", "replace")
        if wanted is None or name in wanted:
            yield where, name, np.frombuffer(held, "<f4", shape.features, end + 1)
        at = end + 1 + width
    whole = limit is None or limit >= shape.words
    if whole and (held[at:] + file.read(BLOCK)).strip(b"\r\n"):
        raise InputError(f"{path}: more follows after the {shape.words:,} vectors that the header promises.")


def _glove_features(path, line: bytes) -> int:
    parts = line.split()
    features = 0
    while features < len(parts) - 1 and NUMBER.fullmatch(parts[-1 - features]):
        features += 1
    if features < 2:
        raise InputError(
            f"{path}: this is no file of word vectors. Its first line should be the numbers of words and features "
            f"(word2vec), or a word and its numbers (GloVe), but it is {_shown(line)}."
        )
    return features


def _is_text(line: bytes, features: int) -> bool:
    """Whether a line is a word and what should be numbers, rather than bits."""
    parts = line.split()
    numbers = b" ".join(parts[1:]) or line
    readable = all(byte in b"\t\r" or 32 <= byte < 127 for byte in numbers)
    return readable or (len(parts) > features and all(NUMBER.fullmatch(part) for part in parts[-features:]))


def _shown(found: bytes) -> str:
    """What stands in a file, as a refusal quotes it."""
    return repr(found[:60].decode("utf-8", "replace"))


def _nothing(path, wanted: Iterable[str] | None) -> str:
    if wanted is None:
        return f"{path}: there is no vector in it."
    some = ", ".join(sorted(wanted)[:3])
    return (
        f"{path}: no word in common: none of the {len(list(wanted)):,} words wanted ({some}, …) stands there. "
        f"Is it of another language, or written in another case?"
    )


@contextlib.contextmanager
def _open(path: str | os.PathLike) -> Iterator[BinaryIO]:
    path = pathlib.Path(path).expanduser()
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            raise InputError(f"{path}: this is a folder, but a file of word vectors is wanted.")
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb", BLOCK) as file:
            yield cast(BinaryIO, file)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file of word vectors.") from None
    except EOFError:
        raise InputError(f"{path}: truncated: it ends before what was packed in it does.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from None

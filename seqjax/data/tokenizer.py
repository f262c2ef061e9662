"""Text to integer ids and back.

Id 0 is always the document boundary ``<doc>``, which no text produces. Where a tokenizer can meet something it
never saw, id 1 is ``<unk>``. What is saved is a ``tokenizer.json`` of the ``tokenizers`` library, which loads there
to the same ids; characters and bytes are looked up with numpy, which is faster.
"""

import functools
import json
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import tokenizers

from seqjax.checks import InputError, check_ids
from seqjax.data.config import Kind
from seqjax.data.decoder import Decoder

DOCUMENT = "<doc>"
UNKNOWN = "<unk>"
SPACE = "▁"  # stands for a space inside WordPiece and Unigram pieces
CONTINUES = "##"  # starts a WordPiece piece that goes on with a word
EACH_CHARACTER = r"[\s\S]"
LINE_END = r"\r\n|\r|\n"  # first in the patterns that cut text here
_CHUNK = 1 << 16  # characters given to the library at once
_GROUP = 64  # chunks encoded side by side


class Tokenizer:
    """A trained vocabulary. Made by :func:`seqjax.data.train_tokenizer` or :meth:`load`.

    Attributes:
        kind: char, byte, word, bpe, wordpiece or unigram.
        size: V, how many ids there are.
        unknown: the id of ``<unk>``, or None where nothing is unknown.

    Example:
        >>> from seqjax.data import DataConfig, train_tokenizer
        >>> tokenizer = train_tokenizer(DataConfig(), ["banana"])
        >>> tokenizer.encode("nab!").tolist()
        [4, 2, 3, 1]
        >>> tokenizer.decode([4, 2, 3]), tokenizer.pieces([0, 4])
        ('nab', ['<doc>', 'n'])
    """

    def __init__(self, library: tokenizers.Tokenizer):
        self.library = library
        self.kind: Kind = _kind_of(json.loads(library.to_str()))
        self.size: int = library.get_vocab_size()
        self._across = _looks_across_lines(json.loads(library.to_str()))
        self.unknown: int | None = None if self.kind in ("byte", "bpe") else library.token_to_id(UNKNOWN)
        self._names = [str(library.id_to_token(symbol)) for symbol in range(self.size)]

    def encode(self, text: str, *, strict: bool = False) -> np.ndarray:
        """Ids of ``text``, (T,) int32; never 0.

        Args:
            text: any text; also one without characters.
            strict: refuse characters that the training text did not hold, instead of reading ``<unk>``; among whole
                words an unknown one is ``<unk>`` whatever its letters.

        Raises:
            InputError: with ``strict``, naming the characters and their offsets; a character that is no text.
        """
        if strict:
            self._check_seen(text)
        return self.encode_documents([text])[0]

    def encode_documents(self, documents: Sequence[str]) -> list[np.ndarray]:
        """Ids of each text, (T,) int32 each: faster than one by one."""
        check_documents("encode_documents", documents)
        if self.kind == "char":
            return [_joined(self._look_up(chunk) for chunk in chunks(text)) for text in documents]
        if self.kind == "byte":
            return [np.frombuffer(_utf8(text), np.uint8).astype(np.int32) + 1 for text in documents]
        return self._encode_in_library(documents)

    def unknown_parts(self, text: str) -> list[str]:
        """The words, or parts of words, that are read as ``<unk>``, in order.

        Example:
            >>> from seqjax.data import DataConfig, train_tokenizer
            >>> train_tokenizer(DataConfig(tokenizer="word"), ["the cat sat"]).unknown_parts("the dog sat")
            ['dog']
        """
        if self.unknown is None or self.unknown not in self.encode(text):
            return []
        found = self.library.encode(text, add_special_tokens=False)
        spans = zip(found.ids, found.offsets, strict=True)
        return [text[start:end] for symbol, (start, end) in spans if symbol == self.unknown]

    def decode(self, ids) -> str:
        """Text of ids (T,): exactly what was encoded for char, byte and bpe; words are joined by spaces.

        Raises:
            InputError: ids outside ``[0, V)``.
        """
        ids = self._checked(ids)
        if self.kind == "word":
            decoder = self.decoder()
            return "".join(decoder.push(symbol) for symbol in ids)
        return b"".join(map(self._table.__getitem__, ids)).decode("utf-8", "replace")

    def decoder(self) -> Decoder:
        """A fresh :class:`Decoder`, for ids that come one at a time."""
        return Decoder(self._table, words=self.kind == "word")

    def pieces(self, ids) -> list[str]:
        """What each id stands for, to look at: bytes that are no character as ``\\xe2``."""
        ids = self._checked(ids)
        if self.kind not in ("byte", "bpe"):
            return [self._names[symbol] for symbol in ids]
        return [self._table[i].decode("utf-8", "backslashreplace") if i else DOCUMENT for i in ids]

    def save(self, path: str | os.PathLike) -> None:
        """Write ``tokenizer.json``, whole or not at all.

        Raises:
            OSError: when the disk does not take it.
        """
        path = pathlib.Path(path)
        part = path.with_name(path.name + ".part")
        part.write_text(self.library.to_str(pretty=True), encoding="utf-8")
        os.replace(part, path)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Tokenizer":
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the file is missing, unreadable, broken, or of another program.
        """
        try:
            text = pathlib.Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(f"tokenizer: {path} cannot be read: {reason}.") from None
        try:
            library = tokenizers.Tokenizer.from_str(text)
        except Exception as error:  # the library raises nothing narrower
            raise InputError(f"tokenizer: {path} is broken: {error}. Bring it back, or train again.") from None
        if library.id_to_token(0) != DOCUMENT or None in map(library.id_to_token, range(library.get_vocab_size())):
            raise InputError(
                f"tokenizer: {path} was not saved by seqjax: id 0 should be {DOCUMENT}, "
                f"but it is {library.id_to_token(0)!r}, or ids are missing. Train a tokenizer on your own text instead."
            )
        return cls(library)

    @functools.cached_property
    def _table(self) -> list[bytes]:
        """UTF-8 bytes of each symbol."""
        if self.kind in ("byte", "bpe"):
            value = {character: byte for byte, character in enumerate(byte_characters())}
            return [b"", *(bytes(value[c] for c in name) for name in self._names[1:])]
        texts = ["", "\N{REPLACEMENT CHARACTER}" if self.kind == "char" else UNKNOWN, *self._names[2:]]
        if self.kind == "wordpiece":
            texts = [text.removeprefix(CONTINUES) if len(text) > len(CONTINUES) else text for text in texts]
        if self.kind in ("wordpiece", "unigram"):
            texts = [text.replace(SPACE, " ") for text in texts]
        return [text.encode("utf-8", "surrogatepass") for text in texts]

    @functools.cached_property
    def _by_code_point(self) -> np.ndarray:
        """The id of each code point up to the largest known one, and ``<unk>`` once more for all beyond."""
        points = [ord(name) for name in self._names[2:]]
        table = np.full(max(points) + 2, self.unknown, np.int32)
        table[points] = np.arange(2, self.size)
        return table

    @functools.cached_property
    def _alphabet(self) -> np.ndarray:
        """Code points that the training text held."""
        return np.unique(code_points("".join(self._names[2:]).replace(SPACE, " ") + " " * (self.kind != "char")))

    def _look_up(self, text: str) -> np.ndarray:
        table = self._by_code_point
        return table[np.minimum(code_points(text), len(table) - 1)]

    def _encode_in_library(self, documents: Sequence[str]) -> list[np.ndarray]:
        found: list[list[np.ndarray]] = [[] for _ in documents]
        places = ((index, chunk) for index, text in enumerate(documents) for chunk in chunks(text, alone=self._across))
        while group := list(islice(places, _GROUP)):
            for _, chunk in group:
                _utf8(chunk)
            texts = [chunk for _, chunk in group]
            encodings = self.library.encode_batch_fast(texts, add_special_tokens=False)
            for (index, _), encoding in zip(group, encodings, strict=True):
                found[index].append(np.asarray(encoding.ids, np.int32))
        return [_joined(parts) for parts in found]

    def _check_seen(self, text: str) -> None:
        if self.kind in ("byte", "bpe", "word"):
            return
        if isinstance(change := self.library.normalizer, tokenizers.normalizers.BertNormalizer):  # of another program
            text = change.normalize_str(text)
        points = code_points(text)
        unseen = np.flatnonzero(~np.isin(points, self._alphabet))
        if self.kind != "char":
            unseen = unseen[[not text[i].isspace() for i in unseen]] if unseen.size else unseen
        if unseen.size:
            first = {text[i]: int(i) for i in unseen[::-1]}
            names = [
                f"{c!r} (U+{ord(c):04X}) at character {first[c]}" for c in sorted(first, key=first.__getitem__)[:5]
            ]
            more = f" and {len(first) - 5} more" if len(first) > 5 else ""
            raise InputError(
                f"tokenizer: the text holds what the training text never did: {', '.join(names)}{more}. "
                f"Leave that out, or train with --data.tokenizer byte, which reads everything."
            )

    def _checked(self, ids) -> list[int]:
        ids = np.asarray(ids)
        if ids.size:
            check_ids("tokenizer", "ids", ids, self.size)
        return ids.ravel().tolist()


def byte_characters() -> list[str]:
    """The printable character that stands for each byte in byte-level vocabularies, by byte.

    Source:
        Radford et al. (2019), Language Models are Unsupervised Multitask Learners, section 2.2 (and its code).

    Example:
        >>> byte_characters()[ord("a")], byte_characters()[ord(" ")]
        ('a', 'Ġ')
    """
    plain = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(256, 512))
    return [chr(byte if byte in plain else next(others)) for byte in range(256)]


def check_documents(where: str, documents: Sequence[str]) -> None:
    """Refuse one text where several are wanted: its letters would be the texts."""
    if isinstance(documents, str):
        raise InputError(f"{where}: `documents` should be several texts, but it is one. Try `[text]`.")


def chunks(text: str, *, alone: bool = False) -> Iterator[str]:
    """Cut a long text behind line ends, where no tokenizer that is trained here looks across.

    Args:
        text: of any length.
        alone: cut only where no other white space is near, so that none of another program looks across either.

    Example:
        >>> len(list(chunks("a line\\n" * 100_000)))
        11
    """
    start, line_end = 0, re.compile(r"(?<=\S)\n(?=\S)" if alone else r"\n")
    while start < len(text):
        found = line_end.search(text, start + _CHUNK)
        end = found.end() if found else len(text)
        yield text[start:end]
        start = end


def code_points(text: str) -> np.ndarray:
    """Unicode numbers of the characters, (T,)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _joined(parts: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.int32), *parts])


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"tokenizer: character {error.start} is half of a surrogate pair (U+{ord(text[error.start]):04X}), "
            f"which is not text. Remove it."
        ) from None


def _looks_across_lines(saved: dict) -> bool:
    """Whether line ends may be one symbol with what is around them: in vocabularies of other programs."""
    splitter = saved["pre_tokenizer"] or {}
    first, *_ = splitter.get("pretokenizers") or [splitter]
    pattern = first.get("pattern") or {}
    return saved["model"]["type"] == "BPE" and not pattern.get("Regex", "").startswith(LINE_END)


def _kind_of(saved: dict) -> Kind:
    model, splitter = saved["model"], saved["pre_tokenizer"] or {}
    if model["type"] == "WordLevel":
        return "char" if splitter.get("pattern") == {"Regex": EACH_CHARACTER} else "word"
    if model["type"] == "BPE":
        return "bpe" if model["merges"] else "byte"
    return model["type"].lower()

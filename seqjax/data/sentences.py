"""Text to sentences, and sentences to the tokens of an encoder that reads [CLS] A [SEP] B [SEP].

Every word has its space before it, the first one too, so that a word is the same symbol wherever it stands.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError
from seqjax.data.masked_config import SPECIAL, MaskedTextConfig
from seqjax.data.tokenizer import CONTINUES, SPACE, Tokenizer

_ENDS = {
    "mark": re.compile(r"""[.!?…]+["'”’»)\]]*(?=\s)|[。！？]|\n[^\S\n]*\n"""),
    "line": re.compile(r"\n"),
}


class Special(NamedTuple):
    """Ids behind those of the tokenizer."""

    cls: int  # begins every row
    sep: int  # ends every text
    mask: int  # stands for a token to predict
    vocabulary: int  # V, with these

    @classmethod
    def behind(cls, tokenizer: Tokenizer) -> "Special":
        """Those that belong to a tokenizer.

        Example:
            >>> from seqjax.data import DataConfig, train_tokenizer
            >>> Special.behind(train_tokenizer(DataConfig(), ["ab"]))
            Special(cls=4, sep=5, mask=6, vocabulary=7)
        """
        size = tokenizer.size
        return cls(size, size + 1, size + 2, size + SPECIAL)


def cut_sentences(text: str, ends: str = "mark") -> list[str]:
    """The sentences of a text, in order, without the empty ones.

    Args:
        text: of one document.
        ends: ``"mark"``: at a mark that ends a sentence (with the quotes and brackets that close behind it) before a
            blank, and at blank lines; ``"line"``: at every line's end.

    Example:
        >>> cut_sentences('He said "Why?" and left. Then (at 3.5 p.m.) it\\nrained!')
        ['He said "Why?"', 'and left.', 'Then (at 3.5 p.m.)', 'it\\nrained!']
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    stops = [found.end() for found in _ENDS[ends].finditer(text)]
    parts = (text[start:stop].strip() for start, stop in zip([0, *stops], [*stops, len(text)], strict=True))
    return [part for part in parts if part]


def plain(text: str, lower: bool) -> str:
    """One space before every word and no other blanks; in lower case, if wanted.

    Example:
        >>> plain("The  cat\\nsat.", lower=True)
        ' the cat sat.'
    """
    words = (text.lower() if lower else text).split()
    return "".join(" " + word for word in words)


def read_sentences(documents: Sequence[str], config: MaskedTextConfig) -> list[list[str]]:
    """Each document's sentences as :func:`plain` text, without documents that hold none.

    Raises:
        InputError: nothing but blanks.
    """
    found = [[plain(part, config.lower) for part in cut_sentences(text, config.sentences)] for text in documents]
    found = [sentences for sentences in found if sentences]
    if not found:
        raise InputError("data: the text holds nothing but blanks.")
    return found


def encode_sentences(tokenizer: Tokenizer, documents: Sequence[Sequence[str]]) -> list[list[np.ndarray]]:
    """Ids (T,) of each sentence of each document, without special ones."""
    flat = iter(tokenizer.encode_documents([sentence for sentences in documents for sentence in sentences]))
    return [[next(flat) for _ in sentences] for sentences in documents]


def word_starts(tokenizer: Tokenizer) -> np.ndarray:
    """Which symbols begin a word: (V,) boolean, [CLS] and its like among them.

    A WordPiece piece that goes on with a word is marked. Of other kinds, a symbol begins one if it has a blank before
    it, or if it is no letter and no digit.
    """
    names = tokenizer.pieces(np.arange(tokenizer.size))
    if tokenizer.kind == "word":
        first = [True] * len(names)
    elif tokenizer.kind == "wordpiece":
        first = [not (name.startswith(CONTINUES) and len(name) > len(CONTINUES)) for name in names]
    else:
        first = [name[:1] == SPACE or not name[:1].isalnum() for name in names]
    return np.array([*first, *[True] * SPECIAL])


def encode_words(tokenizer: Tokenizer, words: Sequence[str], lower: bool) -> tuple[np.ndarray, np.ndarray]:
    """``(ids (T,), firsts (W,))``: the pieces of words one after the other, and where each word begins.

    A word of which the tokenizer makes nothing is ``<unk>``, so that every word has a piece.

    Example:
        >>> from seqjax.data import DataConfig, train_tokenizer
        >>> tokenizer = train_tokenizer(DataConfig(), [" abc"])
        >>> ids, firsts = encode_words(tokenizer, ["ab", "c"], lower=True)
        >>> tokenizer.decode(ids), firsts.tolist()
        (' ab c', [0, 3])
    """
    found = tokenizer.encode_documents([plain(word, lower) for word in words])
    nothing = np.array([tokenizer.unknown or 0], np.int32)
    pieces = [ids if len(ids) else nothing for ids in found]
    ends = np.cumsum([len(ids) for ids in pieces], dtype=np.int64)
    return np.concatenate([np.zeros(0, np.int32), *pieces]), np.concatenate([[0], ends[:-1]])[: len(words)]

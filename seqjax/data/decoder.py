"""Symbols back to text, one at a time: what a printer that streams needs.

A byte or a BPE symbol may be half a UTF-8 character, and whether a word takes a space before it depends on
the word before; a :class:`Decoder` remembers what it takes to return only finished text.
"""

import codecs
from collections.abc import Sequence

_CLOSING = frozenset(".,;:!?)]}%…”’»")
_OPENING = frozenset("([{“‘«¿¡$")
_LINE_ENDS = frozenset(["\n", "\r", "\r\n"])


class Decoder:
    """Text of a growing sequence of ids.

    Args:
        table: the UTF-8 bytes of every symbol, by id; of the document boundary, none.
        words: whether symbols are whole words, to be joined by spaces.

    Example:
        >>> decoder = Decoder([b"", b"h", b"\\xc3", b"\\xa9"])
        >>> [decoder.push(symbol) for symbol in (1, 2, 3)]
        ['h', '', 'é']
        >>> decoder.push(2), decoder.flush()
        ('', '�')
    """

    def __init__(self, table: Sequence[bytes], words: bool = False):
        self._table = table
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")
        self._joiner = Joiner() if words else None

    def push(self, symbol: int) -> str:
        """The text that ``symbol`` completes; empty in the middle of a character."""
        text = self._bytes.decode(self._table[symbol])
        return self._joiner.push(text) if self._joiner else text

    def flush(self) -> str:
        """What is left at the end: a replacement mark for half a character, else nothing."""
        return self._bytes.decode(b"", final=True)


class Joiner:
    """Words and punctuation back to a line as one would type it.

    Line ends and brackets take no spaces inside, closing punctuation none before; a straight quote opens and
    closes in turn.

    Example:
        >>> joiner = Joiner()
        >>> words = ["He", "said", ":", '"', "Why", "(", "not", ")", "?", '"', "\\n", "I"]
        >>> "".join(joiner.push(word) for word in words)
        'He said: "Why (not)?"\\nI'
    """

    def __init__(self):
        self._tight = True  # the next word takes no space before it
        self._quoted = False

    def push(self, word: str) -> str:
        """``word``, after a space if it takes one; nothing starts afresh."""
        if not word or word in _LINE_ENDS:
            self._tight, self._quoted = True, False
            return word
        closes = word in _CLOSING or (word == '"' and self._quoted)
        space = "" if self._tight or closes else " "
        if word == '"':
            self._quoted = not self._quoted
        self._tight = word in _OPENING or (word == '"' and self._quoted)
        return space + word

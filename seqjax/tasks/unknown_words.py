"""What a model makes of words that its training text did not have: it reads ``<unk>``, and the user is told."""

import sys
from collections.abc import Iterable

from seqjax.data import Tokenizer

SHOWN = 5  # words that are named


def tell_unknown(tokenizer: Tokenizer, texts: Iterable[str]) -> None:
    """One line on standard error about the words that are read as ``<unk>``; nothing if there are none.

    Args:
        tokenizer: of the model.
        texts: what it was given.
    """
    if tokenizer.unknown is None or tokenizer.kind == "char":  # characters that were never seen are refused
        return
    found = (part.strip() for text in texts for part in tokenizer.unknown_parts(text))
    words = list(dict.fromkeys(word for word in found if word))
    if words:
        shown = ", ".join(map(repr, words[:SHOWN])) + (", …" if len(words) > SHOWN else "")
        print(f"{len(words)} unknown to the model, each read as <unk>: {shown}", file=sys.stderr)

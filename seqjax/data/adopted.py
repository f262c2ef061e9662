"""The vocabulary of another program's byte-level BPE, such as GPT-2's, with its symbols numbered as here.

V symbols.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from seqjax.checks import InputError
from seqjax.data.tokenizer import DOCUMENT, Tokenizer, byte_characters

BOUNDARY = "<|endoftext|>"  # what stands between documents there
WHOLE, VOCABULARY, MERGES = "tokenizer.json", "vocab.json", "merges.txt"


def adopt_tokenizer(folder: str | os.PathLike) -> tuple[Tokenizer, np.ndarray]:
    """Read ``tokenizer.json``, or ``vocab.json`` and ``merges.txt``, and give its boundary of documents the id 0.

    The other symbols follow in their order, but for special ones that were added for other tasks: text never holds
    them, and it is cut as there.

    Args:
        folder: where the files are.

    Returns:
        The tokenizer, and the id that each of its symbols had, (V,) int32: take those rows of a table.

    Raises:
        InputError: no such files, broken ones, or symbols that are no byte-level BPE with a boundary of documents.
    """
    library, path = _load(Path(folder))
    known, saved = library.get_vocab(with_added_tokens=False), json.loads(library.to_str())
    if (boundary := library.token_to_id(BOUNDARY)) is not None:
        known[BOUNDARY] = boundary
    _check(path, saved, known)
    names = sorted(known, key=known.__getitem__)
    names.remove(BOUNDARY)
    saved["model"] |= {"vocab": {name: number for number, name in enumerate([DOCUMENT, *names])}}
    saved |= {"added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
    ours = Tokenizer(tokenizers.Tokenizer.from_str(json.dumps(saved)))
    return ours, np.array([known[BOUNDARY], *(known[name] for name in names)], np.int32)


def _load(folder: Path) -> tuple[tokenizers.Tokenizer, Path]:
    path, two = folder / WHOLE, (folder / VOCABULARY, folder / MERGES)
    try:
        if path.is_file():
            return tokenizers.Tokenizer.from_file(str(path)), path
        if all(path.is_file() for path in two):
            path = folder / f"{VOCABULARY} or {MERGES}"
            library = tokenizers.Tokenizer(tokenizers.models.BPE.from_file(*map(str, two)))
            library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
            library.decoder = tokenizers.decoders.ByteLevel()
            return library, path
    except Exception as error:  # the library raises nothing narrower
        raise InputError(f"{path} is broken: {error}. Fetch it again.") from None
    raise InputError(f"{folder}: {WHOLE} is wanted, or {VOCABULARY} and {MERGES}, but there is neither.")


def _check(path: Path, saved: dict[str, Any], known: dict[str, int]) -> None:
    """Refuse what would not be read and written as there."""
    model, splitter = saved["model"], saved["pre_tokenizer"] or {}
    *before, last = splitter.get("pretokenizers") or [splitter]
    loses = any(one["type"] not in ("Split", "Digits") or one.get("behavior") == "Removed" for one in before)
    added = [one["content"] for one in saved["added_tokens"] if not one["special"] and one["content"] != BOUNDARY]
    affixes = model.get("continuing_subword_prefix") or model.get("end_of_word_suffix")
    if model["type"] != "BPE" or not model["merges"] or last.get("type") != "ByteLevel" or affixes:
        raise InputError(f"{path}: a byte-level BPE with merges is wanted, but this is {model['type']}.")
    if saved["normalizer"] is not None or last.get("add_prefix_space") or loses:
        raise InputError(f"{path}: text is changed before it is cut, so it could not be given back as it was.")
    if model.get("dropout") or added:
        what = f"{added[0]!r} was added to it" if added else "it is cut by chance (dropout)"
        raise InputError(f"{path}: text should be cut by merges alone, but {what}.")
    if BOUNDARY not in known or DOCUMENT in known:
        raise InputError(f"{path}: a vocabulary with {BOUNDARY} and without {DOCUMENT} is wanted.")
    characters = set(byte_characters())
    strange = [name for name in known if not characters.issuperset(name)]
    if strange or not characters <= known.keys():
        what = f"{strange[0]!r} is none" if strange else f"{min(characters - known.keys())!r} is missing"
        raise InputError(f"{path}: symbols should be strings of bytes, and every byte one of them, but {what}.")

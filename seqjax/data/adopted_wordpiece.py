"""The vocabulary of another program's WordPiece, such as BERT's, with its symbols numbered and marked as here.

V symbols, with [CLS], [SEP] and [MASK].
"""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tokenizers

from seqjax.checks import InputError
from seqjax.data.tokenizer import CONTINUES, DOCUMENT, SPACE, UNKNOWN, Tokenizer

WHOLE, WORDS, SETTINGS = "tokenizer.json", "vocab.txt", "tokenizer_config.json"
PADDING, NOTHING, *ENDS = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"  # ENDS in the order of seqjax.data.sentences


class Adopted(NamedTuple):
    """A tokenizer that cuts text as there."""

    tokenizer: Tokenizer
    ids: np.ndarray  # (V,) int32, the id that each symbol had, the special ones last: take those rows of a table
    lower: bool  # whether it reads lower case only


def adopt_wordpiece(folder: str | os.PathLike) -> Adopted:
    """Read ``tokenizer.json``, or ``vocab.txt``, and give padding and the unknown word the ids 0 and 1.

    There, a symbol that goes on with a word is marked; here, one that begins a word is marked too, by the blank that
    belongs to it. The other symbols follow in their order. Text is cut as there, but that it cannot hold special
    symbols, and that words which begin with the mark itself, ``\u2581``, are cut as if they did not.

    Args:
        folder: where the files are.

    Raises:
        InputError: no such files, broken ones, or symbols that are no WordPiece of BERT's.
    """
    library, path = _load(Path(folder))
    saved = json.loads(library.to_str())
    known = saved["model"].get("vocab")
    _check(path, saved, known)
    special = [PADDING, NOTHING, *ENDS]
    names = sorted(known.keys() - special, key=known.__getitem__)
    ours = [DOCUMENT, UNKNOWN, *(name if _continues(name) else SPACE + name for name in names)]
    marked = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": False}
    longest = saved["model"]["max_input_chars_per_word"] + len(SPACE)
    saved["model"] |= {
        "vocab": {name: number for number, name in enumerate(ours)}, "unk_token": UNKNOWN,
        "max_input_chars_per_word": longest,
    }  # fmt: skip
    saved |= {"added_tokens": [], "post_processor": None, "truncation": None, "padding": None, "decoder": None}
    saved["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [saved["pre_tokenizer"], marked]}
    tokenizer = Tokenizer(tokenizers.Tokenizer.from_str(json.dumps(saved)))
    ids = [known[name] for name in (PADDING, NOTHING, *names, *ENDS)]
    return Adopted(tokenizer, np.array(ids, np.int32), bool(saved["normalizer"]["lowercase"]))


def _continues(name: str) -> bool:
    return name.startswith(CONTINUES) and len(name) > len(CONTINUES)


def _load(folder: Path) -> tuple[tokenizers.Tokenizer, Path]:
    path = folder / WHOLE
    try:
        if path.is_file():
            return tokenizers.Tokenizer.from_file(str(path)), path
        path = folder / WORDS
        if path.is_file():
            library = tokenizers.Tokenizer(tokenizers.models.WordPiece.from_file(str(path), unk_token=NOTHING))
            library.normalizer = tokenizers.normalizers.BertNormalizer(**_settings(folder / SETTINGS))
            library.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
            return library, path
    except Exception as error:  # the library raises nothing narrower
        raise InputError(f"{path} is broken: {error}. Fetch it again.") from None
    raise InputError(f"{folder}: {WHOLE} or {WORDS} is wanted, but there is neither.")


def _settings(path: Path) -> dict[str, Any]:
    """What the letters become before words are looked up: all in lower case, unless a file says otherwise."""
    said = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    names = {
        "lowercase": "do_lower_case",
        "strip_accents": "strip_accents",
        "handle_chinese_chars": "tokenize_chinese_chars",
    }
    return {own: said[their] for own, their in names.items() if their in said}


def _check(path: Path, saved: dict[str, Any], known: Any) -> None:
    """Refuse what would not be read as there."""
    model, changed, cut = saved["model"], saved["normalizer"] or {}, saved["pre_tokenizer"] or {}
    if model["type"] != "WordPiece" or model["continuing_subword_prefix"] != CONTINUES:
        raise InputError(
            f"{path}: a WordPiece whose pieces go on with {CONTINUES} is wanted, but this is {model['type']}."
        )
    if changed.get("type") != "BertNormalizer" or cut.get("type") != "BertPreTokenizer":
        raise InputError(f"{path}: text should be changed and cut as BERT's is, but it is not.")
    missing = [name for name in (PADDING, NOTHING, *ENDS) if name not in known]
    if missing or model["unk_token"] != NOTHING:
        raise InputError(f"{path}: a vocabulary with {PADDING}, {NOTHING}, {', '.join(ENDS)} is wanted.")
    added = [one["content"] for one in saved["added_tokens"] if one["content"] not in (PADDING, NOTHING, *ENDS)]
    if added:
        raise InputError(f"{path}: text should be cut by its pieces alone, but {added[0]!r} was added to it.")

"""Learning a vocabulary from the training text: one function for each kind of symbol.

``<doc>`` is in every vocabulary but is never searched for in text, so that text cannot forge a boundary.
"""

import json
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

from seqjax.checks import InputError
from seqjax.data.config import Symbols
from seqjax.data.tokenizer import (
    CONTINUES,
    DOCUMENT,
    EACH_CHARACTER,
    LINE_END,
    SPACE,
    UNKNOWN,
    Tokenizer,
    byte_characters,
    check_documents,
    chunks,
    code_points,
)

_BLANKS = r"[^\S\r\n]+"
_WORDS = rf"{UNKNOWN}|{LINE_END}|\d+(?:[.,]\d+)+|\w+(?:['’\-]\w+)*|[^\w\s]"
_BYTE_WORDS = rf"{LINE_END}| ?[\p{{L}}\p{{M}}]+| ?\p{{N}}+| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+|{_BLANKS}(?!\S)|[^\S\r\n]"
_SPACED_WORDS = rf"{LINE_END}|{SPACE}?\w+|{SPACE}?[^\w\s{SPACE}]|{SPACE}{{1,16}}(?={SPACE})|{SPACE}|\s"


def train_tokenizer(config: Symbols, documents: Sequence[str]) -> Tokenizer:
    """Learn the symbols of ``documents``, which should be the training split and nothing else.

    Args:
        config: its ``tokenizer``, ``vocabulary`` and ``min_count``.
        documents: training texts.

    Raises:
        InputError: one symbol only, or more needed than ``vocabulary`` allows.

    Example:
        >>> from seqjax.data import DataConfig
        >>> tokenizer = train_tokenizer(DataConfig(tokenizer="word"), ["The cat sat on the mat."])
        >>> tokenizer.decode(tokenizer.encode("the cat, sat."))
        'the cat <unk> sat.'
    """
    check_documents("train_tokenizer", documents)
    _check_varied(documents)
    tokenizer = Tokenizer(_TRAINERS[config.tokenizer](config, documents))
    symbols = tokenizer.size - (1 if tokenizer.unknown is None else 2)
    if symbols < 2:
        raise InputError(
            f"tokenizer: a vocabulary of {symbols} symbol leaves nothing to predict. "
            f"Give more varied text, --data.min-count 1, or another --data.tokenizer than {config.tokenizer}."
        )
    if config.tokenizer not in ("char", "byte") and tokenizer.size > config.vocabulary:
        raise _too_small(config, f"{tokenizer.size}")
    return tokenizer


def _check_varied(documents: Sequence[str]) -> None:
    seen: set[str] = set()
    for text in documents:
        for chunk in chunks(text):
            seen.update(chunk)
            if len(seen) > 1:
                return
    held = f"nothing but {seen.pop()!r}" if seen else "no characters"
    raise InputError(
        f"tokenizer: the training text holds {held}: a vocabulary of one symbol leaves nothing to predict. "
        f"Give another text: --data.path FILE."
    )


def _too_small(config: Symbols, least: str) -> InputError:
    return InputError(
        f"tokenizer: `vocabulary` {config.vocabulary} is too small for {config.tokenizer}: "
        f"this text alone needs {least}. "
        f"Try --data.vocabulary {max(1000, config.vocabulary * 2)}, or --data.tokenizer char."
    )


def _train_char(config: Symbols, documents: Sequence[str]) -> tokenizers.Tokenizer:
    counts = np.zeros(0x110000, np.int64)
    for text in documents:
        for chunk in chunks(text):
            points, times = np.unique(code_points(chunk), return_counts=True)
            counts[points] += times
    known = np.flatnonzero(counts >= config.min_count)
    vocabulary = {symbol: index for index, symbol in enumerate([DOCUMENT, UNKNOWN, *map(chr, known)])}
    library = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    library.pre_tokenizer = pre_tokenizers.Split(Regex(EACH_CHARACTER), "isolated")
    library.decoder = decoders.Fuse()
    return library


def _train_byte(config: Symbols, documents: Sequence[str]) -> tokenizers.Tokenizer:
    vocabulary = {symbol: index for index, symbol in enumerate([DOCUMENT, *byte_characters()])}
    library = tokenizers.Tokenizer(models.BPE(vocabulary, []))
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    library.decoder = decoders.ByteLevel()
    return library


def _train_word(config: Symbols, documents: Sequence[str]) -> tokenizers.Tokenizer:
    library = tokenizers.Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    blanks = pre_tokenizers.Split(Regex(_BLANKS), "removed")
    library.pre_tokenizer = pre_tokenizers.Sequence([blanks, pre_tokenizers.Split(Regex(_WORDS), "isolated")])
    trainer = trainers.WordLevelTrainer(
        vocab_size=config.vocabulary,
        min_frequency=config.min_count,
        special_tokens=[DOCUMENT, UNKNOWN],
        show_progress=False,
    )
    return _fit(library, trainer, documents)


def _train_bpe(config: Symbols, documents: Sequence[str]) -> tokenizers.Tokenizer:
    if config.vocabulary < 258:
        raise _too_small(config, "258 (the bytes, the boundary and one merge)")
    library = tokenizers.Tokenizer(models.BPE())
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    library.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(_BYTE_WORDS), "isolated"), to_bytes])
    library.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocabulary,
        special_tokens=[DOCUMENT],
        initial_alphabet=byte_characters(),
        show_progress=False,
    )
    return _fit(library, trainer, documents)


def _train_wordpiece(config: Symbols, documents: Sequence[str]) -> tokenizers.Tokenizer:
    """The alphabet of continuations is given in order: the library's own order changes from run to run."""
    characters: set[str] = set()
    for text in documents:
        for chunk in chunks(text):
            characters.update(chunk)
    within = [CONTINUES + character for character in sorted(characters) if not character.isspace()]
    library = _spaced(models.WordPiece(unk_token=UNKNOWN, continuing_subword_prefix=CONTINUES))
    library.decoder = decoders.Sequence(
        [decoders.Replace(CONTINUES, ""), decoders.Replace(SPACE, " "), decoders.Fuse()]
    )
    trainer = trainers.WordPieceTrainer(
        vocab_size=config.vocabulary,
        special_tokens=[DOCUMENT, UNKNOWN, *within],
        continuing_subword_prefix=CONTINUES,
        show_progress=False,
    )
    return _fit(library, trainer, documents)


def _train_unigram(config: Symbols, documents: Sequence[str]) -> tokenizers.Tokenizer:
    library = _spaced(models.Unigram())
    library.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.Fuse()])
    trainer = trainers.UnigramTrainer(
        vocab_size=config.vocabulary,
        special_tokens=[DOCUMENT, UNKNOWN],
        unk_token=UNKNOWN,
        show_progress=False,
    )
    try:
        return _fit(library, trainer, documents)
    except Exception as error:  # the library raises nothing narrower
        raise InputError(
            f"tokenizer: unigram cannot be trained on this text: {error}. "
            f"Try --data.vocabulary {config.vocabulary * 2}, or --data.tokenizer bpe."
        ) from None


def _spaced(model) -> tokenizers.Tokenizer:
    library = tokenizers.Tokenizer(model)
    library.normalizer = normalizers.Replace(" ", SPACE)
    library.pre_tokenizer = pre_tokenizers.Split(Regex(_SPACED_WORDS), "isolated")
    return library


def _fit(library: tokenizers.Tokenizer, trainer, documents: Sequence[str]) -> tokenizers.Tokenizer:
    """Train, then forget that ``<doc>`` and ``<unk>`` are special, and the noise of sums in another order."""
    texts: Iterator[str] = (chunk for text in documents for chunk in chunks(text))
    library.train_from_iterator(texts, trainer)
    saved = json.loads(library.to_str())
    saved["added_tokens"] = []
    if saved["model"]["type"] == "WordLevel":  # a text may spell <unk> itself
        learned = sorted(saved["model"]["vocab"].keys() - {DOCUMENT, UNKNOWN}, key=saved["model"]["vocab"].get)
        saved["model"]["vocab"] = {word: index for index, word in enumerate([DOCUMENT, UNKNOWN, *learned])}
    if saved["model"]["type"] == "Unigram":
        special, learned = saved["model"]["vocab"][:2], saved["model"]["vocab"][2:]
        saved["model"]["vocab"] = special + _in_order(learned)
    return tokenizers.Tokenizer.from_str(json.dumps(saved))


def _in_order(learned: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Pieces of a Unigram model by falling score, the same in every run.

    The last digits of a score depend on the order of a sum. Characters that no piece earned get the lowest score
    plus 0, 1, 2, … ten-thousandths, in an order that changes from run to run: here, that of the alphabet.
    """
    scores = {piece: round(score, 6) for piece, score in learned}
    lowest = min(scores.values())
    steps = {piece: (score - lowest) / 1e-4 for piece, score in scores.items() if len(piece) == 1}
    unearned = sorted(piece for piece, step in steps.items() if abs(step - round(step)) < 0.02 and step < len(steps))
    scores.update(zip(unearned, sorted(scores[piece] for piece in unearned), strict=True))
    return sorted(scores.items(), key=lambda entry: (-entry[1], entry[0]))


_TRAINERS: dict[str, Callable[[Symbols, Sequence[str]], tokenizers.Tokenizer]] = {
    "char": _train_char,
    "byte": _train_byte,
    "word": _train_word,
    "bpe": _train_bpe,
    "wordpiece": _train_wordpiece,
    "unigram": _train_unigram,
}

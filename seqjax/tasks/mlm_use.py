"""Use a masked language model: fill in [MASK], and read words as vectors that depend on their sentence."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from seqjax.checks import InputError
from seqjax.data import Tokenizer
from seqjax.data.sentence_pairs import enclose
from seqjax.data.sentences import Special, encode_words, plain
from seqjax.decoding.prompts import bucket
from seqjax.models.bert import BertConfig, MaskedModel, at
from seqjax.tasks.unknown_words import tell_unknown

MASK = "[MASK]"
ROWS = 16  # lines read in one call


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fill:
    """Fill in every [MASK] of the lines of standard input: one line out for each line in.

    A [MASK] behind a blank, or at the beginning, becomes a word or its first piece; one that touches the letters
    before it becomes a piece that goes on with them.
    """

    n_best: int = 1  # lines out for each line in, when above 1 as NUMBER TAB PROBABILITY TAB TEXT

    def __post_init__(self):
        if self.n_best < 1:
            raise InputError(f"predict: --n-best should be at least 1, but it is {self.n_best}.")


class Filler(NamedTuple):
    """A masked language model, its tokenizer and its parameters."""

    model: MaskedModel
    tokenizer: Tokenizer
    special: Special
    params: Any
    shape: BertConfig
    lower: bool  # whether it reads lower case only
    pairs: bool  # whether it was trained to tell if one text follows another


class Prompt(NamedTuple):
    """A line with masks."""

    tokens: np.ndarray  # (T,) ids, [CLS] and [SEP] among them
    places: np.ndarray  # (M,), where the masks stand among them
    glued: list[bool]  # of each, whether it touches the letters before it


class Filling(NamedTuple):
    """What may stand for all masks of a line."""

    probability: float  # the product of what each has by itself
    symbols: tuple[int, ...]


def fill(filler: Filler, lines: list[str], options: Fill) -> Iterator[str]:
    """What ``seqjax predict`` prints, in order."""
    prompts = [read_prompt(filler, line, number) for number, line in enumerate(lines, 1)]
    tell_unknown(filler.tokenizer, [plain(part, filler.lower) for line in lines for part in line.split(MASK)])
    for number, (line, found) in enumerate(zip(lines, fillings(filler, prompts, options.n_best), strict=True), 1):
        for one in found:
            text = put(filler.tokenizer, line, one.symbols)
            yield text if options.n_best == 1 else f"{number}\t{one.probability:.4f}\t{text}"


def read_prompt(filler: Filler, line: str, number: int) -> Prompt:
    """A line as the model reads it.

    Raises:
        InputError: no [MASK], characters that were never seen, more tokens than the model has positions for.
    """
    parts = line.split(MASK)
    if len(parts) == 1:
        raise InputError(
            f"line {number}: there is no {MASK} to fill in. Write it where a word is missing: the {MASK} sat."
        )
    ids: list[int] = []
    places, glued = [], []
    for index, part in enumerate(parts):
        if index:
            before = parts[index - 1]
            places.append(len(ids) + 1)
            glued.append(bool(before) and not before[-1].isspace())
            ids.append(filler.special.mask)
        try:
            ids += filler.tokenizer.encode(_part(filler, part, index, len(parts)), strict=True).tolist()
        except InputError as error:
            raise InputError(f"line {number}: {error}") from None
    if len(ids) + 2 > filler.model.longest:
        raise InputError(
            f"line {number}: should have at most {filler.model.longest - 2} tokens, but it has {len(ids)}. "
            "Shorten it, or train with a larger --data.length."
        )
    return Prompt(enclose(filler.special, np.array(ids, np.int32))[0], np.array(places), glued)


def _part(filler: Filler, part: str, index: int, parts: int) -> str:
    """The text between two masks; a blank before a mask is a symbol only where symbols are characters."""
    text = plain(part, filler.lower)
    if index and part[:1].strip():
        text = text[1:]
    if filler.tokenizer.kind in ("char", "byte") and index < parts - 1 and part[-1:].isspace():
        text += " "
    return text


def fillings(filler: Filler, prompts: Sequence[Prompt], best: int) -> Iterator[list[Filling]]:
    """The likeliest fillings of each prompt, best first."""
    scores, most = _scorer(filler.model), max((len(prompt.places) for prompt in prompts), default=1)
    may = allowed(filler.tokenizer, filler.special)
    for first in range(0, len(prompts), ROWS):
        rows = prompts[first : first + ROWS]
        batch = lay(filler, [prompt.tokens for prompt in rows])
        places = np.zeros((len(batch["tokens"]), -(-most // 8) * 8), np.int32)
        for row, prompt in enumerate(rows):
            places[row, : len(prompt.places)] = prompt.places
        logits = np.asarray(scores(filler.params, batch, places), np.float64)
        for row, prompt in enumerate(rows):
            candidates = [_candidates(logits[row, m], may[glued], best) for m, glued in enumerate(prompt.glued)]
            yield _together(candidates, best)


def _candidates(logits: np.ndarray, may: np.ndarray, best: int) -> list[Filling]:
    """The likeliest symbols (V,) for one mask, among those that may stand there."""
    logits = np.where(may, logits, -np.inf)
    weights = np.exp(logits - logits.max())
    weights /= weights.sum()
    order = np.argsort(-weights, kind="stable")[: min(best, int(may.sum()))]
    return [Filling(float(weights[symbol]), (int(symbol),)) for symbol in order]


def _together(candidates: Sequence[Sequence[Filling]], best: int) -> list[Filling]:
    """The likeliest choices of one candidate for each mask."""
    found = [Filling(1.0, ())]
    for each in candidates:
        longer = [Filling(a.probability * b.probability, a.symbols + b.symbols) for a in found for b in each]
        found = sorted(longer, key=lambda one: -one.probability)[:best]
    return found


def allowed(tokenizer: Tokenizer, special: Special) -> dict[bool, np.ndarray]:
    """Which symbols (V,) may stand for a mask that touches what is before it, and for one that does not."""
    able = np.arange(special.vocabulary) < tokenizer.size
    able[[0] if tokenizer.unknown is None else [0, tokenizer.unknown]] = False
    if tokenizer.kind in ("char", "byte", "word"):
        return {False: able, True: able}
    spaced = np.zeros(special.vocabulary, bool)
    texts = [tokenizer.decode([symbol]) for symbol in range(tokenizer.size)]
    spaced[: tokenizer.size] = [text[:1].isspace() and bool(text.strip()) for text in texts]
    joined = able & ~spaced
    return {False: able & spaced, True: joined if joined.any() else able}


def put(tokenizer: Tokenizer, line: str, symbols: Sequence[int]) -> str:
    """The line with symbols in place of its masks.

    Example:
        >>> from seqjax.data import DataConfig
        >>> from seqjax.data import train_tokenizer
        >>> tokenizer = train_tokenizer(DataConfig(tokenizer="word"), ["the cat sat"])
        >>> put(tokenizer, "The [MASK] sat!", [int(tokenizer.encode("cat")[0])])
        'The cat sat!'
    """
    parts = line.split(MASK)
    texts = [tokenizer.decode([symbol]) for symbol in symbols]
    if tokenizer.kind not in ("char", "byte"):
        texts = [text.strip() for text in texts]
    return parts[0] + "".join(text + part for text, part in zip(texts, parts[1:], strict=True))


def lay(filler: Filler, rows: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Rows of tokens (T,) as one batch: 16, 32, 64, … steps long, filled up to 1, 2, 4, … rows."""
    time = min(bucket(max(map(len, rows))), -(-filler.model.longest // 8) * 8)
    count = bucket(len(rows), smallest=1)
    tokens, mask = np.zeros((count, time), np.int32), np.zeros((count, time), bool)
    for row, ids in enumerate(rows):
        tokens[row, : len(ids)], mask[row, : len(ids)] = ids, True
    return {"tokens": tokens, "mask": mask}


@functools.cache
def _scorer(model: MaskedModel):
    return jax.jit(lambda params, batch, places: model.score(params, at(model.read(params, batch), places)))


@functools.cache
def _reader(model: MaskedModel):
    return jax.jit(model.read)


def word_vectors(filler: Filler, sentences: Sequence[Sequence[str]]) -> list[np.ndarray]:
    """A vector for every word of every sentence, which depends on the whole sentence: (W, D) each.

    A word cut into pieces is represented by its first.

    Args:
        filler: a trained model.
        sentences: words of each.

    Raises:
        InputError: more pieces than the model has positions for.
    """
    found = [encode_words(filler.tokenizer, words, filler.lower) for words in sentences]
    for number, (ids, _) in enumerate(found, 1):
        if len(ids) + 2 > filler.model.longest:
            raise InputError(
                f"word_vectors: sentence {number} should have at most {filler.model.longest - 2} tokens, "
                f"but it has {len(ids)}."
            )
    vectors = []
    for first in range(0, len(found), ROWS):
        rows = found[first : first + ROWS]
        batch = lay(filler, [enclose(filler.special, ids)[0] for ids, _ in rows])
        ys = np.asarray(_reader(filler.model)(filler.params, batch))
        vectors += [ys[row, 1 + firsts] for row, (_, firsts) in enumerate(rows)]
    return vectors


def show(filler: Filler, batch: Mapping[str, np.ndarray], most: int) -> Callable[[Any, int], str]:
    """``(params, step) -> text``: some rows of a batch, what was masked, and what the model says stood there."""

    def text_of(ids: np.ndarray) -> str:
        parts, run = [], []
        for symbol in ids.tolist():
            if symbol < filler.tokenizer.size:
                run.append(symbol)
                continue
            parts.append(filler.tokenizer.decode(run) if run else "")
            run = []
            parts.append(f" {MASK}" if symbol == filler.special.mask else "")
        return "".join([*parts, filler.tokenizer.decode(run) if run else ""]).strip()

    def draw(params, step: int) -> str:
        given = {name: batch[name] for name in ("tokens", "mask", "segments") if name in batch}
        guesses = np.asarray(_scorer(filler.model)(params, given, batch["places"])).argmax(axis=-1)
        lines = []
        for row in np.flatnonzero(batch["real"])[:most]:
            real = batch["scored"][row]
            lines.append(text_of(batch["tokens"][row][batch["mask"][row]]))
            for name, ids in (("wanted", batch["targets"]), ("made", guesses)):
                pieces = (
                    filler.tokenizer.decode([s]).strip() if s < filler.tokenizer.size else "?" for s in ids[row][real]
                )
                lines.append(f"  {name:<7}{' '.join(pieces)}")
        return "\n".join(lines)

    return draw

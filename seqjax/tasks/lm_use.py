"""Use a language model: write, stream to a terminal, score lines."""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.checks import InputError
from seqjax.data import Decoder, Tokenizer
from seqjax.decoding import bucket, generate, pad_prompts, stream
from seqjax.models import NextSymbol
from seqjax.ops.dropout import row_keys
from seqjax.ops.sampling import Sampling, seen_tokens
from seqjax.tasks.unknown_words import tell_unknown

DOCUMENT = 0  # the id of a document's boundary
ROWS = 32  # lines scored in one call


class LanguageModel(NamedTuple):
    """A model, its tokenizer and its parameters."""

    model: NextSymbol
    tokenizer: Tokenizer
    params: Any


class LineScore(NamedTuple):
    """How likely a line is as a whole document."""

    log_probability: float  # nats, of all symbols and the end
    symbols: int  # with the end
    perplexity: float  # per symbol


class _Prompt(NamedTuple):
    """Rows of a prompt as the engine takes them: all but the last symbol, and the last; what reads on from there."""

    inputs: dict[str, Any]
    last: Any
    keys: Any
    decoders: list[Decoder]


def _prompt(lm: LanguageModel, text: str, key, rows: int = 1) -> _Prompt:
    ids = np.concatenate([[DOCUMENT], lm.tokenizer.encode(text, strict=True)]).astype(np.int32)
    tokens, mask = pad_prompts([ids[:-1]] * rows, lm.tokenizer.size)
    decoders = [lm.tokenizer.decoder() for _ in range(rows)]
    if not text[-1:].isspace():  # else the next word has its space already
        for decoder in decoders:
            for symbol in ids[1:]:
                decoder.push(int(symbol))
    last = jnp.full(rows, ids[-1])
    return _Prompt({"tokens": tokens, "mask": mask}, last, row_keys(key, jnp.arange(rows)), decoders)


def _read(lm: LanguageModel, start: _Prompt, sampling: Sampling):
    """Which symbols stand in the prompt, (B, V), for a penalty on repeating them; None where there is none."""
    if sampling.repetition_penalty == 1:
        return None
    tokens, mask = jnp.asarray(start.inputs["tokens"]), jnp.asarray(start.inputs["mask"])
    return seen_tokens(tokens, mask & (tokens != DOCUMENT), lm.tokenizer.size)


def sample(lm: LanguageModel, prompt: str, tokens: int, key, sampling: Sampling | None = None) -> str:
    """Write on from ``prompt`` until ``tokens`` symbols stand there or the document ends; with the prompt."""
    return samples(lm, prompt, tokens, 1, key, sampling)[0]


def samples(
    lm: LanguageModel, prompt: str, tokens: int, count: int, key, sampling: Sampling | None = None
) -> list[str]:
    """So many texts that go on from ``prompt``, each as :func:`sample` writes one; the first is the one it writes."""
    start, sampling = _prompt(lm, prompt, key, count), sampling or Sampling(temperature=0.8)
    made = generate(
        lm.model.decodable, lm.params, start.inputs, start.last, start.keys,
        max_tokens=tokens, sampling=sampling, end=DOCUMENT, seen=_read(lm, start, sampling),
    )  # fmt: skip
    rows = zip(start.decoders, np.asarray(made.tokens), np.asarray(made.lengths), strict=True)
    return [prompt + "".join([*_read_out(decoder, row[:length]), decoder.flush()]) for decoder, row, length in rows]


def _read_out(decoder: Decoder, symbols: np.ndarray) -> Iterator[str]:
    """The text of new symbols, boundaries of documents left out."""
    return (decoder.push(int(symbol)) for symbol in symbols if symbol != DOCUMENT)


def write(lm: LanguageModel, prompt: str, tokens: int, seed: int, sampling: Sampling) -> Iterator[str]:
    """The same text as :func:`sample` in pieces, as soon as they are known; without the prompt."""
    start = _prompt(lm, prompt, jax.random.key(seed))
    tell_unknown(lm.tokenizer, [prompt])
    blocks = stream(
        lm.model.decodable, lm.params, start.inputs, start.last, start.keys,
        max_tokens=tokens, sampling=sampling, end=DOCUMENT, seen=_read(lm, start, sampling),
    )  # fmt: skip
    for block in blocks:
        yield "".join(_read_out(start.decoders[0], block[0]))
    yield start.decoders[0].flush()


def several(lm: LanguageModel, prompt: str, tokens: int, seed: int, sampling: Sampling, count: int) -> str:
    """So many texts, the prompt before each, and a line of dashes between them.

    Raises:
        InputError: no text is wanted, or more than one where there is only one.
    """
    if count < 1 or (sampling.greedy and count > 1):
        wanted = "1 with --greedy, which makes the same text each time" if sampling.greedy else "at least 1"
        raise InputError(f"generate: --samples should be {wanted}, but it is {count}.")
    texts = samples(lm, prompt, tokens, count, jax.random.key(seed), sampling)
    tell_unknown(lm.tokenizer, [prompt])
    return "\n--------\n".join(texts)


def score_lines(lm: LanguageModel, lines: list[str]) -> Iterator[LineScore]:
    """The log-probability of each line as a document of its own, its end included, in order."""
    log_probabilities = _scorer(lm.model)
    encoded = [_document(lm.tokenizer, line, number) for number, line in enumerate(lines, 1)]
    tell_unknown(lm.tokenizer, lines)
    for first in range(0, len(encoded), ROWS):
        rows = encoded[first : first + ROWS]
        time = bucket(max(len(row) for row in rows) - 1)
        ids = np.zeros((ROWS, time + 1), np.int32)
        mask = np.zeros((ROWS, time), bool)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
            mask[place, : len(row) - 1] = True
        totals = np.asarray(log_probabilities(lm.params, ids, mask), np.float64).sum(axis=1)
        for total, row in zip(totals, rows, strict=False):
            symbols = len(row) - 1
            yield LineScore(float(total), symbols, float(np.exp(-total / symbols)))


def _document(tokenizer: Tokenizer, line: str, number: int) -> np.ndarray:
    try:
        ids = tokenizer.encode(line, strict=True)
    except InputError as error:
        raise InputError(f"line {number}: {error}") from None
    return np.concatenate([[DOCUMENT], ids, [DOCUMENT]]).astype(np.int32)


@functools.cache
def _scorer(model: NextSymbol):
    return jax.jit(model.log_probabilities)

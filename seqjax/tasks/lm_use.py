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
    """A prompt as the engine takes it, all but the last symbol, and the last; and what reads on from there."""

    inputs: dict[str, Any]
    last: Any
    keys: Any
    decoder: Decoder


def _prompt(lm: LanguageModel, text: str, key) -> _Prompt:
    ids = np.concatenate([[DOCUMENT], lm.tokenizer.encode(text, strict=True)]).astype(np.int32)
    tokens, mask = pad_prompts([ids[:-1]], lm.tokenizer.size)
    decoder = lm.tokenizer.decoder()
    if not text[-1:].isspace():  # else the next word has its space already
        for symbol in ids[1:]:
            decoder.push(int(symbol))
    return _Prompt({"tokens": tokens, "mask": mask}, jnp.asarray(ids[-1:]), row_keys(key, jnp.arange(1)), decoder)


def _read(lm: LanguageModel, start: _Prompt, sampling: Sampling):
    """Which symbols stand in the prompt, (1, V), for a penalty on repeating them; None where there is none."""
    if sampling.repetition_penalty == 1:
        return None
    tokens, mask = jnp.asarray(start.inputs["tokens"]), jnp.asarray(start.inputs["mask"])
    return seen_tokens(tokens, mask & (tokens != DOCUMENT), lm.tokenizer.size)


def sample(lm: LanguageModel, prompt: str, tokens: int, key, sampling: Sampling | None = None) -> str:
    """Write on from ``prompt`` until ``tokens`` symbols stand there or the document ends; with the prompt."""
    start, sampling = _prompt(lm, prompt, key), sampling or Sampling(temperature=0.8)
    made = generate(
        lm.model.decodable, lm.params, start.inputs, start.last, start.keys,
        max_tokens=tokens, sampling=sampling, end=DOCUMENT, seen=_read(lm, start, sampling),
    )  # fmt: skip
    new = np.asarray(made.tokens[0, : int(made.lengths[0])])
    return (
        prompt
        + "".join(start.decoder.push(int(symbol)) for symbol in new if symbol != DOCUMENT)
        + start.decoder.flush()
    )


def write(lm: LanguageModel, prompt: str, tokens: int, seed: int, sampling: Sampling) -> Iterator[str]:
    """The same text as :func:`sample` in pieces, as soon as they are known; without the prompt."""
    start = _prompt(lm, prompt, jax.random.key(seed))
    tell_unknown(lm.tokenizer, [prompt])
    blocks = stream(
        lm.model.decodable, lm.params, start.inputs, start.last, start.keys,
        max_tokens=tokens, sampling=sampling, end=DOCUMENT, seen=_read(lm, start, sampling),
    )  # fmt: skip
    for block in blocks:
        yield "".join(start.decoder.push(int(symbol)) for symbol in block[0] if symbol != DOCUMENT)
    yield start.decoder.flush()


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

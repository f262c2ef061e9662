"""A language model that reads along with a search for transcripts: a finished run of the task ``lm``.

W hypotheses, K symbols of the transcriber, the blank (id 0) among them.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.checks import InputError
from seqjax.data import Tokenizer
from seqjax.decoding import Decodable
from seqjax.decoding.decodable import open_model
from seqjax.decoding.prefix_beam import Companion
from seqjax.tasks.lm import LM
from seqjax.tasks.lm_use import DOCUMENT, LanguageModel
from seqjax.tasks.pretrained import run_of, use_run

ADVICE = "Train one on texts like the transcripts: python train.py lm --data.documents line --data.path FILE"


def open_language_model(path: str) -> LanguageModel:
    """The language model of a run.

    Raises:
        InputError: no run, a run of another task, or without a checkpoint.
    """
    return use_run(LM, run_of("--lm", path, LM, ADVICE))


def shared_symbols(lm: LanguageModel, symbols: Tokenizer) -> np.ndarray:
    """The language model's id of each of the transcriber's symbols: (K,); of the blank, that of a text's end.

    Raises:
        InputError: the language model cuts texts into other pieces than characters, or misses some.
    """
    if lm.tokenizer.kind in ("bpe", "wordpiece", "unigram"):
        raise InputError(
            f"--lm: the language model should read characters one by one, as transcripts are written, but its symbols "
            f"({lm.tokenizer.kind}) are longer pieces too. {ADVICE}"
        )
    found, missing = np.full(symbols.size, DOCUMENT, np.int32), []
    for number, symbol in enumerate(symbols.pieces(range(symbols.size))):
        if number in (DOCUMENT, symbols.unknown):
            continue
        ids = lm.tokenizer.encode(symbol)
        if len(ids) != 1 or ids[0] == lm.tokenizer.unknown:
            missing.append(symbol)
        else:
            found[number] = ids[0]
    if missing:
        shown = ", ".join(map(repr, missing[:8])) + (f" and {len(missing) - 8} more" if len(missing) > 8 else "")
        raise InputError(
            f"--lm: the language model ({lm.tokenizer.kind}) has no symbol of its own for {shown}, which transcripts "
            f"may hold. {ADVICE}"
        )
    return found


def companion(lm: LanguageModel, symbols: Tokenizer) -> Companion:
    """A language model as a search over the transcriber's symbols asks it."""
    ids, model = shared_symbols(lm, symbols), lm.model.decodable
    rare = symbols.unknown

    @functools.cache
    def opened(rows: int):
        inputs = {"tokens": jnp.zeros((rows, 1), jnp.int32), "mask": jnp.zeros((rows, 1), bool)}
        weights, memory, state = open_model(model, lm.params, inputs)
        everything = np.arange(rows), np.full(rows, DOCUMENT), np.ones(rows, bool)
        return weights, memory, *_advance(model, weights, memory, (state, None), *everything)

    def told(scores) -> np.ndarray:
        taken = np.asarray(scores, np.float64)[:, ids]
        if rare is not None:
            taken[:, rare] = -1e4  # what was never seen is never written
        return taken

    def start(rows: int):
        state, scores = opened(rows)[2:]
        return (rows, state, scores), told(scores)

    def advance(carried, parents, read, grown):
        rows, state, scores = carried
        weights, memory, _, _ = opened(rows)
        state, scores = _advance(model, weights, memory, (state, scores), parents, ids[read], grown)
        return (rows, state, scores), told(scores)

    return Companion(start, advance)


@functools.partial(jax.jit, static_argnums=0)
def _advance(model: Decodable, weights, memory, before, parents, symbols, grown):
    """Rows go on from what others were; those that have grown read a symbol."""
    state, scores = jax.tree.map(lambda leaf: leaf[parents], before)
    after, logits = model.advance(weights, memory, state, symbols.astype(jnp.int32))
    now = jax.nn.log_softmax(logits.astype(jnp.float32))

    def choose(new, old):
        return jnp.where(grown.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return jax.tree.map(choose, after, state), now if scores is None else choose(now, scores)

"""Use ELMo: vectors of words in their sentences, and what both language models make of a sentence."""

import contextlib
import dataclasses
import functools
import os
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.checks import InputError
from seqjax.data.word_list import spell
from seqjax.data.word_sentences import Lists, SentencesConfig, split_words
from seqjax.decoding import bucket
from seqjax.models.elmo import ElmoConfig, ElmoModel
from seqjax.models.pure import of_targets

ROWS = 16  # sentences read in one call
KEPT = "vectors.npz"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Vectors:
    """Read each line of standard input as one sentence: its words become vectors that depend on the whole line.

    Into --out go two arrays for line N (1 is the first): `layers/N` (layers, words, features) and `words/N` (words,).
    Layer 0 knows a word's spelling alone; of the others, the first half of the features knows of the words before
    too, the second half of those behind. Nothing is carried from line to line.

    For each line one line comes out: how many words, the perplexity of both directions (their geometric mean), and
    the word that was expected least, where its neighbours on both sides are known.
    """

    out: str = KEPT  # file of NumPy arrays that is written; one that is there is replaced

    def __post_init__(self):
        if not self.out.endswith(".npz"):
            raise InputError(f"predict: --out should end in .npz, but it is {self.out!r}. Try {KEPT}.")


class Reader(NamedTuple):
    """Both language models, what they know of their language, and their parameters."""

    model: ElmoModel
    lists: Lists
    data: SentencesConfig
    shape: ElmoConfig
    params: Any

    def spell(self, words: Sequence[str]) -> np.ndarray:
        """Character ids (T, C) of words, as the model reads them; 0 is nothing."""
        lowered = [word.lower() for word in words] if self.data.lower else words
        return spell(self.lists.characters, lowered, self.data.characters)


class Read(NamedTuple):
    """What there is to know of a sentence of T words."""

    layers: np.ndarray  # (L, T, D)
    nats: np.ndarray  # (T,), −log p of each word, the mean of both directions
    ends: float  # nats of its end from the left and of its beginning from the right, their mean

    @property
    def perplexity(self) -> float:
        """Of both directions; the sentence's end, or beginning, counts as a word."""
        return float(np.exp((self.nats.sum() + self.ends) / (len(self.nats) + 1)))


def read_sentences(reader: Reader, sentences: Sequence[Sequence[str]]) -> Iterator[Read]:
    """Vectors and surprise of each sentence, in order; sentences that stand together are read together.

    A sentence gives the same numbers whatever stands before it, to rounding.
    """
    run = _reading(reader.model)
    for first in range(0, len(sentences), ROWS):
        rows = sentences[first : first + ROWS]
        batch = padded(reader, rows)
        layers, nats, ends = jax.device_get(run(reader.params, batch))
        for number, words in enumerate(rows):
            yield Read(layers[number, :, : len(words)], nats[number, : len(words)], float(ends[number]))


def padded(reader: Reader, sentences: Sequence[Sequence[str]]) -> dict[str, np.ndarray]:
    """Up to :data:`ROWS` sentences as a batch of that many rows; T is one of few lengths."""
    time = bucket(max([len(words) for words in sentences] + [1]))
    words, mask = np.zeros((ROWS, time), np.int32), np.zeros((ROWS, time), bool)
    characters = np.zeros((ROWS, time, reader.data.characters), np.int32)
    for row, sentence in enumerate(sentences):
        end = len(sentence)
        words[row, :end], characters[row, :end] = reader.lists.words.encode(sentence), reader.spell(sentence)
        mask[row, :end] = True
    return {"words": words, "characters": characters, "mask": mask}


@functools.cache
def _reading(model: ElmoModel):
    """Compiled: layers (B, L, T, D), nats of words (B, T) and of ends (B,), in rows that are padded on the right."""

    def run(params, batch):
        said = model.predict(params, batch)
        left, right = (-of_targets(*said[name]) for name in ("forward", "backward"))
        length = batch["mask"].sum(axis=1)[:, None]
        nats = jnp.where(batch["mask"], left[:, :-1] + right[:, 1:], 0) / 2
        ends = (jnp.take_along_axis(left, length, axis=1)[:, 0] + right[:, 0]) / 2
        return model.read(params, batch), nats, ends

    return jax.jit(run)


def predict(reader: Reader, lines: list[str], options: Vectors) -> Iterator[str]:
    """What ``seqjax predict`` prints, in order; the arrays are in the file when the last line has been printed."""
    sentences = [split_words(line, reader.data) for line in lines]
    with writing(Path(options.out)) as put:
        for number, (words, read) in enumerate(zip(sentences, read_sentences(reader, sentences), strict=True), 1):
            put(f"layers/{number}", read.layers)
            put(f"words/{number}", np.array(words, str))
            least = words[int(read.nats.argmax())] if words else "-"
            yield f"{len(words)}\t{read.perplexity if words else 1:.1f}\t{least}"
    print(f"{len(lines)} sentences in {options.out}: layers/N (layers, words, features), words/N", file=sys.stderr)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Callable[[str, np.ndarray], None]]:
    """Arrays into a ``.npz`` file one by one; it is there whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    draft = path.with_name(path.name + ".draft")
    try:
        file = zipfile.ZipFile(draft, "w")
    except OSError as error:
        raise InputError(f"predict: --out {path} cannot be written: {error.strerror}.") from None

    def put(name: str, array: np.ndarray) -> None:
        with file.open(f"{name}.npy", "w") as entry:
            np.lib.format.write_array(entry, array, allow_pickle=False)

    try:
        with file:
            yield put
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def show(reader: Reader, sentences: Sequence[Sequence[str]]) -> Callable[[Any, int], str]:
    """``(params, step) -> text``: some sentences, and which word each direction expected at each place."""

    def draw(params, step: int) -> str:
        batch, lines = padded(reader, sentences), []
        names = [*reader.lists.words.words, "<s>", "</s>"]
        likeliest = jax.device_get(_expecting(reader.model)(params, batch))
        for row, words in enumerate(sentences):
            lines.append(" ".join(words))
            for (side, ids), place in zip(likeliest.items(), (0, 1), strict=True):
                said = [names[symbol] for symbol in ids[row, place : place + len(words)]]
                lines.append(f"  {side:<12}{' '.join(said)}")
        return "\n".join(lines)

    return draw


@functools.cache
def _expecting(model: ElmoModel):
    def run(params, batch):
        said = model.predict(params, batch)
        return {
            f"from {side}": said[name][0].argmax(axis=-1) for side, name in (("left", "forward"), ("right", "backward"))
        }

    return jax.jit(run)

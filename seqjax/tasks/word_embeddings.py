"""Vectors of words from a file, or from a run of ``embeddings``, as the start of another model: ``--embeddings.*``.

V words of the new model, E features of the vectors.
"""

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.checks import InputError, check_shape
from seqjax.interop.word_vectors import WordVectors, read_shape, read_vectors, write_vectors
from seqjax.training.devices import writer_first
from seqjax.training.folder import RunFolder
from seqjax.training.state import with_leaves


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbeddingsConfig:
    """Word vectors to start from."""

    path: str = ""  # a file (word2vec text or binary, GloVe text; .gz too), or the folder of a run of `embeddings`
    tuned: bool = True  # train them too; else they stay as they are


class Known(NamedTuple):
    """The vectors that a file has for the words of a model."""

    vectors: np.ndarray  # (V, E) float32, zeros where the file has none
    known: np.ndarray  # (V,), True where it has one
    line: str  # how many, to be shown

    @property
    def features(self) -> int:
        """E, the width of the vectors."""
        return self.vectors.shape[1]


def known_vectors(config: EmbeddingsConfig, words: Sequence[str], folder: RunFolder) -> Known | None:
    """The vectors of ``words``, for a run that begins or goes on; None when no file is asked for.

    The first call cuts the file to ``words`` and keeps that part as ``vectors.bin`` in the run's folder, so the run
    never needs the file again.

    Args:
        config: names the file.
        words: V, in the order of their ids. One that the file does not know is looked up in lower case too.
        folder: of the run.

    Raises:
        InputError: what :func:`seqjax.interop.word_vectors.read_vectors` refuses, no word in common among it.
    """
    if not config.path:
        return None

    def prepare(writer: bool) -> WordVectors:
        if writer and not folder.vectors.exists():
            draft = folder.vectors.with_name("vectors.draft")
            write_vectors(draft, *_cut(config.path, words), format="word2vec-binary")
            os.replace(draft, folder.vectors)
        return read_vectors(folder.vectors)

    return match(writer_first(prepare), words, config)


def kept_features(config: EmbeddingsConfig, folder: RunFolder, default: int) -> int:
    """E of a run that exists: what its vectors brought, or ``default`` when it began without."""
    return read_shape(folder.vectors).features if config.path else default


def start_with(init: Callable[[Any], Any], path: str, known: Known | None) -> Callable[[Any], Any]:
    """The same ``key -> params``, whose table at ``path`` holds the known vectors; its other rows stay random.

    The random rows get the spread of the known ones, so that no word stands out by its length alone.

    Args:
        init: makes a nested dict.
        path: where the table (V, E) is, e.g. ``words/table``.
        known: None leaves ``init`` as it is.

    Returns:
        A pytree that can be called, the vectors its leaves: given to a jitted function, they are no constants of its
        program.
    """
    if known is None:
        return init
    spread = float(known.vectors[known.known].std())

    def put(part, names: list[str], vectors, has):
        if names:
            return part | {names[0]: put(part[names[0]], names[1:], vectors, has)}
        check_shape("embeddings", path, part, "(V, E)", vectors.shape)
        random = part * (spread / jnp.maximum(part.std(), 1e-12))
        return jnp.where(has[:, None], vectors, random)

    def begin(init, vectors, has, key):
        return put(init(key), path.split("/"), vectors, has)

    return jax.tree_util.Partial(begin, with_leaves(init), known.vectors, known.known)


def fill_vectors(table: np.ndarray, words: Sequence[str], config: EmbeddingsConfig) -> tuple[np.ndarray, str]:
    """``table`` (V, E) with the file's vectors in the rows of the words that it knows, and how many those are.

    Raises:
        InputError: what :func:`seqjax.interop.word_vectors.read_vectors` refuses; another width than the table's.
    """
    known = match(_cut(config.path, words), words, config)
    check_shape("embeddings", "table", table, "(V, E)", known.vectors.shape)
    return np.where(known.known[:, None], known.vectors, table), known.line


def match(found: WordVectors, words: Sequence[str], config: EmbeddingsConfig) -> Known:
    """Vectors in the order of ``words``, each as it is written or else in lower case.

    Example:
        >>> found = WordVectors(("cat",), np.array([[1.0, 2.0]], np.float32))
        >>> known = match(found, ["<unk>", "Cat"], EmbeddingsConfig(path="animals.txt"))
        >>> known.vectors.tolist(), known.line
        ([[0.0, 0.0], [1.0, 2.0]], '1 of 1 words (100.0 %) have a vector of 2 features in animals.txt, tuned')
    """
    places = {word: place for place, word in enumerate(found.words)}
    at = np.array([places.get(word, places.get(word.lower(), -1)) for word in words])
    known = at >= 0
    vectors = np.where(known[:, None], found.vectors[at], np.float32(0))
    real = len(words) - ("<unk>" in words and "<unk>" not in places)
    line = (
        f"{known.sum():,} of {real:,} words ({known.sum() / max(1, real):.1%}) have a vector of {vectors.shape[1]} "
        f"features in {config.path}, {'tuned' if config.tuned else 'frozen'}"
    )
    return Known(vectors, known, line.replace("%)", " %)"))


def _cut(path: str, words: Sequence[str]) -> WordVectors:
    """The part of a file, or of a run, that ``words`` have a use for."""
    wanted = {*words, *(word.lower() for word in words)}
    if not os.path.isdir(Path(path).expanduser()):
        return read_vectors(path, wanted)
    from seqjax.tasks.session import open_existing, trained  # it knows all tasks, and so this one's users

    run = open_existing(path)
    if run.task.name != "embeddings":
        raise InputError(
            f"--embeddings.path {path}: this is a run of the task {run.task.name}, but one of embeddings is wanted."
        )
    found = trained(run)
    kept = [place for place, word in enumerate(found.words) if word in wanted]
    if not kept:
        raise InputError(f"--embeddings.path {path}: no word in common: none of the {len(words):,} words stands there.")
    return WordVectors(tuple(found.words[place] for place in kept), found.vectors[kept])

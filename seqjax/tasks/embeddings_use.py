"""Use vectors of words: neighbours, analogies, agreement with people, files for other programs, a map."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np
from tyro.conf import arg

from seqjax.checks import InputError
from seqjax.data.word_list import WordList
from seqjax.data.word_questions import read_analogies, read_similarities
from seqjax.interop.word_vectors import Format, write_vectors
from seqjax.models.word_vectors import VectorModel
from seqjax.tasks.word_judgements import Near, Vocabulary


class LearnedVectors(NamedTuple):
    """Words and their vectors, the most frequent first."""

    words: tuple[str, ...]  # without <unk>
    vectors: Any  # (V, E) float32
    params: Any  # of the model they come from

    @classmethod
    def of(cls, model: VectorModel, words: WordList, params) -> "LearnedVectors":
        """The vectors that a model's parameters stand for, on the host; shapes stay shapes."""
        if any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(params)):
            return cls(words.words[1:], None, params)
        return cls(words.words[1:], np.asarray(model.vectors(params), np.float32)[1:], params)

    @property
    def vocabulary(self) -> Vocabulary:
        """The same, to be asked."""
        return Vocabulary(self.words, self.vectors)


@dataclasses.dataclass(frozen=True, kw_only=True)
class VectorsData:
    """What vectors of words are judged by; with no file, by their loss on the run's own test split."""

    path: tuple[str, ...] = ()  # text, for the loss
    similarity: tuple[str, ...] = ()  # files of WORD TAB WORD TAB NUMBER: Spearman's correlation
    analogies: tuple[str, ...] = ()  # files of four words a line below `: SECTION` lines: accuracy of 3CosAdd


@dataclasses.dataclass(frozen=True)
class NeighboursOptions:
    """The words nearest to a word, and the cosine of the angle to each, tab-separated."""

    run: Annotated[str, arg(metavar="RUN")]  # folder of the run
    words: Annotated[tuple[str, ...], arg(metavar="WORD …")]  # one word or more
    count: int = 10  # neighbours of each
    map: str = ""  # draw the words and their neighbours in two dimensions, into this file

    def __post_init__(self):
        if not self.words:
            raise InputError("neighbours: should be followed by a run and a word, as `seqjax neighbours RUN WORD`.")
        check_count("neighbours", self.count)


@dataclasses.dataclass(frozen=True)
class AnalogyOptions:
    """What is to C as B is to A: the words nearest to B − A + C, and the cosine of the angle to each."""

    run: Annotated[str, arg(metavar="RUN")]  # folder of the run
    a: Annotated[str, arg(metavar="A")]  # a word
    b: Annotated[str, arg(metavar="B")]  # what is to it
    c: Annotated[str, arg(metavar="C")]  # as what is asked for is to this one
    count: int = 5  # answers

    def __post_init__(self):
        check_count("analogy", self.count)


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """Write the vectors into a file that other programs read."""

    run: Annotated[str, arg(metavar="RUN")]  # folder of the run
    file: Annotated[str, arg(metavar="FILE")]  # where they go
    format: Format = "word2vec"  # word2vec and glove are text, the latter without a header


def check_count(verb: str, count: int) -> None:
    """Refuse to answer with nothing."""
    if count < 1:
        raise InputError(f"{verb}: --count should be at least 1, but it is {count}.")


def lines_of(found: Sequence[Near]) -> Iterator[str]:
    """One line a word."""
    return (f"{near.cosine:.4f}\t{near.word}" for near in found)


def show_neighbours(learned: LearnedVectors, options: NeighboursOptions) -> Iterator[str]:
    """The neighbours of each word, below its name when there are several."""
    vocabulary = learned.vocabulary
    found = {word: vocabulary.neighbours(word, options.count) for word in options.words}
    for word, near in found.items():
        if len(found) > 1:
            yield f"{word}:"
        yield from lines_of(near)
    if options.map:
        yield f"map: {draw_map(learned, found, options.map)}"


def draw_map(learned: LearnedVectors, found: dict[str, list[Near]], path: str) -> str:
    """Draw words and their neighbours, each family in a colour of its own."""
    from seqjax.plots.embedding_map import embedding_map

    groups: dict[str, str] = {}
    for word, near in found.items():
        for name in (word, *(one.word for one in near)):
            groups.setdefault(name, word)
    vocabulary = learned.vocabulary
    places = [vocabulary.place(word) for word in groups]
    embedding_map(learned.vectors[places], list(groups), groups=list(groups.values())).savefig(path)
    return path


def show_analogy(learned: LearnedVectors, options: AnalogyOptions) -> Iterator[str]:
    """The answers, the best first."""
    return lines_of(learned.vocabulary.analogy(options.a, options.b, options.c, options.count))


def export(learned: LearnedVectors, options: ExportOptions) -> Iterator[str]:
    """Write the file, and say what stands in it."""
    path = Path(options.file).expanduser()
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(f"export: {path} should be a file in a folder that exists.")
    write_vectors(path, learned.words, learned.vectors, options.format)
    yield f"{len(learned.words):,} vectors of {learned.vectors.shape[1]} features in {path} ({options.format})"


def some_neighbours(learned: LearnedVectors, words: Sequence[str], count: int) -> str:
    """A line for each word: itself, then its neighbours."""
    vocabulary = learned.vocabulary
    return "\n".join(f"{word}: {' '.join(near.word for near in vocabulary.neighbours(word, count))}" for word in words)


def judge(learned: LearnedVectors, data: VectorsData) -> dict[str, Any]:
    """Spearman's correlation for every file of similarities; accuracy for every section of analogies, and of all."""
    vocabulary = learned.vocabulary
    metrics: dict[str, Any] = {}
    for path in data.similarity:
        judged, name = vocabulary.agree(read_similarities(path), path), Path(path).stem
        metrics |= {f"spearman {name}": judged.value, f"known {name}": f"{judged.known} of {judged.asked}"}
    for path in data.analogies:
        sections, name = vocabulary.solve(read_analogies(path), path), Path(path).stem
        known, asked = (sum(getattr(one, field) for one in sections.values()) for field in ("known", "asked"))
        right = sum(one.value * one.known for one in sections.values())
        metrics |= {f"accuracy {name}": right / known, f"known {name}": f"{known:,} of {asked:,}"}
        metrics |= {f"accuracy {name}: {section}": one.value for section, one in sections.items() if one.known}
    return metrics

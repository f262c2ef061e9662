"""Use a parser: find the trees of sentences, write them as CoNLL-U, draw them, and compare them with references."""

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from seqjax.checks import InputError
from seqjax.data import Examples, LabelList, WordList, example_batches
from seqjax.data.conllu import UNKNOWN, Tree, looks_like_conllu, make_tree, parse_conllu, with_heads, write_conllu
from seqjax.data.spanning_tree import spanning_tree
from seqjax.data.tagged import encode_words
from seqjax.data.trees import TreesConfig, Unseen, attachment
from seqjax.models.parser import ParserModel

FEW, ROWS = 8, 64  # sentences read in one call: two shapes and no more
MARKS = re.compile(r"['’](?:s|d|m|re|ve|ll)\b|\w+(?:-\w+)*|[^\w\s]")  # words, what English hangs on them, marks
ROOT = "root"  # the relation of the word that hangs on nothing, in Universal Dependencies


@dataclasses.dataclass(frozen=True, kw_only=True)
class TreesOption:
    """Which trees."""

    path: tuple[str, ...] = ()  # files or folders of CoNLL-U; default: the run's own test split
    skip_punctuation: bool = False  # leave punctuation out of uas and las; a run may be set to it already
    unseen: Unseen = "refuse"  # a relation that training never saw: refuse the file, or count each as labelled wrong


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictTrees:
    """Parse standard input with the best checkpoint of a run, and write CoNLL-U.

    The input is CoNLL-U, whose HEAD and DEPREL are then replaced, or a sentence a line, its words divided by spaces.
    """

    punctuation: bool = False  # cut marks off words first, as in `she sleeps .`; not for CoNLL-U
    draw: str = ""  # folder for a picture of every tree: 0001.png, …


class ParseUse(NamedTuple):
    """A model, what it knows of words and relations, and its parameters."""

    model: ParserModel
    words: WordList
    characters: WordList | None
    labels: LabelList
    data: TreesConfig
    params: Any

    def parse(self, trees: Sequence[Tree]) -> list[Tree]:
        """The same sentences with the trees that the model finds; those of like length are read together.

        Heads are a maximum spanning tree with one root. Where training has a relation ``root``, it goes to that word
        and to no other.
        """
        if not trees:
            return []
        read, relate = compiled(self.model)
        examples = Examples(encode_words([tree.forms for tree in trees], self.words, self.characters), {})
        rows = FEW if len(trees) <= FEW else ROWS
        batches = example_batches(examples, rows=rows, train=False, buckets=self.data.buckets)
        found = list(trees)
        for batch in map(batches.__getitem__, range(len(batches))):
            parsed = read(self.params, batch)
            heads = np.zeros(batch["mask"].shape, np.int32)
            arcs, lengths = np.asarray(parsed.arcs, np.float64), batch["mask"].sum(axis=1)
            for row in np.flatnonzero(batch["real"]):
                size = lengths[row]
                heads[row, :size] = spanning_tree(arcs[row, :size, : size + 1])
            scores = np.asarray(relate(self.params, parsed, heads, batch["mask"]))
            for row in np.flatnonzero(batch["real"]):
                place, size = batch["example"][row], lengths[row]
                own = heads[row, :size]
                found[place] = with_heads(trees[place], own.tolist(), self._name(scores[row, :size], own))
        return found

    def _name(self, scores: np.ndarray, heads: np.ndarray) -> list[str]:
        """The likeliest relations (T,) of (T, L)."""
        if ROOT in self.labels.ids and len(self.labels) > 1:
            root = np.arange(len(self.labels)) == self.labels.ids[ROOT]
            scores = np.where((heads == 0)[:, None] == root, scores, -np.inf)
        return [self.labels.names[label] for label in scores.argmax(axis=1)]


@functools.lru_cache(maxsize=8)
def compiled(model: ParserModel) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Jitted ``read`` without dropout, and ``relate``; the same ones for the same model."""
    return jax.jit(lambda params, batch: model.read(params, batch, None)), jax.jit(model.relate)


def predict(use: ParseUse, lines: list[str], options: PredictTrees) -> Iterator[str]:
    """What ``seqjax predict`` prints, in order: a sentence at a time."""
    trees = read_sentences(lines, options, use.data.longest)
    for number, tree in enumerate(use.parse(trees), 1):
        if options.draw:
            save_tree(tree, Path(options.draw), number)
        yield write_conllu([tree]).removesuffix("\n")


def read_sentences(lines: list[str], options: PredictTrees, longest: int) -> list[Tree]:
    """Sentences of lines of words, or of CoNLL-U, whose trees, if it has any, are not looked at.

    Raises:
        InputError: a sentence that is too long; CoNLL-U that :func:`seqjax.data.conllu.parse_conllu` refuses.

    Example:
        >>> [tree.forms for tree in read_sentences(["Birds sing .", "", "Dogs bark ."], PredictTrees(), 10)]
        [('Birds', 'sing', '.'), ('Dogs', 'bark', '.')]
        >>> read_sentences(["Maria's owl-like cat, again?"], PredictTrees(punctuation=True), 10)[0].forms
        ('Maria', "'s", 'owl-like', 'cat', ',', 'again', '?')
    """
    if looks_like_conllu(lines):
        trees = parse_conllu("\n".join(lines), "standard input", heads=False)
    else:
        cut = MARKS.findall if options.punctuation else str.split
        rows = [(number, tuple(cut(line))) for number, line in enumerate(lines, 1)]
        trees = [
            make_tree(forms, [UNKNOWN] * len(forms), forms)._replace(
                comments=(f"# text = {' '.join(forms)}",), where=f"line {number}"
            )
            for number, forms in rows
            if forms
        ]
    for tree in trees:
        if len(tree.forms) > longest:
            raise InputError(
                f"{tree.where}: the sentence has {len(tree.forms):,} words, but the model was made for {longest} "
                "(--data.longest when it was trained). Split it."
            )
    return trees


def save_tree(tree: Tree, folder: Path, number: int) -> None:
    """Draw a tree as FOLDER/0001.png."""
    from seqjax.plots.dependencies import dependencies

    folder.mkdir(parents=True, exist_ok=True)
    tags = tree.upos if set(tree.upos) != {"_"} else ()
    figure = dependencies(tree.forms, tree.heads, tree.labels, tags=tags, title=tree.name)
    figure.savefig(folder / f"{number:04d}.png")
    figure.clear()


def show(use: ParseUse, trees: Sequence[Tree]) -> Callable[[Any, int], str]:
    """``(params, step) -> text``: some sentences, and the words that hang on a wrong head or by a wrong relation."""

    def draw(params, step: int) -> str:
        made = use._replace(params=params).parse(trees)
        return "\n".join(_mistakes(wanted, own) for wanted, own in zip(trees, made, strict=True))

    return draw


def _mistakes(wanted: Tree, made: Tree) -> str:
    """The sentence, and a line for every word that is wrong.

    Example:
        >>> one = make_tree(["She", "sees", "him"], [2, 0, 2], ["nsubj", "root", "obj"])
        >>> print(_mistakes(one, one._replace(labels=("nsubj", "root", "obl"))))
        She sees him
          him: obl of sees, wanted obj of sees
    """
    lines = [" ".join(wanted.forms)]
    for word, form in enumerate(wanted.forms):
        right, own = (
            f"{tree.labels[word]} of {tree.forms[tree.heads[word] - 1]}" if tree.heads[word] else "root"
            for tree in (wanted, made)
        )
        if (wanted.heads[word], wanted.labels[word]) != (made.heads[word], made.labels[word]):
            lines.append(f"  {form}: {own}, wanted {right}")
    return "\n".join(lines if len(lines) > 1 else [lines[0], "  all right"])


def examine(use: ParseUse, parts: Mapping[str, Sequence[Tree]], skip_punctuation: bool):
    """``(params, split) -> metrics``: attachment scores of maximum spanning trees."""

    def measure(params, split: str) -> dict[str, float]:
        wanted = parts[split]
        scores = attachment(wanted, use._replace(params=params).parse(wanted), punctuation=not skip_punctuation)
        return {"uas": scores.uas, "las": scores.las}

    return measure

"""Use a tagger: tag lines, measure spans, draw what its tags say of one another."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from seqjax.checks import InputError
from seqjax.data import Examples, LabelList, example_batches
from seqjax.data.conll import Tagged
from seqjax.data.tag_config import TagsConfig
from seqjax.data.tag_schemes import Scheme, legal_transitions, score_spans
from seqjax.data.tagged_dates import cut_words
from seqjax.models.tagger import TagModel
from seqjax.tasks.elmo_start import draw_mix
from seqjax.tasks.tag_front import Front, Sentence
from seqjax.training.folder import RunFolder

ROWS = 1024  # sentences tagged in one call, at most


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictTags:
    """Tag the lines of standard input with the best checkpoint of a run: a line of tags for each line of tokens."""

    columns: bool = False  # write CoNLL columns, TOKEN TAB TAG; of characters, SEQUENCE TAB TAGS
    punctuation: bool = False  # cut marks off words first: `May 3, 2022.` has the tokens `May 3 , 2022 .`


class TagUse(NamedTuple):
    """A model, what it knows of words and tags, and its parameters."""

    model: TagModel
    front: Front
    labels: LabelList
    scheme: Scheme
    data: TagsConfig
    params: Any

    def tag(self, sentences: Sequence[Sentence]) -> list[list[str]]:
        """The likeliest tags of each sentence; sentences of like length are read together, in one call."""
        places = np.array([place for place, sentence in enumerate(sentences) if len(sentence)], int)
        found: list[list[str]] = [[] for _ in sentences]
        if not len(places):
            return found
        steps, decode = self.front.arrays([sentences[place] for place in places]), decoder(self.model)
        examples = Examples(steps, {})
        sizes = np.asarray(examples.lengths)
        lengths = example_batches(examples, rows=1, train=False, buckets=self.data.buckets).lengths
        for shortest, longest in zip((0, *lengths), lengths, strict=False):
            alike = np.flatnonzero((sizes > shortest) & (sizes <= longest))
            rows = min(ROWS, 1 << max(0, len(alike) - 1).bit_length())
            some = Examples({name: [step[number] for number in alike] for name, step in steps.items()}, {})
            batches = example_batches(some, rows=rows, train=False, buckets=(longest,)) if len(alike) else ()
            for batch in map(batches.__getitem__, range(len(batches))):
                tags, length = np.asarray(decode(self.params, batch)), batch["mask"].sum(axis=1)
                for row in np.flatnonzero(batch["real"]):
                    place = places[alike[batch["example"][row]]]
                    found[place] = [self.labels.names[tag] for tag in tags[row, : length[row]]]
        return found


@functools.lru_cache(maxsize=8)
def decoder(model: TagModel) -> Callable[..., Any]:
    """Jitted ``decode``; the same one for the same model."""
    return jax.jit(model.decode)


def predict(use: TagUse, lines: list[str], options: PredictTags) -> Iterator[str]:
    """What ``seqjax predict`` prints, in order."""
    characters = use.data.tokens == "characters"
    cut = tuple if characters else cut_words if options.punctuation else str.split
    sentences = [tuple(cut(line)) for line in lines]
    for number, sentence in enumerate(sentences, 1):
        if len(sentence) > use.data.longest:
            raise InputError(
                f"line {number}: the sentence has {len(sentence):,} tokens, but the model was made for "
                f"{use.data.longest} (--data.longest when it was trained). Split it."
            )
    for sentence, tags in zip(sentences, use.tag(sentences), strict=True):
        if characters:
            yield "".join(sentence) + "\t" + "".join(tags) if options.columns else "".join(tags)
        elif options.columns:
            yield "".join(f"{word}\t{tag}\n" for word, tag in zip(sentence, tags, strict=True))
        else:
            yield " ".join(tags)


def show(use: TagUse, sentences: Sequence[Tagged]) -> Callable[[Any, int], str]:
    """``(params, step) -> text``: some sentences with their tags, where they are wrong with both."""

    def draw(params, step: int) -> str:
        made = use._replace(params=params).tag([one.words for one in sentences])
        return "\n".join(_marked(one, tags) for one, tags in zip(sentences, made, strict=True))

    return draw


def _marked(one: Tagged, made: Sequence[str]) -> str:
    words = []
    for word, tag, own in zip(one.words, one.tags, made, strict=True):
        shown = own if own == tag else f"{own}≠{tag}"
        words.append(word if shown == "O" else f"{word}[{shown}]")
    return " ".join(words)


def examine(use: TagUse, parts: Mapping[str, Sequence[Tagged]], folder: RunFolder | None):
    """``(params, split) -> metrics``: accuracy of tags, and where tags mark spans, their precision, recall and F1.

    Given a folder, the transitions of a CRF, and the weights of ELMo's layers, are drawn there beside the metrics of
    the test split.
    """

    def measure(params, split: str) -> dict[str, float]:
        sentences = parts[split]
        made = use._replace(params=params).tag([one.words for one in sentences])
        wanted = [one.tags for one in sentences]
        right = sum(a == b for row, own in zip(wanted, made, strict=True) for a, b in zip(row, own, strict=True))
        metrics = {"accuracy": right / max(1, sum(map(len, wanted)))}
        if use.scheme != "none":
            metrics |= score_spans(wanted, made, use.scheme)._asdict()
        if split == "test":
            metrics |= use.front.beside
        if folder is not None and split == "test":
            draw_transitions(use._replace(params=params), folder)
            draw_mix(params, folder)
        return metrics

    return measure


def draw_transitions(use: TagUse, folder: RunFolder) -> None:
    """Write transitions.png, if the model has transitions and matplotlib is there."""
    from seqjax.plots.transitions import transitions

    if "transitions" not in use.params:
        return
    scores, legal = use.params["transitions"], legal_transitions(use.labels.names, use.scheme)
    start, between, end = (
        np.where(may, np.asarray(scores[name]), np.nan) for name, may in zip(legal._fields, legal, strict=True)
    )
    try:
        figure = transitions(between, use.labels.names, start=start, end=end)
        figure.savefig(folder.path / "transitions.png")
    except (InputError, OSError):  # the extra `viz` is missing, or the disk is full: the curves say so
        return

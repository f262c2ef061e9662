"""Tags that mark spans: BIO and BIOES; which may follow which, what spans they mark, and how good those are.

A tag is ``O``, outside of every span, or a prefix and a kind: ``B-PER`` begins a span, ``I-PER`` goes on with it, in
BIOES ``E-PER`` ends it and ``S-PER`` is all of it. Reading is strict: a span that does not begin as it should, or
changes its kind on the way, is none. Two more ways to read tags: in ``runs``, equal neighbours other than ``O`` are one
span, and a tag has no prefix; in ``none`` there are no spans (parts of speech).

K tags.
Source: Ramshaw & Marcus (1995), Text Chunking using Transformation-Based Learning; Sang & Veenstra (1999), Representing
Text Chunks.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from seqjax.checks import InputError, check_choice

Scheme = Literal["bio", "bioes", "runs", "none"]
OUTSIDE = "O"
PREFIXES = {"bio": "BI", "bioes": "BIES"}


class Span(NamedTuple):
    """Tokens of one kind."""

    start: int  # the first token
    end: int  # the token after the last
    kind: str


class Legal(NamedTuple):
    """Which tags may come first, after one another, and last."""

    start: np.ndarray  # (K,) bool
    between: np.ndarray  # (K, K) bool; row: a tag, column: the one after it
    end: np.ndarray  # (K,) bool


def split_tag(tag: str) -> tuple[str, str]:
    """Prefix and kind.

    Example:
        >>> split_tag("B-DATE-TIME"), split_tag("O"), split_tag("NOUN")
        (('B', 'DATE-TIME'), ('O', ''), ('', 'NOUN'))
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    prefix, dash, kind = tag.partition("-")
    return (prefix, kind) if dash and prefix in ("B", "I", "E", "S") else ("", tag)


def find_scheme(tags: Iterable[str]) -> Scheme:
    """The scheme that a set of tags is written in; ``none`` where there is a tag without a prefix.

    Example:
        >>> find_scheme(["O", "B-DAY", "I-DAY"]), find_scheme(["O", "S-DAY"]), find_scheme(["NOUN", "VERB"])
        ('bio', 'bioes', 'none')
    """
    prefixes = {split_tag(tag)[0] for tag in tags}
    if "" in prefixes or prefixes <= {OUTSIDE}:
        return "none"
    return "bioes" if prefixes & {"E", "S"} else "bio"


def legal_transitions(tags: Sequence[str], scheme: Scheme) -> Legal:
    """Which tags may come first, after one another, and last.

    Args:
        tags: K names.
        scheme: ``runs`` and ``none`` permit all.

    Raises:
        InputError: a scheme that is none, or a tag that the scheme does not have.

    Example:
        >>> legal_transitions(["O", "B-X", "I-X"], "bio").between.astype(int).tolist()
        [[1, 1, 0], [1, 1, 1], [1, 1, 1]]
    """
    check_choice("tags", "scheme", scheme, get_args(Scheme))
    for tag in tags:
        if scheme in PREFIXES and split_tag(tag)[0] not in (OUTSIDE, *PREFIXES[scheme]):
            raise InputError(f"tags: {tag!r} is no tag of {scheme}, which has O, {', '.join(PREFIXES[scheme])}-KIND.")
    pairs = [[_follows(a, b, scheme) for b in tags] for a in tags]
    return Legal(
        np.array([_follows(OUTSIDE, tag, scheme) for tag in tags], bool),
        np.array(pairs, bool).reshape(len(tags), len(tags)),
        np.array([_follows(tag, OUTSIDE, scheme) for tag in tags], bool),
    )


def _follows(before: str, after: str, scheme: Scheme) -> bool:
    """Whether a tag may follow another; the sentence has an O on both sides."""
    if scheme not in PREFIXES:
        return True
    (was, old), (now, new) = split_tag(before), split_tag(after)
    if now in ("I", "E"):
        return was in ("B", "I") and old == new
    return scheme == "bio" or was not in ("B", "I")


def first_illegal(tags: Sequence[str], scheme: Scheme) -> int | None:
    """The first tag that may not stand where it stands; ``len(tags)`` where the last span never ends; None if all may.

    Example:
        >>> first_illegal(["O", "B-X", "I-Y"], "bio"), first_illegal(["B-X"], "bioes"), first_illegal(["B-X"], "bio")
        (2, 1, None)
    """
    around = [OUTSIDE, *tags, OUTSIDE]
    return next((n for n, pair in enumerate(itertools.pairwise(around)) if not _follows(*pair, scheme)), None)


def repair(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """The same tags with prefixes that are legal: a token goes on with the span before it only if the kind is the same.

    Where a span was begun wrongly it is begun now (so IOB1, in which only the second of two neighbours has a B,
    becomes BIO), and in BIOES what follows decides how a span ends.

    Example:
        >>> repair(["O", "I-X", "I-X", "I-Y"], "bio"), repair(["B-X", "I-X", "O", "I-Y"], "bioes")
        (['O', 'B-X', 'I-X', 'B-Y'], ['B-X', 'E-X', 'O', 'S-Y'])
    """
    if scheme not in PREFIXES:
        return list(tags)
    begun, before = [], (OUTSIDE, "")
    for tag in tags:
        prefix, kind = split_tag(tag)
        goes_on = prefix in ("I", "E") and before[0] in ("B", "I") and before[1] == kind
        begun.append((OUTSIDE if prefix == OUTSIDE else "I" if goes_on else "B", kind))
        before = ("B" if prefix == "I" and not goes_on else prefix), kind
    if scheme == "bioes":
        after = [*begun, (OUTSIDE, "")][1:]
        last = [{"B": "S", "I": "E"} if following[0] != "I" else {} for following in after]
        begun = [(ends.get(prefix, prefix), kind) for (prefix, kind), ends in zip(begun, last, strict=True)]
    return [OUTSIDE if prefix == OUTSIDE else f"{prefix}-{kind}" for prefix, kind in begun]


def spans(tags: Sequence[str], scheme: Scheme) -> list[Span]:
    """The spans that tags mark, read strictly.

    Example:
        >>> spans(["B-X", "I-X", "O", "I-X", "B-Y"], "bio")
        [Span(start=0, end=2, kind='X'), Span(start=4, end=5, kind='Y')]
        >>> spans(["B-X", "I-X", "O", "S-Y"], "bioes")                            # the first never ends
        [Span(start=3, end=4, kind='Y')]
        >>> spans("OEEO", "runs")
        [Span(start=1, end=3, kind='E')]
    """
    found: list[Span] = []
    if scheme == "runs":
        runs = [(tag, len(list(run))) for tag, run in itertools.groupby(tags)]
        ends = itertools.accumulate(length for _, length in runs)
        return [Span(end - n, end, tag) for (tag, n), end in zip(runs, ends, strict=True) if tag != OUTSIDE]
    if scheme == "none":
        return found
    start: int | None = None  # of the span that is open
    open_kind = ""
    for place, tag in enumerate([*tags, OUTSIDE]):
        prefix, kind = split_tag(tag)
        goes_on = start is not None and prefix in ("I", "E") and kind == open_kind
        if start is not None and not goes_on:
            if scheme == "bio":
                found.append(Span(start, place, open_kind))
            start = None
        if prefix == "B":
            start, open_kind = place, kind
        elif prefix == "S" or (prefix == "E" and goes_on):
            found.append(Span(place if prefix == "S" or start is None else start, place + 1, kind))
            start = None
    return found


class SpanScores(NamedTuple):
    """How many of the spans found are there, how many of those there were found, and their harmonic mean."""

    precision: float
    recall: float
    f1: float


def score_spans(wanted: Sequence[Sequence[str]], made: Sequence[Sequence[str]], scheme: Scheme) -> SpanScores:
    """Precision, recall and F1 of spans over many sentences; a span counts if both ends and its kind are right.

    Without a span to find and without one found, all three are 0, as seqeval has it.

    Args:
        wanted: the tags of each sentence.
        made: those that a model gave.
        scheme: that both are read in.

    Raises:
        InputError: not as many sentences, or tokens of one.

    Source:
        Tjong Kim Sang & De Meulder (2003), Introduction to the CoNLL-2003 Shared Task, section 2.3.

    Example:
        >>> score_spans([["B-X", "I-X", "O", "B-Y"]], [["B-X", "O", "O", "B-Y"]], "bio").f1
        0.5
    """
    if [len(tags) for tags in wanted] != [len(tags) for tags in made]:
        raise InputError("score_spans: `wanted` and `made` should hold as many sentences, of as many tags each.")
    there, found = (
        {(number, span) for number, tags in enumerate(side) for span in spans(tags, scheme)} for side in (wanted, made)
    )
    right = len(there & found)
    precision, recall = right / max(1, len(found)), right / max(1, len(there))
    return SpanScores(precision, recall, 2 * precision * recall / (precision + recall) if right else 0.0)

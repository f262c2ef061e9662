"""BIO and BIOES: what seqeval reads, what may follow what, and what repair makes of the rest."""

import itertools

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.data.tag_schemes import (
    find_scheme,
    first_illegal,
    legal_transitions,
    repair,
    score_spans,
    spans,
)

TAGS = {scheme: ["O", *(f"{p}-{kind}" for p in letters for kind in "XY")] for scheme, letters in
        (("bio", "BI"), ("bioes", "BIES"))}  # fmt: skip
each_scheme = pytest.mark.parametrize("scheme", TAGS)


def drawn(scheme: str, count: int, seed: int, longest: int = 7) -> list[list[str]]:
    """Tags at random, most of them wrong."""
    random = np.random.default_rng(seed)
    return [random.choice(TAGS[scheme], random.integers(1, longest)).tolist() for _ in range(count)]


@each_scheme
def test_spans_are_those_of_seqeval(scheme):
    from seqeval.scheme import IOB2, IOBES, Entities

    rows = drawn(scheme, 1500, seed=0)
    wanted = Entities(rows, {"bio": IOB2, "bioes": IOBES}[scheme]).entities
    for tags, entities in zip(rows, wanted, strict=True):
        assert [tuple(span) for span in spans(tags, scheme)] == [(e.start, e.end, e.tag) for e in entities], tags


@each_scheme
def test_scores_are_those_of_seqeval(scheme):
    from seqeval import metrics
    from seqeval.scheme import IOB2, IOBES

    how = {"mode": "strict", "scheme": {"bio": IOB2, "bioes": IOBES}[scheme], "zero_division": 0}
    for seed in range(5):
        wanted = [repair(tags, scheme) for tags in drawn(scheme, 30, seed)]
        made = [tags if n % 2 else [*other[: len(tags)], *tags[len(other) :]]
                for n, (tags, other) in enumerate(zip(wanted, drawn(scheme, 30, seed + 9), strict=True))]  # fmt: skip
        found = [metrics.precision_score, metrics.recall_score, metrics.f1_score]
        assert score_spans(wanted, made, scheme) == pytest.approx([f(wanted, made, **how) for f in found])


@each_scheme
def test_what_is_legal_is_what_repair_leaves_alone(scheme):
    names = TAGS[scheme]
    legal = legal_transitions(names, scheme)
    assert repair([], scheme) == []
    for tags in itertools.chain.from_iterable(itertools.product(names, repeat=n) for n in (1, 2, 3)):
        ids = [names.index(tag) for tag in tags]
        fine = (
            legal.start[ids[0]] and legal.end[ids[-1]] and all(legal.between[a, b] for a, b in itertools.pairwise(ids))
        )
        assert fine == (first_illegal(tags, scheme) is None), tags
        mended = repair(tags, scheme)
        assert (mended == list(tags)) == fine, tags
        assert first_illegal(mended, scheme) is None, (tags, mended)
        assert [tag[2:] for tag in mended] == [tag[2:] for tag in tags]


def test_iob1_becomes_bio():
    assert repair(["I-X", "I-X", "B-X", "O", "I-Y"], "bio") == ["B-X", "I-X", "B-X", "O", "B-Y"]


def test_no_spans_score_nothing_and_tags_without_prefixes_have_none():
    assert tuple(score_spans([["O"]], [["O"]], "bio")) == (0, 0, 0)
    assert find_scheme(["NOUN", "O"]) == find_scheme(["O"]) == find_scheme(["ADP-DET", "B-X"]) == "none"
    assert spans(["NOUN"], "none") == []
    assert legal_transitions(["NOUN", "VERB"], "none").between.all()


def test_tags_of_another_scheme_are_refused():
    with pytest.raises(InputError, match="'S-X' is no tag of bio"):
        legal_transitions(["O", "S-X"], "bio")
    with pytest.raises(InputError, match="as many tags"):
        score_spans([["O"]], [["O", "O"]], "bio")

"""How good texts are beside their references: what is no sum over a batch, on the host."""

import importlib.util
from collections.abc import Sequence
from typing import Any

from seqjax.checks import InputError

HOW_TO = "BLEU and chrF need sacrebleu: pip install -e '.[eval]'"


def exact_match(made: Sequence[str], references: Sequence[str]) -> float:
    """The share of lines that are their reference, character for character.

    Example:
        >>> exact_match(["2022-05-03", "2022-05-04"], ["2022-05-03", "2022-04-05"])
        0.5
    """
    check_pairs(made, references)
    return sum(a == b for a, b in zip(made, references, strict=True)) / max(1, len(references))


def has_sacrebleu() -> bool:
    """Whether BLEU and chrF can be computed here."""
    return importlib.util.find_spec("sacrebleu") is not None


def bleu_and_chrf(made: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Corpus BLEU and chrF, in percent, as sacrebleu computes them by default.

    Sources:
        Papineni et al. (2002); Popović (2015); Post (2018), A Call for Clarity in Reporting BLEU Scores.

    Raises:
        InputError: sacrebleu is not installed, or there are not as many lines as references.
    """
    check_pairs(made, references)
    if not has_sacrebleu():
        raise InputError(HOW_TO)
    import sacrebleu

    return {
        "bleu": sacrebleu.corpus_bleu(list(made), [list(references)]).score,
        "chrf": sacrebleu.corpus_chrf(list(made), [list(references)]).score,
    }


def check_pairs(made: Sequence[str], references: Sequence[str]) -> None:
    """Refuse texts and references that are not as many."""
    if len(made) != len(references):
        raise InputError(f"metrics: there are {len(made)} texts and {len(references)} references; one of each a line.")


def bleu_of_many(made: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU in percent where every text has references of its own, one or several.

    Where all texts are shorter than four words, or no four in a row are ever right, the longest n-grams that are
    found count: else it would be 0.

    Sources:
        Papineni et al. (2002); Post (2018), A Call for Clarity in Reporting BLEU Scores.

    Raises:
        InputError: sacrebleu is not installed, or a text has no references.
    """
    if len(made) != len(references) or not all(references):
        raise InputError(f"metrics: {len(made)} texts need references each, but there are {len(references)} lists.")
    if not has_sacrebleu():
        raise InputError(HOW_TO)
    import sacrebleu

    most = max(map(len, references), default=0)
    streams: Sequence[Sequence[Any]] = [[own[n] if n < len(own) else None for own in references] for n in range(most)]
    return sacrebleu.corpus_bleu(list(made), streams, use_effective_order=True).score

"""How many symbols a transcript is away from what was said: edit distances, and the error rates made of them."""

from collections.abc import Sequence

import numpy as np

from seqjax.tasks.text_metrics import check_pairs


def edit_distance(made: Sequence, reference: Sequence) -> int:
    """The fewest insertions, deletions and substitutions that turn one sequence into the other.

    Source:
        Levenshtein (1966), Binary Codes Capable of Correcting Deletions, Insertions, and Reversals; Wagner & Fischer
        (1974), The String-to-String Correction Problem, for the recursion, here a row at a time.

    Example:
        >>> edit_distance("kitten", "sitting"), edit_distance(["a", "b"], [])
        (3, 2)
    """
    names = {symbol: number for number, symbol in enumerate(dict.fromkeys([*made, *reference]))}
    across = np.array([names[symbol] for symbol in reference], np.int64)
    steps = np.arange(len(across) + 1)
    row = steps
    for number, symbol in enumerate(made, 1):
        kept = np.minimum(row[1:] + 1, row[:-1] + (across != names[symbol]))
        row = np.minimum.accumulate(np.append(number, kept) - steps) + steps  # insertions run along the row
    return int(row[-1])


def error_rate(made: Sequence[Sequence], references: Sequence[Sequence]) -> float:
    """Edits of all texts together, a symbol of the references; above 1 where far too much was written.

    Example:
        >>> error_rate(["ac", "x"], ["abc", "x"])
        0.25
    """
    check_pairs(made, references)  # type: ignore[arg-type]
    edits = sum(edit_distance(*pair) for pair in zip(made, references, strict=True))
    return edits / max(1, sum(map(len, references)))


def transcript_metrics(made: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """``cer``: edits a character; ``wer``: edits a word, between blanks; ``exact_match``: texts without an edit.

    Example:
        >>> transcript_metrics(["one two", "six"], ["one too", "six"])
        {'cer': 0.1, 'wer': 0.3333333333333333, 'exact_match': 0.5}
    """
    return {
        "cer": error_rate(made, references),
        "wer": error_rate([text.split() for text in made], [text.split() for text in references]),
        "exact_match": sum(a == b for a, b in zip(made, references, strict=True)) / max(1, len(references)),
    }

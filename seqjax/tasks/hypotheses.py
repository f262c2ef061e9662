"""The likeliest targets of a model of pairs, greedily or with a beam: what ``predict`` asks of it, whatever the source.

B rows.
"""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from seqjax.checks import InputError
from seqjax.decoding import Limits, beam_search, generate
from seqjax.models import PairModel
from seqjax.ops.sampling import Sampling

BOUNDARY = 0  # the id that ends every target
GREEDY = Sampling(greedy=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Searched:
    """How targets are looked for."""

    beam: int = 1  # hypotheses kept at every step; 1: greedy
    n_best: int = 1  # lines out for each line in, when above 1 as NUMBER TAB LOG-PROBABILITY TAB TEXT
    length_penalty: float = 0.6  # of a beam: 0 prefers short lines, 1 does not mind long ones
    min_length: int = 0  # symbols before a line may end
    no_repeat_ngram: int = 0  # n: no n symbols in a row come twice; 0: they may

    def __post_init__(self):
        if self.beam < 1:
            raise InputError(f"predict: --beam should be at least 1 hypothesis, but it is {self.beam}. 1 is greedy.")
        if not 1 <= self.n_best <= self.beam:
            raise InputError(
                f"predict: --n-best should lie between 1 and --beam, {self.beam}, but it is {self.n_best}. "
                f"Try --beam {max(self.n_best, 1)}."
            )

    @property
    def limits(self) -> Limits:
        """What may not be written."""
        return Limits(min_length=self.min_length, no_repeat_ngram=self.no_repeat_ngram)


class Hypothesis(NamedTuple):
    """One target of one source."""

    ids: np.ndarray  # (T,), without the end
    log_probability: float  # nats, of all symbols and the end


def search(
    model: PairModel, params: Any, inputs: dict[str, np.ndarray], last: np.ndarray, most: int, options: Searched
) -> list[list[Hypothesis]]:
    """The best targets of every row, best first.

    Args:
        model: of pairs.
        params: its parameters.
        inputs: ``source`` and ``source_mask``, rows first.
        last: (B,) ids, what opens each target.
        most: symbols of a target, the end included.
        options: greedily, or with a beam.
    """
    how: dict[str, Any] = {"max_tokens": most, "end": BOUNDARY, "limits": options.limits}
    if options.beam == 1:
        one = generate(model.decodable, params, inputs, last, None, sampling=GREEDY, **how)
        found = [np.asarray(leaf)[:, None] for leaf in (one.tokens, one.lengths, one.log_probabilities)]
    else:
        best = beam_search(
            model.decodable, params, inputs, last, beam=options.beam, n_best=options.n_best,
            length_penalty=options.length_penalty, **how,
        )  # fmt: skip
        found = [np.asarray(leaf) for leaf in (best.tokens, best.lengths, best.log_probabilities)]
    tokens, lengths, scores = found
    return [
        [_hypothesis(tokens[i, j, : lengths[i, j]], scores[i, j]) for j in range(tokens.shape[1]) if lengths[i, j]]
        for i in range(len(last))
    ]


def _hypothesis(tokens: np.ndarray, score) -> Hypothesis:
    return Hypothesis(tokens[:-1] if len(tokens) and tokens[-1] == BOUNDARY else tokens, float(score))

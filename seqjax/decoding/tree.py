"""A beam search written down step by step, for a picture.

S steps, k hypotheses, n best ones, M tokens at most.
"""

from typing import NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike

from seqjax.checks import InputError
from seqjax.decoding.beam import Beams, run_search
from seqjax.decoding.decodable import Decodable
from seqjax.decoding.hypotheses import BeamRules, penalties
from seqjax.decoding.limits import NO_LIMITS, Limits


class Tree(NamedTuple):
    """What a search of one row kept after every step: k nodes by rank, the best first. NumPy arrays."""

    parents: (
        np.ndarray
    )  # (S, k) int32, ranks in the step before, 0 for the root in the first; -1 where there is no node
    tokens: np.ndarray  # (S, k) int32; -1 where there is no node
    log_probabilities: np.ndarray  # (S, k) float32, nats: of that token; -inf where there is no node
    totals: np.ndarray  # (S, k) float32, nats: of all tokens from the root to here
    scores: np.ndarray  # (S, k) float32: totals over the length penalty
    ended: np.ndarray  # (S, k) boolean: its token is the end
    alive: np.ndarray  # (S, k) boolean: it may go on
    best: np.ndarray  # (S, k) boolean: on the way to the best hypothesis
    beams: Beams  # what `beam_search` returns, without the row axis: (n, M), (n,), (n,), (n,)


def search_tree(
    model: Decodable,
    params,
    inputs,
    last: ArrayLike,
    *,
    max_tokens: int,
    beam: int,
    end: int | None,
    n_best: int = 1,
    length_penalty: ArrayLike = 0.0,
    limits: Limits = NO_LIMITS,
    prefix: tuple[ArrayLike, ArrayLike] | None = None,
) -> Tree:
    """Run :func:`seqjax.decoding.beam_search` on one row and keep what every step kept.

    Takes the same arguments; ``last`` is (1,). The search stops when nothing better can come, and so does the tree.

    Raises:
        InputError: as ``beam_search``, or there is more than one row.

    Example:
        >>> model = Decodable(
        ...     start=lambda params, inputs: ((), ()),
        ...     advance=lambda params, memory, state, last: (state, params[last]),
        ... )
        >>> likely = np.array([[0.125, 0.5, 0.375], [0.5, 0.25, 0.25], [1.0, 0.0, 0.0]])
        >>> with np.errstate(divide="ignore"):
        ...     tree = search_tree(model, np.log(likely), None, np.array([0]), max_tokens=2, beam=2, end=0)
        >>> tree.tokens.tolist(), tree.parents.tolist()
        ([[1, 2], [0, 0]], [[0, 0], [1, 0]])
        >>> np.exp(tree.totals).round(3).tolist(), tree.best.tolist()
        ([[0.5, 0.375], [0.375, 0.25]], [[False, True], [True, False]])
    """
    if np.shape(last) != (1,):
        raise InputError(f"search_tree: `last` should be one row, (1,), but it is {np.shape(last)}. Try `last[:1]`.")
    rules = BeamRules(max_tokens, beam, n_best, end, limits, traced=True)
    found, steps, trace = run_search("search_tree", model, params, inputs, last, length_penalty, prefix, rules)
    beams = Beams(*(np.asarray(leaf)[0] for leaf in found))
    candidates, ended, alive = jax.tree.map(lambda table: np.asarray(table)[: int(steps), 0], trace)
    there = ended | alive
    parents, tokens = (np.where(there, ids, -1) for ids in candidates[:2])
    gains, totals = (np.where(there, nats, -np.inf).astype(np.float32) for nats in candidates[2:])
    scores = totals / penalties(length_penalty, max_tokens)[1 : len(totals) + 1, None]
    best = _way_to(np.asarray(beams.tokens[0]), int(beams.lengths[0]), parents, tokens)
    return Tree(parents, tokens, gains, totals, scores, ended, alive, best, beams)


def _way_to(sequence: np.ndarray, length: int, parents: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Mark the nodes whose tokens, from the root on, are ``sequence``; no two hypotheses of a beam are the same."""
    best = np.zeros(tokens.shape, bool)
    rank = 0
    for place in range(length):
        (found,) = np.nonzero((parents[place] == rank) & (tokens[place] == sequence[place]))
        rank = int(found[0])
        best[place, rank] = True
    return best

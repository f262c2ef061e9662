r"""The likeliest transcript of frames that say a symbol or the blank each, by a search over what was written so far.

Different paths write the same prefix, and their probabilities are added: that ends in a blank, and that does not, for
only the first lets the same symbol be written again. Adding, where a search over paths takes the best one.

T frames, K symbols, the blank among them, W hypotheses (the beam).
Sources: Graves et al. (2006), section 3.2, prefix search; Hannun et al. (2014), First-Pass Large Vocabulary Continuous
Speech Recognition using Bi-Directional Recurrent DNNs, algorithm 1, for the beam and the language model.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from seqjax.checks import InputError, check_count, check_shape


class Companion(NamedTuple):
    """A language model that reads along, as functions over W rows.

    Attributes:
        start: ``W -> (state, log_probs)``: before the first symbol; log_probs (W, K), in nats, of every symbol to
            come next, and in the blank's place of the end of the text.
        advance: ``(state, parents, symbols, grown) -> (state, log_probs)``: row w goes on from what row parents[w]
            was, (W,), and where grown[w] it has read symbols[w] besides.
    """

    start: Callable[[int], tuple[Any, np.ndarray]]
    advance: Callable[..., tuple[Any, np.ndarray]]


class Transcript(NamedTuple):
    """One hypothesis."""

    symbols: tuple[int, ...]
    score: float  # nats, what the search made large
    log_probability: float  # nats, of the paths that were kept; of all, where none was dropped


class _Beam(NamedTuple):
    """W hypotheses; where there are fewer, some that nothing can come of."""

    prefixes: list[tuple[int, ...] | None]
    blank: np.ndarray  # (W,) nats, of the paths that end in a blank
    symbol: np.ndarray  # (W,) nats, of those that end in the last symbol
    told: np.ndarray  # (W,) nats, of the language model, for the whole prefix


def prefix_beam_search(
    log_probs: np.ndarray, *, beam: int = 16, n_best: int = 1, blank: int = 0,
    companion: Companion | None = None, weight: float = 0.5, length_bonus: float = 0.0,
) -> list[Transcript]:  # fmt: skip
    r"""The best transcripts of one row, by :math:`\log p(l | x) + \lambda \log p_{LM}(l) + \beta |l|`.

    A beam as wide as there are prefixes finds the best of all transcripts exactly.

    Args:
        log_probs: (T, K), nats, of every symbol at each real frame.
        beam: W.
        n_best: how many to return, at most W.
        blank: its id.
        companion: the language model; None: there is none.
        weight: λ, how much it counts.
        length_bonus: β, nats a symbol; it makes up for a language model that likes short texts.

    Returns:
        The best first. Without frames: the empty transcript.

    Raises:
        InputError: shapes or numbers that do not fit.

    Example:
        >>> frames = np.log([[0.6, 0.4], [0.6, 0.4]])           # the likeliest path writes nothing: 0.36
        >>> found = prefix_beam_search(frames, n_best=2)        # but three paths write 1: 0.64
        >>> [(one.symbols, round(float(np.exp(one.log_probability)), 2)) for one in found]
        [((1,), 0.64), ((), 0.36)]
    """
    log_probs = np.asarray(log_probs, np.float64)
    _check(log_probs, beam, n_best, blank)
    companion = companion if weight else None  # 0 times what it thinks impossible is no number
    nothing = np.full(beam, -np.inf)
    now = _Beam([(), *[None] * (beam - 1)], nothing.copy(), nothing, np.zeros(beam))
    now.blank[0] = 0.0
    state, next_told = companion.start(beam) if companion else (None, np.zeros((beam, log_probs.shape[1])))
    for frame in log_probs:
        now, parents, symbols, grown = _step(now, frame, next_told * weight, beam, blank, length_bonus)
        if companion:
            state, next_told = companion.advance(state, parents, symbols, grown)
    whole = np.logaddexp(now.blank, now.symbol)
    lengths = np.array([len(prefix or ()) for prefix in now.prefixes])
    ends = next_told[:, blank] * weight if companion else 0.0
    score = whole + now.told + ends + length_bonus * lengths
    found = [
        Transcript(prefix, float(score[row]), float(whole[row]))
        for row in np.argsort(-score, kind="stable")[:n_best]
        if (prefix := now.prefixes[row]) is not None and np.isfinite(score[row])
    ]
    return found or [Transcript((), -np.inf, -np.inf)]


def _step(now: _Beam, frame: np.ndarray, told: np.ndarray, beam: int, blank: int, bonus: float):
    """One frame: every prefix stays, or grows by a symbol; a grown one may be another that stayed."""
    size, whole = len(frame), np.logaddexp(now.blank, now.symbol)
    lengths = np.array([len(prefix or ()) for prefix in now.prefixes])
    last = np.array([prefix[-1] if prefix else -1 for prefix in now.prefixes])
    ended = last >= 0
    stay_blank = whole + frame[blank]
    stay_symbol = np.where(ended, now.symbol + frame[last], -np.inf)
    grow = whole[:, None] + frame  # (W, K)
    rows = np.flatnonzero(ended)
    grow[rows, last[rows]] = now.blank[rows] + frame[last[rows]]  # the same symbol again needs a blank between
    grow[:, blank] = -np.inf
    place = {prefix: row for row, prefix in enumerate(now.prefixes) if prefix is not None}
    for row in rows:
        parent = place.get(now.prefixes[row][:-1])  # type: ignore[index]
        if parent is not None:
            stay_symbol[row] = np.logaddexp(stay_symbol[row], grow[parent, last[row]])
            grow[parent, last[row]] = -np.inf
    stay_score = np.logaddexp(stay_blank, stay_symbol) + now.told + bonus * lengths
    grow_score = grow + now.told[:, None] + told + bonus * (lengths[:, None] + 1)
    scores = np.concatenate([stay_score, grow_score.ravel()])
    kept = np.argsort(-scores, kind="stable")[:beam]
    grown = kept >= beam
    parents = np.where(grown, (kept - beam) // size, kept)
    symbols = np.where(grown, (kept - beam) % size, blank)
    alive = np.isfinite(scores[kept])
    rows_now = zip(parents.tolist(), symbols.tolist(), grown.tolist(), alive.tolist(), strict=True)
    prefixes = [_grown(now.prefixes[parent], *how) for parent, *how in rows_now]
    after = _Beam(
        prefixes,
        np.where(grown | ~alive, -np.inf, stay_blank[parents]),
        np.where(alive, np.where(grown, grow[parents, symbols], stay_symbol[parents]), -np.inf),
        now.told[parents] + np.where(grown, told[parents, symbols], 0),
    )
    return after, parents, symbols, grown & alive


def _grown(prefix: tuple[int, ...] | None, symbol: int, grown: bool, alive: bool) -> tuple[int, ...] | None:
    if prefix is None or not alive:
        return None
    return (*prefix, symbol) if grown else prefix


def _check(log_probs: np.ndarray, beam: int, n_best: int, blank: int) -> None:
    check_shape("prefix_beam_search", "log_probs", log_probs, "(T, K)", (None, None))
    check_count("prefix_beam_search", "beam", beam)
    check_count("prefix_beam_search", "n_best", n_best)
    check_count("prefix_beam_search", "blank", blank, least=0)
    if n_best > beam:
        raise InputError(
            f"prefix_beam_search: 1 ≤ `n_best` ≤ `beam` should hold, but they are {n_best} and {beam}."
        )  # fmt: skip
    if not 0 <= blank < log_probs.shape[1]:
        raise InputError(
            f"prefix_beam_search: `blank` should be one of K = {log_probs.shape[1]} symbols, but it is {blank}."
        )
    if np.isnan(log_probs).any() or (log_probs > 1e-4).any():
        raise InputError(
            "prefix_beam_search: `log_probs` should be log-probabilities, at or below 0 and not NaN. "
            "Try `jax.nn.log_softmax(logits)` of real frames."
        )

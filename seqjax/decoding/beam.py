"""Beam search: the k most likely beginnings at a time, instead of one.

B batch, n hypotheses asked for, P tokens of a prefix, V vocabulary.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from seqjax.checks import InputError, check_count
from seqjax.decoding.decodable import Decodable, check_model, for_steps, open_model
from seqjax.decoding.engine import Given, check_last, check_vocabulary
from seqjax.decoding.hypotheses import BeamRules, Finished, penalties, search
from seqjax.decoding.limits import NO_LIMITS, Limits, check_limits, read_prefix


class Beams(NamedTuple):
    """The best hypotheses of every row, the best first."""

    tokens: Array  # (B, n, max_tokens) int32; after the end, the end again
    lengths: Array  # (B, n) int32, tokens made, the end included; 0 where there is no such hypothesis
    log_probabilities: Array  # (B, n) float32, nats, under the model's own distribution; -inf where there is none
    scores: Array  # (B, n) float32, what they are ranked by: log-probability over length penalty


def beam_search(
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
) -> Beams:
    r"""Search for the most likely sequences, ``beam`` hypotheses a row at a time, in one compiled loop.

    Every step looks at all continuations of the hypotheses alive and keeps the ``beam`` most likely. Those of them
    that end leave the beam: they are kept apart, do not change any more, and the next step has the whole beam again.
    A row is done when nothing is alive, or when nothing alive can still come among the ``n_best``: log p only falls,
    so the most it can score is what it has now over the most favourable penalty that is left. What is alive at
    ``max_tokens`` competes with what has ended. In the end hypotheses are ranked by

    .. math:: \frac{\log p(y)}{lp(|y|)}, \qquad lp(n) = \left(\frac{5 + n}{6}\right)^\alpha

    with n generated tokens, the end included. Among equals go first: what finished earlier, the parent of higher
    rank, the lower id. A beam of 1 is greedy generation; a beam as wide as the tree finds the best there is. A row
    does not see its neighbours. Compiled once for the shapes and the values of ``model``, ``max_tokens``, ``beam``,
    ``n_best``, ``end`` and ``limits``; other penalties compile nothing.

    Args:
        model: the functions.
        params: the model's parameters.
        inputs: what ``model.start`` takes, rows first.
        last: (B,) integer ids in [0, V): the last token of each prompt, read by the first ``advance``.
        max_tokens: at most this many tokens a hypothesis.
        beam: k, hypotheses kept at a time.
        end: the id that ends a hypothesis; it is part of it. None: all run to ``max_tokens``.
        n_best: hypotheses returned for a row, at most ``beam``.
        length_penalty: α. 0 ranks by probability; above 0 long hypotheses gain, below 0 short ones.
        limits: what may not be generated. Log-probabilities stay those of the model.
        prefix: ``(tokens (B, P), mask (B, P))``, padded on the right: what every hypothesis of a row must begin with.
            A row whose prefix the model holds impossible has no hypothesis.

    Returns:
        :class:`Beams`. Unfinished hypotheses are those of ``max_tokens`` tokens without an end.

    Raises:
        InputError: a number, an id, a shape or a type does not fit, or the model breaks its contract.

    Source:
        Graves (2012), Sequence Transduction with Recurrent Neural Networks, section 2.5; Sutskever, Vinyals & Le
        (2014), section 3.2, for the finished set; Wu et al. (2016), equation 14, for the length penalty.

    Example:
        >>> model = Decodable(                                # after a: b or c; after b: one of four; after c: the end
        ...     start=lambda params, inputs: ((), ()),
        ...     advance=lambda params, memory, state, last: (state, params[last]),
        ... )
        >>> likely = jnp.array([[0.1, 0.5, 0.4, 0.0], [0.25] * 4, [1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
        >>> options = dict(max_tokens=3, end=0)
        >>> greedy = beam_search(model, jnp.log(likely), None, jnp.array([0]), beam=1, **options)
        >>> greedy.tokens[0, 0].tolist(), round(float(jnp.exp(greedy.scores[0, 0])), 3)
        ([1, 0, 0], 0.125)
        >>> wider = beam_search(model, jnp.log(likely), None, jnp.array([0]), beam=2, **options)
        >>> wider.tokens[0, 0].tolist(), round(float(jnp.exp(wider.scores[0, 0])), 3)
        ([2, 0, 0], 0.4)
    """
    rules = BeamRules(max_tokens, beam, n_best, end, limits)
    finished, _, _ = run_search("beam_search", model, params, inputs, last, length_penalty, prefix, rules)
    return Beams(*finished)


def run_search(
    where: str, model: Decodable, params, inputs, last, length_penalty: ArrayLike, prefix, rules: BeamRules
) -> tuple[Finished, Array, Any]:
    """Check everything that can be checked, open the model, and search."""
    check_limits(where, rules.max_tokens, rules.limits)
    _check_beam(where, rules, length_penalty)
    rows, model = check_last(where, last), for_steps(model, rules.max_tokens)
    weights, memory, state = open_model(model, params, inputs)
    size = check_model(where, model, weights, memory, state, rows, rules.beam)
    check_vocabulary(where, last, rules.end, size)
    forced = read_prefix(where, prefix, rows, size, rules.max_tokens)
    given = Given(weights, memory, None, forced)
    divisors = jnp.asarray(penalties(length_penalty, rules.max_tokens))
    return search(model, given, state, jnp.asarray(last, jnp.int32), divisors, rules=rules)


def _check_beam(where: str, rules: BeamRules, length_penalty: ArrayLike) -> None:
    check_count(where, "beam", rules.beam, advice="A beam of 1 is greedy.")
    check_count(where, "n_best", rules.n_best)
    if rules.n_best > rules.beam:
        raise InputError(
            f"{where}: `n_best` should lie between 1 and `beam` = {rules.beam}, but it is {rules.n_best}. "
            f"Try `beam={max(1, rules.n_best)}`, or fewer."
        )
    if isinstance(length_penalty, jax.core.Tracer):
        raise InputError(
            f"{where}: `length_penalty` should be a number when a program is traced, but it is an argument of it. "
            f"Call {where} outside of `jax.jit`: other penalties compile nothing anew."
        )
    if np.ndim(length_penalty) or not np.isfinite(np.asarray(length_penalty)):
        raise InputError(f"{where}: `length_penalty` should be one finite number, but it is {length_penalty}. Try 0.6.")
    divisors = penalties(length_penalty, rules.max_tokens)
    if not (np.isfinite(divisors).all() and divisors.min() > 0):
        raise InputError(
            f"{where}: `length_penalty` = {length_penalty} is too far from 0 for {rules.max_tokens} tokens. Try 0.6."
        )

r"""Linear-chain conditional random fields: how likely a whole sequence of tags is, and which one is likeliest.

A sequence of tags scores the sum of what each step says for its tag (emissions), of what each tag says for the next,
of how good the first is to begin and the last to end with; its probability is :math:`e^{score} / Z`. All is exact, in
log space, and skips masked steps wherever they stand: the tags on both sides of a hole are neighbours.

B batch, T time, K tags.
Source: Lafferty, McCallum & Pereira (2001), Conditional Random Fields; Collobert et al. (2011), section 3.4.2.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from seqjax.checks import InputError, check_ids, check_mask, check_shape
from seqjax.precision import signed, wide
from seqjax.spread import alike

FORBIDDEN = -1e4  # nats: exp of it is 0 in every type, and no sum of them is infinite


class Transitions(NamedTuple):
    """What tags say of one another, in nats."""

    start: Array  # (K,), of a tag that comes first
    between: Array  # (K, K), row: a tag; column: the one after it
    end: Array  # (K,), of a tag that comes last


def forbid(transitions: Transitions, legal: Transitions) -> Transitions:
    """Give what is not legal a score that no path survives, and no gradient.

    Args:
        transitions: scores.
        legal: booleans of the same shapes, True where a score holds.

    Example:
        >>> free = Transitions(jnp.zeros(2), jnp.zeros((2, 2)), jnp.zeros(2))
        >>> legal = Transitions(jnp.array([True, False]), jnp.ones((2, 2), bool), jnp.ones(2, bool))
        >>> viterbi(jnp.array([[0.0, 9.0], [0.0, 9.0]]), forbid(free, legal))[0].tolist()
        [0, 1]
    """
    return Transitions(*(jnp.where(may, score, FORBIDDEN) for score, may in zip(transitions, legal, strict=True)))


def log_partition(emissions: Array, transitions: Transitions, mask: ArrayLike | None = None) -> Array:
    """log Z, the log of the summed exponentials of all sequences' scores, by the forward algorithm.

    Args:
        emissions: (*B, T, K), nats.
        transitions: of K tags.
        mask: (*B, T), True on real steps. Without one all are.

    Returns:
        (*B,) nats, float32 or wider. Without a real step there is one sequence, the empty one, and log Z is 0.

    Example:
        >>> free = Transitions(jnp.zeros(2), jnp.zeros((2, 2)), jnp.zeros(2))
        >>> round(float(jnp.exp(log_partition(jnp.zeros((3, 2)), free))), 4)      # 2³ sequences
        8.0
    """
    return _log_partition(*_checked("log_partition", emissions, transitions, mask))


@jax.jit  # an eager call again compiles nothing
def _log_partition(emissions: Array, transitions: Transitions, mask: Array) -> Array:
    start, between, end = transitions

    def step(alpha, now):
        emission, real, first = now
        moved = jax.nn.logsumexp(alpha[..., :, None] + jax.lax.broadcast_to_rank(between, alpha.ndim + 1), axis=-2)
        moved = jnp.where(first[..., None], start, moved) + emission
        return jnp.where(real[..., None], moved, alpha), None

    alpha, _ = jax.lax.scan(step, _nothing(emissions), _over_time(emissions, mask, _first(mask)))
    alpha += jax.lax.broadcast_to_rank(end, alpha.ndim)
    return jnp.where(mask.any(axis=-1), jax.nn.logsumexp(alpha, axis=-1), 0)


def sequence_score(emissions: Array, tags: ArrayLike, transitions: Transitions, mask: ArrayLike | None = None) -> Array:
    """The score of one sequence of tags, in nats: (*B,); 0 without a real step.

    Args:
        emissions: (*B, T, K), nats.
        tags: (*B, T) in [0, K); not looked at where masked.
        transitions: of K tags.
        mask: (*B, T), True on real steps.

    Example:
        >>> free = Transitions(jnp.array([1.0, 0.0]), jnp.zeros((2, 2)), jnp.array([0.0, 4.0]))
        >>> float(sequence_score(jnp.array([[10.0, 0.0], [0.0, 20.0]]), jnp.array([0, 1]), free))
        35.0
    """
    emissions, transitions, mask = _checked("sequence_score", emissions, transitions, mask)
    tags = signed(jnp.asarray(tags))
    check_shape("sequence_score", "tags", tags, "(*B, T)", mask.shape)
    start, between, end = transitions
    if not mask.shape[-1]:
        return emissions.sum(axis=(-2, -1))
    if not isinstance(tags, jax.core.Tracer) and not isinstance(mask, jax.core.Tracer):
        check_ids("sequence_score", "tags", np.where(mask, tags, 0), emissions.shape[-1])
    tags = jnp.where(mask, tags, 0)
    places = jnp.where(mask, jnp.arange(mask.shape[-1]), -1)
    latest = jax.lax.cummax(places, axis=places.ndim - 1)  # the last real step up to here, −1 before there is one
    before = jnp.concatenate([jnp.full_like(latest[..., :1], -1), latest[..., :-1]], axis=-1)
    previous = jnp.take_along_axis(tags, jnp.maximum(before, 0), axis=-1)
    arrived = jnp.where(before < 0, start[tags], between[previous, tags])
    emitted = jnp.take_along_axis(emissions, tags[..., None], axis=-1)[..., 0]
    last = jnp.take_along_axis(tags, jnp.maximum(latest[..., -1:], 0), axis=-1)[..., 0]
    total = jnp.where(mask, emitted + arrived, 0).sum(axis=-1)
    return total + jnp.where(mask.any(axis=-1), end[last], 0)


def log_likelihood(emissions: Array, tags: ArrayLike, transitions: Transitions, mask: ArrayLike | None = None) -> Array:
    """log p of one sequence of tags, in nats: (*B,).

    Arguments are those of :func:`sequence_score`.

    Example:
        >>> free = Transitions(jnp.zeros(2), jnp.zeros((2, 2)), jnp.zeros(2))
        >>> round(float(jnp.exp(log_likelihood(jnp.zeros((3, 2)), jnp.array([0, 1, 1]), free))), 4)
        0.125
    """
    score = sequence_score(emissions, tags, transitions, mask)
    return score - log_partition(emissions, transitions, mask)


def marginals(emissions: Array, transitions: Transitions, mask: ArrayLike | None = None) -> Array:
    """How likely each tag is at each step, whatever the others are: (*B, T, K) probabilities, zero where masked.

    They are the gradient of log Z in the emissions, which is what the backward algorithm computes.

    Example:
        >>> must = Transitions(jnp.zeros(2), jnp.array([[0.0, FORBIDDEN], [FORBIDDEN, 0.0]]), jnp.zeros(2))
        >>> shares = marginals(jnp.log(jnp.array([[0.8, 0.2], [0.5, 0.5]])), must)
        >>> [round(float(share), 3) for share in shares[1]]                # the second step learns from the first
        [0.8, 0.2]
    """
    emissions, transitions, mask = _checked("marginals", emissions, transitions, mask)
    return jax.grad(lambda emissions: log_partition(emissions, transitions, mask).sum())(emissions)


def viterbi(emissions: Array, transitions: Transitions, mask: ArrayLike | None = None) -> tuple[Array, Array]:
    """The sequence of tags with the highest score, exactly; of several, the one that ends in the lowest tag.

    Args:
        emissions: (*B, T, K), nats.
        transitions: of K tags.
        mask: (*B, T), True on real steps.

    Returns:
        ``(tags, score)``: (*B, T) int32, 0 where masked, and (*B,) nats.

    Source:
        Viterbi (1967), Error bounds for convolutional codes and an asymptotically optimum decoding algorithm.

    Example:
        >>> stay = Transitions(jnp.zeros(2), jnp.array([[3.0, 0.0], [0.0, 3.0]]), jnp.zeros(2))
        >>> tags, score = viterbi(jnp.array([[0.0, 5.0], [1.0, 0.0], [0.0, 5.0]]), stay)
        >>> tags.tolist(), float(score)
        ([1, 1, 1], 16.0)
    """
    return _viterbi(*_checked("viterbi", emissions, transitions, mask))


@jax.jit
def _viterbi(emissions: Array, transitions: Transitions, mask: Array) -> tuple[Array, Array]:
    start, between, end = transitions
    stay = jnp.arange(emissions.shape[-1], dtype=jnp.int32)

    def forward(best, now):
        emission, real, first = now
        scores = best[..., :, None] + jax.lax.broadcast_to_rank(between, best.ndim + 1)
        moved = jnp.where(first[..., None], start, scores.max(axis=-2)) + emission
        came_from = jnp.where(real[..., None], scores.argmax(axis=-2).astype(jnp.int32), stay)
        return jnp.where(real[..., None], moved, best), came_from

    def backward(tag, came_from):
        return jnp.take_along_axis(came_from, tag[..., None], axis=-1)[..., 0], tag

    best, came_from = jax.lax.scan(forward, _nothing(emissions), _over_time(emissions, mask, _first(mask)))
    best += jax.lax.broadcast_to_rank(end, best.ndim)
    last = best.argmax(axis=-1).astype(jnp.int32)
    _, tags = jax.lax.scan(backward, last, came_from, reverse=True)
    score = jnp.where(mask.any(axis=-1), best.max(axis=-1), 0)
    return jnp.where(mask, jnp.moveaxis(tags, 0, -1), 0), score


def _nothing(emissions: Array) -> Array:
    """Scores (*B, K) before the first step."""
    return alike(jnp.zeros((*emissions.shape[:-2], emissions.shape[-1]), emissions.dtype), emissions)


def _first(mask: Array) -> Array:
    """(*B, T), True on the first real step of each row."""
    return mask & (jnp.cumsum(mask, axis=-1) == 1)


def _over_time(emissions: Array, *flags: Array) -> tuple[Array, ...]:
    return jnp.moveaxis(emissions, -2, 0), *(jnp.moveaxis(flag, -1, 0) for flag in flags)


def _checked(where: str, emissions: Array, transitions: Transitions, mask) -> tuple[Array, Transitions, Array]:
    """Emissions in float32 at least, zero where masked; transitions likewise; and the mask. -inf is FORBIDDEN."""
    emissions = jnp.asarray(emissions)
    if emissions.ndim < 2 or not jnp.issubdtype(emissions.dtype, jnp.floating):
        raise InputError(
            f"{where}: `emissions` should be floating (*B, T, K), but they are {emissions.dtype} {emissions.shape}."
        )
    *steps, K = emissions.shape
    for name, score, letters in zip(Transitions._fields, transitions, ("(K,)", "(K, K)", "(K,)"), strict=True):
        check_shape(where, f"transitions.{name}", score, letters, (K,) * len(letters.split()))
    if mask is None:
        mask = jnp.ones(steps, bool)
    check_mask(where, "mask", mask, "(*B, T)", steps)
    mask, dtype = jnp.asarray(mask), wide(emissions.dtype)
    given = [jnp.asarray(score).astype(dtype) for score in (emissions, *transitions)]
    emissions, *scores = (jnp.where(jnp.isneginf(score), FORBIDDEN, score) for score in given)
    return alike((jnp.where(mask[..., None], emissions, 0), Transitions(*scores), mask))

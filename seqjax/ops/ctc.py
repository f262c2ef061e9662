r"""Connectionist temporal classification: a transcript's probability, summed over every way to lay it along frames.

A path says one symbol, or the blank, at each frame; what it writes is the path without its repetitions, and then
without its blanks: `a a ∅ a b b` writes `a a b`. The probability of a transcript is the sum over all paths that write
it.

B batch, T frames, K symbols, the blank among them, U symbols of a transcript.
Source: Graves, Fernández, Gomez & Schmidhuber (2006), Connectionist Temporal Classification.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from seqjax.checks import InputError, check_ids, check_mask, check_shape
from seqjax.ops.convolution import to_front
from seqjax.precision import wide

LEAST = -1e30  # nats of what is impossible: optax multiplies them by zero, which -inf does not survive


def frames_needed(labels: ArrayLike, *, blank: int = 0) -> Array:
    """The fewest frames that a transcript needs: one a symbol, and a blank between equal neighbours.

    Args:
        labels: (B, U) ids; the blank is padding, wherever it stands.
        blank: the id of the blank.

    Returns:
        (B,) int32 frames.

    Example:
        >>> frames_needed(np.array([[3, 3, 5], [3, 0, 0]])).tolist()
        [4, 1]
    """
    labels = _in_front(jnp.asarray(labels), blank)
    real = labels != blank
    twice = (labels[:, 1:] == labels[:, :-1]) & real[:, 1:]
    return real.sum(axis=1, dtype=jnp.int32) + twice.sum(axis=1, dtype=jnp.int32)


def ctc_loss(logits: Array, mask: ArrayLike, labels: ArrayLike, *, blank: int = 0) -> tuple[Array, Array]:
    r"""How surprising each transcript is: :math:`-\log \sum_{\pi \to l} \prod_t p_t(\pi_t)`, in nats.

    What stands in masked frames never reaches a number or a gradient, Inf and NaN included. A transcript that needs
    more frames than its row has is impossible: its loss would be infinite. It is left out instead: 0, without a
    gradient, and False in ``possible``. Refuse such rows before they come here.

    Args:
        logits: (B, T, K), unnormalised log-probabilities.
        mask: (B, T), True on real frames.
        labels: (B, U) ids in [0, K); the blank is padding.
        blank: the id of the blank.

    Returns:
        ``(nats, possible)``: (B,) float32, or what ``logits`` are if that is wider, and (B,) boolean. Without frames
        and without symbols: 0, possible. What logits of -inf make impossible costs 1e30 nats or more.

    Raises:
        InputError: shapes that do not fit, an id outside [0, K).

    Source:
        Graves et al. (2006), section 4.1. The recursion is optax's.

    Example:
        >>> nats, possible = ctc_loss(jnp.zeros((2, 2, 3)), jnp.ones((2, 2), bool), np.array([[1, 0], [1, 1]]))
        >>> round(float(jnp.exp(-nats[0])) * 9, 4), possible.tolist()      # 3 of 9 paths: ∅1, 1∅ and 11
        (3.0, [True, False])
    """
    mask, labels = _checked("ctc_loss", logits, mask, labels, blank)
    labels = _in_front(labels, blank)
    possible = frames_needed(labels, blank=blank) <= mask.sum(axis=1)
    use = mask & possible[:, None]
    safe = jnp.where(use[..., None], jnp.maximum(logits.astype(wide(logits.dtype)), LEAST), 0)
    kept = jnp.where(possible[:, None], labels, blank)
    if not mask.shape[1]:
        return jnp.zeros(len(mask), safe.dtype), possible
    nats = _nats(blank, safe, use, kept).astype(safe.dtype)  # which optax widens where JAX is told to use float64
    return jnp.where(possible & use.any(axis=1), nats, 0), possible


@functools.partial(jax.jit, static_argnums=0)  # an eager call again compiles nothing
def _nats(blank: int, logits: Array, use: Array, labels: Array) -> Array:
    unused, padding = ((~use).astype(logits.dtype), (labels == blank).astype(logits.dtype))
    with jax.default_matmul_precision("highest"):  # optax picks log-probabilities by a product: not in bfloat16
        return optax.ctc_loss(logits, unused, labels, padding, blank_id=blank, log_epsilon=LEAST)


def ctc_greedy(logits: Array, mask: ArrayLike, *, blank: int = 0) -> tuple[Array, Array]:
    """What the likeliest path of each row writes: the best symbol of every frame, then neither repeats nor blanks.

    The likeliest path need not write the likeliest transcript: see :func:`seqjax.decoding.prefix_beam_search`.

    Args:
        logits: (B, T, K).
        mask: (B, T), True on real frames.
        blank: the id of the blank.

    Returns:
        ``(labels, lengths)``: (B, T) int32, symbols first and blanks behind them, and (B,) int32 symbols.

    Source:
        Graves et al. (2006), section 3.2, best path decoding.

    Example:
        >>> frames = jnp.array([[[0, 9, 0], [0, 9, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9]]])
        >>> labels, lengths = ctc_greedy(frames, jnp.ones((1, 5), bool))
        >>> labels.tolist(), lengths.tolist()
        ([[1, 1, 2, 0, 0]], [3])
    """
    mask = jnp.asarray(mask)
    check_mask("ctc_greedy", "mask", mask, "(B, T)", logits.shape[:2])
    best = jnp.where(mask, jnp.argmax(jnp.where(mask[..., None], logits, 0), axis=-1), blank).astype(jnp.int32)
    best = to_front(best[..., None], mask)[..., 0]
    before = jnp.pad(best[:, :-1], ((0, 0), (1, 0)), constant_values=blank)
    written = jnp.where(best != before, best, blank)
    return _in_front(written, blank), (written != blank).sum(axis=1, dtype=jnp.int32)


def _in_front(labels: Array, blank: int) -> Array:
    """Symbols first, in their order, blanks behind them."""
    order = jnp.argsort(labels == blank, axis=1, stable=True)
    return jnp.take_along_axis(labels, order, axis=1)


def _checked(where: str, logits, mask, labels, blank: int) -> tuple[Array, Array]:
    check_shape(where, "logits", logits, "(B, T, K)", (None, None, None))
    rows, _, size = logits.shape
    mask = jnp.asarray(mask)
    check_mask(where, "mask", mask, "(B, T)", logits.shape[:2])
    check_shape(where, "labels", labels, "(B, U)", (rows, None))
    if not 0 <= blank < size:
        raise InputError(f"{where}: `blank` should be one of K = {size} symbols, but it is {blank}.")
    if not isinstance(labels, Tracer):
        check_ids(where, "labels", np.asarray(labels), size)
    return mask, jnp.asarray(labels, jnp.int32)

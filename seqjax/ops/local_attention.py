"""Local attention: a query looks only near one place of the source.

``*B`` batch axes, T queries, S keys, D the half-width of the window in real tokens.
Source: Luong, Pham & Manning (2015), Effective Approaches to Attention-based NMT, section 3.2.
"""

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.checks import check_mask, check_shape
from seqjax.ops.attention import masked_softmax
from seqjax.ops.masks import check_width
from seqjax.precision import signed, wide


def local_m(scores: Array, steps: Array, mask: Array, *, width: int) -> Array:
    r"""Monotonic: the place is the query's own number, :math:`p_t = t`, and nothing is added to the softmax.

    .. math:: a_t(s) = \text{softmax}_{|s - p_t| \le D}(\text{score}_{ts})

    Places are counted over real tokens, from 0. A query whose whole window lies beyond the source gets zeros.

    Args:
        scores: (*B, T, S); what they hold where ``mask`` is False, NaN too, changes nothing.
        steps: (*B, T), the number t, integer or floating.
        mask: (*B, S), True on real tokens of the source.
        width: D, tokens to each side of the place.

    Returns:
        (*B, T, S), float32 or wider: rows that sum to one, or to zero where no real token is in the window.

    Raises:
        InputError: shapes do not fit, ``mask`` is not boolean, or D is below 1.

    Source:
        Luong et al. (2015), section 3.2, "local-m" and equation 7.

    Example:
        >>> mask = jnp.array([False, True, True, True])              # S = 4, the first is padding
        >>> local_m(jnp.zeros((2, 4)), jnp.array([0, 3]), mask, width=1).tolist()
        [[0.0, 0.5, 0.5, 0.0], [0.0, 0.0, 0.0, 1.0]]
    """
    return masked_softmax(scores, _near("local_m", scores, steps, mask, width)[1])


def local_p(scores: Array, place: Array, mask: Array, *, width: int) -> Array:
    r"""Predictive: the model says where to look, and weights fall off from there as a Gaussian does.

    .. math:: p_t = S \, \sigma(\text{place}_t), \quad
        a_t(s) = \text{softmax}_{|s - p_t| \le D}(\text{score}_{ts}) \, e^{-(s - p_t)^2 / 2 (D/2)^2}

    S is the number of real tokens of the row, and places are counted over them, from 0. The Gaussian comes after the
    softmax, so rows sum to less than one. Through it p learns; that tokens enter and leave the window has no gradient.

    Args:
        scores: (*B, T, S); what they hold where ``mask`` is False, NaN too, changes nothing.
        place: (*B, T), p before the sigmoid: in the paper vᵀ tanh(W h).
        mask: (*B, S), True on real tokens of the source.
        width: D, tokens to each side of the place.

    Returns:
        (*B, T, S), float32 or wider; rows are zero where no real token is in the window.

    Raises:
        InputError: as :func:`local_m`.

    Source:
        Luong et al. (2015), section 3.2, "local-p", equations 9 and 10.

    Example:
        >>> mask = jnp.array([[True, True, True, True, False]])      # S = 4 real tokens: p = 4 σ(0) = 2
        >>> weights = local_p(jnp.zeros((1, 1, 5)), jnp.zeros((1, 1)), mask, width=2)
        >>> [round(weight, 3) for weight in weights[0, 0].tolist()]
        [0.034, 0.152, 0.25, 0.152, 0.0]
    """
    check_mask("local_p", "mask", mask, "(*B, S)", (*scores.shape[:-2], scores.shape[-1]))
    check_shape("local_p", "place", place, "(*B, T)", scores.shape[:-1])
    share = jax.nn.sigmoid(place.astype(wide(place.dtype)))
    count = jnp.sum(mask, axis=-1, dtype=share.dtype)
    distance, near = _near("local_p", scores, share * count[..., None], mask, width)
    return masked_softmax(scores, near) * jnp.exp(-2 * jnp.square(distance / width))


def _near(where: str, scores, place, mask, width: int) -> tuple[Array, Array]:
    """How far every real token stands from every query's place, and whether in the window: both (*B, T, S)."""
    check_width(where, width)
    *batch, T, S = scores.shape
    check_mask(where, "mask", mask, "(*B, S)", (*batch, S))
    check_shape(where, "steps", place, "(*B, T)", (*batch, T))
    place = place.astype(wide(place.dtype)) if jnp.issubdtype(place.dtype, jnp.floating) else signed(place)
    tokens = jnp.cumsum(mask, axis=-1) - 1
    distance = tokens[..., None, :].astype(place.dtype) - place[..., :, None]
    return distance, mask[..., None, :] & (jnp.abs(distance) <= width)

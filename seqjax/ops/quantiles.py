"""Quantiles of what is to come: their loss, and numbers that stay in order.

Q quantiles.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from seqjax.checks import check_shape


def pinball(forecasts: ArrayLike, targets: ArrayLike, quantiles: Sequence[float]) -> Array:
    r"""The loss whose expectation is least at the quantiles: :math:`\max(q (y - \hat y), (q - 1)(y - \hat y))`.

    Args:
        forecasts: (*B, Q), one for each of the quantiles.
        targets: (*B), what came.
        quantiles: Q probabilities.

    Returns:
        (*B, Q), in the units of the targets. At the median it is half of the absolute error.

    Raises:
        InputError: shapes do not fit.

    Source:
        Koenker & Bassett (1978), Regression Quantiles.

    Example:
        >>> pinball(jnp.array([[1.0, 1.0]]), jnp.array([3.0]), (0.5, 0.9)).tolist()
        [[1.0, 1.7999999523162842]]
    """
    forecasts, targets = jnp.asarray(forecasts), jnp.asarray(targets)
    check_shape("pinball", "forecasts", forecasts, "(*B, Q)", (*targets.shape, len(quantiles)))
    short = targets[..., None] - forecasts
    kind = jnp.result_type(short.dtype, 1.0)
    over = np.asarray(quantiles, np.float64).reshape((1,) * targets.ndim + (-1,))
    return jnp.maximum(jnp.asarray(over, kind) * short, jnp.asarray(over - 1, kind) * short)


def ordered(raw: ArrayLike) -> Array:
    """Numbers that never fall from one to the next: the first one, and steps upwards (*B, Q).

    So quantiles cannot cross, whatever the network says.

    Example:
        >>> ordered(jnp.array([1.0, 0.0, -100.0])).round(3).tolist()
        [1.0, 1.693000078201294, 1.693000078201294]
    """
    raw = jnp.asarray(raw)
    return jnp.cumsum(jnp.concatenate([raw[..., :1], jax.nn.softplus(raw[..., 1:])], axis=-1), axis=-1)

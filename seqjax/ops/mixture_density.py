r"""Where a pen goes next: a mixture of bivariate normal distributions, and three states of the pen.

.. math:: p(x, y) = \sum_k \pi_k \, N\big((x, y) \,\big|\, \mu_k, \sigma_k, \rho_k\big)

K components. All in float32, by log-sum-exp; deviations and correlations are kept away from where the density has no
bound. Offsets are in units of their own standard deviation over the training data.

Sources: Graves (2013), Generating Sequences With Recurrent Neural Networks, section 4; Ha & Eck (2017), A Neural
Representation of Sketch Drawings, section 3.2, for the states of the pen and the temperature.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from seqjax.checks import InputError, check_shape
from seqjax.ops.dropout import check_keys

PEN = 3  # states after a point: the pen stays on the paper, it is lifted, the drawing ends
LEAST, LARGEST = 0.05, 20.0  # of a deviation; the least is what keeps points on straight lines from being worth ∞ nats
MOST = 0.99  # of a correlation, in absolute value


class Mixture(NamedTuple):
    """What comes next, with what probability."""

    weights: Array  # (*B, K), log π
    means: Array  # (*B, K, 2)
    deviations: Array  # (*B, K, 2), from LEAST to LARGEST
    correlations: Array  # (*B, K), from −MOST to MOST
    pen: Array  # (*B, 3), log-probabilities


def width(components: int) -> int:
    """How many numbers describe a mixture of K components and the pen: 6K + 3."""
    return 6 * components + PEN


def read_mixture(raw: Array) -> Mixture:
    """Any numbers (*B, 6K + 3), the output of a layer, as a mixture that is one.

    Raises:
        InputError: the last axis is not 6K + 3 for a K of at least 1.

    Example:
        >>> mixture = read_mixture(jnp.zeros((4, 2 * 6 + 3)))
        >>> mixture.means.shape, round(float(jnp.exp(mixture.weights[0, 0])), 3)
        ((4, 2, 2), 0.5)
    """
    if raw.ndim < 1 or raw.shape[-1] < width(1) or (raw.shape[-1] - PEN) % 6:
        raise InputError(f"read_mixture: `raw` should be (*B, 6K + 3) for K components, but it is {raw.shape}.")
    raw = raw.astype(jnp.float32)
    logits, x, y, wide, tall, turned = jnp.split(raw[..., :-PEN], 6, axis=-1)
    exponents = jnp.clip(jnp.stack([wide, tall], axis=-1), -7.0, math.log(LARGEST - LEAST))
    return Mixture(
        jax.nn.log_softmax(logits),
        jnp.stack([x, y], axis=-1),
        LEAST + jnp.exp(exponents),
        MOST * jnp.tanh(turned),
        jax.nn.log_softmax(raw[..., -PEN:]),
    )


def log_density(mixture: Mixture, offsets: Array) -> Array:
    """log p(offset), (*B,): nats, of a density.

    Args:
        mixture: of each.
        offsets: (*B, 2).

    Example:
        >>> one = read_mixture(jnp.zeros((9,)))._replace(deviations=jnp.ones((1, 2)))
        >>> round(float(log_density(one, jnp.zeros(2))), 4)          # −log 2π
        -1.8379
    """
    check_shape("log_density", "offsets", offsets, "(*B, 2)", (*mixture.pen.shape[:-1], 2))
    x, y = jnp.moveaxis((offsets[..., None, :] - mixture.means) / mixture.deviations, -1, 0)
    rest = 1 - mixture.correlations**2
    squares = (x**2 - 2 * mixture.correlations * x * y + y**2) / rest
    areas = math.log(2 * math.pi) + jnp.log(mixture.deviations).sum(axis=-1) + 0.5 * jnp.log(rest)
    return jax.nn.logsumexp(mixture.weights - areas - 0.5 * squares, axis=-1)


def point_nats(raw: Array, offsets: Array, pen: Array, mask: Array) -> Array:
    """−log p of each point: of where it is, and of what the pen does then; zero where masked.

    Args:
        raw: (*B, 6K + 3), finite.
        offsets: (*B, 2); may hold anything where masked.
        pen: (*B,) states 0, 1 or 2.
        mask: (*B,), True on real points.

    Returns:
        (*B,), nats.

    Example:
        >>> raw = jnp.zeros((1, 2, 9))
        >>> nats = point_nats(raw, jnp.ones((1, 2, 2)), jnp.array([[0, 2]]), jnp.array([[True, False]]))
        >>> nats.shape, float(nats[0, 1])
        ((1, 2), 0.0)
    """
    mixture = read_mixture(raw)
    place = log_density(mixture, jnp.where(mask[..., None], offsets, 0.0))
    state = jnp.take_along_axis(mixture.pen, jnp.where(mask, pen, 0)[..., None], axis=-1)[..., 0]
    return jnp.where(mask, -place - state, 0.0)


def draw_point(raw: Array, keys: Array, temperature: ArrayLike = 1.0) -> Array:
    """A point of every row: (B, 3), its offset and the state of the pen.

    Args:
        raw: (B, 6K + 3).
        keys: (B,) typed keys, one a row.
        temperature: above 0; log-weights and log-probabilities of the pen are divided by it, variances multiplied.

    Example:
        >>> raw = jnp.zeros((2, 9)).at[:, 1].set(5.0).at[:, -1].set(99.0)
        >>> points = draw_point(raw, jax.random.split(jax.random.key(0), 2), 1e-6)
        >>> abs(points.round(1)).tolist()                             # the mean, and the end
        [[5.0, 0.0, 2.0], [5.0, 0.0, 2.0]]
    """
    check_keys("draw_point", keys, raw.shape[:1])
    mixture = read_mixture(raw)

    def one(mixture: Mixture, key: Array) -> Array:
        which, where, pen = jax.random.split(key, 3)
        k = jax.random.categorical(which, sharpen(mixture.weights, temperature))
        noise, rho = jax.random.normal(where, (2,)) * jnp.sqrt(temperature), mixture.correlations[k]
        turned = jnp.stack([noise[0], rho * noise[0] + jnp.sqrt(1 - rho**2) * noise[1]])
        state = jax.random.categorical(pen, sharpen(mixture.pen, temperature))
        return jnp.append(mixture.means[k] + mixture.deviations[k] * turned, state.astype(jnp.float32))

    return jax.vmap(one)(mixture, keys)


def sharpen(scores: Array, temperature: ArrayLike) -> Array:
    """Log-probabilities divided by a temperature, the highest moved to 0 first.

    Example:
        >>> sharpen(jnp.array([-1.0, -2.0]), 1e-46).tolist()             # in 32 bits it is 0
        [0.0, -inf]
    """
    below = scores - scores.max(axis=-1, keepdims=True)
    return jnp.where(below == 0, jnp.zeros_like(below), below / temperature)

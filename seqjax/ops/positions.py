"""Where a token stands: sinusoidal encodings, rotary encodings, and linear biases of attention.

Positions are integers counted over real tokens, e.g. ``jnp.cumsum(mask, axis=-1) - 1``.
B batch, T queries, S keys, N heads, K head width.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from seqjax.checks import InputError, check_choice, check_count, check_floating, check_shape
from seqjax.precision import signed, wide


def sinusoidal(positions: Array, features: int) -> Array:
    r"""Sines and cosines of wavelengths from :math:`2\pi` to :math:`10000 \cdot 2\pi` tokens.

    .. math:: PE(p, 2i) = \sin(p / 10000^{2i/d}), \quad PE(p, 2i+1) = \cos(p / 10000^{2i/d})

    Args:
        positions: (*B, T) integers.
        features: d; where it is odd, the last sine has no cosine.

    Returns:
        (*B, T, d), of JAX's default floating type.

    Source:
        Vaswani et al. (2017), Attention Is All You Need, section 3.5.

    Example:
        >>> print(sinusoidal(jnp.arange(2), 4).round(4))
        [[0.     1.     0.     1.    ]
         [0.8415 0.5403 0.01   1.    ]]
    """
    pairs = (features + 1) // 2
    dtype = jnp.result_type(float)
    rates = jnp.asarray(10000.0 ** (-2.0 * np.arange(pairs) / max(features, 1)), dtype)
    angles = positions[..., None].astype(dtype) * jax.lax.broadcast_to_rank(rates, positions.ndim + 1)
    both = jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-1)
    return both.reshape(*positions.shape, 2 * pairs)[..., :features]


def rotary(x: Array, positions: Array, *, base: float = 10000.0, pairing: str = "halves") -> Array:
    r"""Turn pairs of features by an angle that grows with the position, so that products see only distances.

    Pair i is turned by :math:`p \cdot \text{base}^{-2i/K}`: :math:`(a, b)` becomes
    :math:`(a \cos - b \sin,\; a \sin + b \cos)`. **Which features make a pair is a convention**, and weights
    trained with one are wrong with the other:

    - ``"halves"``: features i and i + K/2 (GPT-NeoX, and LLaMA as the transformers library stores it);
    - ``"neighbours"``: features 2i and 2i + 1 (the paper, GPT-J, and LLaMA as its authors store it).

    Args:
        x: (*B, T, N, K), queries or keys; K is even.
        positions: (*B, T) integers, or (T,) where all rows have the same.
        base: the longest wavelength is nearly :math:`2\pi \cdot \text{base}` tokens.
        pairing: ``"halves"`` or ``"neighbours"``.

    Returns:
        Like ``x``. Angles and products are computed in float32 or wider.

    Raises:
        InputError: K is odd, ``positions`` does not fit, or the pairing is unknown.

    Source:
        Su et al. (2021), RoFormer: Enhanced Transformer with Rotary Position Embedding, section 3.2.

    Example:
        >>> x = jnp.array([[[1.0, 0.0, 0.0, 0.0]]])                   # T=1, N=1, K=4
        >>> print(rotary(x, jnp.array([1])).round(4))                 # features 0 and 2 are a pair
        [[[0.5403 0. 0.8415 0. ]]]
        >>> print(rotary(x, jnp.array([1]), pairing="neighbours").round(4))
        [[[0.5403 0.8415 0. 0. ]]]
    """
    check_choice("rotary", "pairing", pairing, ("halves", "neighbours"))
    if x.ndim < 3 or x.shape[-1] % 2:
        raise InputError(f"rotary: `x` should be (*B, T, N, K) with an even K, but it is {x.shape}.")
    check_floating("rotary", "x", x)
    if jnp.ndim(positions) == 1:
        positions = jnp.broadcast_to(positions, (*x.shape[:-3], len(positions)))
    check_shape("rotary", "positions", positions, "(*B, T)", x.shape[:-2])
    dtype = wide(x.dtype)
    half = x.shape[-1] // 2
    rates = jnp.asarray(float(base) ** (-np.arange(half) / max(half, 1)), dtype)
    angles = positions[..., None, None].astype(dtype) * jax.lax.broadcast_to_rank(rates, x.ndim)
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    given = x.astype(dtype)
    if pairing == "halves":
        a, b = given[..., :half], given[..., half:]
        return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1).astype(x.dtype)
    a, b = given[..., 0::2], given[..., 1::2]
    return jnp.stack([a * cos - b * sin, a * sin + b * cos], axis=-1).reshape(x.shape).astype(x.dtype)


def alibi(heads: int) -> Array:
    r"""How steeply each head's attention falls with distance: (N,) slopes, a geometric series.

    For N a power of two :math:`m_n = 2^{-8n/N}`, n = 1 … N. For other N: the slopes of the power of two below,
    then every second slope of the power of two above.

    Raises:
        InputError: there is no head.

    Source:
        Press, Smith & Lewis (2022), Train Short, Test Long, section 3; other N as in their published code.

    Example:
        >>> alibi(4).tolist(), alibi(3).tolist()
        ([0.25, 0.0625, 0.015625, 0.00390625], [0.0625, 0.00390625, 0.25])
    """
    check_count("alibi", "heads", heads)
    below = 2 ** (heads.bit_length() - 1)
    slopes = np.concatenate([_geometric(below), _geometric(2 * below)[0::2]])[:heads]
    return jnp.asarray(slopes, jnp.result_type(float))


def _geometric(heads: int) -> np.ndarray:
    return 2.0 ** (-8.0 * np.arange(1, heads + 1) / heads)


def alibi_bias(query_positions: Array, key_positions: Array, heads: int) -> Array:
    r"""What to add to scores: :math:`-m_n \lvert p_t - p_s \rvert`, from (*B, T) and (*B, S) to (*B, N, T, S).

    Source:
        Press, Smith & Lewis (2022), Train Short, Test Long, section 3, for causal attention; without the
        causal mask the distance counts alike on both sides.

    Example:
        >>> print(alibi_bias(jnp.arange(2), jnp.arange(2), 8)[0])
        [[-0.  -0.5]
         [-0.5 -0. ]]
    """
    query_positions, key_positions = signed(query_positions), signed(key_positions)
    distance = jnp.abs(query_positions[..., None, :, None] - key_positions[..., None, None, :])
    slopes = alibi(heads)
    return -jax.lax.broadcast_to_rank(slopes[:, None, None], distance.ndim) * distance.astype(slopes.dtype)

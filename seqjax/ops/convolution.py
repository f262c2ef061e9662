"""Convolutions that look back and never ahead, with gaps between the steps they look at.

B rows, T steps, D features in, H out, K taps (the width of the kernel), W = (K − 1) · dilation steps looked back.
"""

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.checks import check_count, check_shape


def causal_convolution(
    xs: Array,
    taps: Array,
    *,
    dilation: int = 1,
    window: Array | None = None,
    documents: Array | None = None,
) -> Array:
    r"""Every step from itself and from steps before it: :math:`y_t = \sum_k x_{t - (K - 1 - k) d} \, W_k`.

    Steps before the first are those of ``window``, or zeros. The real steps of a row stand at its front, see
    :func:`to_front`, so that distances are counted over them.

    Args:
        xs: (B, T, D).
        taps: (K, D, H), the last for the step itself.
        dilation: d, the distance between two taps, in steps.
        window: (B, W, D), the W steps before.
        documents: (B, T) numbers of documents, which do not fall; the window is of document 0. No step sees another.

    Returns:
        (B, T, H).

    Source:
        Bai, Kolter & Koltun (2018), An Empirical Evaluation of Generic Convolutional and Recurrent Networks for
        Sequence Modeling, section 3.2; van den Oord et al. (2016), WaveNet, section 2.1.

    Example:
        >>> xs = jnp.array([[[1.0], [10.0], [100.0]]])
        >>> causal_convolution(xs, jnp.array([[[2.0]], [[1.0]]]), dilation=2)[0, :, 0].tolist()
        [1.0, 10.0, 102.0]
    """
    check_count("causal_convolution", "dilation", dilation, unit="step")
    check_shape("causal_convolution", "taps", taps, "(K, D, H)", (None, xs.shape[-1], None))
    check_count("causal_convolution", "len(taps)", len(taps), unit="tap")
    back, steps = (len(taps) - 1) * dilation, xs.shape[1]
    whole = behind(xs, back, window)
    ones = None if documents is None else behind(documents[..., None], back, None)[..., 0]
    seen = []
    for lag in range(back, -1, -dilation):
        part = slice(back - lag, back - lag + steps)
        if ones is None or documents is None or lag == 0:
            seen.append(whole[:, part])
        else:
            same = jnp.equal(ones[:, part], documents)
            seen.append(jnp.where(same[..., None], whole[:, part], 0))
    flat = jnp.concatenate(seen, axis=-1).reshape(-1, taps.shape[0] * taps.shape[1])
    return (flat @ taps.reshape(flat.shape[-1], -1)).reshape(*xs.shape[:2], taps.shape[-1])


def last_steps(xs: Array, window: Array, count: Array | None, documents: Array | None) -> Array:
    """The window after some steps: the last W real ones of ``window`` and ``xs``, as (B, W, D).

    Args:
        xs: (B, T, D), real steps at the front.
        window: (B, W, D), the steps before.
        count: (B,), how many steps are real; None: all are.
        documents: (B, T + 1) numbers of documents of the steps, and of what comes next: of earlier ones nothing stays.

    Example:
        >>> xs, window = jnp.array([[[1.0], [2.0], [0.0]]]), jnp.array([[[8.0], [9.0]]])
        >>> last_steps(xs, window, jnp.array([1]), None)[0, :, 0].tolist()
        [9.0, 1.0]
    """
    back = window.shape[1]
    whole = behind(xs, back, window)
    if documents is not None:
        ones = behind(documents[:, :-1, None], back, None)[..., 0]
        whole = jnp.where((ones == documents[:, -1:])[..., None], whole, 0)
    if count is None:
        return whole[:, xs.shape[1] :]
    at = count[:, None] + jnp.arange(back)[None]
    return jnp.take_along_axis(whole, at[..., None], axis=1)


def behind(xs: Array, back: int, window: Array | None) -> Array:
    """``back`` steps, those of ``window`` or zeros, and then ``xs``: (B, back + T, D)."""
    if window is None:
        return jnp.pad(xs, ((0, 0), (back, 0), (0, 0)))
    check_shape("causal_convolution", "window", window, "(B, W, D)", (len(xs), back, xs.shape[-1]))
    return jnp.concatenate([window.astype(xs.dtype), xs], axis=1)


def to_front(values: Array, mask: Array) -> Array:
    """The real steps of every row first, in order: (B, T, ·) to (B, T, ·). Nothing is moved where they stand there.

    Example:
        >>> to_front(jnp.array([[[7], [1], [2]]]), jnp.array([[False, True, True]]))[0, :, 0].tolist()
        [1, 2, 7]
    """

    def move(values):
        order = jnp.argsort(~mask, axis=1, stable=True)
        return jnp.take_along_axis(values, order[..., None], axis=1)

    return jax.lax.cond(_in_front(mask), lambda values: values, move, values)


def from_front(values: Array, mask: Array) -> Array:
    """Back to where the real steps stood, zero elsewhere: what :func:`to_front` did, undone.

    Example:
        >>> mask = jnp.array([[False, True, True]])
        >>> from_front(jnp.array([[[1], [2], [7]]]), mask)[0, :, 0].tolist()
        [0, 1, 2]
    """

    def move(values):
        places = jnp.maximum(jnp.cumsum(mask, axis=1) - 1, 0)
        return jnp.take_along_axis(values, places[..., None], axis=1)

    values = jax.lax.cond(_in_front(mask), lambda values: values, move, values)
    return jnp.where(mask[..., None], values, 0)


def _in_front(mask: Array) -> Array:
    """Whether no real step stands behind one that is not."""
    return jnp.all(mask[:, :-1] >= mask[:, 1:])

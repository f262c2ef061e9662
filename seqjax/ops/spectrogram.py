"""Sound as a picture: how strong each band of frequencies is, a frame at a time, in steps that ears can tell apart.

B batch, N samples, T frames, W samples of a window, M mel bands.
Source: Davis & Mermelstein (1980), Comparison of Parametric Representations for Monosyllabic Word Recognition.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from seqjax.checks import InputError, check_floating, check_mask, check_shape
from seqjax.ops.convolution import to_front
from seqjax.precision import wide

FLOOR = 1e-6  # power below which silence is silence; a tone of full scale has about window / 6


def mel_filters(bands: int, size: int, rate: int, low: float = 20.0, high: float = 0.0) -> np.ndarray:
    r"""Triangles over the frequencies of a Fourier transform, as wide apart as :math:`2595 \log_{10}(1 + f / 700)`.

    Args:
        bands: M.
        size: samples of the transform; it has size // 2 + 1 frequencies.
        rate: samples a second.
        low: where the first triangle begins, in Hz.
        high: where the last one ends, in Hz; 0: at half the rate.

    Returns:
        (size // 2 + 1, M) float64; each triangle is 1 high.

    Raises:
        InputError: bands that are narrower than what the transform can tell apart, or outside [0, rate / 2].

    Source:
        O'Shaughnessy (1987), Speech Communication, for the scale.

    Example:
        >>> mel_filters(3, 64, 8000).shape
        (33, 3)
    """
    high = high or rate / 2
    if bands < 1 or not 0 <= low < high <= rate / 2:
        raise InputError(
            f"mel_filters: at least one band should lie in 0 ≤ low < high ≤ {rate / 2:g} Hz, half the rate, but "
            f"there are {bands} from {low:g} to {high:g} Hz."
        )
    first, last = 2595 * np.log10(1 + np.array([low, high]) / 700)
    corners = 700 * (10 ** (np.linspace(first, last, bands + 2) / 2595) - 1)
    below, top, above = corners[:-2], corners[1:-1], corners[2:]
    frequency = np.arange(size // 2 + 1)[:, None] * rate / size
    found = np.maximum(0, np.minimum((frequency - below) / (top - below), (above - frequency) / (above - top)))
    if not found.any(axis=0).all():
        raise InputError(
            f"mel_filters: {bands} bands from {low:g} to {high:g} Hz are narrower than the {rate / size:.3g} Hz that "
            f"a window of {size} samples tells apart. Try fewer bands, or a longer window."
        )
    return found


def transform_size(window: int) -> int:
    """Samples of the Fourier transform of a window: the next power of two.

    Example:
        >>> transform_size(400)
        512
    """
    return 1 << (window - 1).bit_length()


def log_mel(
    samples: Array, mask: ArrayLike, *, rate: int, window: int, hop: int, bands: int, low: float = 20.0,
    high: float = 0.0,
) -> tuple[Array, Array]:  # fmt: skip
    r"""The log of the power in mel bands, :math:`\log(10^{-6} + \sum_f M_f |F(w x)_f|^2 / \sum w^2)`, frame by frame.

    Frame t is of the samples t·hop to t·hop + window, counted over real samples, under a Hann window; what does not
    fill a window at the end is left out. In float32, bands 60 dB below the loudest are exact to about 1e-4 nats, and
    others to 1e-6.

    Args:
        samples: (B, N), floating, loudest about 1.
        mask: (B, N), True on real samples.
        rate: samples a second.
        window: W, samples.
        hop: samples from one frame to the next.
        bands: M.
        low: Hz, where the lowest band begins.
        high: Hz, where the highest ends; 0: half the rate.

    Returns:
        ``(features, mask)``: (B, T, M) in nats, zero where masked, and (B, T); real frames stand in front.

    Raises:
        InputError: a window or a hop of no samples; bands that do not fit; samples that are whole numbers, as files
            hold them: divide those of 16 bits by 32768.

    Example:
        >>> tone = jnp.sin(2 * jnp.pi * 1000 * jnp.arange(8000) / 8000)[None]
        >>> found, real = log_mel(tone, jnp.ones((1, 8000), bool), rate=8000, window=200, hop=80, bands=20)
        >>> found.shape, int(found[0, 50].argmax())
        ((1, 98, 20), 9)
    """
    if window < 2 or hop < 1:
        raise InputError(
            f"log_mel: `window` should be at least 2 samples and `hop` at least 1, but they are {window} and {hop}."
        )
    mask = jnp.asarray(mask)
    check_shape("log_mel", "samples", samples, "(B, N)", (None, None))
    check_floating("log_mel", "samples", samples)
    check_mask("log_mel", "mask", mask, "(B, N)", samples.shape)
    size = transform_size(window)
    kind = samples.dtype
    filters = jnp.asarray(mel_filters(bands, size, rate, low, high), kind)
    frames = max(0, (samples.shape[1] - window) // hop + 1)
    real = jnp.arange(frames)[None] * hop + window <= mask.sum(axis=1, keepdims=True)
    if not frames:
        return jnp.zeros((len(samples), 0, bands), kind), real
    samples = to_front(jnp.where(mask, samples, 0)[..., None], mask)[..., 0]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    places = np.arange(frames)[:, None] * hop + np.arange(window)
    spectrum = jnp.fft.rfft(samples[:, places] * jnp.asarray(hann[None, None], kind), size)
    power = (jnp.square(spectrum.real) + jnp.square(spectrum.imag)) / float(np.sum(hann**2))
    found = jnp.log(FLOOR + jnp.matmul(power, filters, precision=jax.lax.Precision.HIGHEST))
    return jnp.where(real[..., None], found, 0), real


def standardised(features: Array, mask: ArrayLike) -> Array:
    """Every band of every row with mean 0 and deviation 1 over its real frames: loud or soft, near or far.

    Args:
        features: (B, T, M).
        mask: (B, T), True on real frames.

    Returns:
        (B, T, M), zero where masked, of the type of ``features``; computed in float32 or wider.

    Example:
        >>> features, mask = jnp.array([[[1.0], [3.0], [99.0]]]), jnp.array([[True, True, False]])
        >>> standardised(features, mask)[0, :, 0].round(2).tolist()
        [-1.0, 1.0, 0.0]
    """
    real = jnp.asarray(mask)[..., None]
    kind = wide(features.dtype)  # half precision holds features whose sum it does not
    count = jnp.maximum(real.sum(axis=1, keepdims=True), 1).astype(kind)
    centred = jnp.where(real, features, 0).astype(kind)
    centred = jnp.where(real, centred - centred.sum(axis=1, keepdims=True) / count, 0)
    deviation = jnp.sqrt(jnp.square(centred).sum(axis=1, keepdims=True) / count + 1e-4)
    return (centred / deviation).astype(features.dtype)

"""Log-mel frames beside a slow Fourier transform in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.ops.spectrogram import log_mel, mel_filters, standardised

RATE, WINDOW, HOP, BANDS, N = 4000, 100, 40, 8, 500
SWIFT = {"xla_backend_optimization_level": 0}


def slowly(samples: np.ndarray) -> np.ndarray:
    """(T, M) by the definition, in float64."""
    size = 128
    hann = np.array([np.sin(np.pi * n / WINDOW) ** 2 for n in range(WINDOW)])
    waves = np.exp(-2j * np.pi * np.outer(np.arange(size // 2 + 1), np.arange(WINDOW)) / size)
    mel = lambda hertz: 2595 * np.log10(1 + hertz / 700)  # noqa: E731
    ends = np.linspace(mel(20.0), mel(RATE / 2), BANDS + 2)
    corners = 700 * (10 ** (ends / 2595) - 1)
    found = []
    for start in range(0, len(samples) - WINDOW + 1, HOP):
        power = np.abs(waves @ (samples[start : start + WINDOW] * hann)) ** 2 / np.sum(hann**2)
        hertz = np.arange(size // 2 + 1) * RATE / size
        rows = [np.interp(hertz, corners[band : band + 3], [0, 1, 0]) @ power for band in range(BANDS)]
        found.append(np.log(1e-6 + np.array(rows)))
    return np.array(found)


def _run(samples, mask):
    features, real = log_mel(samples, mask, rate=RATE, window=WINDOW, hop=HOP, bands=BANDS)
    return features, real, standardised(features, real)


run = jax.jit(_run, compiler_options=SWIFT)


def sounds() -> np.ndarray:
    """Noise, and a rising tone above a little noise, in float32."""
    random, time = np.random.default_rng(0), np.arange(N) / RATE
    tone = np.sin(2 * np.pi * (200 + 4000 * time) * time) + 0.01 * random.normal(size=N)
    return np.stack([0.1 * random.normal(size=N), tone]).astype(np.float32)


def test_frames_are_those_of_the_definition():
    samples = sounds()
    features, real, _ = run(np.repeat(samples, 2, 0), np.ones((4, N), bool))
    assert np.asarray(real).all()
    for row, own in zip(features[::2], samples, strict=True):
        np.testing.assert_allclose(row, slowly(own.astype(np.float64)), rtol=1e-5, atol=1e-5)


def test_padding_and_neighbours_change_nothing_and_lengths_are_respected():
    own = sounds()[0]
    samples, mask = np.full((4, N), np.nan, np.float32), np.zeros((4, N), bool)
    samples[0, :333], mask[0, :333] = own[:333], True
    samples[1, N - 333 :], mask[1, N - 333 :] = own[:333], True
    samples[2, :99], mask[2, :99] = own[:99], True
    samples[3] = np.inf
    features, real, scaled = jax.device_get(run(samples, mask))
    assert real.sum(axis=1).tolist() == [6, 6, 0, 0]
    assert np.isfinite(features).all()
    assert np.isfinite(scaled).all()
    assert (features[~real] == 0).all()
    assert (scaled[~real] == 0).all()
    wanted = slowly(own[:333].astype(np.float64))
    for row in (0, 1):
        np.testing.assert_allclose(features[row, :6], wanted, atol=1e-5)
        standard = (wanted - wanted.mean(axis=0)) / np.sqrt(wanted.var(axis=0) + 1e-4)
        np.testing.assert_allclose(scaled[row, :6], standard, atol=1e-4)


def test_half_precision_is_standardised_in_more():
    scaled = standardised(jnp.array([[[1000.0], [3000.0]]], jnp.float16), np.ones((1, 2), bool))
    assert (scaled.tolist(), scaled.dtype) == ([[[-1.0], [1.0]]], jnp.float16)


def test_filters_are_triangles_that_touch_and_bands_too_narrow_are_refused():
    filters = mel_filters(BANDS, 512, RATE)
    inside = filters.sum(axis=1)[filters.argmax(axis=0)[0] + 1 : filters.argmax(axis=0)[-1]]
    np.testing.assert_allclose(inside, 1, atol=1e-9)
    assert (np.diff(filters.argmax(axis=0)) > 0).all()
    with pytest.raises(InputError, match="narrower than the 125 Hz"):
        mel_filters(80, 128, 16000)
    with pytest.raises(InputError, match="half the rate"):
        mel_filters(4, 128, 8000, high=5000.0)
    with pytest.raises(InputError, match="`hop`"):
        log_mel(jnp.zeros((1, 9)), np.ones((1, 9), bool), rate=100, window=4, hop=0, bands=2)
    features, real = log_mel(jnp.zeros((1, 9)), np.ones((1, 9), bool), rate=RATE, window=WINDOW, hop=HOP, bands=BANDS)
    assert (features.shape, real.shape) == ((1, 0, BANDS), (1, 0))

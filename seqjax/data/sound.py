"""Sound files: PCM WAV to samples, mixed to one channel, at one rate.

N samples.
"""

import os
import wave
from pathlib import Path

import numpy as np

from seqjax.checks import InputError

CONVERT = "Convert it, e.g.: ffmpeg -i IN -c:a pcm_s16le -ac 1 OUT.wav"


def read_wav(path: str | Path) -> tuple[np.ndarray, int]:
    """The samples of a PCM WAV file of 8, 16, 24 or 32 bits, its channels averaged.

    Returns:
        ``(samples, rate)``: (N,) float32, full scale is 1, and samples a second.

    Raises:
        InputError: with the file's name: missing, no WAV file, another encoding than PCM, cut off, without a sample.
    """
    path = Path(os.path.expanduser(path))
    if not path.is_file():
        raise InputError(f"data: {path}: there is no such sound file.")
    try:
        with wave.open(str(path), "rb") as file:
            rate, width, channels, count = (
                file.getframerate(), file.getsampwidth(), file.getnchannels(), file.getnframes()
            )  # fmt: skip
            data = file.readframes(count)
    except (wave.Error, EOFError, OSError, RuntimeError) as error:
        raise InputError(
            f"data: {path} is no PCM WAV file that can be read: {str(error) or 'it ends early'}. {CONVERT}"
        ) from None
    if width not in (1, 2, 3, 4) or not rate:
        raise InputError(
            f"data: {path} has {8 * width} bits a sample at {rate} Hz; 8, 16, 24 or 32 are read. {CONVERT}"
        )
    if len(data) < count * width * channels:
        held = len(data) // (width * channels)
        raise InputError(f"data: {path} is cut off: it should hold {count:,} samples, but it holds {held:,}.")
    if not count:
        raise InputError(f"data: {path} holds no sample.")
    return as_numbers(data, width).reshape(-1, channels).mean(axis=1, dtype=np.float32), rate


def as_numbers(data: bytes, width: int) -> np.ndarray:
    """Bytes of PCM as numbers in [-1, 1): little-endian, 8 bits without a sign, more bits with one.

    Example:
        >>> as_numbers(bytes([0, 128]), 1).tolist(), as_numbers(bytes([0, 0, 64, 0, 0, 192]), 3).tolist()
        ([-1.0, 0.0], [0.5, -0.5])
    """
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    if width == 3:
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return (wide.view("<i4")[:, 0] / 2**31).astype(np.float32)
    return (np.frombuffer(data, f"<i{width}") / 2 ** (8 * width - 1)).astype(np.float32)


def read_sound(path: str | Path, *, rate: int, resample: bool = False) -> np.ndarray:
    """The samples of a WAV file at a given rate: (N,) float32.

    Raises:
        InputError: what :func:`read_wav` refuses; another rate, unless it may be changed.
    """
    samples, own = read_wav(path)
    if own == rate:
        return samples
    if not resample:
        raise InputError(
            f"data: {path} has {own:,} samples a second, but {rate:,} are wanted. Try --data.sound.resample, or, if "
            f"all files are like that, --data.sound.rate {own} when training."
        )
    return resampled(samples, own, rate)


def resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """The same sound at another rate, by its Fourier transform: what the new rate cannot hold is left out.

    Args:
        samples: (N,), at ``rate`` samples a second.
        rate: samples a second, before.
        wanted: after.

    Returns:
        (round(N · wanted / rate),) float32.

    Example:
        >>> tone = lambda rate: np.sin(2 * np.pi * 50 * np.arange(rate) / rate).astype(np.float32)
        >>> bool(np.abs(resampled(tone(1000), 1000, 800) - tone(800)).max() < 1e-5)
        True
    """
    size = max(1, round(len(samples) * wanted / rate))
    found = np.fft.rfft(samples)
    bins = min(len(found), size // 2 + 1)
    kept = np.zeros(size // 2 + 1, complex)
    kept[:bins] = found[:bins]
    return (np.fft.irfft(kept, size) * (size / len(samples))).astype(np.float32)

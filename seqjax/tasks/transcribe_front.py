"""What stands between recordings and the frames that a transcriber reads: pixels as they are, sound as spectra.

N samples of a sound, T frames, F features of a frame.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from seqjax.checks import InputError
from seqjax.data.digit_strips import DigitStrips, read_strip
from seqjax.data.digits import SIDE
from seqjax.data.transcript_config import SoundConfig, TranscriptsConfig
from seqjax.data.transcripts import Medium, Recording, read_recordings, sound_medium
from seqjax.decoding import bucket
from seqjax.ops.spectrogram import log_mel, standardised

ROWS = 8  # sounds whose spectra are computed in one call


class Front(NamedTuple):
    """Recordings to frames.

    Attributes:
        features: F.
        medium: how a recording's file is read.
        nothing: the values of a recording without frames.
        frames: ``[values] -> [(T, F) float32]``.
        summary: what to show before training.
        first_on_top: pictures of frames have the first feature on top; else at the bottom, as low sounds are drawn.
    """

    features: int
    medium: Medium
    nothing: np.ndarray
    frames: Callable[[Sequence[np.ndarray]], list[np.ndarray]]
    summary: list[tuple[str, str]]
    first_on_top: bool = False


def front_of(data: TranscriptsConfig) -> Front:
    """The front of handwritten strips, or of sound."""
    if data.handwritten:
        frames = [("frames", f"columns of {SIDE} pixels")]
        nothing = np.zeros((0, SIDE), np.float32)
        return Front(SIDE, Medium(read_strip, len), nothing, list, frames, first_on_top=True)
    sound = data.sound
    told = f"{sound.bands} mel bands of {1000 * sound.window:g} ms, every {1000 * sound.hop:g} ms, at {sound.rate:,} Hz"
    spectra_of = functools.partial(spectra, config=sound)
    return Front(sound.bands, sound_medium(sound), np.zeros(0, np.float32), spectra_of, [("frames", told)])


def spectra(sounds: Sequence[np.ndarray], config: SoundConfig) -> list[np.ndarray]:
    """Log-mel frames (T, M) of every sound (N,), each band with mean 0 and deviation 1; sounds of like length together.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=800).astype(np.float32)
        >>> found = spectra([noise, noise[:100]], SoundConfig(rate=8000, bands=4))
        >>> [one.shape for one in found]
        [(8, 4), (0, 4)]
    """
    order = sorted(range(len(sounds)), key=lambda place: len(sounds[place]))
    found: list[np.ndarray] = [np.zeros((0, config.bands), np.float32)] * len(sounds)
    for first in range(0, len(order), ROWS):
        places = order[first : first + ROWS]
        size = bucket(max(len(sounds[place]) for place in places), round(config.window * config.rate))
        samples, mask = np.zeros((ROWS, size), np.float32), np.zeros((ROWS, size), bool)
        for row, place in enumerate(places):
            samples[row, : len(sounds[place])] = sounds[place]
            mask[row, : len(sounds[place])] = True
        features, real = jax.device_get(_spectra(samples, mask, config))
        for row, place in enumerate(places):
            found[place] = features[row, : real[row].sum()]
    return found


@functools.partial(jax.jit, static_argnums=2)
def _spectra(samples, mask, config: SoundConfig):
    features, real = log_mel(
        samples, mask, rate=config.rate, window=round(config.window * config.rate),
        hop=round(config.hop * config.rate), bands=config.bands, low=config.low, high=config.high,
    )  # fmt: skip
    return standardised(features, real), real


class Material(NamedTuple):
    """What is to be transcribed, by split, and how the training split changes.

    Attributes:
        frames: by split: (T, F) of each.
        texts: by split: what is to be written.
        redraw: ``(number, epoch) -> (frames (T, F), text)`` of a training example, as long as it was; None: it stays.
        skipped: by split: how many were left out, by why.
    """

    frames: dict[str, list[np.ndarray]]
    texts: dict[str, list[str]]
    redraw: Callable[[int, int], tuple[np.ndarray, str]] | None
    skipped: dict[str, dict[str, int]]


def material_of(data: TranscriptsConfig, front: Front, factor: int) -> Material:
    """Read the recordings, or draw the strips, of all splits."""
    if not data.handwritten:
        splits = read_recordings(data, factor)
        parts = {"train": splits.train, "valid": splits.valid, "test": splits.test}
        return _material(parts, front)._replace(skipped=splits.skipped)
    most = data.strips.digits[1]
    if -(-SIDE * most // factor) < 2 * most - 1:
        raise InputError(
            f"model: `factor` {factor} leaves {-(-SIDE * most // factor)} steps of {most} digits side by side, but CTC "
            f"may need {2 * most - 1}: a blank between equal neighbours. Try --model.factor {SIDE // 2} or less."
        )
    strips = {split: DigitStrips(data.strips, split) for split in ("train", "valid", "test")}
    drawn = {split: [one.draw(n) for n in range(len(one.lengths))] for split, one in strips.items()}

    def redraw(number: int, epoch: int) -> tuple[np.ndarray, str]:
        strip = strips["train"].draw(number, epoch)
        return strip.columns, strip.text

    frames = {split: [strip.columns for strip in part] for split, part in drawn.items()}
    return Material(frames, {split: [strip.text for strip in part] for split, part in drawn.items()}, redraw, {})


def _material(parts: dict[str, list[Recording]], front: Front) -> Material:
    frames = {name: front.frames([one.values for one in part]) for name, part in parts.items()}
    return Material(frames, {name: [one.text for one in part] for name, part in parts.items()}, None, {})


def own_test_split(data: TranscriptsConfig, front: Front, factor: int) -> tuple[list[np.ndarray], list[str]]:
    """Frames and texts of a run's own test split."""
    if data.handwritten:
        strips = DigitStrips(data.strips, "test")
        drawn = [strips.draw(number) for number in range(len(strips.lengths))]
        return [strip.columns for strip in drawn], [strip.text for strip in drawn]
    recordings = read_recordings(data, factor).test
    return front.frames([one.values for one in recordings]), [one.text for one in recordings]

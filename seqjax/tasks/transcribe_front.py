"""What stands between recordings and the frames that a transcriber reads: pixels as they are, sound as spectra.

N samples of a sound, T frames, F features of a frame.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from seqjax.checks import InputError
from seqjax.data import Tokenizer
from seqjax.data.digit_strips import DigitStrips, read_strip
from seqjax.data.digits import SIDE, Split
from seqjax.data.transcript_config import SoundConfig, TranscriptsConfig
from seqjax.data.transcripts import (
    TOO_LONG,
    Medium,
    Recording,
    check_frames,
    read_recording_files,
    read_recordings,
    sound_medium,
)
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
        places: by split: where each is named, for refusals; none of what is drawn here.
        redraw: ``(number, epoch) -> (frames (T, F), text)`` of a training example, as long as it was; None: it stays.
        skipped: by split: how many were left out, by why.
    """

    frames: dict[str, list[np.ndarray]]
    texts: dict[str, list[str]]
    places: dict[str, list[str]]
    redraw: Callable[[int, int], tuple[np.ndarray, str]] | None
    skipped: dict[str, dict[str, int]]


def material_of(data: TranscriptsConfig, front: Front, factor: int) -> Material:
    """Read the recordings, or draw the strips, of all splits."""
    if not data.handwritten:
        splits = read_recordings(data, factor)
        parts = {"train": splits.train, "valid": splits.valid, "test": splits.test}
        return _material(parts, front, splits.skipped)
    most = data.strips.digits[1]
    if -(-SIDE * most // factor) < 2 * most - 1:
        raise InputError(
            f"model: `factor` {factor} leaves {-(-SIDE * most // factor)} steps of {most} digits side by side, but CTC "
            f"may need {2 * most - 1}: a blank between equal neighbours. Try --model.factor {SIDE // 2} or less."
        )
    strips = DigitStrips(data.strips, "train")

    def redraw(number: int, epoch: int) -> tuple[np.ndarray, str]:
        strip = strips.draw(number, epoch)
        return strip.columns, strip.text

    return _drawn(data, ("train", "valid", "test"))._replace(redraw=redraw)


def material_to_test(data: TranscriptsConfig, paths: Sequence[str], front: Front, factor: int) -> Material:
    """What these files name, or a run's own test split, as the split ``test``."""
    if paths:
        recordings, skipped = read_recording_files(paths, data, front.medium, factor)
        return _material({"test": recordings}, front, {"test": skipped})
    if data.handwritten:
        return _drawn(data, ("test",))
    splits = read_recordings(data, factor)
    return _material({"test": splits.test}, front, {"test": splits.skipped.get("test", {})})


def _material(parts: dict[str, list[Recording]], front: Front, skipped: dict[str, dict[str, int]]) -> Material:
    return Material(
        frames={name: front.frames([one.values for one in part]) for name, part in parts.items()},
        texts={name: [one.text for one in part] for name, part in parts.items()},
        places={name: [one.place for one in part] for name, part in parts.items()},
        redraw=None,
        skipped=skipped,
    )


def _drawn(data: TranscriptsConfig, splits: Sequence[Split]) -> Material:
    frames: dict[str, list[np.ndarray]] = {}
    texts: dict[str, list[str]] = {}
    for split in splits:
        strips = DigitStrips(data.strips, split)
        drawn = [strips.draw(number) for number in range(len(strips.lengths))]
        frames[split], texts[split] = [one.columns for one in drawn], [one.text for one in drawn]
    return Material(frames, texts, {}, None, {})


def possible(material: Material, tokenizer: Tokenizer, factor: int, *, skip: bool) -> Material:
    """The recordings whose frames are enough for what is written of them, once characters are ids.

    Characters that a tokenizer does not know are all one symbol, and between equal neighbours CTC needs a blank.

    Args:
        material: whose recordings are enough for their characters.
        tokenizer: of the run.
        factor: frames for one step of the model.
        skip: leave the others out, and count them, instead of refusing them.

    Raises:
        InputError: with its place, the first that has too few frames; a split of which nothing is left.
    """
    frames, texts, places, skipped = (dict(material._asdict()[n]) for n in ("frames", "texts", "places", "skipped"))
    for split, named in material.places.items():
        kept = []
        ids = tokenizer.encode_documents(texts[split])
        for number, (place, text, own) in enumerate(zip(named, texts[split], ids, strict=True)):
            try:
                check_frames(place, text, len(frames[split][number]), factor, own.tolist())
                kept.append(number)
            except InputError:
                if not skip or not (kept or named[number + 1 :]):
                    raise
        if len(kept) < len(named):
            before = skipped.get(split, {})
            skipped[split] = before | {TOO_LONG: before.get(TOO_LONG, 0) + len(named) - len(kept)}
        frames[split], texts[split], places[split] = (
            [own[split][number] for number in kept] for own in (frames, texts, places)
        )
    return Material(frames, texts, places, material.redraw, skipped)


def told(skipped: dict[str, int]) -> str:
    """How many recordings were left out, by why.

    Example:
        >>> told({"broken lines": 2, "broken recordings": 1})
        '2 broken lines, 1 broken recordings'
    """
    return ", ".join(f"{count:,} {why}" for why, count in skipped.items())

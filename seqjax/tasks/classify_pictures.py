"""``classify digits`` and ``classify frames``: digits pixel by pixel, and which way a digit moves. Adds presets."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from seqjax.checks import InputError
from seqjax.data.digits import SIDE
from seqjax.data.pictured_series import pixel_steps, read_digits, read_films, sketch
from seqjax.data.series_config import DigitsConfig, FramesConfig
from seqjax.models.classifier import PoolingConfig
from seqjax.models.reading import AttentionReaderConfig, RecurrentReaderConfig
from seqjax.models.series import AttentionSeriesConfig, ConvolutionSeriesConfig, RecurrentSeriesConfig
from seqjax.models.tcn import ConvolutionReaderConfig
from seqjax.tasks.classify_config import PRESETS
from seqjax.tasks.classify_front import Front
from seqjax.tasks.classify_series import (
    AttentionSeriesClassifyConfig,
    ConvolutionSeriesClassifyConfig,
    RecurrentSeriesClassifyConfig,
    numbers_of,
    orderless_rival,
    series_front,
)
from seqjax.tasks.classify_source import SOURCES, Source
from seqjax.training.folder import RunFolder
from seqjax.training.optimizers import OptimizerConfig

SHOWN = 3  # frames of a film that are shown


@dataclasses.dataclass(frozen=True, kw_only=True)
class Digits:
    """Of digits."""

    data: DigitsConfig = DigitsConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frames:
    """Of films."""

    data: FramesConfig = FramesConfig()


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentDigitsConfig(Digits, RecurrentSeriesClassifyConfig):
    """Train recurrent layers that name a handwritten digit after reading its pixels one by one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvolutionDigitsConfig(Digits, ConvolutionSeriesClassifyConfig):
    """Train a temporal convolutional network that names a handwritten digit after reading its pixels one by one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionDigitsConfig(Digits, AttentionSeriesClassifyConfig):
    """Train the encoder of a Transformer that names a handwritten digit from its pixels."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentFramesConfig(Frames, RecurrentSeriesClassifyConfig):
    """Train recurrent layers that tell from the frames of a film how a digit moves."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvolutionFramesConfig(Frames, ConvolutionSeriesClassifyConfig):
    """Train a temporal convolutional network that tells from the frames of a film how a digit moves."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionFramesConfig(Frames, AttentionSeriesClassifyConfig):
    """Train the encoder of a Transformer that tells from the frames of a film how a digit moves."""


def digits_front(config, folder: RunFolder, contents: Sequence[np.ndarray] | None) -> Front:
    """Pictures (8, 8) as (64 / P, P), P pixels a step."""
    data = config.data
    order = "in one random order" if data.permuted else "row by row"
    read = ("pixels", f"{data.pixels} a step, {order}")
    return series_front(config, lambda picture: {"xs": pixel_steps(picture, data)}, data.pixels, [read])


def frames_front(config, folder: RunFolder, contents: Sequence[np.ndarray] | None) -> Front:
    """Films (T, S, S) as (T, S²)."""
    side = config.data.side
    size = ("frames", f"{side} × {side} pixels")
    return series_front(config, lambda film: {"xs": film.reshape(len(film), -1)}, side**2, [size])


def _no_files(paths: Sequence[str], data: Any, names: Sequence[str]):
    raise InputError(
        f"evaluate: {' '.join(map(str, paths))}: digits and films are made from what ships with scikit-learn, not from "
        "files. Leave --data.path out, or label lines of numbers with seqjax predict."
    )


def _films_of(lines: list[str], data: FramesConfig) -> list[tuple[list[str], np.ndarray]]:
    return numbers_of(lines, (-1, data.side, data.side), f"frames of {data.side} × {data.side} numbers")


SOURCES[DigitsConfig] = Source(
    unit="digits",
    step="steps",
    skipped="",
    read=read_digits,
    read_files=_no_files,
    read_lines=lambda lines, data: numbers_of(lines, (SIDE, SIDE), "64 numbers, row by row, 0 paper and 1 ink"),
    front=digits_front,
    told=lambda picture: sketch(picture[None]),
    rival=orderless_rival,
)
SOURCES[FramesConfig] = Source(
    unit="films",
    step="frames",
    skipped="",
    read=read_films,
    read_files=_no_files,
    read_lines=_films_of,
    front=frames_front,
    told=lambda film: sketch(film[:SHOWN]),
    rival=orderless_rival,
)
LAST = PoolingConfig(pooling="last", dropout=0.2)
GRU = RecurrentReaderConfig(cell="gru", features=128, bidirectional=False)
MEAN = PoolingConfig(pooling="mean", dropout=0.1)
RATE = OptimizerConfig(learning_rate=3e-3, warmup=100)
DIGITS: dict[str, Any] = {"steps": 2000, "batch_size": 64, "evaluate_every": 200, "shown": 2, "optimizer": RATE}
FRAMES: dict[str, Any] = {"steps": 800, "batch_size": 64, "evaluate_every": 100, "shown": 2, "optimizer": RATE}
SLOW = dataclasses.replace(RATE, learning_rate=1e-3)
PRESETS["digits"] = RecurrentDigitsConfig(**DIGITS, model=RecurrentSeriesConfig(reader=GRU, output=LAST))
PRESETS["digits-tcn"] = ConvolutionDigitsConfig(
    **DIGITS | {"steps": 1000, "evaluate_every": 100},
    model=ConvolutionSeriesConfig(reader=ConvolutionReaderConfig(features=48, layers=4), output=LAST),
)
PRESETS["digits-transformer"] = AttentionDigitsConfig(
    **DIGITS | {"optimizer": SLOW, "steps": 1000, "evaluate_every": 100},
    model=AttentionSeriesConfig(reader=AttentionReaderConfig(features=64, positions="learned"), output=MEAN),
)
PRESETS["frames"] = RecurrentFramesConfig(
    **FRAMES, model=RecurrentSeriesConfig(reader=dataclasses.replace(GRU, cell="lstm"), output=LAST)
)
PRESETS["frames-tcn"] = ConvolutionFramesConfig(
    **FRAMES,
    model=ConvolutionSeriesConfig(reader=ConvolutionReaderConfig(features=96, layers=3), output=LAST),
)
PRESETS["frames-transformer"] = AttentionFramesConfig(
    **FRAMES | {"optimizer": SLOW},
    model=AttentionSeriesConfig(reader=AttentionReaderConfig(features=96, positions="rotary"), output=MEAN),
)

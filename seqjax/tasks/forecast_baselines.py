"""Forecasts that anyone can make without a network: what a learned one has to beat.

N origins, C steps that were seen, H steps to come, D columns, K of them forecast; all in the units of the scaling.
"""

from collections.abc import Mapping

import numpy as np

from seqjax.data.linear_autoregression import linear_forecast
from seqjax.data.time_series_windows import Scaling, Windows

AT_ONCE = 1024  # origins
NAIVE = ("naive", "seasonal_naive", "drift")  # of which the best is the `baseline`


def naive_forecasts(seen: np.ndarray, horizon: int, season: int) -> dict[str, np.ndarray]:
    """The last value; the value of a season ago; the line through the first and the last value that were seen.

    Args:
        seen: (N, C, K), of the columns that are forecast.
        horizon: H.
        season: steps; where it is 1, or longer than C, there is no seasonal forecast.

    Returns:
        (N, H, K) under each name.

    Source:
        Hyndman & Athanasopoulos (2021), Forecasting: Principles and Practice, section 5.2.

    Example:
        >>> found = naive_forecasts(np.array([[[1.0], [3.0], [2.0]]]), 3, season=2)
        >>> {name: values[0, :, 0].tolist() for name, values in found.items()}
        {'naive': [2.0, 2.0, 2.0], 'seasonal_naive': [3.0, 2.0, 3.0], 'drift': [2.5, 3.0, 3.5]}
    """
    last, context = seen[:, -1:], seen.shape[1]
    steps = np.arange(horizon)
    found = {"naive": np.repeat(last, horizon, axis=1)}
    if 1 < season <= context:
        found["seasonal_naive"] = seen[:, context - season + steps % season]
    slope = (last - seen[:, :1]) / max(1, context - 1)
    return found | {"drift": last + slope * (steps + 1)[:, None]}


def error_of(forecast: np.ndarray, came: np.ndarray, kind: str) -> float:
    """The mean absolute (``mae``) or squared (``mse``) error over all origins, steps and columns.

    Example:
        >>> error_of(np.array([1.0, 4.0]), np.array([1.0, 2.0]), "mse")
        2.0
    """
    difference = np.asarray(forecast, np.float64) - came
    return float(np.mean(np.abs(difference) if kind == "mae" else difference**2))


def simple_forecasts(windows: Windows, scaling: Scaling) -> dict[str, np.ndarray]:
    """Every simple forecast of the same origins: (N, H, K) under each name."""
    horizon, targets = windows.came.shape[1], list(scaling.places)
    parts = []
    for first in range(0, len(windows.seen), AT_ONCE):
        seen = windows.seen[first : first + AT_ONCE]  # a view of overlapping windows: copied piece by piece
        found = naive_forecasts(seen[..., targets], horizon, scaling.season)
        parts.append(found | {"linear_ar": linear_forecast(scaling.linear, seen, horizon)[..., targets]})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def baseline_of(errors: Mapping[str, float]) -> float:
    """The least error among the naive forecasts.

    Example:
        >>> baseline_of({"naive": 2.0, "drift": 1.5, "linear_ar": 0.5})
        1.5
    """
    return min(value for name, value in errors.items() if name in NAIVE)

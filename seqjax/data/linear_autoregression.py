"""The linear autoregressive forecast: each column from the last steps of all columns, by least squares.

T steps, D columns, P lags, N windows, C steps of a window, H steps to come.
Source: Lütkepohl (2005), New Introduction to Multiple Time Series Analysis, section 3.2.
"""

import numpy as np

from seqjax.checks import InputError

ROWS_EACH = 4  # steps of training for each weight of an equation, at least


def fit_linear(scaled: np.ndarray, most: int) -> np.ndarray:
    """Weights of the forecast one step ahead.

    Args:
        scaled: (T, D) of the training split.
        most: P; where the split is short, fewer.

    Returns:
        (P·D + 1, D): of every step that is seen, the oldest first, and of a constant.

    Raises:
        InputError: fewer than two steps.

    Example:
        >>> growth = 1.01 ** np.arange(60.0)[:, None]
        >>> found = linear_forecast(fit_linear(growth, 4), growth[None, :50], 10)
        >>> found.shape, bool(np.allclose(found[0], growth[50:]))
        ((1, 10, 1), True)
    """
    steps, columns = scaled.shape
    lags = int(np.clip(steps // (ROWS_EACH * columns), 1, most))
    if steps <= lags:
        raise InputError(f"data: {steps} steps of training are too few to learn from.")
    scaled = scaled.astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(scaled, lags, axis=0)[:-1]  # (T − P, D, P)
    rows = windows.swapaxes(1, 2).reshape(len(windows), -1)
    return np.linalg.lstsq(_with_one(rows), scaled[lags:], rcond=None)[0]


def linear_forecast(weights: np.ndarray, seen: np.ndarray, horizon: int) -> np.ndarray:
    """Forecast step by step, from windows (N, C, D) and then from its own forecasts: (N, H, D).

    Args:
        weights: of :func:`fit_linear`, with P at most C.
        seen: the windows, scaled as the training split was.
        horizon: H.
    """
    lags = (len(weights) - 1) // weights.shape[1]
    known = seen[:, -lags:].astype(np.float64)
    for _ in range(horizon):
        rows = known[:, -lags:].reshape(len(known), -1)
        known = np.concatenate([known, (_with_one(rows) @ weights)[:, None]], axis=1)
    return known[:, lags:]


def _with_one(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)

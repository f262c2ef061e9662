"""Local attention as loops in float64: Luong et al. (2015), section 3.2. One row, one query at a time."""

import numpy as np


def window(scores, place, mask, width):
    """The softmax over real tokens at most ``width`` from the place; the distance of every step."""
    weights, distances, total = np.zeros(len(scores)), np.zeros(len(scores)), 0.0
    for s in range(len(scores)):
        distances[s] = sum(mask[:s]) - place  # s stands behind so many real tokens
        if mask[s] and abs(distances[s]) <= width:
            weights[s] = np.exp(scores[s])
            total += weights[s]
    return weights / total if total else weights, distances


def local_m(scores, step, mask, width):
    return window(scores, step, mask, width)[0]


def local_p(scores, place, mask, width):
    """``place``: before the sigmoid."""
    weights, distances = window(scores, sum(mask) / (1 + np.exp(-place)), mask, width)
    deviation = width / 2
    return weights * np.exp(-(distances**2) / (2 * deviation**2))

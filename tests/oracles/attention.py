"""Attention, positions and norms as slow, obvious loops in float64, one row at a time: no batch axis.

T queries, S keys, N heads, G groups of heads, K features of a key, J of a value.
"""

import math

import numpy as np


def dot(q, k):
    return sum(a * b for a, b in zip(q, k, strict=True))


def scaled_dot(q, k):
    return dot(q, k) / math.sqrt(len(q))


def bilinear(q, k, kernel):
    return sum(q[i] * kernel[i, j] * k[j] for i in range(len(q)) for j in range(len(k)))


def additive(q, k, vector):
    return sum(v * math.tanh(a + b) for v, a, b in zip(vector, q, k, strict=True))


def score_table(score, queries, keys, *parameters):
    """(T, K) and (S, J) to (T, S)."""
    return np.array([[score(q, k, *parameters) for k in keys] for q in queries])


def softmax_over(scores, places):
    """Weights of all scores, those outside of ``places`` being 0."""
    weights = np.zeros(len(scores))
    if places:
        highest = max(scores[s] for s in places)
        powers = {s: math.exp(scores[s] - highest) for s in places}
        for s in places:
            weights[s] = powers[s] / sum(powers.values())
    return weights


def attention(query, key, value, visible, bias):
    """(T, N, K), (S, G, K), (S, G, J), (T, S) and (N, T, S) to outputs (T, N, J) and weights (N, T, S)."""
    (T, N, _), (S, G, J) = query.shape, value.shape
    ys, weights = np.zeros((T, N, J)), np.zeros((N, T, S))
    for n in range(N):
        g = n // (N // G)
        for t in range(T):
            places = [s for s in range(S) if visible[t, s]]
            scores = {s: scaled_dot(query[t, n], key[s, g]) + bias[n, t, s] for s in places}
            weights[n, t] = softmax_over({**dict.fromkeys(range(S), 0.0), **scores}, places)
            for s in places:
                ys[t, n] += weights[n, t, s] * value[s, g]
    return ys, weights


def sinusoidal(positions, features):
    encoded = np.zeros((len(positions), features))
    for t, p in enumerate(positions):
        for j in range(features):
            angle = p / 10000 ** (2 * (j // 2) / features)
            encoded[t, j] = math.sin(angle) if j % 2 == 0 else math.cos(angle)
    return encoded


def rotary(x, positions, base, pairing):
    """(T, N, K)."""
    T, N, K = x.shape
    turned = np.zeros(x.shape)
    for t in range(T):
        for i in range(K // 2):
            a, b = (i, i + K // 2) if pairing == "halves" else (2 * i, 2 * i + 1)
            angle = positions[t] * base ** (-2 * i / K)
            rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
            for n in range(N):
                turned[t, n, [a, b]] = rotation @ x[t, n, [a, b]]
    return turned


def layer_norm(x, scale, bias, epsilon):
    """(T, D)."""
    normed = np.zeros(x.shape)
    for t, row in enumerate(x):
        mean = sum(row) / len(row)
        variance = sum((value - mean) ** 2 for value in row) / len(row)
        normed[t] = [(value - mean) / math.sqrt(variance + epsilon) for value in row] * scale + bias
    return normed


def rms_norm(x, scale, epsilon):
    """(T, D)."""
    return np.array([row / math.sqrt(sum(v * v for v in row) / len(row) + epsilon) * scale for row in x])

"""Recurrent encoder–decoders as slow, obvious loops in float64, written from the papers' equations.

One row at a time, no padding but where a mask says so. ``p`` holds parameters under seqjax's names.
"""

import numpy as np
from oracles import recurrences
from oracles.recurrences import sigmoid

INNER = {"gru": recurrences.gru, "lstm": recurrences.lstm}


def weights_of(scores, real):
    """A softmax over the real source steps; nothing where there are none."""
    out = np.zeros(len(real))
    if real.any():
        powers = np.exp(scores[real] - scores[real].max())
        out[real] = powers / powers.sum()
    return out


def additive(p, h, keys):
    return np.array([p.vector @ np.tanh(h @ p.query_kernel + p.bias + key) for key in keys])


def bahdanau(p, x, state, source, inner="gru"):
    """Look at the source, then move; what is said is [h; c]."""
    *old, _ = state
    a = weights_of(additive(p.attention, old[0], source.keys), source.mask)
    c = sum((w * value for w, value in zip(a, source.values, strict=True)), np.zeros(source.values.shape[1]))
    h, new, gates = INNER[inner](p.inner, np.concatenate([x, c]), tuple(old), None)
    return np.concatenate([h, c]), (*new, c), (a, *gates)


def near(score, p, h, steps, source, reach):
    """The place that local attention looks at, and how much of each real step, by its number among them."""
    number = np.cumsum(source.mask) - 1
    if score == "local-m":
        place = steps
        return number, place, source.mask & (np.abs(number - place) <= reach), np.ones(len(number))
    place = source.mask.sum() * sigmoid(p.place_vector @ np.tanh(h @ p.place_kernel))
    inside = source.mask & (np.abs(number - place) <= reach)
    return number, place, inside, np.exp(-((number - place) ** 2) / (2 * (reach / 2) ** 2))


def luong(p, x, state, source, inner="lstm", score="bilinear", feeding=True, reach=10):
    """Move, look at the source, and say h~ = tanh(W [c; h])."""
    width = p.attention.combine_kernel.shape[1]
    steps = state[-1][0] if score == "local-m" else None
    *old, said = state[:-1] if score == "local-m" else state
    h, new, gates = INNER[inner](p.inner, np.concatenate([x, said]) if feeding else x, tuple(old), None)
    assert h.shape == (width,)
    scores = np.array([h @ key for key in source.keys])
    if score.startswith("local"):
        _, _, inside, gaussian = near(score, p.attention, h, steps, source, reach)
        a = weights_of(scores, inside) * gaussian
    else:
        a = weights_of(scores, source.mask)
    c = sum((w * value for w, value in zip(a, source.values, strict=True)), np.zeros(source.values.shape[1]))
    said = np.tanh(np.concatenate([c, h]) @ p.attention.combine_kernel)
    after = (*new, said) if steps is None else (*new, said, np.array([steps + 1]))
    return said, after, (a, *gates)

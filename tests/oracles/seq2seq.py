"""Recurrent encoder–decoders as slow, obvious loops in float64, written from the papers' equations.

One row at a time, no padding but where a mask says so. ``p`` holds parameters under seqjax's names.
"""

import types

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


def local_p(p, x, state, source):
    """Luong's, looking two steps around the place it predicts."""
    return luong(p, x, state, source, score="local-p", reach=2)


def named(tree):
    """A dict of arrays whose entries are read as attributes."""
    return types.SimpleNamespace(**tree)


def affine(p, x):
    return x @ p["kernel"] + p["bias"]


def run_layer(inner, p, xs, state, reverse=False):
    """One recurrent layer over one row: its outputs, in the order of ``xs``, and its last state."""
    ys = [None] * len(xs)
    for t in reversed(range(len(xs))) if reverse else range(len(xs)):
        ys[t], state, _ = INNER[inner](named(p["params"]), xs[t], state, None)
    return ys, state


def zero_state(p, inner):
    width = p["params"]["hidden_kernel"].shape[0]
    return (np.zeros(width),) * (2 if inner == "lstm" else 1)


def encode(p, shape, ids):
    """What is said of every source symbol, the state every decoder layer starts from, and the last of what is said."""
    xs, starts, last = [p["encoder"]["embedding"]["table"][i] for i in ids], [], None
    for number in range(shape.layers):
        layer = p["encoder"]["stack"]["layers"][number]
        if shape.bidirectional:
            left, one = run_layer(shape.cell, layer["forward"], xs, zero_state(layer["forward"], shape.cell))
            right, two = run_layer(shape.cell, layer["backward"], xs, zero_state(layer["backward"], shape.cell), True)
            xs, last = (
                [np.concatenate(pair) for pair in zip(left, right, strict=True)],
                np.concatenate([one[0], two[0]]),
            )
            maps = p["bridge"]["maps"][number]
            starts.append(tuple(np.tanh(affine(maps[i], np.concatenate([one[i], two[i]]))) for i in range(len(one))))
        else:
            xs, state = run_layer(shape.cell, layer, xs, zero_state(layer, shape.cell), shape.reverse_source)
            starts.append(state)
            last = state[0]
    return np.array(xs), starts, last


def decode(p, shape, ids, values, starts, last):
    """The logits of every step, and how much each looks at the source."""
    d, logits, looked = p["decoder"], [], []
    below, above = (list(d[name]["layers"].values()) if name in d else [] for name in ("below", "above"))
    under, over = list(starts[: len(below)]), list(starts[len(starts) - len(above) :])
    if "attentive" in d:
        attention = named(d["attentive"]["attention"])
        keys = values @ attention.key_kernel if hasattr(attention, "key_kernel") else values
        source = types.SimpleNamespace(values=values, keys=keys, mask=np.ones(len(values), bool))
        cell = types.SimpleNamespace(inner=named(d["attentive"]["inner"]), attention=attention)
        extra = [np.zeros(values.shape[1] if shape.attention == "additive" else shape.features)]
        extra += [np.zeros(1)] if shape.attention == "local-m" else []
        state = (*starts[0 if shape.attention == "additive" else -1], *extra)
    for i in ids:
        embedded = x = d["embedding"]["table"][i]
        seen = [embedded] if shape.attention == "additive" or shape.every_step else []
        if shape.every_step:
            vector = np.tanh(affine(d["summary"], last))
            x = np.concatenate([x, vector])
            seen.append(vector)
        for number, layer in enumerate(below):
            (x,), under[number] = run_layer(shape.cell, layer, [x], under[number])
        if shape.attention == "additive":
            x, state, (a, *_) = bahdanau(cell, x, state, source, shape.cell)
            looked.append(a)
        elif shape.attention != "none":
            options = (shape.attention, shape.input_feeding, shape.window)
            x, state, (a, *_) = luong(cell, x, state, source, shape.cell, *options)
            looked.append(a)
        if above:
            seen.append(state[-1])
        for number, layer in enumerate(above):
            (x,), over[number] = run_layer(shape.cell, layer, [x], over[number])
        logits.append(readout(d, shape, np.concatenate([x, *seen])))
    return np.array(logits), np.array(looked)


def readout(d, shape, x):
    """Through maxout units where more than the state is seen; then a score for every symbol."""
    p = d["readout"]
    if shape.attention == "additive" or shape.every_step:
        x = np.maximum(*np.split(affine(p["between"], x), 2))
    elif "between" in p:
        x = affine(p["between"], x)
    return x @ d["embedding"]["table"].T + p["head"]["bias"] if shape.tied else affine(p["head"], x)

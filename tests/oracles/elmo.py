"""ELMo as loops in float64: Peters et al. (2018), sections 3.1, 3.2 and 3.4. One sentence, a word at a time."""

from types import SimpleNamespace

import numpy as np
from oracles.recurrences import lstm_projected, relu, sigmoid, softmax


def highway(kernel, bias, x):
    """Srivastava et al. (2015), equation 3."""
    width = len(x)
    gate = sigmoid(x @ kernel[:, width:] + bias[width:])
    return gate * relu(x @ kernel[:, :width] + bias[:width]) + (1 - gate) * x


def spelled(p, ids, symbols, widths):
    """A word's vector from its characters: windows that begin at every character and at both marks."""
    characters = [symbols, *[i for i in ids if i > 0], symbols + 1]
    table, found = p["reader"]["embedding"]["table"], []
    for number, width in enumerate(widths):
        kernel, bias = (p["reader"]["filters"][number][name] for name in ("kernel", "bias"))
        seen = []
        for first in range(len(characters)):
            vectors = [table[i] for i in characters[first : first + width]]
            vectors += [np.zeros(table.shape[1])] * (width - len(vectors))
            seen.append(np.concatenate(vectors) @ kernel + bias)
        found.append(relu(np.max(seen, axis=0)))
    y = np.concatenate(found)
    for layer in p["highway"]["layers"].values():
        y = highway(layer["kernel"], layer["bias"], y)
    return y @ p["narrow"]["kernel"] + p["narrow"]["bias"]


def direction(p, xs):
    """Layers over the steps, each from its own initial state; from the second on, a layer's input is added."""
    found = []
    for number, layer in p["layers"].items():
        cell = SimpleNamespace(**layer["params"])
        width, features = cell.projection_kernel.shape
        state, ys = (np.zeros(features), np.zeros(width)), []
        for x in xs:
            y, state, _ = lstm_projected(cell, x, state, None)
            ys.append(y + x if number else y)
        xs = ys
        found.append(np.array(ys))
    return found


def elmo(p, characters, symbols, widths):
    """(L, T, 2P) of one sentence without padding."""
    words = [spelled(p["words"], ids, symbols, widths) for ids in characters]
    first, last = p["boundaries"]
    forward = direction(p["forward"], [first, *words])
    backward = direction(p["backward"], [last, *words[::-1]])
    layers = [np.concatenate([words, words], axis=1)]
    for left, right in zip(forward, backward, strict=True):
        layers.append(np.concatenate([left[1:], right[:0:-1]], axis=1))
    return np.array(layers)


def scalar_mix(layers, scores, scale):
    """Equation 1."""
    total = np.zeros(layers.shape[1:])
    for weight, layer in zip(softmax(scores), layers, strict=True):
        total += weight * layer
    return scale * total

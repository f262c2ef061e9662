"""Every recurrence as a slow, obvious loop in float64, written from the papers' equations.

A step is ``(p, x, state, options...) -> (y, state, gates)`` on one row: vectors, no batch, no time. ``p`` holds
parameters under seqjax's names; states and gates are tuples in seqjax's order.
"""

import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0.0)


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def elman(p, x, state, context, activation=np.tanh):
    (h,) = state
    a = x @ p.input_kernel + h @ p.hidden_kernel + p.bias
    h = activation(a)
    return h, (h,), (a,)


def elman_relu(p, x, state, context):
    return elman(p, x, state, context, activation=relu)


def jordan(p, x, state, context, alpha=0.0, g=np.tanh, truth=None):
    s, _ = state
    h = np.tanh(x @ p.input_kernel + s @ p.memory_kernel + p.bias)
    y = g(h @ p.output_kernel + p.output_bias)
    return y, (alpha * s + (y if truth is None else truth), y), (h,)


def jordan_decaying(p, x, state, context):
    return jordan(p, x, state, context, alpha=0.5, g=softmax)


def jordan_taught(p, x, state, context):
    return jordan(p, x.features, state, context, alpha=0.5, g=softmax, truth=x.outputs)


def lstm_1997(p, x, state, context):
    h, c = state
    i, g, o = np.split(x @ p.input_kernel + h @ p.hidden_kernel + p.bias, 3)
    i, g, o = sigmoid(i), np.tanh(g), sigmoid(o)
    c = c + i * g
    h = o * np.tanh(c)
    return h, (h, c), (i, g, o)


def lstm(p, x, state, context):
    h, c = state
    i, f, g, o = np.split(x @ p.input_kernel + h @ p.hidden_kernel + p.bias, 4)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c = f * c + i * g
    h = o * np.tanh(c)
    return h, (h, c), (i, f, g, o)


def lstm_of_symbols(p, x, state, context):
    return lstm(p.reader, p.table[x[0]], state, context)


def lstm_projected(p, x, state, context):
    h, (_, c), gates = lstm(p, x, state, context)
    h = h @ p.projection_kernel
    return h, (h, c), gates


def lstm_peephole(p, x, state, context):
    h, c = state
    i, f, g, o = np.split(x @ p.input_kernel + h @ p.hidden_kernel + p.bias, 4)
    i = sigmoid(i + p.input_peephole * c)
    f = sigmoid(f + p.forget_peephole * c)
    g = np.tanh(g)
    c = f * c + i * g
    o = sigmoid(o + p.output_peephole * c)
    h = o * np.tanh(c)
    return h, (h, c), (i, f, g, o)


def time_aware(p, x, state, context, decay=lambda elapsed: 1.0 / np.log(np.e + elapsed)):
    h, c = state
    short = np.tanh(c @ p.decay_kernel + p.decay_bias)
    long = c - short
    g = decay(x.elapsed)
    h, state, gates = lstm(p, x.features, (h, long + short * g), context)
    return h, state, (*gates, short, g)


def time_aware_inverse(p, x, state, context):
    return time_aware(p, x, state, context, decay=lambda elapsed: 1.0 / np.maximum(elapsed, 1.0))


def gru(p, x, state, context):
    (h,) = state
    xr, xz, xn = np.split(x @ p.input_kernel + p.bias, 3)
    hr, hz, hn = np.split(h @ p.hidden_kernel, 3)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = np.tanh(xn + r * (hn + p.candidate_bias))
    h = z * h + (1 - z) * n
    return h, (h,), (r, z, n)


def gru_of_symbols(p, x, state, context):
    return gru(p.reader, p.table[x[0]], state, context)


def gru_reset_before(p, x, state, context):
    (h,) = state
    xr, xz, xn = np.split(x @ p.input_kernel + p.bias, 3)
    ur, uz, un = np.split(p.hidden_kernel, 3, axis=1)
    r, z = sigmoid(xr + h @ ur), sigmoid(xz + h @ uz)
    n = np.tanh(xn + (r * h) @ un)
    h = z * h + (1 - z) * n
    return h, (h,), (r, z, n)


def janet(p, x, state, context):
    (h,) = state
    s, g = np.split(x @ p.input_kernel + h @ p.hidden_kernel + p.bias, 2)
    keep, write, g = sigmoid(s), 1 - sigmoid(s - 1.0), np.tanh(g)
    h = keep * h + write * g
    return h, (h,), (keep, write, g)


def min_gru(p, x, state, context):
    (h,) = state
    z, g = np.split(x @ p.input_kernel + p.bias, 2)
    z = sigmoid(z)
    h = (1 - z) * h + z * g
    return h, (h,), (z, g)


def min_lstm(p, x, state, context):
    (h,) = state
    f, i, g = np.split(x @ p.input_kernel + p.bias, 3)
    f, i = sigmoid(f), sigmoid(i)
    f, i = f / (f + i), i / (f + i)
    h = f * h + i * g
    return h, (h,), (f, i, g)


def run(step, p, xs, state, initial, context, mask, reset, reverse):
    """Run one row (T, ·): ``(ys, final_state, states, gates)``; masked steps emit zeros and keep the state."""
    time = len(mask)
    ys, states, gates = [None] * time, [None] * time, [None] * time
    for t in range(time - 1, -1, -1) if reverse else range(time):
        if reverse and t + 1 < time and reset[t + 1]:
            state = initial
        if not reverse and reset[t]:
            state = initial
        y, after, seen = step(p, _at(xs, t), state, context)
        if mask[t]:
            state, ys[t], gates[t] = after, y, seen
        else:
            ys[t], gates[t] = np.zeros_like(y), tuple(np.zeros_like(gate) for gate in seen)
        states[t] = state
    return np.array(ys), state, _over_time(states), _over_time(gates)


def _at(xs, t):
    return type(xs)(*(leaf[t] for leaf in xs)) if isinstance(xs, tuple) else xs[t]


def _over_time(tuples):
    return tuple(np.array(leaf) for leaf in zip(*tuples, strict=True))

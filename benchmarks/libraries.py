"""One recurrent layer in every library: the same shapes, the same loss, arrays (B, T, D), float32.

Each function here returns the two things to be timed, and imports its library only when it is asked.
"""

import os
from collections.abc import Callable
from typing import Literal, NamedTuple

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import jax.numpy as jnp
import numpy as np

from seqjax import cells, unroll


class Shape(NamedTuple):
    batch: int  # B
    time: int  # T
    in_features: int  # D
    features: int  # H


class Contender(NamedTuple):
    """What a library is timed at; both block until the work is done."""

    forward: Callable[[], object]  # ys
    gradient: Callable[[], object]  # the loss Σ ys·cotangent, and its gradient in the parameters and the inputs


def arrays(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (B, T, D) and a fixed cotangent of the outputs (B, T, H)."""
    rng = np.random.default_rng(0)
    xs = rng.standard_normal((shape.batch, shape.time, shape.in_features), np.float32)
    return xs, rng.standard_normal((shape.batch, shape.time, shape.features), np.float32)


def jitted(apply: Callable, params, shape: Shape) -> Contender:
    """A contender from ``apply(params, xs) -> ys``, jitted."""
    xs, cotangent = map(jnp.asarray, arrays(shape))
    forward = jax.jit(apply)
    gradient = jax.jit(jax.value_and_grad(lambda params, xs, c: jnp.sum(apply(params, xs) * c), argnums=(0, 1)))
    return Contender(
        lambda: jax.block_until_ready(forward(params, xs)),
        lambda: jax.block_until_ready(gradient(params, xs, cotangent)),
    )


def seqjax(name: str, shape: Shape, method: Literal["fused", "scan"]) -> Contender:
    """``unroll`` with one of its methods."""
    cell = getattr(cells, name)
    params = cell.init(jax.random.key(0), shape.in_features, shape.features)
    return jitted(lambda params, xs: unroll(cell, params, xs, method=method)[1], params, shape)


def flax_nnx(cell: str, shape: Shape) -> Contender:
    """``nnx.RNN`` over one of its cells, split once, merged inside the traced function."""
    from flax import nnx

    layer = nnx.RNN(getattr(nnx, cell)(shape.in_features, shape.features, rngs=nnx.Rngs(0)))
    graph, params, *rest = nnx.split(layer, nnx.Param, ...)
    return jitted(lambda params, xs: nnx.merge(graph, params, *rest, copy=True)(xs), params, shape)


def flax_linen(cell: str, shape: Shape) -> Contender:
    """``linen.RNN`` over one of its cells."""
    from flax import linen

    layer = linen.RNN(getattr(linen, cell)(shape.features))
    params = layer.init(jax.random.key(0), jnp.zeros((shape.batch, shape.time, shape.in_features)))
    return jitted(layer.apply, params, shape)


def keras(layer_name: str, shape: Shape) -> Contender:
    """A Keras layer on its JAX backend, stateless."""
    import keras

    layer = getattr(keras.layers, layer_name)(shape.features, return_sequences=True)
    layer.build((shape.batch, shape.time, shape.in_features))
    rest = [variable.value for variable in layer.non_trainable_variables]
    params = [variable.value for variable in layer.trainable_variables]
    return jitted(lambda params, xs: layer.stateless_call(params, rest, xs)[0], params, shape)


def pytorch(layer_name: str, shape: Shape) -> Contender:
    """``torch.nn`` on as many threads as there are cores."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    layer = getattr(torch.nn, layer_name)(shape.in_features, shape.features, batch_first=True)
    xs, cotangent = map(torch.from_numpy, arrays(shape))
    inputs = xs.clone().requires_grad_()

    def forward():
        with torch.no_grad():
            return layer(xs)[0]

    def gradient():
        return torch.autograd.grad((layer(inputs)[0] * cotangent).sum(), [inputs, *layer.parameters()])

    return Contender(forward, gradient)


LIBRARIES = ("seqjax", "nnx", "linen", "keras", "torch")
FLAX_CELLS = {"LSTM": ("OptimizedLSTMCell", "LSTMCell"), "GRU": ("GRUCell",), "Elman": ("SimpleCell",)}
KERAS_LAYERS = {"LSTM": "LSTM", "GRU": "GRU", "Elman": "SimpleRNN"}
TORCH_LAYERS = {"LSTM": "LSTM", "GRU": "GRU", "Elman": "RNN"}


def contenders(name: str, shape: Shape, libraries=LIBRARIES) -> dict[str, Contender]:
    """Every way of running the cell ``name`` (LSTM, GRU, Elman); Flax's two LSTMs are two of them.

    Example:
        >>> sorted(contenders("LSTM", Shape(1, 2, 3, 4), ["seqjax", "linen"]))
        ['linen LSTMCell', 'linen OptimizedLSTMCell', 'seqjax fused', 'seqjax scan']
    """
    found: dict[str, Contender] = {}
    if "seqjax" in libraries:
        found["seqjax fused"] = seqjax(name, shape, "fused")
        found["seqjax scan"] = seqjax(name, shape, "scan")
    if "nnx" in libraries:
        found |= {f"nnx {cell}": flax_nnx(cell, shape) for cell in FLAX_CELLS[name]}
    if "linen" in libraries:
        found |= {f"linen {cell}": flax_linen(cell, shape) for cell in FLAX_CELLS[name]}
    if "keras" in libraries:
        found["keras"] = keras(KERAS_LAYERS[name], shape)
    if "torch" in libraries:
        found["torch"] = pytorch(TORCH_LAYERS[name], shape)
    return found

"""The floor under a recurrent training step: its own six matrix products and nothing else.

Forward: the input product, and the recurrent one in a loop where each waits for the last. Backward:
the cotangent times the transposed recurrent kernel in such a loop, and three products over all of time
(both kernels' gradients, the inputs'). Gates, layout and bookkeeping are what a real step adds.
"""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.libraries import Contender, Shape

GATES = {"LSTM": 4, "GRU": 3, "Elman": 1}


def operands(name: str, shape: Shape) -> dict[str, np.ndarray]:
    """Time-major inputs, states and cotangents, and kernels whose first block keeps a vector's length.

    A loop of products would otherwise run into overflow or into denormal numbers, which are slow.
    """
    rng = np.random.default_rng(0)
    batch, time, in_features, features = shape
    width = GATES[name] * features
    rotation = [np.linalg.qr(rng.standard_normal((features, features)))[0] for _ in range(GATES[name])]
    sizes = {"xs": (time * batch, in_features), "states": (time * batch, features), "deltas": (time * batch, width)}
    drawn = {key: rng.standard_normal(size, np.float32) for key, size in sizes.items()}
    input_kernel = rng.standard_normal((in_features, width), np.float32) / np.float32(np.sqrt(in_features))
    return drawn | {"input_kernel": input_kernel, "hidden_kernel": np.concatenate(rotation, 1).astype(np.float32)}


def products_in_jax(name: str, shape: Shape) -> Contender:
    """The products under ``jax.jit``: two for ``forward``, all six for ``gradient``."""
    given = {key: jnp.asarray(value) for key, value in operands(name, shape).items()}
    time, features = shape.time, shape.features

    def forwards(xs, states, deltas, input_kernel, hidden_kernel):
        def step(hidden, _):
            product = jax.lax.optimization_barrier(hidden @ hidden_kernel)  # else only the slice is computed
            return product[:, :features], None

        return xs @ input_kernel, jax.lax.scan(step, states[: shape.batch], None, length=time)[0]

    def backwards(xs, states, deltas, input_kernel, hidden_kernel):
        def step(delta, _):
            return delta.at[:, :features].set(delta @ hidden_kernel.T), None

        last = jax.lax.scan(step, deltas[: shape.batch], None, length=time)[0]
        return last, states.T @ deltas, xs.T @ deltas, deltas @ input_kernel.T

    forward = jax.jit(lambda given: forwards(**given))
    gradient = jax.jit(lambda given: (forwards(**given), backwards(**given)))
    return Contender(lambda: jax.block_until_ready(forward(given)), lambda: jax.block_until_ready(gradient(given)))


def products_in_torch(name: str, shape: Shape) -> Contender:
    """The same products with ``torch.mm``."""
    import torch

    given = {key: torch.from_numpy(value) for key, value in operands(name, shape).items()}
    xs, states, deltas = given["xs"], given["states"], given["deltas"]
    input_kernel, hidden_kernel = given["input_kernel"], given["hidden_kernel"]
    features = shape.features

    def forward():
        hidden, driven = states[: shape.batch], xs @ input_kernel
        for _ in range(shape.time):
            hidden = (hidden @ hidden_kernel)[:, :features]
        return driven, hidden

    def gradient():
        delta = deltas[: shape.batch].clone()
        for _ in range(shape.time):
            delta[:, :features] = delta @ hidden_kernel.T
        return forward(), delta, states.T @ deltas, xs.T @ deltas, deltas @ input_kernel.T

    return Contender(forward, gradient)


def floors(name: str, shape: Shape, libraries) -> dict[str, Contender]:
    """The floor of each library that is measured: under XLA, and under PyTorch."""
    found = {"products in JAX": products_in_jax(name, shape)} if "seqjax" in libraries else {}
    return found | ({"products in torch": products_in_torch(name, shape)} if "torch" in libraries else {})

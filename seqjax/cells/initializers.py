"""Initial weights: Glorot for inputs, orthogonal or identity for recurrences, constants for biases.

Every initialiser is ``(key, shape, dtype) -> array``, as in :mod:`jax.nn.initializers`, from which most
of them come. A kernel that holds several gates side by side is initialised gate by gate: the fan of
one gate is what the formulas mean.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.precision import wide

Initializer = Callable[..., Array]

glorot: Initializer = jax.nn.initializers.glorot_uniform()


def orthogonal(key: Array, shape: tuple[int, int], dtype=jnp.float32) -> Array:
    """A random orthogonal matrix: at first the state neither grows nor fades.

    Source:
        Saxe, McClelland & Ganguli (2014), Exact Solutions to the Nonlinear Dynamics of Learning.
    """
    enough = wide(dtype)  # its decomposition knows no half precision
    return jax.nn.initializers.orthogonal()(key, shape, enough).astype(dtype)


def identity(key: Array, shape: tuple[int, int], dtype=jnp.float32) -> Array:
    """The identity matrix: at first the state just persists.

    Source:
        Le, Jaitly & Hinton (2015), A Simple Way to Initialize Recurrent Networks of Rectified Linear Units.
    """
    return jnp.eye(*shape, dtype=dtype)


def gatewise(initializer: Initializer, key: Array, gates: int, shape: tuple[int, int], dtype=jnp.float32) -> Array:
    """Initialise ``gates`` kernels of one ``shape`` (D, H) and lay them side by side: (D, gates·H).

    Example:
        >>> gatewise(identity, jax.random.key(0), 2, (2, 2)).tolist()
        [[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]
    """
    return _gate_by_gate(initializer, key, gates, tuple(shape), jnp.dtype(dtype))


@functools.partial(jax.jit, static_argnums=(0, 2, 3, 4))
def _gate_by_gate(initializer: Initializer, key: Array, gates: int, shape: tuple[int, int], dtype) -> Array:
    """One after the other: what draws a kernel is compiled once, not once a gate."""
    kernels = jax.lax.map(lambda k: initializer(k, shape, dtype), jax.random.split(key, gates))
    return jnp.moveaxis(kernels, 0, 1).reshape(shape[0], -1)


def gate_bias(gates: int, features: int, index: int, value: float, dtype=jnp.float32) -> Array:
    """Zeros (gates·H,), but ``value`` for the gate at ``index``: a forget gate that starts open.

    Source:
        Gers, Schmidhuber & Cummins (2000); Jozefowicz, Zaremba & Sutskever (2015) for the value 1.

    Example:
        >>> gate_bias(3, 2, index=1, value=1.0).tolist()
        [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    """
    return jnp.zeros((gates, features), dtype).at[index].set(value).reshape(-1)


def chrono(key: Array, features: int, longest: float, dtype=jnp.float32) -> Array:
    """Forget biases log(u), u uniform in [1, longest − 1]: memories of 2 to ``longest`` steps, (H,).

    Source:
        Tallec & Ollivier (2018), Can Recurrent Neural Networks Warp Time?, section 2.
    """
    steps = jax.random.uniform(key, (features,), wide(dtype), minval=1.0, maxval=max(longest - 1.0, 2.0))
    return jnp.log(steps).astype(dtype)  # more of them than half precision counts

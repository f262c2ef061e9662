"""From a module to functions of its parameters, and from logits to the log-probability of what came.

B batch, T time, V vocabulary.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.layers import functional


def pure(make: Callable[[nnx.Rngs], nnx.Module]) -> tuple[Callable[[Array], Any], Callable[..., Any]]:
    """``init(key) -> params`` and ``apply(params, …)`` of a module, without computing any weights yet.

    Args:
        make: builds the module from random streams.

    Example:
        >>> from seqjax.layers import Linear
        >>> init, apply = pure(lambda rngs: Linear(3, 4, rngs=rngs))
        >>> apply(init(jax.random.key(0)), jnp.ones((2, 3))).shape
        (2, 4)
    """
    shapes = nnx.eval_shape(lambda: make(nnx.Rngs(params=jax.random.key(0))))
    return lambda key: functional(make(nnx.Rngs(params=key))).params, functional(shapes).apply


def count_parameters(init: Callable[[Array], Any]) -> int:
    """How many numbers the parameters of a model are, without computing them.

    Args:
        init: ``key -> params``.

    Example:
        >>> count_parameters(lambda key: {"kernel": jnp.ones((3, 4)), "bias": jnp.ones(4)})
        16
    """
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(jax.eval_shape(init, jax.random.key(0))))


def of_targets(logits: Array, targets: Array, mask: Array) -> Array:
    """log p(target), in nats and float32; zero where masked.

    Args:
        logits: (*B, T, V).
        targets: (*B, T) ids.
        mask: (*B, T), True on real targets.

    Returns:
        (*B, T).

    Example:
        >>> round(float(jnp.exp(of_targets(jnp.zeros((1, 4)), jnp.array([2]), jnp.array([True]))[0])), 6)
        0.25
    """
    scores = jax.nn.log_softmax(logits.astype(jnp.float32))
    taken = jnp.take_along_axis(scores, targets[..., None], axis=-1)[..., 0]
    return jnp.where(mask, taken, 0.0)

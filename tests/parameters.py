"""Parameters for laws that hold whatever they are: drawn by NumPy, so that nothing is compiled only to have some."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def drawn(init: Callable[[Any], Any], seed: int = 0, scale: float = 0.5) -> Any:
    """Normal numbers in the shapes of what ``init(key)`` would give; none of them is where a model begins."""
    random, shapes = np.random.default_rng(seed), jax.eval_shape(init, jax.random.key(0))
    numbers = jax.tree.map(lambda leaf: random.normal(size=leaf.shape, scale=scale).astype(leaf.dtype), shapes)
    return jax.tree.map(jnp.asarray, numbers)

"""Tables of vectors."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.checks import check_ids
from seqjax.layers.linear import flat_product


class Embedding(nnx.Module):
    """A vector for every symbol, and, tied, a score for every symbol.

    Args:
        vocabulary: V.
        features: E.
        scale: standard deviation of the initial values.
        rngs: the stream ``params`` initialises the table.

    Source:
        Press & Wolf (2017), Using the Output Embedding to Improve Language Models, for :meth:`attend`.
    """

    def __init__(self, vocabulary: int, features: int, *, scale: float = 0.1, rngs: nnx.Rngs):
        self.table = nnx.Param(jax.random.normal(rngs.params(), (vocabulary, features)) * scale)

    def __call__(self, ids: Array) -> Array:
        """Look ids (*B, T) up: (*B, T, E). Known ids are checked; under ``jax.jit`` nothing is."""
        if not isinstance(ids, jax.core.Tracer):
            check_ids("Embedding", "ids", ids, len(self.table[...]))
        return jnp.take(self.table[...], ids, axis=0)

    def attend(self, xs: Array) -> Array:
        """Score features (*B, T, E) against every symbol: (*B, T, V)."""
        return flat_product(xs, self.table[...].T)

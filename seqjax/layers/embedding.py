"""Tables of vectors, looked up at once or by who reads them."""

import jax
import numpy as np
from flax import nnx
from jax import Array

from seqjax.cells import Symbols, choose_products
from seqjax.checks import check_ids, check_shape, check_widths
from seqjax.layers.linear import flat_product
from seqjax.ops.dropout import dropout


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
        check_widths("Embedding", vocabulary=vocabulary, features=features)
        self.table = nnx.Param(jax.random.normal(rngs.params(), (vocabulary, features)) * scale)

    def __call__(self, ids: Array) -> Array:
        """Look ids (*B, T) up: (*B, T, E). Known ids are checked; under ``jax.jit`` nothing is."""
        return self.symbols(ids).vectors()

    def symbols(self, ids: Array) -> Symbols:
        """The same, left to who reads them. Known ids are checked here too."""
        table = self.table[...]
        if not isinstance(ids, jax.core.Tracer):
            check_ids("Embedding", "ids", ids, len(table))
        return Symbols(ids, table)

    def read(self, ids: Array, rate: float = 0.0, keys: Array | None = None) -> Array | Symbols:
        """What a recurrence should read of ids (*B, T).

        Vectors, with dropout; but where nothing is dropped and there are fewer symbols than steps, the symbols. See
        :func:`seqjax.cells.choose_products`.

        Args:
            ids: symbols.
            rate: of dropout.
            keys: (*B,) random keys, one a row; None switches dropout off.
        """
        symbols = self.symbols(ids)
        whole = keys is None or rate == 0
        if whole and choose_products(symbols.table.shape[0], np.size(ids), symbols.table.shape[1])[0] == "symbols":
            return symbols
        return dropout(symbols.vectors(), rate, keys)

    def attend(self, xs: Array) -> Array:
        """Score features (*B, T, E) against every symbol: (*B, T, V)."""
        check_shape("Embedding.attend", "xs", xs, "(*B, E)", (*xs.shape[:-1], self.table.shape[1]))
        return flat_product(xs, self.table[...].T)

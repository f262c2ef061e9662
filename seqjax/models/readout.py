"""From what a decoder knows at a step to a score for every symbol.

B batch, T time, E embedding, R features of the layer between, V vocabulary.
"""

import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.layers import Embedding, Linear
from seqjax.models.language_model import TiedHead


class Readout(nnx.Module):
    r"""Score every symbol from features.

    .. math:: t = \max(W x + b, W' x + b'), \quad \text{logits} = t V + c

    Args:
        in_features: of all that is read, side by side.
        vocabulary: V.
        deep: with the layer of R maxout units between; else the scores are affine in the features.
        features: R.
        table: the embedding of the symbols, to be tied to V; its width takes the place of R.
        rngs: the stream ``params`` initialises the weights.

    Source:
        Bahdanau, Cho & Bengio (2015), A.2.2; Goodfellow et al. (2013), Maxout Networks.

    Example:
        >>> readout = Readout(6, 5, deep=True, features=4, rngs=nnx.Rngs(0))
        >>> readout(jnp.ones((2, 3, 6)), None).shape
        (2, 3, 5)
    """

    def __init__(
        self,
        in_features: int,
        vocabulary: int,
        *,
        deep: bool,
        features: int,
        table: Embedding | None = None,
        rngs: nnx.Rngs,
    ):
        width = features if table is None else table.table.shape[1]
        self.pieces = 2 if deep else 1
        mapped = deep or (table is not None and in_features != width)
        self.between = Linear(in_features, self.pieces * width, rngs=rngs) if mapped else None
        wide = width if mapped else in_features
        self.head = TiedHead(vocabulary) if table is not None else Linear(wide, vocabulary, rngs=rngs)

    def __call__(self, xs: Array, table: Embedding | None) -> Array:
        """Map features (*B, T, ·) to scores (*B, T, V); ``table`` is the embedding this was tied to."""
        if self.between is not None:
            pieces = jnp.split(self.between(xs), self.pieces, axis=-1)
            xs = pieces[0] if len(pieces) == 1 else jnp.maximum(*pieces)
        return self.head(xs if table is None else table.attend(xs))

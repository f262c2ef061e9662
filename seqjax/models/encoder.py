"""The recurrent encoder, and the bridge from its last states to the decoder's first.

B batch, S source time, E embedding, H features of a layer, M features of what the encoder gives.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.cells import Cell, Symbols
from seqjax.layers import Embedding, Linear, Stack
from seqjax.ops.dropout import dropout, fold


class Encoder(nnx.Module):
    """Read a source with recurrent layers.

    Args:
        cell: which recurrence, in every layer.
        vocabulary: V of the source.
        embedding: E.
        features: H of every layer.
        layers: how many.
        bidirectional: read both ways in every layer (M = 2H).
        reverse: read from the last real step to the first.
        dropout: probability of zeroing an activation, around every layer.
        rngs: the stream ``params`` initialises the weights.

    Source:
        Sutskever, Vinyals & Le (2014), Sequence to Sequence Learning with Neural Networks, 3.3, for ``reverse``.

    Example:
        >>> from seqjax import cells
        >>> encoder = Encoder(cells.GRU, 9, 3, 4, reverse=True, rngs=nnx.Rngs(0))
        >>> finals, memory = encoder(jnp.array([[5, 6, 7]]), mask=jnp.array([[True, True, False]]))
        >>> memory.shape, bool((finals[0].hidden == memory[:, 0]).all())      # it ends at the first symbol
        ((1, 3, 4), True)
    """

    def __init__(
        self,
        cell: Cell,
        vocabulary: int,
        embedding: int,
        features: int,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        reverse: bool = False,
        dropout: float = 0.0,
        rngs: nnx.Rngs,
    ):
        self.cell, self.reverse, self.dropout = cell, reverse, dropout
        self.embedding = Embedding(vocabulary, embedding, scale=1.0, rngs=rngs)
        self.stack = Stack(
            cell, embedding, features, layers=layers, bidirectional=bidirectional, dropout=dropout, rngs=rngs
        )
        self.out_features = self.stack.out_features

    def __call__(self, ids: Array, *, mask: Array, keys: Array | None = None):
        """Map ids (B, S) to ``(final states, memory)``: one state (or pair of states) a layer, and (B, S, M).

        Args:
            ids: symbols in [0, V); may hold anything where masked.
            mask: (B, S), True on real symbols, wherever they stand.
            keys: (B,) random keys, one a row; None switches dropout off.
        """
        xs = self.embedding.read(jnp.where(mask, ids, 0), self.dropout, fold(keys, 0))
        if self.reverse:  # with the padding, which the mask turns into nothing
            xs = xs._replace(ids=jnp.flip(xs.ids, axis=1)) if isinstance(xs, Symbols) else jnp.flip(xs, axis=1)
            mask = jnp.flip(mask, axis=1)
        finals, ys = self.stack(xs, mask=mask, keys=fold(keys, 1))
        ys = jnp.flip(ys, axis=1) if self.reverse else ys
        return finals, dropout(ys, self.dropout, fold(keys, 2))

    def last(self, finals) -> Array:
        """What the last layer says at the end of the source, of both ends where it reads both ways: (B, M)."""
        ends = finals[-1] if type(finals[-1]) is tuple else (finals[-1],)
        return jnp.concatenate([self.cell.output(end) for end in ends], axis=-1)


class Bridge(nnx.Module):
    """Carry all of an encoder's final state to a decoder of as many layers, as wide.

    From one direction it goes over as it is. From two, every field of every layer's state (an LSTM's hidden and cell)
    is tanh(W [forward; backward] + b).

    Args:
        stack: the encoder's layers.
        rngs: the stream ``params`` initialises the weights.

    Source:
        Sutskever, Vinyals & Le (2014) for one direction; Bahdanau, Cho & Bengio (2015), A.2.2, for the tanh: theirs
        reads the backward state alone.

    Example:
        >>> from seqjax import cells
        >>> stack = Stack(cells.LSTM, 3, 4, layers=2, bidirectional=True, rngs=nnx.Rngs(0))
        >>> finals, _ = stack(jnp.ones((2, 5, 3)))
        >>> states = Bridge(stack, rngs=nnx.Rngs(1))(finals)
        >>> len(states), states[1].cell.shape
        (2, (2, 4))
    """

    def __init__(self, stack: Stack, *, rngs: nnx.Rngs):
        self.maps: nnx.List = nnx.List([])
        for pair in jax.eval_shape(lambda: stack.start(())):
            if type(pair) is tuple:  # the states of two directions
                widths = [leaf.shape[-1] for leaf in jax.tree.leaves(pair[0])]
                self.maps.append(nnx.List([Linear(2 * width, width, rngs=rngs) for width in widths]))

    def __call__(self, finals) -> tuple:
        """Map the final states of the encoder's layers to the first states of the decoder's."""
        if not len(self.maps):
            return tuple(finals)
        states = []
        for maps, (forward, backward) in zip(self.maps, finals, strict=True):
            left, tree = jax.tree.flatten(forward)
            both = [jnp.concatenate(leaves, axis=-1) for leaves in zip(left, jax.tree.leaves(backward), strict=True)]
            states.append(jax.tree.unflatten(tree, [jnp.tanh(f(x)) for f, x in zip(maps, both, strict=True)]))
        return tuple(states)

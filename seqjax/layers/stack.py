"""Layers on top of each other."""

import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.cells import Cell, Ready, Symbols, Taught, Visits
from seqjax.checks import InputError, check_count
from seqjax.layers.parameters import check_states
from seqjax.layers.recurrent import Bidirectional, Recurrent
from seqjax.ops.dropout import dropout, fold


class Stack(nnx.Module):
    """Recurrent layers on top of each other, with dropout between them.

    Args:
        cell: which recurrence, in every layer.
        in_features: D.
        features: H of every layer.
        layers: how many.
        bidirectional: read both ways in every layer (2H out).
        dropout: probability of zeroing an activation between layers; never along time.
        residual: add a layer's input (of visits: their features) to its output where the widths agree.
        learn_initial: make the states that sequences start from parameters.
        rngs: the stream ``params`` initialises the weights.

    Source:
        Zaremba, Sutskever & Vinyals (2014), Recurrent Neural Network Regularization, for the dropout.

    Example:
        >>> from seqjax import cells
        >>> stack = Stack(cells.LSTM, 3, 4, layers=2, rngs=nnx.Rngs(0))
        >>> states, ys = stack(jnp.ones((2, 5, 3)))
        >>> len(states), ys.shape
        (2, (2, 5, 4))
    """

    def __init__(
        self,
        cell: Cell,
        in_features: int,
        features: int,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        residual: bool = False,
        learn_initial: bool = False,
        rngs: nnx.Rngs,
    ):
        check_count("Stack", "layers", layers)
        kind = Bidirectional if bidirectional else Recurrent
        widths = [in_features]
        self.layers: nnx.List = nnx.List([])
        for _ in range(layers):
            self.layers.append(kind(cell, widths[-1], features, learn_initial=learn_initial, rngs=rngs))
            widths.append(self.layers[-1].out_features)
        self.dropout, self.residual, self.out_features = dropout, residual, widths[-1]

    def __call__(
        self, xs: Array | Symbols | Visits | Taught, *, state=None, mask: Array | None = None,
        reset: Array | None = None, keys=None, weights: tuple[Ready, ...] | None = None, **how,
    ):  # fmt: skip
        """Map ``xs`` (*B, T, D), or symbols, to ``(states, ys)``: one final state a layer, and ys (*B, T, H).

        ``keys`` (*B,) are the rows' own random keys; None switches dropout off. ``weights``: see :meth:`make_ready`.
        """
        if weights is not None and len(weights) != len(self.layers):
            raise InputError(
                f"Stack: `weights` should be one a layer, {len(self.layers)}, but they are {len(weights)}."
            )
        check_states("Stack", state, len(self.layers))
        states = []
        for index, layer in enumerate(self.layers):
            extra = {} if state is None else {"state": state[index]}
            extra |= {} if weights is None else {"weights": weights[index]}
            final, ys = layer(xs, mask=mask, reset=reset, **extra, **how)
            states.append(final)
            if self.residual:
                ys = _added(_features(xs), ys, mask)
            xs = dropout(ys, self.dropout, fold(keys, index + 1)) if layer is not self.layers[-1] else ys
        return tuple(states), xs

    def make_ready(self, table: Array | None = None) -> tuple[Ready, ...]:
        """Every layer's weights, for layers of one direction; see :meth:`Recurrent.make_ready`."""
        if any(isinstance(layer, Bidirectional) for layer in self.layers):
            raise InputError("Stack: layers that read both ways have no step to make weights ready for.")
        return tuple(layer.make_ready(None if index else table) for index, layer in enumerate(self.layers))

    def start(self, batch_shape: tuple[int, ...], dtype=jnp.float32):
        """The states that sequences start from, one a layer."""
        return tuple(layer.start(batch_shape, dtype) for layer in self.layers)


def _features(xs: Array | Symbols | Visits | Taught) -> Array:
    """What a layer read at each step, without the times or the true outputs that came with it."""
    if isinstance(xs, Symbols):
        return xs.vectors()
    return xs.features if isinstance(xs, Visits | Taught) else xs


def _added(xs: Array, ys: Array, mask: Array | None) -> Array:
    """A layer's input added to its output, if they are as wide; zero where masked."""
    if xs.shape != ys.shape:
        return ys
    return ys + (xs if mask is None else jnp.where(mask[..., None], xs, jnp.zeros_like(xs)))

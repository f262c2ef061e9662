"""Layers that run a cell along time, in one direction or in both."""

from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.cells import (
    Cell,
    Ready,
    SymbolParams,
    Symbols,
    Visits,
    make_ready,
    of_ready,
    of_symbols,
    reads_symbols,
    reversed_elapsed,
    unroll,
)
from seqjax.cells.contract import check_cell
from seqjax.checks import InputError, check_choice, check_widths
from seqjax.layers.parameters import Parameters


class Recurrent(nnx.Module):
    """Run one cell along time.

    Args:
        cell: which recurrence, e.g. ``cells.LSTM``.
        in_features: D.
        features: H.
        reverse: read right to left; outputs stay in input order.
        learn_initial: make the state that sequences start from a parameter.
        rngs: the stream ``params`` initialises the weights.

    Example:
        >>> from seqjax import cells
        >>> layer = Recurrent(cells.GRU, 3, 4, rngs=nnx.Rngs(0))
        >>> state, ys = layer(jnp.ones((2, 5, 3)))
        >>> ys.shape
        (2, 5, 4)
    """

    def __init__(
        self,
        cell: Cell,
        in_features: int,
        features: int,
        *,
        reverse: bool = False,
        learn_initial: bool = False,
        rngs: nnx.Rngs,
    ):
        check_cell("Recurrent", cell)
        check_widths("Recurrent", in_features=in_features, features=features)
        self.cell, self.reverse = cell, reverse
        dtype = jnp.result_type(float)  # float64 where JAX is told so, as other layers are
        params = cell.init(rngs.params(), in_features, features, dtype)
        start = cell.initial_state(params, (), dtype)
        self.params = Parameters(params)
        self.initial = Parameters(start) if learn_initial else None
        self.out_features = jax.eval_shape(cell.output, start).shape[-1]

    def __call__(
        self,
        xs,
        *,
        state=None,
        mask: Array | None = None,
        reset: Array | None = None,
        weights: Ready | None = None,
        **how,
    ):
        """Map ``xs`` (*B, T, D), or symbols, to ``(final state, ys)``, ys (*B, T, H).

        ``weights``: what :meth:`make_ready` gave for such inputs; of symbols, it is its table that is read. ``how``:
        what else ``unroll`` takes.
        """
        initial = None if self.initial is None else self.initial.values()
        cell, params = self.cell, self.params.values()
        if weights is not None and reads_symbols(weights) != isinstance(xs, Symbols):
            kinds = ("symbols", "vectors") if reads_symbols(weights) else ("vectors", "symbols")
            raise InputError("Recurrent: `weights` were made ready for {}, but `xs` are {}.".format(*kinds))
        if weights is not None and isinstance(xs, Symbols):
            cell, params, xs = of_ready(of_symbols(cell)), weights, xs.ids[..., None]
        elif weights is not None:
            cell, params = of_ready(cell), weights
        return unroll(
            cell, params, xs,
            state=state, initial=initial, mask=mask, reset=reset, reverse=self.reverse, **how,
        )  # fmt: skip

    def make_ready(self, table: Array | None = None) -> Ready:
        """The weights, prepared once for many calls on inputs (*B, T, D); with a table (V, D), on its symbols."""
        params = self.params.values()
        if table is None:
            return make_ready(self.cell, params)
        return make_ready(of_symbols(self.cell), SymbolParams(table, params))

    def start(self, batch_shape: tuple[int, ...], dtype=jnp.float32):
        """The state that sequences start from, leaves (*B, ·)."""
        own = self.cell.initial_state(self.params.values(), batch_shape, dtype)
        if self.initial is None:
            return own
        return jax.tree.map(
            lambda leaf, like: jnp.broadcast_to(leaf.astype(like.dtype), like.shape), self.initial.values(), own
        )


class Bidirectional(nnx.Module):
    """Run one cell left to right and another right to left, and merge what they say of each step.

    Args:
        cell: which recurrence, for both directions.
        in_features: D.
        features: H of each direction.
        merge: ``"concatenate"`` (2H out), ``"sum"`` or ``"average"`` (H out).
        learn_initial: make the states that both directions start from parameters.
        rngs: the stream ``params`` initialises the weights.

    Source:
        Schuster & Paliwal (1997), Bidirectional Recurrent Neural Networks.

    Example:
        >>> from seqjax import cells
        >>> layer = Bidirectional(cells.GRU, 3, 4, rngs=nnx.Rngs(0))
        >>> (forward, backward), ys = layer(jnp.ones((2, 5, 3)))
        >>> ys.shape, bool(jnp.allclose(ys[:, 0, 4:], backward.hidden))   # it ends at the first step
        ((2, 5, 8), True)
    """

    def __init__(
        self,
        cell: Cell,
        in_features: int,
        features: int,
        *,
        merge: Literal["concatenate", "sum", "average"] = "concatenate",
        learn_initial: bool = False,
        rngs: nnx.Rngs,
    ):
        check_choice("Bidirectional", "merge", merge, ["concatenate", "sum", "average"])
        self.merge = merge
        self.forward = Recurrent(cell, in_features, features, learn_initial=learn_initial, rngs=rngs)
        self.backward = Recurrent(cell, in_features, features, reverse=True, learn_initial=learn_initial, rngs=rngs)
        self.out_features = self.forward.out_features * (2 if merge == "concatenate" else 1)

    def __call__(self, xs, *, state=None, mask: Array | None = None, reset: Array | None = None, **how):
        """Map ``xs`` (*B, T, D), or symbols, to ``((forward, backward) final states, ys)``, ys (*B, T, H or 2H).

        Of :class:`seqjax.cells.Visits`, the backward direction sees the time until the step to the right, and none at
        a document's last.
        """
        ahead, back = (None, None) if state is None else state
        first, left = self.forward(xs, state=ahead, mask=mask, reset=reset, **how)
        if isinstance(xs, Visits):
            xs = xs._replace(elapsed=reversed_elapsed(xs.elapsed, mask, reset))
        last, right = self.backward(xs, state=back, mask=mask, reset=reset, **how)
        if self.merge == "concatenate":
            return (first, last), jnp.concatenate([left, right], axis=-1)
        return (first, last), (left + right) * (1.0 if self.merge == "sum" else 0.5)

    def start(self, batch_shape: tuple[int, ...], dtype=jnp.float32):
        """The pair of states that sequences start from."""
        return self.forward.start(batch_shape, dtype), self.backward.start(batch_shape, dtype)

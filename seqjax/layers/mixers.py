"""What mixes the steps of a sequence in a block, by name: attention, the lambda layer, convolutions, or any recurrence.

B rows, T steps, D features, H features of a cell, N heads.
"""

import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax import cells
from seqjax.cells import Cell
from seqjax.checks import InputError, check_choice
from seqjax.layers.attention import SelfAttention, check_steps
from seqjax.layers.convolution import TCN, levels_for
from seqjax.layers.lambda_layer import Lambda
from seqjax.layers.linear import Linear
from seqjax.layers.recurrent import Recurrent

MIXERS = ("attention", "lambda", "tcn", *cells.BY_NAME)
TAPS = 3  # of every convolution of a mixer


class RecurrentMixer(nnx.Module):
    """A recurrence as a mixer: as many features out as in.

    Args:
        cell: which recurrence.
        features: D, in and out. Where the cell gives another number, a projection leads back to D.
        rngs: the stream ``params`` initialises the weights.

    Example:
        >>> layer = RecurrentMixer(cells.GRU, 4, rngs=nnx.Rngs(0))
        >>> state, ys = layer(jnp.ones((2, 5, 4)), state=layer.start(2))
        >>> ys.shape
        (2, 5, 4)
    """

    def __init__(self, cell: Cell, features: int, *, rngs: nnx.Rngs):
        self.features = features
        self.recurrent = Recurrent(cell, features, features, rngs=rngs)
        wide = self.recurrent.out_features
        self.output = None if wide == features else Linear(wide, features, bias=False, rngs=rngs)

    def __call__(
        self,
        xs: Array,
        *,
        state=None,
        mask: Array | None = None,
        reset: Array | None = None,
        keys: Array | None = None,
    ):
        """Map ``xs`` (B, T, D) to ``(final state, ys)``, ys (B, T, D), zero where masked.

        ``keys`` are accepted as by every mixer; nothing is dropped inside a recurrence.
        """
        check_steps("RecurrentMixer", xs, self.features, mask, reset)
        state, ys = self.recurrent(xs, state=state, mask=mask, reset=reset)
        return state, ys if self.output is None else self.output(ys)

    def start(self, rows: int, capacity: int = 0, dtype=jnp.float32):
        """The state of ``rows`` rows before the first step. A recurrence has no capacity: it takes any number."""
        return self.recurrent.start((rows,), dtype)


def mixer(
    name: str,
    features: int,
    heads: int,
    *,
    kv_heads: int | None = None,
    positions: str = "none",
    causal: bool = True,
    window: int | None = None,
    reach: int = 16,
    dropout: float = 0.0,
    bias: bool = True,
    rngs: nnx.Rngs,
) -> nnx.Module:
    """Make a mixer by its name; it takes of the other arguments what concerns it.

    Args:
        name: ``"attention"``, ``"lambda"``, ``"tcn"``, or a cell of ``cells.BY_NAME``.
        features: D, in and out.
        heads: N, of attention and of the lambda layer.
        kv_heads: key/value heads of attention; default N.
        positions: of attention: ``"none"``, ``"rotary"`` or ``"alibi"``.
        causal: look at no later step. Recurrences and convolutions never do.
        window: of attention: real steps to look back; default all.
        reach: of the lambda layer: real steps that have an embedding of their distance; of convolutions: real steps
            that they see at least.
        dropout: probability of zeroing a weight of attention, or a feature of a row between convolutions.
        bias: add biases to the projections of attention.
        rngs: the stream ``params`` initialises the weights.

    Raises:
        InputError: an unknown name, or a recurrence that should look ahead.

    Example:
        >>> type(mixer("lstm", 8, 2, rngs=nnx.Rngs(0))).__name__
        'RecurrentMixer'
    """
    check_choice("mixer", "name", name, MIXERS)
    if name == "attention":
        return SelfAttention(
            features, heads,
            kv_heads=kv_heads, positions=positions, causal=causal, window=window, dropout=dropout, bias=bias, rngs=rngs,
        )  # fmt: skip
    if name == "lambda":
        return Lambda(features, heads, reach=reach, causal=causal, rngs=rngs)
    if not causal:  # what follows reads from left to right
        raise InputError(f"mixer: {name} reads from left to right, so `causal` should be True. Try 'attention'.")
    if name == "tcn":
        return TCN(features, features, levels=levels_for(reach, TAPS), width=TAPS, dropout=dropout, rngs=rngs)
    return RecurrentMixer(cells.BY_NAME[name], features, rngs=rngs)

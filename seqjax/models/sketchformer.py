"""Sketchformer: drawings to a vector and back, by attention; points stay numbers, or become cells of a grid.

B rows, T points, D features, Z latent features, N cells along a side of the grid, C classes.
Source: Ribeiro, Bui, Collomosse & Ponti (2020), Sketchformer: Transformer-Based Representation for Sketched Structure.
There, points are regressed, or tokens of a grid with tokens of their own for lifting the pen; here a mixture density
says where the pen goes, or a softmax over the cells, and three states of the pen stand beside the point either way.
Besides, there is the straight path of :mod:`seqjax.models.sketch_rnn` (``plan``): a decoder that looks at one vector
and at all points before soon listens to the points alone.
"""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.checks import InputError
from seqjax.decoding import Decodable
from seqjax.layers import Embedding, Encoded, Linear, unstacked
from seqjax.models.pure import pure
from seqjax.models.shapes import check_blocks
from seqjax.models.sketch import (
    FEATURES,
    UNSTEADY,
    Output,
    Points,
    Read,
    SketchModel,
    cell_centres,
    check_unsteady,
    grid_cells,
    grid_head,
    mixture_head,
    point_features,
    read_points,
    unsteady,
)
from seqjax.models.sketch_rnn import at_steps, side_by_side
from seqjax.models.transformer import POSITIONS, Side
from seqjax.ops.attention import masked_softmax
from seqjax.ops.dropout import fold


@dataclasses.dataclass(frozen=True, kw_only=True)
class SketchformerConfig:
    """The shape of a Sketchformer."""

    features: int = 96  # D, the width of both residual streams; a multiple of heads
    layers: int = 2  # blocks of the encoder, and as many of the decoder
    heads: int = 4  # of every attention
    hidden: int = 0  # inner width of the feed-forward networks; 0: 4 times the features
    latent: int = 64  # Z, features of the vector between
    plan: int = 0  # numbers that the vector tells each step of its own, on a straight path; 0: none, as in the paper
    mixtures: int = 20  # K, components of the next point's distribution
    grid: int = 0  # N: points are cells of a grid of N × N; 0: points are numbers, with a mixture
    positions: str = "sinusoidal"  # sinusoidal, learned or rotary
    norm: str = "layer"  # layer or rms
    place: str = "pre"  # pre: normalise before each part of a block; post: after it, as the paper does
    activation: str = "gelu"  # gelu, gelu-tanh, relu or swiglu
    dropout: float = 0.1  # probability of zeroing an activation, or a weight of attention
    remat: bool = False  # compute activations again for the gradient: less memory, more time
    unsteady: float = 0.1  # spreads of an offset by which the decoder's points are displaced while training

    def __post_init__(self):
        check_blocks(self, POSITIONS, layers=1, hidden=0, latent=1, plan=0, mixtures=1, grid=0)
        check_unsteady(self.unsteady)


class Sketchformer(nnx.Module):
    """The encoder with its bottleneck, the decoder, and the classifier of vectors.

    Args:
        config: the shape.
        out_features: R, what the decoder says of the next point.
        classes: C; 0: none.
        longest: the most points.
        reach: half a side of the grid.
        rngs: the stream ``params`` initialises the weights.
    """

    def __init__(
        self, config: SketchformerConfig, out_features: int, classes: int, longest: int, reach: float, *, rngs: nnx.Rngs
    ):
        D, Z = config.features, config.latent
        self.config, self.longest, self.reach = config, longest, reach
        self.cells = Embedding(config.grid**2, D, scale=D**-0.5, rngs=rngs) if config.grid else None
        self.seen = Linear(FEATURES, D, rngs=rngs)
        self.encoder = Side(config, longest, decoder=False, rngs=rngs)
        self.importance = Linear(D, D, rngs=rngs)
        self.query = Linear(D, 1, rngs=rngs)
        self.latent = Linear(D + (4 * longest if config.plan else 0), Z, rngs=rngs)
        self.told = Linear(Z, D, rngs=rngs)
        self.plan: Any = Linear(Z, longest * config.plan, rngs=rngs) if config.plan else None
        self.decoder = Side(config, longest, decoder=True, rngs=rngs)
        self.head = Linear(D + config.plan, out_features, rngs=rngs)
        self.classes: Any = Linear(Z, classes, rngs=rngs) if classes else None

    def vectors(self, offsets: Array, pen: Array, places: Array) -> Array:
        """Points (B, T, ·) as vectors (B, T, D); those of a grid know the cell, and nothing finer."""
        if self.cells is None:
            return self.seen(point_features(offsets, pen, places))
        known = point_features(jnp.zeros_like(offsets), pen, jnp.zeros_like(places))
        return self.seen(known) + self.cells(grid_cells(places, self.config.grid, self.reach))

    def encode(self, points: Points, keys: Array | None = None) -> Array:
        """The latent vector of each drawing, (B, Z): a weighted mean of what the encoder says of its points."""
        xs = jnp.where(points.mask[..., None], self.vectors(points.offsets, points.pen, points.places), 0)
        xs = self.encoder.placed(xs, mask=points.mask, reset=None)
        _, ys = self.encoder(xs, mask=points.mask, keys=keys)
        scores = self.query(jnp.tanh(self.importance(ys)))[..., 0]
        weights = masked_softmax(scores, points.mask)
        said = jnp.einsum("bt,btd->bd", weights, jnp.where(points.mask[..., None], ys, 0))
        if self.config.plan:
            places = points.places
            if self.config.grid:
                places = cell_centres(grid_cells(places, self.config.grid, self.reach), self.config.grid, self.reach)
            said = jnp.concatenate([said, side_by_side(places, points, self.longest)], axis=-1)
        return self.latent(said)

    def memory(self, latent: Array) -> Encoded:
        """A latent vector as the decoder looks at it: one step."""
        return Encoded(self.told(latent)[:, None], jnp.ones((len(latent), 1), bool))

    def remember(self, latent: Array) -> tuple:
        """The same for every layer, for as many calls of :meth:`decode` as there will be."""
        return self.decoder.deep.remember(self.memory(latent))

    def tell(self, latent: Array) -> Array:
        """What the vectors (B, Z) tell each step of its own: (B, longest, plan)."""
        return self.plan(latent).reshape(len(latent), self.longest, -1) if self.plan else latent[:, None, :0]

    def decode(self, before: Points, memory, told: Array, *, state=None, count=None, mask=None, keys=None):
        """From the points before, and what the vector tells these steps (B, T, plan): the layers' states, (B, T, R)."""
        xs = self.vectors(before.offsets, before.pen, before.places)
        xs = self.decoder.placed(xs, mask=mask, reset=None, count=count)
        states, ys = self.decoder(xs, memory=memory, state=state, mask=mask, keys=keys)
        return states, self.head(jnp.concatenate([ys, told.astype(ys.dtype)], axis=-1))

    def start(self, rows: int) -> tuple:
        """What the decoder's layers remember before the first point."""
        return self.decoder.deep.start(rows, self.longest, self.head.kernel[...].dtype)

    def name(self, latent: Array) -> Array:
        """Scores of the classes, (B, C)."""
        return self.classes(latent)

    def __call__(self, batch, keys: Array | None = None) -> tuple[Points, Array, Array, Array | None]:
        """Of a batch: its points, its latent vectors, what is said of each next point, and scores of the classes."""
        points = read_points(batch["strokes"], batch["mask"])
        latent = self.encode(points, fold(keys, 0))
        before, points = unsteady(points, self.config.unsteady, fold(keys, UNSTEADY))
        told = at_steps(self.tell(latent), jnp.cumsum(points.mask, axis=1) - 1)
        _, raw = self.decode(before, self.memory(latent), told, mask=points.mask, keys=fold(keys, 1))
        return points, latent, raw, None if self.classes is None else self.name(latent)


class Drawn(NamedTuple):
    """A drawing while it is made."""

    layers: tuple  # caches, leaves (B, …)
    place: Array  # (B, 2), where the pen is
    read: Array  # (B,) int32, points read


def sketchformer(config: SketchformerConfig, classes: int = 0, *, longest: int = 64, reach: float = 8.0) -> SketchModel:
    """A Sketchformer as pure functions. Its vectors have no prior to be drawn from.

    Args:
        config: its shape.
        classes: C; 0: it does not classify.
        longest: the most points it can draw.
        reach: half a side of the grid, in units of the training spread; of no meaning without one.

    Example:
        >>> model = sketchformer(SketchformerConfig(features=8, heads=2, layers=1, grid=4, latent=3), 5)
        >>> import jax
        >>> params = jax.eval_shape(model.init, jax.random.key(0))
        >>> batch = {"strokes": jnp.ones((2, 7, 3)), "mask": jnp.ones((2, 7), bool)}
        >>> read = jax.eval_shape(model.read, params, batch)
        >>> read.nats.shape, read.classes.shape, model.head.width
        ((2, 7), (2, 5), 19)
    """
    if config.grid and not reach > 0:
        raise InputError(f"sketchformer: `reach` should be above 0, but it is {reach}.")
    head = grid_head(config.grid, reach) if config.grid else mixture_head(config.mixtures)
    init, apply = pure(lambda rngs: Sketchformer(config, head.width, classes, longest, reach, rngs=rngs))

    def read(params, batch, keys=None, drawn=None):
        points, latent, raw, scores = apply(params, batch, keys)
        return Read(head.nats(raw, points), jnp.zeros(len(latent)), scores)

    def encode(params, batch):
        return apply(params, read_points(batch["strokes"], batch["mask"]), method="encode")

    return SketchModel(init, read, encode, _decodable(apply), head, config.latent, False)


def _decodable(apply) -> Decodable:
    """The decoder, a point at a time, to :func:`seqjax.decoding.make_values`."""

    def prepare(params):
        return params | {"decoder": params["decoder"] | {"deep": unstacked(params["decoder"]["deep"])}}

    def start(weights, inputs):
        latent = inputs["latent"]
        rows = len(latent)
        layers = apply(weights, rows, method="start")
        memory = apply(weights, latent, method="remember"), apply(weights, latent, method="tell")
        return memory, Drawn(layers, jnp.zeros((rows, 2)), jnp.zeros(rows, jnp.int32))

    def advance(weights, memory, state, last):
        seen, told = memory
        place = state.place + last[:, :2]
        points = Points(
            last[:, None, :2], last[:, None, 2].astype(jnp.int32), place[:, None], jnp.ones((len(last), 1), bool)
        )
        told = at_steps(told, state.read[:, None])
        layers, raw = apply(weights, points, seen, told, state=state.layers, count=state.read, method="decode")
        return Drawn(layers, place, state.read + 1), Output(raw[:, 0], place)

    return Decodable(start, advance, prepare)

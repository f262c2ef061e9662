"""What models of drawings share: how points are read, where the pen goes next, and what is asked of each model.

A batch holds ``strokes`` (B, T, 3), stroke-3 over the spread of the training offsets, ``mask`` (B, T), and ``label``
(B,) int32, −1 where a drawing has no class. Real points stand next to each other. Inside, a point is stroke-5: its
offset, and which of three states the pen is in after it; the last one ends the drawing. The pen starts on the paper at
the origin.

B rows, T points, K components, Z latent features, N cells along a side of the grid, C classes.
Source: Ha & Eck (2017), A Neural Representation of Sketch Drawings, section 3.1.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.checks import InputError, check_count
from seqjax.decoding import Decodable
from seqjax.ops.mixture_density import PEN, draw_point, point_nats, sharpen, width

END = 2  # the state of the pen after the last point
UNSTEADY = 11  # folded into the keys of the rows, next to the places of dropout
FEATURES = 2 + PEN + 2  # of a point as models read it: offset, pen, and where on the paper


def check_unsteady(amount: float) -> None:
    """Refuse an unsteadiness that is none."""
    if not 0 <= amount < float("inf"):
        raise InputError(f"model: `unsteady` should be finite and at least 0, but it is {amount}. Try 0.1.")


class Points(NamedTuple):
    """A batch of drawings as models read them; zeros where masked."""

    offsets: Array  # (B, T, 2)
    pen: Array  # (B, T) int32, the state after each point: 0 on the paper, 1 lifted, 2 the end
    places: Array  # (B, T, 2), where each point is
    mask: Array  # (B, T)

    def features(self) -> Array:
        """Of every point: (B, T, 7)."""
        return point_features(self.offsets, self.pen, self.places)

    def before(self) -> "Points":
        """The points one step earlier: of the first, the pen on the paper at the origin."""
        known = jnp.pad(self.mask[:, :-1], ((0, 0), (1, 0)))

        def shift(leaf):
            moved = jnp.roll(leaf, 1, axis=1)
            return jnp.where(known.reshape(known.shape + (1,) * (leaf.ndim - 2)), moved, jnp.zeros_like(leaf))

        return Points(shift(self.offsets), shift(self.pen), shift(self.places), self.mask)


def unsteady(points: Points, amount: float, keys: Array | None) -> tuple[Points, Points]:
    """What a decoder reads before each point, and the points it should say: as if an unsteady hand had drawn so far.

    Every point that is read lies beside its place, and the next offset leads from there to where the next point
    belongs: so the decoder learns to find its way back, as it must when it reads what it drew itself.

    Args:
        points: as they are.
        amount: standard deviation of the unsteadiness, in units of the training spread.
        keys: (B,) random keys, one a row; None is a steady hand.

    Source:
        Laskey et al. (2017), DART: Noise Injection for Robust Imitation Learning.

    Example:
        >>> points = read_points(jnp.array([[[1.0, 0, 0], [0, 2, 0]]]), jnp.array([[True, True]]))
        >>> before, wanted = unsteady(points, 0.1, jax.random.split(jax.random.key(0), 1))
        >>> bool(jnp.allclose(before.places + wanted.offsets, points.places))
        True
    """
    if keys is None or not amount:
        return points.before(), points
    noise = jax.vmap(lambda key: jax.random.normal(key, points.places.shape[1:]))(keys)
    places = points.places + amount * jnp.where(points.mask[..., None], noise, 0.0)
    read = points._replace(places=places).before()
    real = points.mask[..., None].astype(places.dtype)
    offsets = real * (places - read.places)
    read = points._replace(places=places, offsets=offsets).before()
    return read, points._replace(offsets=real * (points.places - read.places))


def read_points(strokes: Array, mask: Array) -> Points:
    """Stroke-3 (B, T, 3), which may hold anything where masked, as points.

    Example:
        >>> points = read_points(jnp.array([[[1.0, 0, 1], [0, 2, 0], [9, 9, 9]]]), jnp.array([[True, True, False]]))
        >>> points.pen.tolist(), points.places[0, 1].tolist(), points.before().pen.tolist()
        ([[1, 2, 0]], [1.0, 2.0], [[0, 1, 2]])
    """
    strokes = jnp.where(mask[..., None], strokes, 0.0)
    offsets = strokes[..., :2]
    following = jnp.pad(mask[:, 1:], ((0, 0), (0, 1)))
    pen = jnp.where(mask & ~following, END, strokes[..., 2].astype(jnp.int32))
    places = jnp.where(mask[..., None], jnp.cumsum(offsets, axis=1), 0.0)
    return Points(offsets, pen, places, mask)


def point_features(offsets: Array, pen: Array, places: Array) -> Array:
    """Offsets (*B, 2), pen (*B,) and places (*B, 2) side by side: (*B, 7)."""
    return jnp.concatenate([offsets, jax.nn.one_hot(pen, PEN, dtype=offsets.dtype), places], axis=-1)


class Output(NamedTuple):
    """What a decoder says of the next point, for a rule to choose it."""

    raw: Array  # (B, R)
    place: Array  # (B, 2), where the pen is


class Head(NamedTuple):
    """How R numbers say where the pen goes next.

    Attributes:
        width: R.
        nats: ``(raw (B, T, R), points) -> (B, T)``: −log p of each point, zero where masked.
        choose: ``(Output, keys, temperature) -> (points (B, 3), ended (B,))``, for
            :func:`seqjax.decoding.make_values`.
    """

    width: int
    nats: Callable[[Array, Points], Array]
    choose: Callable[..., tuple[Array, Array]]


def mixture_head(components: int) -> Head:
    """A mixture of K normal distributions of the offset."""
    check_count("model", "mixtures", components, unit="component")

    def nats(raw, points):
        return point_nats(raw, points.offsets, points.pen, points.mask)

    def choose(output: Output, keys, temperature):
        drawn = draw_point(output.raw, keys, temperature)
        return drawn, drawn[:, 2] == END

    return Head(width(components), nats, choose)


def grid_cells(places: Array, side: int, reach: float) -> Array:
    """The cell (*B,) of each place (*B, 2), of N × N from −reach to reach; beyond the border, the one next to it."""
    column, row = jnp.moveaxis(jnp.clip(jnp.floor((places + reach) / (2 * reach) * side), 0, side - 1), -1, 0)
    return (row * side + column).astype(jnp.int32)


def cell_centres(cells: Array, side: int, reach: float) -> Array:
    """The places (*B, 2) of the middles of cells (*B,)."""
    places = jnp.stack([cells % side, cells // side], axis=-1).astype(jnp.float32)
    return (places + 0.5) * (2 * reach / side) - reach


def grid_head(side: int, reach: float) -> Head:
    """A token for each cell of a grid over the paper, and the pen beside it.

    A cell's probability is spread evenly over its area, so that nats can be compared with those of a mixture; but a
    point beyond the border counts as one in the cell at the border, which is too little by what it lies beyond it.
    """
    area = jnp.log(jnp.float32((2 * reach / side) ** 2))

    def nats(raw, points):
        places, pen = jax.nn.log_softmax(raw[..., :-PEN]), jax.nn.log_softmax(raw[..., -PEN:])
        cells = grid_cells(points.places, side, reach)
        found = jnp.take_along_axis(places, cells[..., None], axis=-1)[..., 0] - area
        found = found + jnp.take_along_axis(pen, points.pen[..., None], axis=-1)[..., 0]
        return jnp.where(points.mask, -found, 0.0)

    def choose(output: Output, keys, temperature):
        def one(raw, key):
            cell, pen = jax.random.split(key)
            drawn = jax.random.categorical(cell, sharpen(raw[:-PEN], temperature))
            return drawn, jax.random.categorical(pen, sharpen(raw[-PEN:], temperature))

        cells, pen = jax.vmap(one)(output.raw.astype(jnp.float32), keys)
        offsets = cell_centres(cells, side, reach) - output.place
        return jnp.concatenate([offsets, pen[:, None].astype(jnp.float32)], axis=-1), pen == END

    return Head(side * side + PEN, nats, choose)


class Read(NamedTuple):
    """What a model says of a batch."""

    nats: Array  # (B, T), −log p of each point given those before it, and the latent vector
    divergence: Array  # (B,), nats: KL of the latent vector's distribution from the standard normal
    classes: Array | None  # (B, C), scores; None where the model does not classify


class SketchModel(NamedTuple):
    """Functions of ``params``, a nested dict of arrays.

    Attributes:
        init: ``key -> params``.
        read: ``(params, batch, keys, drawn) -> Read``; of ``keys`` (B,) comes dropout, of ``drawn`` (B,) the latent
            vector; with None nothing is dropped, and the vector is the mean.
        encode: ``(params, batch) -> (B, Z)``, the mean of each drawing's latent vector; None where there is none.
        decodable: ``start`` takes ``{"latent": (B, Z)}``; ``advance`` reads points (B, 3), of which the first is zeros,
            and gives an :class:`Output`.
        head: how an output becomes a point.
        latent: Z.
        prior: whether latent vectors may be drawn from the standard normal.
    """

    init: Callable[[Array], Any]
    read: Callable[..., Read]
    encode: Callable[[Any, Any], Array] | None
    decodable: Decodable
    head: Head
    latent: int
    prior: bool

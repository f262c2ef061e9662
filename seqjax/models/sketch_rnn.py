"""Sketch-RNN: drawings to a vector and back, by LSTMs and a mixture density; or from nothing, without the vector.

B rows, T points, H features, Z latent features.
Source: Ha & Eck (2017), A Neural Representation of Sketch Drawings. Three things are added to the paper's model. A
point is read with its place on the paper, which the sums of the offsets say anyway (``places``). Beside the
recurrences there is a straight path (``plan``): the vector sees all points side by side, and tells each step some
numbers of its own, both by linear maps, as principal components would. Recurrences alone copy well what they were
trained on, the straight path also what they were not. And while training, the points that the decoder reads are
displaced a little (``unsteady``).
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax import cells
from seqjax.checks import InputError, check_choice, check_share
from seqjax.decoding import Decodable
from seqjax.layers import Bidirectional, Linear, Recurrent
from seqjax.models.pure import pure
from seqjax.models.sketch import (
    FEATURES,
    UNSTEADY,
    Head,
    Output,
    Points,
    Read,
    SketchModel,
    check_unsteady,
    mixture_head,
    point_features,
    read_points,
    unsteady,
)
from seqjax.ops.dropout import dropout, fold


@dataclasses.dataclass(frozen=True, kw_only=True)
class SketchRNNConfig:
    """The shape of a Sketch-RNN."""

    cell: str = "lstm"  # which recurrence; a wrong name lists them all
    encoder_features: int = 128  # width of each direction of the encoder
    features: int = 256  # H, width of the decoder
    latent: int = 96  # Z, features of the vector; 0: no encoder, the decoder alone
    plan: int = 8  # numbers that the vector tells each step of its own, on a straight path; 0: none, as in the paper
    mixtures: int = 20  # K, components of the next point's distribution
    dropout: float = 0.1  # probability of zeroing an activation, around the decoder's layer
    places: bool = True  # read where the pen is on the paper, too
    unsteady: float = 0.1  # spreads of an offset by which the decoder's points are displaced while training

    def __post_init__(self):
        check_choice("SketchRNNConfig", "cell", self.cell, cells.BY_NAME)
        for name, least in (("encoder_features", 1), ("features", 1), ("latent", 0), ("plan", 0), ("mixtures", 1)):
            if getattr(self, name) < least:
                raise InputError(f"model: `{name}` should be at least {least}, but it is {getattr(self, name)}.")
        check_unsteady(self.unsteady)
        check_share("model", "dropout", self.dropout)


class Latent(NamedTuple):
    """The distribution of a latent vector."""

    mean: Array  # (B, Z)
    log_variance: Array  # (B, Z)

    def draw(self, keys: Array | None) -> Array:
        """A vector of every row; the mean without keys."""
        if keys is None:
            return self.mean
        noise = jax.vmap(lambda key: jax.random.normal(key, self.mean.shape[1:]))(keys)
        return self.mean + jnp.exp(0.5 * self.log_variance) * noise

    def divergence(self) -> Array:
        """KL from the standard normal, (B,): nats.

        Example:
            >>> Latent(jnp.array([[3.0, 4.0]]), jnp.zeros((1, 2))).divergence().tolist()
            [12.5]
        """
        return 0.5 * (self.mean**2 + jnp.exp(self.log_variance) - 1 - self.log_variance).sum(axis=-1)


class SketchRNN(nnx.Module):
    """The encoder and the decoder.

    Args:
        config: the shape.
        out_features: what the decoder says of the next point.
        classes: C, of drawings, told from their vectors; 0: none.
        longest: the most points that the straight path can tell apart.
        rngs: the stream ``params`` initialises the weights.
    """

    def __init__(
        self, config: SketchRNNConfig, out_features: int, classes: int = 0, longest: int = 64, *, rngs: nnx.Rngs
    ):
        cell, wide, Z = cells.BY_NAME[config.cell], config.features, config.latent
        self.dropout, self.unsteady = config.dropout, config.unsteady
        self.in_features = FEATURES if config.places else FEATURES - 2
        self.encoder: Any = Bidirectional(cell, self.in_features, config.encoder_features, rngs=rngs) if Z else None
        self.longest, self.planned = longest, config.plan if Z else 0
        self.decoder = Recurrent(cell, self.in_features + Z + self.planned, wide, learn_initial=not Z, rngs=rngs)
        if Z:
            straight = 4 * longest if config.plan else 0
            self.latent = Linear(2 * config.encoder_features + straight, 2 * Z, rngs=rngs)
            self.plan: Any = Linear(Z, longest * config.plan, rngs=rngs) if config.plan else None
            widths = [leaf.shape[-1] for leaf in jax.tree.leaves(jax.eval_shape(lambda: self.decoder.start(())))]
            self.starts = nnx.List([Linear(Z, width, rngs=rngs) for width in widths])
        beside = self.in_features + self.planned if self.planned else 0
        self.head = Linear(self.decoder.out_features + beside, out_features, rngs=rngs)
        self.classes: Any = Linear(Z, classes, rngs=rngs) if Z and classes else None

    def encode(self, points: Points) -> Latent:
        """The latent vector of each drawing."""
        ends, _ = self.encoder(points.features()[..., : self.in_features], mask=points.mask)
        said = jnp.concatenate([self.encoder.forward.cell.output(end) for end in ends], axis=-1)
        if self.planned:
            said = jnp.concatenate([said, side_by_side(points.places, points, self.longest)], axis=-1)
        mean, log_variance = jnp.split(self.latent(said), 2, axis=-1)
        return Latent(mean, jnp.clip(log_variance, -12.0, 4.0))

    def start(self, latent: Array):
        """The decoder's state before the first point, from latent vectors (B, Z)."""
        own = self.decoder.start(latent.shape[:1], latent.dtype)
        if self.encoder is None:
            return own
        leaves, tree = jax.tree.flatten(own)
        made = [jnp.tanh(linear(latent)).astype(leaf.dtype) for linear, leaf in zip(self.starts, leaves, strict=True)]
        return jax.tree.unflatten(tree, made)

    def tell(self, latent: Array) -> Array:
        """What the vectors (B, Z) tell each step of its own: (B, longest, plan)."""
        return self.plan(latent).reshape(len(latent), self.longest, -1) if self.planned else latent[:, None, :0]

    def decode(self, features: Array, latent: Array, told: Array, *, state, mask: Array | None = None, keys=None):
        """From the points before, the state after them and what is said of the next.

        Args:
            features: of the points before, (B, T, 7).
            latent: (B, Z).
            told: (B, T, plan), what :meth:`tell` gave these steps.
            state: to go on from.
            mask: (B, T), True on real points.
            keys: (B,) random keys of dropout; None switches it off.

        Returns:
            The state, and (B, T, R).
        """
        features = features[..., : self.in_features]
        read = dropout(features, self.dropout, fold(keys, 0))
        wide = jnp.broadcast_to(latent[:, None], (*features.shape[:2], latent.shape[-1]))
        state, ys = self.decoder(jnp.concatenate([read, wide, told], axis=-1), state=state, mask=mask)
        ys = dropout(ys, self.dropout, fold(keys, 1))
        return state, self.head(jnp.concatenate([ys, features, told], axis=-1) if self.planned else ys)

    def __call__(self, batch, keys: Array | None = None, drawn: Array | None = None):
        """Of a batch: the points to say, the latent vectors' distributions, and what is said of points and classes.

        Args:
            batch: see :mod:`seqjax.models.sketch`.
            keys: (B,) random keys of dropout and of unsteadiness; None switches both off.
            drawn: (B,) random keys of the latent vectors; None takes their means.

        Returns:
            Points, :class:`Latent`, (B, T, R), and scores (B, C) or None.
        """
        points = read_points(batch["strokes"], batch["mask"])
        none = jnp.zeros((len(points.mask), 0))
        latent = Latent(none, none) if self.encoder is None else self.encode(points)
        vector = latent.draw(drawn)
        before, points = unsteady(points, self.unsteady, fold(keys, UNSTEADY))
        told = at_steps(self.tell(vector), jnp.cumsum(points.mask, axis=1) - 1)
        state = self.start(vector)
        _, raw = self.decode(before.features(), vector, told, state=state, mask=points.mask, keys=keys)
        return points, latent, raw, None if self.classes is None else self.classes(vector)


def side_by_side(places: Array, points: Points, longest: int) -> Array:
    """All points of a drawing in one row: places (B, T, 2), pen lifted or not, and whether there is a point at all."""
    lifted = (points.pen[..., None] == 1).astype(places.dtype)
    seen = jnp.concatenate([places, lifted, jnp.ones_like(places[..., :1])], -1)
    return in_order(seen, points.mask, longest).reshape(len(places), -1)


def in_order(values: Array, mask: Array, longest: int) -> Array:
    """Values (B, T, F) of the real steps, which are neighbours, from the first on: (B, longest, F), then zeros.

    Example:
        >>> values = jnp.arange(1.0, 5).reshape(1, 4, 1)
        >>> in_order(values, jnp.array([[False, True, True, False]]), 3)[0, :, 0].tolist()
        [2.0, 3.0, 0.0]
    """
    places = jnp.argmax(mask, axis=1)[:, None] + jnp.arange(longest)[None]
    inside = jnp.minimum(places, mask.shape[1] - 1)
    real = jnp.take_along_axis(mask, inside, axis=1) & (places == inside)
    return jnp.where(real[..., None], jnp.take_along_axis(values, inside[..., None], axis=1), 0)


def at_steps(told: Array, numbers: Array) -> Array:
    """Of (B, longest, F), what stands at the steps with these numbers (B, T); beyond the last, the last."""
    inside = jnp.clip(numbers, 0, told.shape[1] - 1)
    return jnp.take_along_axis(told, inside[..., None], axis=1)


class Pen(NamedTuple):
    """A drawing while it is made."""

    layer: Any  # the decoder's state
    place: Array  # (B, 2), where the pen is
    read: Array  # (B,) int32, points read


def sketch_rnn(config: SketchRNNConfig, classes: int = 0, *, longest: int = 64) -> SketchModel:
    """A Sketch-RNN as pure functions.

    Args:
        config: its shape.
        classes: C, told from the latent vector besides, by a linear map; 0: it does not classify.
        longest: the most points that the straight path can tell apart.

    Example:
        >>> model = sketch_rnn(SketchRNNConfig(encoder_features=3, features=4, latent=2, mixtures=2))
        >>> params = jax.eval_shape(model.init, jax.random.key(0))
        >>> batch = {"strokes": jnp.ones((5, 7, 3)), "mask": jnp.ones((5, 7), bool)}
        >>> jax.eval_shape(model.read, params, batch).nats.shape
        (5, 7)
    """
    head: Head = mixture_head(config.mixtures)
    init, apply = pure(lambda rngs: SketchRNN(config, head.width, classes, longest, rngs=rngs))

    def read(params, batch, keys=None, drawn=None):
        points, latent, raw, scores = apply(params, batch, keys, drawn)
        return Read(head.nats(raw, points), latent.divergence(), scores)

    def encode(params, batch):
        return apply(params, read_points(batch["strokes"], batch["mask"]), method="encode").mean

    def start(params, inputs):
        latent = inputs["latent"]
        rows = len(latent)
        pen = Pen(apply(params, latent, method="start"), jnp.zeros((rows, 2)), jnp.zeros(rows, jnp.int32))
        return (latent, apply(params, latent, method="tell")), pen

    def advance(params, memory, state, last):
        latent, told = memory
        place = state.place + last[:, :2]
        features = point_features(last[:, :2], last[:, 2].astype(jnp.int32), place)[:, None]
        told = at_steps(told, state.read[:, None])
        layer, raw = apply(params, features, latent, told, state=state.layer, method="decode")
        return Pen(layer, place, state.read + 1), Output(raw[:, 0], place)

    conditional = config.latent > 0
    decodable = Decodable(start, advance)
    return SketchModel(init, read, encode if conditional else None, decodable, head, config.latent, True)

"""Sketch-RNN: drawings to a vector and back, by LSTMs and a mixture density; or from nothing, without the vector.

B rows, T points, H features, Z latent features.
Source: Ha & Eck (2017), A Neural Representation of Sketch Drawings. Besides offset and pen, a point is read with its
place on the paper, which the sums of the offsets say anyway (``places``).
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax import cells
from seqjax.checks import InputError, check_choice
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
    latent: int = 64  # Z, features of the vector; 0: no encoder, the decoder alone
    mixtures: int = 20  # K, components of the next point's distribution
    dropout: float = 0.1  # probability of zeroing an activation, around the decoder's layer
    places: bool = True  # read where the pen is on the paper, too
    unsteady: float = 0.1  # spreads of an offset by which the decoder's points are displaced while training

    def __post_init__(self):
        check_choice("SketchRNNConfig", "cell", self.cell, cells.BY_NAME)
        for name, least in (("encoder_features", 1), ("features", 1), ("latent", 0), ("mixtures", 1)):
            if getattr(self, name) < least:
                raise InputError(f"model: `{name}` should be at least {least}, but it is {getattr(self, name)}.")
        check_unsteady(self.unsteady)
        if not 0 <= self.dropout < 1:
            raise InputError(f"model: `dropout` should lie in [0, 1), but it is {self.dropout}.")


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
        rngs: the stream ``params`` initialises the weights.
    """

    def __init__(self, config: SketchRNNConfig, out_features: int, *, rngs: nnx.Rngs):
        cell, wide, Z = cells.BY_NAME[config.cell], config.features, config.latent
        self.dropout, self.unsteady = config.dropout, config.unsteady
        self.in_features = FEATURES if config.places else FEATURES - 2
        self.encoder: Any = Bidirectional(cell, self.in_features, config.encoder_features, rngs=rngs) if Z else None
        self.decoder = Recurrent(cell, self.in_features + Z, wide, learn_initial=not Z, rngs=rngs)
        if Z:
            self.latent = Linear(2 * config.encoder_features, 2 * Z, rngs=rngs)
            widths = [leaf.shape[-1] for leaf in jax.tree.leaves(jax.eval_shape(lambda: self.decoder.start(())))]
            self.starts = nnx.List([Linear(Z, width, rngs=rngs) for width in widths])
        self.head = Linear(self.decoder.out_features, out_features, rngs=rngs)

    def encode(self, points: Points) -> Latent:
        """The latent vector of each drawing."""
        ends, _ = self.encoder(points.features()[..., : self.in_features], mask=points.mask)
        said = jnp.concatenate([self.encoder.forward.cell.output(end) for end in ends], axis=-1)
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

    def decode(self, features: Array, latent: Array, *, state, mask: Array | None = None, keys=None):
        """From the points before (B, T, 7), the state after them and what is said of the next: (B, T, R)."""
        features = dropout(features[..., : self.in_features], self.dropout, fold(keys, 0))
        wide = jnp.broadcast_to(latent[:, None], (*features.shape[:2], latent.shape[-1]))
        state, ys = self.decoder(jnp.concatenate([features, wide], axis=-1), state=state, mask=mask)
        return state, self.head(dropout(ys, self.dropout, fold(keys, 1)))

    def __call__(self, batch, keys: Array | None = None, drawn: Array | None = None) -> tuple[Points, Latent, Array]:
        """Of a batch: the points to say, its latent vectors, and what is said of each next point, (B, T, R).

        Args:
            batch: see :mod:`seqjax.models.sketch`.
            keys: (B,) random keys of dropout and of unsteadiness; None switches both off.
            drawn: (B,) random keys of the latent vectors; None takes their means.
        """
        points = read_points(batch["strokes"], batch["mask"])
        none = jnp.zeros((len(points.mask), 0))
        latent = Latent(none, none) if self.encoder is None else self.encode(points)
        vector = latent.draw(drawn)
        before, points = unsteady(points, self.unsteady, fold(keys, UNSTEADY))
        _, raw = self.decode(before.features(), vector, state=self.start(vector), mask=points.mask, keys=keys)
        return points, latent, raw


class Pen(NamedTuple):
    """A drawing while it is made."""

    layer: Any  # the decoder's state
    place: Array  # (B, 2), where the pen is


def sketch_rnn(config: SketchRNNConfig) -> SketchModel:
    """A Sketch-RNN as pure functions.

    Example:
        >>> model = sketch_rnn(SketchRNNConfig(encoder_features=3, features=4, latent=2, mixtures=2))
        >>> params = jax.eval_shape(model.init, jax.random.key(0))
        >>> batch = {"strokes": jnp.ones((5, 7, 3)), "mask": jnp.ones((5, 7), bool)}
        >>> jax.eval_shape(model.read, params, batch).nats.shape
        (5, 7)
    """
    head: Head = mixture_head(config.mixtures)
    init, apply = pure(lambda rngs: SketchRNN(config, head.width, rngs=rngs))

    def read(params, batch, keys=None, drawn=None):
        points, latent, raw = apply(params, batch, keys, drawn)
        return Read(head.nats(raw, points), latent.divergence(), None)

    def encode(params, batch):
        return apply(params, read_points(batch["strokes"], batch["mask"]), method="encode").mean

    def start(params, inputs):
        latent = inputs["latent"]
        return latent, Pen(apply(params, latent, method="start"), jnp.zeros((len(latent), 2)))

    def advance(params, latent, state, last):
        place = state.place + last[:, :2]
        features = point_features(last[:, :2], last[:, 2].astype(jnp.int32), place)[:, None]
        layer, raw = apply(params, features, latent, state=state.layer, method="decode")
        return Pen(layer, place), Output(raw[:, 0], place)

    conditional = config.latent > 0
    decodable = Decodable(start, advance)
    return SketchModel(init, read, encode if conditional else None, decodable, head, config.latent, True)

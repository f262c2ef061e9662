"""Use a model of drawings: to vectors and back, on from a beginning; and measure whether its letters can be read."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.checks import InputError
from seqjax.data.stroke_pictures import braille, side_by_side
from seqjax.data.stroke_splits import stroke_examples
from seqjax.data.strokes import Drawing, to_lines
from seqjax.decoding import make_values
from seqjax.models.sketch import SketchModel
from seqjax.ops.dropout import row_keys
from seqjax.tasks.sketch_kept import Kept
from seqjax.tasks.sketch_namer import Namer
from seqjax.training.folder import RunFolder

CAREFUL = 0.1  # temperature of reconstructions that are named and shown
MOST = 500  # drawings that are named, of a split
SHOWN = 24  # drawings in reconstructions.png
COLUMNS, LINES = 9, 5  # characters of a drawing in samples.txt


class SketchUse(NamedTuple):
    """A model, what it knows of its data, and its parameters."""

    model: SketchModel
    names: Sequence[str]  # of the classes
    spread: float  # what offsets are divided by
    longest: int  # most points of a drawing
    kept: Callable[[], Kept]  # what the run keeps of its data
    params: Any

    def units(self, drawings: Sequence[Drawing]) -> list[np.ndarray]:
        """Drawings (T, 3) in units of the training spread."""
        return list(stroke_examples(drawings, self.spread, self.names).steps["strokes"])

    def encode(self, drawings: Sequence[np.ndarray]) -> np.ndarray:
        """The latent vectors (N, Z) of drawings (T, 3) in units of the spread."""
        if self.model.encode is None:
            raise InputError("sketch: this model draws from nothing: it has no vector of a drawing.")
        strokes, mask = self._laid(drawings)
        return np.asarray(encoder(self.model)(self.params, {"strokes": strokes, "mask": mask}))[: len(drawings)]

    def draw(
        self, latent: np.ndarray, key, temperature: float, beginnings: Sequence[np.ndarray] | None = None
    ) -> list[np.ndarray]:
        """A drawing (T, 3) of each latent vector (N, Z), in units of the spread.

        Args:
            latent: (N, 0) where the model has none.
            key: one key; each row has its own of it.
            temperature: above 0; near 0 the likeliest way, 1 the model's own distribution.
            beginnings: (T, 3) each: what the drawings begin with.
        """
        count = len(latent)
        rows = rows_for(count)
        latent = np.pad(np.asarray(latent, np.float32), ((0, rows - count), (0, 0)))
        made = make_values(
            self.model.decodable, self.params, {"latent": jnp.asarray(latent)}, jnp.zeros((rows, 3)),
            row_keys(key, jnp.arange(rows)), choose=self.model.head.choose, max_steps=self.longest,
            options=jnp.float32(temperature), prefix=None if beginnings is None else self._laid(beginnings),
        )  # fmt: skip
        values, lengths = np.asarray(made.values), np.asarray(made.lengths)
        drawings = [values[row, : max(1, lengths[row])] for row in range(count)]
        return [np.column_stack([one[:, :2], one[:, 2] > 0]).astype(np.float32) for one in drawings]

    def reconstruct(self, drawings: Sequence[np.ndarray], temperature: float = CAREFUL) -> list[np.ndarray]:
        """What the model makes of drawings (T, 3) it has seen, in units of the spread."""
        return self.draw(self.encode(drawings), jax.random.key(0), temperature)

    def _laid(self, drawings: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Drawings in rows of one length: ``strokes`` (R, T, 3) and ``mask`` (R, T)."""
        shape = rows_for(len(drawings)), self.longest
        strokes, mask = np.zeros((*shape, 3), np.float32), np.zeros(shape, bool)
        for row, one in enumerate(drawings):
            strokes[row, : len(one)], mask[row, : len(one)] = one, True
        return strokes, mask


def rows_for(count: int) -> int:
    """A power of two: few shapes are compiled."""
    return 1 << (max(count, 1) - 1).bit_length()


@functools.lru_cache(maxsize=8)
def encoder(model: SketchModel) -> Callable[..., Any]:
    """Jitted ``encode``; the same one for the same model."""
    return jax.jit(model.encode)  # type: ignore[arg-type]


def spaced(drawings: Sequence[Drawing], count: int) -> list[Drawing]:
    """So many drawings at most, from all over the split."""
    places = np.linspace(0, len(drawings) - 1, min(count, len(drawings))).round().astype(int)
    return [drawings[place] for place in places]


def show(use: SketchUse, drawings: Sequence[Drawing], count: int) -> Callable[[Any, int], str]:
    """``(params, step) -> text``: some drawings and what the model makes of them; what it draws, without an encoder."""
    shown = use.units(spaced(drawings, count))

    def picture(strokes: Sequence[np.ndarray]) -> str:
        return side_by_side([braille(one, COLUMNS, LINES) for one in strokes])

    def draw(params, step: int) -> str:
        own = use._replace(params=params)
        if use.model.encode is None:
            key = jax.random.fold_in(jax.random.key(0), step)
            return picture(own.draw(np.zeros((len(shown), 0)), key, 0.5))
        return f"drawings, and below what is made of them:\n{picture(shown)}\n{picture(own.reconstruct(shown))}"

    return draw


def examine(use: SketchUse, parts: Mapping[str, Sequence[Drawing]], folder: RunFolder | None):
    """``(params, split) -> metrics``: ``named``, and of the test split ``baseline``.

    ``named`` is the share of reconstructions that a classifier of real drawings names rightly, ``named_real`` that of
    the drawings themselves. Given a folder, some of the test split are drawn there.
    """
    learned: list[Namer] = []

    def measure(params, split: str) -> dict[str, float]:
        own, row = use._replace(params=params), {}
        known = [one for one in parts[split] if one.name in use.names]
        if use.model.encode is not None and len(use.names) > 1 and known:
            if not learned:
                learned.append(learn_names(use, [one for one in use.kept().train if one.name]))
            chosen = spaced(known, MOST)
            real = use.units(chosen)
            made = own.reconstruct(real)
            row["named"], row["named_real"] = (
                float(np.mean([a == b.name for a, b in zip(learned[0].name(strokes), chosen, strict=True)]))
                for strokes in (made, real)
            )
        if split == "test" and (rival := use.kept().rival) is not None:
            row["baseline"] = rival.nats(use.units(parts["test"]))
        if split == "test" and folder is not None and use.model.encode is not None:
            print(draw_reconstructions(own, parts["test"], folder))
        return row

    return measure


def learn_names(use: SketchUse, drawings: Sequence[Drawing]) -> Namer:
    """A classifier of real drawings, which have classes."""
    return Namer(use.units(drawings), [one.name for one in drawings])


def draw_reconstructions(use: SketchUse, drawings: Sequence[Drawing], folder: RunFolder) -> str:
    """Write reconstructions.png; say where it is, or what it needs."""
    from seqjax.plots.strokes import sketches

    real = use.units(spaced(drawings, SHOWN))
    rows = {"drawn": [to_lines(one) for one in real], "again": [to_lines(one) for one in use.reconstruct(real)]}
    half = (len(real) + 1) // 2
    table = [row for first in (0, half) for row in (rows["drawn"][first:][:half], rows["again"][first:][:half]) if row]
    try:
        path = folder.path / "reconstructions.png"
        sketches(table, labels=["drawn", "again"] * (len(table) // 2)).savefig(path)
    except (InputError, OSError) as error:
        return f"no reconstructions.png: {error}"
    return f"drawings and their reconstructions: {path}"

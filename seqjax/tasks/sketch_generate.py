"""``seqjax generate RUN --out DIR`` for drawings: samples, variations, reconstructions, interpolations, completions."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import jax
import numpy as np

from seqjax.checks import InputError
from seqjax.data.strokes import to_lines
from seqjax.plots.strokes import sketches, sketches_svg
from seqjax.tasks.sketch_use import SketchUse

What = Literal["all", "samples", "variations", "reconstructions", "interpolations", "completions"]
WIDE = 10  # drawings in a row of samples
BETWEEN = 8  # drawings from one to the other, both included
WAYS = 5  # completions of one beginning
ALIKE = 4  # drawings that a variation lies between
POOL = 1024  # drawings that variations are made of, at most


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerateSketches:
    """Draw with the best checkpoint of a run, into an SVG and a PNG file of each kind."""

    out: str = ""  # folder for the files; made if it is not there
    what: What = "all"  # one kind, or all that the model can
    count: int = 6  # rows of drawings
    temperature: float = 0.3  # near 0 the likeliest way, 1 the model's own distribution
    seed: int = 0  # another seed, other drawings

    def __post_init__(self):
        if not self.out:
            raise InputError("generate: --out DIR should name the folder for the drawings.")
        if not 1 <= self.count <= 10_000:
            raise InputError(f"generate: --count should lie in [1, 10,000], but it is {self.count:,}.")
        if not 0 < self.temperature < float("inf"):
            raise InputError(
                f"generate: --temperature should be finite and above 0, but it is {self.temperature}. Try 0.01 for "
                "the likeliest way."
            )
        if not 0 <= self.seed < 2**31:
            raise InputError(f"generate: --seed should lie in [0, 2^31), but it is {self.seed}.")


class Sheet(NamedTuple):
    """Rows of drawings (T, 3)."""

    rows: Sequence[Sequence[np.ndarray]]
    labels: Sequence[str] = ()


def generate(use: SketchUse, options: GenerateSketches) -> Iterator[str]:
    """Write the files; a line about each."""
    kinds = {"samples": samples, "variations": variations, "reconstructions": reconstructions}
    kinds |= {"interpolations": interpolations, "completions": completions}
    folder = Path(options.out)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: this is a file, but a folder is wanted. Choose another --out.")
    for name, make in kinds.items():
        if options.what not in ("all", name):
            continue
        reason = refusal(use, name)
        if reason and options.what == name:
            raise InputError(f"generate: no {name}: {reason}")
        yield f"no {name}: {reason}" if reason else write(make(use, options), name, folder)


def refusal(use: SketchUse, kind: str) -> str:
    """Why a model cannot draw something; "" where it can."""
    if kind == "samples" and not use.model.prior:
        return "the model's vectors have no distribution to draw from. Try --what variations, or a run of sketch-rnn."
    if kind in ("variations", "reconstructions", "interpolations") and use.model.encode is None:
        return "the model draws from nothing, it does not read drawings. A run of sketch-rnn does."
    return ""


def write(sheet: Sheet, name: str, folder: Path) -> str:
    """Write NAME.svg and NAME.png; say where."""
    rows = [[to_lines(one) for one in row] for row in sheet.rows]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.svg"
    path.write_text(sketches_svg(rows, title=name), encoding="utf-8")
    try:
        sketches(rows, labels=sheet.labels, title=name).savefig(path.with_suffix(".png"), dpi=150)
    except InputError as error:
        return f"{path} (no PNG: {error})"
    return f"{path} and .png"


def chosen(use: SketchUse, options: GenerateSketches, count: int) -> list[np.ndarray]:
    """Drawings of the run's test split, in units of the spread."""
    drawings = use.kept().test
    order = np.random.default_rng(options.seed).permutation(len(drawings))
    return use.units([drawings[number] for number in np.resize(order, count)])


def samples(use: SketchUse, options: GenerateSketches) -> Sheet:
    """From vectors drawn from the prior."""
    vector, pen = jax.random.split(jax.random.key(options.seed))
    latent = np.asarray(jax.random.normal(vector, (options.count * WIDE, use.model.latent)))
    made = use.draw(latent, pen, options.temperature)
    return Sheet([made[first : first + WIDE] for first in range(0, len(made), WIDE)])


def variations(use: SketchUse, options: GenerateSketches) -> Sheet:
    """Drawings nobody drew: from vectors anywhere between those of a few training drawings that are alike.

    Where drawings are few, most of what a prior gives lies far from all of them. This keeps near to them.

    Source:
        Ghosh et al. (2020), From Variational to Deterministic Autoencoders, section 4, for drawing from what the
        training vectors look like; Chawla et al. (2002), SMOTE, for doing so between neighbours.
    """
    kept, random = use.kept(), np.random.default_rng(options.seed)
    pool = kept.train
    vectors = use.encode(use.units([pool[number] for number in random.permutation(len(pool))[:POOL]]))
    latent = [between(vectors, vectors[random.integers(len(vectors))], random) for _ in range(options.count * WIDE)]
    made = use.draw(np.stack(latent), jax.random.key(options.seed), options.temperature)
    return Sheet([made[first : first + WIDE] for first in range(0, len(made), WIDE)])


def between(vectors: np.ndarray, one: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A random point (Z,) between the vectors (N, Z) that are nearest to one.

    Example:
        >>> found = between(np.array([[0.0], [1.0], [2.0], [3.0], [99.0]]), np.array([1.0]), np.random.default_rng(0))
        >>> bool(0 < found[0] < 3)
        True
    """
    nearest = np.argsort(((vectors - one) ** 2).sum(axis=1), kind="stable")[:ALIKE]
    return random.dirichlet(np.ones(len(nearest))) @ vectors[nearest]


def reconstructions(use: SketchUse, options: GenerateSketches) -> Sheet:
    """Drawings of the test split, and below each what the model makes of it."""
    real = chosen(use, options, options.count * WIDE // 2)
    made = use.draw(use.encode(real), jax.random.key(options.seed), options.temperature)
    firsts = range(0, len(real), WIDE)
    rows = [row[first : first + WIDE] for first in firsts for row in (real, made)]
    return Sheet(rows, ["drawn", "again"] * len(firsts))


def interpolations(use: SketchUse, options: GenerateSketches) -> Sheet:
    """From one drawing to another, along the arc between their vectors.

    Source:
        White (2016), Sampling Generative Networks, for the arc; Ha & Eck (2017), section 4.3.
    """
    ends = use.encode(chosen(use, options, 2 * options.count))
    way = np.concatenate([arc(ends[2 * n], ends[2 * n + 1], np.linspace(0, 1, BETWEEN)) for n in range(options.count)])
    made = use.draw(way, jax.random.key(options.seed), options.temperature)
    return Sheet([made[first : first + BETWEEN] for first in range(0, len(made), BETWEEN)])


def arc(one: np.ndarray, other: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Vectors (P, Z) from one (Z,) to another along the arc; places lie in [0, 1].

    Example:
        >>> arc(np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([0.0, 0.5])).round(3).tolist()
        [[1.0, 0.0], [0.707, 0.707]]
    """
    lengths = np.linalg.norm(one) * np.linalg.norm(other)
    angle = np.arccos(np.clip(one @ other / max(lengths, 1e-12), -1, 1))
    places = np.asarray(places)[:, None]
    if np.sin(angle) < 1e-6:
        return (1 - places) * one + places * other
    return (np.sin((1 - places) * angle) * one + np.sin(places * angle) * other) / np.sin(angle)


def completions(use: SketchUse, options: GenerateSketches) -> Sheet:
    """The first half of drawings of the test split, and several ways to go on."""
    beginnings = [one[: (len(one) + 1) // 2] for one in chosen(use, options, options.count)]
    latent = np.zeros((options.count, 0)) if use.model.encode is None else use.encode(beginnings)
    repeated = [one for one in beginnings for _ in range(WAYS)]
    key = jax.random.key(options.seed)
    made = use.draw(np.repeat(latent, WAYS, axis=0), key, options.temperature, repeated)
    rows = [[one, *made[WAYS * n : WAYS * (n + 1)]] for n, one in enumerate(beginnings)]
    return Sheet(rows)

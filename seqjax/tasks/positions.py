"""What a trained model is told about places, drawn: ``seqjax inspect RUN --positions DIR``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.checks import InputError
from seqjax.ops.positions import rotary, sinusoidal
from seqjax.tasks.session import best_of, open_existing

SHOWN = 64  # positions drawn, where no table says how many there are


def save_positions(path: str, folder: Path) -> list[Path]:
    """Draw every encoding of positions that a run's model has; return the files.

    Learned ones are drawn as they were learned, sinusoids as they are, rotary ones as what they make of a vector whose
    pairs are all (1, 0): cosines, then sines.

    Args:
        path: the run.
        folder: where the pictures go; it is made.

    Raises:
        InputError: it is no run, nothing was trained, its model is told nothing about places or has no table of
            them, or the extra ``viz`` is missing.
    """
    from seqjax.plots import positional_encodings

    run = open_existing(path)
    params, step = best_of(run)
    tables = dict(learned_tables(params)) | fixed_tables(run.config)
    if not tables:
        kind = getattr(getattr(run.config, "model", None), "positions", "none").replace("none", "no")
        raise InputError(
            f"inspect: --positions: the model of {path} has no table of positions to draw: "
            + ("its positions are ALiBi's, one slope a head." if kind == "alibi" else f"it has {kind} positions.")
        )
    if folder.exists() and not folder.is_dir():
        raise InputError(f"inspect: --positions {folder}: this should be a folder, but it is a file.")
    files = []
    for name, table in tables.items():
        drawn = positional_encodings(table, title=f"{name} of {Path(path).name}, step {step:,}")
        folder.mkdir(parents=True, exist_ok=True)
        files.append(folder / f"{name.replace(' ', '-')}.png")
        drawn.savefig(files[-1])
        drawn.clear()
    return files


def learned_tables(params) -> Iterator[tuple[str, np.ndarray]]:
    """Names and tables (T, D) of learned positions, wherever they are in the parameters."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        *place, last = [str(getattr(key, "key", key)) for key in path]
        if last == "table" and place and place[-1] == "positions":
            yield " ".join([*place[:-1], "positions"]), np.asarray(leaf, np.float32)


def fixed_tables(config: Any) -> dict[str, np.ndarray]:
    """Tables (T, ·) of positions that are not learned, of a configuration's ``model`` and of the ``reader`` in it."""
    model = getattr(config, "model", None)
    found = {}
    part: Any
    for part in (model, getattr(model, "reader", None)):
        kind, width = getattr(part, "positions", None), getattr(part, "features", 0)
        places = jnp.arange(getattr(getattr(config, "data", None), "length", 0) or SHOWN)
        if kind == "sinusoidal":
            found["sinusoidal positions"] = np.asarray(sinusoidal(places, width))
        elif kind == "rotary":
            head = width // part.heads
            half = jnp.arange(head) < head // 2
            ones = jnp.broadcast_to(half.astype(jnp.float32), (len(places), 1, len(half)))
            found["rotary positions"] = np.asarray(rotary(ones, places)[:, 0])
    return found

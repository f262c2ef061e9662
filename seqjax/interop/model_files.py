"""The folder in which the transformers library keeps a model: what it says of itself, and its weights."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seqjax.checks import InputError, check_count

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"


def read_config(folder: str | os.PathLike) -> dict[str, Any]:
    """What ``config.json`` says.

    Raises:
        InputError: no such file, or a broken one.
    """
    return read_json(Path(folder) / CONFIG)


def check_fixed(folder: str | os.PathLike, said: Mapping[str, Any], model: str, fixed: Mapping[str, Any]) -> None:
    """Refuse what a model here could not be told.

    Args:
        folder: where ``config.json`` is.
        said: what it says.
        model: what it should be.
        fixed: what may be said only so, because the model here has nothing else.
    """
    for name, wanted in fixed.items():
        if said.get(name, wanted) != wanted:
            path = Path(folder) / CONFIG
            raise InputError(f"{path}: `{name}` should be {wanted!r} for a {model}, but it is {said[name]!r}.")


def size_in(folder: str | os.PathLike, said: Mapping[str, Any], name: str) -> int:
    """A size that ``config.json`` speaks of.

    Raises:
        InputError: it is none.
    """
    check_count(str(Path(folder) / CONFIG), name, said.get(name))
    return said[name]


def read_arrays(folder: str | os.PathLike) -> dict[str, np.ndarray]:
    """The weights in a folder by name, in float32: ``model.safetensors``, or the files that its index names.

    Raises:
        InputError: no such file, a broken one, or the extra ``pretrained`` is not installed.
    """
    index = Path(folder) / INDEX
    names = [WEIGHTS]
    if index.exists():
        where = read_json(index).get("weight_map")
        if not isinstance(where, dict) or not where:
            raise InputError(f"{index}: `weight_map` should name a file for each array, but it is {where!r:.40}.")
        names = sorted({str(name) for name in where.values()})
    found: dict[str, np.ndarray] = {}
    for name in names:
        found |= _read_file(Path(folder) / name)
    return found


def _read_file(path: Path) -> dict[str, np.ndarray]:
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError:
        raise InputError("Files of weights need the extra `pretrained`: pip install 'seqjax[pretrained]'.") from None
    if not path.is_file():
        raise InputError(
            f"{path}: there is no such file. Weights are read from {WEIGHTS}; pickled ones (.bin) run code when they "
            "are read: load them where you trust them, and save them as safetensors."
        )
    try:
        found = {name: np.asarray(array, np.float32) for name, array in load_file(path).items()}
    except (AttributeError, KeyError, TypeError) as error:  # a type that NumPy does not have
        raise InputError(f"{path} holds numbers that cannot be read ({error}). Save them as float32.") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is broken: {error}. Fetch it again.") from None
    for name, array in found.items():
        if not np.isfinite(array).all():
            raise InputError(f"{path}: `{name}` holds numbers that are not finite.")
    return found


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object in a file.

    Raises:
        InputError: no such file, or a broken one.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}. A folder with {CONFIG} and {WEIGHTS} is wanted."
        ) from None
    except ValueError as error:
        raise InputError(f"{path} is broken: {error}. Fetch it again.") from None
    if not isinstance(said, dict):
        raise InputError(f"{path} should hold a JSON object, but it holds {type(said).__name__}.")
    return said

"""The folder in which the transformers library keeps a GPT-2: its shape, and its weights.

V vocabulary, D features, C context, L layers.
"""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqjax.checks import InputError, check_count

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
ACTIVATIONS = {"gelu_new": "gelu-tanh", "gelu_pytorch_tanh": "gelu-tanh", "gelu": "gelu", "relu": "relu"}
FIXED = {  # what may be said only so, because the model here has nothing else
    "model_type": "gpt2",
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
}


class GPT2Shape(NamedTuple):
    """What ``config.json`` says."""

    features: int  # D
    layers: int  # L
    heads: int
    context: int  # C
    hidden: int  # inner width of the feed-forward networks
    activation: str  # by the names of seqjax.models.GPTConfig


def read_shape(folder: str | os.PathLike) -> GPT2Shape:
    """The shape of the GPT-2 in a folder.

    Raises:
        InputError: no folder, no or a broken ``config.json``, or a model that is no GPT-2 or an unusual one.
    """
    path = Path(folder) / CONFIG
    said = _read_json(path)
    for name, wanted in FIXED.items():
        if said.get(name, wanted) != wanted:
            raise InputError(f"{path}: `{name}` should be {wanted!r} for a GPT-2, but it is {said[name]!r}.")
    activation = said.get("activation_function", "gelu_new")
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise InputError(f"{path}: `activation_function` should be one of {', '.join(ACTIVATIONS)}, not {activation}.")
    features, layers, heads, context = (_size(path, said, n) for n in ("n_embd", "n_layer", "n_head", "n_positions"))
    hidden = 4 * features if said.get("n_inner") is None else _size(path, said, "n_inner")
    return GPT2Shape(features, layers, heads, context, hidden, ACTIVATIONS[activation])


def read_arrays(folder: str | os.PathLike) -> dict[str, np.ndarray]:
    """The weights in a folder by name, in float32: ``model.safetensors``, or the files that its index names.

    Raises:
        InputError: no such file, a broken one, or the extra ``pretrained`` is not installed.
    """
    index = Path(folder) / INDEX
    names = [WEIGHTS]
    if index.exists():
        where = _read_json(index).get("weight_map")
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


def _read_json(path: Path) -> dict[str, Any]:
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


def _size(path: Path, said: dict[str, Any], name: str) -> int:
    check_count(str(path), name, said.get(name))
    return said[name]

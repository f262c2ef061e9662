"""What the files of the transformers library say of the shape of a GPT-2."""

import os
from pathlib import Path
from typing import NamedTuple

from seqjax.checks import InputError
from seqjax.interop.model_files import CONFIG, check_fixed, read_config, size_in

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
    said = read_config(folder)
    check_fixed(folder, said, "GPT-2", FIXED)
    activation = said.get("activation_function", "gelu_new")
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        path = Path(folder) / CONFIG
        raise InputError(f"{path}: `activation_function` should be one of {', '.join(ACTIVATIONS)}, not {activation}.")
    features, layers, heads, context = (
        size_in(folder, said, n) for n in ("n_embd", "n_layer", "n_head", "n_positions")
    )
    hidden = 4 * features if said.get("n_inner") is None else size_in(folder, said, "n_inner")
    return GPT2Shape(features, layers, heads, context, hidden, ACTIVATIONS[activation])

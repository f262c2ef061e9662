"""BERT's weights as the transformers library names them, to the parameters of :mod:`seqjax.models.bert`.

V vocabulary, D features, F hidden features, L layers. A linear map is (out, in) there, (in, out) here.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqjax.checks import InputError
from seqjax.interop.named import NORM, array_of, count_layers, stacked

EMBEDDINGS = {"tokens": "word_embeddings", "positions": "position_embeddings", "segments": "token_type_embeddings"}
OLDER = {"gamma": "weight", "beta": "bias"}
HEADS = "cls.predictions.bias"  # stands in models that fill in masks


def bert_parameters(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Parameters of :class:`seqjax.models.bert.MaskedBERT`, or, where there are no heads, of its ``bert`` alone.

    The number of heads of attention and the ids of [CLS], [SEP] and [MASK] are not among the weights: they stand in
    the configuration and the vocabulary that came with them. For pickled tensors, give
    ``{name: tensor.numpy() for name, tensor in model.state_dict().items()}``.

    Args:
        arrays: by their names, as of ``BertForPreTraining``, ``BertForMaskedLM`` or ``BertModel``.

    Returns:
        A nested dict. Heads that are not in ``arrays`` are left out: take those of a fresh model.

    Raises:
        InputError: an array is missing, the layers are not numbered from 0 on, or are not alike, or the output has a
            table of its own.

    Example:
        >>> bert_parameters({"embeddings.word_embeddings.weight": np.ones((7, 4))})
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: bert_parameters: `embeddings.position_embeddings.weight` is missing ...
    """
    arrays = {_renamed(name): array for name, array in arrays.items()}
    inside = "bert." if any(name.startswith("bert.") for name in arrays) else ""
    own = {name.removeprefix(inside): array for name, array in arrays.items() if name.startswith(inside)}
    bert: dict[str, Any] = {
        part: {"table": _array(own, f"embeddings.{name}.weight")} for part, name in EMBEDDINGS.items()
    }
    bert["norm"] = _norm(own, "embeddings.LayerNorm")
    layers = count_layers("bert_parameters", own, "encoder.layer.")
    bert["deep"] = {"blocks": _blocks(own, layers)}
    if any(name.startswith("pooler.") for name in own):
        bert["pooler"] = _linear(own, "pooler.dense")
    if HEADS not in arrays:
        return {"bert": bert}
    tied, own_table = bert["tokens"]["table"], arrays.get("cls.predictions.decoder.weight")
    if own_table is not None and not np.array_equal(own_table, tied):
        raise InputError(
            "bert_parameters: `cls.predictions.decoder.weight` should be the table of words, as the model here has it, "
            "but it is another. Only models with tied embeddings can be read."
        )
    found = {"bert": bert, "bias": _array(arrays, HEADS)}
    found["transform"] = _linear(arrays, "cls.predictions.transform.dense")
    found["norm"] = _norm(arrays, "cls.predictions.transform.LayerNorm")
    if "cls.seq_relationship.weight" in arrays:
        found["relation"] = _linear(arrays, "cls.seq_relationship")
    return found


def _renamed(name: str) -> str:
    """The name that a layer norm's scale and bias have since: the files of 2018 say gamma and beta."""
    whole, dot, last = name.rpartition(".")
    return whole + dot + OLDER.get(last, last)


def _blocks(arrays: Mapping[str, np.ndarray], layers: int) -> dict[str, Any]:
    """All layers as one, each array (L, ...); queries, keys and values are one product here."""

    def linear(name: str) -> dict[str, np.ndarray]:
        kernel, bias = (_layers(arrays, layers, f"{name}.{kind}") for kind in ("weight", "bias"))
        return {"kernel": kernel.swapaxes(1, 2), "bias": bias}

    def norm(name: str) -> dict[str, np.ndarray]:
        return {own: _layers(arrays, layers, f"{name}.{their}") for own, their in NORM.items()}

    parts = [linear(f"attention.self.{name}") for name in ("query", "key", "value")]
    inputs = {name: np.concatenate([part[name] for part in parts], axis=-1) for name in ("kernel", "bias")}
    return {
        "mixer": {"inputs": inputs, "output": linear("attention.output.dense")},
        "mixer_norm": norm("attention.output.LayerNorm"),
        "feed_forward": {"up": linear("intermediate.dense"), "down": linear("output.dense")},
        "feed_forward_norm": norm("output.LayerNorm"),
    }


def _layers(arrays: Mapping[str, np.ndarray], layers: int, name: str) -> np.ndarray:
    names = [f"encoder.layer.{number}.{name}" for number in range(layers)]
    return stacked("bert_parameters", {one: _array(arrays, one) for one in names})


def _linear(arrays: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    return {"kernel": _array(arrays, f"{name}.weight").T, "bias": _array(arrays, f"{name}.bias")}


def _norm(arrays: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    return {own: _array(arrays, f"{name}.{their}") for own, their in NORM.items()}


def _array(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    return array_of("bert_parameters", "BERT", arrays, name)

"""BERT's weights as the transformers library names them, to the parameters of :mod:`seqjax.models.bert`.

V vocabulary, D features, F hidden features, L layers. A linear map is (out, in) there, (in, out) here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seqjax.interop.named import NORM, array_of, count_layers

EMBEDDINGS = {"tokens": "word_embeddings", "positions": "position_embeddings", "segments": "token_type_embeddings"}
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
        InputError: an array is missing, or the layers are not numbered from 0 on.

    Example:
        >>> bert_parameters({"embeddings.word_embeddings.weight": np.ones((7, 4))})
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: bert_parameters: `embeddings.position_embeddings.weight` is missing ...
    """
    inside = "bert." if any(name.startswith("bert.") for name in arrays) else ""
    own = {name.removeprefix(inside): array for name, array in arrays.items() if name.startswith(inside)}
    bert: dict[str, Any] = {
        part: {"table": _array(own, f"embeddings.{name}.weight")} for part, name in EMBEDDINGS.items()
    }
    bert["norm"] = _norm(own, "embeddings.LayerNorm")
    layers = count_layers("bert_parameters", own, "encoder.layer.")
    bert["deep"] = {"blocks": _stacked([_block(own, f"encoder.layer.{n}.") for n in range(layers)])}
    if any(name.startswith("pooler.") for name in own):
        bert["pooler"] = _linear(own, "pooler.dense")
    if HEADS not in arrays:
        return {"bert": bert}
    found = {"bert": bert, "bias": _array(arrays, HEADS)}
    found["transform"] = _linear(arrays, "cls.predictions.transform.dense")
    found["norm"] = _norm(arrays, "cls.predictions.transform.LayerNorm")
    if "cls.seq_relationship.weight" in arrays:
        found["relation"] = _linear(arrays, "cls.seq_relationship")
    return found


def _block(arrays: Mapping[str, np.ndarray], place: str) -> dict[str, Any]:
    """One layer; queries, keys and values are one product here."""
    parts = [_linear(arrays, f"{place}attention.self.{name}") for name in ("query", "key", "value")]
    inputs = {name: np.concatenate([part[name] for part in parts], axis=-1) for name in ("kernel", "bias")}
    up, down = _linear(arrays, f"{place}intermediate.dense"), _linear(arrays, f"{place}output.dense")
    return {
        "mixer": {"inputs": inputs, "output": _linear(arrays, f"{place}attention.output.dense")},
        "mixer_norm": _norm(arrays, f"{place}attention.output.LayerNorm"),
        "feed_forward": {"up": up, "down": down},
        "feed_forward_norm": _norm(arrays, f"{place}output.LayerNorm"),
    }


def _stacked(blocks: Sequence[dict]) -> dict[str, Any]:
    """Layers alike as one, each array (L, ...)."""
    first = blocks[0]
    return {
        name: _stacked([block[name] for block in blocks])
        if isinstance(first[name], dict)
        else np.stack([block[name] for block in blocks])
        for name in first
    }


def _linear(arrays: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    return {"kernel": _array(arrays, f"{name}.weight").T, "bias": _array(arrays, f"{name}.bias")}


def _norm(arrays: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    return {own: _array(arrays, f"{name}.{their}") for own, their in NORM.items()}


def _array(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    return array_of("bert_parameters", "BERT", arrays, name)

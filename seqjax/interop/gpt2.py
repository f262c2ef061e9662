"""GPT-2's weights as the transformers library names them, to and from the parameters of :mod:`seqjax.models.gpt`.

V vocabulary, D features, C context, L layers. Linear maps are (in, out) on both sides.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqjax.checks import InputError, check_shape
from seqjax.interop.named import NORM, array_of, count_layers, stacked

LINEAR = {"kernel": "weight", "bias": "bias"}
PARTS = {  # of a block: path here, name there, arrays here and there
    ("mixer_norm",): ("ln_1", NORM),
    ("mixer", "inputs"): ("attn.c_attn", LINEAR),
    ("mixer", "output"): ("attn.c_proj", LINEAR),
    ("feed_forward_norm",): ("ln_2", NORM),
    ("feed_forward", "up"): ("mlp.c_fc", LINEAR),
    ("feed_forward", "down"): ("mlp.c_proj", LINEAR),
}
INSIDE = "transformer."  # stands before all names but the head's in models that score symbols
HEAD = "lm_head.weight"


def gpt2_parameters(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Parameters of :class:`seqjax.models.gpt.GPT` with ``positions="learned"`` and ``place="pre"``.

    The number of heads of attention is not among the weights. Neither masks nor a head that is the embedding itself
    are read.

    Args:
        arrays: by their names, as of ``GPT2LMHeadModel`` or ``GPT2Model``.

    Returns:
        A nested dict. With ``head`` where symbols are scored by other weights than their embeddings: ``tied=False``.

    Raises:
        InputError: an array is missing, or the layers are not numbered from 0 on.

    Source:
        Radford et al. (2019), Language Models are Unsupervised Multitask Learners.

    Example:
        >>> gpt2_parameters({"wte.weight": np.ones((7, 4))})
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: gpt2_parameters: `wpe.weight` is missing among 1 arrays. Are these ...?
    """
    own = {name.removeprefix(INSIDE): array for name, array in arrays.items()}
    table = _array(own, "wte.weight")
    found: dict[str, Any] = {
        "embedding": {"table": table},
        "positions": {"table": _array(own, "wpe.weight")},
        "norm": {here: _array(own, f"ln_f.{there}") for here, there in NORM.items()},
        "deep": {"blocks": _blocks(own, count_layers("gpt2_parameters", own, "h."))},
    }
    head = own.get(HEAD)
    if head is not None and not np.array_equal(head, table):
        found["head"] = {"kernel": np.asarray(head).T, "bias": np.zeros(len(head), head.dtype)}
    return found


def gpt2_arrays(params: Mapping[str, Any], ids: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """The way back: weights by the names of ``GPT2LMHeadModel``, from parameters of a GPT of that shape.

    Args:
        params: a nested dict, as :func:`gpt2_parameters` gives it, or as training leaves it. Heads, the activation and
            a ``window``, which GPT-2 does not have, are not among them.
        ids: (V,), the id there of each symbol here, where they are numbered otherwise: of a run that ``seqjax import``
            made, or that started from one, what :func:`seqjax.data.adopted.adopt_tokenizer` says of the files. Rows of
            symbols that were left out are zero; behind the last id there are none.

    Raises:
        InputError: the model is no GPT-2: it scores symbols with a bias, its heads share keys, its networks have gates
            (``"swiglu"``), or a part is missing; ``ids`` are not one for each symbol, each another.

    Example:
        >>> gpt2_arrays({"embedding": {"table": np.ones((7, 4))}, "deep": {"blocks": {}}})
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: gpt2_arrays: the parameters have no `positions`. Is this a GPT with learned ...?
    """
    table = _numbered(_part(params, ("embedding", "table")), ids)
    arrays = {f"{INSIDE}wte.weight": table, f"{INSIDE}wpe.weight": _part(params, ("positions", "table"))}
    arrays |= {f"{INSIDE}ln_f.{there}": _part(params, ("norm", here)) for here, there in NORM.items()}
    _check_kernels(params)
    for path, (name, kinds) in PARTS.items():
        for here, there in kinds.items():
            for number, array in enumerate(_part(params, ("deep", "blocks", *path, here))):
                arrays[f"{INSIDE}h.{number}.{name}.{there}"] = array
    if "head" in params and np.any(params["head"]["bias"]):
        raise InputError("gpt2_arrays: the head of GPT-2 has no bias, but that of these parameters is not zero.")
    arrays[HEAD] = _numbered(np.asarray(params["head"]["kernel"]).T, ids) if "head" in params else table
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _check_kernels(params: Mapping[str, Any]) -> None:
    """Refuse heads that share keys and values, and networks with gates: their maps have other shapes."""
    layers, hidden, width = _part(params, ("deep", "blocks", "feed_forward", "down", "kernel")).shape
    for part, letters, columns, hint in (
        (("mixer", "inputs"), "(L, D, 3D)", 3 * width, "In GPT-2 each head has keys of its own: kv_heads=0."),
        (("feed_forward", "up"), "(L, D, F)", hidden, "GPT-2 has no gates: activation='gelu-tanh'."),
    ):
        path = ("deep", "blocks", *part, "kernel")
        check_shape("gpt2_arrays", "/".join(path), _part(params, path), letters, (layers, width, columns), hint)


def _numbered(rows: np.ndarray, ids: np.ndarray | None) -> np.ndarray:
    """Rows (V, D) in the order of the ids there."""
    if ids is None:
        return rows
    ids = np.asarray(ids)
    check_shape("gpt2_arrays", "ids", ids, "(V,)", (len(rows),), "Are they of the files that the run was made of?")
    if ids.min(initial=0) < 0 or len(np.unique(ids)) < len(ids):
        raise InputError("gpt2_arrays: `ids` should be at least 0, each another, but they are not.")
    placed = np.zeros((int(ids.max()) + 1, rows.shape[1]), rows.dtype)
    placed[ids] = rows
    return placed


def _blocks(arrays: Mapping[str, np.ndarray], layers: int) -> dict[str, Any]:
    """All layers as one, each array (L, ...)."""
    blocks: dict[str, Any] = {}
    for path, (name, kinds) in PARTS.items():
        place = blocks
        for part in path[:-1]:
            place = place.setdefault(part, {})
        place[path[-1]] = {}
        for here, there in kinds.items():
            names = [f"h.{number}.{name}.{there}" for number in range(layers)]
            place[path[-1]][here] = stacked("gpt2_parameters", {one: _array(arrays, one) for one in names})
    return blocks


def _array(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    return array_of("gpt2_parameters", "GPT-2", arrays, name)


def _part(params: Mapping[str, Any], path: tuple[str, ...]) -> np.ndarray:
    part: Any = params
    for name in path:
        if not isinstance(part, Mapping) or name not in part:
            raise InputError(
                f"gpt2_arrays: the parameters have no `{'/'.join(path[: path.index(name) + 1])}`. Is this a GPT with "
                "learned positions, layer norms before each part, and attention in every block?"
            )
        part = part[name]
    return np.asarray(part)

"""Trees of arrays as flat dicts of named NumPy arrays, and back.

A checkpoint holds names such as ``layers/0/kernel`` and no tree, so optimiser states come back as the
NamedTuples they were, int keys as ints, and empty nodes cost nothing.
"""

from typing import Any

import jax
import numpy as np

from seqjax.checks import InputError

Outline = dict[str, list]  # name -> [type, shape], ready for JSON


def flatten(where: str, tree: Any) -> dict[str, np.ndarray]:
    """Name every leaf of a tree and copy it, so that later changes do not reach the copy.

    Raises:
        InputError: a leaf is no array of numbers, or two leaves have one name.

    Example:
        >>> flatten("opt", {"layers": [np.float32(1.5)], "empty": ()})
        {'layers/0': array(1.5, dtype=float32)}
    """
    flat: dict[str, np.ndarray] = {}
    for name, leaf in _named(tree):
        if name in flat:
            raise InputError(f"{where}: two leaves have the name `{name}`. Rename a key that holds a slash.")
        if jax.dtypes.issubdtype(getattr(leaf, "dtype", np.float32), jax.dtypes.prng_key):
            raise InputError(f"{where}: `{name}` is a random key. Save `jax.random.key_data(key)`, which is uint32.")
        flat[name] = np.array(leaf)
        if flat[name].dtype.kind in "OSUMm":
            raise InputError(f"{where}: `{name}` should be an array of numbers, but it is a {type(leaf).__name__}.")
    return flat


def outline(flat: dict[str, np.ndarray]) -> Outline:
    """Types and shapes by name.

    Example:
        >>> outline({"bias": np.zeros((2,), np.float32)})
        {'bias': ['float32', [2]]}
    """
    return {name: [str(leaf.dtype), list(leaf.shape)] for name, leaf in flat.items()}


def abstract_outline(target: Any) -> Outline:
    """The outline of an abstract tree: leaves with ``shape`` and ``dtype``, or Python numbers."""
    found: Outline = {}
    for name, leaf in _named(target):
        leaf = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
        found[name] = [str(leaf.dtype), list(leaf.shape)]
    return found


def mismatches(wanted: Outline, held: Outline) -> list[str]:
    """Sentences that say where two outlines differ.

    Example:
        >>> mismatches({"bias": ["float32", [4]]}, {"bias": ["float32", [2]], "scale": ["float32", []]})
        ['`bias` should be float32 (4,), but it is float32 (2,)', '`scale` float32 () is not wanted']
    """
    found = []
    for name in wanted.keys() | held.keys():
        if name not in held:
            found.append(f"`{name}` {_words(wanted[name])} is missing")
        elif name not in wanted:
            found.append(f"`{name}` {_words(held[name])} is not wanted")
        elif wanted[name] != held[name]:
            found.append(f"`{name}` should be {_words(wanted[name])}, but it is {_words(held[name])}")
    return sorted(found)


def rebuild(target: Any, flat: dict[str, np.ndarray]) -> Any:
    """The tree of ``target`` with the arrays of ``flat``; Python numbers come back as Python numbers."""
    leaves = [flat[name] if hasattr(leaf, "dtype") else type(leaf)(flat[name]) for name, leaf in _named(target)]
    return jax.tree.unflatten(jax.tree.structure(target), leaves)


def _named(tree: Any) -> list[tuple[str, Any]]:
    pairs = jax.tree_util.tree_flatten_with_path(tree)[0]
    return [(jax.tree_util.keystr(path, simple=True, separator="/") or "value", leaf) for path, leaf in pairs]


def _words(entry: list) -> str:
    return f"{entry[0]} {tuple(entry[1])}"

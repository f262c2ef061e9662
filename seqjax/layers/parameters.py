"""Between pure functions, which take NamedTuples and dicts, and NNX modules, which own Params."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from flax import nnx


class Parameters(nnx.Module):
    """A NamedTuple of arrays, each field owned as one ``nnx.Param``.

    Args:
        values: a NamedTuple of arrays, such as ``cell.init`` gives.

    Example:
        >>> from seqjax import cells
        >>> owned = Parameters(cells.LSTM.init(jax.random.key(0), 3, 4))
        >>> owned.values().bias.shape
        (16,)
    """

    def __init__(self, values):
        self.kind = type(values)
        for name, value in values._asdict().items():
            setattr(self, name, nnx.Param(value))

    def values(self):
        """The NamedTuple again, of the arrays as they are now."""
        return self.kind(*(getattr(self, name)[...] for name in self.kind._fields))


class Functional(NamedTuple):
    """A module as a pure function of a nested dict of arrays."""

    params: dict[str, Any]
    apply: Callable[..., Any]  # (params, *args, method=None, **kwargs)


def functional(module: nnx.Module) -> Functional:
    """Split a module into its parameters, a plain nested dict, and a pure ``apply(params, …)``.

    Plain dicts are what crosses the training step and what checkpoints hold.

    Args:
        module: any NNX module whose variables are all Params.

    Example:
        >>> from seqjax.layers import Linear
        >>> layer = Linear(3, 4, rngs=nnx.Rngs(0))
        >>> params, apply = functional(layer)
        >>> sorted(params), apply(params, jax.numpy.ones((2, 3))).shape
        (['bias', 'kernel'], (2, 4))
    """
    definition, state = nnx.split(module)

    def apply(params, *args, method: str = "__call__", **kwargs):
        variables = jax.tree.map(lambda leaf: leaf, state)
        nnx.replace_by_pure_dict(variables, params)
        return getattr(nnx.merge(definition, variables), method)(*args, **kwargs)

    return Functional(nnx.to_pure_dict(state), apply)


def parameter_table(params) -> list[tuple[str, tuple[int, ...], int]]:
    """One row a parameter: name, shape, count of numbers.

    Example:
        >>> parameter_table({"kernel": jax.numpy.ones((3, 4))})
        [('kernel', (3, 4), 12)]
    """
    rows: list[tuple[str, tuple[int, ...], int]] = []

    def add(path, leaf) -> None:
        rows.append((jax.tree_util.keystr(path, simple=True, separator="."), tuple(leaf.shape), int(leaf.size)))

    jax.tree_util.tree_map_with_path(add, params)
    return rows

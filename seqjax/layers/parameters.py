"""Between pure functions, which take NamedTuples and dicts, and NNX modules, which own Params."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx

from seqjax.checks import InputError, nearest


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

    Raises:
        InputError: from ``apply``, where ``params`` lack a part, have one too many, or one of another shape.

    Example:
        >>> from seqjax.layers import Linear
        >>> layer = Linear(3, 4, rngs=nnx.Rngs(0))
        >>> params, apply = functional(layer)
        >>> sorted(params), apply(params, jax.numpy.ones((2, 3))).shape
        (['bias', 'kernel'], (2, 4))
    """
    definition, state = nnx.split(module)
    wanted, name = _shapes(nnx.to_pure_dict(state)), type(module).__name__

    def apply(params, *args, method: str = "__call__", **kwargs):
        _check_parts(name, wanted, _shapes(params))
        variables = jax.tree.map(lambda leaf: leaf, state)
        nnx.replace_by_pure_dict(variables, params)
        return getattr(nnx.merge(definition, variables), method)(*args, **kwargs)

    return Functional(nnx.to_pure_dict(state), apply)


def _shapes(params) -> dict[str, tuple[int, ...]]:
    """By name; layers apart, a tuple of arrays, have the shape of a stack of them."""
    found = jax.tree.leaves_with_path(params, is_leaf=lambda leaf: isinstance(leaf, tuple))
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): (len(leaf), *np.shape(leaf[0]))
        if isinstance(leaf, tuple)
        else np.shape(leaf)
        for path, leaf in found
    }


def _check_parts(name: str, wanted: dict[str, tuple[int, ...]], given: dict[str, tuple[int, ...]]) -> None:
    if given == wanted:
        return
    for part in [*given, *wanted]:
        if part not in wanted:
            raise InputError(f"{name}: there should be no parameter `{part}`. {nearest(part, wanted)}")
        if part not in given:
            raise InputError(f"{name}: the parameters should have `{part}` {wanted[part]}, but it is missing.")
        if given[part] != wanted[part]:
            raise InputError(f"{name}: the parameter `{part}` should be {wanted[part]}, but it is {given[part]}.")


def check_states(where: str, state, layers: int) -> None:
    """Refuse states that are not one a layer; None is none.

    Example:
        >>> check_states("Stack", (1, 2, 3), 2)
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: Stack: `state` should be one a layer, 2, but they are 3.
    """
    if state is not None and len(state) != layers:
        raise InputError(f"{where}: `state` should be one a layer, {layers}, but they are {len(state)}.")


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

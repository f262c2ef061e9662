"""What a model is to the engine: weights made ready once, a start, and one step.

B batch (rows), V vocabulary. Recurrent models keep their state in ``state``, attention models a key/value cache of
fixed size; the engine does not look inside.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from seqjax.checks import InputError, check_shape


def identity(params):
    """Weights that are the parameters themselves."""
    return params


class Decodable(NamedTuple):
    """A model to the engine. Make it once and keep it: another triple of functions is compiled anew.

    Attributes:
        start: ``(weights, inputs) -> (memory, state)``. ``inputs`` is whatever the model wants (a prompt and
            its mask, a picture, None). ``memory`` stays as it is (encoder outputs); ``state`` is carried on,
            and every leaf of both leads with the row axis, (B, ...).
        advance: ``(weights, memory, state, last) -> (state, logits)``: read one token of every row, ``last`` (B,)
            int32, and give the logits (B, V) of the next. The state keeps its shapes and types.
        prepare: ``params -> weights``, once before the first step: cuts, casts and products of parameters that
            every step would make again.
        within: ``steps -> Decodable``: the same model, of which no more than so many steps will be asked; it need
            remember no more. None: it remembers as much whatever is asked. The same number gives the same model.

    Example:
        >>> stacked = jnp.arange(8.0).reshape(2, 4)                     # two layers in one array
        >>> model = Decodable(
        ...     start=lambda weights, inputs: ((), ()),
        ...     advance=lambda weights, memory, state, last: (state, weights[1][last][:, None] * jnp.ones(3)),
        ...     prepare=lambda params: (params[0], params[1]),          # cut once, not in every step
        ... )
        >>> model.advance(model.prepare(stacked), (), (), jnp.array([2]))[1].tolist()
        [[6.0, 6.0, 6.0]]
    """

    start: Callable[[Any, Any], tuple[Any, Any]]
    advance: Callable[[Any, Any, Any, Array], tuple[Any, Array]]
    prepare: Callable[[Any], Any] = identity
    within: Callable[[int], "Decodable"] | None = None


def for_steps(model: Decodable, steps: int) -> Decodable:
    """The model for at most ``steps`` steps, or a few more: sixteens, lest every number be compiled for itself.

    A cache of half the slots is read in half the time.
    """
    return model if model.within is None else model.within(-(-steps // 16) * 16)


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class AsGiven:
    """A weight that is a parameter as it was given; a compiled function would return a copy."""

    place: int  # among the leaves of the parameters


def open_model(model: Decodable, params, inputs) -> tuple[Any, Any, Any]:
    """``(weights, memory, state)``: all that is computed before the first step. Weights are never computed again."""
    params = jax.device_put(params)  # once: a compiled function copies NumPy's at each call
    weights, memory, state = _open(model, params, inputs)
    given = jax.tree.leaves(params)

    def find(leaf):
        return given[leaf.place] if isinstance(leaf, AsGiven) else leaf

    return jax.tree.map(find, weights, is_leaf=lambda leaf: isinstance(leaf, AsGiven)), memory, state


@functools.partial(jax.jit, static_argnums=0)
def _open(model: Decodable, params, inputs):
    weights = model.prepare(params)
    memory, state = model.start(weights, inputs)
    places = {id(leaf): place for place, leaf in enumerate(jax.tree.leaves(params))}
    return jax.tree.map(lambda leaf: AsGiven(places[id(leaf)]) if id(leaf) in places else leaf, weights), memory, state


@functools.partial(jax.jit, static_argnums=0, inline=True)
def advance(model: Decodable, weights, memory, state, last: Array):
    """Jitted so that one trace serves the check, every block size and every way of choosing."""
    return model.advance(weights, memory, state, last)


def repeat_rows(tree, times: int):
    """Leaves (B, …) to (B·times, …), the copies of a row next to each other."""
    return jax.tree.map(lambda leaf: jnp.repeat(leaf, times, axis=0), tree)


def check_model(where: str, model: Decodable, weights, memory, state, rows: int, times: int = 1) -> int:
    """Refuse a model whose ``advance`` does not fit its ``start``, every row taken ``times`` times; return V.

    What fitted once is not asked again: this would be a tenth of what a recurrent model takes to write 64 symbols.
    """
    leaves, tree = jax.tree.flatten((weights, memory, state))
    types = map(jax.typeof, leaves)
    shapes = tuple(jax.ShapeDtypeStruct(kind.shape, kind.dtype, weak_type=kind.weak_type) for kind in types)
    return _check_shapes(where, model, tree, shapes, rows, times)


@functools.lru_cache(maxsize=128)
def _check_shapes(where: str, model: Decodable, tree, shapes: tuple, rows: int, times: int) -> int:
    weights, memory, state = jax.tree.unflatten(tree, shapes)
    _check_rows(where, "memory", memory, rows)
    _check_rows(where, "state", state, rows)
    if times != 1:
        memory, state = jax.eval_shape(lambda *trees: repeat_rows(trees, times), memory, state)
    last = jax.ShapeDtypeStruct((rows * times,), np.int32)
    after, logits = advance.eval_shape(model, weights, memory, state, last)
    given, returned = str(jax.tree.structure(state)), str(jax.tree.structure(after))
    if given != returned:
        raise InputError(
            f"{where}: `advance` should return a state like the one it is given, {given}, but it returns {returned}."
        )
    check_shape(where, "logits of advance", logits, "(B, V)", (rows * times, None))
    leaves = zip(jax.tree_util.tree_leaves_with_path(state), jax.tree.leaves(after), strict=True)
    for (path, leaf), new in leaves:
        if (leaf.shape, leaf.dtype) != (new.shape, new.dtype):
            raise InputError(
                f"{where}: `state{jax.tree_util.keystr(path)}` should keep its shape and type, {leaf.dtype} "
                f"{leaf.shape}, but `advance` makes it {new.dtype} {new.shape}."
            )
    return logits.shape[-1]


def _check_rows(where: str, name: str, tree, rows: int) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if np.shape(leaf)[:1] != (rows,):
            raise InputError(
                f"{where}: `{name}{jax.tree_util.keystr(path)}` should lead with the row axis, (B, ...) with "
                f"B = {rows}, but it is {np.shape(leaf)}."
            )

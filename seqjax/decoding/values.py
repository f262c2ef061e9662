"""Making sequences of values that are no tokens: the same ``start`` and ``advance``; how an output becomes the next
input is a parameter.

B rows, M steps at most, P steps of a prefix.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from seqjax.checks import InputError, check_count, check_mask, check_shape
from seqjax.decoding.decodable import Decodable, open_model
from seqjax.ops.dropout import check_keys, fold
from seqjax.spread import alike

Choose = Callable[[Any, Array, Any], tuple[Array, Array]]  # (output, keys, options) -> (values (B, …), ended (B,))


class Made(NamedTuple):
    """What was made for every row."""

    values: Array  # (B, M, …); zero after a row's end
    lengths: Array  # (B,) int32, steps made, the one that ended the row included


def make_values(
    model: Decodable,
    params,
    inputs,
    first: ArrayLike,
    keys: Array,
    *,
    choose: Choose,
    max_steps: int,
    options: Any = None,
    prefix: tuple[ArrayLike, ArrayLike] | None = None,
) -> Made:
    """Make up to ``max_steps`` values for every row, in one compiled loop that stops when all rows have ended.

    A row's values depend on its own inputs and its own key alone. Compiled once for the shapes, and the values of
    ``model``, ``choose`` and ``max_steps``.

    Args:
        model: ``advance`` reads a value of every row, (B, …), where that of a token would read ids.
        params: the model's parameters.
        inputs: what ``model.start`` takes, rows first.
        first: (B, …), what the first ``advance`` reads.
        keys: (B,) typed keys, one a row.
        choose: how an output becomes the next value, and whether the row ends with it.
        max_steps: M.
        options: a pytree that ``choose`` is given; its numbers may change without compiling again.
        prefix: ``(values (B, P, …), mask (B, P))``, padded on the right: what each row must begin with. These do not
            end a row.

    Raises:
        InputError: no step, keys that are not one a row, a prefix longer than M, of other shapes or not padded on the
            right, a first value of whole numbers where what is chosen has fractions.

    Example:
        >>> def advance(params, memory, state, last):
        ...     return state, last + params
        >>> walk = Decodable(lambda params, inputs: ((), ()), advance)
        >>> def until_three(output, keys, options):
        ...     return output, output >= 3.0
        >>> made = make_values(walk, 1.0, None, jnp.array([0.0, 2.0]), jax.random.split(jax.random.key(0), 2),
        ...                    choose=until_three, max_steps=4)
        >>> made.values.tolist(), made.lengths.tolist()
        ([[1.0, 2.0, 3.0, 0.0], [3.0, 0.0, 0.0, 0.0]], [3, 1])
    """
    check_count("make_values", "max_steps", max_steps)
    first = jnp.asarray(first)
    check_keys("make_values", keys, first.shape[:1])
    prefix = None if prefix is None else _read_prefix(prefix, first, max_steps)
    weights, memory, state = open_model(model, params, inputs)
    return _loop(model, choose, max_steps, weights, memory, state, first, keys, options, prefix)


def _read_prefix(prefix: tuple[ArrayLike, ArrayLike], first: Array, max_steps: int) -> tuple[Array, Array]:
    """Check values (B, P, …) and mask (B, P), and lay them in (B, M, …) and (B, M)."""
    values, mask = jnp.asarray(prefix[0]), jnp.asarray(prefix[1])
    rows, *shape = first.shape
    check_shape("make_values", "prefix values", values, "(B, P, …)", (rows, None, *shape))
    check_mask("make_values", "prefix mask", mask, "(B, P)", values.shape[:2])
    if not isinstance(mask, jax.core.Tracer) and np.any(np.diff(np.asarray(mask, np.int8)) > 0):
        raise InputError("make_values: `prefix` should be padded on the right, but a row has padding before a value.")
    if values.shape[1] > max_steps:
        raise InputError(f"make_values: a prefix of {values.shape[1]} steps does not fit into {max_steps}.")
    _check_kind("`prefix`", values, first)
    room = max_steps - values.shape[1]
    values = jnp.pad(values, ((0, 0), (0, room), *[(0, 0)] * (values.ndim - 2))).astype(first.dtype)
    return values, jnp.pad(mask, ((0, 0), (0, room)))


def _check_kind(name: str, value: Array, first: Array) -> None:
    if not jnp.can_cast(value.dtype, first.dtype, "same_kind"):
        raise InputError(
            f"make_values: {name} is {value.dtype} and does not fit into the type of `first`, {first.dtype}. "
            f"Give `first` as {value.dtype}."
        )


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _loop(model, choose, max_steps: int, weights, memory, state, first, keys, options, prefix) -> Made:
    def rows(flags: Array, values: Array) -> Array:
        return flags.reshape(flags.shape + (1,) * (values.ndim - 1))

    def unfinished(loop):
        position, _, _, ended, _, _ = loop
        return (position < max_steps) & ~jnp.all(ended)

    def body(loop):
        position, state, last, ended, lengths, table = loop
        state, output = model.advance(weights, memory, state, last)
        value, ends = choose(output, fold(keys, position), options)
        _check_kind("what `choose` gives", value, first)
        value = value.astype(first.dtype)
        if prefix is not None:
            given, forced = prefix[0][:, position], prefix[1][:, position]
            value, ends = jnp.where(rows(forced, value), given, value), ends & ~forced
        value = jnp.where(rows(ended, value), jnp.zeros_like(value), value)
        table = jax.lax.dynamic_update_slice_in_dim(table, value[:, None], position, axis=1)
        return position + 1, state, value, ended | ends, lengths + (~ended).astype(lengths.dtype), table

    count = first.shape[0]
    table = jnp.zeros((count, max_steps, *first.shape[1:]), first.dtype)
    begin = (jnp.int32(0), state, first, jnp.zeros(count, bool), jnp.zeros(count, jnp.int32), table)
    *_, lengths, table = jax.lax.while_loop(unfinished, body, alike(begin, (weights, memory, keys, options, prefix)))
    return Made(table, lengths)

"""How likely given sequences are, read step by step.

B batch, T target time, V vocabulary.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from seqjax.checks import check_ids, check_mask, check_shape
from seqjax.decoding.decodable import Decodable, advance, check_model, open_model
from seqjax.decoding.engine import check_last, check_vocabulary, log_normalizer
from seqjax.spread import alike


def score(model: Decodable, params, inputs, last: ArrayLike, targets: ArrayLike, mask: ArrayLike) -> Array:
    """The log-probability of every token of given sequences, each after all that stand before it.

    What ``generate`` and ``beam_search`` add up for the sequences that they make, for sequences of others (teacher
    forcing). Sum over time for the log-probability of a sequence.

    Args:
        model: the functions.
        params: the model's parameters.
        inputs: what ``model.start`` takes, rows first.
        last: (B,) integer ids in [0, V), the last token of each prompt.
        targets: (B, T) integer ids in [0, V); whatever where ``mask`` is False.
        mask: (B, T), True on real tokens; padding may stand anywhere.

    Returns:
        (B, T) float32, nats; 0 where masked.

    Raises:
        InputError: an id, a shape or a type does not fit, or the model breaks its contract.

    Example:
        >>> coin = Decodable(lambda params, inputs: ((), ()), lambda params, memory, state, last: (state, params[last]))
        >>> targets, mask = jnp.array([[1, 0, 7]]), jnp.array([[True, True, False]])
        >>> jnp.exp(score(coin, jnp.zeros((2, 2)), None, jnp.array([0]), targets, mask)).tolist()
        [[0.5, 0.5, 1.0]]
    """
    rows = check_last("score", last)
    check_shape("score", "targets", targets, "(B, T)", (rows, None))
    check_mask("score", "mask", mask, "(B, T)", np.shape(targets))
    weights, memory, state = open_model(model, params, inputs)
    size = check_model("score", model, weights, memory, state, rows)
    check_vocabulary("score", last, None, size)
    if not any(isinstance(array, jax.core.Tracer) for array in (targets, mask)):
        check_ids("score", "targets", np.where(mask, targets, np.zeros_like(targets)), size)
    last = jnp.asarray(last, jnp.int32)
    return _score(model, weights, memory, state, last, jnp.asarray(targets, jnp.int32), jnp.asarray(mask))


@functools.partial(jax.jit, static_argnums=0)
def _score(model: Decodable, weights, memory, state, last: Array, targets: Array, mask: Array) -> Array:
    order = jnp.argsort(~mask, axis=1, stable=True)  # the real ones to the left, in their order
    targets = jnp.take_along_axis(jnp.where(mask, targets, 0), order, axis=1)

    def read(carried, target):
        state, last = carried
        state, logits = advance(model, weights, memory, state, last)
        taken = jnp.take_along_axis(logits.astype(jnp.float32), target[:, None], axis=1)[:, 0]
        return (state, target), taken - log_normalizer(logits)

    _, gained = jax.lax.scan(read, alike((state, last), (weights, memory, targets)), targets.T)
    back = jnp.take_along_axis(gained.T, jnp.argsort(order, axis=1), axis=1)
    return jnp.where(mask, back, 0.0)

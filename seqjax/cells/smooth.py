"""Part a pytree into what has a gradient and what has none: flags and ids."""

import jax
import jax.numpy as jnp


def split_smooth(tree):
    """The floating leaves of a tree, and ``whole(floating leaves, all leaves)`` that puts such leaves back.

    ``whole(leaves, None)`` leaves None where there is no gradient.

    Example:
        >>> leaves, whole = split_smooth({"x": jnp.ones(2), "ids": jnp.arange(2)})
        >>> len(leaves), whole(["gradient"], None)
        (1, {'ids': None, 'x': 'gradient'})
    """
    leaves, structure = jax.tree.flatten(tree)
    places = [i for i, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jnp.inexact)]

    def whole(smooth, rest=leaves):
        merged = dict(enumerate(rest or [None] * len(leaves))) | dict(zip(places, smooth, strict=True))
        return jax.tree.unflatten(structure, [merged[i] for i in range(len(leaves))])

    return [leaves[i] for i in places], whole

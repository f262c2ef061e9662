"""Part a pytree into what has a gradient and what has none: flags and ids. Where gradients add up, in a wide type.

A sum of many bfloat16 in bfloat16 stops at 256 times its addend: the rest is rounded away.
"""

import jax
import jax.numpy as jnp

from seqjax.precision import wide


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


def empty_sums(tree):
    """Zeros to add many gradients of such leaves to."""
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, wide(leaf.dtype)), tree)


def added(sums, tree):
    """Such sums with one gradient more."""
    return jax.tree.map(lambda total, leaf: total + leaf.astype(total.dtype), sums, tree)


def for_each_turn(tree):
    """A function that gives the tree inside a loop's body, so that the gradients of all turns add up in a wide type.

    Example:
        >>> def total(x):                                              # a thousand times x
        ...     again = for_each_turn(x)
        ...     return jax.lax.fori_loop(0, 1000, lambda _, sum: sum + again().astype(float), 0.0)
        >>> float(jax.grad(total)(jnp.bfloat16(1)))
        1000.0
    """
    smooth, whole = split_smooth(tree)
    kept = [leaf.astype(wide(leaf.dtype)) for leaf in smooth]
    return lambda: whole(like(kept, smooth))


def like(tree, others):
    """The leaves in the types of the others."""
    return jax.tree.map(lambda leaf, other: leaf.astype(other.dtype), tree, others)

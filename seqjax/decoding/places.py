"""Where the states of hypotheses lie, and how few of them have to be copied when hypotheses move.

A parent's first child stays where its parent was; only further children are copied, into places that nobody needs any
more. A place that is read is never written, so copies can be made in place, one after the other.

B batch, k hypotheses a row; a state has B·k rows, row b·k + p is place p of row b.
"""

import jax
import jax.numpy as jnp
from jax import Array


def settle(places: Array, parents: Array, alive: Array) -> tuple[Array, Array]:
    """Give every new hypothesis a place.

    Args:
        places: (B, k) int32, a permutation in each row: where the state of each old hypothesis lies.
        parents: (B, k) int32, the old hypothesis each new one goes on from.
        alive: (B, k) boolean; the others need no state.

    Returns:
        ``(places, sources)``, both (B, k) int32: where the state of each new hypothesis will lie (again a permutation),
        and for each place, which place's state it gets: mostly its own.

    Example:
        >>> places, sources = settle(jnp.array([[0, 1, 2]]), jnp.array([[1, 1, 0]]), jnp.array([[True, True, True]]))
        >>> places.tolist(), sources.tolist()
        ([[1, 2, 0]], [[0, 1, 1]])
    """
    beam = places.shape[1]
    own = jnp.arange(beam, dtype=places.dtype)[None]
    old = jnp.take_along_axis(places, parents, axis=1)
    same = (old[:, :, None] == old[:, None, :]) & alive[:, None, :]
    again = alive & jnp.any(same & (own[:, None] < own[..., None]), axis=2)
    stays = alive & ~again
    taken = jnp.any(stays[:, :, None] & (old[:, :, None] == own[:, None]), axis=1)
    free = jnp.argsort(taken, axis=1, stable=True).astype(places.dtype)
    first_dead = again.sum(axis=1, keepdims=True)
    turn = jnp.where(again, jnp.cumsum(again, axis=1) - 1, first_dead + jnp.cumsum(~alive, axis=1) - 1)
    new = jnp.where(stays, old, jnp.take_along_axis(free, jnp.maximum(turn, 0), axis=1))
    copied = again[:, :, None] & (new[:, :, None] == own[:, None])
    sources = jnp.where(copied.any(axis=1), jnp.max(jnp.where(copied, old[:, :, None], 0), axis=1), own)
    return new, sources


def move(state, sources: Array):
    """Bring the state of place ``sources[b, p]`` to place p of row b: every leaf (B·k, …), ``sources`` (B, k).

    On a CPU only the rows that change are copied (0.1 ms for 2 of 5 rows of 12 leaves (5, 128, 384), where gathering
    all took 0.24 ms); elsewhere each leaf is gathered at once.

    Example:
        >>> state = {"cache": jnp.array([[1.0], [2.0], [3.0]])}
        >>> move(state, jnp.array([[0, 1, 1]]))["cache"].tolist()
        [[1.0], [2.0], [2.0]]
    """
    rows, beam = sources.shape
    if rows == 0 or beam == 1 or not jax.tree.leaves(state):
        return state
    wanted = (sources + beam * jnp.arange(rows, dtype=sources.dtype)[:, None]).reshape(-1)
    return jax.lax.platform_dependent(state, wanted, cpu=_copy_changed, default=_gather)


def _gather(state, wanted: Array):
    return jax.tree.map(lambda leaf: leaf[wanted], state)


def _copy_changed(state, wanted: Array):
    changed = wanted != jnp.arange(len(wanted), dtype=wanted.dtype)
    order = jnp.argsort(~changed, stable=True)

    def copy(number, state):
        to, source = order[number], wanted[order[number]]

        def one(leaf):
            row = jax.lax.dynamic_slice_in_dim(leaf, source, 1)
            return jax.lax.dynamic_update_slice_in_dim(leaf, row, to, axis=0)

        return jax.tree.map(one, state)

    return jax.lax.fori_loop(0, changed.sum(), copy, state)

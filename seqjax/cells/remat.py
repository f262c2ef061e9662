"""Trade work for memory: keep the state at √T places and recompute what lies between.

Source: Chen et al. (2016), Training Deep Nets with Sublinear Memory Cost.
"""

import math

import jax
import jax.numpy as jnp


def run_in_chunks(run, inputs, state, time: int, reverse: bool):
    """Run ``run(inputs, state) -> (state, ys)`` chunk by chunk, each under ``jax.checkpoint``.

    Args:
        run: one stretch of time; leaves of ``inputs`` and ``ys`` lead with time.
        inputs: leaves (T, ·).
        state: where the first chunk starts.
        time: T.
        reverse: chunks follow each other from right to left.

    Returns:
        What ``run`` gives on all of ``inputs`` at once.
    """
    length = math.isqrt(time - 1) + 1
    chunks = time // length
    body = jax.checkpoint(lambda state, inputs: run(inputs, state), prevent_cse=False)
    cut = chunks * length if not reverse else time - chunks * length

    def stretch(state, inputs):
        if jax.tree.leaves(inputs)[0].shape[0] == 0:
            return state, None
        if jax.tree.leaves(inputs)[0].shape[0] < length:
            return body(state, inputs)
        split = jax.tree.map(lambda leaf: leaf.reshape(chunks, length, *leaf.shape[1:]), inputs)
        state, ys = jax.lax.scan(body, state, split, reverse=reverse)
        return state, ys.reshape(chunks * length, *ys.shape[2:])

    left = jax.tree.map(lambda leaf: leaf[:cut], inputs)
    right = jax.tree.map(lambda leaf: leaf[cut:], inputs)
    first, second = (right, left) if reverse else (left, right)
    state, early = stretch(state, first)
    state, late = stretch(state, second)
    parts = [part for part in ((late, early) if reverse else (early, late)) if part is not None]
    return state, parts[0] if len(parts) == 1 else jnp.concatenate(parts)

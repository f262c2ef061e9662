"""Numbers for n-grams, so that two or three symbols side by side can have a vector of their own.

B rows, T steps, N symbols of the longest n-gram, R rows of the table that holds the vectors.
"""

import jax.numpy as jnp
from jax import Array

from seqjax.checks import InputError, check_shape
from seqjax.precision import signed

BASIS, PRIME, FOLD = 2166136261, 16777619, 15  # of the hash of Fowler, Noll and Vo, 32 bits, folded at the end


def hashed_ngrams(ids: Array, mask: Array, longest: int, rows: int) -> Array:
    """Which row of a table each n-gram of 2 to N symbols has, by a hash: some may share one.

    The n-gram of n symbols at a step begins n // 2 steps before it. Nothing is a symbol too: an n-gram that begins
    before the first step, or ends behind the last, is another one than the same symbols elsewhere.

    Args:
        ids: (B, T) symbols.
        mask: (B, T), True on real steps, wherever they stand; n-grams are made of them.
        longest: N.
        rows: R.

    Returns:
        (B, T, N - 1) integers in [0, R), n-grams of two symbols first.

    Raises:
        InputError: n-grams of fewer than 2 symbols, or no rows.

    Source:
        Joulin et al. (2017), Bag of Tricks for Efficient Text Classification, section 2.2.

    Example:
        >>> found = hashed_ngrams(jnp.array([[3, 4, 3, 4, 9]]), jnp.arange(5)[None] < 4, 3, 1000)
        >>> pairs, triples = found[0, :, 0].tolist(), found[0, :, 1].tolist()
        >>> pairs[1] == pairs[3], pairs[0] == pairs[2], len(set(triples[:4]))
        (True, False, 4)
    """
    check_shape("hashed_ngrams", "mask", mask, "(B, T)", ids.shape)
    if longest < 2 or rows < 1:
        raise InputError(
            f"hashed_ngrams: `longest` should be at least 2 symbols and `rows` at least 1, but they are {longest} and "
            f"{rows}. Try 3 and 20000."
        )
    before, steps = longest // 2, ids.shape[1]
    place = jnp.maximum(jnp.cumsum(mask, axis=1) - 1, 0)  # of each step among the real ones of its row
    row = jnp.arange(len(ids))[:, None]
    real = jnp.zeros((len(ids), steps + 2 * longest), jnp.uint32)  # nothing is 0
    real = real.at[row, before + place].max(jnp.where(mask, signed(ids) + 1, 0).astype(jnp.uint32))
    found = []
    for size in range(2, longest + 1):
        first = before - size // 2
        code = jnp.full((len(ids), steps), (BASIS + size) % 2**32, jnp.uint32)
        for at in range(first, first + size):
            code = (code ^ real[:, at : at + steps]) * jnp.uint32(PRIME)
        found.append((code ^ (code >> FOLD)) % jnp.uint32(rows))
    made = jnp.take_along_axis(jnp.stack(found, axis=-1), place[..., None], axis=1)
    return jnp.where(mask[..., None], made, 0).astype(jnp.int32)

"""Tokens while they are made: the engine's loop, a few steps at a time."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from seqjax.checks import check_count
from seqjax.decoding.decodable import Decodable, for_steps
from seqjax.decoding.engine import OWN_DISTRIBUTION, Rules, begin, run_block
from seqjax.decoding.limits import NO_LIMITS, Limits, check_limits
from seqjax.ops.sampling import Sampling


def stream(
    model: Decodable,
    params,
    inputs,
    last: ArrayLike,
    keys: Array | None,
    *,
    max_tokens: int,
    sampling: Sampling = OWN_DISTRIBUTION,
    end: int | None = None,
    seen: ArrayLike | None = None,
    limits: Limits = NO_LIMITS,
    prefix: tuple[ArrayLike, ArrayLike] | None = None,
    block: int = 8,
) -> Iterator[np.ndarray]:
    """Like :func:`seqjax.decoding.generate`, token for token, but handed over block by block.

    The next block is under way on the device while the caller prints the last one. Arguments are checked at once.

    Args:
        block: tokens a row in one block; the last may have fewer. The others are those of ``generate``.

    Returns:
        An iterator of int32 arrays (B, n), n from 1 to ``block``. It stops after ``max_tokens``, or when
        all rows have ended; a row that ends before the others is filled with the end.

    Raises:
        InputError: as :func:`seqjax.decoding.generate`, or ``block`` is below 1.

    Example:
        >>> successor = Decodable(
        ...     start=lambda params, inputs: ((), ()),
        ...     advance=lambda params, memory, state, last: (state, params[last]),
        ... )
        >>> params = 9 * jnp.roll(jnp.eye(5), 1, axis=1)
        >>> options = dict(max_tokens=9, sampling=Sampling(greedy=True), end=4, block=3)
        >>> for tokens in stream(successor, params, None, jnp.array([0]), None, **options):
        ...     print(tokens.tolist())
        [[1, 2, 3]]
        [[4]]
    """
    check_count("stream", "block", block, unit="token")
    check_limits("stream", max_tokens, limits)
    rules, model = Rules(sampling, end, limits), for_steps(model, max_tokens)
    given, progress = begin("stream", model, params, inputs, last, keys, max_tokens, rules, seen, prefix)
    limit = jnp.int32(max_tokens)

    def run(progress):
        return run_block(model, given, progress, limit, size=block, rules=rules)

    def blocks(progress):
        ahead = run(progress)
        for made in range(0, max_tokens, block):
            progress, tokens, count = ahead
            if made + block < max_tokens:
                ahead = run(progress)
            count = int(count)
            if count:
                yield np.asarray(tokens)[:, :count]
            if count < block:
                return

    return blocks(progress)

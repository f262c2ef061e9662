"""What attention is tried on: masks in both of their forms, biases and dropout.

B batch, T queries, S keys, N heads, G groups of heads, K features of a key, J of a value.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.ops import masks
from seqjax.ops.dropout import row_keys

B, T, S, N, G, K, J = 2, 9, 70, 4, 2, 6, 5
random = np.random.default_rng(0)
REAL = random.random((B, S)) < 0.7
DOCUMENTS = np.sort(random.integers(0, 3, (B, S)))
ASKED = np.sort(random.integers(0, 3, (B, T)))
POSITIONS = np.cumsum(REAL, axis=1) - 1
FIRST = 40
HOLES = random.random((B, T, S)) < 0.3
HOLES[0, 3] = False  # a query that may look nowhere
HOLES[1, :, 30:] = False  # keys that nobody may look at, a whole chunk of them


class Case(NamedTuple):
    """One way of masking, biasing and dropping."""

    name: str
    mask: Any = None
    visible: Any = True  # the same as an array that broadcasts to (B, T, S)
    bias: tuple[int, ...] | None = None  # its shape
    rate: float = 0.0


def queries_after(place):
    return np.broadcast_to(place + np.arange(T), (B, T))


CASES = (
    Case("nothing"),
    Case("holes", jnp.asarray(HOLES), HOLES, (B, N, T, S)),
    Case("one mask for all rows", jnp.asarray(HOLES[:1]), HOLES[0], (N, 1, S), 0.3),
    Case("real keys", masks.Structured(keys=jnp.asarray(REAL)), REAL[:, None], (B, 1, T, 1), 0.3),
    Case(
        "causal window after other queries",
        masks.Structured(
            causal=True,
            window=20,
            keys=jnp.asarray(REAL),
            query_positions=jnp.asarray(queries_after(FIRST)),
            key_positions=jnp.asarray(POSITIONS),
        ),
        REAL[:, None]
        & (POSITIONS[:, None] <= queries_after(FIRST)[..., None])
        & (queries_after(FIRST)[..., None] - POSITIONS[:, None] < 20),
    ),
    Case(
        "documents",
        masks.Structured(causal=True, query_segments=jnp.asarray(ASKED), key_segments=jnp.asarray(DOCUMENTS)),
        (ASKED[..., None] == DOCUMENTS[:, None]) & np.tril(np.ones((T, S), bool)),
    ),
)


def arrays(dtype, seed=0):
    """Query, key, value."""
    random = np.random.default_rng(seed)
    return tuple(jnp.asarray(random.normal(size=s), dtype) for s in ((B, T, N, K), (B, S, G, K), (B, S, G, J)))


def bias_of(case, dtype):
    return None if case.bias is None else jnp.asarray(np.random.default_rng(1).normal(size=case.bias), dtype)


def dropout_keys(rows=B):
    return row_keys(jax.random.key(0), jnp.arange(rows))

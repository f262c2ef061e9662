"""Run a cell of the catalogue in every way there is, compiled once per cell, with its gradients.

B batch, T time. A law feeds many different arrays of one shape to one compiled function.
"""

import functools
from collections import Counter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from catalogue import B, CellRow, T

from seqjax import unroll

WAYS = ["scan", "fused"]
DIRECTIONS = [False, True]  # reverse
QUICKLY = {"xla_backend_optimization_level": 0}  # compiling is nearly all that these tests do
TRACES: Counter[str] = Counter()


def ways_of(row: CellRow) -> list[str]:
    """The methods that run this cell."""
    return [*WAYS, "associative"] if row.cell.linear else WAYS


def everywhere(row: CellRow) -> list[tuple[bool, str]]:
    """They, in both directions."""
    return [(reverse, way) for reverse in DIRECTIONS for way in ways_of(row)]


class Case(NamedTuple):
    """The arguments of one run, and the weights of a loss on what comes out."""

    params: Any
    xs: Any
    mask: Any
    reset: Any
    state: Any
    initial: Any
    context: Any
    state_weight: Any
    ys_weight: Any


class Outcome(NamedTuple):
    """What a run gives; gradients are of (params, xs, state, initial, context)."""

    final: Any
    ys: Any
    gradients: Any


@functools.cache
def make_case(row: CellRow, batch_shape=(B,), time: int = T, dtype=jnp.float64, seed: int = 0) -> Case:
    """Everything random: holes in the mask, resets here and there, states that are not zero."""
    random = np.random.default_rng(seed)
    state = row.state(batch_shape, dtype)
    width = row.cell.output(state).shape[-1]
    return Case(
        params=row.params(dtype),
        xs=row.inputs(random, (*batch_shape, time), dtype),
        mask=jnp.asarray(random.random((*batch_shape, time)) < 0.7),
        reset=jnp.asarray(random.random((*batch_shape, time)) < 0.3),
        state=state,
        initial=row.state(batch_shape, dtype, seed=2),
        context=row.context(random, batch_shape, dtype),
        state_weight=row.state(batch_shape, dtype, seed=3),
        ys_weight=jnp.asarray(random.normal(size=(*batch_shape, time, width)), dtype),
    )


def outcome(row: CellRow, case: Case, reverse: bool, method: str, remat: str = "none") -> Outcome:
    """Final state, outputs, and the gradient of a weighted sum of both with respect to all that is given."""

    def loss(params, xs, state, initial, context):
        flags = {"mask": case.mask, "reset": case.reset, "reverse": reverse, "context": context}
        final, ys = unroll(row.cell, params, xs, state=state, initial=initial, method=method, remat=remat, **flags)
        weighted = jax.tree.map(lambda a, b: (a * b).sum(), (final, ys), (case.state_weight, case.ys_weight))
        return sum(jax.tree.leaves(weighted)), (final, ys)

    given = (case.params, case.xs, case.state, case.initial, case.context)
    gradients, (final, ys) = jax.grad(loss, argnums=(0, 1, 2, 3, 4), has_aux=True, allow_int=True)(*given)
    return Outcome(final, ys, gradients)


@functools.cache
def every_way(row: CellRow):
    """A compiled function from a case to ``{(reverse, method): outcome}``."""

    def run(case):
        TRACES[row.name] += 1
        return {way: outcome(row, case, *way) for way in everywhere(row)}

    compiled = jax.jit(run, compiler_options=QUICKLY)
    return lambda case: host(compiled(case))


@functools.cache
def whole_rows(row: CellRow):
    """As ``every_way``, by the plain scan, on rows without mask and resets: ``{reverse: outcome}``."""

    def run(case):
        case = case._replace(mask=None, reset=None)
        return {reverse: outcome(row, case, reverse, "scan") for reverse in DIRECTIONS}

    compiled = jax.jit(run, compiler_options=QUICKLY)
    return lambda case: host(compiled(case))


def spoiled(leaf, garbage: float):
    """What may stand where nothing is read: this number; among ids, one of no symbol."""
    return 99 if jnp.issubdtype(leaf.dtype, jnp.integer) else garbage


def only_rows(case: Case, *rows: int) -> Case:
    """The same run, but only these rows count in the loss."""
    counts = np.isin(np.arange(B), rows)
    weights = jax.tree.map(lambda leaf: leaf * counts.reshape(-1, *[1] * (leaf.ndim - 1)), case[-2:])
    return case._replace(state_weight=weights[0], ys_weight=weights[1])


def host(tree):
    """NumPy arrays; the gradients of booleans, which are nothing, left out."""
    return jax.tree.map(lambda leaf: None if leaf.dtype == jax.dtypes.float0 else np.asarray(leaf), tree)


def assert_same(actual, wanted, tolerance: float = 1e-12) -> None:
    """Every leaf equal to ``tolerance``, relative to the largest number in the leaf or to one."""
    assert jax.tree.structure(actual) == jax.tree.structure(wanted)
    for (path, leaf), like in zip(jax.tree.leaves_with_path(actual), jax.tree.leaves(wanted), strict=True):
        scale = max(1.0, np.abs(like).max(initial=0.0))
        np.testing.assert_allclose(leaf, like, rtol=0, atol=tolerance * scale, err_msg=jax.tree_util.keystr(path))

r"""Luong's attention as a cell: move, look at the source, and remember what was said for the next step.

B batch, T target time, S source time, E token features, H features of the inner cell's output, M features of the
source; ``*B`` zero or more batch axes.

Source: Luong, Pham & Manning (2015), Effective Approaches to Attention-based Neural Machine Translation.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.cells.contract import Cell, State, sized, zeros
from seqjax.cells.initializers import glorot
from seqjax.cells.products import product
from seqjax.checks import InputError, check_choice
from seqjax.models.attentive import (
    AttentiveGates,
    AttentiveParams,
    AttentiveWeights,
    Source,
    checked,
    moved,
    output_width,
    prepared,
    project,
)
from seqjax.ops import scores
from seqjax.ops.attention import masked_softmax, read
from seqjax.ops.local_attention import local_m, local_p
from seqjax.precision import wide

SCORES = ("dot", "bilinear", "local-m", "local-p")


class DotParams(NamedTuple):
    combine_kernel: Array  # (M + H, H)


class BilinearParams(NamedTuple):
    key_kernel: Array  # (M, H)
    combine_kernel: Array  # (M + H, H)


class LocalParams(NamedTuple):
    key_kernel: Array  # (M, H)
    combine_kernel: Array  # (M + H, H)
    place_kernel: Array  # (H, H)
    place_vector: Array  # (H,)


class LuongState(NamedTuple):
    inner: State
    attentional: Array  # (*B, H), h~
    steps: Array | None  # (*B, 1), real steps made: the place that local-m looks at


@functools.cache
def luong(inner: Cell, memory: int, score: str = "bilinear", feeding: bool = True, window: int = 10) -> Cell:
    r"""A cell that moves and then looks at the source. The same options give the same cell.

    .. math:: h_t = \text{inner}([x_t; \tilde h_{t-1}], h_{t-1}), \quad
        c_t = \textstyle\sum_s a_s m_s, \quad \tilde h_t = \tanh(W [c_t; h_t])

    where a is the softmax of the scores h·m (``"dot"``) or hᵀKm (``"bilinear"``), over the whole source; or of the
    bilinear ones near a place p: at the step's own number (``"local-m"``), or at S·σ(vᵀ tanh(P h)) (``"local-p"``).
    Its output is h~.

    Args:
        inner: any cell that reads one array through an ``input_kernel``.
        memory: M.
        score: one of ``SCORES``.
        feeding: the last h~ is read beside the token: input feeding, section 3.3.
        window: D, how far from p the local attentions look.

    Raises:
        InputError: no such score; with "dot", M is not H.

    Example:
        >>> from seqjax import cells, unroll
        >>> from seqjax.models.attentive import remember
        >>> cell = luong(cells.LSTM, memory=6)
        >>> params = cell.init(jax.random.key(0), 3, 4)
        >>> source = remember(params.attention, jnp.ones((2, 7, 6)), jnp.ones((2, 7), bool))   # B=2, S=7
        >>> state, ys = unroll(cell, params, jnp.ones((2, 5, 3)), context=source)
        >>> ys.shape, bool((state.attentional == ys[:, -1]).all())
        ((2, 5, 4), True)
    """
    check_choice("luong", "score", score, SCORES)

    def init(key: Array, in_features: int, features: int, dtype=jnp.float32) -> AttentiveParams:
        keys = jax.random.split(key, 5)
        width = output_width(inner, jax.eval_shape(lambda: inner.init(keys[0], 1, features, dtype)))
        fed = width if feeding else 0
        params = checked(inner, inner.init(keys[0], in_features + fed, features, dtype))
        return AttentiveParams(params, weights_of(score, keys[1:], memory, width, dtype))

    def initial_state(params: AttentiveParams, batch_shape: tuple[int, ...], dtype=jnp.float32) -> LuongState:
        steps = zeros(batch_shape, 1, wide(dtype)) if score == "local-m" else None
        width = params.attention.combine_kernel.shape[1]
        return LuongState(
            inner.initial_state(params.inner, batch_shape, dtype), zeros(batch_shape, width, dtype), steps
        )

    def prepare(params: AttentiveParams) -> AttentiveWeights:
        return prepared(inner, params.attention.combine_kernel.shape[1] if feeding else 0, params)

    def step(weights: AttentiveWeights, state: LuongState, drive: Array, dot=product, context=None):
        driven = dot(state.attentional, weights.fed_kernel, drive) if feeding else drive
        after, gates = moved(inner, weights, state.inner, driven, dot)
        hidden = inner.output(after)
        looked = look(score, window, weights.attention, hidden, state.steps, dot, context)
        seen = read(looked, context.values)[..., 0, :]
        said = jnp.tanh(dot(jnp.concatenate([seen, hidden], axis=-1), weights.attention.combine_kernel))
        steps = None if state.steps is None else state.steps + 1
        return LuongState(after, said, steps), AttentiveGates(looked[..., 0, :], gates)

    return Cell(
        f"luong({inner.name})", sized(init), initial_state, project, step, lambda state: state.attentional, prepare
    )


def weights_of(score: str, keys: Array, memory: int, width: int, dtype) -> Any:
    """The attention's own initial weights."""
    combine = glorot(keys[0], (memory + width, width), dtype)
    if score == "dot":
        if memory != width:
            raise InputError(
                f'luong: the score "dot" multiplies features of the source and of the decoder one by one, but there '
                f'are M = {memory} and H = {width}. Try "bilinear".'
            )
        return DotParams(combine)
    key = glorot(keys[1], (memory, width), dtype)
    if score != "local-p":
        return BilinearParams(key, combine)
    vector = glorot(keys[3], (width, 1), dtype)[:, 0]
    return LocalParams(key, combine, glorot(keys[2], (width, width), dtype), vector)


def look(score: str, window: int, attention, hidden: Array, steps: Array | None, dot, source: Source) -> Array:
    """How much of every source step is read: (*B, 1, S)."""
    found = scores.dot(hidden[..., None, :], source.keys)
    if score in ("dot", "bilinear"):
        return masked_softmax(found, source.mask[..., None, :])
    if steps is not None:
        return local_m(found, steps, source.mask, width=window)
    place = jnp.tanh(dot(hidden, attention.place_kernel)) @ attention.place_vector
    return local_p(found, place[..., None], source.mask, width=window)

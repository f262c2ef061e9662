"""A deep stack of blocks of one kind: parameters stacked, layers scanned, so that compile time does not grow.

L layers, B rows, T steps, D features.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.checks import check_count
from seqjax.layers.blocks import Encoded
from seqjax.layers.parameters import check_states
from seqjax.ops.dropout import fold

FEW = 4  # so many layers stand one after another: a training step of 4 is a tenth faster than by a loop, on CPU


class Deep(nnx.Module):
    """L blocks on top of each other, made alike and held as one: every parameter is (L, …).

    A whole sequence is read by ``lax.scan`` over the layers: one is compiled, however many there are beyond 4. With a
    state, where each step is short and its loop long, the layers stand one after another.

    Args:
        make: ``rngs -> block``; a :class:`Group` for a period of several kinds.
        layers: L.
        remat: keep only what stands between blocks, and compute their inside again for the gradient.
        rngs: the stream ``params`` initialises the weights.

    Source:
        Chen et al. (2016), Training Deep Nets with Sublinear Memory Cost, for ``remat``.

    Example:
        >>> from seqjax.layers import Block, SelfAttention
        >>> deep = Deep(lambda rngs: Block(SelfAttention(8, 2, rngs=rngs), 8, 16, rngs=rngs), 3, rngs=nnx.Rngs(0))
        >>> _, ys = deep(jnp.ones((2, 5, 8)))
        >>> ys.shape, deep.blocks.feed_forward.up.kernel.shape
        ((2, 5, 8), (3, 8, 16))
    """

    def __init__(self, make: Callable[[nnx.Rngs], nnx.Module], layers: int, *, remat: bool = False, rngs: nnx.Rngs):
        check_count("Deep", "layers", layers)
        self.layers, self.remat = layers, remat

        def values(key):
            return nnx.split(make(nnx.Rngs(params=key)))[1]

        definition = nnx.split(nnx.eval_shape(lambda: make(nnx.Rngs(0))))[0]
        self.blocks = nnx.merge(definition, jax.vmap(values)(jax.random.split(rngs.params(), layers)))

    def __call__(
        self,
        xs: Array,
        *,
        state: tuple | None = None,
        mask: Array | None = None,
        reset: Array | None = None,
        keys: Array | None = None,
        memory: Any = None,
        segments: Array | None = None,
    ) -> tuple[tuple, Array]:
        """Map ``xs`` (B, T, D) to ``(states, ys)``: L states, and ys (B, T, D).

        Args:
            xs: features.
            state: L states, to go on from; None at a beginning.
            mask: (B, T), True on real steps.
            reset: (B, T), True on the first step of a document.
            keys: (B,) random keys, one a row; None switches dropout off.
            memory: for decoder blocks: :class:`Encoded`, the same for all layers, or the L memories of
                :meth:`remember`.
            segments: (B, T) numbers of documents, where the memory has them.
        """
        how = {"mask": mask, "reset": reset}
        if memory is not None:
            how |= {"segments": segments}
        if state is None and not self._apart():
            return self._scan(xs, keys, memory, how)
        check_states("Deep", state, self.layers)
        states = []
        for number in range(self.layers):
            given = None if state is None else state[number]
            final, xs = self.block(number)(xs, state=given, keys=fold(keys, number), **_seen(memory, number), **how)
            states.append(final)
        return tuple(states), xs

    def start(self, rows: int, capacity: int, dtype=jnp.float32) -> tuple:
        """L states before the first step, of at most ``capacity`` steps, padding included."""
        return tuple(self.block(number).start(rows, capacity, dtype) for number in range(self.layers))

    def remember(self, memory: Encoded) -> tuple:
        """The memory as each of the L decoder blocks sees it, for as many calls as there will be."""
        return tuple(self.block(number).remember(memory) for number in range(self.layers))

    def weights(self, xs: Array, *, memory: Any = None, **how) -> tuple[Array, Array]:
        """``(ys, weights)``: what the last block gives, and how much each step looks at each in every layer.

        Args:
            xs: (B, T, D).
            memory: for decoder blocks, as when called; the weights are then those of looking at it.
            how: what else the blocks take: ``mask``, ``reset``, ``segments``.

        Returns:
            ys (B, T, D), and weights (L, B, N, T, S).
        """
        looked = []
        for number in range(self.layers):
            xs, weights = self.block(number).weights(xs, **_seen(memory, number), **how)
            looked.append(weights)
        return xs, jnp.stack(looked)

    def block(self, number: int):
        """One of the L blocks, with parameters of its own."""
        definition, stacked = nnx.split(self.blocks)
        own = jax.tree.map(lambda leaf: leaf[number], nnx.to_pure_dict(stacked), is_leaf=_is_apart)
        nnx.replace_by_pure_dict(stacked, own)
        return nnx.merge(definition, stacked)

    def _apart(self) -> bool:
        """Whether the parameters are those of :func:`unstacked`."""
        return any(map(_is_apart, jax.tree.leaves(nnx.to_pure_dict(nnx.split(self.blocks)[1]), is_leaf=_is_apart)))

    def _scan(self, xs: Array, keys: Array | None, memory: Any, how: dict) -> tuple[tuple, Array]:
        """Read whole sequences, one layer after another, by one compiled block."""
        definition, stacked = nnx.split(self.blocks)
        each = None if memory is None or isinstance(memory, Encoded) else _stack(memory)
        fixed = {"memory": memory} if isinstance(memory, Encoded) else {}
        xs = xs.astype(jnp.result_type(xs, *jax.tree.leaves(stacked)))
        return _through(definition, self.layers, self.remat, xs, stacked, each, keys, fixed | how)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))  # an eager call again compiles nothing
def _through(definition, layers: int, remat: bool, xs: Array, stacked, each, keys: Array | None, how: dict):
    """One block after another: of each its parameters, and what it sees of the memory, stacked; the rest for all."""

    def body(xs, layer):
        number, own, seen = layer
        seen = {} if seen is None else {"memory": seen}
        final, ys = nnx.merge(definition, own)(xs, keys=fold(keys, number), **seen, **how)
        return ys.astype(xs.dtype), final

    at_once = layers if layers <= FEW else 1
    if remat:
        body, at_once = jax.checkpoint(body, prevent_cse=False), 1
    ys, finals = jax.lax.scan(body, xs, (jnp.arange(layers), stacked, each), unroll=at_once)
    return tuple(jax.tree.map(lambda leaf, n=n: leaf[n], finals) for n in range(layers)), ys


def unstacked(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a :class:`Deep` with every layer's apart: each leaf (L, …) becomes a tuple of L leaves.

    A loop over steps slices them once, before it begins, rather than at every step. A :class:`Deep` reads both forms.

    Args:
        params: what ``functional(deep).params`` holds, or the part of a model's that is the ``Deep``'s.

    Example:
        >>> from seqjax.layers import FeedForward, functional
        >>> deep = Deep(lambda rngs: FeedForward(4, 8, rngs=rngs), 3, rngs=nnx.Rngs(0))
        >>> params = unstacked(functional(deep).params)
        >>> [leaf.shape for leaf in params["blocks"]["up"]["kernel"]]
        [(4, 8), (4, 8), (4, 8)]
    """
    return jax.tree.map(lambda leaf: tuple(leaf[number] for number in range(leaf.shape[0])), params)


def _is_apart(leaf) -> bool:
    return isinstance(leaf, tuple)


def _stack(memories: tuple):
    """L memories as one with leaves (L, …)."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *memories)


def _seen(memory: Any, number: int) -> dict[str, Any]:
    """What a layer is told of the memory."""
    if memory is None:
        return {}
    return {"memory": memory if isinstance(memory, Encoded) else memory[number]}

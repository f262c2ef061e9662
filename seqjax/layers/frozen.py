"""A module that training leaves as it is."""

import jax
from flax import nnx


class Frozen(nnx.Module):
    """The same module, whose parameters get no gradient.

    Its parameters stand below the name ``frozen``, and the optimiser lets such alone.

    Args:
        frozen: any module.

    Example:
        >>> import jax.numpy as jnp
        >>> from seqjax.layers import Embedding, functional
        >>> params, apply = functional(Frozen(Embedding(3, 2, rngs=nnx.Rngs(0))))
        >>> gradient = jax.grad(lambda params: apply(params, jnp.array([1])).sum())(params)
        >>> gradient["frozen"]["table"].tolist()
        [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    """

    def __init__(self, frozen: nnx.Module):
        self.frozen = frozen

    def __call__(self, *args, **how):
        """What the module makes of these."""
        return jax.lax.stop_gradient(self.frozen(*args, **how))  # type: ignore[operator]

"""In which type to compute."""

import jax
import jax.numpy as jnp


def wide(dtype):
    """float32, or the type itself where it is wider; also where JAX is told to promote no type by itself.

    Example:
        >>> with jax.numpy_dtype_promotion("strict"):
        ...     print(wide(jnp.bfloat16), wide(jnp.float32))
        float32 float32
    """
    with jax.numpy_dtype_promotion("standard"):
        return jnp.promote_types(dtype, jnp.float32)

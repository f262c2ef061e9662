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


def signed(numbers):
    """Whole numbers in a type in which differences and sums are right: those of bytes, or unsigned, begin anew.

    Numbers with fractions, and whole ones that are signed and have 32 bits, stay as they are.

    Example:
        >>> a, b = jnp.uint8(1), jnp.uint8(3)
        >>> int(a - b), int(signed(a) - signed(b))
        (254, -2)
    """
    kind = numbers.dtype
    fits = not jnp.issubdtype(kind, jnp.integer) or (jnp.issubdtype(kind, jnp.signedinteger) and kind.itemsize >= 4)
    return numbers if fits else numbers.astype(jnp.result_type(int))

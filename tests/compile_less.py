"""Compile less while testing: most programs of a suite are tiny, and still take ten milliseconds each.

None of this is part of JAX's interface: where it is not found, tests only take longer.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np


def compile_less() -> None:
    """All that is below."""
    share_contexts()
    share_programs()
    move_without_compiling()


def share_contexts(programs=64):
    """Load MLIR's dialects once for so many programs: for each of its own, they take a fifth of a small one's time."""
    from jax._src.interpreters import mlir

    make, numbers, shared = getattr(mlir, "make_ir_context", None), itertools.count(), []

    def context():
        if next(numbers) % programs == 0:
            shared[:] = [make()]
        return shared[0]

    if make is not None:
        mlir.make_ir_context = context


PROGRAMS = {}  # what was compiled, by what it was compiled from


def share_programs():
    """Compile what is the same letter for letter once: many tests train the same tiny models."""
    from jax._src import compiler
    from jax._src.interpreters import mlir

    make, write = getattr(compiler, "backend_compile_and_load", None), getattr(mlir, "module_to_bytecode", None)

    def compiled(backend, module, devices, options, callbacks):
        if callbacks:
            return make(backend, module, devices, options, callbacks)
        key = backend, write(module), str(devices), options.SerializeAsString()
        if key not in PROGRAMS:
            PROGRAMS[key] = make(backend, module, devices, options, callbacks)
        return PROGRAMS[key]

    if make is not None and write is not None:
        compiler.backend_compile_and_load = compiled


def rounds_alike(x, to) -> bool:
    """Whether NumPy and XLA make the same of every number: not of those that are too large for an integer."""
    return np.issubdtype(x.dtype, np.integer) or x.dtype == bool or not np.issubdtype(to, np.integer)


MOVES = {  # of data: what NumPy makes of arrays and the operation's parameters
    "stage": lambda x: x,
    "reshape": lambda x, *, new_sizes, **_: x.reshape(new_sizes),
    "squeeze": lambda x, *, dimensions: x.squeeze(dimensions),
    "transpose": lambda x, *, permutation: x.transpose(permutation),
    "slice": lambda x, *, start_indices, limit_indices, strides: x[
        tuple(map(slice, start_indices, limit_indices, strides or [1] * x.ndim))
    ],
    "broadcast_in_dim": lambda x, *, shape, broadcast_dimensions, **_: np.broadcast_to(
        np.expand_dims(x, [axis for axis in range(len(shape)) if axis not in broadcast_dimensions]), shape
    ),
    "concatenate": lambda *xs, dimension: np.concatenate(xs, dimension),
    "convert_element_type": lambda x, *, new_dtype, weak_type, **_: (
        x.astype(new_dtype) if not weak_type and rounds_alike(x, new_dtype) else None
    ),
}


def move_without_compiling():
    """Let NumPy place and move data outside of compiled functions, where XLA has a program for every shape of it."""
    from jax._src.lax import lax, slicing

    concrete = type(jnp.zeros(()))

    def plain(x):
        known = isinstance(x, np.ndarray) or (type(x) is concrete and not (x.committed or x.weak_type))
        return known and x.dtype != jax.dtypes.float0 and not jnp.issubdtype(x.dtype, jax.dtypes.extended)

    def impl(move, compiled, *xs, **parameters):
        found = move(*map(np.asarray, xs), **parameters) if all(map(plain, xs)) else None
        return compiled(*xs, **parameters) if found is None else jax.device_put(np.array(found, order="C"))

    for name, move in MOVES.items():
        primitive = getattr(lax, f"{name}_p", None) or getattr(slicing, f"{name}_p", None)
        if primitive is not None:
            primitive.def_impl(functools.partial(impl, move, primitive.impl))

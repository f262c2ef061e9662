"""Arrays that are spread over the devices of a mesh, by ``jax.shard_map`` or by a mesh of explicit axes.

JAX then has the axes of the mesh in an array's type, and what a loop carries must have one type from beginning to end:
zeros of no device do not do beside a batch that is spread.
"""

from collections.abc import Callable

import jax
from jax.sharding import PartitionSpec


def alike(tree, beside=()):
    """The tree, each leaf varying over all axes of ``jax.shard_map`` over which any of them, or of ``beside``, does.

    Gradients of leaves that were the same on all devices are added up over them, once. Elsewhere nothing changes.

    Args:
        tree: arrays, such as what a loop begins with.
        beside: arrays that only say where the tree will be needed, such as what the loop reads.

    Example:
        >>> import jax.numpy as jnp
        >>> from jax.sharding import AxisType, PartitionSpec as P
        >>> def total(xs):
        ...     return jax.lax.scan(lambda sum, x: (sum + x, None), alike(jnp.zeros(2), xs), xs)[0]
        >>> mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,))
        >>> jax.shard_map(total, mesh=mesh, in_specs=P(None, "data"), out_specs=P("data"))(jnp.ones((3, 2))).tolist()
        [3.0, 3.0]
    """
    if jax.sharding.get_abstract_mesh().empty:  # asking every array would take longer
        return tree
    axes = frozenset().union(*map(_axes, jax.tree.leaves((tree, beside))))

    def spread(leaf):
        missing = tuple(sorted(axes - _axes(leaf)))
        return jax.lax.pcast(leaf, missing, to="varying") if missing else leaf

    return jax.tree.map(spread, tree)


def _axes(leaf) -> frozenset[str]:
    """Those that the leaf varies over. A JAX that tells it in another way has them looked for in vain."""
    return getattr(getattr(jax.typeof(leaf), "manual_axis_type", None), "varying", frozenset())


def by_compiler(function: Callable, axes: int, *args):
    """``function(*args)``, spread by the compiler where the first array is on a mesh of explicit axes.

    Args:
        function: of arrays, to arrays whose first axes are those of the first one.
        axes: how many.

    Returns:
        The same, its first axes spread as those of the first array. Elsewhere nothing changes.

    Example:
        >>> import jax.numpy as jnp
        >>> by_compiler(jnp.add, 1, jnp.ones(2), jnp.ones(2)).tolist()
        [2.0, 2.0]
    """
    spread = jax.typeof(jax.tree.leaves(args)[0]).sharding
    if not spread.mesh.explicit_axes:
        return function(*args)
    with jax.sharding.use_abstract_mesh(spread.mesh):
        return jax.sharding.auto_axes(function, out_sharding=PartitionSpec(*spread.spec[:axes]))(*args)

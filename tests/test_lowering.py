"""What runs here on a CPU lowers for GPUs and TPUs too: no operation and no call that only a CPU has.

This is all that can be said without such a device: lowered is not compiled, and compiled is not run. Models are
traced as ``jax.shard_map`` runs them, its types checked: what their loops begin with belongs to the rows' devices.
All of it is traced with no array's axes or type promoted unsaid.
"""

import jax
import jax.numpy as jnp
import pytest
from catalogue import CELLS, MODELS, B, T, name_of
from cell_runs import make_case, outcome
from jax.sharding import AxisType, PartitionSpec

from seqjax.decoding.decodable import for_steps
from seqjax.decoding.engine import Rules, begin, run_block
from seqjax.ops.sampling import Sampling

pytestmark = pytest.mark.usefixtures("strictly")
DEVICES = ("cuda", "tpu")
FEW = ["lstm", "lstm-time-aware", "lstm-of-symbols", "luong"]  # one input, two inputs, ids, a context
ROWS, WHOLE = PartitionSpec("data"), PartitionSpec()
ONE = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,))


def calls(text: str) -> set[str]:
    """Names of the libraries' functions that a lowered program calls."""
    return {line.split("custom_call @")[1].split("(")[0] for line in text.splitlines() if "custom_call @" in line}


@pytest.mark.parametrize(
    "row, dtype",
    [*[(row, jnp.bfloat16) for row in CELLS], *[(row, jnp.float32) for row in CELLS if row.name in FEW]],
    ids=lambda value: getattr(value, "name", None) or value.__name__,
)
def test_gradients_of_every_cell_lower_for_accelerators(row, dtype):
    case = jax.eval_shape(lambda: make_case.__wrapped__(row, dtype=jnp.float32))
    case = jax.tree.map(lambda leaf: cast(leaf, dtype), case)
    traced = jax.jit(lambda case: outcome(row, case, False, "fused").gradients[0]).trace(case)
    assert calls(traced.lower(lowering_platforms=DEVICES).as_text()) == set()


def cast(leaf, dtype):
    """The shape, with floats in another type."""
    return jax.ShapeDtypeStruct(leaf.shape, dtype if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf.dtype)


@pytest.mark.parametrize("row", MODELS, ids=name_of)
def test_training_and_writing_lower_for_accelerators(row):
    model = row.build(0.0)
    params = jax.eval_shape(model.init, jax.random.key(0))
    time = row.memory or T
    ids = jnp.ones((B, time), jnp.int32)

    def slope(params, ids):
        whole = ids > 0
        batch = {"inputs": ids, "targets": ids, "mask": whole, "reset": ~whole, "scored": whole}
        return jax.grad(lambda params: model.predict(params, batch, model.carry(B), None)[1].sum())(params)

    def write(params, ids):
        decodable, rules = for_steps(model.decodable, 4), Rules(Sampling(greedy=True))
        inputs = {"tokens": ids[:, :-1], "mask": ids[:, :-1] > 0}
        given, progress = begin("test", decodable, params, inputs, ids[:, -1], None, 4, rules, None, None)
        return run_block(decodable, given, progress, jnp.int32(4), size=4, rules=rules)[1]

    for function, made in ((slope, WHOLE), (write, ROWS)):
        mapped = jax.shard_map(function, mesh=ONE, in_specs=(WHOLE, ROWS), out_specs=made)
        traced = jax.jit(mapped).trace(params, ids)
        assert calls(traced.lower(lowering_platforms=DEVICES).as_text()) == set()

"""What an evaluation step hands to its task, seen while it is traced."""

import jax
import jax.numpy as jnp
import toy_task as toy

from seqjax.training.state import AXIS
from seqjax.training.step import make_eval_step


def test_evaluation_in_mixed_precision_drops_nothing_and_keeps_the_types_of_the_carry():
    seen = []

    def terms(params, batch, carry, keys, train):
        seen.extend([params["w"].dtype, carry["mean"].dtype, keys, train])
        return toy.terms(params, batch, carry, keys, train)

    step = make_eval_step(toy.OBJECTIVE._replace(terms=terms), compute_dtype=jnp.bfloat16)
    parts = jax.tree.map(lambda leaf: leaf[None], (toy.carry(8), toy.batch(0)))
    carry, _ = jax.eval_shape(jax.vmap(step, (None, 0, 0), axis_name=AXIS), toy.init(jax.random.key(0)), *parts)
    assert seen == [jnp.bfloat16, jnp.bfloat16, None, False]
    assert {name: leaf.dtype.name for name, leaf in carry.items()} == {"mean": "float32", "seen": "int32"}

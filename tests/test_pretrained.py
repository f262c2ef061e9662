"""Starting from another run, and what training leaves alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from seqjax.checks import InputError
from seqjax.layers import Embedding, Frozen, functional
from seqjax.tasks import TASKS
from seqjax.tasks.pretrained import PretrainedConfig, begun, copy_description, open_pretrained, start_from
from seqjax.tasks.word_embeddings import Known, start_with
from seqjax.training.folder import RunFolder
from seqjax.training.manifest import seal
from seqjax.training.optimizers import OptimizerConfig, leave_frozen, make_optimizer


def test_frozen_parameters_keep_every_bit_under_decay():
    params = functional(Frozen(Embedding(3, 2, rngs=nnx.Rngs(0)))).params | {"kernel": jnp.ones(2)}
    optimizer = make_optimizer(OptimizerConfig(name="adamw", options={"weight_decay": 0.5}), steps=9)
    state = optimizer.init(params)
    updates, state = jax.jit(optimizer.update)(jax.tree.map(jnp.ones_like, params), state, params)
    after = optax.apply_updates(params, updates)
    np.testing.assert_array_equal(after["frozen"]["table"], params["frozen"]["table"])
    assert (after["kernel"] != params["kernel"]).all()
    assert sum(leaf.size for leaf in jax.tree.leaves(state)) < 2 * 2 + 6  # no moments of the table


def test_without_frozen_parts_the_optimiser_is_as_it_was():
    params = {"a": {"b": jnp.arange(3.0)}, "list": {0: jnp.ones(2)}}
    plain, same = optax.adam(0.1), leave_frozen(optax.adam(0.1))
    assert jax.tree.structure(plain.init(params)) == jax.tree.structure(same.init(params))
    one, other = (o.update(params, o.init(params), params)[0] for o in (plain, same))
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_a_part_that_does_not_fit_is_refused():
    init = start_from(lambda key: {"a": {"b": np.ones(3)}}, {"a": {"b": np.ones(2)}})
    with pytest.raises(InputError, match=r"`a` should have the shapes .*\(3,\).*\(2,\)"):
        init(None)
    with pytest.raises(InputError, match="no part `a/c`"):
        start_from(lambda key: {"a": {"b": np.ones(3)}}, {"a/c": np.ones(2)})(None)


def test_what_a_run_starts_from_is_no_constant_of_a_program():
    vectors = np.array([[1.0, -1.0], [0.0, 0.0]], np.float32)
    init = start_with(
        lambda key: {"a": jnp.zeros(3), "b": jnp.ones((2, 2))}, "b", Known(vectors, np.array([True, False]), "")
    )
    init = start_from(init, {"a": np.arange(3.0, dtype=np.float32)})
    traced = jax.make_jaxpr(lambda init, key: init(key))(init, jax.random.key(0))
    assert traced.consts == []
    made = jax.jit(lambda init: init(None))(init)
    np.testing.assert_array_equal(made["a"], [0, 1, 2])
    np.testing.assert_array_equal(made["b"][0], [1, -1])


def test_only_a_run_of_the_right_task_is_a_start(tmp_path):
    folder, task = RunFolder(tmp_path / "new"), TASKS["lm"]
    with pytest.raises(InputError, match=r"should name the folder of a run of the task lm\. Train one"):
        open_pretrained(PretrainedConfig(), folder, task, "Train one.")
    other = RunFolder(tmp_path / "other")
    other.path.mkdir()
    other.config.write_text('{"task": "translate", "preset": "cho", "config": {}}')
    with pytest.raises(InputError, match="a run of the task translate, but one of lm is wanted"):
        open_pretrained(PretrainedConfig(run=str(other.path)), folder, task, "Train one.")
    assert not folder.pretrained.exists()


def test_what_describes_a_run_is_copied_and_what_it_began_with_too(tmp_path):
    source = RunFolder(tmp_path / "source")
    (source.pretrained).mkdir(parents=True)
    for path in (source.config, source.words, source.pretrained / "config.json"):
        path.write_text(path.name)
    source.metrics.write_text("")
    copy_description(source, tmp_path / "copy")
    found = sorted(str(p.relative_to(tmp_path / "copy")) for p in (tmp_path / "copy").rglob("*.json*"))
    assert found == ["config.json", "pretrained/config.json", "words.json"]
    (source.checkpoints / "12").mkdir(parents=True)
    assert not begun(source)
    seal(source.checkpoints / "12", 12)
    assert begun(source)
    assert not begun(RunFolder(tmp_path / "copy"))

"""Law 5, devices do not matter, and what the one step promises besides.

B = 8 rows, T = 5 steps, V = 7 symbols.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toy_task as toy
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from seqjax.checks import InputError
from seqjax.models import LanguageModelConfig, whole_past
from seqjax.tasks.lm import objective
from seqjax.training.devices import check_replicas, check_rows, fetch, fitting, local_rows, place, place_whole
from seqjax.training.evaluation import Evaluator
from seqjax.training.optimizers import OptimizerConfig, make_optimizer
from seqjax.training.state import AXIS, STATE, TrainState, create_state
from seqjax.training.step import Objective, make_eval_step, make_train_step, parallel, parallel_eval

B, T, V, STEPS = 8, 5, 7, 20
MODEL = whole_past(LanguageModelConfig(cell="gru", features=6, layers=2, dropout=0.3), V)
CLIPPED_SGD = make_optimizer(OptimizerConfig(name="sgd", learning_rate=2.0, schedule="constant", clip=0.5), STEPS)
KEY = jax.random.key(3)


def text(number, rows=B):
    """Batch ``number``: rows of 0 to T real symbols, new documents here and there."""
    random = np.random.default_rng(number)
    real = np.arange(T) < random.integers(0, T + 1, (rows, 1))
    real[0] = number % 2  # a row with nothing in it, every other time
    ids = ((random.integers(0, V, (rows, 1)) + 3 * np.arange(T + 1)) % V).astype(np.int32)
    reset = (random.random((rows, T)) < 0.2) & real
    return {"inputs": ids[:, :-1], "targets": ids[:, 1:], "mask": real, "reset": reset, "scored": real}


def text_state(optimizer=CLIPPED_SGD, average=False):
    return jax.device_get(create_state(MODEL.init(jax.random.key(1)), optimizer, MODEL.carry(B), average))


def train(step, state, make, steps=STEPS, devices=1):
    """Run ``steps`` steps on so many devices; the state on the host, and the loss of each."""
    used = jax.local_devices()[:devices]
    run, state, losses = parallel(step, devices=used), place(state, used), []
    for number in range(steps):
        state, metrics = run(state, local_rows(make(number), used), KEY)
        losses.append(metrics["loss"][0])
    return fetch(state), np.array(jax.device_get(losses))


@functools.cache
def text_run(devices, accumulate):
    return train(
        make_train_step(objective(MODEL), CLIPPED_SGD, accumulate=accumulate), text_state(), text, devices=devices
    )


def assert_close(tree, other, tolerance):
    for (path, a), b in zip(jax.tree.leaves_with_path(tree), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=jax.tree_util.keystr(path))


def assert_same(tree, other):
    for (path, a), b in zip(jax.tree.leaves_with_path(tree), jax.tree.leaves(other), strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=jax.tree_util.keystr(path))


@pytest.mark.parametrize("devices, accumulate", [(4, 1), (1, 4), (4, 2), (2, 4)])
def test_devices_and_micro_batches_do_not_matter(devices, accumulate):
    state, losses = text_run(devices, accumulate)
    one, losses_of_one = text_run(1, 1)
    assert np.abs(one.params["embedding"]["table"] - text_state().params["embedding"]["table"]).max() > 0.05
    assert_close(state, one, 1e-5)
    assert_close(losses, losses_of_one, 1e-5)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_pmapped_step_is_one_line_from_shard_map(accumulate):
    step = make_train_step(objective(MODEL), CLIPPED_SGD, accumulate=accumulate)
    specs: TrainState = jax.tree.map(
        lambda axis: P(AXIS) if axis == 0 else P(), STATE, is_leaf=lambda axis: axis is None
    )
    mesh = Mesh(np.array(jax.local_devices()), (AXIS,))
    sharded = jax.shard_map(step, mesh=mesh, in_specs=(specs, P(AXIS), P()), out_specs=(specs, P()))
    run, state, losses = jax.jit(sharded), text_state(), []
    for number in range(STEPS):
        state, metrics = run(state, text(number), KEY)
        losses.append(metrics["loss"][0])
    mapped, mapped_losses = text_run(4, accumulate)
    assert_close(jax.device_get(state), mapped, 1e-6)
    assert_close(np.array(jax.device_get(losses)), mapped_losses, 1e-6)


def toy_state(optimizer, rows=B, average=False):
    return jax.device_get(create_state(toy.init(jax.random.key(0)), optimizer, toy.carry(rows), average))


def test_dropout_is_on_and_changes_from_step_to_step():
    still, state = optax.sgd(0.0), toy_state(optax.sgd(0.0))
    wet = make_train_step(toy.OBJECTIVE, still)
    dry_terms = lambda params, batch, carry, keys, train: toy.terms(params, batch, carry, None, train)  # noqa: E731
    dry = make_train_step(toy.OBJECTIVE._replace(terms=dry_terms), still)
    same = lambda number: toy.batch(0)  # noqa: E731
    first = [train(step, state, same, 1)[1][0] for step in (wet, dry)]
    other = train(wet, state._replace(step=jnp.int32(1)), same, 1)[1][0]
    assert len({*first, other}) == 3


def test_nothing_compiles_twice(caplog):
    run = parallel(make_train_step(toy.OBJECTIVE, optax.adam(0.1)))
    state, wider = place(toy_state(optax.adam(0.1))), place(toy_state(optax.adam(0.1), 16))

    def compiled():
        return [record for record in caplog.records if "Compiling" in record.getMessage()]

    with jax.log_compiles():
        state, _ = run(state, local_rows(toy.batch(0)), KEY)
        first = len(compiled())
        for number in range(1, 6):
            state, _ = run(state, local_rows(toy.batch(number)), KEY)
        run(place(fetch(state)), local_rows(toy.batch(6)), KEY)
        assert len(compiled()) == first > 0
        run(wider, local_rows(toy.batch(6, 16)), KEY)
        assert len(compiled()) > first


def spoiled(number):
    """A toy batch with NaN, or a gradient of infinite norm, in the first real row, so on one device only."""
    batch = toy.batch(number)
    row = np.argmax(batch["real"])
    batch["y"][row] = np.nan if number % 2 else 1e30
    return batch


@pytest.mark.parametrize("devices, accumulate", [(1, 1), (4, 1), (1, 4)])
def test_a_step_without_a_finite_gradient_changes_nothing_and_is_counted(devices, accumulate):
    optimizer, used = optax.adam(0.1), jax.local_devices()[:devices]
    run = parallel(make_train_step(toy.OBJECTIVE, optimizer, accumulate=accumulate, average_decay=0.5), devices=used)
    state = place(toy_state(optimizer, average=True), used)
    state, _ = run(state, local_rows(toy.batch(0), used), KEY)
    good = fetch(state)
    for count in (1, 2):
        state, metrics = run(state, local_rows(spoiled(count), used), KEY)
        after = fetch(state)
        assert (int(after.skipped), int(metrics["skipped"][0]), int(after.step)) == (count, count, 1 + count)
        assert_same(after._replace(step=good.step, skipped=good.skipped), good)
    after = fetch(run(state, local_rows(toy.batch(3), used), KEY)[0])
    assert int(after.skipped) == 0
    assert not np.array_equal(after.params["w"], good.params["w"])
    assert (after.carry["seen"] == 2).all()


def test_mixed_precision_trains_like_full_precision_and_keeps_types():
    step = make_train_step(objective(MODEL), CLIPPED_SGD, compute_dtype=jnp.bfloat16, average_decay=0.9)
    state, losses = train(step, text_state(average=True), text)
    types = [leaf.dtype for leaf in jax.tree.leaves(text_state(average=True))]
    assert [leaf.dtype for leaf in jax.tree.leaves(state)] == types
    assert_close(losses, text_run(1, 1)[1], 0.1)
    assert not np.array_equal(losses, text_run(1, 1)[1])
    assert losses[-2:].mean() < 0.8 * losses[:2].mean()


def test_the_forward_pass_of_mixed_precision_sees_bfloat16():
    seen = []

    def terms(params, batch, carry, *rest):
        seen.extend([params["w"].dtype, carry["mean"].dtype])
        return toy.terms(params, batch, carry, *rest)

    step = make_train_step(toy.OBJECTIVE._replace(terms=terms), optax.sgd(0.1), compute_dtype=jnp.bfloat16)
    state, _ = train(step, toy_state(optax.sgd(0.1)), toy.batch, steps=2)
    assert set(seen) == {jnp.dtype(jnp.bfloat16)}
    assert {name: leaf.dtype.name for name, leaf in state.carry.items()} == {"mean": "float32", "seen": "int32"}


def test_the_average_is_the_moving_mean_of_the_parameters():
    optimizer, mean = optax.sgd(0.05), np.asarray(toy.init(jax.random.key(0))["w"])
    step = make_train_step(toy.OBJECTIVE, optimizer, average_decay=0.7)
    for steps in (1, 2, 3):
        state, _ = train(step, toy_state(optimizer, average=True), toy.batch, steps=steps)
        mean = 0.7 * mean + 0.3 * state.params["w"]
        np.testing.assert_allclose(state.average["w"], mean, rtol=1e-6)


def test_the_average_is_there_only_when_asked_for():
    assert (
        train(make_train_step(toy.OBJECTIVE, optax.sgd(0.1)), toy_state(optax.sgd(0.1)), toy.batch, 1)[0].average
        is None
    )


@pytest.mark.parametrize("devices", [1, 4])
def test_clipping_bounds_the_norm_of_the_whole_gradient(devices):
    optimizer = make_optimizer(OptimizerConfig(name="sgd", learning_rate=0.5, schedule="constant", clip=0.1), 1)
    used = jax.local_devices()[:devices]
    before = toy_state(optimizer)
    state, metrics = parallel(make_train_step(toy.OBJECTIVE, optimizer), devices=used)(
        place(before, used), local_rows(toy.batch(0), used), KEY
    )
    moved = jax.tree.map(lambda a, b: np.asarray(a) - np.asarray(b), fetch(state).params, before.params)
    np.testing.assert_allclose(optax.tree.norm(moved), 0.05, rtol=1e-5)
    assert float(metrics["gradient_norm"][0]) > 0.2


def test_a_term_that_counts_nothing_adds_nothing():
    def unmarked(number):
        return toy.batch(number) | {"marked": np.zeros(B, bool)}

    alone = toy.OBJECTIVE._replace(weights={"fit": 1.0})
    states = [
        train(make_train_step(o, optax.sgd(0.1)), toy_state(optax.sgd(0.1)), unmarked, 3)
        for o in (toy.OBJECTIVE, alone)
    ]
    assert_same(*states)
    assert np.isfinite(states[0][1]).all()


def test_a_batch_of_padding_alone_moves_only_the_carry():
    def empty(number):
        return toy.batch(number) | {"marked": np.zeros(B, bool), "real": np.zeros(B, bool)}

    before = toy_state(optax.sgd(0.1))
    state, losses = train(make_train_step(toy.OBJECTIVE, optax.sgd(0.1)), before, empty, 1)
    assert losses == 0
    assert_same(state.params, before.params)
    assert (state.carry["seen"] == 1).all()


def test_evaluation_adds_up_over_devices():
    step = make_eval_step(objective(MODEL))
    found = []
    for devices in (1, 4):
        used = jax.local_devices()[:devices]
        run = jax.pmap(step, axis_name=AXIS, in_axes=(None, 0, 0), out_axes=(0, None), devices=used)
        _, metrics = run(text_state().params, local_rows(MODEL.carry(B), used), local_rows(text(1), used))
        found.append(jax.device_get(metrics))
    assert_close(found[0], found[1], 1e-6)
    _, all_devices = parallel_eval(step)(text_state().params, local_rows(MODEL.carry(B)), local_rows(text(1)))
    assert_same(jax.device_get(all_devices), found[1])
    assert found[0]["cross_entropy"][1] == text(1)["scored"].sum()


@pytest.mark.parametrize("rows, accumulate, advice", [(7, 1, 8), (8, 4, 16), (3, 1, 4), (14, 2, 16), (0, 1, 4)])
def test_rows_that_do_not_split_are_refused_with_a_number_that_does(rows, accumulate, advice):
    with pytest.raises(InputError, match=f"multiple of {4 * accumulate} .*but it is {rows}. Try --batch-size {advice}"):
        check_rows(rows, accumulate)
    check_rows(advice, accumulate)


def test_rows_that_do_not_split_never_reach_the_devices():
    with pytest.raises(InputError, match="multiple of 4, one share a device, but they are 6"):
        local_rows(toy.batch(0, 6))


def test_rows_that_do_not_split_are_evaluated_on_fewer_devices():
    evaluate, params = Evaluator(toy.OBJECTIVE, carry=toy.carry), toy.init(jax.random.key(0))
    batches = [toy.batch(number, 6) for number in range(2)]
    padded = [{name: np.concatenate([leaf, leaf[:2] * 0]) for name, leaf in batch.items()} for batch in batches]
    found, wanted = evaluate(params, batches), evaluate(params, padded)
    assert len(fitting(6)) == 3
    for name, sums in wanted.items():
        assert found[name] == pytest.approx(sums, rel=1e-6)


def test_parameters_of_the_host_or_of_the_devices_are_evaluated_by_one_program(caplog):
    evaluate, batches = Evaluator(toy.OBJECTIVE, carry=toy.carry), [toy.batch(number) for number in range(3)]
    params = jax.device_get(toy.init(jax.random.key(0)))
    with jax.log_compiles():
        first, second = evaluate(params, batches), evaluate(place_whole(params), batches)
    assert first == second
    alone = [evaluate(params, [batch])["fit"][0] for batch in batches]
    assert abs(first["fit"][0] - sum(alone)) > 0.01  # what is carried from batch to batch
    assert sum(record.getMessage().startswith("Compiling jit(_fun)") for record in caplog.records) == 1


def test_a_replica_that_differs_is_noticed():
    state = place(toy_state(optax.sgd(0.1)))
    check_replicas(state)
    shards = [shard.data for shard in state.params["w"].addressable_shards]
    shards[2] = jax.device_put(np.nextafter(np.asarray(shards[2]), np.float32(9)), shards[2].device)
    mixed = jax.make_array_from_single_device_arrays((toy.D,), state.params["w"].sharding, shards)
    with pytest.raises(RuntimeError, match=r"different values of \.params\['w'\]"):
        check_replicas(state._replace(params=state.params | {"w": mixed}))


def test_a_carry_lands_on_any_number_of_devices():
    for devices in (1, 2, 4):
        state = text_state()._replace(carry=text(5))
        assert_same(fetch(place(state, jax.local_devices()[:devices])).carry, text(5))


def test_counts_may_be_fractions_and_a_term_of_no_weight_impossible():
    model = Objective(
        lambda batch: {"error": batch["weight"].sum(), "unheard": jnp.ones(())},
        lambda params, batch, carry, keys, train: (
            {
                "error": jnp.sum(batch["weight"] * (batch["x"] * params["w"] - 1.0) ** 2),
                "unheard": jnp.log(0 * params["w"]),
            }, carry, {},
        ),
        {"error": 1.0, "unheard": 0.0},
    )  # fmt: skip
    found = []
    for weight in (1.0, 0.125):
        batch = {"x": np.arange(4.0, dtype=np.float32), "weight": np.full(4, weight, np.float32)}
        state = place(create_state({"w": jnp.ones(())}, optax.sgd(0.1)), jax.local_devices()[:1])
        run = parallel(make_train_step(model, optax.sgd(0.1)), devices=jax.local_devices()[:1])
        state, metrics = run(state, local_rows(batch, jax.local_devices()[:1]), KEY)
        found.append((float(metrics["loss"][0]), float(state.params["w"])))
    assert found[0] == found[1] == (1.5, pytest.approx(0.6))


def test_micro_batches_add_up_in_float32():
    model = Objective(
        lambda batch: {"sum": jnp.asarray(batch.size, jnp.float32)},
        lambda params, batch, carry, keys, train: ({"sum": (params["w"] * batch).sum()}, carry, {}),
        {"sum": 512.0},
    )  # fmt: skip
    used, batch = jax.local_devices()[:1], np.ones(512, jnp.bfloat16)  # in bfloat16, 256 and 1 are 256
    state = place(create_state({"w": jnp.ones((), jnp.bfloat16)}, optax.sgd(1.0)), used)
    run = parallel(make_train_step(model, optax.sgd(1.0), accumulate=512), devices=used)
    state, metrics = run(state, local_rows(batch, used), KEY)
    assert (float(metrics["sum"][0]), float(metrics["gradient_norm"][0])) == (512.0, 512.0)
    assert state.params["w"].dtype == jnp.bfloat16


def test_micro_batches_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="`accumulate` should be at least 1, but it is 0"):
        make_train_step(objective(MODEL), CLIPPED_SGD, accumulate=0)
    with pytest.raises(InputError, match="should be a multiple of `accumulate`, 3, but they are"):
        train(make_train_step(objective(MODEL), CLIPPED_SGD, accumulate=3), text_state(), text, 1)


def test_batches_of_any_tree_are_evaluated():
    model = Objective(
        lambda batch: {"sum": jnp.asarray(batch[0]["x"].size, jnp.float32)},
        lambda params, batch, carry, keys, train: ({"sum": batch[0]["x"].sum() + batch[1].sum()}, carry, {}),
        {"sum": 1.0},
    )  # fmt: skip
    assert Evaluator(model)({}, [({"x": np.ones((3, 2))}, np.ones(3))]) == {"sum": (9.0, 6.0)}

"""Schedules, optimisers by optax's own names, and what is refused before anything runs."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toy_task as toy

from seqjax import cells
from seqjax.checks import InputError
from seqjax.training.leaves import flatten
from seqjax.training.optimizers import (
    OptimizerConfig,
    known_optimizers,
    leave_frozen,
    make_optimizer,
    make_plateau,
    make_schedule,
)
from seqjax.training.state import AXIS, STATE, create_state
from seqjax.training.step import make_train_step

PARAMS = {"w": jnp.array([3.0, 4.0])}
GRADS = {"w": jnp.array([0.6, -0.8])}  # of norm 1


def rates(steps, **options):
    schedule = make_schedule(OptimizerConfig(learning_rate=2.0, **options), horizon=10)
    return [float(schedule(jnp.int32(step))) for step in steps]


def moved(optimizer, steps=1):
    """By how much ``steps`` updates with the same gradient move the parameters, each."""
    params, state, found = PARAMS, optimizer.init(PARAMS), []
    for _ in range(steps):
        updates, state = optimizer.update(GRADS, state, params)
        params = optax.apply_updates(params, updates)
        found.append(updates["w"])
    return np.array(found)


def test_constant_is_constant():
    assert rates((0, 5, 10, 99), schedule="constant") == [2.0] * 4


@pytest.mark.parametrize("schedule", ["constant", "cosine", "inverse-sqrt", "linear", "plateau"])
def test_warm_up_is_a_straight_line_to_the_highest_rate(schedule):
    np.testing.assert_allclose(rates(range(5), schedule=schedule, warmup=4), [0, 0.5, 1.0, 1.5, 2.0], rtol=1e-6)


def test_cosine_goes_from_the_highest_to_the_final_rate_and_stays():
    wanted = [2.0 * (0.1 + 0.9 * (1 + math.cos(math.pi * (step - 2) / 8)) / 2) for step in (2, 4, 6, 9)]
    np.testing.assert_allclose(rates((2, 4, 6, 9), warmup=2, final=0.1), wanted, rtol=1e-5)
    np.testing.assert_allclose(rates((10, 11, 10**6), warmup=2, final=0.1), 0.2, rtol=1e-5)


def test_a_line_goes_from_the_highest_to_the_final_rate_and_stays():
    found = rates((2, 4, 6, 10, 99), schedule="linear", warmup=2, final=0.1)
    np.testing.assert_allclose(found, [2.0, 1.55, 1.1, 0.2, 0.2], rtol=1e-5)


def test_inverse_square_root_is_that_of_the_paper():
    wanted = [2.0 * math.sqrt(4) * min(step**-0.5, step * 4**-1.5) for step in range(1, 40)]  # Vaswani et al., eq. 3
    np.testing.assert_allclose(rates(range(1, 40), schedule="inverse-sqrt", warmup=4), wanted, rtol=1e-5)
    assert np.isfinite(rates((0, 1), schedule="inverse-sqrt")).all()


def test_a_warm_up_longer_than_the_run_is_no_error():
    np.testing.assert_allclose(rates((5, 10, 20), warmup=20), [0.5, 1.0, 2.0], rtol=1e-6)


def test_the_horizon_is_the_steps_unless_one_is_given():
    for config, still_moving in ((OptimizerConfig(name="sgd"), 4), (OptimizerConfig(name="sgd", horizon=2), 2)):
        sizes = np.abs(moved(make_optimizer(config, steps=4), steps=6)).max(axis=1)
        assert (sizes > 1e-6).sum() == still_moving


@pytest.mark.parametrize(
    "patience, factor, losses, scales",
    [
        (2, 0.5, (3.0, 2.0, 2.1, 1.9, 1.9, 1.95, 1.8, 1.8, 1.8, 1.8), [1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]),
        (0, 0.5, (3.0, 2.0, 1.0, 1.0, 0.5), [1, 1, 1, 0.5, 0.5]),  # what gets better is never cut
        (1, 1.0, (1.0, 1.0), [1, 1]),
        (1, 0.5, (1.0, -1.0, -1.0, -0.99995, -2.0, math.nan), [1, 1, 0.5, 0.25, 0.25, 0.125]),  # nats of densities
    ],
)
def test_plateau_cuts_after_patience_and_only_then(patience, factor, losses, scales):
    plateau = make_plateau(OptimizerConfig(schedule="plateau", patience=patience, factor=factor))
    state = plateau.init({})
    for loss, scale in zip(losses, scales, strict=True):
        _, state = plateau.update({}, state, value=jnp.float32(loss))
        assert float(state.scale) == scale


def test_the_state_of_a_plateau_goes_on_from_numpy():
    plateau = make_plateau(OptimizerConfig(schedule="plateau", patience=2))
    state = copy = plateau.init({})
    for loss in (2.0, 2.0, 2.0, 2.0, 1.0):
        _, state = plateau.update({}, state, value=jnp.float32(loss))
        _, copy = plateau.update({}, jax.tree.map(np.asarray, copy), value=jnp.float32(loss))
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(copy), strict=True):
        assert a.dtype == b.dtype
        assert np.array_equal(a, b)


def test_the_factor_of_a_plateau_scales_the_update():
    optimizer, batch = optax.sgd(0.1), jax.tree.map(lambda leaf: leaf[None], toy.batch(0))
    state = create_state(toy.init(jax.random.key(0)), optimizer, jax.tree.map(lambda leaf: leaf[None], toy.carry(8)))
    step = make_train_step(toy.OBJECTIVE, optimizer)
    run = jax.jit(jax.vmap(step, (STATE, 0, None), (STATE, None), axis_name=AXIS))
    whole, part = (
        run(state._replace(scale=jnp.float32(scale)), batch, jax.random.key(1))[0].params["w"] - state.params["w"]
        for scale in (1.0, 0.25)
    )
    assert jnp.abs(whole).max() > 0.01
    np.testing.assert_allclose(part, whole / 4, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", known_optimizers())
def test_every_optimizer_of_optax_that_is_offered_takes_a_step(name):
    config = OptimizerConfig(name=name, learning_rate=0.1, schedule="constant", clip=1.0)
    optimizer = make_optimizer(config, steps=4)
    found = moved(optimizer, steps=3)
    assert np.isfinite(found).all()
    assert np.abs(found).max() > 0
    assert flatten("the state, in a checkpoint", optimizer.init(PARAMS))


def test_the_names_are_those_of_optax():
    assert {"adam", "adamw", "sgd", "adagrad", "rmsprop", "lion", "lamb", "nadam", "adafactor"} <= {*known_optimizers()}
    plain = moved(optax.adamw(0.01, b2=0.9, weight_decay=0.5), 3)
    config = OptimizerConfig(
        name="adamw", learning_rate=0.01, schedule="constant", clip=0.0, options={"b2": 0.9, "weight_decay": 0.5}
    )
    np.testing.assert_array_equal(moved(make_optimizer(config, steps=1), 3), plain)


@pytest.mark.parametrize("clip, size", [(0.25, 0.25), (1.0, 1.0), (7.0, 1.0), (0.0, 1.0)])
def test_clipping_is_by_the_global_norm_and_zero_is_none(clip, size):
    for rate in (1.0, 0.1):  # of the gradient, before the learning rate
        config = OptimizerConfig(name="sgd", learning_rate=rate, schedule="constant", clip=clip)
        np.testing.assert_allclose(moved(make_optimizer(config, steps=1))[0], -rate * size * GRADS["w"], rtol=1e-6)


def test_the_inverse_square_root_is_the_schedule_of_the_transformer():
    """Vaswani et al. (2017), equation 3, for a width of 512 and 4000 steps of warm-up."""
    peak = 512**-0.5 * 4000**-0.5
    config = OptimizerConfig(learning_rate=peak, warmup=4000, schedule="inverse-sqrt")
    rate = make_schedule(config, horizon=1)
    for step in (1, 100, 3999, 4000, 4001, 100_000):
        np.testing.assert_allclose(rate(step), 512**-0.5 * min(step**-0.5, step * 4000**-1.5), rtol=1e-4)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"learning_rate": math.nan}, r"--optimizer.learning-rate should be a finite number .* but it is nan.*Try"),
        ({"learning_rate": math.inf}, "but it is inf"),
        ({"learning_rate": -1.0}, r"but it is -1\.0"),
        ({"name": "adma"}, "OptimizerConfig: `name`.*'adma'.* Did you mean `adam"),
        ({"name": "chain"}, "should be a known name"),
        ({"name": "rprop"}, "should be a known name"),  # it takes no schedule
        ({"name": "noisy_sgd"}, "should be a known name"),  # its state could not be saved
        ({"options": {"momentun": 0.9}, "name": "sgd"}, "optax.sgd.*'momentun'.* Did you mean `momentum`"),
        ({"options": {"learning_rate": 0.9}}, "'learning_rate'"),
        ({"clip": -1.0}, "--optimizer.clip"),
        ({"clip": math.nan}, "--optimizer.clip"),
        ({"warmup": -1}, "warmup and horizon count steps, but they are -1"),
        ({"horizon": 0}, "count steps"),
        ({"warmup": 2**31}, "count steps"),
        ({"factor": 0.0}, r"factor should lie in \(0, 1\]"),
        ({"factor": 1.5}, r"factor should lie in \(0, 1\]"),
        ({"patience": -1}, "patience"),
        ({"final": math.nan}, "final"),
        ({"final": -0.5}, "final"),
        ({"final": 1.5}, "final"),
        ({"schedule": "cosin"}, "Did you mean `cosine`"),
        ({"options": {"b2": math.nan}}, "b2"),
        ({"options": {"mu_dtype": 1.0}}, "--optimizer.options: optax.adam does not take mu_dtype 1: "),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        OptimizerConfig(**options)


def test_what_is_frozen_stays_below_lists_and_tuples_too():
    params = {"blocks": [{"frozen": {"table": jnp.ones(2)}, "kernel": jnp.ones(2)}, (jnp.ones(2), {"frozen": 1.0})]}
    optimizer = leave_frozen(optax.adamw(1.0, weight_decay=0.5))
    state = optimizer.init(params)
    assert len(jax.tree.leaves(state)) == 5  # a count, and two moments of two arrays
    updates, _ = jax.jit(optimizer.update)(params, state, params)
    assert jax.tree.structure(updates) == jax.tree.structure(params)
    first, (second, third) = updates["blocks"]
    assert (first["frozen"]["table"].tolist(), float(third["frozen"])) == ([0, 0], 0)
    assert (first["kernel"] < 0).all()
    assert (second < 0).all()


def test_optimizers_see_parameters_of_any_type_as_they_are():
    params = cells.Elman.init(jax.random.key(0), 2, 3)
    masked = leave_frozen(optax.adamw(0.1, weight_decay=0.5, mask=lambda tree: type(tree)(True, False, False)))
    state = masked.init(params)
    assert isinstance(masked.update(params, state, params)[0], type(params))

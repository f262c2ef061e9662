"""Forecasters: step equals forward, forecasts move with the series, quantiles keep their order, errors are counted."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.data.adding import AddingConfig
from seqjax.models.autoregressive import AutoregressiveForecasterConfig, autoregressive_forecaster
from seqjax.models.forecaster import (
    Forecast,
    ForecasterConfig,
    ForecastModel,
    RecurrentForecasterConfig,
    SeriesShape,
    direct_forecaster,
    frame,
    last_steps,
)
from seqjax.models.reading import RecurrentReaderConfig
from seqjax.ops.dropout import row_keys
from seqjax.ops.quantiles import ordered, pinball
from seqjax.tasks import forecast_adding as adding
from seqjax.tasks.forecast import objective
from seqjax.tasks.forecast_adding import AdderConfig, adder
from seqjax.training.folder import RunFolder

SWIFT: Any = {"xla_backend_optimization_level": 0}
B, T, D, H = 3, 7, 3, 4
SHAPE = SeriesShape(D, (2, 0), H, season=3)
QUANTILES = (0.1, 0.5, 0.9)


def batch(seed: int = 0) -> dict[str, np.ndarray]:
    """Rows of 7, 5 and 7 real steps, and what came after them."""
    random = np.random.default_rng(seed)
    mask = np.arange(T) < np.array([7, 5, 7])[:, None]
    xs = random.normal(size=(B, T, D)).astype(np.float32) * mask[..., None]
    targets = random.normal(size=(B, H, 2)).astype(np.float32)
    return {"xs": xs, "mask": mask, "targets": targets, "real": np.array([True, True, True])}


@functools.cache
def stepper(anchor: str):
    """An autoregressive model, its parameters, and what it says: taught, alone, and from step to step."""
    config = AutoregressiveForecasterConfig(features=4, forcing=1.0, anchor=anchor, quantiles=QUANTILES)
    model = autoregressive_forecaster(config, SHAPE)
    params = model.init(jax.random.key(0))

    def run(params, batch):
        start, advance = model.steps.start, model.steps.advance
        memory, state = start(params, batch)
        before = jnp.concatenate([memory.last, batch["targets"][:, :-1]], axis=1)
        stepped = []
        for step in range(H):
            state, found = advance(params, memory, state, before[:, step])
            stepped.append(found)
        joined = jax.tree.map(lambda *leaves: jnp.stack(leaves, axis=1), *stepped)
        alone = model.forecast(params, batch)
        read = model.taught(params, batch | {"targets": alone.point})[0]
        return joined, model.taught(params, batch)[0], alone, read

    return functools.partial(jax.jit(run, compiler_options=SWIFT), params)


@pytest.mark.parametrize("anchor", ["none", "season"])
def test_step_equals_forward(anchor):
    joined, taught, alone, read = stepper(anchor)(batch())
    for one, other in ((joined, taught), (alone, read)):  # alone, it reads what it has just said
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), one, other)
    assert np.abs(np.asarray(alone.point - taught.point))[:, 1:].max() > 1e-3
    np.testing.assert_allclose(alone.point[:, 0], taught.point[:, 0], atol=2e-5)


def test_what_came_later_never_changes_a_forecast():
    one, other = batch(), batch()
    other["targets"] = other["targets"].copy()
    other["targets"][:, 2:] += 5
    first, second = stepper("season")(one)[1], stepper("season")(other)[1]
    np.testing.assert_array_equal(first.point[:, :3], second.point[:, :3])  # step 3 is the first to read step 2
    assert np.abs(np.asarray(first.point - second.point))[:, 3].max() > 1e-3


def test_a_share_of_the_rows_reads_what_came_and_it_depends_on_the_row_alone():
    model = autoregressive_forecaster(AutoregressiveForecasterConfig(features=2, forcing=0.8), SHAPE)
    params, keys = model.init(jax.random.key(0)), row_keys(jax.random.key(1), jnp.arange(40))
    many = {name: np.concatenate([leaf] * 14)[:40] for name, leaf in batch().items()}
    taught = jax.jit(lambda keys, batch: model.taught(params, batch, keys), compiler_options=SWIFT)
    found, free = taught(keys, many)
    turned, free_turned = taught(keys[::-1], {name: leaf[::-1] for name, leaf in many.items()})
    assert 2 < int(free.sum()) < 14  # a fifth
    np.testing.assert_array_equal(free, free_turned[::-1])
    np.testing.assert_allclose(found.point, turned.point[::-1], atol=1e-5)
    alone = jax.jit(model.forecast, compiler_options=SWIFT)(params, many)
    np.testing.assert_allclose(found.point[free], alone.point[free], atol=1e-5)
    assert np.abs(np.asarray(found.point - alone.point))[~np.asarray(free)].max() > 1e-3


@pytest.mark.parametrize("anchor", ["last", "season"])
def test_forecasts_move_and_grow_with_the_series(anchor):
    config = RecurrentForecasterConfig(
        reader=RecurrentReaderConfig(features=3, bidirectional=False), anchor=anchor, quantiles=QUANTILES
    )
    model = direct_forecaster(config, SHAPE)
    params, one = model.init(jax.random.key(0)), batch()
    run = jax.jit(model.forecast, compiler_options=SWIFT)
    found, moved = run(params, one), run(params, one | {"xs": one["xs"] + 100})
    large, larger = run(params, one | {"xs": one["xs"] * 50}), run(params, one | {"xs": one["xs"] * 100})
    np.testing.assert_allclose(moved.point, found.point + 100, atol=1e-3)
    np.testing.assert_allclose(moved.quantiles, found.quantiles + 100, atol=1e-3)
    np.testing.assert_allclose(larger.point, 2 * large.point, rtol=1e-3, atol=1e-2)  # up to FLOOR
    assert (np.diff(found.quantiles, axis=-1) > 0).all()


def test_a_window_is_seen_relative_to_its_last_real_values():
    one = batch()
    seen = frame(one["xs"], one["mask"], "season", SHAPE)
    for row, length in enumerate([7, 5, 7]):
        xs = one["xs"][row, :length]
        np.testing.assert_allclose(seen.last[row, 0], xs[-1, [2, 0]])
        for step in range(H):
            np.testing.assert_allclose(seen.base[row, step], xs[length - 3 + step % 3, [2, 0]])
        np.testing.assert_allclose(seen.inputs[row, :length], (xs - xs[-1]) / np.sqrt(xs.var(axis=0) + 1e-4), rtol=1e-4)
        assert not np.asarray(seen.inputs[row, length:]).any()


def test_the_last_real_steps_are_found_wherever_padding_stands():
    xs = np.arange(6.0)[None, :, None]
    mask = np.array([[False, True, False, True, True, False]])
    assert last_steps(xs, mask, 2)[0, :, 0].tolist() == [3.0, 4.0]
    assert last_steps(xs, mask, 5)[0, :, 0].tolist() == [0.0, 0.0, 1.0, 3.0, 4.0]
    with pytest.raises(InputError, match="7 steps is longer than the 6 steps that are seen"):
        last_steps(xs, mask, 7)


def test_pinball_is_least_at_the_quantiles_and_half_the_absolute_error_at_the_median():
    draws = np.random.default_rng(0).exponential(size=4001).astype(np.float32)
    tried = np.linspace(0, 4, 401).astype(np.float32)
    for quantile in (0.1, 0.5, 0.9):
        lost = np.asarray(pinball(np.broadcast_to(tried, (len(draws), 401)), draws, [quantile] * 401)).mean(axis=0)
        assert abs(tried[lost.argmin()] - np.quantile(draws, quantile)) < 0.02
    np.testing.assert_allclose(pinball(np.array([1.0, 4.0]), np.array(2.0), (0.5, 0.5)), [0.5, 1.0])


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_what_lies_above_a_high_quantile_costs_something_in_half_precision(dtype):
    forecast, level = jnp.array([[2.0]], dtype), (0.999,)
    slope = jax.grad(lambda forecast: pinball(forecast, jnp.array([1.0], dtype), level).sum())(forecast)
    np.testing.assert_allclose(np.asarray(slope, np.float32), 0.001, rtol=0.01)


def test_quantiles_never_cross_whatever_the_network_says():
    raw = 50 * np.random.default_rng(0).normal(size=(100, 5)).astype(np.float32)
    assert (np.diff(ordered(raw), axis=-1) >= 0).all()
    np.testing.assert_array_equal(ordered(raw)[:, 0], raw[:, 0])
    assert ordered(raw[:, :0]).shape == (100, 0)


@pytest.mark.parametrize("quantiles", [(0.5, 0.5), (0.9, 0.1), (0.0, 0.5), (0.5, 1.0)])
def test_quantiles_that_make_no_sense_are_refused(quantiles):
    with pytest.raises(InputError, match="probabilities between 0 and 1 that rise"):
        ForecasterConfig(quantiles=quantiles)


def test_an_unknown_anchor_and_forcing_beyond_one_are_refused():
    with pytest.raises(InputError, match="Did you mean `season`"):
        ForecasterConfig(anchor="seasons")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="forcing"):
        AutoregressiveForecasterConfig(forcing=1.5)


def test_errors_and_pinball_losses_are_summed_over_real_rows():
    one = batch() | {"real": np.array([True, True, False])}
    said = np.random.default_rng(2).normal(size=(B, H, 2, 4)).astype(np.float32)
    found = Forecast(jnp.asarray(said[..., 0]), jnp.asarray(said[..., 1:]))
    nothing = lambda *given: found  # noqa: E731
    model = ForecastModel(nothing, nothing, lambda *given: (found, jnp.array([True, False, True])), None)
    for kind, power in (("mae", 1), ("mse", 2)):
        goal = objective(model, kind, QUANTILES)
        assert {name: int(count) for name, count in goal.counts(one).items()} == {"error": 16, "pinball": 16}
        off = np.abs(said[:2, ..., 0] - one["targets"][:2]) ** power
        short = one["targets"][..., None] - said[..., 1:]
        lost = np.maximum(np.array(QUANTILES) * short, (np.array(QUANTILES) - 1) * short).mean(axis=-1)
        for train, rows in ((False, 2), (True, 1)):  # in training, quantiles count where nothing was given away
            sums, _, _ = goal.terms(None, one, None, None, train)
            np.testing.assert_allclose(sums["error"], off.sum(), rtol=1e-5)
            np.testing.assert_allclose(sums["pinball"], lost[:rows].sum(), rtol=1e-5)
    assert set(objective(model, "mae", ()).counts(one)) == {"error"}


def test_the_adder_starts_with_the_input_weights_it_is_told():
    reader = RecurrentReaderConfig(cell="irnn", features=200, bidirectional=False)
    params = [adder(AdderConfig(reader=reader, input_deviation=size)).init(jax.random.key(0)) for size in (0.0, 0.5)]
    first = [one["reader"]["stack"]["layers"][0]["params"]["input_kernel"] for one in params]
    np.testing.assert_allclose([kernel.std() for kernel in first], [0.001, 0.5], rtol=0.1)
    with pytest.raises(InputError, match="input_deviation"):
        AdderConfig(input_deviation=-1.0)


def test_the_baseline_of_the_adding_problem_is_of_the_split_that_is_measured(tmp_path):
    config = adding.AddingForecastConfig(data=AddingConfig(length=4, held=50))
    job = adding.build(config, RunFolder(tmp_path)).job
    for split, held in (("valid", job.validation), ("test", job.test)):
        assert job.examine(None, split) == adding.baseline(held.held)
    assert job.examine(None, "valid") != job.examine(None, "test")

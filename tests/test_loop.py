"""What the loop measures, and with which parameters; what it shows of it."""

import itertools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy_task as toy

from seqjax.training import loop
from seqjax.training.configuration import RunConfig
from seqjax.training.folder import RunFolder, as_identity, open_run
from seqjax.training.journal import read
from seqjax.training.loop import Trainer
from seqjax.training.optimizers import OptimizerConfig
from seqjax.training.progress import Reporter
from seqjax.training.recorder import Recorder


class Heard(Reporter):
    """What a terminal is told."""

    def __init__(self, total):
        super().__init__(total, show=lambda text: None)
        self.losses, self.best, self.norms = {}, [], []

    def update(self, step, loss, count):
        self.losses[step] = loss

    def row(self, row, best=False):
        self.best += [row["step"]] * best


def by_hand(params, number):
    """The squared error of a batch of the toy that is the first: (0.9 · 0 + x) w + b is its guess."""
    batch = toy.batch(number)
    return np.square(batch["x"] @ params["w"] + params["b"] - batch["y"])[batch["real"]].mean()


def watched(folder, average, clock):
    """Run the toy with everything that a task may ask for; its rows, what a terminal was told, and the checkpoints."""

    def make(number):
        clock.now += 1
        return toy.batch(number)

    def examine(params, split):
        clock.now += 100
        return {"b": float(params["b"]), "number": {"valid": 998, "test": 999}[split]}

    def report(totals, split):
        fit, size = (total / count for total, count in (totals["fit"], totals["size"]))
        return {"loss": fit, "whole": fit + size / 10}

    job = toy.job(make)._replace(
        examine=examine, sample=lambda params, step: repr(float(params["b"])), report=report,
        objective=toy.OBJECTIVE._replace(weights={"fit": 2.0, "size": 0.2}),
    )  # fmt: skip
    config = RunConfig(
        out=str(folder), batch_size=8, steps=5, evaluate_every=2, log_every=4, keep=9, average=average, seed=3
    )  # fmt: skip
    run, _ = open_run(folder, as_identity("toy", "", config))
    with Heard(5) as heard, Recorder(run, heard, keep=9, agree_every=1, started=0.0) as recorder:
        trainer = Trainer(job, config, OptimizerConfig(name="sgd", learning_rate=3.0), run)
        step = trainer.step

        def noted(state, batch, key):
            if not heard.norms:
                heard.began = np.asarray(state.params["w"]), key
            state, metrics = step(state, batch, key)
            heard.norms.append(float(metrics["gradient_norm"][0]))
            return state, metrics

        trainer.step = noted
        trainer.run(recorder)
        recorder.settle()
        target = {"average" if average else "params": toy.init(jax.random.key(0))}
        kept = [recorder.checkpoints.restore(target, step=step) for step in (2, 4, 5)]
        used = {one.step: params for one in kept for params in one.items.values()}
        trainer.test(used[2], 2, recorder)
    return {(row["split"], row["step"]): row for row in read(folder / "metrics.jsonl")}, heard, used


def test_what_is_measured_is_what_will_be_used_and_each_split_is_its_own(tmp_path, monkeypatch):
    clock = types.SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)
    monkeypatch.setattr(loop, "time", clock)
    trained = []
    for average in (0.0, 0.9):
        rows, heard, used = watched(tmp_path / str(average), average, clock)
        assert [*rows] == [("valid", 2), ("train", 4), ("valid", 4), ("train", 5), ("valid", 5), ("test", 2)]
        np.testing.assert_allclose(heard.began[0], toy.init(jax.random.key(3))["w"], rtol=1e-6)
        assert heard.began[1] == jax.random.key(3)
        samples = (tmp_path / str(average) / "samples.txt").read_text().split()
        for (split, step), row in rows.items():
            if split != "train":
                assert row["b"] == float(used[step]["b"])
                assert row["loss"] == pytest.approx(by_hand(used[step], row["number"]), rel=1e-5)
                assert repr(row["b"]) in samples
        losses = [rows["valid", step]["loss"] for step in used]
        lowest = itertools.accumulate(losses, min)
        assert heard.best == [step for step, loss, least in zip(used, losses, lowest, strict=True) if loss == least]
        first, last = rows["train", 4], rows["train", 5]
        assert first["gradient_norm"] == pytest.approx(np.mean(heard.norms[:4]), rel=1e-6)
        assert heard.losses[5] == pytest.approx(last["whole"], rel=1e-6)
        assert last["tokens_per_second"] == toy.batch(4)["real"].sum()  # a second a step, validations left out
        trained.append([rows["train", step]["loss"] for step in (4, 5)] + losses)
    assert trained[0][:2] == pytest.approx(trained[1][:2], rel=1e-6)
    assert np.abs(np.subtract(*trained))[2:].max() > 1e-4  # an average is no longer what it averages


def test_what_a_run_asks_of_the_step_and_of_measuring_reaches_them(tmp_path, monkeypatch):
    asked = {}

    def note(name, own):
        def call(*given, **how):
            asked[name] = given, how
            return own(*given, **how)

        monkeypatch.setattr(loop, name, call)

    note("make_train_step", loop.make_train_step)
    note("Evaluator", loop.Evaluator)
    config = RunConfig(batch_size=8, accumulate=2, precision="bfloat16", average=0.5)
    Trainer(toy.job(), config, OptimizerConfig(), RunFolder(tmp_path))
    _, how = asked["make_train_step"]
    assert how == {"accumulate": 2, "compute_dtype": jnp.bfloat16, "average_decay": 0.5}
    assert asked["Evaluator"] == ((toy.OBJECTIVE, jnp.bfloat16), {"carry": toy.carry})

"""The loop around the step: validation, samples, checkpoints, early stopping, and going on after a kill.

Everything that decides what comes next is in the checkpoint: the state of the step, the place in the data, the
running sums of the log, early stopping and the plateau. So a run that was killed and started again writes the
same numbers, bit for bit, as one that was left alone.
"""

import collections
import dataclasses
import itertools
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.checks import InputError
from seqjax.training.configuration import RunConfig
from seqjax.training.devices import check_replicas, check_rows, fetch, local_rows, on_first, place
from seqjax.training.evaluation import Evaluator, Totals, add, nothing
from seqjax.training.folder import RunFolder
from seqjax.training.optimizers import OptimizerConfig, make_optimizer, make_plateau, make_schedule
from seqjax.training.recorder import Recorder
from seqjax.training.signals import StopFlag
from seqjax.training.state import TrainState, create_state, with_leaves
from seqjax.training.step import Objective, make_train_step, parallel

IN_FLIGHT = 2  # steps dispatched before the oldest must have finished


class Job(NamedTuple):
    """What the loop needs to know of a task."""

    objective: Objective
    init: Callable[[Any], Any]  # key -> params, a nested dict
    batches: Any  # endless; `iterate` gives (batch, and where it stands)
    iterate: Callable[..., Any]  # (batches, start_state=None) -> iterator with get_state
    validation: Any  # batches that cover the validation split once
    test: Any  # batches that cover the test split once
    report: Callable[[Totals, str], dict[str, float]]  # (totals, split) -> metrics, `loss` among them
    sample: Callable[[Any, int], str] | None  # (params, step) -> text to show
    counted: str  # which metric's count is the unit of speed, e.g. tokens
    examine: Callable[[Any, str], dict[str, float]] | None = None  # (params, split) -> metrics that are no sums
    carry: Callable[[int], Any] = nothing  # rows -> the state before the first batch, leaves (rows, ·)


@dataclasses.dataclass
class Memory:
    """What the loop remembers besides the state: saved as JSON with every checkpoint."""

    sums: dict[str, list[float]] = dataclasses.field(default_factory=dict)  # since the last log
    best: float | None = None  # lowest validation loss
    best_step: int | None = None
    stale: int = 0  # validations since the best
    skipped: int = 0  # steps without a finite gradient, all in all
    done: bool = False

    def compare(self, loss: float, step: int) -> None:
        """Note a validation: the best is the lowest, and any other is better than one that was no number.

        Example:
            >>> memory = Memory()
            >>> for step, loss in enumerate((math.nan, 2.0, math.nan, 1.0, 3.0)):
            ...     memory.compare(loss, step)
            >>> memory.best, memory.best_step, memory.stale
            (1.0, 3, 1)
            >>> hopeless = Memory()
            >>> for step in range(3):
            ...     hopeless.compare(math.nan, step)
            >>> hopeless.best_step, hopeless.stale
            (0, 2)
        """
        if self.best is None or loss < self.best or math.isnan(self.best) > math.isnan(loss):
            self.best, self.best_step, self.stale = loss, step, 0
        else:
            self.stale += 1


class Outcome(NamedTuple):
    """How training ended."""

    step: int
    signal: int | None  # the signal that stopped it, or None: it came to its end


class Trainer:
    """One run. Make it, then call :meth:`run`.

    Args:
        job: the task.
        config: of the run.
        optimizer: how parameters are updated.
        folder: where everything is written.
    """

    def __init__(self, job: Job, config: RunConfig, optimizer: OptimizerConfig, folder: RunFolder):
        check_rows(config.batch_size, config.accumulate)
        self.job, self.config, self.folder = job, config, folder
        self.transform = make_optimizer(optimizer, config.steps)
        self.rate = jax.jit(make_schedule(optimizer, optimizer.horizon or config.steps))  # lest each operation compile
        self.plateau = make_plateau(optimizer) if optimizer.schedule == "plateau" else None
        step = make_train_step(
            job.objective, self.transform,
            accumulate=config.accumulate, compute_dtype=config.compute_dtype, average_decay=config.average,
        )  # fmt: skip
        self.step = parallel(step)
        self.evaluate = Evaluator(job.objective, config.compute_dtype, carry=job.carry)
        self.key = jax.random.key(config.seed)
        self.memory = Memory()
        self.flight: collections.deque = collections.deque()

    def run(self, recorder: Recorder) -> Outcome:
        """Train to the last step, to the end of patience, or to a signal."""
        with StopFlag() as stop:
            state, batches = self._begin(recorder)
            step = int(state.step)
            if 0 < step < self.config.steps and not float(self.rate(self.config.steps - 1)):
                recorder.note(
                    "the schedule's learning rate ends at 0 before the last step, and nothing is learned there: a run "
                    "that goes on keeps its schedule. To train longer, begin anew with another --out."
                )
            self._log_clock = time.perf_counter()
            while step < self.config.steps and not self.memory.done and not recorder.must_stop(stop, step):
                state, metrics = self.step(state, local_rows(next(batches)), self.key)
                step += 1
                self._land(metrics, step, recorder, IN_FLIGHT)
                if step % self.config.log_every == 0 or step == self.config.steps:
                    self._log(step, state, recorder)
                if self.config.validates(step):
                    state = self._validate(step, state, recorder)
                    self._save(step, state, batches, recorder)
                recorder.checkpoints_poll()
            if stop.number is not None:
                self._land(None, step, recorder, 0)
                self._save(step, state, batches, recorder)
        return Outcome(step, stop.number)

    def _begin(self, recorder: Recorder) -> tuple[TrainState, Any]:
        carry = self.job.carry(self.config.batch_size)
        average, init = self.config.average > 0, with_leaves(self.job.init)
        make = jax.jit(lambda init, key: create_state(init(key), self.transform, average=average))
        state = jax.eval_shape(make, init, self.key)._replace(
            carry=carry
        )  # a run that goes on needs no more than shapes
        types = jax.tree.map(lambda leaf: np.zeros((), leaf.dtype), state.params)
        self.plateau_state = self.plateau.init(types) if self.plateau else None
        restored = recorder.resume(self._items(jax.eval_shape(lambda s: s, state)))
        if restored is None:
            return place(make(init, self.key)._replace(carry=carry)), self.job.iterate(self.job.batches)
        items, meta = restored
        self.memory = Memory(**meta["memory"])
        self.memory.done = self.memory.done and bool(self.config.patience)
        self.plateau_state = items.get("plateau", self.plateau_state)
        own = {name: items.get(name, getattr(state, name)) for name in TrainState._fields}
        return place(TrainState(**(own | items["scalars"]))), self.job.iterate(
            self.job.batches, start_state=meta["data"]
        )

    def _items(self, state: TrainState) -> dict[str, Any]:
        """The state as the items of a checkpoint; those without arrays are left out."""
        items = state._asdict()
        items["scalars"] = {name: items.pop(name) for name in ("step", "skipped", "scale")}
        items["plateau"] = jax.tree.map(np.asarray, self.plateau_state)
        return {name: item for name, item in items.items() if jax.tree.leaves(item)}

    def _save(self, step: int, state: TrainState, batches, recorder: Recorder) -> None:
        if recorder.saved(step):
            return
        if jax.local_device_count() > 1:
            check_replicas(state)
        meta = {"memory": dataclasses.asdict(self.memory), "data": batches.get_state()}
        averaged = filter(self.config.validates, range(step, 0, -1))
        protect = {self.memory.best_step or step, *itertools.islice(averaged, self.config.average_last)}
        recorder.save(step, self._items(fetch(state)), meta, protect=protect)

    def _land(self, metrics, step: int, recorder: Recorder, allowed: int) -> None:
        """Wait until at most ``allowed`` steps are in flight, and count what has landed."""
        if metrics is not None:
            self.flight.append((step, metrics))
        while len(self.flight) > allowed:
            landed, values = self.flight.popleft()
            values = jax.device_get(values)
            row = int(values.pop("skipped")[0])
            self.memory.skipped += row > 0
            if row >= self.config.max_skipped:
                raise InputError(
                    f"step {landed}: the gradient was not finite for {row} steps in a row, so training stops here. "
                    f"The newest checkpoint is unharmed. Try a lower --optimizer.learning-rate or --optimizer.clip."
                )
            if row == 0:
                totals: Totals = {name: (a, b) for name, (a, b) in self.memory.sums.items()}
                add(totals, values)
                self.memory.sums = {name: list(pair) for name, pair in totals.items()}
            recorder.progress(landed, self._loss(values), values[self.job.counted][1])

    def _loss(self, values) -> float:
        return float(values["loss"][0]) / max(self.job.objective.weights.values())  # as if the heaviest weighed 1

    def _log(self, step: int, state: TrainState, recorder: Recorder) -> None:
        self._land(None, step, recorder, 0)
        totals: Totals = {name: (a, b) for name, (a, b) in self.memory.sums.items()}
        self.memory.sums = {}
        elapsed = time.perf_counter() - self._log_clock
        self._log_clock = time.perf_counter()
        row: dict[str, Any] = {"step": step, "split": "train"}
        if totals:
            row |= self.job.report(totals, "train")
            row["gradient_norm"] = totals["gradient_norm"][0] / totals["gradient_norm"][1]
            row["tokens_per_second"] = totals[self.job.counted][1] / elapsed
        row["learning_rate"] = float(self.rate(step - self.memory.skipped)) * float(state.scale)
        row["skipped"] = self.memory.skipped
        recorder.write(row)

    def _validate(self, step: int, state: TrainState, recorder: Recorder) -> TrainState:
        self._land(None, step, recorder, 0)
        before = time.perf_counter()
        params = self._params(state)
        metrics = self.job.report(self.evaluate(params, self.job.validation), "valid")
        if self.job.examine is not None and recorder.writer:
            metrics |= self.job.examine(on_first(params), "valid")
        row: dict[str, Any] = {"step": step, "split": "valid"} | metrics
        memory, loss = self.memory, metrics["loss"]
        memory.compare(loss, step)
        memory.done = 0 < self.config.patience <= memory.stale
        if self.plateau is not None:
            _, self.plateau_state = self.plateau.update({}, self.plateau_state, value=jnp.float32(loss))
            scale = jax.device_put(np.float32(self.plateau_state.scale), state.scale.sharding)
            state = state._replace(scale=scale)
        recorder.write(row, best=memory.best_step == step)
        if self.job.sample is not None and recorder.writer:
            recorder.sample(step, self.job.sample(on_first(params), step))
        self._log_clock += time.perf_counter() - before
        return state

    def test(self, params, step: int, recorder: Recorder) -> dict[str, Any]:
        """The last row of metrics.jsonl: these parameters, of this step, on the test split."""
        row = {"step": step, "split": "test"} | self.job.report(self.evaluate(params, self.job.test), "test")
        if self.job.examine is not None and recorder.writer:
            row |= self.job.examine(params, "test")
        recorder.write(row)
        return row

    def _params(self, state: TrainState):
        return state.params if state.average is None else state.average

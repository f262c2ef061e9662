"""What a run leaves behind: metrics.jsonl, samples.txt, checkpoints, and what the terminal shows.

Only process 0 writes; the others hold a recorder that restores with it and is otherwise silent.
"""

import time
from collections.abc import Collection
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from seqjax.training.checkpoint import Checkpoints
from seqjax.training.devices import writer_first
from seqjax.training.folder import RunFolder
from seqjax.training.journal import Journal, append_sample, cut_samples
from seqjax.training.signals import StopFlag


class Recorder:
    """The record of one run.

    Args:
        folder: of the run.
        reporter: shows progress; see :func:`seqjax.training.progress.reporter`.
        keep: newest checkpoints kept, besides the best.
        agree_every: with several processes, steps between agreeing whether a signal came.
        started: ``time.perf_counter()`` at the start of the process, for ``seconds``.
        also: other places that rows go to, such as TensorBoard; things with ``write(row)`` and ``cut(step)``.
    """

    def __init__(self, folder: RunFolder, reporter, *, keep: int, agree_every: int, started: float, also=()):
        self.folder, self.reporter, self.keep = folder, reporter, keep
        self.agree_every, self.started, self.also = agree_every, started, also
        self.writer = jax.process_index() == 0
        self.journal = Journal(folder.path)
        self.last_saved: int | None = None

    def __enter__(self):
        self.checkpoints = (
            Checkpoints(self.folder.checkpoints, keep_last=self.keep).__enter__() if self.writer else None
        )
        return self

    def __exit__(self, *error):
        if self.checkpoints is not None:
            return self.checkpoints.__exit__(*error)
        return None

    def resume(self, targets: dict[str, Any]) -> tuple[dict[str, Any], dict] | None:
        """The newest checkpoint that verifies, and the record cut back to it; None: a fresh start."""
        own = self.checkpoints
        restored = writer_first(lambda writer: None if own is None else own.restore(targets))
        step = -1 if restored is None else restored.step
        if jax.process_count() > 1:
            step = int(multihost_utils.broadcast_one_to_all(np.int32(step)))
            if restored is None and step >= 0:
                with Checkpoints(self.folder.checkpoints, keep_last=self.keep) as reader:
                    restored = reader.restore(targets, step=step)
        if self.writer:
            self.journal.cut(step)
            for place in self.also:
                place.cut(step)
            cut_samples(self.folder.path / "samples.txt", step)
        if restored is None:
            return None
        self.last_saved = step
        self.note(f"continuing at step {step:,} from {self.folder.path}")
        return restored.items, restored.meta

    def saved(self, step: int) -> bool:
        """Whether the newest checkpoint is already of this step."""
        return self.last_saved == step

    def save(self, step: int, items: dict[str, Any], meta: dict, protect: Collection[int]) -> None:
        """Begin to save; the steps of ``protect``, such as the best, are not deleted."""
        self.last_saved = step
        if self.checkpoints is not None:
            self.checkpoints.save(step, items, meta, protect=protect)

    def checkpoints_poll(self) -> None:
        """Put finished checkpoints into effect; cheap."""
        if self.checkpoints is not None:
            self.checkpoints.poll()

    def settle(self) -> None:
        """Wait until everything saved is on the disk, for every process."""
        if self.checkpoints is not None:
            self.checkpoints.wait()
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("saved")

    def write(self, row: dict[str, Any], best: bool = False) -> None:
        """Add a row to metrics.jsonl and show it."""
        if not self.writer:
            return
        row = row | {"seconds": round(time.perf_counter() - self.started, 3)}
        self.journal.write(row)
        for place in self.also:
            place.write(row)
        self.reporter.row(row, best=best)

    def sample(self, step: int, text: str) -> None:
        """Add a sample to samples.txt and show it."""
        append_sample(self.folder.path / "samples.txt", step, text)
        self.reporter.note(text)

    def note(self, text: str) -> None:
        """Say something, once, from process 0."""
        if self.writer:
            self.reporter.note(text)

    def progress(self, step: int, loss: float, count: float) -> None:
        """Show that a step has landed."""
        if self.writer:
            self.reporter.update(step, loss, float(count))

    def must_stop(self, stop: StopFlag, step: int) -> bool:
        """Whether a signal came; several processes agree on it every ``agree_every`` steps."""
        if jax.process_count() == 1:
            return stop.number is not None
        if step % self.agree_every:
            return False
        came = multihost_utils.process_allgather(np.int32(stop.number or 0))
        stop.number = int(np.max(came)) or None
        return stop.number is not None

"""Sums over a whole split: every batch once, the carry handed from batch to batch."""

import functools
from collections.abc import Callable
from typing import Any

import jax

from seqjax.training.devices import fitting, local_rows, place_rows, place_whole
from seqjax.training.step import Objective, make_eval_step, parallel_eval

Totals = dict[str, tuple[float, float]]  # {name: (sum, count)}


def nothing(rows: int) -> None:
    """What is carried from batch to batch where each stands for itself."""


class Evaluator:
    """Evaluates parameters over batches, compiled once for each shape, wherever parameters and carry come from.

    Batches go to as many devices as share their rows evenly: what is evaluated need not be what was trained on.

    Args:
        objective: terms and counts of the task.
        compute_dtype: see :func:`seqjax.training.step.make_train_step`.
        carry: ``rows -> carry``: the state before the first batch, leaves (rows, ·).
    """

    def __init__(self, objective: Objective, compute_dtype=None, *, carry: Callable[[int], Any] = nothing):
        step = make_eval_step(objective, compute_dtype=compute_dtype)
        self._steps = functools.cache(lambda some: parallel_eval(step, devices=some))  # None: all devices
        self._carry = carry

    def __call__(self, params, batches: Any) -> Totals:
        """Sum and count of every term and metric over ``batches``, a sequence of them, as floats of the host."""
        totals: Totals = {}
        carry, pending, some = None, None, None
        for batch in batches:
            if carry is None:
                rows = len(jax.tree.leaves(batch)[0])
                devices = fitting(rows)
                some = tuple(devices) if len(devices) < jax.local_device_count() else None
                params, carry = place_whole(params, some), place_rows(self._carry(rows), some)
            carry, sums = self._steps(some)(params, carry, local_rows(batch, some))
            add(totals, pending)  # the batch before: it is done by now
            pending = sums
        add(totals, pending)
        return totals


def add(totals: Totals, sums) -> None:
    """Add ``{name: (sum, count)}`` of one step to the running totals."""
    for name, (total, count) in jax.device_get(sums or {}).items():
        before = totals.get(name, (0.0, 0.0))
        totals[name] = (before[0] + float(total), before[1] + float(count))

"""Examples to batches: one a row, rows of similar length together, whatever arrays an example is made of.

N examples, B rows, T steps. Batch number n is a pure function of (seed, n).
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError
from seqjax.data.batches import Batch, Numbered
from seqjax.data.buckets import plan_buckets
from seqjax.data.corpus import NOTHING, Plan, check_enough

GRAIN = 8  # the longest bucket is a multiple of it
FIXED = ("mask", "real", "example")  # names that batches have of themselves


class Examples(NamedTuple):
    """What is known of each example, by name.

    Attributes:
        steps: arrays (T, ...) of each, which may be as long as they like, but all names of one example alike.
        rows: arrays (N, ...): one value an example.
    """

    steps: Mapping[str, Sequence[np.ndarray]]
    rows: Mapping[str, np.ndarray]

    @property
    def lengths(self) -> np.ndarray:
        """(N,): T of each."""
        return np.array([len(array) for array in next(iter(self.steps.values()))], np.int64)


class ExampleBatches(Numbered):
    """Batches of examples. Made by :func:`example_batches`.

    Batch n is a dict of arrays with B rows: every name of ``steps`` (B, T, ...), zero after its end; every name of
    ``rows`` (B, ...); ``mask`` (B, T), True on real steps; ``real`` (B,), False where the whole row is padding;
    ``example`` (B,) int32, the number of each row's example, −1 where there is none.

    Attributes:
        steps_per_epoch: batches in which every example comes once.
        lengths: every T that occurs.
        tokens_per_epoch: steps in an epoch.
        examples: how many there are.
    """

    def __init__(self, read, steps: int, lengths: Sequence[int], tokens: int, examples: int, train: bool):
        super().__init__(read, steps, tokens, train)
        self.lengths, self.examples = tuple(lengths), examples


def example_batches(
    examples: Examples,
    *,
    rows: int,
    seed: int = 0,
    train: bool,
    buckets: int | Sequence[int] = 6,
    change: Callable[[Batch, int], Batch] | None = None,
) -> ExampleBatches:
    """Lay examples into batches.

    For training there is no end, and each epoch has an order of its own. Else every example comes once, so that
    predictions find their way back by ``example``.

    Args:
        examples: one at least.
        rows: B.
        seed: of the order.
        train: shuffled without end, or once.
        buckets: most different T; or the ``lengths`` of the training batches, so that no other shape is compiled (one
            is added if an example fits none of them).
        change: ``(batch, epoch) -> batch``, the last word on each batch. What it draws should come from ``example``.

    Raises:
        InputError: fewer examples than one batch of training; arrays of one example that differ in length.

    Example:
        >>> examples = Examples({"ids": [np.array([5, 6, 7]), np.array([8])]}, {"label": np.array([1, 0])})
        >>> batch = example_batches(examples, rows=2, train=False)[0]
        >>> batch["ids"][:, :4].tolist(), batch["label"].tolist(), batch["mask"].sum(axis=1).tolist()
        ([[5, 6, 7, 0], [8, 0, 0, 0]], [1, 0], [3, 1])
    """
    lengths = examples.lengths
    _check(examples, lengths, rows)
    if train:
        check_enough("batches", len(lengths), rows, "examples", "Try a smaller --batch-size, or more examples.")
    shapes = _shapes(np.maximum(lengths, 1), buckets)
    home = np.searchsorted(shapes, lengths)
    members = [np.flatnonzero(home == number) for number in range(len(shapes))]
    places = [(shape, first) for shape, held in enumerate(members) for first in range(0, len(held), rows)]
    plan = Plan(rows, 0, seed, train)

    @functools.lru_cache(maxsize=2)
    def order(epoch: int) -> tuple[np.ndarray, list[np.ndarray]]:
        if not train:
            return np.arange(len(places)), members
        random = plan.random(epoch)
        return random.permutation(len(places)), [random.permutation(held) for held in members]

    def read(epoch: int, step: int) -> Batch:
        sequence, shuffled = order(epoch)
        shape, first = places[sequence[step]]
        batch = fill(examples, shuffled[shape][first : first + rows], rows, shapes[shape])
        return batch if change is None else change(batch, epoch)

    used = [shape for shape, held in zip(shapes, members, strict=True) if len(held)]
    return ExampleBatches(read, len(places), used, int(lengths.sum()), len(lengths), train)


def fill(examples: Examples, chosen: np.ndarray, rows: int, length: int) -> Batch:
    """The batch of the examples with these numbers, in B rows of T steps."""
    example = np.full(rows, NOTHING, np.int32)
    example[: len(chosen)] = chosen
    taken = np.array([len(next(iter(examples.steps.values()))[number]) for number in chosen], np.int64)
    batch = {"example": example, "real": example != NOTHING, "mask": np.zeros((rows, length), bool)}
    batch["mask"][: len(chosen)] = np.arange(length) < taken[:, None]
    for name, arrays in examples.steps.items():
        batch[name] = np.zeros((rows, length, *arrays[0].shape[1:]), arrays[0].dtype)
        for row, number in enumerate(chosen):
            batch[name][row, : len(arrays[number])] = arrays[number]
    for name, values in examples.rows.items():
        batch[name] = np.zeros((rows, *values.shape[1:]), values.dtype)
        batch[name][: len(chosen)] = values[chosen]
    return batch


def _shapes(lengths: np.ndarray, buckets: int | Sequence[int]) -> tuple[int, ...]:
    longest = int(-(-lengths.max() // GRAIN) * GRAIN)
    if isinstance(buckets, int):
        return plan_buckets(lengths, longest, buckets)
    return tuple(buckets) if buckets[-1] >= lengths.max() else (*buckets, longest)


def _check(examples: Examples, lengths: np.ndarray, rows: int) -> None:
    if rows < 1 or not len(lengths):
        raise InputError(f"example_batches: {len(lengths)} examples in {rows} rows leave nothing to read.")
    for name, arrays in examples.steps.items():
        found = np.array([len(array) for array in arrays])
        if not np.array_equal(found, lengths):
            raise InputError(f"example_batches: `{name}` should be as long as the other arrays of each example.")
    for name, values in examples.rows.items():
        if len(values) != len(lengths):
            raise InputError(
                f"example_batches: `{name}` should hold {len(lengths)} values, but it holds {len(values)}."
            )
    if taken := set(FIXED) & {*examples.steps, *examples.rows}:
        raise InputError(f"example_batches: {', '.join(sorted(taken))} are names that batches have of themselves.")

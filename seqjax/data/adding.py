"""The adding problem: two numbers among many are marked, and their sum is wanted at the end.

B rows, T steps. What is drawn for step n of training is a pure function of (seed, n).

Source:
    Hochreiter & Schmidhuber (1997), Long Short-Term Memory, experiment 4, with one mark in each half as in Le, Jaitly &
    Hinton (2015), A Simple Way to Initialize Recurrent Networks of Rectified Linear Units, section 4.1.
"""

import dataclasses

import numpy as np

from seqjax.checks import InputError
from seqjax.data.batches import Batch, Numbered

EPOCH = 1000  # steps that are called an epoch, though nothing comes twice
HELD = {"valid": 1, "test": 2}  # streams of their own


@dataclasses.dataclass(frozen=True, kw_only=True)
class AddingConfig:
    """The adding problem; on the command line, ``--data.*``.

    Raises:
        InputError: sizes out of range.

    Example:
        >>> AddingConfig(length=1)
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: data: `length` should be at least 2 steps, one for each mark, but it is 1.
    """

    length: int = 200  # T, steps of every sequence
    held: int = 1_000  # sequences of the validation split; as many of the test split
    seed: int = 0  # of those sequences

    def __post_init__(self):
        if self.length < 2:
            raise InputError(
                f"data: `length` should be at least 2 steps, one for each mark, but it is {self.length}."
            )  # fmt: skip
        if self.held < 1 or self.seed < 0:
            raise InputError(
                f"data: `held` should be at least 1 and `seed` at least 0, but they are {self.held} and {self.seed}."
            )


def draw_sums(random: np.random.Generator, rows: int, length: int) -> Batch:
    """Sequences, and the sums of their two marked numbers.

    Args:
        random: the only source of chance.
        rows: B.
        length: T.

    Returns:
        ``xs`` (B, T, 2): numbers even in [0, 1), and 1 where one is marked, once in each half; ``targets`` (B, 1, 1);
        ``mask`` (B, T) and ``real`` (B,), all True.

    Example:
        >>> batch = draw_sums(np.random.default_rng(0), 2, 8)
        >>> batch["xs"][..., 1].sum(axis=1).tolist()
        [2.0, 2.0]
        >>> bool(np.allclose(batch["xs"].prod(axis=-1).sum(axis=1), batch["targets"][:, 0, 0]))
        True
    """
    half, every = length // 2, np.arange(rows)
    xs = np.zeros((rows, length, 2), np.float32)
    xs[..., 0] = random.random((rows, length), dtype=np.float32)
    places = random.integers(0, half, size=rows), random.integers(half, length, size=rows)
    for place in places:
        xs[every, place, 1] = 1
    sums = sum(xs[every, place, 0] for place in places)
    real = np.ones((rows, length), bool)
    return {"xs": xs, "targets": np.reshape(sums, (rows, 1, 1)), "mask": real, "real": real[:, 0]}


class AddingBatches(Numbered):
    """Batches of the adding problem: of training without end, never one twice; else the held-out sequences once.

    Args:
        config: its sizes, and the seed of what is held out.
        split: train, valid or test.
        rows: B.
        seed: of training.

    Attributes:
        held: (N, 1, 1) sums of the held-out sequences; empty for training.

    Example:
        >>> train = AddingBatches(AddingConfig(length=8), "train", rows=4, seed=5)
        >>> bool((train[7]["xs"] == train[7]["xs"]).all()), bool((train[7]["xs"] == train[8]["xs"]).all())
        (True, False)
        >>> test = AddingBatches(AddingConfig(length=8, held=6), "test", rows=4)
        >>> [batch["real"].sum().tolist() for batch in test]
        [4, 2]
    """

    def __init__(self, config: AddingConfig, split: str, *, rows: int, seed: int = 0):
        length = config.length
        if split == "train":
            self.held = np.zeros((0, 1, 1), np.float32)
            super().__init__(
                lambda epoch, n: draw_sums(np.random.default_rng([seed, 0, epoch, n]), rows, length),
                EPOCH, EPOCH * rows * length, True,
            )  # fmt: skip
            return
        whole = draw_sums(np.random.default_rng([config.seed, HELD[split]]), config.held, length)
        self.held = whole["targets"]

        def read(epoch: int, n: int) -> Batch:
            part = {name: leaf[n * rows : (n + 1) * rows] for name, leaf in whole.items()}
            missing = rows - len(part["real"])
            return {name: np.pad(leaf, [(0, missing), *[(0, 0)] * (leaf.ndim - 1)]) for name, leaf in part.items()}

        super().__init__(read, -(-config.held // rows), config.held * length, False)

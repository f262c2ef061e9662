"""A task of a few numbers that compiles in no time: two terms, a carry, gradients that can be spoiled.

B rows, D = 3 features.
"""

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.ops.dropout import dropout
from seqjax.training.loop import Job
from seqjax.training.step import Objective

D = 3


def init(key):
    """Parameters."""
    return {"w": jax.random.normal(key, (D,)), "b": jnp.zeros(())}


def carry(rows):
    """The state before the first batch: a slow mean of the inputs, and how many batches were seen."""
    return {"mean": jnp.zeros((rows, D)), "seen": jnp.zeros((rows,), jnp.int32)}


def counts(batch):
    """Rows that have a target, and rows that are marked."""
    return {"fit": batch["real"].sum(), "size": batch["marked"].sum()}


def terms(params, batch, carry, keys, train):
    """Squared error of real rows, and the squared prediction of marked ones."""
    x = batch["x"].astype(params["w"].dtype)
    mean = 0.9 * carry["mean"].astype(x.dtype) + x
    guess = dropout(mean, 0.3, keys) @ params["w"] + params["b"]
    error = jnp.square(guess - batch["y"])
    sums = {
        "fit": jnp.where(batch["real"], error, 0).sum().astype(jnp.float32),
        "size": jnp.where(batch["marked"], jnp.square(guess), 0).sum().astype(jnp.float32),
    }
    return sums, {"mean": mean, "seen": carry["seen"] + 1}, {}


OBJECTIVE = Objective(counts, terms, {"fit": 1.0, "size": 0.1})


def batch(number, rows=8):
    """Batch ``number``: about a third of the rows are padding, half of them marked."""
    random = np.random.default_rng(number)
    x = random.normal(size=(rows, D)).astype(np.float32)
    real = random.random(rows) > 0.3
    return {"x": x, "y": x.sum(1), "real": real, "marked": random.random(rows) > 0.5}


class Numbered:
    """An iterator over batches that knows where it stands."""

    def __init__(self, make, number=0):
        self.make, self.number = make, number

    def __next__(self):
        self.number += 1
        return self.make(self.number - 1)

    def get_state(self):
        """For a checkpoint."""
        return {"number": self.number}


def iterate(make, *, start_state=None):
    """Batches from any place on."""
    return Numbered(make, **(start_state or {}))


def job(make=batch):
    """The toy as the loop takes it; ``make``: number -> batch."""
    return Job(
        objective=OBJECTIVE, init=init, carry=carry, batches=make, iterate=iterate, validation=[batch(998)],
        test=[batch(999)], report=lambda totals, split: {"loss": totals["fit"][0] / totals["fit"][1]},
        sample=None, counted="fit",
    )  # fmt: skip

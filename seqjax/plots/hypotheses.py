"""A beam search as a tree: which hypothesis came from which, what became of it, and in which row it stands."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError, check_ids, check_shape
from seqjax.plots.labels import label

TOLERANCE = 1e-3  # nats by which rounding may carry a log-probability above 0
Place = tuple[int, int]  # step and slot


class Steps(NamedTuple):
    """What was given, (steps, k) each."""

    parents: np.ndarray
    tokens: np.ndarray
    log_probabilities: np.ndarray
    totals: np.ndarray
    ended: np.ndarray
    scores: np.ndarray


class Node(NamedTuple):
    """One hypothesis as it was extended by one token."""

    parent: Place | None  # None: the start
    name: str
    probability: float
    total: float  # nats
    score: float
    ended: bool


def check(steps: Steps, vocabulary: int) -> None:
    """Refuse arrays that do not describe a tree over ``vocabulary`` tokens."""
    where = "search_tree"
    check_shape(where, "parents", steps.parents, "(steps, k)", (None, None))
    for name, values in steps._asdict().items():
        check_shape(where, name, values, "(steps, k)", steps.parents.shape)
    full = np.isfinite(steps.totals)
    if not full.any():
        raise InputError(f"{where}: `totals` {full.shape} should hold at least one finite number, but all are empty.")
    check_ids(where, "tokens", steps.tokens[full], vocabulary)
    check_ids(where, "parents", steps.parents[1:][full[1:]], full.shape[1])
    most = steps.log_probabilities[full].max()
    if not most <= TOLERANCE:
        raise InputError(f"{where}: `log_probabilities` should be at most 0 nats, but one is {most:.4g}.")
    for step, slot in np.argwhere(full[1:]):
        parent = steps.parents[step + 1, slot]
        if not full[step, parent]:
            raise InputError(
                f"{where}: `parents` should name slots that hold a hypothesis, but slot {slot} of step {step + 1} "
                f"goes on from slot {parent} of step {step}, which is empty."
            )


def nodes_of(steps: Steps, names: Sequence[str]) -> dict[Place, Node]:
    """A node for every hypothesis that was extended; those that had ended are not."""
    nodes: dict[Place, Node] = {}
    for step, slot in np.argwhere(np.isfinite(steps.totals)):
        at = int(step), int(slot)
        parent = (at[0] - 1, int(steps.parents[at])) if step else None
        if parent is None or (parent in nodes and not nodes[parent].ended):
            name = label(names[int(steps.tokens[at])], longest=12)
            probability = min(float(np.exp(steps.log_probabilities[at])), 1.0)
            total, score = float(steps.totals[at]), float(steps.scores[at])
            nodes[at] = Node(parent, name, probability, total, score, bool(steps.ended[at]))
    return nodes


def fates_of(nodes: dict[Place, Node]) -> dict[Place, str]:
    """What became of each: the best among the ended, or, if none has, among those of the last step."""
    last = max(step for step, _ in nodes)
    finished = [at for at, node in nodes.items() if node.ended]
    alive = [at for at, node in nodes.items() if at[0] == last and not node.ended]
    fates = dict.fromkeys(nodes, "dropped")
    for at in _lines(nodes, finished + alive):
        fates[at] = "kept"
    fates |= dict.fromkeys(finished, "finished")
    best = max(finished or alive, key=lambda at: nodes[at].score)
    return fates | dict.fromkeys(_lines(nodes, [best]), "best")


def _lines(nodes: dict[Place, Node], ends: Iterable[Place]) -> Iterable[Place]:
    """The hypotheses at ``ends`` and all they came from."""
    for end in ends:
        at: Place | None = end
        while at is not None:
            yield at
            at = nodes[at].parent


def rows_of(nodes: dict[Place, Node], beam: int) -> dict[Place, float]:
    """A height for each box, in rows downwards: children in the order of their parents, as near to them as can be."""
    rows: dict[Place, float] = {}
    for step in sorted({step for step, _ in nodes}):
        wanted = {at: rows[node.parent] if node.parent else 0.0 for at, node in nodes.items() if at[0] == step}
        downwards = sorted(wanted, key=lambda at: (wanted[at], -nodes[at].total))
        heights = _spread([wanted[at] for at in downwards], (beam - 1) / 2)
        rows |= dict(zip(downwards, heights, strict=True))
    return rows


def _spread(wanted: Sequence[float], bound: float) -> list[float]:
    """The heights at least 1 apart, within ``±bound``, that lie nearest to sorted ``wanted`` in least squares.

    Heights less their number must not fall: that is isotonic regression, and pooling neighbours solves it.
    """
    pools: list[tuple[float, int]] = []
    for number, height in enumerate(wanted):
        pools.append((height - number, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (one, many), (other, more) = pools.pop(), pools.pop()
            pools.append(((one * many + other * more) / (many + more), many + more))
    level = [mean for mean, many in pools for _ in range(many)]
    highest = bound - (len(wanted) - 1)
    return [min(max(height, -bound), highest) + number for number, height in enumerate(level)]

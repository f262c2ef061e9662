"""Pairs to batches: one pair a row in buckets by both sides, or several pairs in a row.

B rows, S steps of source, T steps of target. Batch number n is a pure function of (seed, n).
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqjax.checks import InputError
from seqjax.data.batches import Batch, Numbered
from seqjax.data.corpus import NOTHING, Corpus, Plan, check_enough, join
from seqjax.data.pair_config import PairsConfig
from seqjax.data.pair_packing import pack_pairs

GRAIN = 8  # lengths are multiples of it
CELLS = 256  # most shapes to begin with

Shape = tuple[int, int]  # (S, T)


class Spans(NamedTuple):
    """Where each pair stands in the two rows of ids.

    Attributes:
        source: all sources, a 0 before each.
        target: all targets, a 0 before each and one at the end.
        source_at: (P, 2) places, start and end.
        target_at: (P, 2) places of what is read: the 0 before it, and the target.
    """

    source: Corpus
    target: Corpus
    source_at: np.ndarray
    target_at: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """(P, 2): S and T of each pair, at least 1."""
        return np.maximum(np.stack([np.diff(at)[:, 0] for at in (self.source_at, self.target_at)], axis=1), 1)


class PairBatches(Numbered):
    """Batches of pairs. Made by :func:`pair_batches`.

    Batch n is a dict of arrays with B rows:

    - ``source``: (B, S) int32 ids, no boundary; ``source_mask``: (B, S), True on real steps;
    - ``inputs``: (B, T) int32, 0 and then the target; ``targets``: the target and then 0; ``mask``: True on both;
    - bucketed, ``pair``: (B,) int32, the number of each row's pair, −1 where the whole row is padding;
    - packed, ``source_segments`` (B, S) and ``segments`` (B, T): int32, from 1 in each row; 0 is padding.

    Attributes:
        steps_per_epoch: batches in which every pair comes once.
        lengths: every (S, T) that occurs.
        tokens_per_epoch: targets in an epoch, the ends included.
    """

    def __init__(self, read, steps: int, lengths: Sequence[Shape], tokens: int, train: bool):
        super().__init__(read, steps, tokens, train)
        self.lengths = tuple(lengths)


def pair_batches(
    config: PairsConfig,
    sources: Sequence[np.ndarray],
    targets: Sequence[np.ndarray],
    *,
    rows: int,
    seed: int = 0,
    train: bool,
    buckets: Sequence[Shape] | None = None,
    vocabularies: tuple[int, int] | None = None,
) -> PairBatches:
    """Lay encoded pairs into batches, as ``config.batches`` says.

    For training there is no end, and each epoch has an order of its own. Else every pair comes once, always
    bucketed, so that predictions find their way back by ``pair``.

    Args:
        config: its ``batches``, ``buckets``, ``source_length`` and ``target_length``.
        sources: ids (S,) of each, as :func:`seqjax.data.encode_pairs` gives them.
        targets: ids (T − 1,) of each.
        rows: B.
        seed: of the order.
        train: shuffled without end, or once.
        buckets: with ``bucketed``, the ``lengths`` of the training batches, so that no other shape is compiled; one
            is added if there are pairs that fit none of them.
        vocabularies: V of both sides, to refuse ids of another tokenizer.

    Raises:
        InputError: as many sources as targets are wanted; fewer pairs than one batch of training; a pair longer than
            a packed row; ids out of range; sizes below 1.

    Example:
        >>> made = pair_batches(PairsConfig(), [np.array([5, 6])], [np.array([7])], rows=1, train=False)
        >>> made.lengths, made[0]["source"].tolist()
        (((8, 8),), [[5, 6, 0, 0, 0, 0, 0, 0]])
        >>> made[0]["inputs"][0, :3].tolist(), made[0]["targets"][0, :3].tolist(), made[0]["mask"][0, :3].tolist()
        ([0, 7, 0], [7, 0, 0], [True, True, False])
    """
    if len(sources) != len(targets):
        raise InputError(
            f"pair_batches: there should be a target for each source, but there are {len(targets)} for {len(sources)}."
        )
    for name, value, least in (("rows", rows, 1), ("seed", seed, 0)):
        if value < least:
            raise InputError(f"pair_batches: `{name}` should be at least {least}, but it is {value}.")
    spans = locate(sources, targets, vocabularies)
    if train:
        check_enough(config.batches, len(sources), rows, "pairs", "Try a smaller --batch-size, or more pairs.")
    plan = Plan(rows, 0, seed, train)
    limits = config.source_length, config.target_length + 1 if config.target_length else 0
    if train and config.batches == "packed":
        return packed_pairs(spans, plan, limits)
    known = buckets if config.batches == "bucketed" else None
    shapes = known or plan_shapes(spans.lengths, config.buckets, limits, rows)
    return bucketed_pairs(spans, plan, _with_room(spans.lengths, shapes, limits))


def locate(sources, targets, vocabularies: tuple[int, int] | None = None) -> Spans:
    """Put both sides into one row of ids each, and say where each pair stands."""
    source_size, target_size = vocabularies or (None, None)
    source, target = join(sources, source_size, "sources"), join(targets, target_size, "targets")
    ends = [np.stack([corpus.starts[:-1], corpus.starts[1:]], axis=1) for corpus in (source, target)]
    return Spans(source, target, ends[0] + [1, 0], ends[1])


def plan_shapes(lengths: np.ndarray, most: int, limits: Shape = (0, 0), rows: int = 1) -> tuple[Shape, ...]:
    """Few shapes (S, T) with few steps in an epoch, padding rows included.

    It begins with a shape for all pairs of the same lengths (in eights), and goes on to join the two shapes that
    cost the fewest steps together, until there are ``most`` and joining saves nothing more.

    Args:
        lengths: (P, 2), S and T of each pair.
        most: how many shapes.
        limits: longest S and T, 0 where there is none: no shape passes them.
        rows: B.

    Returns:
        Shapes by S, then T.

    Example:
        >>> plan_shapes(np.array([[5, 9], [6, 9], [30, 8], [31, 40], [28, 39]]), 2)
        ((8, 16), (32, 40))
    """
    grain = GRAIN
    while len(np.unique(-(-lengths // grain), axis=0)) > CELLS:
        grain *= 2
    sizes, pairs = np.unique(-(-lengths // grain) * grain, axis=0, return_counts=True)
    while len(sizes) > 1:
        both = np.maximum(sizes[:, None], sizes)
        steps = -(-pairs // rows) * sizes.sum(axis=1)
        joined = -(-(pairs[:, None] + pairs) // rows) * both.sum(axis=2)
        more = np.where(np.tri(len(sizes), dtype=bool), np.inf, joined - steps[:, None] - steps)
        one, other = np.unravel_index(more.argmin(), more.shape)
        if len(sizes) <= most and more[one, other] > 0:
            break
        sizes[one] = both[one, other]
        pairs[one] += pairs[other]
        sizes, pairs = np.delete(sizes, other, axis=0), np.delete(pairs, other)
    return tuple(sorted({(min(s, limits[0] or s), min(t, limits[1] or t)) for s, t in sizes.tolist()}))


def bucketed_pairs(spans: Spans, plan: Plan, shapes: Sequence[Shape]) -> PairBatches:
    """One pair a row, in the smallest shape that holds it; a batch's pairs are of one shape.

    For training, pairs are shuffled within their shape, and batches among one another, in each epoch. The last batch
    of a shape is filled up with rows of padding.

    Args:
        spans: the pairs.
        plan: B rows.
        shapes: (S, T) of batches; each pair has room in one of them.
    """
    home = np.where(_fits(spans.lengths, shapes), np.sum(shapes, axis=1), np.iinfo(np.int64).max).argmin(axis=1)
    members = [np.flatnonzero(home == number) for number in range(len(shapes))]
    places = [(shape, first) for shape, held in enumerate(members) for first in range(0, len(held), plan.rows)]

    @functools.lru_cache(maxsize=2)
    def order(epoch: int) -> tuple[np.ndarray, list[np.ndarray]]:
        if not plan.train:
            return np.arange(len(places)), members
        random = plan.random(epoch)
        return random.permutation(len(places)), [random.permutation(held) for held in members]

    def read(epoch: int, step: int) -> Batch:
        sequence, shuffled = order(epoch)
        shape, first = places[sequence[step]]
        chosen = shuffled[shape][first : first + plan.rows]
        at = [
            spread(span[chosen], plan.rows, size)
            for span, size in zip((spans.source_at, spans.target_at), shapes[shape], strict=True)
        ]
        pair = np.full(plan.rows, NOTHING, np.int32)
        pair[: len(chosen)] = chosen
        return fill_pairs(spans, *at) | {"pair": pair}

    used = [shape for shape, held in zip(shapes, members, strict=True) if len(held)]
    return PairBatches(read, len(places), used, spans.target.steps, plan.train)


def packed_pairs(spans: Spans, plan: Plan, limits: Shape) -> PairBatches:
    """Several pairs in a row of S and T steps; segments say which source belongs to which target.

    The rows are planned once; in each epoch, pairs of the same two lengths change places with one another, and the
    rows are shuffled. So each epoch has as many batches.

    Args:
        spans: the pairs.
        plan: B rows.
        limits: S and T of a row; 0: what the longest pair wants.

    Raises:
        InputError: a pair longer than a row; pairs that fill fewer than B rows.
    """
    lengths = spans.lengths
    longest = _whole(lengths.max(axis=0))
    room = (limits[0] or longest[0], limits[1] or longest[1])
    rows = pack_pairs(lengths, room)
    advice = "Try a smaller --batch-size, a smaller --data.source-length and --data.target-length, or more pairs."
    check_enough("packed", len(rows), plan.rows, f"rows of {room[0]} and {room[1]} steps", advice)
    alike = np.lexsort(lengths.T)

    @functools.lru_cache(maxsize=2)
    def order(epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Which row comes when, and which pair stands in for which."""
        random = plan.random(epoch)
        stand_in = np.arange(len(lengths))
        stand_in[alike] = np.lexsort([random.random(len(lengths)), *lengths.T])
        return random.permutation(len(rows)), stand_in

    def read(epoch: int, step: int) -> Batch:
        sequence, stand_in = order(epoch)
        chosen = [stand_in[rows[row]] for row in sequence[step * plan.rows : (step + 1) * plan.rows]]
        source_at, source_segments = lay(spans.source_at, chosen, plan.rows, room[0])
        target_at, segments = lay(spans.target_at, chosen, plan.rows, room[1])
        batch = fill_pairs(spans, source_at, target_at)
        return batch | {"source_segments": source_segments, "segments": segments}

    return PairBatches(read, -(-len(rows) // plan.rows), [room], spans.target.steps, plan.train)


def spread(spans: np.ndarray, rows: int, size: int) -> np.ndarray:
    """Places (rows, size) of one span a row, :data:`NOTHING` behind its end and in the rows that are left."""
    at = spans[:, :1] + np.arange(size)
    at = np.where(at < spans[:, 1:], at, NOTHING)
    return np.pad(at, ((0, rows - len(at)), (0, 0)), constant_values=NOTHING)


def lay(spans: np.ndarray, chosen: Sequence[np.ndarray], rows: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Places and segment numbers, (rows, size) each, of several spans a row."""
    at, segments = np.full((rows, size), NOTHING), np.zeros((rows, size), np.int32)
    for line, members in enumerate(chosen):
        column = 0
        for number, (start, end) in enumerate(spans[members].tolist(), start=1):
            at[line, column : column + end - start] = np.arange(start, end)
            segments[line, column : column + end - start] = number
            column += end - start
    return at, segments


def fill_pairs(spans: Spans, source_at: np.ndarray, target_at: np.ndarray) -> Batch:
    """Read a batch from places (B, S) and (B, T): see :class:`PairBatches` for what is in it."""
    source_mask, mask = source_at != NOTHING, target_at != NOTHING
    source, target = spans.source.ids, spans.target.ids
    return {
        "source": np.where(source_mask, source[source_at], 0).astype(np.int32),
        "source_mask": source_mask,
        "inputs": np.where(mask, target[target_at], 0).astype(np.int32),
        "targets": np.where(mask, target[np.where(mask, target_at, 0) + 1], 0).astype(np.int32),
        "mask": mask,
    }


def _whole(longest: np.ndarray, limits: Shape = (0, 0)) -> Shape:
    """(S, T) rounded up to the grain, but not above a limit that holds them as they are."""
    rounded = (-(-longest // GRAIN) * GRAIN).tolist()
    capped = [
        min(size, most) if most >= exact else size for size, most, exact in zip(rounded, limits, longest, strict=True)
    ]
    return capped[0], capped[1]


def _with_room(lengths: np.ndarray, shapes: Sequence[Shape], limits: Shape) -> list[Shape]:
    """``shapes``, and one more that holds all that does not fit into any."""
    left = ~_fits(lengths, shapes).any(axis=1)
    return [*shapes, _whole(lengths[left].max(axis=0), limits)] if left.any() else list(shapes)


def _fits(lengths: np.ndarray, shapes: Sequence[Shape]) -> np.ndarray:
    """(P, shapes): which pair has room in which shape."""
    return np.all(lengths[:, None] <= np.array(shapes), axis=-1)

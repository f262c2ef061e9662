"""Laws of batches of pairs, bucketed and packed."""

import json

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.data import PairsConfig, iterate, pair_batches
from seqjax.data.pair_batches import plan_shapes
from seqjax.data.pair_packing import pack_pairs

LAYOUTS = ("bucketed", "packed")
ROWS = 4


def pairs(count=70, longest=40, seed=0):
    """Ids that are all different, so that each names its place; sources are odd, targets even."""
    random = np.random.default_rng(seed)
    sizes = random.integers(1, longest, count)
    other = np.clip(sizes + random.integers(-4, 5, count), 1, longest)
    sources = np.split(np.arange(sizes.sum()) * 2 + 1, np.cumsum(sizes)[:-1])
    targets = np.split(np.arange(1, other.sum() + 1) * 2, np.cumsum(other)[:-1])
    return sources, targets


def make(layout="bucketed", data=None, train=True, seed=5, rows=ROWS, options=(), **more):
    limits = {"source_length": 64, "target_length": 63} if layout == "packed" else {}
    config = PairsConfig(batches=layout, **{**limits, **dict(options)})
    return pair_batches(config, *(data or pairs()), rows=rows, seed=seed, train=train, **more)


def epoch(data, number=0):
    return [data[n] for n in range(number * data.steps_per_epoch, (number + 1) * data.steps_per_epoch)]


def found(batches):
    """Every (source, inputs, targets) that stands in batches, by segments where there are any."""
    for batch in batches:
        segments = batch.get("segments", batch["mask"].astype(int))
        source_segments = batch.get("source_segments", batch["source_mask"].astype(int))
        for row in range(len(segments)):
            assert set(segments[row]) >= set(source_segments[row]) - {0}
            for number in sorted(set(segments[row]) - {0}):
                here = segments[row] == number
                source = batch["source"][row][source_segments[row] == number]
                yield source.tolist(), batch["inputs"][row][here].tolist(), batch["targets"][row][here].tolist()


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("train", [True, False], ids=["train", "evaluate"])
@pytest.mark.parametrize("number", [0, 3])
def test_every_pair_comes_exactly_once_an_epoch(layout, train, number):
    data = make(layout, train=train)
    wanted = [(s.tolist(), [0, *t.tolist()], [*t.tolist(), 0]) for s, t in zip(*pairs(), strict=True)]
    assert sorted(found(epoch(data, number if train else 0))) == sorted(wanted)
    assert data.tokens_per_epoch == sum(len(targets) for _, _, targets in wanted)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_batches_have_the_types_and_shapes_promised(layout):
    data = make(layout)
    types = {"source": "int32", "source_mask": "bool", "inputs": "int32", "targets": "int32", "mask": "bool"}
    own = {"packed": {"source_segments": "int32", "segments": "int32"}, "bucketed": {"pair": "int32"}}[layout]
    for batch in epoch(data):
        assert {name: array.dtype.name for name, array in batch.items()} == types | own
        source, target = batch["source_mask"].shape, batch["mask"].shape
        assert source[0] == target[0] == ROWS
        assert (source[1], target[1]) in data.lengths
        assert {batch[name].shape for name in ("source",)} == {source}
        assert {batch[name].shape for name in ("inputs", "targets")} == {target}
        assert not batch["source"][~batch["source_mask"]].any()
        assert not batch["inputs"][~batch["mask"]].any()
        assert not batch["targets"][~batch["mask"]].any()


def test_segments_and_masks_say_the_same():
    for batch in epoch(make("packed")):
        np.testing.assert_array_equal(batch["segments"] > 0, batch["mask"])
        np.testing.assert_array_equal(batch["source_segments"] > 0, batch["source_mask"])
        for segments in (batch["segments"], batch["source_segments"]):
            assert all((np.diff(row[row > 0]) >= 0).all() for row in segments)
    assert max(batch["segments"].max() for batch in epoch(make("packed"))) > 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_batch_is_a_function_of_seed_and_number(layout):
    data, again, other = make(layout), make(layout), make(layout, seed=6)
    numbers = [7, 0, 3 * data.steps_per_epoch + 1, 7, 2]
    assert all(same(data[n], again[n]) for n in reversed(numbers) for _ in range(2))
    assert not all(same(one, two) for one, two in zip(epoch(data), epoch(other), strict=True))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_epoch_has_another_order_and_as_many_batches_of_each_shape(layout):
    data = make(layout)
    assert not all(same(one, two) for one, two in zip(epoch(data, 0), epoch(data, 1), strict=True))
    shapes = [
        sorted((batch["source_mask"].shape, batch["mask"].shape) for batch in epoch(data, number))
        for number in range(3)
    ]
    assert shapes[0] == shapes[1] == shapes[2]


def test_the_pairs_of_a_batch_change_from_epoch_to_epoch():
    data = make("bucketed")
    sets = [{frozenset(batch["pair"].tolist()) for batch in epoch(data, number)} for number in range(2)]
    assert sets[0] != sets[1]


def test_pairs_of_the_same_lengths_change_places_between_packed_rows():
    data, rows = make("packed"), []
    for number in range(2):
        ids = (set(row.tolist()) - {0} for batch in epoch(data, number) for row in batch["source"])
        rows.append({frozenset(row) for row in ids if row})
    assert len(rows[0]) == len(rows[1])
    assert rows[0] != rows[1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_evaluation_is_bucketed_finite_and_in_order_by_number(layout):
    sources, targets = pairs()
    data, other = make(layout, train=False), make(layout, train=False, seed=6)
    assert len(data) == data.steps_per_epoch == len(list(data))
    assert all(same(one, two) for one, two in zip(data, other, strict=True))
    back = {}
    for batch in data:
        for row, number in enumerate(batch["pair"].tolist()):
            if number < 0:
                assert not batch["mask"][row].any() | batch["source_mask"][row].any()
            else:
                back[number] = batch["targets"][row][batch["mask"][row]][:-1].tolist()
                np.testing.assert_array_equal(batch["source"][row][batch["source_mask"][row]], sources[number])
    assert [back[number] for number in range(len(targets))] == [target.tolist() for target in targets]
    with pytest.raises(IndexError):
        data[len(data)]


@pytest.mark.parametrize("most", [1, 2, 6])
def test_shapes_are_few_and_leave_less_padding_than_fewer(most):
    data, one = make(options={"buckets": most}), make(options={"buckets": 1})
    assert len(data.lengths) <= most
    assert {(b["source_mask"].shape[1], b["mask"].shape[1]) for b in epoch(data)} == set(data.lengths)
    steps = [sum(b["mask"].size + b["source_mask"].size for b in epoch(made)) for made in (data, one)]
    assert steps[0] < 0.8 * steps[1] if most > 1 else steps[0] == steps[1]
    assert all(s % 8 == t % 8 == 0 for s, t in data.lengths)


def test_a_pair_lies_in_the_smallest_shape_that_holds_it():
    data = make()
    for batch in epoch(data):
        shape = batch["source_mask"].shape[1] + batch["mask"].shape[1]
        for source, target in zip(batch["source_mask"].sum(axis=1), batch["mask"].sum(axis=1), strict=True):
            assert target == 0 or shape == min(s + t for s, t in data.lengths if s >= source and t >= target)


def test_other_pairs_lie_in_the_shapes_of_training_and_longer_ones_in_one_more():
    train = make()
    short = make(data=pairs(30, longest=30, seed=1), train=False, buckets=train.lengths)
    assert set(short.lengths) <= set(train.lengths)
    long = make(data=pairs(90, longest=200, seed=2), train=False, buckets=train.lengths)
    assert len(set(long.lengths) - set(train.lengths)) == 1
    assert len(list(found(long))) == 90


def test_no_shape_passes_the_limits():
    options = {"source_length": 39, "target_length": 40}
    data = make(options=options)
    assert max(s for s, _ in data.lengths) == 39
    assert max(t for _, t in data.lengths) == 41
    longer = make(train=False, options=options, buckets=[(8, 8)])
    assert longer.lengths == ((8, 8), (39, 41))


def test_pairs_over_the_limits_are_never_cut_in_silence():
    """They are refused, dropped or cut when they are encoded; here they keep all they have."""
    data = make(options={"source_length": 9, "target_length": 9})
    assert sorted(len(source) for source, _, _ in found(epoch(data))) == sorted(map(len, pairs()[0]))


def test_a_plan_of_shapes_is_the_best_there_is_where_all_can_be_tried():
    lengths = np.array([[8, 8]] * 8 + [[8, 32]] * 8 + [[32, 32]] * 8)
    assert plan_shapes(lengths, 3, rows=4) == ((8, 8), (8, 32), (32, 32))
    assert plan_shapes(lengths, 2, rows=4) in (((8, 8), (32, 32)), ((8, 32), (32, 32)))
    assert plan_shapes(lengths, 1, rows=4) == ((32, 32),)
    assert plan_shapes(lengths[[0, 8, 16]], 6, rows=64) == ((32, 32),), "one batch of all is less than three"


def test_shapes_of_many_long_pairs_are_planned_too():
    lengths = np.random.default_rng(0).integers(1, 50_000, (3000, 2))
    shapes = plan_shapes(lengths, 6, rows=8)
    assert len(shapes) <= 6
    assert (lengths.max(axis=0) <= np.max(shapes, axis=0)).all()


@pytest.mark.parametrize("seed", range(3))
def test_packing_overfills_no_side_and_loses_no_pair(seed):
    lengths = np.random.default_rng(seed).integers(1, 40, (400, 2))
    room = np.array([64, 100])
    rows = pack_pairs(lengths, (64, 100))
    assert sorted(pair for row in rows for pair in row) == list(range(400))
    assert all((lengths[row].sum(axis=0) <= room).all() for row in rows)
    assert lengths[:, 0].sum() / (64 * len(rows)) > 0.85


def test_packed_rows_without_limits_are_as_long_as_the_longest_pair():
    data = make("packed", options={"source_length": 0, "target_length": 0})
    assert data.lengths == ((40, 48),)
    assert len(list(found(epoch(data)))) == 70


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("at", [0, 17])
def test_resume_equals_continue(layout, at):
    data = make(layout)
    iterator = iterate(data)
    for n in range(at):
        assert same(next(iterator), data[n])
    state = json.loads(json.dumps(iterator.get_state()))
    going_on = [next(iterator) for _ in range(9)]
    resumed = iterate(make(layout), start_state=state)
    assert all(same(batch, next(resumed)) for batch in going_on)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_evaluation_keeps_the_rows_when_there_are_fewer_pairs(layout):
    data = make(layout, pairs(2), train=False, rows=5)
    assert {len(batch["mask"]) for batch in data} == {5}
    assert len(list(found(data))) == 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_empty_side_is_a_row_without_source_or_with_an_end_alone(layout):
    data = make(layout, ([np.array([], int), np.array([3])], [np.array([2]), np.array([], int)]), train=False, rows=2)
    assert sorted(found(data), key=lambda each: each[0]) == [([], [0, 2], [2, 0]), ([3], [0], [0])]


BAD = {
    "fewer targets": (([np.array([1])], []), {}, "a target for each source, but there are 0 for 1"),
    "nothing": (([], []), {}, "`sources` should hold at least one"),
    "boundary": (([np.array([1])], [np.array([2, 0])]), {}, "`targets` should hold ids from 1"),
    "vocabulary": (([np.array([9])], [np.array([1])]), {"vocabularies": (9, 9)}, "`sources` should hold ids in .0, 9"),
    "no rows": (([np.array([1])], [np.array([1])]), {"rows": 0}, "`rows` should be at least 1"),
    "seed": (([np.array([1])], [np.array([1])]), {"seed": -1}, "`seed` should be at least 0"),
    "too few": (([np.array([1])], [np.array([1])]), {"train": True, "rows": 2}, "too short: it holds 1 pairs.*wants 2"),
}


@pytest.mark.parametrize("data, options, message", BAD.values(), ids=BAD)
def test_bad_pairs_and_sizes_are_refused(data, options, message):
    with pytest.raises(InputError, match=message):
        pair_batches(PairsConfig(), *data, **{"rows": 1, "train": False, **options})


def test_a_pair_longer_than_a_packed_row_is_refused():
    with pytest.raises(InputError, match=r"1 pairs do not fit a row of .* \(3, 4\), the first with 5 and 2 symbols"):
        make("packed", ([np.arange(1, 6)], [np.array([1])]), rows=1, options={"source_length": 3, "target_length": 3})
    with pytest.raises(InputError, match=r"rows of 64 and 64 steps.* wants 9"):
        make("packed", pairs(12, 5), rows=9)

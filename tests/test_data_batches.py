"""Laws of batches, for every layout."""

import itertools

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.data import DataConfig, batches, plan_buckets
from seqjax.data.packing import pack

LAYOUTS = ("stream", "packed", "bucketed", "window")
ROWS, LENGTH = 3, 8


def documents(count=14, longest=30, seed=0):
    """Documents whose ids are all different, so that each id names its place."""
    sizes = np.random.default_rng(seed).integers(1, longest, count)
    ends = np.cumsum(sizes)
    return [np.arange(end - size, end) + 1 for size, end in zip(sizes, ends, strict=True)]


def make(layout, texts=None, train=True, seed=5, rows=ROWS, length=LENGTH, **options):
    texts = documents() if texts is None else texts
    config = DataConfig(batches=layout, length=length)
    return batches(config, texts, rows=rows, seed=seed, train=train, **options)


def epoch(data, number=0):
    return [data[n] for n in range(number * data.steps_per_epoch, (number + 1) * data.steps_per_epoch)]


def rows_of(batch):
    return [{name: array[row] for name, array in batch.items()} for row in range(len(batch["mask"]))]


def row_of(texts):
    """The whole text as it is to be predicted, in order."""
    return np.concatenate([np.append(text, 0) for text in texts])


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("train", [True, False], ids=["train", "evaluate"])
@pytest.mark.parametrize("number", [0, 3])
def test_every_symbol_is_predicted_exactly_once_an_epoch(layout, train, number):
    texts = documents()
    data = make(layout, texts, train)
    targets = np.concatenate([b["targets"][b["scored"]] for b in epoch(data, number if train else 0)])
    assert sorted(targets) == sorted(row_of(texts))
    assert data.tokens_per_epoch == len(targets)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("train", [True, False], ids=["train", "evaluate"])
def test_every_prediction_follows_its_input_in_the_text(layout, train):
    texts = documents()
    following = {int(a): int(b) for text in texts for a, b in itertools.pairwise([*text, 0])}
    firsts = {int(text[0]) for text in texts}
    for batch in epoch(make(layout, texts, train)):
        for read, target in zip(batch["inputs"][batch["mask"]], batch["targets"][batch["mask"]], strict=True):
            assert target in firsts if read == 0 else following[read] == target


@pytest.mark.parametrize("layout", LAYOUTS)
def test_batches_have_the_types_and_shapes_promised(layout):
    data = make(layout)
    for batch in epoch(data):
        assert {name: array.dtype.name for name, array in batch.items()} == {
            "inputs": "int32", "targets": "int32", "mask": "bool", "reset": "bool", "scored": "bool",
        }  # fmt: skip
        assert {array.shape for array in batch.values()} <= {(ROWS, length) for length in data.lengths}
        assert not batch["inputs"][~batch["mask"]].any()
        assert not batch["targets"][~batch["mask"]].any()
        assert not (batch["scored"] & ~batch["mask"]).any()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_batch_is_a_function_of_seed_and_number(layout):
    data, again, other = make(layout), make(layout), make(layout, seed=6)
    numbers = [7, 0, 3 * data.steps_per_epoch + 1, 7, 2]
    assert all(same(data[n], again[n]) for n in reversed(numbers) for _ in range(2))
    assert not all(same(one, two) for one, two in zip(epoch(data), epoch(other), strict=True))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_epoch_has_another_order_and_as_many_batches(layout):
    data = make(layout)
    assert not all(same(one, two) for one, two in zip(epoch(data, 0), epoch(data, 1), strict=True))
    shapes = [sorted(batch["mask"].shape for batch in epoch(data, number)) for number in range(3)]
    assert shapes[0] == shapes[1] == shapes[2]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_evaluation_is_finite_and_does_not_depend_on_the_seed(layout):
    data, other = make(layout, train=False), make(layout, train=False, seed=6)
    assert len(data) == data.steps_per_epoch == len(list(data))
    assert all(same(one, two) for one, two in zip(data, other, strict=True))
    for n in (len(data), -1):
        with pytest.raises(IndexError):
            data[n]


@pytest.mark.parametrize("layout", ("packed", "bucketed", "stream"))
def test_a_step_without_reset_continues_the_step_before_it(layout):
    """So no document is ever mixed into the state of another."""
    texts = documents()
    following = {int(a): int(b) for text in texts for a, b in itertools.pairwise([0, *text])}
    for batch in epoch(make(layout, texts)):
        continues = batch["mask"][:, 1:] & ~batch["reset"][:, 1:]
        before, now = batch["inputs"][:, :-1][continues], batch["inputs"][:, 1:][continues]
        firsts = {int(text[0]) for text in texts}
        assert all(n in firsts if b == 0 else following[b] == n for b, n in zip(before, now, strict=True))


@pytest.mark.parametrize("layout", ("packed", "bucketed", "window"))
def test_every_row_begins_with_a_reset(layout):
    for batch in epoch(make(layout)):
        for mask, reset in zip(batch["mask"], batch["reset"], strict=True):
            assert not mask.any() or reset[mask.argmax()]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_document_start_is_a_reset(layout):
    for batch in epoch(make(layout)):
        assert batch["reset"][batch["mask"] & (batch["inputs"] == 0)].all()
        assert not (batch["reset"] & ~batch["mask"]).any()


@pytest.mark.parametrize("train", [True, False], ids=["train", "evaluate"])
@pytest.mark.parametrize("count", [1, 14])
def test_stream_windows_join_to_the_text_and_reset_only_where_documents_or_rows_begin(train, count):
    texts = documents(count, longest=200)
    data = make("stream", texts, train)
    steps = epoch(data, 2 if train else 0)
    inputs, mask, reset = (np.concatenate([b[name] for b in steps], axis=1) for name in ("inputs", "mask", "reset"))
    rows = [inputs[r][mask[r]] for r in range(ROWS)]
    joined = np.concatenate(rows)
    turned = np.roll(joined, -int(np.flatnonzero(joined == 0)[0]))
    pieces = np.split(turned, np.flatnonzero(turned == 0)[1:])
    expected = {(0, *text.tolist()) for text in texts}
    assert {tuple(piece.tolist()) for piece in pieces} == expected
    assert len(pieces) == count
    if not train:
        np.testing.assert_array_equal(joined, np.concatenate([[0, *text] for text in texts]))
    for r, row in enumerate(rows):
        np.testing.assert_array_equal(reset[r][mask[r]], (row == 0) | (np.arange(len(row)) == 0))
        assert abs(len(row) - len(joined) / ROWS) < 1
        assert mask[r, : len(row)].all()


def test_a_single_document_begins_elsewhere_in_each_epoch():
    data = make("stream", documents(1, longest=900))
    assert len({int(epoch(data, number)[0]["inputs"][0, 0]) for number in range(5)}) > 1


def test_a_window_holds_the_symbols_before_its_target_and_nothing_of_other_documents():
    texts = documents()
    whole = {(i, j): [0, *text[:j]] for i, text in enumerate(texts) for j in range(len(text) + 1)}
    contexts = {tuple(int(x) for x in context[-LENGTH:]) for context in whole.values()}
    seen = []
    for batch in epoch(make("window", texts)):
        assert not batch["scored"][:, :-1].any()
        for row, mask, reset in zip(batch["inputs"], batch["mask"], batch["reset"], strict=True):
            if mask.any():
                seen.append(tuple(row[mask].tolist()))
                assert mask[-mask.sum() :].all()
                assert np.flatnonzero(reset).tolist() == [LENGTH - mask.sum()]
    assert set(seen) == contexts
    assert len(seen) == len(whole)


@pytest.mark.parametrize("seed", range(4))
def test_packing_overfills_no_row_and_loses_no_piece(seed):
    lengths = np.random.default_rng(seed).integers(1, 65, 400)
    rows = pack(lengths, 64)
    assert sorted(piece for row in rows for piece in row) == list(range(400))
    assert max(lengths[row].sum() for row in rows) <= 64
    assert lengths.sum() / (64 * len(rows)) > 0.9


def test_a_piece_goes_where_it_fits_best_and_training_begins_with_the_longest():
    assert sorted(map(len, pack(np.array([3, 3, 2, 2]), 5))) == [2, 2]  # two rows have the same room
    assert pack(np.array([4, 1]), 5) == [[0, 1]]  # room for one step is room
    texts = [np.array([1]), np.array([2]), np.array([3, 4]), np.array([5, 6])]  # of 2, 2, 3 and 3 steps
    assert make("packed", texts, rows=1, length=5).steps_per_epoch == 2
    in_order = make("packed", texts, train=False, rows=1, length=5)
    assert [row["inputs"][0][row["mask"][0]].tolist() for row in in_order] == [[0, 1, 0, 2], [0, 3, 4], [0, 5, 6]]


def test_packed_rows_hold_whole_documents_where_they_fit():
    texts = [text for text in documents(40, longest=LENGTH) if len(text) < LENGTH]
    for batch in epoch(make("packed", texts)):
        assert (batch["reset"] == (batch["mask"] & (batch["inputs"] == 0))).all()


def exhaustive(lengths, longest, most):
    ends = [*range(8, longest, 8)]
    best = np.inf
    for count in range(most):
        for chosen in itertools.combinations(ends, count):
            buckets = np.array([*chosen, longest])
            best = min(best, buckets[np.searchsorted(buckets, lengths)].sum())
    return best


@pytest.mark.parametrize("most", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_planned_buckets_leave_the_least_padding(most, seed):
    lengths = np.random.default_rng(seed).integers(1, 61, 25)
    buckets = np.array(plan_buckets(lengths, 60, most))
    assert len(buckets) <= most
    assert buckets[-1] == 60
    assert buckets[np.searchsorted(buckets, lengths)].sum() == exhaustive(lengths, 60, most)


def test_buckets_are_at_most_six_shapes_also_for_other_text():
    data = make("bucketed", documents(300, longest=120), length=128)
    shapes = {batch["mask"].shape for batch in epoch(data)}
    other = make("bucketed", documents(50, longest=400, seed=1), train=False, length=128, buckets=data.lengths)
    assert len(shapes) > 1
    assert len(data.lengths) <= 6
    assert {batch["mask"].shape for batch in other} <= {(ROWS, length) for length in data.lengths}


@pytest.mark.parametrize("layout", ("packed", "bucketed"))
def test_what_stands_together_is_shuffled_and_so_is_what_comes_when(layout):
    data = make(layout, documents(60, longest=20), length=24)
    shapes, together = [], []
    for number in range(2):
        made = epoch(data, number)
        shapes.append([batch["reset"].tolist() for batch in made])
        groups = made if layout == "bucketed" else [row for batch in made for row in rows_of(batch)]
        together.append({frozenset(group["inputs"][..., 1:][group["reset"][..., :-1]].tolist()) for group in groups})
    assert shapes[0] != shapes[1]
    assert together[0] != together[1]
    if layout == "bucketed":
        lengths = [[len(batch[0]) for batch in one] for one in shapes]
        assert lengths[0] != lengths[1]
        assert sorted(lengths[0]) == sorted(lengths[1])


def test_every_document_lies_in_the_shortest_bucket_that_holds_it():
    texts = [np.arange(1, steps) for steps in (3, 4, 5, 8, 9, 12)]  # an end, too, is a step
    for batch in make("bucketed", texts, train=False, length=12, buckets=(4, 8, 12)):
        for steps in filter(None, batch["mask"].sum(axis=1)):
            assert batch["mask"].shape[1] == -(-steps // 4) * 4


def test_a_document_longer_than_the_last_bucket_is_cut_and_not_lost():
    texts = documents(5, longest=30)
    found = list(make("bucketed", texts, train=False, length=32, buckets=(4, 8)))
    assert sum(batch["scored"].sum() for batch in found) == len(row_of(texts))


def test_buckets_of_long_text_are_planned_with_little_memory():
    buckets = plan_buckets(np.array([100, 90_000]), 100_000)
    assert len(buckets) <= 6
    assert buckets[-1] == 100_000


@pytest.mark.parametrize("layout", LAYOUTS)
def test_evaluation_keeps_the_rows_when_there_is_less_text(layout):
    data = make(layout, [np.array([4, 5])], train=False, rows=5)
    assert sum(batch["scored"].sum() for batch in data) == 3
    assert {batch["mask"].shape[0] for batch in data} == {5}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_training_text_shorter_than_a_batch_is_refused(layout):
    with pytest.raises(InputError, match=r"too short: it holds .* wants 64.* smaller --batch-size"):
        make(layout, [np.arange(1, 40)], rows=8 if layout == "stream" else 64)


BAD = {
    "nothing": ([], {}, "at least one document"),
    "boundary": ([np.array([1, 0])], {}, "0 is the boundary"),
    "negative": ([np.array([1, -1])], {}, "position .1.. holds -1"),
    "too large": ([np.array([1, 7])], {"vocabulary": 7}, "ids in .0, 7.*holds 7"),
    "floats": ([np.array([1.0])], {}, "integer ids"),
    "no rows": ([np.array([1])], {"rows": 0}, "`rows` should be at least 1"),
    "no length": ([np.array([1])], {"length": 0}, "`length` should be at least 1"),
    "seed": ([np.array([1])], {"seed": -1}, "`seed` should not be negative"),
}


@pytest.mark.parametrize("texts, options, message", BAD.values(), ids=BAD)
def test_bad_ids_and_sizes_are_refused(texts, options, message):
    with pytest.raises(InputError, match=message):
        batches(DataConfig(), texts, **{"rows": 1, "train": False, **options})

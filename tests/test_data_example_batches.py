"""Laws of batches of examples: each once an epoch, beside others than before, in the shortest row that holds it."""

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.data.example_batches import Examples, example_batches

ROWS, COUNT = 4, 30
SIZES = np.random.default_rng(0).integers(0, 40, COUNT)
STEPS = [np.arange(100 * number, 100 * number + size) for number, size in enumerate(SIZES)]
EXAMPLES = Examples({"xs": STEPS, "pairs": [np.stack([step, -step], axis=1) for step in STEPS]}, {"label": SIZES % 7})


def make(train=True, seed=5, **options):
    return example_batches(EXAMPLES, rows=ROWS, train=train, seed=seed, **options)


def epoch(data, number=0):
    return [data[n] for n in range(number * data.steps_per_epoch, (number + 1) * data.steps_per_epoch)]


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("train", [True, False], ids=["train", "evaluate"])
def test_every_example_comes_exactly_once_an_epoch_and_the_rest_is_zero(train):
    data, found = make(train), []
    for batch in epoch(data, 2 if train else 0):
        assert batch["real"].tolist() == (batch["example"] >= 0).tolist()
        for row, number in enumerate(batch["example"].tolist()):
            size = SIZES[number] if number >= 0 else 0
            assert batch["mask"][row].tolist() == [step < size for step in range(batch["mask"].shape[1])]
            for name, leaves in EXAMPLES.steps.items():
                np.testing.assert_array_equal(batch[name][row, :size], leaves[number][:size])
                assert not batch[name][row, size:].any()
            assert batch["label"][row] == (SIZES[number] % 7 if number >= 0 else 0)
            found += [number] * (number >= 0)
    assert sorted(found) == list(range(COUNT))
    assert (data.examples, data.tokens_per_epoch) == (COUNT, SIZES.sum())


def test_batches_are_a_function_of_seed_and_number_and_evaluation_of_neither():
    assert all(same(one, other) for one, other in zip(epoch(make(), 1), epoch(make(), 1), strict=True))
    assert not all(np.array_equal(a["xs"], b["xs"]) for a, b in zip(epoch(make()), epoch(make(seed=6)), strict=True))
    assert all(same(one, other) for one, other in zip(make(False), make(False, seed=6), strict=True))


def test_examples_stand_beside_others_and_shapes_come_in_another_order_in_each_epoch():
    first, second = (epoch(make(), number) for number in range(2))
    beside = [{frozenset(batch["example"].tolist()) for batch in one} for one in (first, second)]
    assert beside[0] != beside[1]
    shapes = [[batch["mask"].shape[1] for batch in one] for one in (first, second)]
    assert shapes[0] != shapes[1]
    assert sorted(shapes[0]) == sorted(shapes[1])


def test_an_example_lies_in_the_shortest_row_that_holds_it():
    for batch in make(False, buckets=(7, 24, 39)):
        long = batch["mask"].shape[1]
        assert all({7: 0, 24: 8, 39: 25}[long] <= SIZES[n] <= long for n in batch["example"] if n >= 0)


def test_what_changes_a_batch_is_told_its_epoch():
    told = make(change=lambda batch, epoch: batch | {"epoch": epoch})
    assert [told[n]["epoch"] for n in (0, told.steps_per_epoch - 1, told.steps_per_epoch)] == [0, 0, 1]


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="as long as"):
        example_batches(Examples({"a": STEPS, "b": STEPS[::-1]}, {}), rows=2, train=False)
    with pytest.raises(InputError, match="should hold 30 values"):
        example_batches(Examples({"a": STEPS}, {"label": SIZES[1:]}), rows=2, train=False)
    with pytest.raises(InputError, match="names that batches have"):
        example_batches(Examples({"mask": STEPS}, {}), rows=2, train=False)

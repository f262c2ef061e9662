"""The iterator: in order, resumed exactly, and light to import."""

import json
import subprocess
import sys

import numpy as np
import pytest

from seqjax.checks import InputError
from seqjax.data import DataConfig, batches, iterate


def make(layout="stream", train=True):
    texts = [np.arange(1, 40), np.arange(40, 90), np.arange(90, 97)]
    return batches(DataConfig(batches=layout, length=8), texts, rows=2, seed=3, train=train)


def same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("layout", ("stream", "packed", "bucketed", "window"))
@pytest.mark.parametrize("at", [0, 1, 17])
def test_resume_equals_continue(layout, at):
    data = make(layout)
    iterator = iterate(data)
    for n in range(at):
        assert same(next(iterator), data[n])
    state = json.loads(json.dumps(iterator.get_state()))
    going_on = [next(iterator) for _ in range(20)]
    resumed = iterate(make(layout), start_state=state)
    assert all(same(batch, next(resumed)) for batch in going_on)
    assert iterator.get_state() == resumed.get_state()
    iterator.set_state(state)
    assert same(next(iterator), going_on[0])


def test_evaluation_ends():
    data = make(train=False)
    assert len(list(iterate(data))) == data.steps_per_epoch


@pytest.mark.parametrize("state", [{}, {"next_index": -1}, {"next_index": "x"}, "text"], ids=str)
def test_a_state_of_something_else_is_refused(state):
    with pytest.raises(InputError, match="start_state"):
        iterate(make(), start_state=state)


def test_the_data_room_imports_neither_jax_nor_grain():
    """Seen from inside a package that is not there: importing ``seqjax`` itself imports jax."""
    program = (
        "import sys, types, importlib.util as u\n"
        "package = types.ModuleType('seqjax')\n"
        "package.__path__ = list(u.find_spec('seqjax').submodule_search_locations)\n"
        "sys.modules['seqjax'] = package\n"
        "import seqjax.data\n"
        "print(sorted({'jax', 'flax', 'grain', 'tokenizers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['tokenizers']"


def test_an_unfinished_iterator_does_not_keep_the_process_alive():
    program = (
        "import numpy as np; from seqjax.data import DataConfig, batches, iterate\n"
        "data = batches(DataConfig(length=4), [np.arange(1, 99)], rows=2, train=True)\n"
        "print(next(iterate(data))['inputs'].shape)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "(2, 4)"

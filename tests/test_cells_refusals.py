"""Bad input is refused, and the message says where, what was wanted, what came and what to try."""

import copy
import pickle
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import CELLS, name_of, plain, symbols
from parameters import drawn

from seqjax import InputError, cells, unroll

PARAMS = drawn(lambda key: cells.LSTM.init(key, 3, 4))
XS = jnp.ones((2, 5, 3))
WRONG_STATE = cells.LSTMState(jnp.ones((3, 4)), jnp.ones((3, 4)))

REFUSED = {
    "one-axis": ({"xs": jnp.ones(5)}, r"`xs` should be \(\*B, T, D\).*\(5,\).*xs\[\.\.\., None\]"),
    "no-array": ({"xs": ()}, r"`xs` should be"),
    "features": ({"xs": jnp.ones((2, 5, 4))}, r"LSTM reads.*\(3, 16\).*D = 4.*in_features"),
    "leaves-apart": ({"xs": cells.Visits(XS, jnp.ones((2, 4, 1)))}, r"`xs`.*\(2, 5, any\).*\(2, 4, 1\)"),
    "mask-shape": ({"mask": jnp.ones((2, 4), bool)}, r"`mask` should be \(\*B, T\) = \(2, 5\), but it is \(2, 4\)"),
    "mask-rank": ({"mask": jnp.ones((2, 5, 1), bool)}, r"`mask`.*\(2, 5, 1\)"),
    "mask-type": ({"mask": jnp.ones((2, 5))}, r"`mask` should be boolean.*float32.*mask > 0"),
    "reset-shape": ({"reset": jnp.ones((5,), bool)}, r"`reset` should be \(\*B, T\) = \(2, 5\), but it is \(5,\)"),
    "reset-type": ({"reset": jnp.ones((2, 5), int)}, r"`reset` should be boolean.*int32"),
    "state-type": ({"state": cells.GRUState(jnp.ones((2, 4)))}, r"`state` should be a LSTMState.*GRUState"),
    "symbols-table": (
        {"xs": cells.Symbols(jnp.zeros((2, 5), int), jnp.ones(4))},
        r"table of Symbols.*\(V, E\).*\(4,\)",
    ),
    "symbols-none": ({"xs": cells.Symbols(jnp.zeros((2, 5), int), jnp.ones((0, 3)))}, r"a row for each symbol"),
    "symbols-floats": ({"xs": cells.Symbols(jnp.ones((2, 5)), jnp.ones((4, 3)))}, r"integers.*float32 \(2, 5\)"),
    "symbols-wide": ({"xs": cells.Symbols(jnp.zeros((2, 5), int), jnp.ones((4, 7)))}, r"LSTM reads.*D = 7"),
    "state-bare": ({"state": jnp.ones((2, 4))}, r"`state` should be a LSTMState"),
    "state-shape": ({"state": WRONG_STATE}, r"`state` should be \(\*B, H\) = \(2, 4\), but it is \(3, 4\)"),
    "initial-shape": ({"initial": WRONG_STATE}, r"`initial` should be \(\*B, H\) = \(2, 4\)"),
    "params-of-another": (
        {"params": drawn(lambda key: cells.GRU.init(key, 3, 4))},
        r"`init` of LSTM.*GRUParams.*\(3, 12\)",
    ),
    "params-none": ({"params": None}, r"`params`.*`init` of LSTM.*NoneType"),
    "params-symbols": (
        {"params": {}, "xs": cells.Symbols(jnp.zeros((2, 5), int), jnp.ones((4, 3)))},
        r"`params`.*`init` of LSTM.*dict",
    ),
    "method": ({"method": "fusde"}, r"`method`.*'fusde'.*Did you mean `fused`\?.*associative, auto, fused, scan"),
    "method-linear": (
        {"method": "associative"},
        r"associative.*linear.* MinLSTM, but the cell is LSTM\. Try .*fused",
    ),
    "remat": ({"remat": "chunks"}, r"`remat`.*'chunks'.*Did you mean `chunk`\?"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_with_advice(name):
    wrong, message = REFUSED[name]
    given = {"params": PARAMS, "xs": XS, **wrong}
    with pytest.raises(InputError, match=f"(?s)unroll: .*{message}"):
        unroll(cells.LSTM, given.pop("params"), given.pop("xs"), **given)


@pytest.mark.parametrize("name", [name for name in REFUSED if name not in ("method", "method-linear", "remat")])
def test_looking_inside_refuses_the_same(name):
    wrong, message = REFUSED[name]
    given = {"params": PARAMS, "xs": XS, **wrong}
    with pytest.raises(InputError, match=f"(?s){message}"):
        cells.trace(cells.LSTM, given.pop("params"), **given)


@pytest.mark.parametrize("in_features, features", [(0, 4), (3, 0), (3, -1)])
@pytest.mark.parametrize("row", CELLS, ids=name_of)
def test_every_cell_refuses_widths_that_are_none(row, in_features, features):
    name, width = ("in_features", in_features) if in_features < 1 else ("features", features)
    with pytest.raises(InputError, match=f"`{name}` should be at least 1, but it is {width}"):
        row.cell.init(jax.random.key(0), in_features, features)


@pytest.mark.parametrize("row", CELLS, ids=name_of)
def test_every_cell_says_which_features_it_wants(row):
    params = row.cell.init(jax.random.key(0), 5, 4)
    reads = plain if row.inputs is symbols else row.inputs
    xs = reads(np.random.default_rng(0), (2, 3), jnp.float32)
    with pytest.raises(InputError, match=rf"(?s){re.escape(row.cell.name)} reads.*kernel.*\(5, .*in_features"):
        unroll(row.cell, params, xs)


@pytest.mark.parametrize("name", cells.BY_NAME)
def test_a_cell_is_pickled_and_copied_by_its_name(name):
    cell = cells.BY_NAME[name]
    assert pickle.loads(pickle.dumps(cell)) is cell
    assert copy.deepcopy(cell) is cell


def test_a_cell_of_ones_own_is_copied_by_what_it_is_made_of():
    own = cells.LSTM._replace(name="own")
    assert copy.deepcopy(own) == own != cells.LSTM

"""Weights of recurrent layers, ours and those of PyTorch, Keras and Flax: there and back, and what they compute."""

import itertools
import os
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from seqjax import cells
from seqjax.cells.lstm import LSTMParams
from seqjax.checks import InputError
from seqjax.interop.recurrences import SHAPES
from seqjax.interop.recurrences_flax import CELLS as FLAX
from seqjax.interop.recurrences_flax import from_flax, to_flax
from seqjax.interop.recurrences_keras import from_keras, to_keras
from seqjax.interop.recurrences_pytorch import from_pytorch, to_pytorch
from seqjax.layers import Bidirectional, Recurrent, Stack, functional

B, T, D, H, P = 2, 4, 3, 5, 2
OURS = {
    "LSTM": cells.LSTM,
    "LSTMProjected": cells.lstm_projected(projection=P),
    "GRU": cells.GRU,
    "GRUResetBefore": cells.GRUResetBefore,
    "Elman": cells.Elman,
}
PYTORCH = {"LSTM": "LSTM", "LSTMProjected": "LSTM", "GRU": "GRU", "Elman": "RNN"}
KERAS = {"LSTM": "LSTM", "GRU": "GRU", "GRUResetBefore": "GRU", "Elman": "SimpleRNN"}
XS = np.random.default_rng(1).normal(size=(B, T, D)).astype(np.float32)


def made(cell: str, layers: int = 1, both: bool = False, dtype=np.float32):
    """A layer or a stack as a pure function, and parameters of which none is zero."""
    if layers > 1:
        module = Stack(OURS[cell], D, H, layers=layers, bidirectional=both, rngs=nnx.Rngs(0))
    else:
        module = (Bidirectional if both else Recurrent)(OURS[cell], D, H, rngs=nnx.Rngs(0))
    params, apply = functional(module)
    random = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: random.normal(size=leaf.shape).astype(dtype), params), apply


def outputs(apply, params) -> np.ndarray:
    return np.asarray(apply(jax.tree.map(jnp.asarray, params), jnp.asarray(XS))[1])


def assert_same_arrays(found, wanted):
    """Bit for bit, and of the same type."""
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def moved(move, given, *rest):
    """What ``move`` gives: it leaves alone what it got, and shares no memory with it."""
    before = jax.tree.map(np.copy, given)
    found = move(given, *rest)
    pairs = itertools.product(*map(jax.tree.leaves, (found, given)))
    assert not any(np.shares_memory(one, other) for one, other in pairs)
    assert_same_arrays(given, before)
    return found


SIZES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
BOTH = pytest.mark.parametrize("both", [False, True], ids=["one direction", "both directions"])


@SIZES
@BOTH
@pytest.mark.parametrize("layers", [1, 2], ids=["one layer", "two layers"])
@pytest.mark.parametrize("cell", PYTORCH)
def test_what_goes_to_pytorch_comes_back(cell, layers, both, dtype):
    params, _ = made(cell, layers, both, dtype)
    arrays = moved(to_pytorch, params)
    assert all(array.flags.c_contiguous for array in arrays.values())
    assert_same_arrays(moved(from_pytorch, arrays), params)


@SIZES
@BOTH
@pytest.mark.parametrize("cell", KERAS)
def test_what_goes_to_keras_comes_back(cell, both, dtype):
    params, _ = made(cell, 1, both, dtype)
    arrays = moved(to_keras, params, cell)
    assert_same_arrays(moved(from_keras, arrays, cell), params)


def for_flax(name: str, dtype=np.float32):
    """A layer of ours, and parameters that a cell of Flax can hold."""
    params, apply = made(FLAX[name][0], dtype=dtype)
    if name == "nnx.GRUCell":
        params["params"]["candidate_bias"][:] = 0
    return params, apply


@SIZES
@pytest.mark.parametrize("name", FLAX)
def test_what_goes_to_flax_comes_back(name, dtype):
    params, _ = for_flax(name, dtype)
    arrays = moved(to_flax, params, name)
    assert_same_arrays(moved(from_flax, arrays), params)


@pytest.mark.parametrize("biased", [True, False], ids=["biases", "no biases"])
@BOTH
@pytest.mark.parametrize("layers", [1, 2], ids=["one layer", "two layers"])
@pytest.mark.parametrize("cell", PYTORCH)
def test_pytorch_computes_the_same_before_and_after(cell, layers, both, biased):
    torch = pytest.importorskip("torch", reason="the oracle extra, pip install -e '.[oracle]', is not installed")
    torch.manual_seed(0)
    flags = {"num_layers": layers, "bidirectional": both, "batch_first": True}
    flags |= {"proj_size": P} if cell == "LSTMProjected" else {}
    module = getattr(torch.nn, PYTORCH[cell])(D, H, bias=biased, **flags)
    params = from_pytorch({name: tensor.numpy() for name, tensor in module.state_dict().items()})
    copy = getattr(torch.nn, PYTORCH[cell])(D, H, **flags)
    copy.load_state_dict({name: torch.from_numpy(array) for name, array in to_pytorch(params).items()})
    wanted, again = (one(torch.from_numpy(XS))[0].detach().numpy() for one in (module, copy))
    np.testing.assert_allclose(outputs(made(cell, layers, both)[1], params), wanted, atol=1e-6)
    np.testing.assert_allclose(again, wanted, atol=1e-6)


@pytest.mark.filterwarnings("ignore:__array__ implementation")
@BOTH
@pytest.mark.parametrize("cell", KERAS)
def test_keras_computes_the_same(cell, both):
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras", reason="the oracle extra, pip install -e '.[oracle]', is not installed")
    flags = {"reset_after": cell == "GRU"} if cell.startswith("GRU") else {}
    layer = getattr(keras.layers, KERAS[cell])(H, return_sequences=True, **flags)
    layer = keras.layers.Bidirectional(layer) if both else layer
    layer.build(XS.shape)
    params, apply = made(cell, 1, both)
    layer.set_weights(to_keras(params, cell))
    np.testing.assert_allclose(outputs(apply, params), np.asarray(layer(XS)), atol=1e-6)
    assert_same_arrays(from_keras(layer.get_weights(), cell), params)


@pytest.mark.parametrize("name", FLAX)
def test_flax_computes_the_same(name):
    params, apply = for_flax(name)
    room, cell = name.split(".")
    if room == "linen":
        layer = linen.RNN(getattr(linen, cell)(H))
        variables = layer.init(jax.random.key(0), XS)
        arrays = to_flax(params, name)
        assert jax.tree.structure(arrays) == jax.tree.structure(variables["params"]["cell"])
        found = layer.apply({"params": {"cell": arrays}}, XS)
    else:
        theirs = getattr(nnx, cell)(D, H, rngs=nnx.Rngs(0))
        nnx.update(theirs, to_flax(params, name))
        arrays = nnx.state(theirs, nnx.Param)
        found = nnx.RNN(theirs, rngs=nnx.Rngs(0))(jnp.asarray(XS))
    np.testing.assert_allclose(outputs(apply, params), np.asarray(found), atol=1e-6)
    assert_same_arrays(from_flax(arrays), params)


def test_biases_that_keras_does_not_have_are_zero():
    kernels = to_keras(made("GRU")[0], "GRU")[:2]
    for cell in ("GRU", "GRUResetBefore"):
        both = from_keras(2 * kernels, cell)
        assert set(both) == {"forward", "backward"}
        for way in both.values():
            assert way["params"]["bias"].shape == (3 * H,)
            assert not any(array.any() for name, array in way["params"].items() if name.endswith("bias"))


def test_the_candidate_bias_of_a_gru_is_the_end_of_the_second_bias():
    params, _ = made("GRU")
    theirs = to_pytorch(params)["bias_hh_l0"]
    np.testing.assert_array_equal(theirs, np.append(np.zeros(2 * H), params["params"]["candidate_bias"]))


def plain(cell: str):
    """Parameters of ``Recurrent``, made without JAX."""
    sizes = {"D": D, "H": H, "3H": 3 * H, "4H": 4 * H}
    return {"params": {name: np.ones([sizes[part] for part in shape.split()]) for name, shape in SHAPES[cell].items()}}


LSTM, GRU, OLD = map(plain, ("LSTM", "GRU", "GRUResetBefore"))
ARRAYS = to_pytorch(LSTM)
FLAX_LSTM, FLAX_GRU = to_flax(LSTM, "linen.LSTMCell"), to_flax(GRU, "linen.GRUCell")
ONES = np.ones((7, 5))


def less(arrays, name: str):
    """All but one."""
    return {other: array for other, array in arrays.items() if other != name}


REFUSALS = [
    ("no arrays", from_pytorch, [{}], "`weight_ih_l0` is missing. There is nothing."),
    ("an array is missing", from_pytorch, [less(ARRAYS, "bias_hh_l0")], "`bias_hh_l0` is missing. There is weight_ih"),
    ("a slip", from_pytorch, [ARRAYS | {"weight_hh_0": ONES}], "no 'weight_hh_0'. Did you mean `weight_hh_l0`?"),
    ("a layer is missing", from_pytorch, [ARRAYS | {"weight_hh_l2": ONES}], "no 'weight_hh_l2'. Did you mean"),
    (
        "another direction is not whole",
        from_pytorch,
        [ARRAYS | {"weight_hh_l0_reverse": ONES}],
        "l0_reverse` is missing",
    ),
    ("no such cell", from_pytorch, [ARRAYS | {"weight_hh_l0": ONES}], "(H, H), but it is (7, 5)"),
    (
        "a bias",
        from_pytorch,
        [ARRAYS | {"bias_ih_l0": ONES}],
        "`bias_ih_l0` should be (4H,) = (20,), but it is (7, 5).",
    ),
    (
        "layers",
        to_pytorch,
        [{"layers": {0: LSTM, 1: LSTM}}],
        "`weight_ih_l1` should be (4H, D) = (20, 5), but it is (20",
    ),
    (
        "reset before",
        to_pytorch,
        [OLD],
        "should be of LSTM, LSTMProjected, GRU or Elman, but they are hidden_kernel (5, 15)",
    ),
    ("a first state", to_pytorch, [LSTM | {"initial": {}}], "a dict of params, initial. A learned first state has no"),
    ("a bare cell", to_pytorch, [LSTMParams(ONES, ONES, ONES)], "but it is a LSTMParams."),
    ("a slip of the cell", from_keras, [[], "GRURestBefore"], "Did you mean `GRUResetBefore`?"),
    ("five arrays", from_keras, [5 * [ONES], "GRU"], "but they are 5 arrays"),
    (
        "the other GRU",
        from_keras,
        [to_keras(OLD, "GRUResetBefore"), "GRU"],
        "a bias (15,) is not one of GRU. Try GRUResetBefore.",
    ),
    ("an LSTM", from_keras, [to_keras(LSTM, "LSTM"), "Elman"], "`recurrent_kernel` should be (H, H) = (5, 5), but"),
    ("of another cell", to_keras, [GRU, "LSTM"], "to_keras: there should be no 'candidate_bias'."),
    ("a stack", to_keras, [{"layers": {0: LSTM, 1: LSTM}}, "LSTM"], "but it is a dict of layers."),
    (
        "a candidate bias",
        to_flax,
        [GRU, "nnx.GRUCell"],
        "should be zero, as nnx.GRUCell has none, but it is not. Try li",
    ),
    ("a slip of Flax's cell", to_flax, [GRU, "linen.GRU"], "Did you mean `linen.GRUCell`?"),
    (
        "two directions",
        to_flax,
        [{"forward": GRU, "backward": GRU}, "linen.GRUCell"],
        "Give `params['forward']`, then the other",
    ),
    ("too deep", from_flax, [{"cell": FLAX_LSTM}], "no 'cell.hi.kernel'. Did you mean `hi.kernel`?"),
    ("not whole", from_flax, [less(FLAX_GRU, "hz")], "from_flax, linen.GRUCell: `hz.kernel` is missing."),
    (
        "a gate",
        from_flax,
        [FLAX_GRU | {"hz": {"kernel": ONES}}],
        "`hz.kernel` should be (H, H) = (5, 5), but it is (7, 5).",
    ),
]


@pytest.mark.parametrize(("call", "given", "words"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_what_does_not_fit_is_refused(call, given, words):
    with pytest.raises(InputError, match=re.escape(words)):
        call(*given)


def test_what_is_no_layer_is_refused_in_words():
    for params in ({"params": 3}, {"layers": [1]}, {"params": [1, 2]}):
        with pytest.raises(InputError, match="should be those of a layer"):
            to_pytorch(params)
    with pytest.raises(InputError, match="none of them 0"):
        from_pytorch({"weight_ih_l0": np.ones((4, 0)), "weight_hh_l0": np.ones((4, 4))})
    with pytest.raises(InputError, match="recurrent_kernel"):  # an LSTM's
        from_keras([np.ones((3, 16)), np.ones((4, 16)), np.ones(16)], "GRU")

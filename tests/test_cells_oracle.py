"""Every cell against slow loops in NumPy; those that PyTorch and Keras have, against theirs on the same weights."""

import operator
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import CELLS, VARIANTS, B, D, H, T, name_of
from cell_runs import DIRECTIONS, QUICKLY, assert_same, host, make_case
from oracles import recurrences

from seqjax import cells, unroll
from seqjax.cells.elman import ElmanParams
from seqjax.cells.gru import GRUParams
from seqjax.cells.gru_reset_before import GRUResetBeforeParams
from seqjax.cells.lstm import LSTMParams
from seqjax.cells.lstm_projected import LSTMProjectedParams
from seqjax.interop.recurrences_keras import from_keras
from seqjax.interop.recurrences_pytorch import from_pytorch

LENGTHS = [4, 1, T, 2]
MASK = np.arange(T) < np.array(LENGTHS)[:, None]


@pytest.fixture(autouse=True, scope="module")
def float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("reverse", DIRECTIONS, ids=["forward", "reverse"])
@pytest.mark.parametrize("row", CELLS + VARIANTS, ids=name_of)
def test_every_cell_follows_its_equations(row, reverse):
    case = make_case(row)

    def run(case):
        flags = {"mask": case.mask, "reset": case.reset, "reverse": reverse, "context": case.context}
        flags |= {"state": case.state, "initial": case.initial}
        return unroll(row.cell, case.params, case.xs, **flags), cells.trace(row.cell, case.params, case.xs, **flags)

    (final, ys), (states, gates) = host(jax.jit(run, compiler_options=QUICKLY)(case))
    p = host(case.params)
    for b in range(B):
        rows = host(jax.tree.map(lambda leaf, b=b: leaf[b], case._replace(params=None)))
        given = (*map(flat, (rows.state, rows.initial)), rows.context, rows.mask, rows.reset)
        wanted = recurrences.run(row.oracle, p, rows.xs, *given, reverse)
        found = [flat(jax.tree.map(operator.itemgetter(b), tree)) for tree in (final, states, gates)]
        assert_same([ys[b], *found], list(wanted))


def flat(tree) -> tuple:
    """The leaves in a row: a cell may hold another."""
    return tuple(jax.tree.leaves(tree))


PYTORCH = {
    "rnn-tanh": ("RNN", {"nonlinearity": "tanh"}, cells.Elman, ElmanParams),
    "rnn-relu": ("RNN", {"nonlinearity": "relu"}, cells.ElmanReLU, ElmanParams),
    "lstm": ("LSTM", {}, cells.LSTM, LSTMParams),
    "lstm-proj-size": ("LSTM", {"proj_size": 2}, cells.lstm_projected(projection=2), LSTMProjectedParams),
    "gru": ("GRU", {}, cells.GRU, GRUParams),
}


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "packed"])
@pytest.mark.parametrize("name", PYTORCH)
def test_pytorch_gives_the_same_outputs_states_and_gradients(name, lengths):
    torch = pytest.importorskip("torch", reason="the oracle extra, pip install -e '.[oracle]', is not installed")
    layer, options, cell, kind = PYTORCH[name]
    torch.manual_seed(0)
    module = getattr(torch.nn, layer)(D, H, batch_first=True, bidirectional=True, dtype=torch.float64, **options)
    random = np.random.default_rng(0)
    xs = random.normal(size=(B, T, D))
    mask = None if lengths is None else jnp.asarray(MASK)

    inputs = torch.tensor(xs, requires_grad=True)
    packed = inputs
    if lengths is not None:
        packed = torch.nn.utils.rnn.pack_padded_sequence(inputs, torch.tensor(lengths), True, enforce_sorted=False)
    wanted, last = module(packed)
    if lengths is not None:
        wanted, _ = torch.nn.utils.rnn.pad_packed_sequence(wanted, batch_first=True, total_length=T)
    weight = random.normal(size=wanted.shape)
    (wanted * torch.tensor(weight)).sum().backward()
    last = last if isinstance(last, tuple) else (last,)
    found = from_pytorch({name: tensor.numpy() for name, tensor in module.state_dict().items()})

    def run(xs):
        weights = [kind(**jax.tree.map(jnp.asarray, found[way]["params"])) for way in ("forward", "backward")]
        both = [unroll(cell, params, xs, mask=mask, reverse=bool(way)) for way, params in enumerate(weights)]
        ys = jnp.concatenate([ys for _, ys in both], axis=-1)
        return (ys * weight).sum(), (ys, [final for final, _ in both])

    gradient, (ys, finals) = jax.jit(jax.grad(run, has_aux=True), compiler_options=QUICKLY)(jnp.asarray(xs))
    assert_same(host(ys), wanted.detach().numpy())
    assert_same(host(gradient), inputs.grad.numpy())
    for direction, final in enumerate(finals):
        assert_same(host(list(final)), [leaf[direction].detach().numpy() for leaf in last])


@pytest.mark.filterwarnings("ignore:__array__ implementation")
@pytest.mark.parametrize("reverse", DIRECTIONS, ids=["forward", "reverse"])
@pytest.mark.parametrize("reset_after", [True, False], ids=["reset-after", "reset-before"])
def test_keras_gives_the_same_gru(reset_after, reverse):
    """To 1e-6: on JAX, Keras multiplies in float32 even where its type is float64."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras", reason="the oracle extra, pip install -e '.[oracle]', is not installed")
    random = np.random.default_rng(0)
    xs = random.normal(size=(B, T, D))
    layer = keras.layers.GRU(H, reset_after=reset_after, go_backwards=reverse, return_sequences=True, return_state=True)
    layer.build(xs.shape)
    weights = [random.normal(size=weight.shape) for weight in layer.get_weights()]
    layer.set_weights(weights)
    wanted, last = (np.asarray(value) for value in layer(xs))

    cell, kind = (cells.GRU, GRUParams) if reset_after else (cells.GRUResetBefore, GRUResetBeforeParams)
    params = kind(**jax.tree.map(jnp.asarray, from_keras(weights, cell.name)["params"]))
    state, ys = unroll(cell, params, jnp.asarray(xs), reverse=reverse)
    assert_same(host(ys), wanted[:, ::-1] if reverse else wanted, tolerance=1e-6)
    assert_same(host(state.hidden), last, tolerance=1e-6)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3)])
@pytest.mark.parametrize("initializer", [cells.glorot, cells.orthogonal, cells.identity])
def test_every_gate_has_a_kernel_of_its_own(initializer, shape):
    key, dtype = jax.random.key(3), jnp.bfloat16
    alone = [initializer(k, shape, dtype) for k in jax.random.split(key, 4)]
    together = cells.gatewise(initializer, key, 4, shape, dtype)
    assert together.dtype == dtype
    np.testing.assert_array_equal(host(together), np.concatenate([host(kernel) for kernel in alone], axis=1))

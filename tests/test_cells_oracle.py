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


def kernels(module, suffix):
    """PyTorch's (J, I) weights as seqjax's (I, J), and its two biases."""
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    return [jnp.asarray(getattr(module, name + suffix).detach().numpy().T) for name in names]


def plain_params(kind):
    def convert(module, suffix):
        inputs, hidden, one, two = kernels(module, suffix)
        return kind(inputs, hidden, one + two)

    return convert


def projected_params(module, suffix):
    projection = jnp.asarray(getattr(module, "weight_hr_l0" + suffix).detach().numpy().T)
    return LSTMProjectedParams(*plain_params(LSTMParams)(module, suffix), projection)


def gru_params(module, suffix):
    inputs, hidden, one, two = kernels(module, suffix)
    return GRUParams(inputs, hidden, one.at[: 2 * H].add(two[: 2 * H]), two[2 * H :])


PYTORCH = {
    "rnn-tanh": ("RNN", {"nonlinearity": "tanh"}, cells.Elman, plain_params(ElmanParams)),
    "rnn-relu": ("RNN", {"nonlinearity": "relu"}, cells.ElmanReLU, plain_params(ElmanParams)),
    "lstm": ("LSTM", {}, cells.LSTM, plain_params(LSTMParams)),
    "lstm-proj-size": ("LSTM", {"proj_size": 2}, cells.lstm_projected(projection=2), projected_params),
    "gru": ("GRU", {}, cells.GRU, gru_params),
}


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "packed"])
@pytest.mark.parametrize("name", PYTORCH)
def test_pytorch_gives_the_same_outputs_states_and_gradients(name, lengths):
    torch = pytest.importorskip("torch", reason="the oracle extra, pip install -e '.[oracle]', is not installed")
    layer, options, cell, convert = PYTORCH[name]
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

    def run(xs):
        directions = [(convert(module, suffix), reverse) for suffix, reverse in (("", False), ("_reverse", True))]
        both = [unroll(cell, params, xs, mask=mask, reverse=reverse) for params, reverse in directions]
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
    inputs, hidden, bias = (random.normal(size=weight.shape) for weight in layer.get_weights())
    layer.set_weights([inputs, hidden, bias])
    wanted, last = (np.asarray(value) for value in layer(xs))

    def ordered(kernel):
        z, r, n = np.split(kernel, 3, axis=-1)
        return jnp.asarray(np.concatenate([r, z, n], axis=-1))

    if reset_after:
        one, two = ordered(bias[0]), ordered(bias[1])
        cell = cells.GRU
        params = GRUParams(ordered(inputs), ordered(hidden), one.at[: 2 * H].add(two[: 2 * H]), two[2 * H :])
    else:
        cell = cells.GRUResetBefore
        params = GRUResetBeforeParams(ordered(inputs), ordered(hidden), ordered(bias))
    state, ys = unroll(cell, params, jnp.asarray(xs), reverse=reverse)
    assert_same(host(ys), wanted[:, ::-1] if reverse else wanted, tolerance=1e-6)
    assert_same(host(state.hidden), last, tolerance=1e-6)

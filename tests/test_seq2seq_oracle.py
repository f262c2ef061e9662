"""Recurrent encoder–decoders against slow loops in NumPy, and against PyTorch on the same weights."""

import functools

import jax
import numpy as np
import pytest
from oracles import seq2seq as oracle

from seqjax.interop.recurrences_pytorch import to_pytorch
from seqjax.models import Seq2SeqConfig, seq2seq

SOURCE, TARGET, S, T = 8, 6, 6, 5
LENGTHS = [6, 3, 1]
SWIFT = {"xla_backend_optimization_level": 0}
SHAPES = {
    "plain": {"cell": "lstm", "layers": 2, "attention": "none", "reverse_source": True},
    "every step": {"cell": "gru", "attention": "none", "every_step": True, "tied": True, "embedding": 3},
    "every step, both ways": {"cell": "lstm", "attention": "none", "every_step": True, "bidirectional": True},
    "additive": {"cell": "gru", "attention": "additive", "bidirectional": True, "attention_features": 5},
    "additive, two layers": {"cell": "lstm", "attention": "additive", "layers": 2},
    "dot": {"cell": "lstm", "attention": "dot", "input_feeding": False, "tied": True, "embedding": 3},
    "bilinear, two layers": {"cell": "gru", "attention": "bilinear", "layers": 2, "bidirectional": True},
    "local-m": {"cell": "lstm", "attention": "local-m", "window": 1},
    "local-p": {"cell": "gru", "attention": "local-p", "window": 2, "reverse_source": True},
}


@pytest.fixture(autouse=True, scope="module")
def float64():
    with jax.enable_x64(True):
        yield


def batch():
    """Rows of several lengths: sources to the right of their padding, targets with holes."""
    random = np.random.default_rng(1)
    mask = np.ones((len(LENGTHS), T), bool)
    mask[1, [0, 3]] = mask[2, 2:] = False
    real = np.arange(S) >= S - np.array(LENGTHS)[:, None]
    source, inputs = random.integers(SOURCE, size=real.shape), random.integers(TARGET, size=mask.shape)
    return {"source": source, "source_mask": real, "inputs": inputs, "mask": mask}


@functools.cache
def made(name: str):
    """A configuration, its model, and parameters in float64, none of them zero."""
    config, random = Seq2SeqConfig(**({"features": 4} | SHAPES[name])), np.random.default_rng(0)
    model = seq2seq(config, SOURCE, TARGET)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(shapes)} == {"float64"}
    return config, model, jax.tree.map(lambda leaf: random.normal(size=leaf.shape, scale=0.5), shapes)


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_follows_its_equations(name):
    config, model, params = made(name)
    given = batch()

    def run(params, batch):
        return model.logits(params, batch, None, 0.0), model.align(params, batch)

    logits, looked = jax.device_get(jax.jit(run, compiler_options=SWIFT)(params, given))
    assert logits.dtype == np.float64
    for row, real in enumerate(given["source_mask"]):
        steps = given["mask"][row]
        encoded = oracle.encode(params, config, given["source"][row][real])
        wanted, weights = oracle.decode(params, config, given["inputs"][row][steps], *encoded)
        np.testing.assert_allclose(logits[row][steps], wanted, atol=1e-12)
        if looked:
            np.testing.assert_allclose(looked["attention"][row][steps][:, real], weights, atol=1e-12)
    assert set(looked) == (set() if config.attention == "none" else {"attention"})


def test_pytorch_gives_the_same_plain_encoder_and_decoder():
    torch = pytest.importorskip("torch", reason="the oracle extra, pip install -e '.[oracle]', is not installed")
    config, model, params = made("plain")
    given = batch()
    given["mask"] = np.ones_like(given["mask"])
    logits = jax.jit(functools.partial(model.logits, keys=None, sampled=0.0), compiler_options=SWIFT)(params, given)

    def lstm(layers):
        module = torch.nn.LSTM(config.features, config.features, num_layers=2, batch_first=True, dtype=torch.float64)
        state = to_pytorch({"layers": layers})
        module.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
        return module

    encoder, decoder = lstm(params["encoder"]["stack"]["layers"]), lstm(params["decoder"]["below"]["layers"])
    head = params["decoder"]["readout"]["head"]
    for row, real in enumerate(given["source_mask"]):
        symbols = given["source"][row][real][::-1]
        _, state = encoder(torch.tensor(params["encoder"]["embedding"]["table"][symbols])[None])
        said, _ = decoder(torch.tensor(params["decoder"]["embedding"]["table"][given["inputs"][row]])[None], state)
        wanted = said[0].detach().numpy() @ head["kernel"] + head["bias"]
        np.testing.assert_allclose(logits[row], wanted, atol=1e-12)

"""GPT against the GPT-2 of the transformers library, tiny and random, on the same weights."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.decoding import Sampling, beam_search, generate
from seqjax.interop.gpt2 import gpt2_parameters
from seqjax.models import GPTConfig, gpt

V, D, LAYERS, HEADS, CONTEXT = 17, 12, 2, 3, 24
PROMPT, STEPS = 5, 12


@functools.cache
def theirs():
    """Their model, with weights far enough from zero to tell symbols apart."""
    torch = pytest.importorskip("torch")
    library = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = library.GPT2Config(
        n_layer=LAYERS, n_embd=D, n_head=HEADS, vocab_size=V, n_positions=CONTEXT, initializer_range=0.3,
        bos_token_id=None, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    model = library.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@functools.cache
def ours():
    """Our model, and their weights by our names."""
    params = gpt2_parameters({name: leaf.numpy() for name, leaf in theirs().state_dict().items()})
    model = gpt(GPTConfig(features=D, layers=LAYERS, heads=HEADS), V, CONTEXT)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    assert jax.tree.map(np.shape, params) == jax.tree.map(np.shape, shapes)
    return model, jax.tree.map(jnp.asarray, params)


def prompts():
    return np.random.default_rng(0).integers(1, V, size=(3, PROMPT)).astype(np.int32)


def given():
    """Prompts as the engine takes them: all but the last, and the last."""
    ids = prompts()
    return {"tokens": jnp.asarray(ids[:, :-1]), "mask": jnp.ones(ids[:, :-1].shape, bool)}, jnp.asarray(ids[:, -1])


def test_logits_are_those_of_gpt_2():
    torch = pytest.importorskip("torch")

    ids = np.random.default_rng(1).integers(V, size=(2, CONTEXT)).astype(np.int32)
    model, params = ours()
    real = np.ones(ids.shape, bool)
    batch = {
        "inputs": ids,
        "targets": ids,
        "mask": real,
        "scored": real,
        "reset": np.arange(CONTEXT)[None] == [[0]] * 2,
    }
    _, logits, *_ = jax.jit(model.predict)(params, batch, None, None)
    with torch.no_grad():
        wanted = theirs()(torch.tensor(ids, dtype=torch.long)).logits.numpy()
    np.testing.assert_allclose(logits, wanted, rtol=0, atol=1e-5 * max(1.0, np.abs(wanted).max()))
    assert np.abs(wanted).max() > 1


def test_greedy_generation_is_that_of_gpt_2_token_for_token():
    torch = pytest.importorskip("torch")

    model, params = ours()
    inputs, last = given()
    made = generate(model.decodable, params, inputs, last, None, max_tokens=STEPS, sampling=Sampling(greedy=True))
    ids = torch.tensor(prompts(), dtype=torch.long)
    wanted = theirs().generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=STEPS, do_sample=False)
    np.testing.assert_array_equal(made.tokens, wanted[:, PROMPT:])
    assert len(np.unique(made.tokens)) > 3


def test_beam_search_is_that_of_gpt_2():
    torch = pytest.importorskip("torch")

    model, params = ours()
    inputs, last = given()
    made = beam_search(model.decodable, params, inputs, last, max_tokens=STEPS, beam=3, end=0, length_penalty=0.0)
    ids = torch.tensor(prompts(), dtype=torch.long)
    wanted = theirs().generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=STEPS, do_sample=False, num_beams=3,
        length_penalty=0.0, eos_token_id=0, early_stopping="never",
    )  # fmt: skip
    for row, length in enumerate(made.lengths[:, 0].tolist()):
        np.testing.assert_array_equal(made.tokens[row, 0, :length], wanted[row, PROMPT : PROMPT + length])

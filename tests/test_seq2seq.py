"""Recurrent encoder–decoders: what the laws of all models of pairs do not ask."""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from pair_catalogue import SOURCE, TARGET
from parameters import drawn

from seqjax import cells
from seqjax.checks import InputError
from seqjax.layers import Stack
from seqjax.models import Seq2SeqConfig, seq2seq
from seqjax.models.attentive import Multiplied, bahdanau, remember
from seqjax.models.encoder import Bridge
from seqjax.models.luong import luong
from seqjax.models.seq2seq import attentive_cell, stateful
from seqjax.ops.dropout import row_keys

B, S, T = 3, 6, 4
SWIFT = {"xla_backend_optimization_level": 0}
PAIRINGS = [("additive", "lstm"), ("dot", "gru"), ("local-m", "gru"), ("local-p", "lstm")]
LENGTHS = [6, 3, 0]  # of sources: the last row has none
each_cell = pytest.mark.parametrize("name", cells.BY_NAME)


def batch(rows: int = B):
    """Sources of several lengths, and whole targets."""
    random = np.random.default_rng(0)
    real = np.arange(S) < np.array(LENGTHS)[:, None]
    given = {"source": random.integers(1, SOURCE, size=real.shape), "source_mask": real}
    given |= {"inputs": random.integers(TARGET, size=(B, T)), "mask": np.ones((B, T), bool)}
    return {name: leaf[:rows] for name, leaf in given.items()}


def spread(given, source, target, fill: int):
    """The same among garbage: the steps of sources and targets at these places."""
    out = {}
    for name, leaf in given.items():
        places, time = (source, S + 3) if name.startswith("source") else (target, T + 2)
        out[name] = np.full((len(leaf), time), False if leaf.dtype == bool else fill, leaf.dtype)
        out[name][:, places] = leaf
    return out


def made(**shape):
    """A model and parameters away from zero."""
    model = seq2seq(Seq2SeqConfig(features=4, **shape), SOURCE, TARGET)
    return model, drawn(model.init)


def assert_close(actual, wanted):
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=2e-5, rtol=2e-5), actual, wanted)


@pytest.mark.parametrize("attention, cell", PAIRINGS)
def test_padding_and_steps_change_nothing_for_any_attention(attention, cell):
    model, params = made(attention=attention, cell=cell, window=2)
    weight = jnp.asarray(np.random.default_rng(1).normal(size=(B, T, TARGET)), jnp.float32)

    @functools.partial(jax.jit, static_argnums=1, compiler_options=SWIFT)
    def run(given, places):
        def total(params):
            found = model.logits(params, given, None, 0.0)[:, list(places)]
            return (found * weight).sum(), found

        return jax.grad(total, has_aux=True)(params)

    given = batch()
    wanted = jax.device_get(run(given, tuple(range(T))))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(wanted))
    holes = (1, 2, 4, 5)
    for source, fill in (([0, 2, 3, 5, 6, 8], 10**6), ([3, 4, 5, 6, 7, 8], -7)):
        assert_close(jax.device_get(run(spread(given, source, holes, fill), holes)), wanted)

    @functools.partial(jax.jit, compiler_options=SWIFT)
    def stepwise(given):
        memory, state = model.decodable.start(params, given)
        advance = functools.partial(model.decodable.advance, params, memory)
        return jax.lax.scan(advance, state, given["inputs"].T)[1]

    assert_close(np.asarray(stepwise(given)).swapaxes(0, 1), wanted[1])


@each_cell
@pytest.mark.parametrize("attention", ["additive", "bilinear"])
def test_every_cell_serves_a_decoder_that_attends(name, attention):
    model = seq2seq(Seq2SeqConfig(features=4, cell=name, attention=attention), SOURCE, TARGET)
    params = jax.eval_shape(model.init, jax.random.key(0))
    shape = jax.eval_shape(functools.partial(model.logits, keys=None, sampled=0.0), params, batch()).shape
    assert shape == (B, T, TARGET)


@each_cell
def test_an_input_read_in_two_parts_drives_a_cell_as_the_whole(name):
    cell, xs = cells.BY_NAME[name], jax.random.normal(jax.random.key(1), (2, 5))
    weights = cell.prepare(cell.init(jax.random.key(0), 5, 4))
    parts = xs[:, :3] @ weights.input_kernel[:3] + xs[:, 3:] @ weights.input_kernel[3:]
    assert_close(cell.project(weights._replace(input_kernel=Multiplied()), parts), cell.project(weights, xs))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
def test_the_bridge_carries_all_of_the_state(cell, bidirectional):
    stack = Stack(cells.BY_NAME[cell], 3, 4, layers=2, bidirectional=bidirectional, rngs=nnx.Rngs(0))
    bridge = Bridge(stack, rngs=nnx.Rngs(1))
    finals = jax.tree.map(lambda leaf: leaf + 0.1, stack.start((B,)))
    gradients = jax.grad(lambda finals: sum(leaf.sum() for leaf in jax.tree.leaves(bridge(finals))))(finals)
    assert all((np.abs(leaf) > 1e-4).all() for leaf in jax.tree.leaves(gradients))
    own = Stack(cells.BY_NAME[cell], 3, 4, layers=2, rngs=nnx.Rngs(0)).start((B,))
    assert jax.tree.map(jnp.shape, bridge(finals)) == jax.tree.map(jnp.shape, own)
    if not bidirectional:
        assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), bridge(finals), finals))


def test_a_row_is_dropped_by_its_own_key_alone():
    model, params = made(dropout=0.5, layers=2)
    run = jax.jit(functools.partial(model.logits, params, sampled=0.0), compiler_options=SWIFT)
    keys = row_keys(jax.random.key(5), jnp.arange(B))
    whole, none = run(batch(), keys), run(batch(), None)
    assert_close(np.asarray(run(batch(2), keys[:2])), np.asarray(whole[:2]))
    assert np.abs(whole - none).max() > 1e-2


def test_a_model_may_read_its_own_prediction_now_and_then():
    model, params = made(attention="bilinear")
    run = jax.jit(functools.partial(model.logits, params), compiler_options=SWIFT)
    given, keys = batch(), row_keys(jax.random.key(5), jnp.arange(B))
    taught, own = run(given, keys, jnp.float32(0)), run(given, keys, jnp.float32(1))
    likely = {**given, "inputs": np.concatenate([given["inputs"][:, :1], np.argmax(own, axis=-1)[:, :-1]], axis=1)}
    assert_close(np.asarray(run(likely, keys, jnp.float32(0))), np.asarray(own))
    at_once = jax.jit(functools.partial(model.logits, keys=None, sampled=0.0), compiler_options=SWIFT)
    assert_close(np.asarray(taught), np.asarray(at_once(params, given)))
    with pytest.raises(InputError, match="random `keys`"):
        model.logits(params, given, None, 0.5)


@pytest.mark.parametrize("asked, features", [(0, 3), (5, 5)])
def test_additive_scores_have_half_the_features_or_as_many_as_asked(asked, features):
    cell = attentive_cell(Seq2SeqConfig(features=6, attention_features=asked), 4)
    params = jax.eval_shape(lambda key: cell.init(key, 2, 6), jax.random.key(0))
    assert params.attention.vector.shape == (features,)


def test_a_share_of_the_symbols_is_its_own(monkeypatch):
    class Blank(nnx.Module):
        def start(self, source, *, mask, keys=None):
            return jnp.zeros(len(source)), jnp.zeros(len(source))

    monkeypatch.setattr(sys.modules[seq2seq.__module__], "read_own", lambda read, state, ids, mask, own: own)
    batch = {"source": jnp.zeros((8, 1), int), "source_mask": jnp.ones((8, 1), bool)}
    batch |= {"inputs": jnp.zeros((8, 500), int), "mask": jnp.ones((8, 500), bool)}
    own = stateful(lambda rngs: Blank()).logits({}, batch, row_keys(jax.random.key(0), jnp.arange(8)), 0.25)
    assert abs(float(own.mean()) - 0.25) < 0.03


@pytest.mark.parametrize(
    "shape, words",
    [
        ({"features": 0}, "`features`"), ({"layers": 0}, "`layers`"), ({"embedding": -1}, "`embedding`"),
        ({"window": 0}, "`window`"), ({"dropout": 1.0}, "`dropout`"), ({"cell": "gro"}, "Did you mean `gru`"),
        ({"attention": "addtive"}, "Did you mean `additive`"), ({"attention_features": -1}, "`attention_features`"),
        ({"bidirectional": True, "reverse_source": True}, "reads the source from its end already"),
        ({"every_step": True}, "attention=\"none\""), ({"attention": "dot", "bidirectional": True}, "bilinear"),
    ],
)  # fmt: skip
def test_an_impossible_shape_is_refused(shape, words):
    with pytest.raises(InputError, match=words):
        Seq2SeqConfig(**shape)


def test_what_does_not_fit_is_refused_where_it_is_given():
    model, params = made()
    packed = batch() | {"segments": np.ones((B, T), np.int32)}
    with pytest.raises(InputError, match="one pair a row"):
        model.logits(params, packed, None, 0.0)
    with pytest.raises(InputError, match="LSTMTimeAware does not"):
        bahdanau(cells.LSTMTimeAware, 3, 4).init(jax.random.key(0), 3, 4)
    with pytest.raises(InputError, match='Try "bilinear"'):
        luong(cells.GRU, 3, "dot").init(jax.random.key(0), 3, 4)
    with pytest.raises(InputError, match="Did you mean `local-m`"):
        luong(cells.GRU, 3, "local_m")
    attention = bahdanau(cells.GRU, 3, 2).init(jax.random.key(0), 3, 4).attention
    with pytest.raises(InputError, match="boolean"):
        remember(attention, jnp.ones((2, 5, 3)), jnp.ones((2, 5)))

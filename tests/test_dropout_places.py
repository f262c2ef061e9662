"""Wherever something is dropped, it is with random keys that nothing else is dropped with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from block_catalogue import BLOCKS, RATE, B, D, N, memory_of
from flax import nnx

from seqjax import cells
from seqjax.layers import Block, Deep, Embedding, SelfAttention, Stack, mixer
from seqjax.ops import dropout
from seqjax.ops.dropout import row_keys

T = 3
PLACES = {"attention": 1, "block-post": 2, "deep-hybrid-remat": 2 * 4, "deep-decoder": 2 * 4}
BUILDS = {row.name: row.build for row in BLOCKS if row.dropout} | {
    "stack": lambda rngs: Stack(cells.Elman, D, D, layers=3, dropout=RATE, rngs=rngs),
    "tcn": lambda rngs: mixer("tcn", D, N, reach=6, dropout=RATE, rngs=rngs),
}
PLACES |= {"stack": 2, "tcn": 4}  # between layers; after each of the two convolutions of two blocks
MEMORIES = {row.name: {"memory": jax.tree.map(jnp.asarray, memory_of(slice(None)))} for row in BLOCKS if row.memory}


@pytest.mark.parametrize("name", BUILDS)
def test_no_two_places_drop_with_the_same_keys(name, monkeypatch):
    found, check = [], dropout.check_keys

    def note(where, keys, shape):
        check(where, keys, shape)
        if where == "dropout":
            found.append(np.asarray(jax.random.key_data(keys)).reshape(-1, 2))

    monkeypatch.setattr(dropout, "check_keys", note)
    layer = BUILDS[name](nnx.Rngs(0))
    if isinstance(layer, Deep):
        layer.remat = False  # what is to be computed again is traced, and its keys are no numbers
    xs = jnp.ones((B, T, D))
    with jax.disable_jit():
        layer(xs, keys=row_keys(jax.random.key(0), jnp.arange(B)), **MEMORIES.get(name, {}))
    assert len(found) == PLACES[name]
    keys = np.concatenate(found)
    assert len(np.unique(keys, axis=0)) == len(keys) >= B * PLACES[name]


def keys_of(rows):
    return row_keys(jax.random.key(0), jnp.arange(rows))


def test_what_a_block_reads_is_never_dropped_but_what_it_adds():
    block = Block(SelfAttention(D, N, rngs=nnx.Rngs(0)), D, 12, dropout=0.99, rngs=nnx.Rngs(0))
    xs = jnp.asarray(np.random.default_rng(0).normal(size=(B, T, D)), jnp.float32)
    _, ys = block(xs, keys=keys_of(B))
    assert (ys == xs).mean() > 0.8


def test_vectors_of_symbols_are_dropped_also_where_products_once_a_symbol_would_do():
    table = Embedding(4, 32, rngs=nnx.Rngs(0))
    ids = jnp.zeros((2, 50), jnp.int32)
    dropped = table.read(ids, 0.5, keys_of(2))
    assert 0.4 < (dropped == 0).mean() < 0.6
    assert not np.array_equal(dropped[0], dropped[1])

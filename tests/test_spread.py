"""A batch that ``jax.shard_map``, its types checked, or a mesh of explicit axes spreads over devices.

Language models are traced so in test_lowering.py, and models that read in test_reading_models.py.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import CELLS, MODELS, B, T, V, name_of
from cell_runs import QUICKLY, Case, assert_same, host, make_case, outcome
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from pair_catalogue import PAIR_MODELS
from reading_catalogue import READING_MODELS

from seqjax import cells
from seqjax.decoding import beam_search, generate, score
from seqjax.ops import crf
from seqjax.ops.attention_chunked import chunked_attention
from seqjax.ops.lambdas import lambda_layer
from seqjax.ops.masks import Structured

pytestmark = pytest.mark.usefixtures("strictly")
ROWS, WHOLE = PartitionSpec("data"), PartitionSpec()
LSTM, BAHDANAU = (next(row for row in CELLS if row.name == name) for name in ("lstm", "bahdanau"))
MESH = jax.make_mesh((B,), ("data",), axis_types=(AxisType.Auto,))
IDS = np.arange(B * T, dtype=np.int32).reshape(B, T) % 3 + 1  # which every model has
REAL = np.ones((B, T), bool)
WRITERS = [row for row in MODELS if row.name in ("whole-past", "gpt-hybrid")]  # all: test_lowering.py
random = np.random.default_rng(0)


def spread(function, *given, made=ROWS):
    """The function, for one row a device."""
    return jax.shard_map(function, mesh=MESH, in_specs=given, out_specs=made)


def case_of(row):
    """A run in float32, and how its arguments are spread."""
    return make_case(row, dtype=jnp.float32), Case(WHOLE, *[ROWS] * 8)


def reverse_run(row, method="fused", remat="none"):
    """Final state, outputs, and the gradients of what all rows share and of what is a row's own."""

    def run(case):
        found = outcome(row, case, True, method, remat)
        return found.final, found.ys, *found.gradients[:2]

    return run


@pytest.mark.parametrize(
    "row, method, remat",
    [(LSTM, "scan", "none"), (LSTM, "fused", "none"), (LSTM, "fused", "chunk"), (BAHDANAU, "scan", "chunk")],
    ids=lambda value: getattr(value, "name", value),
)
def test_shard_map_runs_cells(row, method, remat):
    case, how = case_of(row)
    run = reverse_run(row, method, remat)
    mapped = spread(run, how, made=(ROWS, ROWS, WHOLE, ROWS))
    alone, found = (jax.jit(each, compiler_options=QUICKLY)(case) for each in (run, mapped))
    assert_same(host(found), host(alone), 1e-5)


def test_a_mesh_of_explicit_axes_runs_cells():
    case, how = case_of(LSTM)
    run = jax.jit(reverse_run(LSTM), compiler_options=QUICKLY)
    mesh = jax.make_mesh((B,), ("data",), axis_types=(AxisType.Explicit,))
    placed = jax.tree.map(
        lambda spec, leaves: jax.device_put(leaves, NamedSharding(mesh, spec)), how, case,
        is_leaf=lambda leaf: isinstance(leaf, PartitionSpec),
    )  # fmt: skip
    found = run(placed)
    assert [str(jax.typeof(leaf)) for leaf in (found[1], found[2].bias)] == ["float32[4@data,7,4]", "float32[16]"]
    assert_same(host(found), host(run(case)), 1e-5)
    states = jax.eval_shape(lambda case: cells.trace(LSTM.cell, case.params, case.xs)[0], placed)
    assert states.hidden.sharding.spec == PartitionSpec("data", None, None)


def test_a_mesh_of_explicit_axes_leaves_a_loss_to_the_compiler():
    tagger = next(row for row in READING_MODELS if row.name == "tag-bilstm-crf")
    init, apply = tagger.build()
    batch = tagger.inputs(random, (B, T)) | {"mask": REAL}
    loss = jax.sharding.auto_axes(lambda *given: apply(*given, None)[0].sum(), out_sharding=WHOLE)
    with jax.set_mesh(jax.make_mesh((B,), ("data",))):
        placed = jax.device_put((jax.jit(init)(jax.random.key(0)), batch), (WHOLE, ROWS))
        traced = jax.jit(jax.grad(loss)).trace(*placed)
    assert jax.tree.leaves(traced.out_info)[0].shape == jax.tree.leaves(placed)[0].shape


def test_shard_map_runs_what_else_loops_over_time():
    emissions = random.normal(size=(B, T, 3)).astype(np.float32)
    between = crf.Transitions(*(random.normal(size=size).astype(np.float32) for size in ((3,), (3, 3), (3,))))
    heads = random.normal(size=(B, 40, 2, 2)).astype(np.float32)

    def losses(shared, emissions, heads):
        likely = crf.log_likelihood(emissions, jnp.ones((len(emissions), T), int), shared, None)
        looked = chunked_attention(heads, heads, heads, Structured(causal=True), None, 0.0, None)
        told = lambda_layer(heads, heads[:, :, 0], heads[:, :, 1], shared.between[:, :2], causal=True)
        return likely.sum() + (looked**2).sum() + (told**2).sum()

    def run(*given):
        return crf.viterbi(given[1], given[0])[0], jax.grad(losses, argnums=(0, 1, 2))(*given)

    mapped = spread(run, WHOLE, ROWS, ROWS, made=(ROWS, (WHOLE, ROWS, ROWS)))
    alone, found = (jax.jit(each)(between, emissions, heads) for each in (run, mapped))
    assert_same(host(found), host(alone), 1e-4)


@pytest.mark.parametrize("row", WRITERS, ids=name_of)
def test_shard_map_writes(row):
    model = row.build(0.0)
    prompt = {"tokens": IDS[:, :-1], "mask": REAL[:, :-1]}

    def write(params, prompt, last, keys):
        made = generate(model.decodable, params, prompt, last, max_tokens=4, keys=keys, end=V - 1)
        found = beam_search(model.decodable, params, prompt, last, max_tokens=2, beam=2, end=V - 1)
        return made.tokens, found.tokens, score(model.decodable, params, prompt, last, prompt["tokens"], prompt["mask"])

    params, keys = jax.eval_shape(model.init, jax.random.key(0)), jax.random.split(jax.random.key(0), B)
    shapes = jax.eval_shape(spread(write, WHOLE, ROWS, ROWS, ROWS), params, prompt, IDS[:, -1], keys)
    assert [shape.shape for shape in shapes] == [(B, 4), (B, 1, 2), (B, T - 1)]


@pytest.mark.parametrize("row", PAIR_MODELS, ids=name_of)
def test_shard_map_reads_pairs(row):
    model, keys = row.build(), jax.random.split(jax.random.key(0), B)
    batch = {"source": IDS, "source_mask": REAL, "inputs": IDS, "targets": IDS, "mask": REAL}

    def read(params, batch, keys):
        return model.logits(params, batch, keys, 0.5)

    params = jax.eval_shape(model.init, jax.random.key(0))
    assert jax.eval_shape(spread(read, WHOLE, ROWS, ROWS), params, batch, keys).shape[:2] == (B, T)

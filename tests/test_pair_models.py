"""Laws of the models that read a source and write a target: every row of the catalogue."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import name_of
from pair_catalogue import PAIR_MODELS, SOURCE, TARGET
from parameters import drawn

from seqjax.decoding import Sampling, beam_search, generate
from seqjax.ops.dropout import row_keys
from seqjax.ops.losses import token_cross_entropy

B, S, T = 3, 12, 11  # arrays of one shape, so that each model is compiled once; rows end before
STEPS = 4  # the longest target
GARBAGE = (10**6, -7, 1)
EMPTY, SILENT = B, B + 1  # a row without a source, and a row of padding alone
LENGTHS = (5, 3, 4, 0, 0), (4, 4, 2, 3, 0)
each_model = pytest.mark.parametrize("row", PAIR_MODELS, ids=name_of)
each_packing = pytest.mark.parametrize("row", [row for row in PAIR_MODELS if row.packs], ids=name_of)
SWIFT = {"xla_backend_optimization_level": 0}


@functools.cache
def made(row):
    """The model, and parameters away from zero."""
    model = row.build()
    return model, drawn(model.init)


@functools.cache
def reader(row):
    """Compiled logits, loss and gradient of a batch."""
    model, params = made(row)

    def run(batch):
        def loss(params):
            logits = model.logits(params, batch, None, 0.0)
            total, count = token_cross_entropy(logits, batch["targets"], batch["mask"])
            return total, (logits, count)

        (total, (logits, count)), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        return logits, (total, count, gradients)

    run = jax.jit(run, compiler_options=SWIFT)

    def read(batch):
        if row.packs:  # always with documents, so that nothing is compiled twice; without them: the steps
            batch = {"source_segments": batch["source_mask"] * 1, "segments": batch["mask"] * 1} | batch
        return jax.device_get(run(batch))

    return read


def pairs(seed: int = 0, lengths=LENGTHS) -> list[tuple[np.ndarray, np.ndarray]]:
    """Sources and targets, without boundaries. A target of n steps has n - 1 symbols and its end."""
    random = np.random.default_rng(seed)
    return [
        (random.integers(1, SOURCE, size=s), random.integers(1, TARGET, size=max(0, t - 1)))
        for s, t in zip(*lengths, strict=True)
    ]


def laid(rows, source: int = S, *, side: str = "right", fill: int = 0) -> dict[str, np.ndarray]:
    """Pairs in arrays, one a row."""

    def lay(sequences, time):
        ids, mask = np.full((len(sequences), time), fill, np.int32), np.zeros((len(sequences), time), bool)
        for number, sequence in enumerate(sequences):
            place = slice(0, len(sequence)) if side == "right" else slice(time - len(sequence), time)
            ids[number, place], mask[number, place] = sequence, True
        return ids, mask

    real = [t > 0 for t in LENGTHS[1]]
    batch = dict(zip(("source", "source_mask"), lay([s for s, _ in rows], source), strict=True))
    batch["inputs"], batch["mask"] = lay([[0, *t][: len(t) + r] for (_, t), r in zip(rows, real, strict=True)], T)
    batch["targets"], _ = lay([[*t, 0][: len(t) + r] for (_, t), r in zip(rows, real, strict=True)], T)
    return batch


def assert_close(actual, wanted, tolerance: float = 2e-5):
    """Every leaf, relative to its largest number or to one."""
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1.0, np.abs(b).max(initial=0))),
        actual, wanted,
    )  # fmt: skip


@each_model
@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_changes_nothing(row, side):
    batch = laid(pairs())
    wanted, losses = reader(row)(batch)
    for fill in GARBAGE:
        padded = laid(pairs(), side=side, fill=fill)
        found, changed = reader(row)(padded)
        assert_close(found[padded["mask"]], wanted[batch["mask"]])
        assert_close(changed, losses)


@each_model
def test_a_row_does_not_see_its_neighbours(row):
    batch, other = laid(pairs()), laid(pairs(seed=9))
    wanted, _ = reader(row)(batch)
    mixed, _ = reader(row)({name: np.concatenate([leaf[:1], other[name][1:]]) for name, leaf in batch.items()})
    turned, _ = reader(row)({name: leaf[::-1] for name, leaf in batch.items()})
    np.testing.assert_array_equal(mixed[0], wanted[0])
    assert_close(turned[::-1][batch["mask"]], wanted[batch["mask"]])


@each_model
def test_the_future_never_changes_the_past(row):
    batch, other = laid(pairs()), laid(pairs(seed=9))
    wanted, _ = reader(row)(batch)
    changed = batch | {"inputs": np.concatenate([batch["inputs"][:, :2], other["inputs"][:, 2:]], axis=1)}
    found, _ = reader(row)(changed)
    np.testing.assert_array_equal(found[:, :2], wanted[:, :2])
    assert np.abs(found - wanted)[0, 2:].max() > 1e-3


@each_model
def test_every_logit_depends_on_the_source(row):
    batch, other = laid(pairs()), laid(pairs(seed=9))
    wanted, _ = reader(row)(batch)
    found, _ = reader(row)(batch | {"source": other["source"]})
    assert (np.abs(found - wanted).max(axis=-1)[:B][batch["mask"][:B]] > 1e-6).all()
    np.testing.assert_array_equal(found[EMPTY:], wanted[EMPTY:])


@each_model
def test_gradients_are_finite_without_a_source_and_without_a_target(row):
    batch = laid(pairs())
    logits, (total, count, gradients) = reader(row)(batch)
    assert np.isfinite(logits[batch["mask"]]).all()
    assert np.isfinite(total)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    assert int(count) == sum(LENGTHS[1])
    ids = {name: leaf.copy() for name, leaf in batch.items() if leaf.dtype != bool}
    for leaf in ids.values():
        leaf[SILENT] = 10**6
    assert_close(reader(row)(batch | ids)[1], (total, count, gradients))


@functools.cache
def starter(row):
    """Compiled ``start``, and the weights."""
    model, params = made(row)
    weights = model.decodable.prepare(params)
    run = jax.jit(functools.partial(model.decodable.start, weights), compiler_options=SWIFT)
    return lambda batch: run({name: jnp.asarray(batch[name]) for name in ("source", "source_mask")})


@functools.cache
def advancer(row):
    """Compiled ``advance``."""
    model, params = made(row)
    weights = model.decodable.prepare(params)
    return jax.jit(functools.partial(model.decodable.advance, weights), compiler_options=SWIFT)


@each_model
@pytest.mark.parametrize("padding", [0, 3])
def test_steps_equal_the_whole(row, padding):
    batch = laid(pairs())
    wanted, _ = reader(row)(batch)
    memory, state = starter(row)(laid(pairs(), 5 + padding, side="left", fill=1))
    assert jax.tree.all(jax.tree.map(lambda leaf: leaf.shape[0] == len(wanted), (memory, state)))
    for t in range(STEPS):
        state, logits = advancer(row)(memory, state, jnp.asarray(batch["inputs"][:, t]))
        assert_close(np.asarray(logits)[batch["mask"][:, t]], wanted[:, t][batch["mask"][:, t]])


@each_model
def test_greedy_and_beam_search_agree_with_the_whole(row):
    model, params = made(row)
    batch = laid(pairs())
    inputs = {name: jnp.asarray(batch[name]) for name in ("source", "source_mask")}
    last = jnp.zeros(len(batch["source"]), jnp.int32)
    greedy = generate(
        model.decodable, params, inputs, last, None, max_tokens=STEPS, sampling=Sampling(greedy=True), end=0
    )  # fmt: skip
    one = beam_search(model.decodable, params, inputs, last, max_tokens=STEPS, beam=1, end=0)
    np.testing.assert_array_equal(one.tokens[:, 0], greedy.tokens)
    beams = beam_search(model.decodable, params, inputs, last, max_tokens=STEPS, beam=3, end=0, n_best=2)
    for tokens, lengths, scores in ((greedy.tokens, greedy.lengths, greedy.log_probabilities), *each_of(beams)):
        tokens, real = np.pad(tokens, ((0, 0), (0, T - STEPS))), np.arange(T) < np.asarray(lengths)[:, None]
        whole = batch | {"inputs": np.pad(tokens[:, :-1], ((0, 0), (1, 0))), "targets": tokens, "mask": real}
        logits, _ = reader(row)(whole)
        own = np.take_along_axis(np.asarray(jax.nn.log_softmax(logits)), tokens[..., None], axis=-1)[..., 0]
        assert_close(np.asarray(scores), np.where(real, own, 0).sum(axis=1))
    assert (np.asarray(beams.log_probabilities[:, 0]) >= np.asarray(beams.log_probabilities[:, 1]) - 1e-6).all()


def each_of(beams):
    """Tokens, lengths and log-probabilities of the first hypotheses, of the second, …"""
    found = beams.tokens, beams.lengths, beams.log_probabilities
    return [tuple(leaf[:, number] for leaf in found) for number in range(beams.tokens.shape[1])]


@each_model
def test_alignments_are_weights_over_the_real_source(row):
    model, params = made(row)
    batch = laid(pairs())
    for name, weights in jax.jit(model.align, compiler_options=SWIFT)(params, batch).items():
        weights = np.asarray(weights)
        assert weights.shape == (len(batch["source"]), T, S), name
        assert (weights[~np.broadcast_to(batch["source_mask"][:, None], weights.shape)] == 0).all(), name
        np.testing.assert_allclose(weights.sum(axis=-1)[:B][batch["mask"][:B]], 1, atol=1e-5)
        assert (weights[~batch["mask"]] == 0).all(), name
        assert (weights[EMPTY] == 0).all(), name


@each_model
def test_a_model_that_reads_its_own_predictions_sees_others_inputs(row):
    model, params = made(row)
    batch, keys = laid(pairs()), row_keys(jax.random.key(3), jnp.arange(B + 2))
    run = jax.jit(functools.partial(model.logits, params), compiler_options=SWIFT)
    never, always = (np.asarray(run(batch, keys, jnp.float32(sampled))) for sampled in (0.0, 1.0))
    assert_close(never[batch["mask"]], reader(row)(batch)[0][batch["mask"]])
    np.testing.assert_allclose(always[:, 0], never[:, 0], atol=1e-5)  # nothing was predicted before the first
    assert np.isfinite(always[batch["mask"]]).all()
    assert np.abs(always - never)[0].max() > 1e-3
    other = batch | {"inputs": np.where(np.arange(T) > 0, laid(pairs(seed=9))["inputs"], batch["inputs"])}
    if not row.twice:  # read step by step: the true inputs are never seen
        assert_close(np.asarray(run(other, keys, jnp.float32(1.0)))[:2], always[:2])


@each_packing
def test_packed_pairs_equal_pairs_apart(row):
    batch = laid(pairs())
    wanted, _ = reader(row)(batch)
    packed = {name: np.zeros_like(leaf) for name, leaf in batch.items()}
    packed |= {name: np.zeros(batch[side].shape, int) for name, side in SEGMENTS.items()}
    for names, sizes, gap in (SIDES[0], LENGTHS[0], 0), (SIDES[1], LENGTHS[1], 1):  # and a hole between two targets
        firsts = np.cumsum([0, sizes[0] + gap, sizes[1]])
        for number, first in enumerate(firsts):
            place = slice(first, first + sizes[number])
            for name in names:
                packed[name][0, place] = number + 1 if name in SEGMENTS else batch[name][number, : sizes[number]]
    found, losses = reader(row)(packed)
    assert_close(found[0][packed["mask"][0]], wanted[:B][batch["mask"][:B]])
    apart = batch | {"mask": batch["mask"] & (np.arange(B + 2) < B)[:, None]}
    assert_close(losses, reader(row)(apart)[1])


SEGMENTS = {"source_segments": "source", "segments": "inputs"}
SIDES = ("source", "source_mask", "source_segments"), ("inputs", "targets", "mask", "segments")

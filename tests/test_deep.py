"""Deep stacks, caches and memories: what holds besides the laws, and what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from block_catalogue import B, D, M, N, block, decoder, hybrid, memory_of
from flax import nnx
from parameters import drawn

from seqjax import cells
from seqjax.checks import InputError
from seqjax.layers import (
    MIXERS,
    Block,
    CrossAttention,
    Deep,
    Encoded,
    FeedForward,
    Lambda,
    RecurrentMixer,
    SelfAttention,
    check_room,
    count_positions,
    functional,
    mixer,
    norm,
    unstacked,
)
from seqjax.layers.cache import first_slots
from seqjax.models.pure import pure
from seqjax.ops.dropout import fold, row_keys

T, L = 6, 3
SWIFT = {"xla_backend_optimization_level": 0}


def inputs(time: int = T, seed: int = 0):
    """(B, T, D)."""
    return jnp.asarray(np.random.default_rng(seed).normal(size=(B, time, D)), jnp.float32)


@functools.cache
def stack(kind: str, remat: bool = False):
    """The parameters of a deep stack, and its function."""
    make = {"block": block, "hybrid": hybrid, "decoder": decoder}[kind]
    init, apply = pure(lambda rngs: Deep(make, L, remat=remat, rngs=rngs))
    return drawn(init), apply


def given(kind: str) -> dict:
    """The memory of a decoder."""
    return {"memory": jax.tree.map(jnp.asarray, memory_of(slice(None)))} if kind == "decoder" else {}


def assert_close(actual, wanted, tolerance: float = 1e-5):
    """Every leaf, relative to its largest number or to one."""
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1.0, np.abs(b).max(initial=0))),
        jax.device_get(actual), jax.device_get(wanted),
    )  # fmt: skip


def swiftly(run, *arguments):
    """Compile and run once."""
    return jax.device_get(jax.jit(run, compiler_options=SWIFT)(*arguments))


def one_by_one(apply, params, xs, keys, **how):
    """The blocks of a stack called in turn, each on its own slice of the parameters."""
    definition, state = nnx.split(apply(params, 0, method="block"))
    for number in range(L):
        nnx.replace_by_pure_dict(state, jax.tree.map(lambda leaf, n=number: leaf[n], params["blocks"]))
        _, xs = nnx.merge(definition, state)(xs, keys=fold(keys, number), **how)
    return xs


@pytest.mark.parametrize("kind, dropped", [("block", False), ("hybrid", True), ("decoder", True)])
def test_a_deep_stack_is_its_blocks_in_turn(kind, dropped):
    params, apply = stack(kind)
    keys = row_keys(jax.random.key(0), jnp.arange(B)) if dropped else None

    def run(params, xs, keys, how):
        together = apply(params, xs, keys=keys, **how), apply(unstacked(params), xs, keys=keys, **how)
        return *together, one_by_one(apply, params, xs, keys, **how)

    scanned, apart, wanted = swiftly(run, params, inputs(), keys, given(kind))
    assert_close((scanned[1], apart), (wanted, scanned))
    assert len(scanned[0]) == L


def test_a_group_is_its_blocks_in_turn():
    def run(key, xs, keys):
        group = hybrid(nnx.Rngs(params=key))
        _, wanted = group.blocks[0](xs, keys=fold(keys, 0))
        _, wanted = group.blocks[1](wanted, keys=fold(keys, 1))
        return group(xs, keys=keys)[1], wanted

    found, wanted = swiftly(run, jax.random.key(0), inputs(), row_keys(jax.random.key(0), jnp.arange(B)))
    assert_close(found, wanted)


def test_rematerialisation_changes_no_gradient():
    def gradient(remat):
        params, apply = stack("block", remat)
        loss = jax.jit(jax.grad(lambda params: jnp.sin(apply(params, inputs())[1]).sum()), compiler_options=SWIFT)
        return loss(params), sum(1 for _ in equations(loss.trace(params).jaxpr.jaxpr))

    (plain, few), (again, many) = gradient(False), gradient(True)
    assert_close(again, plain)
    assert many > few, "the inside of a block is computed again"


@pytest.mark.parametrize("kind", ["block", "hybrid", "decoder"])
def test_decoding_may_slice_the_weights_once(kind):
    params, apply = stack(kind)

    def run(params, xs, how):
        weights = params if kind == "block" else unstacked(params)
        whole, again = apply(params, xs, **how)[1], None
        if how:
            how = {"memory": apply(weights, how["memory"], method="remember")}
            again = apply(params, xs, **how)[1]
        state = apply(weights, B, T, method="start")
        state, first = apply(weights, xs[:, :4], state=state, **how)
        state, last = apply(weights, xs[:, 4:], state=state, **how)
        return whole, jnp.concatenate([first, last], axis=1), again, how

    whole, parts, again, how = swiftly(run, params, inputs(), given(kind))
    assert_close(parts, whole)
    if kind == "decoder":
        assert_close(again, whole)
        assert [len(memory.mask) for memory in how["memory"]] == [B] * L


def test_a_loop_over_steps_slices_no_weights():
    params, apply = stack("block")

    def decode(params):
        weights = unstacked(params)
        start = apply(weights, B, T, method="start"), inputs(1)
        return jax.lax.fori_loop(0, T, lambda _, loop: apply(weights, loop[1], state=loop[0]), start)[1]

    loop = next(e for e in jax.make_jaxpr(decode)(params).eqns if e.primitive.name in ("while", "scan"))
    body = loop.params.get("body_jaxpr") or loop.params["jaxpr"]
    sliced = [e.invars[0].aval.shape for e in equations(body.jaxpr) if e.primitive.name in ("slice", "dynamic_slice")]
    assert all(shape[:1] != (L,) for shape in sliced)


def equations(jaxpr):
    """Every equation, those inside others too."""
    for equation in jaxpr.eqns:
        yield equation
        for value in jax.tree.leaves(equation.params, is_leaf=lambda leaf: hasattr(leaf, "jaxpr")):
            if hasattr(value, "eqns") or hasattr(value, "jaxpr"):
                yield from equations(getattr(value, "jaxpr", value))


@pytest.mark.parametrize("remat", [False, True])
def test_what_is_compiled_does_not_grow_with_depth(remat):
    def size(layers: int):
        def make(key):
            return Deep(block, layers, remat=remat, rngs=nnx.Rngs(params=key))

        apply = functional(nnx.eval_shape(lambda: make(jax.random.key(0)))).apply

        def train(key, xs, keys):
            params = functional(make(key)).params
            return jax.grad(lambda params: apply(params, xs, keys=keys)[1].sum())(params)

        rows = 3  # not as many as layers, or keys of both would share a function
        traced = jax.jit(train).trace(jax.random.key(0), inputs()[:rows], row_keys(jax.random.key(0), jnp.arange(rows)))
        return sum(1 for _ in equations(traced.jaxpr.jaxpr)), len(traced.lower().as_text().splitlines())

    assert size(24) == size(8)
    assert size(24)[1] <= 1.5 * size(4)[1]


@pytest.mark.parametrize("name", MIXERS)
def test_every_mixer_is_found_by_its_name(name):
    def run(key, xs):
        layer = mixer(name, D, N, rngs=nnx.Rngs(params=key))
        return layer.start(B, T), layer(xs, state=layer.start(B, T))

    start, (state, ys) = jax.eval_shape(run, jax.random.key(0), inputs())
    assert ys.shape == (B, T, D)
    assert state == start, "the same shapes and types"


def test_positions_are_counted_over_real_steps():
    real = jnp.array([[0, 1, 1, 0, 1, 1, 0], [1, 1, 1, 1, 1, 1, 1]], bool)
    reset = jnp.array([[1, 0, 0, 1, 0, 0, 0], [1, 0, 1, 0, 0, 1, 0]], bool)
    places = np.asarray(count_positions(real, (2, 7), reset=reset))
    assert places[0][[1, 2, 4, 5]].tolist() == [0, 1, 0, 1]
    assert places[1].tolist() == [0, 1, 0, 1, 2, 0, 1]
    onward = count_positions(None, (2, 2), count=jnp.array([4, 7]))
    assert onward.tolist() == [[4, 5], [7, 8]]


def test_a_document_sees_the_memory_of_its_own():
    layer = CrossAttention(D, N, memory_features=M, rngs=nnx.Rngs(0))
    memory = jnp.asarray(np.random.default_rng(0).normal(size=(B, 5, M)), jnp.float32)
    theirs, ours = jnp.array([[1, 1, 2, 2, 0]] * B), jnp.array([[1, 2, 2, 2, 1, 3]] * B)
    packed = layer(inputs(), layer.remember(memory, theirs > 0, theirs), segments=ours)
    for number in (1, 2):
        alone = layer(inputs(), layer.remember(memory, theirs == number))
        assert_close(packed[ours == number], alone[ours == number])
    assert_close(packed[:, 5], jnp.broadcast_to(layer.output.bias[...], (B, D)))  # nothing to see


@pytest.mark.parametrize("kind", ["block", "decoder"])
def test_the_weights_of_every_layer_are_at_hand(kind):
    params, apply = stack(kind)
    mask = jnp.asarray(np.arange(T) < np.array([[6], [2], [4], [0]]))

    def run(params, xs, mask, how):
        return apply(params, xs, mask=mask, method="weights", **how), apply(params, xs, mask=mask, **how)[1]

    (ys, weights), wanted = swiftly(run, params, inputs(), mask, given(kind))
    assert_close(ys, wanted)
    assert weights.shape == (L, B, N, T, 5 if kind == "decoder" else T)
    assert_close(weights.sum(axis=-1), jnp.broadcast_to(mask[None, :, None], (L, B, N, T)).astype(jnp.float32))


def test_a_cache_in_half_precision_stays_so():
    layer = SelfAttention(D, N, rngs=nnx.Rngs(0))
    cache, ys = layer(inputs(), state=layer.start(B, T, jnp.bfloat16))
    assert (cache.keys.dtype, ys.dtype) == (jnp.bfloat16, jnp.float32)
    np.testing.assert_allclose(ys, layer(inputs())[1], atol=0.02)


def test_a_large_cache_may_be_read_in_part():
    layer = SelfAttention(D, N, positions="alibi", window=40, kv_heads=1, rngs=nnx.Rngs(0))
    params, apply = functional(layer)
    xs = inputs(140)[:2]
    whole = swiftly(lambda params, xs: apply(params, xs)[1], params, xs)
    onward = jax.jit(lambda state, xs: apply(params, xs, state=state), compiler_options=SWIFT)
    state, _ = onward(layer.start(2, 512), xs[:, :62])
    assert first_slots(512) == [64, 128, 512]
    for t in [*range(62, 67), None, *range(127, 131)]:
        if t is None:
            state, _ = onward(state, xs[:, 67:127])
        else:
            state, ys = onward(state, xs[:, t : t + 1])
            assert_close(ys, whole[:, t : t + 1])


def cached(rngs):
    """Attention, and its cache with one free slot."""
    layer = SelfAttention(D, N, rngs=rngs)
    return layer, layer(inputs(3), state=layer.start(B, 4))[0]


@pytest.mark.parametrize(
    "build, words",
    [
        (lambda r: SelfAttention(10, 4, rngs=r), "D = 10, should be a multiple of `heads`, N = 4. Try D = 8 or D = 12"),
        (lambda r: SelfAttention(8, 4, kv_heads=3, rngs=r), "multiple of `kv_heads`, G = 3"),
        (lambda r: CrossAttention(8, 0, rngs=r), "`heads` should be at least 1"),
        (lambda r: SelfAttention(6, 2, positions="rotary", rngs=r), "K = 3 is odd"),
        (lambda r: SelfAttention(8, 2, positions="rotory", rngs=r), "Did you mean `rotary`"),
        (lambda r: SelfAttention(8, 2, window=0, rngs=r), "`window`"),
        (lambda r: SelfAttention(D, N, causal=False, rngs=r).start(1, 4), "no later step"),
        (lambda r: SelfAttention(D, N, rngs=r)(inputs()[..., :3]), r"\(B, T, D\) = \(any, any, 8\)"),
        (lambda r: SelfAttention(D, N, rngs=r)(inputs(), mask=jnp.ones((B, 2), bool)), r"`mask` should be \(B, T\)"),
        (lambda r: SelfAttention(D, N, rngs=r)(inputs(), reset=jnp.ones((B, T))), "`reset` should be boolean"),
        (lambda r: cached(r)[0](inputs(2), state=cached(r)[1]), "C = 4 slots, but 3 are used, so 1 are free"),
        (lambda r: check_room(cached(r)[1], 2), "capacity of at least 5"),
        (lambda r: cached(r)[0](inputs(1), state=cached(r)[1], reset=jnp.ones((B, 1), bool)), "one document a row"),
        (lambda r: Lambda(D, N, reach=0, rngs=r), "`reach` should be at least 1"),
        (lambda r: Lambda(D, 3, reach=4, rngs=r), "multiple of `heads`, N = 3"),
        (lambda r: Lambda(D, N, reach=4, causal=False, rngs=r).start(1), "no later step"),
        (lambda r: mixer("lstn", D, N, rngs=r), "Did you mean `lstm`"),
        (lambda r: mixer("gru", D, N, causal=False, rngs=r), "left to right"),
        (lambda r: RecurrentMixer(cells.GRU, D, rngs=r)(inputs()[..., :3]), "RecurrentMixer"),
        (lambda r: Block(SelfAttention(D, N, rngs=r), D, 12, place="middle", rngs=r), "`place`"),
        (lambda r: FeedForward(D, 12, activation="geluu", rngs=r), "Did you mean `gelu`"),
        (lambda r: norm("batch", D), "layer, rms"),
        (lambda r: Deep(block, 0, rngs=r), "`layers`"),
        (lambda r: decoder(r).remember(Encoded(jnp.ones((B, 5, M + 1)), jnp.ones((B, 5), bool))), "`memory`"),
        (lambda r: decoder(r)(inputs(), **given("decoder"), segments=jnp.ones((B, T), int)), "`segments`"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_what_to_try(build, words):
    with pytest.raises(InputError, match=words):
        build(nnx.Rngs(0))

"""What is peculiar to the Transformer: PyTorch's on the same weights, its embeddings, two passes, and its limits."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from parameters import drawn

from seqjax.checks import InputError
from seqjax.layers import parameter_table
from seqjax.models import TransformerConfig, transformer
from seqjax.models.transformer import Transformer
from seqjax.ops.dropout import row_keys

V, S, T, D, LAYERS, HEADS, HIDDEN = 11, 6, 5, 8, 2, 2, 12
SHAPE = {"features": D, "layers": LAYERS, "heads": HEADS, "hidden": HIDDEN, "dropout": 0.0}
SWIFT = {"xla_backend_optimization_level": 0}


@functools.cache
def made(**shape):
    """The model, and parameters away from zero."""
    model = transformer(TransformerConfig(**(SHAPE | shape)), V, V, (S, T))
    return model, drawn(model.init, seed=1)


def batch_of(rows: int = 3) -> dict[str, np.ndarray]:
    """Right-padded sources, targets without padding."""
    random = np.random.default_rng(1)
    inputs = random.integers(1, V, size=(rows, T)) * (np.arange(T) > 0)
    return {
        "source": random.integers(1, V, size=(rows, S)),
        "source_mask": np.arange(S) < np.array([[S], [3], [1]])[:rows],
        "inputs": inputs,
        "targets": np.roll(inputs, -1, axis=1),
        "mask": np.ones((rows, T), bool),
    }


def in_torch(params, side: str, place: str):
    """PyTorch's encoder or decoder with our weights."""
    torch = pytest.importorskip("torch")

    blocks = params[side]["deep"]["blocks"]
    decoder = side == "decoder"
    kind = torch.nn.TransformerDecoderLayer if decoder else torch.nn.TransformerEncoderLayer
    stack = torch.nn.TransformerDecoder if decoder else torch.nn.TransformerEncoder
    norm = torch.nn.LayerNorm(D) if place == "pre" else None
    options = {"enable_nested_tensor": False} if not decoder else {}
    layer = kind(D, HEADS, HIDDEN, dropout=0.0, batch_first=True, norm_first=place == "pre")
    model = stack(layer, LAYERS, norm=norm, **options).eval()
    state = {}
    norms = ["mixer_norm", "cross_norm", "feed_forward_norm"] if decoder else ["mixer_norm", "feed_forward_norm"]
    for n in range(LAYERS):
        own = jax.tree.map(lambda leaf, n=n: np.asarray(leaf[n]), blocks)

        def put(name, kernel, bias, n=n):
            state[f"layers.{n}.{name}weight"], state[f"layers.{n}.{name}bias"] = kernel, bias

        mixer, feed = own["mixer"], own["feed_forward"]
        put("self_attn.in_proj_", mixer["inputs"]["kernel"].T, mixer["inputs"]["bias"])
        put("self_attn.out_proj.", mixer["output"]["kernel"].T, mixer["output"]["bias"])
        put("linear1.", feed["up"]["kernel"].T, feed["up"]["bias"])
        put("linear2.", feed["down"]["kernel"].T, feed["down"]["bias"])
        for number, name in enumerate(norms, 1):
            put(f"norm{number}.", own[name]["scale"], own[name]["bias"])
        if decoder:
            cross = own["cross"]
            kernel, bias = (
                np.concatenate([cross["query"][p], cross["memory"][p]], axis=-1) for p in ("kernel", "bias")
            )
            put("multihead_attn.in_proj_", kernel.T, bias)
            put("multihead_attn.out_proj.", cross["output"]["kernel"].T, cross["output"]["bias"])
    if place == "pre":
        state |= {"norm.weight": params[side]["norm"]["scale"], "norm.bias": params[side]["norm"]["bias"]}
    model.load_state_dict({name: torch.tensor(np.asarray(leaf)) for name, leaf in state.items()})
    return model


def waves(time: int) -> np.ndarray:
    """Sines and cosines of the paper, in a loop."""
    table = np.zeros((time, D))
    for p in range(time):
        for i in range(0, D, 2):
            table[p, i], table[p, i + 1] = np.sin(p / 10000 ** (i / D)), np.cos(p / 10000 ** (i / D))
    return table.astype(np.float32)


@pytest.mark.parametrize("place", ["post", "pre"])
def test_logits_are_those_of_pytorch(place):
    torch = pytest.importorskip("torch")

    model, params = made(place=place)
    batch = batch_of()

    def embedded(side, ids):
        vectors = np.asarray(params[side]["table"])[ids] * np.sqrt(D) + waves(ids.shape[1])
        return torch.tensor(vectors, dtype=torch.float32)

    with torch.no_grad():
        hidden = torch.tensor(~batch["source_mask"])
        memory = in_torch(params, "encoder", place)(embedded("source", batch["source"]), src_key_padding_mask=hidden)
        ahead = torch.ones(T, T, dtype=torch.bool).triu(1)
        ys = in_torch(params, "decoder", place)(
            embedded("target", batch["inputs"]), memory, tgt_mask=ahead, memory_key_padding_mask=hidden
        )
    wanted = ys.numpy() @ np.asarray(params["target"]["table"]).T
    found = jax.jit(model.logits, static_argnums=3, compiler_options=SWIFT)(params, batch, None, 0.0)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-5 * np.abs(wanted).max())


def test_embeddings_are_shared_as_the_configuration_says():
    def tables(**shape):
        return [name for name, size, _ in parameter_table(made(**shape)[1]) if V in size]

    assert tables() == ["source.table", "target.table"]
    assert tables(joint=True) == ["shared.table"]
    assert tables(tied=False) == ["head.bias", "head.kernel", "source.table", "target.table"]
    with pytest.raises(InputError, match=r"11 symbols and the target 12. Try joint=False"):
        transformer(TransformerConfig(joint=True), V, V + 1, (S, T))


def test_the_second_pass_reads_what_the_first_found_most_likely():
    model, params = made()
    batch, keys = batch_of(), row_keys(jax.random.key(2), jnp.arange(3))
    run = jax.jit(functools.partial(model.logits, params), compiler_options=SWIFT)
    first = np.asarray(run(batch, keys, jnp.float32(0.0)))
    likely = np.concatenate([batch["inputs"][:, :1], first.argmax(axis=-1)[:, :-1]], axis=1)
    wanted = run(batch | {"inputs": likely}, keys, jnp.float32(0.0))
    np.testing.assert_allclose(run(batch, keys, jnp.float32(1.0)), wanted, atol=1e-5)
    half = np.asarray(run(batch, keys, jnp.float32(0.5)))
    assert np.abs(half - first).max() > 1e-3
    assert np.abs(half - wanted).max() > 1e-3
    with pytest.raises(InputError, match="needs random `keys`"):
        model.logits(params, jax.tree.map(jnp.asarray, batch), None, 0.5)


def test_every_option_of_a_block_reaches_it():
    config = TransformerConfig(
        features=12, heads=3, layers=2, hidden=5, positions="rotary", norm="rms", place="post", activation="swiglu",
        dropout=0.1, remat=True,
    )  # fmt: skip
    whole = nnx.eval_shape(lambda: Transformer(config, 7, 5, (9, 6), rngs=nnx.Rngs(0)))
    assert whole.scale == pytest.approx(12**0.5)  # section 3.4
    for side, causal in ((whole.encoder, False), (whole.decoder, True)):
        assert (side.deep.remat, side.deep.layers, side.norm) == (True, 2, None)
        own = side.deep.blocks  # of all layers, stacked
        assert (own.place, own.dropout, type(own.mixer_norm).__name__) == ("post", 0.1, "RMSNorm")
        assert (own.feed_forward.activation, own.feed_forward.down.kernel.shape) == ("swiglu", (2, 5, 12))
        assert (own.mixer.heads, own.mixer.positions, own.mixer.causal) == (3, "rotary", causal)
        assert {own.mixer.dropout, getattr(own, "cross", own.mixer).dropout} == {0.1}


def test_a_share_of_the_inputs_gives_way():
    from seqjax.models.scheduled_sampling import mix

    ids, real = jnp.zeros((8, 500), int), jnp.ones((8, 500), bool)
    keys = row_keys(jax.random.key(0), jnp.arange(8))
    taken = mix(ids, ids + 1, real, None, 0.25, keys)
    assert abs(float(taken[:, 1:].mean()) - 0.25) < 0.03
    assert not taken[:, 0].any()
    longer = mix(
        jnp.pad(ids, ((0, 0), (0, 9))), jnp.ones((8, 509), int), jnp.pad(real, ((0, 0), (0, 9))), None, 0.25, keys
    )
    np.testing.assert_array_equal(longer[:, :500], taken)


def test_a_target_that_is_as_long_as_can_be_ends():
    model, params = made()
    weights = model.decodable.prepare(params)
    memory, state = model.decodable.start(weights, {k: jnp.asarray(v) for k, v in batch_of().items()})
    assert model.longest == (S, T)
    advance = jax.jit(model.decodable.advance, compiler_options=SWIFT)
    for _ in range(T):
        state, logits = advance(weights, memory, state, jnp.ones(3, jnp.int32))
        assert np.isfinite(logits).all()
    for _ in range(2):
        state, logits = advance(weights, memory, state, jnp.ones(3, jnp.int32))
        assert np.asarray(jax.nn.softmax(logits)).tolist() == [[1.0] + [0.0] * (V - 1)] * 3


def test_dropout_is_on_only_with_keys():
    model, params = made(dropout=0.5)
    keys = row_keys(jax.random.key(2), jnp.arange(3))
    run = jax.jit(model.logits, static_argnums=3, compiler_options=SWIFT)
    plain, dropped, again = (run(params, batch_of(), k, 0.0) for k in (None, keys, keys))
    np.testing.assert_array_equal(dropped, again)
    assert np.abs(np.asarray(plain - dropped)).max() > 1e-3


@pytest.mark.parametrize(
    "shape, words",
    [
        ({"heads": 3}, "multiple of `heads`, N = 3"), ({"layers": 0}, "`layers`"), ({"dropout": -0.1}, "`dropout`"),
        ({"positions": "alibi"}, "`positions`"), ({"place": "prae"}, "Did you mean `pre`"), ({"norm": "l"}, "`norm`"),
        ({"features": 12, "heads": 4, "positions": "rotary"}, "head width"), ({"activation": "elu"}, "`activation`"),
    ],
)  # fmt: skip
def test_an_impossible_shape_is_refused(shape, words):
    with pytest.raises(InputError, match=f"TransformerConfig.*{words}"):
        TransformerConfig(**shape)


def test_a_model_without_room_is_refused():
    with pytest.raises(InputError, match="`longest` should be at least 1 step"):
        transformer(TransformerConfig(), V, V, (S, 0))

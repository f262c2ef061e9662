"""Attention and blocks against PyTorch with the same weights, and against the formula in float64 NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from seqjax.layers import Block, CrossAttention, DecoderBlock, Encoded, SelfAttention
from seqjax.models.pure import pure

torch = pytest.importorskip("torch", reason="the extra `oracle` (PyTorch) is not installed")

SWIFT = {"xla_backend_optimization_level": 0}
B, T, S, D, N, F = 3, 6, 5, 8, 2, 12
REAL = np.arange(T) < np.array([[6], [2], [4]])
SEEN = np.arange(S) < np.array([[3], [5], [1]])
RANDOM = np.random.default_rng(0)
XS, MEMORY = (RANDOM.normal(size=(B, size, D)).astype(np.float32) for size in (T, S))


def projection(weight, bias) -> dict:
    """One linear map of PyTorch's in seqjax's layout."""
    return {"kernel": weight.detach().numpy().T, "bias": bias.detach().numpy()}


def normal(module) -> dict:
    """One layer norm."""
    return {"scale": module.weight.detach().numpy(), "bias": module.bias.detach().numpy()}


def attends(module) -> dict:
    """Self-attention: queries, keys and values in one product."""
    return {
        "inputs": projection(module.in_proj_weight, module.in_proj_bias),
        "output": projection(module.out_proj.weight, module.out_proj.bias),
    }


def looks(module) -> dict:
    """Attention to a memory: queries apart from keys and values."""
    return {
        "query": projection(module.in_proj_weight[:D], module.in_proj_bias[:D]),
        "memory": projection(module.in_proj_weight[D:], module.in_proj_bias[D:]),
        "output": projection(module.out_proj.weight, module.out_proj.bias),
    }


def fed(module) -> dict:
    """The feed-forward part of a layer of PyTorch's."""
    return {
        "up": projection(module.linear1.weight, module.linear1.bias),
        "down": projection(module.linear2.weight, module.linear2.bias),
    }


def away(module):
    """The same module, its biases and norms away from their start."""
    with torch.no_grad():
        for value in module.parameters():
            value.add_(0.2 * torch.randn_like(value))
    return module.eval()


def assert_equal(make, params, module, *given, **how):
    """Outputs at real steps, and the gradient by the inputs of a weighted sum of them."""
    params, (_, apply) = jax.tree.map(jnp.asarray, params), pure(make)
    weight = np.cos(np.arange(T))[:, None] * REAL[..., None]

    def loss(xs):
        ys = apply(params, xs, mask=jnp.asarray(REAL), **how)[1]
        return (ys * weight).sum(), ys

    by_xs, ys = jax.device_get(jax.jit(jax.grad(loss, has_aux=True), compiler_options=SWIFT)(jnp.asarray(XS)))
    xs = torch.tensor(XS, requires_grad=True)
    out = module(xs, *given)
    (out * torch.tensor(weight, dtype=torch.float32)).sum().backward()
    np.testing.assert_allclose(ys[REAL], out.detach().numpy()[REAL], atol=1e-5)
    np.testing.assert_allclose(by_xs[REAL], xs.grad.numpy()[REAL], atol=2e-5)


LATER = torch.triu(torch.ones(T, T, dtype=torch.bool), diagonal=1)  # PyTorch: True where a step may not look
UNREAL, UNSEEN = torch.tensor(~REAL), torch.tensor(~SEEN)


@pytest.mark.parametrize("causal", [False, True])
def test_self_attention_equals_pytorch(causal):
    torch.manual_seed(0)
    module = away(torch.nn.MultiheadAttention(D, N, batch_first=True))
    params = attends(module)
    later = LATER if causal else None

    def theirs(xs):
        return module(xs, xs, xs, key_padding_mask=UNREAL, attn_mask=later, need_weights=False)[0]

    def ours(rngs):
        return SelfAttention(D, N, causal=causal, rngs=rngs)

    assert_equal(ours, params, theirs)
    wanted = module(*[torch.tensor(XS)] * 3, key_padding_mask=UNREAL, attn_mask=later, average_attn_weights=False)[1]
    look = jax.jit(functools.partial(pure(ours)[1], method="weights"), compiler_options=SWIFT)
    weights = look(jax.tree.map(jnp.asarray, params), jnp.asarray(XS), mask=jnp.asarray(REAL))
    np.testing.assert_allclose(weights, wanted.detach().numpy() * REAL[:, None, :, None], atol=1e-6)


def test_cross_attention_equals_pytorch():
    torch.manual_seed(0)
    module = away(torch.nn.MultiheadAttention(D, N, batch_first=True))
    _, apply = pure(lambda rngs: CrossAttention(D, N, rngs=rngs))

    @functools.partial(jax.jit, compiler_options=SWIFT)
    def ours(params, xs):
        memory = apply(params, jnp.asarray(MEMORY), jnp.asarray(SEEN), method="remember")
        first = apply(params, xs[:, :1], memory)
        return apply(params, xs, memory), first, apply(params, xs, memory, method="weights")

    xs, seen = torch.tensor(XS), torch.tensor(MEMORY)
    out, wanted = module(xs, seen, seen, key_padding_mask=UNSEEN, average_attn_weights=False)
    ys, first, weights = ours(jax.tree.map(jnp.asarray, looks(module)), jnp.asarray(XS))
    np.testing.assert_allclose(ys, out.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(first, out.detach().numpy()[:, :1], atol=1e-5)
    np.testing.assert_allclose(weights, wanted.detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("place", ["pre", "post"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_block_equals_pytorchs_encoder_layer(place, activation):
    torch.manual_seed(0)
    module = away(
        torch.nn.TransformerEncoderLayer(
            D, N, F, dropout=0.0, activation=activation, batch_first=True, norm_first=place == "pre"
        )
    )

    def ours(rngs):
        attention = SelfAttention(D, N, causal=False, rngs=rngs)
        return Block(attention, D, F, place=place, activation=activation, rngs=rngs)

    params = {"mixer": attends(module.self_attn), "feed_forward": fed(module)}
    params |= {"mixer_norm": normal(module.norm1), "feed_forward_norm": normal(module.norm2)}
    assert_equal(ours, params, lambda xs: module.train()(xs, src_key_padding_mask=UNREAL))


@pytest.mark.parametrize("place", ["pre", "post"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_decoder_block_equals_pytorchs_decoder_layer(place, activation):
    torch.manual_seed(0)
    module = away(
        torch.nn.TransformerDecoderLayer(
            D, N, F, dropout=0.0, activation=activation, batch_first=True, norm_first=place == "pre"
        )
    )

    def ours(rngs):
        attention, cross = SelfAttention(D, N, rngs=rngs), CrossAttention(D, N, rngs=rngs)
        return DecoderBlock(attention, cross, D, F, place=place, activation=activation, rngs=rngs)

    params = {"mixer": attends(module.self_attn), "cross": looks(module.multihead_attn), "feed_forward": fed(module)}
    params |= {"mixer_norm": normal(module.norm1), "cross_norm": normal(module.norm2)}
    params |= {"feed_forward_norm": normal(module.norm3)}

    def theirs(xs):
        return module(xs, torch.tensor(MEMORY), LATER, None, UNREAL, UNSEEN)

    assert_equal(ours, params, theirs, memory=Encoded(jnp.asarray(MEMORY), jnp.asarray(SEEN)))


def test_grouped_heads_equal_pytorchs():
    layer = SelfAttention(D, 4, kv_heads=2, rngs=nnx.Rngs(0))
    columns = torch.tensor(np.array(layer.inputs(jnp.asarray(XS)))).reshape(B, T, 8, 2).transpose(1, 2)
    query, key, value = columns[:, :4], columns[:, 4:6], columns[:, 6:]
    out = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    wanted = layer.output(jnp.asarray(out.transpose(1, 2).reshape(B, T, D).numpy()))
    np.testing.assert_allclose(layer(jnp.asarray(XS))[1], wanted, atol=1e-6)


def turned(vector: np.ndarray, place: int) -> np.ndarray:
    """A head's vector, each pair (i, i + K/2) turned by its own angle. Su et al. (2021), section 3.2.2."""
    half = len(vector) // 2
    numbers = vector[:half] + 1j * vector[half:]
    numbers = numbers * np.exp(1j * place * 10000.0 ** (-np.arange(half) / half))
    return np.concatenate([numbers.real, numbers.imag])


def slowly(layer: SelfAttention, xs, real, reset) -> np.ndarray:
    """The formula of attention, one row, step, head and key at a time, in float64."""
    kernel, out = (np.asarray(part.kernel[...], np.float64) for part in (layer.inputs, layer.output))
    ys, width, share = np.zeros(xs.shape), layer.width, layer.heads // layer.kv_heads
    for row, t in np.argwhere(real):
        places = {}  # of the steps of the same document
        for s in np.flatnonzero(real[row]):
            if np.cumsum(reset[row])[s] == np.cumsum(reset[row])[t]:
                places[s] = len(places)
        heads = []
        for head in range(layer.heads):
            scores, values = [], []
            for s, place in places.items():
                distance = places[t] - place
                if distance < 0 or (layer.window and distance >= layer.window):
                    continue
                q, k, v = ((xs[u] @ kernel).reshape(-1, width)[h] for u, h in (
                    ((row, t), head), ((row, s), layer.heads + head // share),
                    ((row, s), layer.heads + layer.kv_heads + head // share),
                ))  # fmt: skip
                if layer.positions == "rotary":
                    q, k = turned(q, places[t]), turned(k, place)
                falls = 2.0 ** (-8 * (head + 1) / layer.heads) if layer.positions == "alibi" else 0.0
                scores.append(q @ k / np.sqrt(width) - falls * distance)
                values.append(v)
            powers = np.exp(scores)
            heads.append(powers @ np.array(values) / powers.sum())
        ys[row, t] = np.concatenate(heads) @ out
    return ys


@pytest.mark.parametrize("positions", ["none", "rotary", "alibi"])
@pytest.mark.parametrize("window", [None, 2])
@pytest.mark.parametrize("groups", [4, 2])
def test_attention_equals_its_formula(positions, window, groups):
    layer = SelfAttention(D, 4, kv_heads=groups, positions=positions, window=window, bias=False, rngs=nnx.Rngs(1))
    real, reset = np.random.default_rng(2).random((B, T)) < 0.8, np.zeros((B, T), bool)
    reset[:, 0], reset[1, 3], reset[2, [2, 4]] = True, True, True
    ys = jax.jit(layer, compiler_options=SWIFT)(jnp.asarray(XS), mask=jnp.asarray(real), reset=jnp.asarray(reset))[1]
    np.testing.assert_allclose(ys, slowly(layer, XS.astype(np.float64), real, reset), atol=1e-6)

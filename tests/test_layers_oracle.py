"""Layers against PyTorch: the same weights, the same text of several lengths, the same gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax import cells
from seqjax.layers import Bidirectional, Recurrent, Stack
from seqjax.models.pure import pure

torch = pytest.importorskip("torch", reason="the extra `oracle` (PyTorch) is not installed")

B, T, D, H = 3, 6, 4, 5
LENGTHS = [6, 2, 4]
KINDS = {"lstm": (cells.LSTM, torch.nn.LSTM), "gru": (cells.GRU, torch.nn.GRU), "elman": (cells.Elman, torch.nn.RNN)}


def weights(module, suffix: str) -> dict[str, np.ndarray]:
    """One layer and direction of a PyTorch module, in seqjax's layout."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    w, u, b, c = (getattr(module, f"{name}_{suffix}").detach().numpy() for name in names)
    if not isinstance(module, torch.nn.GRU):
        return {"input_kernel": w.T, "hidden_kernel": u.T, "bias": b + c}
    outside = np.concatenate([c[: 2 * H], np.zeros(H, np.float32)])
    return {"input_kernel": w.T, "hidden_kernel": u.T, "bias": b + outside, "candidate_bias": c[2 * H :]}


def both_ways(module, layer: int):
    """The parameters of one bidirectional layer."""
    directions = {"forward": f"l{layer}", "backward": f"l{layer}_reverse"}
    return {name: {"params": weights(module, suffix)} for name, suffix in directions.items()}


def assert_equal(make, params, module, xs):
    """Outputs, final states and the gradient by the inputs, on packed lengths."""
    params, (_, apply) = jax.tree.map(jnp.asarray, params), pure(make)
    mask, weight = np.arange(T) < np.array(LENGTHS)[:, None], np.cos(np.arange(T))[:, None]

    def loss(xs):
        states, ys = apply(params, xs, mask=jnp.asarray(mask))
        return (ys * weight).sum(), (states, ys)

    by_xs, (states, ys) = jax.device_get(jax.jit(jax.grad(loss, has_aux=True))(jnp.asarray(xs)))
    given = torch.tensor(xs, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(given, LENGTHS, batch_first=True, enforce_sorted=False)
    out, final = module(packed)
    out, _ = torch.nn.utils.rnn.pad_packed_sequence(out, batch_first=True)
    (out * torch.tensor(weight, dtype=torch.float32)).sum().backward()
    np.testing.assert_allclose(ys, out.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(by_xs, given.grad.numpy(), atol=1e-5)
    finals = final if isinstance(final, tuple) else (final,)
    leaves = jax.tree.leaves(states)  # layer by layer, direction by direction, hidden before cell
    for number, theirs in enumerate(finals):
        ours = np.stack(leaves[number :: len(finals)])
        np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ["one layer", "two layers", "both directions", "two layers, both directions"])
def test_layers_equal_pytorch(kind, shape):
    cell, theirs = KINDS[kind]
    layers, both = 2 if "two" in shape else 1, "both" in shape
    torch.manual_seed(0)
    module = theirs(D, H, num_layers=layers, bidirectional=both, batch_first=True)
    xs = np.random.default_rng(0).normal(size=(B, T, D)).astype(np.float32)
    single = [both_ways(module, n) if both else {"params": weights(module, f"l{n}")} for n in range(layers)]
    if layers == 1:
        kind = Bidirectional if both else Recurrent
        assert_equal(lambda rngs: kind(cell, D, H, rngs=rngs), single[0], module, xs)
    else:
        how = {"layers": layers, "bidirectional": both}
        assert_equal(lambda rngs: Stack(cell, D, H, rngs=rngs, **how), {"layers": dict(enumerate(single))}, module, xs)

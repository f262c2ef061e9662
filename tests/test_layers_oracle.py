"""Layers against PyTorch: the same weights, the same text of several lengths, the same gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax import cells
from seqjax.interop.recurrences_pytorch import from_pytorch
from seqjax.layers import Bidirectional, Recurrent, Stack
from seqjax.models.pure import pure

torch = pytest.importorskip("torch", reason="the extra `oracle` (PyTorch) is not installed")

B, T, D, H = 3, 6, 4, 5
LENGTHS = [6, 2, 4]
KINDS = {"lstm": (cells.LSTM, torch.nn.LSTM), "gru": (cells.GRU, torch.nn.GRU), "elman": (cells.Elman, torch.nn.RNN)}


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
    params = from_pytorch({name: tensor.numpy() for name, tensor in module.state_dict().items()})
    if layers == 1:
        layer, how = Bidirectional if both else Recurrent, {}
    else:
        layer, how = Stack, {"layers": layers, "bidirectional": both}
    assert_equal(lambda rngs: layer(cell, D, H, rngs=rngs, **how), params, module, xs)

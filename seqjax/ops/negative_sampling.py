"""Words told from noise, with noise that many words share: products of matrices, where pairs one by one would gather.

B rows, T words, J candidates, S negatives of a row, E features.
"""

import functools

import jax
import jax.numpy as jnp
from jax import Array

from seqjax.checks import InputError


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def negative_sampling(xs: Array, candidates: Array, positives: Array, negatives: float) -> Array:
    r"""Nats of telling pairs of the text from pairs with drawn words.

    .. math:: \sum_{t,j} p_{tj} \bigl[-\log\sigma(x_t \cdot c_j) - \tfrac{k}{S} \sum_s \log\sigma(-x_t \cdot n_s)\bigr]

    Each pair has k negatives, as in the paper, but they are the mean over S draws that a whole row shares: the
    expectation is the same, and all scores of a row are one product. The gradient is written down, for what
    differentiation would keep of the logarithms costs more than the products.

    Args:
        xs: (B, T, E).
        candidates: (B, J + S, E): J words of the text, then S negatives.
        positives: (B, T, J) float, how often x_t and c_j are a pair; no gradient goes there.
        negatives: k.

    Returns:
        The sum, a scalar.

    Raises:
        InputError: there are no negatives.

    Source:
        Mikolov et al. (2013), Distributed Representations of Words and Phrases and their Compositionality, equation 4.

    Example:
        >>> xs, candidates = jnp.zeros((1, 2, 4)), jnp.zeros((1, 3 + 8, 4))
        >>> total = negative_sampling(xs, candidates, jnp.ones((1, 2, 3)), 5.0)  # six pairs of one and five coins
        >>> round(float(total / jnp.log(2.0)), 4)
        36.0
    """
    return _forward(xs, candidates, positives, negatives)[0]


def _forward(xs: Array, candidates: Array, positives: Array, negatives: float):
    J = positives.shape[-1]
    S = candidates.shape[-2] - J
    if S < 1:
        raise InputError(
            f"negative_sampling: `candidates` (B, J + S, E) should hold S = 1 negative at least after J = {J} words of "
            f"the text, but it is {candidates.shape}."
        )
    scores = jnp.einsum("bte,bje->btj", xs, candidates).astype(jnp.float32)
    pairs = positives.sum(-1, keepdims=True)
    weights = jnp.concatenate([positives, jnp.broadcast_to(pairs * (negatives / S), (*pairs.shape[:-1], S))], axis=-1)
    side = jnp.where(jnp.arange(J + S) < J, -1.0, 1.0)[None, None]
    wrong = scores * side
    small = jnp.exp(-jnp.abs(wrong))
    total = (weights * (jnp.maximum(wrong, 0) + jnp.log1p(small))).sum()
    slope = weights * side * jnp.where(wrong >= 0, 1.0, small) / (1 + small)
    return total, (slope.astype(xs.dtype), xs, candidates, positives)


def _backward(negatives: float, kept, cotangent: Array):
    slope, xs, candidates, positives = kept
    slope = slope * cotangent.astype(slope.dtype)
    return (
        jnp.einsum("btj,bje->bte", slope, candidates),
        jnp.einsum("btj,bte->bje", slope, xs),
        jnp.zeros_like(positives),
    )


negative_sampling.defvjp(_forward, _backward)

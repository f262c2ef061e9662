"""The lambda layer as a mixer: what was read becomes a small linear map, which is applied to each query.

B rows, T steps, D features, N heads, K features of queries and keys, J = D / N features of values, R reach.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from seqjax.cells.unroll import silence
from seqjax.checks import InputError, check_count
from seqjax.layers.attention import check_steps, head_sizes
from seqjax.layers.linear import Linear
from seqjax.layers.normalization import LayerNorm
from seqjax.ops.lambdas import LambdaState, empty_lambda, lambda_layer, lambda_steps


class Lambda(nnx.Module):
    """Read a sequence into linear maps, one a step, and apply them. A mixer whose state does not grow.

    Queries and values are normalised; where the paper uses batch norm this is layer norm, because what stands in
    other rows should change nothing.

    Args:
        features: D, in and out.
        heads: N, of queries; D is a multiple of it.
        reach: R: values at distances 0 … R - 1 have an embedding of their distance.
        width: K.
        causal: read no later step.
        rngs: the stream ``params`` initialises the kernels and the embeddings.

    Source:
        Bello (2021), LambdaNetworks: Modeling Long-Range Interactions Without Attention, section 3.

    Example:
        >>> layer = Lambda(8, 2, reach=4, rngs=nnx.Rngs(0))
        >>> xs = jnp.ones((3, 5, 8))
        >>> state, ys = layer(xs, state=layer.start(3))
        >>> ys.shape, state.tokens.tolist()
        ((3, 5, 8), [5, 5, 5])
    """

    def __init__(self, features: int, heads: int, *, reach: int, width: int = 16, causal: bool = True, rngs: nnx.Rngs):
        _, _, self.values = head_sizes("Lambda", features, heads, None)
        if self.values < 2:
            raise InputError(
                f"Lambda: the values of each head are normalised, so a head should have 2 features at least, "
                f"but features / heads = {self.values}. Try heads={max(1, features // 2)}."
            )
        check_count("Lambda", "reach", reach)
        check_count("Lambda", "width", width)
        self.features, self.heads, self.reach, self.width, self.causal = features, heads, reach, width, causal
        columns = (heads + 1) * width + self.values  # queries, keys, values
        self.inputs = Linear(features, columns, bias=False, rngs=rngs)
        self.query_norm, self.value_norm = LayerNorm(width), LayerNorm(self.values)
        distances = reach if causal else 2 * reach - 1
        scale = (width * distances) ** -0.5  # a sum over features and distances begins at unit variance
        self.embeddings = nnx.Param(scale * jax.random.normal(rngs.params(), (distances, width)))
        self.output = Linear(features, features, rngs=rngs)

    def __call__(
        self,
        xs: Array,
        *,
        state: LambdaState | None = None,
        mask: Array | None = None,
        reset: Array | None = None,
        keys: Array | None = None,
    ) -> tuple[LambdaState | None, Array]:
        """Map ``xs`` (B, T, D) to ``(state, ys)``, ys (B, T, D), zero where masked.

        Args:
            xs: features.
            state: None: the sequence begins here, and the state returned is None. Else go on from there.
            mask: (B, T), True on real steps; distances are counted over them.
            reset: (B, T), True on the first step of a document: no step reads across.
            keys: accepted as by every mixer; nothing is dropped here.
        """
        check_steps("Lambda", xs, self.features, mask, reset)
        parts, table = self._parts(silence(xs, mask)), self.embeddings[...]
        if state is None:
            ys = lambda_layer(*parts, table, mask=mask, reset=reset, causal=self.causal)
        else:
            state, ys = lambda_steps(state, *parts, table, mask=mask, reset=reset)
        return state, silence(self.output(ys.reshape(xs.shape)), mask)

    def start(self, rows: int, capacity: int = 0, dtype=jnp.float32) -> LambdaState:
        """The state of ``rows`` rows before the first step. There is no capacity: it takes any number.

        Raises:
            InputError: this layer reads ahead, so nothing can be remembered step by step.
        """
        if not self.causal:
            raise InputError("Lambda: a state is for a layer that reads no later step. Try `causal=True`.")
        return empty_lambda(rows, self.width, self.values, self.reach, dtype)

    def _parts(self, xs: Array) -> tuple[Array, Array, Array]:
        """Queries (B, T, N, K), keys (B, T, K) and values (B, T, J), in one product."""
        last = (self.heads + 1) * self.width
        query, key, value = jnp.split(self.inputs(xs), [self.heads * self.width, last], axis=-1)
        query = query.reshape(*xs.shape[:2], self.heads, self.width)
        return self.query_norm(query), key, self.value_norm(value)

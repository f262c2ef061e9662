"""seqjax: sequences in JAX and Flax, from Elman's recurrence to the Transformer.

Shapes are written in letters everywhere: B batch (``*B`` zero or more batch axes), T time (S source time),
D input features, H hidden features, N heads, K head width, V vocabulary, E embedding.

>>> from seqjax import cells, unroll
>>> import jax, jax.numpy as jnp
>>> params = cells.LSTM.init(jax.random.key(0), 3, 4)
>>> state, ys = unroll(cells.LSTM, params, jnp.ones((2, 5, 3)))   # (B, T, D) to (B, T, H)
>>> ys.shape
(2, 5, 4)
"""

from seqjax import cells as cells
from seqjax.cells.unroll import unroll as unroll
from seqjax.checks import InputError as InputError
from seqjax.version import __version__ as __version__

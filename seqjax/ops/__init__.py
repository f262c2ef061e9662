"""Pure functions that belong to no layer: attention, masks, positions, losses, metrics, sampling, dropout."""

from seqjax.ops import dropout as dropout
from seqjax.ops import lambdas as lambdas
from seqjax.ops import local_attention as local_attention
from seqjax.ops import losses as losses
from seqjax.ops import masks as masks
from seqjax.ops import metrics as metrics
from seqjax.ops import normalization as normalization
from seqjax.ops import positions as positions
from seqjax.ops import quantiles as quantiles
from seqjax.ops import sampling as sampling
from seqjax.ops import scores as scores

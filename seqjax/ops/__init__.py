"""Pure functions that belong to no layer: losses, metrics, sampling, dropout."""

from seqjax.ops import dropout as dropout
from seqjax.ops import losses as losses
from seqjax.ops import metrics as metrics
from seqjax.ops import sampling as sampling

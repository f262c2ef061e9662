"""Flax NNX modules: they own parameters and hold no equations of their own."""

from seqjax.layers.embedding import Embedding as Embedding
from seqjax.layers.embedding import Linear as Linear
from seqjax.layers.parameters import Parameters as Parameters
from seqjax.layers.parameters import functional as functional
from seqjax.layers.parameters import parameter_table as parameter_table
from seqjax.layers.recurrent import Bidirectional as Bidirectional
from seqjax.layers.recurrent import Recurrent as Recurrent
from seqjax.layers.stack import Stack as Stack

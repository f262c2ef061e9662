"""Files and text to batches, in numpy: this room never imports jax."""

from seqjax.data.batches import Batches as Batches
from seqjax.data.batches import batches as batches
from seqjax.data.buckets import plan_buckets as plan_buckets
from seqjax.data.config import DataConfig as DataConfig
from seqjax.data.decoder import Decoder as Decoder
from seqjax.data.iteration import iterate as iterate
from seqjax.data.splits import Splits as Splits
from seqjax.data.splits import read_splits as read_splits
from seqjax.data.text import read_documents as read_documents
from seqjax.data.tokenizer import Tokenizer as Tokenizer
from seqjax.data.vocabulary import train_tokenizer as train_tokenizer

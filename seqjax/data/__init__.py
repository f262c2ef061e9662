"""Files and text to batches, in numpy: this room never imports jax."""

from seqjax.data.batches import Batches as Batches
from seqjax.data.batches import batches as batches
from seqjax.data.buckets import plan_buckets as plan_buckets
from seqjax.data.config import DataConfig as DataConfig
from seqjax.data.decoder import Decoder as Decoder
from seqjax.data.iteration import iterate as iterate
from seqjax.data.pair_batches import PairBatches as PairBatches
from seqjax.data.pair_batches import pair_batches as pair_batches
from seqjax.data.pair_config import DatesConfig as DatesConfig
from seqjax.data.pair_config import Pair as Pair
from seqjax.data.pair_config import PairsConfig as PairsConfig
from seqjax.data.pair_symbols import EncodedPairs as EncodedPairs
from seqjax.data.pair_symbols import encode_pairs as encode_pairs
from seqjax.data.pair_symbols import train_pair_tokenizers as train_pair_tokenizers
from seqjax.data.pairs import PairSplits as PairSplits
from seqjax.data.pairs import read_pair_files as read_pair_files
from seqjax.data.pairs import read_pairs as read_pairs
from seqjax.data.splits import Splits as Splits
from seqjax.data.splits import read_splits as read_splits
from seqjax.data.text import read_documents as read_documents
from seqjax.data.tokenizer import Tokenizer as Tokenizer
from seqjax.data.vocabulary import train_tokenizer as train_tokenizer

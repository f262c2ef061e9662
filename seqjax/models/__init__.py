"""Models: one paper per file, layers wired together."""

from seqjax.models.bert import BERT as BERT
from seqjax.models.bert import BertConfig as BertConfig
from seqjax.models.bert import MaskedModel as MaskedModel
from seqjax.models.bert import bert as bert
from seqjax.models.elmo import ElmoConfig as ElmoConfig
from seqjax.models.elmo import ElmoModel as ElmoModel
from seqjax.models.elmo import elmo as elmo
from seqjax.models.gpt import GPT as GPT
from seqjax.models.gpt import GPTConfig as GPTConfig
from seqjax.models.gpt import gpt as gpt
from seqjax.models.language_model import LanguageModelConfig as LanguageModelConfig
from seqjax.models.language_model import RecurrentLanguageModel as RecurrentLanguageModel
from seqjax.models.next_symbol import NextSymbol as NextSymbol
from seqjax.models.next_symbol import whole_past as whole_past
from seqjax.models.next_symbol import windowed as windowed
from seqjax.models.pair_model import PairModel as PairModel
from seqjax.models.seq2seq import Seq2SeqConfig as Seq2SeqConfig
from seqjax.models.seq2seq import seq2seq as seq2seq
from seqjax.models.transformer import Transformer as Transformer
from seqjax.models.transformer import TransformerConfig as TransformerConfig
from seqjax.models.transformer import transformer as transformer

"""Models: one paper per file, layers wired together."""

from seqjax.models.language_model import LanguageModelConfig as LanguageModelConfig
from seqjax.models.language_model import RecurrentLanguageModel as RecurrentLanguageModel
from seqjax.models.next_symbol import NextSymbol as NextSymbol
from seqjax.models.next_symbol import whole_past as whole_past
from seqjax.models.next_symbol import windowed as windowed

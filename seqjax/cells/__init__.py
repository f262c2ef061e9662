"""Recurrences: one per file, each a value of pure functions, and the one function that runs them."""

from collections.abc import Callable

from seqjax.cells.contract import Cell as Cell
from seqjax.cells.elman import IRNN as IRNN
from seqjax.cells.elman import Elman as Elman
from seqjax.cells.elman import ElmanReLU as ElmanReLU
from seqjax.cells.elman import ElmanState as ElmanState
from seqjax.cells.elman import elman as elman
from seqjax.cells.elman import irnn as irnn
from seqjax.cells.gru import GRU as GRU
from seqjax.cells.gru import GRUState as GRUState
from seqjax.cells.gru import gru as gru
from seqjax.cells.gru_reset_before import GRUResetBefore as GRUResetBefore
from seqjax.cells.gru_reset_before import GRUResetBeforeState as GRUResetBeforeState
from seqjax.cells.gru_reset_before import gru_reset_before as gru_reset_before
from seqjax.cells.initializers import Initializer as Initializer
from seqjax.cells.initializers import chrono as chrono
from seqjax.cells.initializers import gate_bias as gate_bias
from seqjax.cells.initializers import gatewise as gatewise
from seqjax.cells.initializers import glorot as glorot
from seqjax.cells.initializers import identity as identity
from seqjax.cells.initializers import orthogonal as orthogonal
from seqjax.cells.inspection import state_gradients as state_gradients
from seqjax.cells.inspection import trace as trace
from seqjax.cells.janet import JANET as JANET
from seqjax.cells.janet import JANETState as JANETState
from seqjax.cells.janet import janet as janet
from seqjax.cells.jordan import Jordan as Jordan
from seqjax.cells.jordan import JordanState as JordanState
from seqjax.cells.jordan import Taught as Taught
from seqjax.cells.jordan import jordan as jordan
from seqjax.cells.lstm import LSTM as LSTM
from seqjax.cells.lstm import LSTMState as LSTMState
from seqjax.cells.lstm import lstm as lstm
from seqjax.cells.lstm_1997 import LSTM1997 as LSTM1997
from seqjax.cells.lstm_1997 import LSTM1997State as LSTM1997State
from seqjax.cells.lstm_1997 import lstm_1997 as lstm_1997
from seqjax.cells.lstm_peephole import LSTMPeephole as LSTMPeephole
from seqjax.cells.lstm_peephole import LSTMPeepholeState as LSTMPeepholeState
from seqjax.cells.lstm_peephole import lstm_peephole as lstm_peephole
from seqjax.cells.lstm_projected import LSTMProjected as LSTMProjected
from seqjax.cells.lstm_projected import LSTMProjectedState as LSTMProjectedState
from seqjax.cells.lstm_projected import lstm_projected as lstm_projected
from seqjax.cells.lstm_time_aware import LSTMTimeAware as LSTMTimeAware
from seqjax.cells.lstm_time_aware import LSTMTimeAwareState as LSTMTimeAwareState
from seqjax.cells.lstm_time_aware import Visits as Visits
from seqjax.cells.lstm_time_aware import inverse_decay as inverse_decay
from seqjax.cells.lstm_time_aware import log_decay as log_decay
from seqjax.cells.lstm_time_aware import lstm_time_aware as lstm_time_aware
from seqjax.cells.lstm_time_aware import reversed_elapsed as reversed_elapsed
from seqjax.cells.min_gru import MinGRU as MinGRU
from seqjax.cells.min_gru import MinGRUState as MinGRUState
from seqjax.cells.min_gru import min_gru as min_gru
from seqjax.cells.min_lstm import MinLSTM as MinLSTM
from seqjax.cells.min_lstm import MinLSTMState as MinLSTMState
from seqjax.cells.min_lstm import min_lstm as min_lstm
from seqjax.cells.products import choose_parts as choose_parts
from seqjax.cells.products import product as product
from seqjax.cells.ready import Ready as Ready
from seqjax.cells.ready import make_ready as make_ready
from seqjax.cells.ready import of_ready as of_ready
from seqjax.cells.symbols import SymbolParams as SymbolParams
from seqjax.cells.symbols import Symbols as Symbols
from seqjax.cells.symbols import choose_products as choose_products
from seqjax.cells.symbols import of_symbols as of_symbols
from seqjax.cells.symbols import reads_symbols as reads_symbols
from seqjax.cells.unroll import choose_method as choose_method
from seqjax.cells.unroll import unroll as unroll

REMEMBERING: dict[str, Callable[..., Cell]] = {"gru": gru, "janet": janet, "lstm": lstm}
"""What makes cells for the ``longest`` memory expected, by the name that they have in ``BY_NAME``."""
BY_NAME: dict[str, Cell] = {
    "elman": Elman,
    "elman-relu": ElmanReLU,
    "gru": GRU,
    "gru-reset-before": GRUResetBefore,
    "irnn": IRNN,
    "janet": JANET,
    "jordan": Jordan,
    "lstm": LSTM,
    "lstm-1997": LSTM1997,
    "lstm-peephole": LSTMPeephole,
    "lstm-projected": LSTMProjected,
    "min-gru": MinGRU,
    "min-lstm": MinLSTM,
}
"""The cells that read plain arrays, by the name they have on the command line."""

"""Recurrences: one per file, each a value of pure functions, and the one function that runs them."""

from seqjax.cells.contract import Cell as Cell
from seqjax.cells.lstm import LSTM as LSTM
from seqjax.cells.lstm import lstm as lstm
from seqjax.cells.unroll import choose_method as choose_method
from seqjax.cells.unroll import unroll as unroll

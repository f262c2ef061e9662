"""Models of pairs that the laws speak of, one row each.

SOURCE and TARGET are the sizes of the vocabularies; id 0 begins and ends every target.
"""

from collections.abc import Callable
from typing import NamedTuple

from seqjax.models import PairModel, Seq2SeqConfig, TransformerConfig, seq2seq, transformer

SOURCE, TARGET = 9, 7
LONGEST = (12, 11)  # room for the padding of the laws


class PairRow(NamedTuple):
    """A model that reads a source and writes a target."""

    name: str
    build: Callable[[], PairModel]  # without dropout
    packs: bool = False  # whether several pairs may share a row


def encoder_decoder(name: str, **shape) -> PairRow:
    """One row: a Transformer of two layers."""
    shape = {"features": 8, "layers": 2, "heads": 2, "hidden": 5, "dropout": 0.0} | shape
    target = SOURCE if shape.get("joint") else TARGET
    return PairRow(name, lambda: transformer(TransformerConfig(**shape), SOURCE, target, LONGEST), packs=True)


def recurrent(name: str, **shape) -> PairRow:
    """One row: a recurrent encoder and decoder."""
    return PairRow(name, lambda: seq2seq(Seq2SeqConfig(features=4, **shape), SOURCE, TARGET))


PAIR_MODELS = [
    encoder_decoder("transformer", place="post", positions="learned", joint=True, layers=1),
    encoder_decoder("transformer-rotary", positions="rotary", norm="rms", activation="swiglu", tied=False),
    recurrent("sutskever", cell="lstm", layers=2, attention="none", reverse_source=True, tied=True, embedding=3),
    recurrent("cho", cell="gru-reset-before", attention="none", every_step=True),
    recurrent("bahdanau", cell="gru", layers=2, attention="additive", bidirectional=True),
    recurrent("luong", cell="lstm", layers=2, attention="bilinear"),
]

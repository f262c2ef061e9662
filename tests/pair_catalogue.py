"""Models of pairs that the laws speak of, one row each.

SOURCE and TARGET are the sizes of the vocabularies; id 0 begins and ends every target.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from seqjax.decoding.decodable import for_steps
from seqjax.models import PairModel, Seq2SeqConfig, TransformerConfig, seq2seq, transformer
from seqjax.models.captioner import AttentionCaptionerConfig, RecurrentCaptionerConfig, captioner
from seqjax.models.pictures import PictureConfig

SOURCE, TARGET = 9, 7
LONGEST = (12, 11)  # room for the padding of the laws


class PairRow(NamedTuple):
    """A model that reads a source and writes a target."""

    name: str
    build: Callable[[], PairModel]  # without dropout
    packs: bool = False  # whether several pairs may share a row
    twice: bool = False  # whether it reads its own predictions in a second pass, instead of step by step


def encoder_decoder(name: str, **shape) -> PairRow:
    """One row: a Transformer of two layers."""
    shape = {"features": 8, "layers": 2, "heads": 2, "hidden": 5, "dropout": 0.0} | shape
    target = SOURCE if shape.get("joint") else TARGET
    return PairRow(
        name, lambda: transformer(TransformerConfig(**shape), SOURCE, target, LONGEST), packs=True, twice=True
    )


def recurrent(name: str, **shape) -> PairRow:
    """One row: a recurrent encoder and decoder."""
    return PairRow(name, lambda: seq2seq(Seq2SeqConfig(features=4, **shape), SOURCE, TARGET))


PIXELS = np.random.default_rng(3).random((SOURCE, 2, 2, 1), np.float32)  # what each symbol of a source looks like


def seen(ids):
    """Symbols (B, S) as pictures of one row of S patches (B, 2, 2S, 1); what is no symbol is Inf or NaN."""
    odd = jnp.where(ids < 0, jnp.nan, jnp.inf)[..., None, None, None]
    patches = jnp.where(
        ((ids >= 0) & (ids < SOURCE))[..., None, None, None], jnp.asarray(PIXELS)[jnp.clip(ids, 0, SOURCE - 1)], odd
    )
    return jnp.swapaxes(patches, 1, 2).reshape(len(ids), 2, -1, 1)


def pictured(name: str, config, **how) -> PairRow:
    """One row: a captioner, whose pictures are drawn from the symbols of a source."""

    def build() -> PairModel:
        model = captioner(config, 1, TARGET, LONGEST)

        def given(batch):
            return batch | {"source": seen(batch["source"])}

        @functools.cache
        def seeing(decodable):
            return decodable._replace(start=lambda weights, inputs: decodable.start(weights, given(inputs)))

        return model._replace(
            logits=lambda params, batch, keys, sampled: model.logits(params, given(batch), keys, sampled),
            decodable=seeing(model.decodable)._replace(within=lambda steps: seeing(for_steps(model.decodable, steps))),
            align=lambda params, batch: model.align(params, given(batch)),
        )

    return PairRow(name, build, **how)


CONVOLUTIONS, PATCHES = PictureConfig(features=4, layers=2), PictureConfig(
    encoder="patches", features=4, layers=1, heads=2
)  # fmt: skip
PAIR_MODELS = [
    encoder_decoder("transformer", place="post", positions="learned", joint=True, layers=1),
    encoder_decoder("transformer-rotary", positions="rotary", norm="rms", activation="swiglu", tied=False),
    recurrent("sutskever", cell="lstm", layers=2, attention="none", reverse_source=True, tied=True, embedding=3),
    recurrent("cho", cell="gru-reset-before", attention="none", every_step=True),
    recurrent("bahdanau", cell="gru", layers=2, attention="additive", bidirectional=True),
    recurrent("luong", cell="lstm", layers=2, attention="bilinear"),
    pictured("caption-attention", RecurrentCaptionerConfig(features=4, picture=CONVOLUTIONS)),
    pictured("caption-lstm", RecurrentCaptionerConfig(features=4, layers=2, attention="none", picture=CONVOLUTIONS)),
    pictured(
        "caption-transformer",
        AttentionCaptionerConfig(features=8, layers=1, heads=2, hidden=5, dropout=0.0, picture=PATCHES),
        twice=True,
    ),
]

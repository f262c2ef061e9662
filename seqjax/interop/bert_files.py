"""What the files of the transformers library say of the shape of a BERT."""

import os
from typing import NamedTuple

from seqjax.interop.model_files import check_fixed, read_config, size_in

FIXED = {  # what may be said only so, because the model here has nothing else
    "model_type": "bert",
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "type_vocab_size": 2,
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}
SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings", "intermediate_size")


class BertShape(NamedTuple):
    """What ``config.json`` says."""

    features: int  # D
    layers: int  # L
    heads: int
    longest: int  # tokens that it has positions for
    hidden: int  # inner width of the feed-forward networks


def read_shape(folder: str | os.PathLike) -> BertShape:
    """The shape of the BERT in a folder.

    Raises:
        InputError: no folder, no or a broken ``config.json``, or a model that is no BERT or an unusual one.
    """
    said = read_config(folder)
    check_fixed(folder, said, "BERT", FIXED)
    return BertShape(*(size_in(folder, said, name) for name in SIZES))

"""A tiny GPT-2 in the files of the transformers library, random, made without it."""

import json
from pathlib import Path

import jax
import numpy as np
import tokenizers
from command_line import story
from safetensors.numpy import save_file

from seqjax.interop.gpt2 import gpt2_arrays
from seqjax.models import GPTConfig, gpt

D, LAYERS, HEADS, CONTEXT, V = 12, 2, 3, 24, 280
BOUNDARY = "<|endoftext|>"
CONFIG = {"model_type": "gpt2", "n_embd": D, "n_layer": LAYERS, "n_head": HEADS, "n_positions": CONTEXT}


def byte_level() -> tokenizers.Tokenizer:
    """A byte-level BPE as GPT-2's: the boundary of documents is the last symbol."""
    library = tokenizers.Tokenizer(tokenizers.models.BPE())
    library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=V - 1, initial_alphabet=alphabet, show_progress=False)
    library.train_from_iterator([story(50)], trainer)
    library.add_special_tokens([BOUNDARY])
    return library


def write_files(folder: Path, *, tied: bool = True, rows: int = V, **changes) -> dict[str, np.ndarray]:
    """``config.json``, ``model.safetensors``, ``tokenizer.json``; the weights, their symbols in the order there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))
    model = gpt(GPTConfig(features=D, layers=LAYERS, heads=HEADS, tied=tied), rows, CONTEXT)
    random = np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    params = jax.tree.map(lambda leaf: random.normal(size=leaf.shape, scale=0.3).astype(np.float32), shapes)
    if not tied:
        params["head"]["bias"] = np.zeros(rows, np.float32)
    arrays = gpt2_arrays(params)
    save_file(arrays, folder / "model.safetensors")
    byte_level().save(str(folder / "tokenizer.json"))
    return arrays

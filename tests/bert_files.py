"""A tiny BERT in the files of the transformers library, random, made without it."""

import functools
import json
from pathlib import Path

import numpy as np
import tokenizers
from command_line import story
from safetensors.numpy import save_file

D, LAYERS, HEADS, F, LONGEST, V = 12, 2, 3, 20, 32, 130
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CONFIG = {
    "model_type": "bert", "hidden_size": D, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
    "intermediate_size": F, "max_position_embeddings": LONGEST, "vocab_size": V,
}  # fmt: skip


@functools.cache
def word_pieces(*, lowercase: bool = True) -> tokenizers.Tokenizer:
    """A WordPiece as BERT's; trained once, for another time its pieces might have another order."""
    library = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    library.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=lowercase)
    library.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    trainer = tokenizers.trainers.WordPieceTrainer(vocab_size=V, special_tokens=SPECIAL, show_progress=False)
    library.train_from_iterator([story(50), "didn't, 27 # [x] é!"], trainer)
    return library


def random_arrays(rows: int = V, *, heads: bool = True) -> dict[str, np.ndarray]:
    """Random weights by their names, and those of the heads."""
    random = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word_embeddings.weight": (rows, D),
        "bert.embeddings.position_embeddings.weight": (LONGEST, D),
        "bert.embeddings.token_type_embeddings.weight": (2, D),
    }

    def linear(name: str, wide: int, narrow: int) -> None:
        shapes.update({f"{name}.weight": (wide, narrow), f"{name}.bias": (wide,)})

    def norm(name: str) -> None:
        shapes.update({f"{name}.weight": (D,), f"{name}.bias": (D,)})

    norm("bert.embeddings.LayerNorm")
    for number in range(LAYERS):
        place = f"bert.encoder.layer.{number}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            linear(f"{place}.attention.{part}", D, D)
        linear(f"{place}.intermediate.dense", F, D)
        linear(f"{place}.output.dense", D, F)
        norm(f"{place}.attention.output.LayerNorm")
        norm(f"{place}.output.LayerNorm")
    if heads:
        linear("bert.pooler.dense", D, D)
        linear("cls.predictions.transform.dense", D, D)
        norm("cls.predictions.transform.LayerNorm")
        linear("cls.seq_relationship", 2, D)
        shapes["cls.predictions.bias"] = (rows,)
    return {name: random.normal(size=shape, scale=0.3).astype(np.float32) for name, shape in shapes.items()}


def write_files(folder: Path, arrays: dict[str, np.ndarray] | None = None, **changes) -> dict[str, np.ndarray]:
    """``config.json``, ``model.safetensors``, ``tokenizer.json``; the weights, their symbols in the order there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))
    arrays = random_arrays() if arrays is None else arrays
    save_file(arrays, folder / "model.safetensors")
    word_pieces().save(str(folder / "tokenizer.json"))
    return arrays

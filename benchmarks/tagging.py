"""A BiLSTM with a conditional random field in seqjax and in PyTorch: sentences a second, training and decoding.

Word vectors, one LSTM each way, a linear map, a CRF, Adam, gradients clipped to norm 1. PyTorch packs its sequences,
and its CRF is ``pytorch-crf``. Decoding is that of 1000 sentences, one call for each length; both give ids on the host.

``python -m benchmarks.tagging``; ``--write`` appends the table to ``benchmarks/RESULTS.md``.
"""

import dataclasses
import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tyro

from benchmarks import timing
from seqjax.process import keep_memory

VOCABULARY, LEARNING_RATE, CLIP = 5000, 1e-3, 1.0
MODES = ("training", "decoding")


class Setting(NamedTuple):
    batch: int  # B
    time: int  # T, the longest sentence
    embedding: int  # E
    features: int  # H, of each direction
    tags: int  # K


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    settings: tuple[str, ...] = ("32,32,100,128,9", "32,32,100,128,51")  # batch,time,embedding,features,tags
    sentences: int = 1000  # decoded
    rounds: int = 7  # timings of each; the median counts
    write: bool = False  # append to benchmarks/RESULTS.md


class Library(NamedTuple):
    """What is timed; both block until the work is done."""

    train: Callable[[], object]  # one step on a batch
    decode: Callable[[], object]  # the tags of all sentences


def batches(setting: Setting, sentences: int) -> tuple[dict[str, np.ndarray], list[dict[str, np.ndarray]]]:
    """A batch to train on, and sentences of random lengths in four lengths of batches, one batch each."""
    random = np.random.default_rng(0)

    def made(lengths: np.ndarray, time: int) -> dict[str, np.ndarray]:
        mask = np.arange(time) < lengths[:, None]
        words, tags = (random.integers(1, size, mask.shape) * mask for size in (VOCABULARY, setting.tags))
        return {"words": words.astype(np.int32), "tags": tags.astype(np.int32), "mask": mask}

    few = setting.time // 4
    lengths = random.integers(few // 2, setting.time + 1, sentences)
    shapes = [few * (n + 1) for n in range(4)]
    home = np.searchsorted(shapes, lengths)
    parts = [made(lengths[home == n], shape) for n, shape in enumerate(shapes) if (home == n).any()]
    return made(random.integers(few, setting.time + 1, setting.batch), setting.time), parts


def seqjax_library(setting: Setting, sentences: int) -> Library:
    """The model, the objective and the pmapped step that ``python train.py tag`` uses."""
    import jax
    import optax

    from seqjax.models.reading import RecurrentReaderConfig
    from seqjax.models.tagger import RecurrentTaggerConfig, WordReader, tagger
    from seqjax.models.word_features import WordFeaturesConfig
    from seqjax.tasks.tag import objective
    from seqjax.training.devices import local_rows, place
    from seqjax.training.state import create_state
    from seqjax.training.step import make_train_step, parallel

    words = WordFeaturesConfig(embedding=setting.embedding, characters="none", dropout=0.0)
    config = RecurrentTaggerConfig(words=words, reader=RecurrentReaderConfig(features=setting.features))
    model = tagger(lambda rngs: WordReader(config, VOCABULARY, 0, rngs=rngs), setting.tags)
    optimizer = optax.chain(optax.clip_by_global_norm(CLIP), optax.adam(LEARNING_RATE))
    step, key = parallel(make_train_step(objective(model), optimizer)), jax.random.key(0)
    params = jax.jit(model.init)(key)
    memory = [place(create_state(jax.tree.map(np.asarray, params), optimizer))]
    batch, parts = batches(setting, sentences)
    decode = jax.jit(model.decode)

    def train():
        memory[0], metrics = step(memory[0], local_rows(batch), key)
        return jax.block_until_ready(metrics["loss"][0])

    return Library(train, lambda: [np.asarray(tags) for tags in [decode(params, part) for part in parts]])


def torch_library(setting: Setting, sentences: int) -> Library:
    """The same model as PyTorch's users write it."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
    from torchcrf import CRF

    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    embedding = torch.nn.Embedding(VOCABULARY, setting.embedding)
    lstm = torch.nn.LSTM(setting.embedding, setting.features, batch_first=True, bidirectional=True)
    head, crf = torch.nn.Linear(2 * setting.features, setting.tags), CRF(setting.tags, batch_first=True)
    parameters = [weight for part in (embedding, lstm, head, crf) for weight in part.parameters()]
    optimizer = torch.optim.Adam(parameters, LEARNING_RATE)

    def emissions(words, mask):
        packed = pack_padded_sequence(embedding(words), mask.sum(1), batch_first=True, enforce_sorted=False)
        ys, _ = pad_packed_sequence(lstm(packed)[0], batch_first=True, total_length=words.shape[1])
        return head(ys)

    def given(batch):
        return (torch.from_numpy(batch[name]) for name in ("words", "tags", "mask"))

    batch, parts = batches(setting, sentences)

    def train():
        words, tags, mask = given(batch)
        optimizer.zero_grad()
        loss = -crf(emissions(words, mask), tags.long(), mask, reduction="token_mean")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        return loss.item()

    def decode():
        with torch.no_grad():
            return [crf.decode(emissions(words, mask), mask) for words, _, mask in map(given, parts)]

    return Library(train, decode)


def measure(setting: Setting, options: Options) -> dict[str, dict[str, float]]:
    """Sentences a second, by mode and library."""
    libraries = {
        "seqjax": seqjax_library(setting, options.sentences),
        "torch": torch_library(setting, options.sentences),
    }
    found = {}
    for mode, sentences in zip(MODES, (setting.batch, options.sentences), strict=True):
        runs = {name: library.train if mode == "training" else library.decode for name, library in libraries.items()}
        times = timing.interleaved(runs, options.rounds, burst=0.2)
        found[mode] = {name: sentences / timing.median(seconds) for name, seconds in times.items()}
    return found


def main(options: Options) -> None:
    """Measure, print, and perhaps write."""
    keep_memory()
    rows, claims = [], []
    with timing.Others() as others:
        for name in options.settings:
            for mode, speeds in measure(Setting(*map(int, name.split(","))), options).items():
                ratio = speeds["seqjax"] / speeds["torch"]
                rows.append([f"{name} {mode}", *(f"{speed:,.0f}" for speed in speeds.values()), f"{ratio:.2f}"])
                claims.append((f"sentences a second over PyTorch's, {mode}, {name}", ratio, "≥", 1.0))
    note = f"Medians of {options.rounds} interleaved rounds, float32; others took {others.share:.0%} of the cores."
    table = timing.table(["batch,time,E,H,K", "seqjax, sentences/s", "torch, sentences/s", "ratio"], rows)
    timing.report("Tagging", "\n\n".join([note, table, timing.verdict(claims)]), options.write)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

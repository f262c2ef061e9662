"""A whole character language model, trained on the same text in seqjax and in plain PyTorch.

Embedding, LSTM layers, softmax; Adam, gradients clipped to norm 1, truncated backpropagation with carried
state; the text is the Python documentation that ships inside Python. Each library runs in a process of its
own, which gives time to first step (imports and compilation included) and peak memory; both processes
stay alive and take turns, block by block, which gives tokens a second. ``torch-kept`` is PyTorch with the same
word to the allocator that ``python train.py`` gives (:func:`seqjax.process.keep_memory`).

``python -m benchmarks.language_model``; ``--write`` appends the table to ``benchmarks/RESULTS.md``.
"""

import dataclasses
import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tyro

from benchmarks import timing, turns
from seqjax.process import compile_small_loops_whole, keep_memory

LEARNING_RATE, CLIP = 2e-3, 1.0
TARGETS = {1: 1.0, 20: 0.75, 32: 0.75}  # batch: the share of PyTorch's tokens a second to reach


class Setting(NamedTuple):
    batch: int  # B
    time: int  # T, steps of truncated backpropagation
    features: int  # H, also the embedding's
    layers: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    settings: tuple[str, ...] = ("1,256,256,1", "20,35,650,1", "32,128,256,1")  # batch,time,features,layers
    libraries: tuple[str, ...] = ("seqjax", "torch", "torch-kept")
    rounds: int = 7  # blocks of each library; the median counts
    seconds: float = 1.5  # how long a block lasts
    write: bool = False  # append to benchmarks/RESULTS.md
    worker: str = ""  # internal: be the process of this library, at the first setting


def text() -> str:
    """The documentation inside Python: topics in alphabetical order, the first 80 % of the characters."""
    from pydoc_data.topics import topics

    whole = "".join(topics[name] for name in sorted(topics))
    return whole[: len(whole) * 8 // 10]


def batches(setting: Setting) -> tuple[int, Iterator[tuple[np.ndarray, np.ndarray]]]:
    """The number of characters, and windows (B, T) of B contiguous streams with the next characters, for ever."""
    symbols, ids = np.unique(np.array(list(text())), return_inverse=True)
    rows = ids[: len(ids) // setting.batch * setting.batch].reshape(setting.batch, -1).astype(np.int32)
    starts = range(0, rows.shape[1] - setting.time - 1, setting.time)

    def windows():
        while True:
            for start in starts:
                window = rows[:, start : start + setting.time + 1]
                yield np.ascontiguousarray(window[:, :-1]), np.ascontiguousarray(window[:, 1:])

    return len(symbols), windows()


def seqjax_learner(setting: Setting, vocabulary: int) -> turns.Learn:
    """The model, the objective and the pmapped step that ``python train.py`` uses."""
    import jax
    import optax

    from seqjax.models import LanguageModelConfig, whole_past
    from seqjax.tasks.lm import objective
    from seqjax.training.devices import local_rows, place
    from seqjax.training.state import create_state
    from seqjax.training.step import make_train_step, parallel

    model = whole_past(LanguageModelConfig(features=setting.features, layers=setting.layers), vocabulary)
    optimizer = optax.chain(optax.clip_by_global_norm(CLIP), optax.adam(LEARNING_RATE))
    step = parallel(make_train_step(objective(model), optimizer))
    key = jax.random.key(0)
    start = jax.jit(lambda key: create_state(model.init(key), optimizer))(key)
    memory = [place(start._replace(carry=model.carry(setting.batch)))]
    real, never = np.ones((setting.batch, setting.time), bool), np.zeros((setting.batch, setting.time), bool)

    def learn(inputs, targets):
        batch = {"inputs": inputs, "targets": targets, "mask": real, "reset": never, "scored": real}
        memory[0], metrics = step(memory[0], local_rows(batch), key)
        return metrics["loss"][0]

    return learn


def torch_learner(setting: Setting, vocabulary: int) -> turns.Learn:
    """The same model as PyTorch's own tutorials would write it."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    width = setting.features
    embedding, head = torch.nn.Embedding(vocabulary, width), torch.nn.Linear(width, vocabulary)
    lstm = torch.nn.LSTM(width, width, setting.layers, batch_first=True)
    params = [*embedding.parameters(), *lstm.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(params, LEARNING_RATE)
    zeros = torch.zeros(setting.layers, setting.batch, width)
    memory = [(zeros, zeros)]

    def learn(inputs, targets):
        optimizer.zero_grad()
        ys, state = lstm(embedding(torch.from_numpy(inputs)), memory[0])
        loss = torch.nn.functional.cross_entropy(head(ys).flatten(0, 1), torch.from_numpy(targets).long().flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, CLIP)
        optimizer.step()
        memory[0] = tuple(leaf.detach() for leaf in state)
        return loss.detach()

    return learn


LEARNERS = {"seqjax": seqjax_learner, "torch": torch_learner, "torch-kept": torch_learner}
KEEPING = ("seqjax", "torch-kept")  # whose allocator is told, as our command line does, to keep freed blocks


def main(options: Options) -> None:
    """Measure, print, and perhaps write."""
    if options.worker:
        setting = Setting(*map(int, options.settings[0].split(",")))
        vocabulary, stream = batches(setting)
        if options.worker in KEEPING:
            keep_memory()
        if options.worker == "seqjax":
            compile_small_loops_whole()
        turns.work(LEARNERS[options.worker](setting, vocabulary), stream)
        return
    rows, claims = [], []
    with timing.Others() as others:
        for name in options.settings:
            setting = Setting(*map(int, name.split(",")))
            module = "benchmarks.language_model"
            workers = turns.compare(module, name, options.libraries, options.rounds, options.seconds)
            rows += [worker.row(name, setting.batch * setting.time) for worker in workers.values()]
            speeds = {library: timing.median(worker.speeds) for library, worker in workers.items()}
            target = TARGETS.get(setting.batch, 0.75)
            claims += [
                (f"tokens a second over {library}'s, {name}", speeds["seqjax"] / speed, "≥", target)
                for library, speed in speeds.items() if library != "seqjax" and "seqjax" in speeds
            ]  # fmt: skip
    header = ["batch,time,H,layers", *turns.HEADER]
    note = f"Medians of {options.rounds} blocks; other processes took {others.share:.0%} of the cores."
    note += " Bits per character are the mean of the last 50 training steps: a sign that both train."
    body = [note, timing.table(header, rows), timing.verdict(claims)]
    timing.report("Language model", "\n\n".join(body), options.write)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

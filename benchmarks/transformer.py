"""A GPT trained on the same text in seqjax and in PyTorch, as written and compiled.

Pre-norm blocks, learned positions, tied embeddings, AdamW, gradients clipped to norm 1; PyTorch's attention is
``scaled_dot_product_attention``. The default is nanoGPT's setting for a CPU; on an accelerator, GPT-2 small:
``python -m benchmarks.transformer --settings 8,1024,768,12,12 --precision bfloat16``.

``python -m benchmarks.transformer``; ``--write`` appends the table to ``benchmarks/RESULTS.md``.
"""

import dataclasses
import os
from typing import Literal, NamedTuple

import numpy as np
import tyro

from benchmarks import language_model, timing, turns
from seqjax.process import keep_memory

LEARNING_RATE, CLIP = 1e-3, 1.0
MODULE = "benchmarks.transformer"


class Setting(NamedTuple):
    batch: int  # B
    time: int  # T, the context
    features: int  # D
    layers: int  # L
    heads: int  # N


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    settings: tuple[str, ...] = ("12,64,128,4,4",)  # batch,time,features,layers,heads
    libraries: tuple[str, ...] = ("seqjax", "torch", "torch-kept", "torch-compiled")
    precision: Literal["float32", "bfloat16"] = "float32"  # of the computation
    rounds: int = 7  # blocks of each library; the median counts
    seconds: float = 1.5  # how long a block lasts
    depths: tuple[int, int] = (4, 24)  # layers whose compile times are compared
    write: bool = False  # append to benchmarks/RESULTS.md
    worker: str = ""  # internal: be the process of this library, at the first setting


def seqjax_learner(setting: Setting, vocabulary: int, precision: str) -> turns.Learn:
    """The model, the objective and the pmapped step that ``python train.py lm gpt`` uses."""
    import jax

    from seqjax.training.devices import local_rows, place

    step, start = made_step(setting, vocabulary, precision)
    memory, key = [place(jax.jit(start)(jax.random.key(0)))], jax.random.key(0)
    real, never = np.ones((setting.batch, setting.time), bool), np.zeros((setting.batch, setting.time), bool)

    def learn(inputs, targets):
        batch = {"inputs": inputs, "targets": targets, "mask": real, "reset": never, "scored": real}
        memory[0], metrics = step(memory[0], local_rows(batch), key)
        return metrics["loss"][0]

    return learn


def made_step(setting: Setting, vocabulary: int, precision: str = "float32"):
    """The pmapped step, and ``key -> state``."""
    import jax.numpy as jnp
    import optax

    from seqjax.models import GPTConfig, gpt
    from seqjax.tasks.lm import objective
    from seqjax.training.state import create_state
    from seqjax.training.step import make_train_step, parallel

    config = GPTConfig(features=setting.features, layers=setting.layers, heads=setting.heads)
    model = gpt(config, vocabulary, setting.time)
    optimizer = optax.chain(optax.clip_by_global_norm(CLIP), optax.adamw(LEARNING_RATE))
    dtype = jnp.bfloat16 if precision == "bfloat16" else None
    step = parallel(make_train_step(objective(model), optimizer, compute_dtype=dtype))
    return step, lambda key: create_state(model.init(key), optimizer)


def torch_learner(setting: Setting, vocabulary: int, precision: str, compiled: bool = False) -> turns.Learn:
    """The same model as PyTorch's users write it."""
    import torch

    from benchmarks.torch_gpt import GPT

    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = GPT(vocabulary, setting.time, setting.features, setting.layers, setting.heads).to(device)
    run = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE)
    half = torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16")

    def learn(inputs, targets):
        ids, wanted = (torch.from_numpy(a).long().to(device) for a in (inputs, targets))
        optimizer.zero_grad()
        with half:
            loss = torch.nn.functional.cross_entropy(run(ids).flatten(0, 1), wanted.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        return loss.detach()

    return learn


def learner(library: str, setting: Setting, vocabulary: int, precision: str) -> turns.Learn:
    """One library's way to make a step."""
    if library == "seqjax":
        return seqjax_learner(setting, vocabulary, precision)
    return torch_learner(setting, vocabulary, precision, compiled=library == "torch-compiled")


def compile_seconds(setting: Setting, layers: int, vocabulary: int = 100) -> tuple[float, float]:
    """Seconds to trace and to compile the training step of a GPT this deep, nothing cached."""
    import time

    import jax

    jax.config.update("jax_enable_compilation_cache", False)
    step, start = made_step(setting._replace(layers=layers), vocabulary)
    state = jax.eval_shape(start, jax.random.key(0))
    shape = jax.local_device_count(), setting.batch // jax.local_device_count(), setting.time
    ids, flags = jax.ShapeDtypeStruct(shape[1:], np.int32), jax.ShapeDtypeStruct(shape[1:], bool)
    whole = dict.fromkeys(("inputs", "targets"), ids) | dict.fromkeys(("mask", "reset", "scored"), flags)
    batch = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((shape[0], *leaf.shape), leaf.dtype), whole)
    before = time.perf_counter()
    lowered = step.lower(state, batch, jax.random.key(0))
    traced = time.perf_counter()
    lowered.compile()
    return traced - before, time.perf_counter() - traced


def main(options: Options) -> None:
    """Measure, print, and perhaps write."""
    if options.worker:
        setting = Setting(*map(int, options.settings[0].split(",")))
        plain = language_model.Setting(setting.batch, setting.time, setting.features, setting.layers)
        vocabulary, stream = language_model.batches(plain)
        if options.worker in language_model.KEEPING:
            keep_memory()
        turns.work(learner(options.worker, setting, vocabulary, options.precision), stream)
        return
    rows, claims = [], []
    module = f"{MODULE} --precision {options.precision}"
    with timing.Others() as others:
        for name in options.settings:
            setting = Setting(*map(int, name.split(",")))
            workers = turns.compare(module, name, options.libraries, options.rounds, options.seconds)
            rows += [worker.row(name, setting.batch * setting.time) for worker in workers.values()]
            speeds = {library: timing.median(worker.speeds) for library, worker in workers.items()}
            claims += [
                (f"tokens a second over {library}'s, {name}", speeds["seqjax"] / speed, "≥", 1.0)
                for library, speed in speeds.items() if library != "seqjax" and "seqjax" in speeds
            ]  # fmt: skip
        setting = Setting(*map(int, options.settings[0].split(",")))
        times = {layers: min(compile_seconds(setting, layers) for _ in range(3)) for layers in options.depths}
        few, many = (sum(times[layers]) for layers in options.depths)
        claims.append((f"compile time of {options.depths[1]} blocks over {options.depths[0]}", many / few, "≤", 1.5))
    seconds = timing.table(
        ["layers", "trace, s", "compile, s"], [[n, *(f"{t:.2f}" for t in times[n])] for n in options.depths]
    )  # fmt: skip
    note = f"{options.precision}; medians of {options.rounds} blocks; others took {others.share:.0%} of the cores."
    body = [note, timing.table(["batch,time,D,layers,heads", *turns.HEADER], rows), seconds, timing.verdict(claims)]
    timing.report("Transformer", "\n\n".join(body), options.write)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

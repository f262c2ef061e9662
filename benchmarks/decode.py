"""Tokens a second while writing: greedy and with a beam, recurrent and attention models.

Against ``generate`` of the transformers library (with its cache) on a GPT-2 of the same size, and against a plain
PyTorch loop around ``nn.LSTM``; all with random weights, all in one process, interleaved, medians. The process is told
what commands tell theirs (:mod:`seqjax.process`).

Every turn begins with 0.2 s of rest, until the other's threads let go of the cores. Cores that slept take some ten
milliseconds to work side by side again, as long as a short text takes, so each is timed twice: writing for half a
second, text after text, and one text right after the rest. Claims are about the first.

``python -m benchmarks.decode``; ``--write`` appends the tables to ``benchmarks/RESULTS.md``.
"""

import dataclasses
import os
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tyro

from benchmarks import timing
from seqjax.process import compile_small_loops_whole, keep_memory

CONTEXT = 256  # tokens that the attention models can hold
Write = Callable[[], object]  # write all tokens of all rows, and wait for them


class Setting(NamedTuple):
    model: str  # gpt or lstm
    batch: int  # B
    symbols: int  # V
    beam: int  # hypotheses; 1: greedy
    target: float  # how many times faster than the other library


SETTINGS = (
    Setting("gpt", 1, 256, 1, 1.3),
    Setting("gpt", 1, 50_257, 1, 1.3),
    Setting("gpt", 32, 256, 1, 4.0),
    Setting("gpt", 1, 256, 5, 2.0),
    Setting("lstm", 1, 256, 1, 8.0),
    Setting("lstm", 32, 256, 1, 1.0),
    Setting("lstm", 1, 256, 5, 1.0),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    layers: int = 6  # of the GPT; the LSTM has 2
    features: int = 384  # of the GPT; the LSTM has 256
    heads: int = 6
    tokens: int = 128  # written by each row
    prompt: int = 16  # tokens read before
    rounds: int = 5  # the median counts
    only: str = ""  # gpt or lstm
    write: bool = False  # append to benchmarks/RESULTS.md


def seqjax_writer(setting: Setting, options: Options) -> Write:
    """The engine, as ``seqjax generate`` and ``seqjax predict --beam`` use it."""
    import jax

    from seqjax.decoding import beam_search, generate
    from seqjax.models import GPTConfig, LanguageModelConfig, gpt, whole_past
    from seqjax.ops.sampling import Sampling

    if setting.model == "gpt":
        config = GPTConfig(features=options.features, layers=options.layers, heads=options.heads)
        model = gpt(config, setting.symbols, CONTEXT)
    else:
        model = whole_past(LanguageModelConfig(features=256, layers=2), setting.symbols)
    params = jax.jit(model.init)(jax.random.key(0))
    ids = np.random.default_rng(0).integers(setting.symbols, size=(setting.batch, options.prompt)).astype(np.int32)
    inputs = {"tokens": ids[:, :-1], "mask": np.ones(ids[:, :-1].shape, bool)}
    how = {"max_tokens": options.tokens}

    def write():
        if setting.beam > 1:
            made = beam_search(model.decodable, params, inputs, ids[:, -1], beam=setting.beam, end=None, **how)
        else:
            made = generate(model.decodable, params, inputs, ids[:, -1], None, sampling=Sampling(greedy=True), **how)
        return np.asarray(made.tokens)

    return write


def transformers_writer(setting: Setting, options: Options) -> Write:
    """``generate`` of the transformers library, with its cache."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    config = transformers.GPT2Config(
        vocab_size=setting.symbols, n_positions=CONTEXT, n_embd=options.features, n_layer=options.layers,
        n_head=options.heads, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config).eval()
    ids = torch.randint(setting.symbols, (setting.batch, options.prompt))
    how = {"max_new_tokens": options.tokens, "min_new_tokens": options.tokens, "num_beams": setting.beam}
    how |= {"do_sample": False, "use_cache": True, "pad_token_id": 0, "attention_mask": torch.ones_like(ids)}

    def write():
        with torch.no_grad():
            made = model.generate(ids, **how)
        assert made.shape[1] == options.prompt + options.tokens
        return made

    return write


def torch_lstm_writer(setting: Setting, options: Options) -> Write | None:
    """A loop around ``nn.LSTM`` that takes the most likely symbol; there is no beam in PyTorch."""
    import torch

    if setting.beam > 1:
        return None
    embedding, head = torch.nn.Embedding(setting.symbols, 256), torch.nn.Linear(256, setting.symbols)
    lstm = torch.nn.LSTM(256, 256, 2, batch_first=True).eval()
    ids = torch.randint(setting.symbols, (setting.batch, options.prompt))

    def write():
        with torch.no_grad():
            _, state = lstm(embedding(ids[:, :-1]))
            last, made = ids[:, -1:], []
            for _ in range(options.tokens):
                ys, state = lstm(embedding(last), state)
                last = head(ys).argmax(-1)
                made.append(last)
            return torch.cat(made, 1)

    return write


def compare(setting: Setting, options: Options) -> tuple[list[object], float | None]:
    """One row of the table, and how many times faster ours is."""
    ours = seqjax_writer(setting, options)
    before = time.perf_counter()
    ours()
    first = time.perf_counter() - before
    theirs = (transformers_writer if setting.model == "gpt" else torch_lstm_writer)(setting, options)
    writers = {"ours": ours} | ({"theirs": theirs} if theirs else {})
    times, rested = (
        {k: timing.median(v) for k, v in timing.interleaved(writers, options.rounds, rest=0.2, burst=s).items()}
        for s in (0.5, 0.0)
    )
    steps = [f"{times[k] / options.tokens * 1e3:.3g}" if k in times else "-" for k in ("ours", "theirs")]
    speed = f"{setting.batch * options.tokens / times['ours']:,.0f}"
    ratios = [of["theirs"] / of["ours"] if theirs else None for of in (times, rested)]
    name = f"{setting.model} {setting.batch},{setting.symbols},{setting.beam}"
    shown = [f"{ratio:.2f}" if ratio else "-" for ratio in ratios]
    return [name, *steps, *shown, speed, f"{first - rested['ours']:.1f}"], ratios[0]


def main(options: Options) -> None:
    """Measure, print, and perhaps write."""
    import torch

    keep_memory()
    compile_small_loops_whole()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    rows, claims = [], []
    with timing.Others() as others:
        for setting in SETTINGS:
            if options.only in ("", setting.model):
                row, ratio = compare(setting, options)
                rows.append(row)
                print(*row, flush=True)
                if ratio is not None:
                    claims.append((f"times faster, {row[0]}", ratio, "≥", setting.target))
    header = ["model B,V,beam", "ms a step", "theirs, ms", "ratio", "after a rest", "tokens/s", "compile, s"]
    note = (
        f"GPT of {options.layers} × {options.features}, against transformers; LSTM of 2 × 256, against a PyTorch loop; "
        f"{options.tokens} tokens after {options.prompt}; medians of {options.rounds}; others took {others.share:.0%}."
    )
    timing.report("Decoding", "\n\n".join([note, timing.table(header, rows), timing.verdict(claims)]), options.write)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

"""Exact match by the number of dates in the line: where a single vector no longer holds the source.

Train the presets first, each into a folder of its own:
``for p in bahdanau luong sutskever cho transformer; do python train.py translate $p --out runs/$p; done``.

``python -m benchmarks.dates runs/bahdanau runs/cho``; ``--write`` appends the table to ``benchmarks/RESULTS.md``.
"""

import collections
import dataclasses

import tyro

from benchmarks import timing
from seqjax.checks import InputError
from seqjax.data import read_pairs
from seqjax.tasks.session import open_existing, trained
from seqjax.tasks.translate_use import Predict


@dataclasses.dataclass(frozen=True)
class Options:
    runs: tyro.conf.Positional[tuple[str, ...]]  # folders of runs of `translate` on its default data
    beam: int = 1  # hypotheses kept
    write: bool = False  # append to benchmarks/RESULTS.md


def shares(path: str, beam: int) -> tuple[str, dict[int, float], float]:
    """The preset of a run, the share of test lines it writes exactly by their number of dates, and of all lines."""
    run = open_existing(path)
    if run.task.name != "translate" or run.config.data.path:
        raise InputError(f"{path}: should be a run of `translate` on dates, its default data.")
    translator, pairs = trained(run), read_pairs(run.config.data).test
    sources = translator.source.encode_documents([pair.source for pair in pairs])
    made = translator.translate(sources, Predict(beam=beam))
    right: dict[int, list[bool]] = collections.defaultdict(list)
    for pair, hypotheses in zip(pairs, made, strict=True):
        text = translator.target.decode(hypotheses[0].ids) if hypotheses else ""
        right[pair.target.count(" ") + 1].append(text == pair.target)
    whole = [one for found in right.values() for one in found]
    model = type(run.config.model).__name__.removesuffix("Config")
    attention = getattr(run.config.model, "attention", "in every layer")
    name = f"{model}, attention: {attention}, {run.config.steps:,} steps"
    return name, {count: sum(found) / len(found) for count, found in sorted(right.items())}, sum(whole) / len(whole)


def main(options: Options) -> None:
    """Measure, print, and perhaps write."""
    found = [shares(path, options.beam) for path in options.runs]
    counts = sorted({count for _, by_count, _ in found for count in by_count})
    rows = [
        [name, *(f"{by_count[count]:.1%}" if count in by_count else "" for count in counts), f"{whole:.1%}"]
        for name, by_count, whole in found
    ]
    table = timing.table(["model", *(f"{count} date{'s' * (count > 1)}" for count in counts), "all"], rows)
    note = f"Exact match on the test split, beam {options.beam}."
    timing.report("Dates by their number in the line", f"{note}\n\n{table}", options.write)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

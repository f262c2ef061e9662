"""Time several ways of doing one thing in one process, so that a busy machine disturbs all of them alike.

Absolute times on a shared machine swing by a third; ratios of medians of interleaved calls do not.
"""

import datetime
import importlib.metadata
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"
PACKAGES = ("seqjax", "jax", "jaxlib", "flax", "keras", "torch", "transformers", "numpy")
REST = 0.01  # seconds before each burst, so that the last one's spinning threads let go of the cores


def interleaved(
    candidates: Mapping[str, Callable[[], object]], rounds: int, *, burst: float = 0.02, rest: float = REST
) -> dict[str, list[float]]:
    """Call every candidate once a round, in an order that rotates from round to round.

    Args:
        candidates: functions of no arguments that return when the work is done (they block).
        rounds: how many times each is timed, after two calls that are not.
        burst: seconds; a shorter candidate is called several times in a row, and the mean is kept.
        rest: seconds of sleep before each candidate's turn.

    Returns:
        For each name, one time per round: seconds a call.

    Example:
        >>> times = interleaved({"a": lambda: None, "b": lambda: sum(range(10_000))}, rounds=3, burst=1e-4, rest=0.0)
        >>> {name: len(of) for name, of in times.items()}, median(times["a"]) < median(times["b"])
        ({'a': 3, 'b': 3}, True)
    """
    calls = {name: max(1, math.ceil(burst / _warm(run))) for name, run in candidates.items()}
    names = list(candidates)
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            time.sleep(rest)
            times[name].append(_seconds(candidates[name], calls[name]))
    return times


def _warm(run: Callable[[], object]) -> float:
    run()
    return max(_seconds(run, 1), 1e-7)


def _seconds(run: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


def median(times: Iterable[float]) -> float:
    """The middle time, seconds."""
    return statistics.median(times)


def geometric_mean(ratios: Iterable[float]) -> float:
    """The mean of ratios, which does not depend on what was put below the line.

    Example:
        >>> geometric_mean([0.5, 2.0])
        1.0
    """
    return statistics.geometric_mean(ratios)


def milliseconds(seconds: float) -> str:
    """Three digits that can be compared at a glance.

    Example:
        >>> milliseconds(0.01234), milliseconds(0.1234)
        ('12.3', '123')
    """
    value = seconds * 1e3
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def machine() -> str:
    """One line that names what the numbers were measured on.

    Example:
        >>> "cores" in machine()
        True
    """
    import jax

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = f"Python {platform.python_version()}"
    accelerator = "" if jax.default_backend() == "cpu" else f", {jax.devices()[0].device_kind}"
    return (
        f"{_processor()}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB{accelerator}, {python}, {versions()}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    vectors = "AVX-512" if "avx512f" in facts.get("flags", "") else "AVX2" if "avx2" in facts.get("flags", "") else ""
    family = f"family {facts['cpu family']} model {facts['model']}" if "cpu family" in facts else ""
    return " ".join(part for part in (facts.get("model name", platform.machine()), family, vectors) if part)


def versions(packages: Sequence[str] = PACKAGES) -> str:
    """Names and versions of what is installed of ``packages``."""
    found = []
    for name in packages:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


class Others:
    """How much of the machine other processes took between ``with`` and its end, as a share of all cores.

    Example:
        >>> with Others() as others:
        ...     time.sleep(0.01)
        >>> 0.0 <= others.share <= 1.0
        True
    """

    def __enter__(self):
        self.share, self._before = 0.0, self._read()
        return self

    def __exit__(self, *error):
        busy, own, now = (after - before for after, before in zip(self._read(), self._before, strict=True))
        self.share = min(1.0, max(0.0, (busy - own) / max(now * (os.cpu_count() or 1), 1e-9)))

    @staticmethod
    def _read() -> tuple[float, float, float]:
        times = os.times()
        own = times.user + times.system + times.children_user + times.children_system
        try:
            ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        except OSError:
            return own, own, time.perf_counter()
        return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK"), own, time.perf_counter()


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table: the first column to the left, numbers to the right, padded to be read as text too.

    Example:
        >>> print(table(["shape", "ms"], [["1,2", 3.5], ["10,20", 12]]))
        | shape |  ms |
        |:------|----:|
        | 1,2   | 3.5 |
        | 10,20 |  12 |
    """
    text = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in text) for i in range(len(header))]
    aligned = [
        [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in text
    ]
    rule = [":" + "-" * (widths[0] + 1), *("-" * (width + 1) + ":" for width in widths[1:])]
    lines = ["| " + " | ".join(row) + " |" for row in aligned]
    return "\n".join([lines[0], "|" + "|".join(rule) + "|", *lines[1:]])


def verdict(rows: Iterable[tuple[str, float, str, float]]) -> str:
    """A table of claims, their targets and what was measured.

    Args:
        rows: ``(claim, measured, "≥" or "≤", target)``.

    Example:
        >>> print(verdict([("times faster", 2.0, "≥", 1.4)]))
        | claim        | target | measured | reached |
        |:-------------|-------:|---------:|--------:|
        | times faster |  ≥ 1.4 |     2.00 |     yes |
    """
    lines = []
    for claim, measured, relation, target in rows:
        reached = measured >= target if relation == "≥" else measured <= target
        lines.append([claim, f"{relation} {target:g}", f"{measured:.2f}", "yes" if reached else "no"])
    return table(["claim", "target", "measured", "reached"], lines)


def report(title: str, body: str, write: bool) -> None:
    """Print the results, and with ``write`` append them to ``benchmarks/RESULTS.md`` with date, machine and command."""
    command = "python -m " + " ".join([f"benchmarks.{Path(sys.argv[0]).stem}", *sys.argv[1:]])
    today = datetime.date.today().isoformat()
    text = f"## {title}, {today}\n\n`{command}` on {machine()}\n\n{body}\n"
    print(text, flush=True)
    if write:
        before = RESULTS.read_text() if RESULTS.exists() else "# Results\n"
        RESULTS.write_text(f"{before.rstrip()}\n\n{text}")

"""What a run shows: a bar on a terminal, lines worth keeping everywhere else; and TensorBoard for those who ask."""

import collections
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqjax.checks import InputError

HIDDEN = ("step", "split", "seconds", "learning_rate", "gradient_norm", "tokens_per_second")
WINDOW = 100  # steps over which speed is measured


def reporter(
    total_steps: int, *, start: int = 0, unit: str = "tokens", silent: bool = False, console: Any = None
) -> "Reporter":
    """Something that shows how a run goes: a bar if standard output is a terminal, plain lines otherwise.

    Args:
        total_steps: where the run ends.
        start: the step it continues from.
        unit: of speed.
        silent: show nothing (processes other than the first).
        console: a ``rich.console.Console``; standard output if ``None``.
    """
    if silent:
        return Reporter(total_steps, start=start, unit=unit, show=lambda text: None)
    from rich.console import Console

    console = console or Console()
    if console.is_terminal:
        return Bar(total_steps, start=start, unit=unit, console=console)
    return Reporter(total_steps, start=start, unit=unit, show=lambda text: print(text, file=console.file, flush=True))


class Reporter:
    """Plain lines. A context manager, and the base of the bar.

    Args:
        total_steps: where the run ends.
        start: the step it continues from.
        unit: of speed.
        show: prints one text.
        clock: seconds.

    Example:
        >>> plain = Reporter(200, show=print)
        >>> plain.row({"step": 50, "split": "valid", "loss": 1.93214, "bits_per_char": 2.7875}, best=True)
        step  50/200  valid  loss 1.932  bits_per_char 2.788  best
    """

    def __init__(
        self, total_steps: int, *, start: int = 0, unit: str = "tokens",
        show: Callable[[str], None] = print, clock: Callable[[], float] = time.perf_counter,
    ):  # fmt: skip
        self.total, self.step, self.unit, self.show, self.clock = total_steps, start, unit, show, clock
        self.landed: collections.deque = collections.deque(maxlen=WINDOW)  # (seconds, step, tokens)

    def __enter__(self) -> "Reporter":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def close(self) -> None:
        """Leave the terminal as it was."""

    def update(self, step: int, loss: float, count: float) -> None:
        """A step has landed. ``loss``: nats; ``count``: units (tokens) in this step."""
        self.step = step
        self.landed.append((self.clock(), step, count))

    def row(self, row: Mapping[str, Any], best: bool = False) -> None:
        """Show one row of metrics.jsonl."""
        self.show(self.line(row, best))

    def note(self, text: str) -> None:
        """Say something."""
        self.show(text)

    def table(self, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Show results: one mapping a row, columns in the order in which the keys first appear."""
        columns, cells = _cells(rows)
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in [columns, *cells]]
        self.show("\n".join([title, *("  " + line for line in lines)]))

    def line(self, row: Mapping[str, Any], best: bool = False) -> str:
        """A row of metrics.jsonl as one line."""
        width = len(str(self.total))
        parts = [f"step {row['step']:>{width}}/{self.total}", f"{row.get('split', ''):<5}", *_metrics(row)]
        if "tokens_per_second" in row:
            parts.append(f"{_count(row['tokens_per_second'])} {self.unit}/s")
        if row.get("split") == "train" and self.left() is not None:
            parts.append(f"{_clock(self.left())} left")
        return "  ".join(parts + ["best"] * best)

    def speed(self) -> float | None:
        """Units a second over the last steps; ``None`` before there are two."""
        seconds = self.landed[-1][0] - self.landed[0][0] if self.landed else 0.0
        return sum(count for _, _, count in list(self.landed)[1:]) / seconds if seconds > 0 else None

    def left(self) -> float | None:
        """Seconds to the last step, at the pace of the last steps; ``None`` before there are two."""
        if len(self.landed) < 2:
            return None
        (then, first, _), (now, last, _) = self.landed[0], self.landed[-1]
        return (now - then) / (last - first) * (self.total - last) if last > first else None


class Bar(Reporter):
    """A bar with loss, speed and time left; validations and notes scroll by above it."""

    def __init__(self, total_steps: int, *, start: int = 0, unit: str = "tokens", console: Any):
        from rich import progress

        super().__init__(total_steps, start=start, unit=unit, show=self._print)
        self.console = console
        self.bar = progress.Progress(
            progress.TextColumn("[bold]step"), progress.MofNCompleteColumn(), progress.BarColumn(None, "cyan"),
            progress.TextColumn("{task.fields[loss]}"), progress.TextColumn("{task.fields[speed]}", "cyan"),
            progress.TextColumn("{task.fields[left]}", "magenta"),
            console=console, refresh_per_second=4, expand=True,
        )  # fmt: skip
        self.task = self.bar.add_task("", total=total_steps, completed=start, loss="compiling …", speed="", left="")

    def __enter__(self) -> "Bar":
        self.bar.start()
        return self

    def close(self) -> None:
        """Leave the bar as it stands, and the terminal as it was."""
        self.bar.stop()

    def update(self, step: int, loss: float, count: float) -> None:
        """A step has landed. ``loss``: nats; ``count``: units (tokens) in this step."""
        super().update(step, loss, count)
        speed, left = self.speed(), self.left()
        self.bar.start()
        self.bar.update(
            self.task, completed=step, loss=f"loss {loss:.4f}",
            speed="" if speed is None else f"{_count(speed)} {self.unit}/s",
            left="" if left is None else f"{_clock(left)} left",
        )  # fmt: skip

    def row(self, row: Mapping[str, Any], best: bool = False) -> None:
        """Show one row of metrics.jsonl, unless it is of training: the bar shows that."""
        if row.get("split") != "train":
            self.show(self.line(row, best))

    def table(self, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Show results: one mapping a row, columns in the order in which the keys first appear."""
        from rich import box, table

        columns, cells = _cells(rows)
        shown = table.Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
        for number, column in enumerate(columns):
            shown.add_column(column, justify="right" if number else "left")
        for line in cells:
            shown.add_row(*line)
        self.console.print(shown)

    def _print(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)


class TensorBoard:
    """Rows as TensorBoard events, in the same form as :class:`seqjax.training.journal.Journal`.

    Args:
        folder: where the events go, e.g. RUN/tensorboard.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._writer: Any = None

    def write(self, row: Mapping[str, Any]) -> None:
        """Add every number of a row as ``split/name``."""
        self._writer = self._writer or _summary_writer(self.folder, None)
        for name, value in row.items():
            if name not in ("step", "split") and isinstance(value, int | float):
                self._writer.add_scalar(f"{row.get('split', 'run')}/{name}", value, row["step"])
        self._writer.flush()

    def cut(self, step: int) -> None:
        """Let the events to come replace those of later steps."""
        self.close()
        self._writer = _summary_writer(self.folder, step + 1)

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def tensorboard(folder: str | Path) -> TensorBoard:
    """A place for rows that TensorBoard reads.

    Raises:
        InputError: the extra ``log`` is not installed.
    """
    try:
        import tensorboardX  # noqa: F401
    except ImportError:
        raise InputError("TensorBoard needs the extra `log`: pip install 'seqjax[log]'.") from None
    return TensorBoard(folder)


def _summary_writer(folder: Path, purge: int | None):
    from tensorboardX import SummaryWriter

    return SummaryWriter(str(folder), purge_step=purge)


def _metrics(row: Mapping[str, Any]) -> list[str]:
    shown = {name: value for name, value in row.items() if name not in HIDDEN and (name, value) != ("skipped", 0)}
    return [f"{name} {_cell(value)}" for name, value in shown.items()]


def _cells(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return columns, [[_cell(row.get(name, "")) for name in columns] for row in rows]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:#.4g}".rstrip(".") if abs(value) < 1e4 or not math.isfinite(value) else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _count(value: float) -> str:
    """``84200`` as ``84.2k``."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.1f}{letter}"
    return f"{value:.0f}"


def _clock(seconds: float | None) -> str:
    """``75`` as ``1:15``."""
    minutes, rest = divmod(round(seconds or 0), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"

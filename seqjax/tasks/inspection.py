"""What a run is, in one page: configuration, parameters, checkpoints."""

import json

from seqjax.layers import parameter_table
from seqjax.tasks.session import open_existing, trained_shapes
from seqjax.training.checkpoint import Checkpoints
from seqjax.training.folder import read_run
from seqjax.training.journal import read


def describe(path: str) -> str:
    """The page ``seqjax inspect`` prints.

    Raises:
        InputError: it is no run.
    """
    run = open_existing(path)
    identity = read_run(path)[1]
    parts = [f"{run.folder.path}: {identity.task} {identity.preset}"]
    parts.append("configuration\n" + _indent("\n".join(_flat(identity.config))))
    if any(path.exists() for path in run.folder.learned):
        parts.append("parameters\n" + _indent(parameters(trained_shapes(run))))
    with Checkpoints(run.folder.checkpoints) as checkpoints:
        rows = [
            (f"step {s.step:,}", f"{s.bytes / 2**20:.1f} MiB", "verified" if s.ok else f"BROKEN: {s.reason}")
            for s in checkpoints.statuses()
        ]
    parts.append("checkpoints\n" + _indent(_columns(rows) if rows else "none yet"))
    if run.folder.metrics.exists():
        last = {str(row.get("split")): row for row in read(run.folder.metrics)}
        parts.append("last metrics\n" + _indent("\n".join(json.dumps(row) for row in last.values()) or "none yet"))
    return "\n\n".join(parts)


def parameters(shapes) -> str:
    """One line a parameter: name, shape, count; and the sum."""
    table = parameter_table(shapes)
    rows = [(name, " × ".join(map(str, shape)) or "scalar", f"{count:,}") for name, shape, count in table]
    return _columns([*rows, ("all", "", f"{sum(count for _, _, count in table):,}")], right=2)


def _flat(config: dict, prefix: str = "") -> list[str]:
    lines = []
    for name, value in config.items():
        lines += (
            _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [f"{prefix}{name} = {json.dumps(value)}"]
        )
    return lines


def _columns(rows, right: int | None = None) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    cells = [
        [cell.rjust(w) if i == right else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        for row in rows
    ]
    return "\n".join("  ".join(row).rstrip() for row in cells)


def _indent(text: str) -> str:
    return "\n".join("  " + line for line in text.split("\n"))

"""Orbax behind one door: named arrays and one JSON document, a folder a step.

Orbax is imported when a checkpoint is first read or written, not before: a run starts without it.
"""

import fnmatch
import functools
import logging
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from seqjax.checks import InputError
from seqjax.training import manifest
from seqjax.training.leaves import Outline

DOCUMENT = "document"  # the item that holds JSON
TAKEN = (DOCUMENT, "metrics", manifest.NAME)


def check_names(items: Iterable[str]) -> None:
    """Refuse what is no name of a file, or is one that a checkpoint has already."""
    for name in items:
        if name in TAKEN or not re.fullmatch(r"[A-Za-z0-9_][\w.-]*", name):
            raise InputError(
                f"checkpoint: an item is called {name!r}, which is taken or no plain name. Try letters and digits."
            )


def check_folder(where: str, folder: Path) -> None:
    """Refuse a folder where Orbax writes what cannot be read again, before anything is trained for it.

    It finds its own files by pattern, so that brackets are no brackets, and knows no backslash and no text but UTF-8.

    Example:
        >>> check_folder("--out", Path("/runs/lr[0.1]"))
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: --out /runs/lr[0.1]: checkpoints cannot be kept in a folder of this name, ...
    """
    path = folder.absolute().as_posix()
    odd = [sign for sign in "[]\\" if sign in path]
    legible = path.encode(errors="replace").decode() == path
    if fnmatch.fnmatchcase(path, path) and "\\" not in odd and legible:
        return
    why = f"because of {' and '.join(odd)}" if odd else "which is no UTF-8"
    shown = path.encode(errors="backslashreplace").decode()
    raise InputError(
        f"{where} {shown}: checkpoints cannot be kept in a folder of this name, {why}. Try letters and digits."
    )


class Store:
    """Orbax's ``CheckpointManager`` for one process, which waits for no other.

    Args:
        folder: where the steps lie. It must exist when something is written.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._manager: Any = None

    def write(self, step: int, flat: dict[str, dict[str, np.ndarray]], document: dict) -> None:
        """Write a step whole, or raise. Arrays of size zero are left out: Orbax knows none."""
        import orbax.checkpoint as ocp

        args: dict[str, Any] = {DOCUMENT: ocp.args.JsonSave(document)}
        for item, arrays in flat.items():
            full = {name: array for name, array in arrays.items() if array.size}
            if full:
                args[item] = ocp.args.PyTreeSave(full)
        if not self._open().save(step, args=ocp.args.Composite(**args)):
            raise RuntimeError("Orbax declined to save it")

    def read_document(self, step: int) -> dict:
        """The JSON of a step."""
        import orbax.checkpoint as ocp

        return self._open().restore(step, args=ocp.args.Composite(**{DOCUMENT: ocp.args.JsonRestore()}))[DOCUMENT]

    def read(self, step: int, outlines: dict[str, Outline]) -> dict[str, dict[str, np.ndarray]]:
        """The arrays of some items of a step, by item and name."""
        import orbax.checkpoint as ocp

        shapes = {item: {name: _shape(entry) for name, entry in outline.items()} for item, outline in outlines.items()}
        args: dict[str, Any] = {}
        for item, entries in shapes.items():
            full = {name: shape for name, shape in entries.items() if shape.size}
            if full:
                kinds = {name: ocp.RestoreArgs(restore_type=np.ndarray) for name in full}
                args[item] = ocp.args.PyTreeRestore(item=full, restore_args=kinds)
        found = self._open().restore(step, args=ocp.args.Composite(**args)) if args else {}
        return {
            item: {name: found[item][name] if s.size else np.zeros(s.shape, s.dtype) for name, s in entries.items()}
            for item, entries in shapes.items()
        }

    def close(self) -> None:
        """Forget what Orbax remembers of the folder; the next call looks again."""
        if self._manager is not None:
            self._manager.close()
            self._manager = None

    def _open(self):
        if self._manager is None:
            import orbax.checkpoint as ocp

            _one_voice()
            own = jax.process_index()
            alone = ocp.options.MultiprocessingOptions(
                primary_host=own, active_processes={own}, barrier_sync_key_prefix=f"process{own}"
            )
            options = ocp.CheckpointManagerOptions(
                create=False, save_root_metadata=False, enable_async_checkpointing=False, multiprocessing_options=alone
            )
            self._manager = ocp.CheckpointManager(self.folder, options=options)
        return self._manager


def _shape(entry: list) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(tuple(entry[1]), jax.numpy.dtype(entry[0]))


@functools.cache
def _one_voice() -> None:
    """Orbax raises an error, logs its traceback, and lets writes that it gave up complain: only the first is wanted."""
    logging.getLogger("absl").addFilter(lambda record: "orbax" not in record.pathname)
    logging.getLogger("asyncio").addFilter(lambda record: "orbax" not in record.getMessage())
    before = sys.unraisablehook

    def hook(unraisable) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            before(unraisable)

    sys.unraisablehook = hook

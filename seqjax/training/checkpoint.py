"""Checkpoints that survive a kill at any moment, and are believed only if every byte is as it was written.

One folder a step: Orbax writes it, then a manifest seals it. What is not sealed or was altered is never used:
it is reported and the newest step that verifies is used instead. Reading changes nothing on the disk.
"""

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from seqjax.checks import InputError, check_count
from seqjax.training import leaves, manifest
from seqjax.training.store import Store, check_folder, check_names


class CheckpointError(InputError):
    """A checkpoint cannot be written, or none can be read; whatever was good on the disk still is."""


class Restored(NamedTuple):
    """What came back from a checkpoint."""

    step: int
    items: dict[str, Any]  # trees of NumPy arrays, in the form of their targets
    meta: dict


class Status(NamedTuple):
    """One checkpoint on the disk."""

    step: int
    ok: bool  # every byte is as it was written
    reason: str  # what is wrong, or ""
    bytes: int


def to_stderr(text: str) -> None:
    """Say something on standard error."""
    print(text, file=sys.stderr, flush=True)


class Checkpoints:
    """The checkpoints of one run. A context manager: leaving it finishes what is being saved.

    One process writes; any process may read, for itself, without waiting for the others. Orbax is
    imported in the thread that saves, so neither starting nor saving waits for it.

    Args:
        folder: RUN/checkpoints; made when something is saved.
        keep_last: how many of the newest sealed checkpoints to keep, besides the protected ones.
        warn: told of every checkpoint that is not used, and why.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> with Checkpoints(Path(tempfile.mkdtemp())) as checkpoints:
        ...     checkpoints.save(10, {"params": {"kernel": np.ones((2, 3))}}, {"best": 1.5})
        ...     checkpoints.restore({"params": {"kernel": np.zeros((2, 3))}})
        Restored(step=10, items={'params': {'kernel': array([[1., 1., 1.], [1., 1., 1.]])}}, meta={'best': 1.5})
    """

    def __init__(self, folder: str | Path, *, keep_last: int = 3, warn: Callable[[str], None] = to_stderr):
        check_count("Checkpoints", "keep_last", keep_last)
        self.folder, self.keep_last, self.warn = Path(folder).absolute(), keep_last, warn
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._saving: Future | None = None
        self._store = Store(self.folder)
        self._broken: dict[int, str] = {}

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind, *rest) -> None:
        try:
            self.wait()
        except CheckpointError as error:
            if kind is None:
                raise
            self.warn(str(error))
        finally:
            self._worker.shutdown()
            self._store.close()

    def steps(self) -> list[int]:
        """Steps that have a folder, oldest first, whether they verify or not."""
        try:
            return sorted(int(p.name) for p in self.folder.iterdir() if p.name.isdecimal() and p.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise CheckpointError(f"{self.folder}: the checkpoints cannot be listed ({error.strerror}).") from None

    def statuses(self) -> list[Status]:
        """Every checkpoint, oldest first, and whether all of its bytes are as they were written."""
        self.wait()
        return [self._status(step) for step in self.steps()]

    def save(self, step: int, items: Mapping[str, Any], meta: dict, *, protect: Collection[int] = ()) -> None:
        """Begin to save; the arrays are copied first, so they may change or be donated at once.

        Afterwards the newest ``keep_last`` sealed checkpoints and the protected ones are kept. An earlier save
        that is still under way is waited for, and its error is raised here.

        Args:
            step: larger than every step that is there.
            items: trees of arrays by name; each can be restored without the others.
            meta: anything JSON can hold.
            protect: steps never deleted, such as the best.

        Raises:
            CheckpointError: the step is there or is too old, or the save before this one failed.
            InputError: something in ``items`` or ``meta`` cannot be saved.
        """
        check_count("Checkpoints.save", "step", step, least=0)
        check_folder("Checkpoints", self.folder)
        step = int(step)
        self.wait()
        good = [other for other in self.steps() if other not in self._broken]
        if good and step <= good[-1]:
            reason = "is there already" if step in good else f"is older than step {good[-1]}, which is there"
            raise CheckpointError(f"{self.folder}: step {step} cannot be saved: it {reason}. Restore before you save.")
        check_names(items)
        flat = {name: leaves.flatten(f"checkpoint item {name}", tree) for name, tree in items.items()}
        document = {"meta": meta, "arrays": {name: leaves.outline(item) for name, item in flat.items()}}
        try:
            document = json.loads(json.dumps(document))
        except (TypeError, ValueError) as error:
            raise InputError(f"checkpoint of step {step}: `meta` should be what JSON can hold: {error}.") from None
        self._saving = self._worker.submit(self._save, step, flat, document, frozenset(map(int, protect)))

    def poll(self) -> None:
        """Raise the error of a save that has failed meanwhile; cheap, for every step."""
        if self._saving is not None and self._saving.done():
            self.wait()

    def wait(self) -> None:
        """Wait until what is being saved is sealed.

        Raises:
            CheckpointError: it could not be saved; the older checkpoints are as they were.
        """
        if self._saving is not None:
            self._saving.exception()
            saving, self._saving = self._saving, None
            saving.result()

    def restore(self, targets: Mapping[str, Any], *, step: int | None = None) -> Restored | None:
        """Read the newest checkpoint that verifies, or the one of ``step``.

        One that does not verify is reported through ``warn`` and the next older one is tried. It stays where it is
        until the next save moves it out of the way, to ``broken-STEP``.

        Args:
            targets: abstract trees (leaves with ``shape`` and ``dtype``) by name; a subset of what was saved.
            step: read this one or none.

        Returns:
            The checkpoint, in NumPy arrays; ``None`` if none was ever finished.

        Raises:
            CheckpointError: there are some, but none verifies; there is no such ``step``; the arrays do not fit.
        """
        self.wait()
        found = self.steps()
        if step is not None and step not in found:
            raise CheckpointError(f"{self.folder}: there is no checkpoint of step {step}. There are: {found}.")
        faults: dict[int, str] = {}
        for candidate in [step] if step is not None else found[::-1]:
            reason = manifest.fault(self._path(candidate), candidate)
            if reason is None:
                self._broken |= faults
                return self._read(candidate, targets)
            faults[candidate] = reason
            self.warn(f"WARNING: {self._path(candidate)} is not used: {reason}.")
        killed_in_the_first = step is None and len(found) == 1 and not (self._path(found[0]) / manifest.NAME).exists()
        if not faults or killed_in_the_first:
            self._broken |= faults
            return None
        rows = "".join(f"\n  step {number}: {reason}" for number, reason in faults.items())
        raise CheckpointError(
            f"{self.folder}: no checkpoint here can be used, and nothing was changed.{rows}\n"
            "Put back an intact copy of one of them, or start another run with another --out."
        )

    def _path(self, step: int) -> Path:
        return self.folder / str(step)

    def _status(self, step: int) -> Status:
        reason = manifest.fault(self._path(step), step)
        size = sum(file.stat().st_size for file in self._path(step).rglob("*") if file.is_file())
        return Status(step, reason is None, reason or "", size)

    def _read(self, step: int, targets: Mapping[str, Any]) -> Restored:
        try:
            document = self._store.read_document(step)
            held = document["arrays"]
            self._check(step, targets, held)
            flat = self._store.read(step, {name: held[name] for name in targets})
        except CheckpointError:
            raise
        except Exception as error:
            raise CheckpointError(
                f"{self._path(step)}: the checkpoint is intact, but it could not be read: {_reason(error)}. "
                "Was it written by a much newer or older Orbax?"
            ) from error
        return Restored(step, {name: leaves.rebuild(targets[name], flat[name]) for name in targets}, document["meta"])

    def _check(self, step: int, targets: Mapping[str, Any], held: dict[str, leaves.Outline]) -> None:
        for name, target in targets.items():
            if name not in held:
                advice = " Such a run is not continued: another starts from it." if list(held) == ["params"] else ""
                raise CheckpointError(
                    f"{self._path(step)}: there is no item `{name}`. There are: {', '.join(held)}.{advice}"
                )
            wrong = leaves.mismatches(leaves.abstract_outline(target), held[name])
            if wrong:
                more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
                raise CheckpointError(
                    f"{self._path(step)}: item `{name}` does not fit: {'; '.join(wrong[:3])}{more}. "
                    "Was it saved by a run with another configuration?"
                )

    def _save(self, step: int, flat: dict[str, dict], document: dict, protect: frozenset[int]) -> None:
        """Runs in the worker: make room, write, seal, and only then delete what is old."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._clear()
            self._store.write(step, flat, document)
            manifest.seal(self._path(step), step)
        except Exception as error:
            with contextlib.suppress(OSError):
                self._store.close()
                _delete(self._path(step))
                self._settle()
            last = [s for s in self.steps() if manifest.is_sealed(self._path(s), s)][-1:]
            kept = f"Step {last[0]} is there and unharmed" if last else "There is no earlier one"
            raise CheckpointError(
                f"{self.folder}: the checkpoint of step {step} could not be saved: {_reason(error)}. "
                f"{kept}. Make room or choose another --out; the same command continues the run."
            ) from error
        sealed = [s for s in self.steps() if manifest.is_sealed(self._path(s), s)]
        for old in set(sealed[: -self.keep_last]) - protect:
            _delete(self._path(old))

    def _settle(self) -> None:
        """Clear until nothing has come back for a while: a write that Orbax gave up may still put files there."""
        quiet = 0
        for _ in range(40):
            quiet = 0 if self._clear() else quiet + 1
            if quiet == 5:
                return
            time.sleep(0.05)

    def _clear(self) -> bool:
        """Move broken checkpoints out of the way, and delete what is unfinished; whether there was any of that."""
        for step in list(self._broken):
            if self._path(step).exists():
                place = _unused(self.folder / f"broken-{step}")
                os.rename(self._path(step), place)
                self.warn(f"{self._path(step)} was moved to {place.name}: {self._broken[step]}.")
                self._store.close()
            del self._broken[step]
        left = [p for p in self.folder.iterdir() if ".orbax-checkpoint-tmp" in p.name or p.name.startswith("deleted-")]
        for path in left:
            shutil.rmtree(path, ignore_errors=True)
        return bool(left)


def _delete(path: Path) -> None:
    """Delete a folder so that a kill half-way leaves nothing that looks like a checkpoint."""
    if path.exists():
        away = _unused(path.with_name(f"deleted-{path.name}"))
        os.rename(path, away)
        shutil.rmtree(away, ignore_errors=True)


def _unused(path: Path) -> Path:
    taken = (path.with_name(f"{path.name}-{number}") for number in range(2, 1_000_000))
    return path if not path.exists() else next(other for other in taken if not other.exists())


def _reason(error: BaseException | None) -> str:
    """The system's own words (no space left on device, …) if it was the system that refused."""
    text = f"{type(error).__name__}: {error}"
    while error is not None:
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
        code = str(error).partition("os_error_code='")[2].partition("'")[0]
        if code.isdecimal():
            return os.strerror(int(code))
        error = error.__cause__ or error.__context__
    return text.splitlines()[0][:300]

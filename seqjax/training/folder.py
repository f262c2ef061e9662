"""The folder of a run: which configuration it belongs to, and whether this command may go on in it."""

import contextlib
import dataclasses
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from seqjax.checks import InputError, nearest
from seqjax.training.configuration import differences, from_dict, read_json
from seqjax.training.lock import locked
from seqjax.training.store import check_folder


class RunFolder(NamedTuple):
    """runs/NAME: config.json, tokenizer.json, metrics.jsonl, samples.txt, curves.png, checkpoints/.

    Where the data is cut into words already, ``words.json`` and ``characters.json`` stand for the tokenizer; where
    something is to be named, ``labels.json`` holds the names; where numbers are read, ``scaling.json`` says how
    they are scaled; ``data.json`` says which files were read; ``drawings.npz`` keeps the drawings that are needed
    after training; ``pretrained/`` says what a run started from, and ``vectors.bin`` holds the word vectors that it
    started from.
    """

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def tokenizer(self) -> Path:
        return self.path / "tokenizer.json"

    @property
    def source_tokenizer(self) -> Path:
        return self.path / "source_tokenizer.json"

    @property
    def words(self) -> Path:
        return self.path / "words.json"

    @property
    def characters(self) -> Path:
        return self.path / "characters.json"

    @property
    def labels(self) -> Path:
        return self.path / "labels.json"

    @property
    def vectors(self) -> Path:
        return self.path / "vectors.bin"

    @property
    def scaling(self) -> Path:
        return self.path / "scaling.json"

    @property
    def drawings(self) -> Path:
        return self.path / "drawings.npz"

    @property
    def data(self) -> Path:
        return self.path / "data.json"

    @property
    def pretrained(self) -> Path:
        return self.path / "pretrained"

    @property
    def learned(self) -> tuple[Path, ...]:
        """The files that the training split alone decides."""
        return (
            self.tokenizer,
            self.source_tokenizer,
            self.words,
            self.characters,
            self.labels,
            self.vectors,
            self.scaling,
            self.drawings,
        )


class Identity(NamedTuple):
    """What config.json says of a run."""

    task: str
    preset: str
    config: dict


def open_run(
    path: str | Path,
    identity: Identity,
    *,
    writer: bool = True,
    kind: type | None = None,
    held: contextlib.ExitStack | None = None,
) -> tuple[RunFolder, Identity]:
    """Make the folder of a new run, or check that this command continues the one that is there.

    A larger ``steps`` alone extends a run, and its schedule keeps the horizon it had; any other difference
    is refused and shown.

    Args:
        path: the run's folder.
        identity: what this command asks for.
        writer: whether this process writes (process 0 of a cluster).
        kind: the dataclass of the configuration, whose defaults stand for what a run of an older version does not say.
        held: keeps the folder from other processes that would write until it is closed; None: nobody does.

    Returns:
        The folder, and the identity with the horizon that holds for it.

    Raises:
        InputError: the folder holds something else, cannot be written, or another process is training in it.
    """
    folder = RunFolder(Path(path))
    check_folder("--out", folder.path)
    if folder.path.is_file():
        raise InputError(f"--out {folder.path}: this is a file, but a folder is wanted. Choose another --out.")
    if folder.config.exists():
        identity = _continued(folder, identity, kind)
    elif strange := _strange(folder):
        names = ", ".join(strange[:3])
        raise InputError(
            f"--out {folder.path}: the folder holds something that is no run ({names}, …), and nothing of it was "
            "touched. Choose another --out."
        )
    else:
        identity = _with_horizon(identity)
    if writer:
        _write(folder, identity, held)
    return folder, identity


def _why_no_run(path: Path) -> str:
    if path.is_dir():
        return "it has no config.json. Try one that training made."
    if path.is_file():
        inside = (path.parent / "config.json").is_file()
        return f"it is a file in one. Try {path.parent}." if inside else "it is a file. Try one that training made."
    try:
        runs = [other.parent.name for other in path.parent.glob("*/config.json")]
    except OSError:
        runs = []
    meant, _, _ = nearest(path.name, runs).partition("Known: ")
    return f"there is no such folder. {meant or 'Try one that training made.'}".rstrip()


def read_run(path: str | Path) -> tuple[RunFolder, Identity]:
    """An existing run, to evaluate or to use."""
    if not str(path):
        raise InputError("the name of a run's folder is empty. Is a variable of the shell not set?")
    folder = RunFolder(Path(path))
    if not folder.config.is_file():
        raise InputError(f"{folder.path}: this is not the folder of a run: {_why_no_run(folder.path)}")
    data = read_json(folder.config)
    if not isinstance(data, dict) or not {"task", "preset", "config"} <= data.keys():
        raise InputError(f"{folder.config}: should be the configuration of a run, but it lacks task, preset or config.")
    for name in ("task", "preset"):
        if not isinstance(data[name], str):
            raise InputError(f"{folder.config}: `{name}` should be a name, but it is {data[name]!r:.60}.")
    return folder, Identity(data["task"], data["preset"], data["config"])


@contextlib.contextmanager
def undone_unless_begun(folder: RunFolder) -> Iterator[None]:
    """Take the folder away again if its run is refused before it has left a number or a checkpoint.

    So the same command, corrected, is not taken for another run in an old folder.
    """
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            if not folder.metrics.exists():
                folder.checkpoints.rmdir()  # which fails, and ends this, if there is a checkpoint
                shutil.rmtree(folder.pretrained, ignore_errors=True)
                for path in (*folder.learned, folder.data, folder.config):
                    path.unlink(missing_ok=True)
                folder.path.rmdir()
        raise


def _strange(folder: RunFolder) -> list[str]:
    """Names of what is in a folder that is no run; a run that was killed as it began has left nothing to speak of."""
    left = {folder.config.name + ".draft"}
    if folder.checkpoints.is_dir() and not any(folder.checkpoints.iterdir()):
        left.add(folder.checkpoints.name)
    found = {path.name for path in folder.path.iterdir()} if folder.path.is_dir() else set()
    return sorted(found - left)


def _continued(folder: RunFolder, wanted: Identity, kind: type | None) -> Identity:
    _, had = read_run(folder.path)
    if had.task != wanted.task:
        raise InputError(
            f"--out {folder.path}: the folder holds a run of another task ({had.task}, not {wanted.task}). "
            "Choose another --out."
        )
    config = json.loads(json.dumps(wanted.config))
    unsaid: set[str] = set()
    if kind is not None:
        filled = _filled(folder, had, wanted, kind)
        unsaid = set(_unsaid(had.config, filled))
        had = had._replace(config=filled)
    horizon = had.config.get("optimizer", {}).get("horizon")
    asked = config.get("optimizer", {})
    if "horizon" in asked and asked["horizon"] is None:
        asked["horizon"] = horizon
    rows = differences(had.config, config)
    if rows and had.preset != wanted.preset:
        rows.insert(0, ("preset", had.preset, wanted.preset))
    if config["steps"] < (least := had.config.get("steps", 0)):
        rows.append(("steps", least, config["steps"]))
    if rows:
        shown = "\n".join(f"  {name}: the run has {old!r}, this command asks for {new!r}" for name, old, new in rows)
        newer = [f"--{name.replace('_', '-')} {old}" for name, old, _ in rows if name in unsaid]
        since = f" The run is older than some flags: add {' '.join(newer)} to go on with it." if newer else ""
        raise InputError(
            f"--out {folder.path}: the folder holds a run with another configuration, and nothing was changed.\n"
            f"{shown}\nChoose another --out, or give the same flags (a larger --steps alone extends the run).{since}"
        )
    return Identity(wanted.task, wanted.preset, config)


def _filled(folder: RunFolder, had: Identity, wanted: Identity, kind: type) -> Any:
    """A run's configuration with what it does not say; as it is, if it is of another preset and another shape."""
    try:
        return json.loads(json.dumps(dataclasses.asdict(from_dict(kind, had.config, where=str(folder.config)))))
    except InputError:
        if had.preset == wanted.preset:
            raise
        return had.config


def _unsaid(had: Any, filled: Any, prefix: str = "") -> Iterator[str]:
    """The dotted names of what a configuration did not say."""
    for name, value in filled.items():
        if name not in had:
            yield prefix + name
        elif isinstance(value, dict) and isinstance(had[name], dict):
            yield from _unsaid(had[name], value, f"{prefix}{name}.")


def _write(folder: RunFolder, identity: Identity, held: contextlib.ExitStack | None) -> None:
    text = json.dumps({"task": identity.task, "preset": identity.preset, "config": identity.config}, indent=2) + "\n"
    try:
        folder.checkpoints.mkdir(parents=True, exist_ok=True)
        if held is not None:
            held.enter_context(locked(folder.path))
        if not folder.config.exists() or folder.config.read_text(encoding="utf-8") != text:
            replace_text(folder.config, text)
    except OSError as error:
        raise InputError(
            f"--out {folder.path}: the folder cannot be written ({error.strerror}). Choose another --out."
        ) from None


def replace_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    draft = path.with_name(path.name + ".draft")
    with open(draft, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def as_identity(task: str, preset: str, config) -> Identity:
    """The identity of a run with this configuration."""
    return Identity(task, preset, json.loads(json.dumps(dataclasses.asdict(config))))


def _with_horizon(identity: Identity) -> Identity:
    """Of a run that begins: where nothing is said, its schedule ends with its steps, and keeps that end."""
    optimizer = identity.config.get("optimizer", {})
    if optimizer.get("horizon", 0) is not None:
        return identity
    return identity._replace(config=identity.config | {"optimizer": optimizer | {"horizon": identity.config["steps"]}})

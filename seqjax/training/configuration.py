"""Configurations as frozen dataclasses: to JSON, strictly back, and what differs between two."""

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar

import jax.numpy as jnp

from seqjax.checks import MOST, InputError, nearest

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What every run has, whatever its task."""

    out: str = ""  # folder of the run; default: runs/TASK-PRESET
    steps: int = 1000  # training steps in all; a larger number continues a finished run
    seed: int = 0  # of weights, data order, dropout and samples
    batch_size: int = 32  # rows of the global batch, over all devices and processes
    accumulate: int = 1  # micro-batches a step: less memory, same result
    precision: Literal["float32", "bfloat16"] = "float32"  # of the computation; parameters stay float32
    average: float = 0.0  # decay of a moving average of the parameters, which is then evaluated; 0: none
    log_every: int = 50  # steps between lines of metrics.jsonl
    evaluate_every: int = 250  # steps between validations, each followed by a checkpoint and a sample
    patience: int = 0  # validations without improvement before training stops; 0: never stops early
    keep: int = 2  # newest checkpoints kept, besides the best
    average_last: int = 0  # newest validated checkpoints whose mean is tested and used; 0: the best one
    max_skipped: int = 20  # steps in a row without a finite gradient before training gives up
    tensorboard: bool = False  # write event files for TensorBoard too (extra `log`)
    distributed: bool = False  # join the other processes of a cluster

    def __post_init__(self):
        for name in ("steps", "batch_size", "accumulate", "log_every", "evaluate_every", "keep", "max_skipped"):
            if not 1 <= getattr(self, name) < MOST:
                flag, wanted = "--" + name.replace("_", "-"), "at least 1" if getattr(self, name) < 1 else "below 2^31"
                raise InputError(f"{flag} should be {wanted}, but it is {getattr(self, name)}.")
        if not 0 <= self.seed < 2**31:
            raise InputError(f"--seed should lie in [0, 2^31), but it is {self.seed}.")
        if not 0 <= self.average < 1:
            raise InputError(f"--average should lie in [0, 1), but it is {self.average}. Try 0.999.")
        if not 0 <= self.average_last <= self.keep:
            raise InputError(
                f"--average-last should lie between 0 and --keep, {self.keep}, but it is {self.average_last}. "
                f"Try --keep {self.average_last}."
            )
        if self.patience < 0:
            raise InputError(f"--patience should be at least 0, but it is {self.patience}.")

    @property
    def compute_dtype(self):
        """The type that parameters are cast to for the computation; None: they are used as they are."""
        return jnp.bfloat16 if self.precision == "bfloat16" else None

    def validates(self, step: int) -> bool:
        """Whether a validation follows this step; after others a checkpoint comes only where a signal stopped the run.

        Example:
            >>> [step for step in range(1, 7) if RunConfig(steps=5, evaluate_every=2).validates(step)]
            [2, 4, 5, 6]
        """
        return step % self.evaluate_every == 0 or step == self.steps


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShowingConfig(RunConfig):
    """A run that shows at each validation what the model makes of some examples."""

    shown: int = 3  # validation examples shown at each validation; 0: none

    def __post_init__(self):
        super().__post_init__()
        if self.shown < 0:
            raise InputError(f"--shown should be at least 0, but it is {self.shown}.")


IDENTITY = ("out", "distributed", "tensorboard", "steps")  # fields that may differ when a run goes on


def from_dict(kind: type[T], data: Any, where: str = "config", base: T | None = None) -> T:
    """Build a dataclass from plain data, strictly: an unknown or ill-typed field is refused.

    Args:
        kind: the dataclass.
        data: a dict, as JSON gives it.
        where: what the refusal calls it.
        base: where fields that ``data`` leaves out come from; by default their own defaults.

    Raises:
        InputError: with the dotted name of the field.

    Example:
        >>> from_dict(RunConfig, {"stpes": 3})
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: config: `stpes` is not a field of RunConfig. Did you mean `steps`? Known: ...
    """
    if not isinstance(data, dict):
        raise InputError(f"{where}: should be an object with the fields of {kind.__name__}, but it is {data!r:.60}.")
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for name in data:
        if name not in names:
            raise InputError(f"{where}: `{name}` is not a field of {kind.__name__}. {nearest(name, names)}")
    given = {} if base is None else {name: getattr(base, name) for name in names}
    for name, value in data.items():
        given[name] = _value(hints[name], value, f"{where}.{name}", given.get(name))
    try:
        return kind(**given)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _value(hint: Any, value: Any, where: str, base: Any = None) -> Any:
    """``value`` as the type ``hint`` says, or an error."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value, where, base)  # type: ignore[arg-type]
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _value(next(a for a in arguments if a is not type(None)), value, where)
    if origin is Literal and value in arguments:
        return value
    if origin is tuple and isinstance(value, list | tuple):
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(kinds) == len(value):
            return tuple(_value(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    if origin is dict and isinstance(value, dict):
        return {str(k): _value(arguments[1], v, f"{where}.{k}") for k, v in value.items()}
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if origin is None and isinstance(hint, type) and type(value) is hint:
        return value
    raise InputError(f"{where}: should be {getattr(hint, '__name__', hint)}, but it is {value!r}.")


def read_json(path: Path) -> Any:
    """The contents of a JSON file, or an error that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once_each)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: this is not readable as JSON ({error}).") from None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, whose last value would count in silence where a name stands twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"`{twice}` is given twice")
    return found


def differences(
    old: dict, new: dict, ignore: tuple[str, ...] = IDENTITY, prefix: str = ""
) -> list[tuple[str, Any, Any]]:
    """Where two nested dicts differ: (dotted name, old value, new value).

    Example:
        >>> differences({"seed": 0, "model": {"layers": 1}}, {"seed": 0, "model": {"layers": 2}})
        [('model.layers', 1, 2)]
    """
    rows: list[tuple[str, Any, Any]] = []
    for name in sorted({*old, *new}):
        if not prefix and name in ignore:
            continue
        a, b = old.get(name), new.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            rows += differences(a, b, ignore, f"{prefix}{name}.")
        elif json.dumps(a) != json.dumps(b):
            rows.append((prefix + name, a, b))
    return rows

"""Flags to a configuration: tyro's reading, our refusals."""

import contextlib
import dataclasses
import io
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from seqjax.checks import InputError

NAMES = re.compile(r"^$|(path|[-.]out|[-.]run)$")  # what stands alone, and the flags that name files and folders
LEAST_COLUMNS = 20  # of the terminal that help is laid out for


def parse_flags(kind: type, arguments: Sequence[str], *, program: str, description: str | None = None, default=None):
    """Read ``arguments`` as an object of the dataclass ``kind``; its fields without a default are positional.

    Args:
        kind: a dataclass.
        arguments: words of the command line.
        program: what ``--help`` calls it.
        description: what ``--help`` says; by default the docstring of ``kind``.
        default: an object of ``kind`` that flags change; by default what its fields say.

    Raises:
        InputError: a value that ``kind`` itself refuses, in its own words, but its fields by their flags.
        SystemExit: ``--help`` (0), or a flag that is unknown or cannot be read (2, and tyro says which was meant).

    Example:
        >>> import dataclasses
        >>> Size = dataclasses.make_dataclass("Size", [("width", int, 3)])
        >>> parse_flags(Size, ["--width", "5"], program="size")
        Size(width=5)
    """
    import tyro

    _check_names(arguments)
    said = io.StringIO()
    given = {} if default is None else {"default": default}
    try:
        with contextlib.redirect_stderr(said), _wide_enough():
            return tyro.cli(
                kind, args=list(arguments), prog=program, description=description or kind.__doc__,
                config=(tyro.conf.PositionalRequiredArgs,), **given,
            )  # fmt: skip
    except SystemExit as end:
        refusal = _refusal(end)
        if refusal is not None:
            raise by_flag(refusal, kind if default is None else default) from None
        print(said.getvalue(), end="", file=sys.stderr)
        raise


def _check_names(arguments: Sequence[str]) -> None:
    """Refuse empty names of files and folders: each would be the folder that the command is called in, or none."""
    flag = ""
    for word in arguments:
        named = word.startswith("--")
        flag, equals, value = word.partition("=") if named else (flag, "", word)
        if (equals or not named) and not value and NAMES.search(flag):
            raise InputError(f"{flag or 'an argument'} is an empty name. Is a variable of the shell not set?")


@contextlib.contextmanager
def _wide_enough():
    """Help is laid out for some columns at least: in a single one, tyro never ends."""
    before = os.environ.get("COLUMNS")
    if shutil.get_terminal_size().columns >= LEAST_COLUMNS:
        yield
        return
    os.environ["COLUMNS"] = str(LEAST_COLUMNS)
    try:
        yield
    finally:
        os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before)


def _refusal(error: BaseException | None) -> InputError | None:
    """The refusal that tyro caught and put in a box of its own, if it was one of ours."""
    while error is not None and not isinstance(error, InputError):
        error = error.__context__
    return error


def by_flag(error: InputError, config: Any) -> InputError:
    """The same refusal of a part of ``config``, whose fields are called by their flags.

    Example:
        >>> from seqjax.tasks.lm import CHARACTERS
        >>> str(by_flag(InputError("LanguageModelConfig: `features` should be at least 1."), CHARACTERS))
        '--model.features should be at least 1.'
        >>> str(by_flag(InputError("LanguageModelConfig: no. Try cell='gru' or tied=False."), CHARACTERS))
        'model: no. Try --model.cell gru or --model.no-tied.'
    """
    where, _, said = str(error).partition(": ")
    parts = [(path, part) for path, part in _parts(config) if path]
    found = [(path, part) for path, part in parts if where in (path, *_names(part))]
    if where.endswith("Config") and not found:  # of what the model's part makes of itself
        found = [(path, part) for path, part in parts if path == "model"]
    if len(found) != 1:
        return error
    path, part = found[0]
    for field in dataclasses.fields(part):
        flag, name = f"--{path}.{field.name.replace('_', '-')}", re.escape(field.name)
        said = re.sub(rf"(?<!Did you mean )`{name}`", flag, said)
        said = re.sub(rf"\b{name}=False\b", f"--{path}.no-{field.name.replace('_', '-')}", said)
        said = re.sub(rf"\b{name}=(['\"]?)([\w.-]*\w)\1", rf"{flag} \2", said).replace(f"{flag} True", flag)
    return InputError(said if said.startswith("--") else f"{path}: {said}")


def _names(part: Any) -> list[str]:
    """Of its dataclass and of those that it is made from."""
    return [kind.__name__ for kind in type(part).__mro__ if dataclasses.is_dataclass(kind)]


def _parts(config: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every dataclass in ``config``, a dataclass or an object of one, by its dotted name."""
    yield path, config
    for field in dataclasses.fields(config):
        value = getattr(config, field.name, None)
        if dataclasses.is_dataclass(value):
            yield from _parts(value, f"{path}.{field.name}".lstrip("."))

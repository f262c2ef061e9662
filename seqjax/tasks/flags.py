"""Flags to a configuration: tyro's reading, our refusals."""

import contextlib
import io
import os
import shutil
import sys
from collections.abc import Sequence

from seqjax.checks import InputError

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
        InputError: a value that ``kind`` itself refuses, in its own words.
        SystemExit: ``--help`` (0), or a flag that is unknown or cannot be read (2, and tyro says which was meant).

    Example:
        >>> import dataclasses
        >>> Size = dataclasses.make_dataclass("Size", [("width", int, 3)])
        >>> parse_flags(Size, ["--width", "5"], program="size")
        Size(width=5)
    """
    import tyro

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
            raise refusal from None
        print(said.getvalue(), end="", file=sys.stderr)
        raise


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

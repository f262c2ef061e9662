"""One training at a time in the folder of a run: two would write over each other's record and checkpoints."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from seqjax.checks import InputError

try:
    import fcntl
except ImportError:  # not on Windows, where nothing is locked
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder until the end, which a kill is too; nothing is written for it.

    Where the system locks no folder, as on some that are shared over a network, nothing is held.

    Raises:
        InputError: another process holds it.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with locked(folder), locked(folder):
        ...     pass
        Traceback (most recent call last):
        ...
        seqjax.checks.InputError: --out ...: another process is training in this folder. Wait for it, or ...
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"--out {folder}: another process is training in this folder. Wait for it, or choose another --out."
                ) from None
        yield
    finally:
        os.close(handle)

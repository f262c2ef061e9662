"""The process of a command: what is set before JAX begins, and how it ends.

Ours is one message and an exit code for what is refused, memory that stays, and compiled programs that are remembered.
"""

import ctypes
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

from seqjax.checks import InputError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # names of glibc's malloc.h
SMALL_LOOP = 1 << 20  # bytes that a loop may hold and still be compiled as one function, on one core


def exit_with(function: Callable[[list[str]], int | None], arguments: list[str]) -> None:
    """Run a command; a refusal is one message on standard error and exit code 2, without a traceback."""
    open_what_is_closed()
    prepare_process()
    write_any_text()
    try:
        code = function(arguments) or 0
        sys.stdout.flush()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:  # a full disk, a folder that was taken away
        if error.strerror is None:
            raise
        print(f"error: {error.filename or 'the system refused'}: {error.strerror}.", file=sys.stderr)
        code = 2
    sys.exit(code)


def open_what_is_closed() -> None:
    """Where standard input, output or errors are closed, as by some who start processes: read and write nothing."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115


def prepare_process() -> None:
    """Keep freed memory, compile small loops whole, and remember compiled programs between processes.

    Programs are kept in the user's cache folder unless JAX is told otherwise.
    """
    keep_memory()
    compile_small_loops_whole()
    import jax

    folder = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if getattr(jax.config, "jax_compilation_cache_dir", None) is None and not folder.startswith("~"):  # there is a home
        jax.config.update("jax_compilation_cache_dir", str(Path(folder) / "seqjax" / "compiled"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def write_any_text() -> None:
    """Let what is printed be any text: UTF-8 in a file or a pipe, escapes on a terminal that knows less."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower().replace("-", "") != "utf8":
            if stream.isatty():
                stream.reconfigure(errors="backslashreplace")
            else:
                stream.reconfigure(encoding="utf-8", errors=stream.errors)


def keep_memory() -> None:
    """Have glibc keep large blocks for the next step, where it would give each back to the system and ask again.

    Without this, a seventh to a quarter of a training step on CPU is the kernel clearing pages
    (benchmarks/RESULTS.md). One arena more than cores: in a single one threads wait for each other, and each has more
    free blocks to search; in many, what one thread freed is of no use to the next. Other systems' allocators are left
    as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no glibc
        return
    mallopt(M_ARENA_MAX, len(os.sched_getaffinity(0)) + 1)
    mallopt(M_MMAP_THRESHOLD, 1 << 30)
    mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)


def compile_small_loops_whole() -> None:
    """Have XLA compile a small loop on CPU as one function, where it would hand every step from kernel to kernel.

    A small recurrence at batch 1 is such a loop (benchmarks/RESULTS.md). Such a function runs on one core, so it is
    done only where weights are few: above, several cores are worth more. Loops whose products are of matrix by matrix
    stay as they are. An option of XLA that it only reads before its first program; where the user gives such options
    already, theirs stand alone.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    names_a_file = flags and not flags.lstrip().startswith("-")
    if "xla_backend_extra_options" not in flags and not names_a_file:
        option = f"--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold={SMALL_LOOP}"
        os.environ["XLA_FLAGS"] = f"{flags} {option}".strip()

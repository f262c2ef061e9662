"""What a command tells its process before JAX begins."""

import os
import subprocess
import sys

import jax
import pytest

from seqjax.process import compile_small_loops_whole, prepare_process

OPTION = "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=1048576"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (None, OPTION),
        ("--xla_cpu_enable_fast_math=false", f"--xla_cpu_enable_fast_math=false {OPTION}"),
        (OPTION, OPTION),
        ("--xla_backend_extra_options=theirs=1", "--xla_backend_extra_options=theirs=1"),
        ("flags.txt", "flags.txt"),  # XLA reads them there
    ],
)
def test_small_loops_are_compiled_whole_unless_the_user_says_otherwise(given, wanted, monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    if given is not None:
        monkeypatch.setenv("XLA_FLAGS", given)
    compile_small_loops_whole()
    assert os.environ["XLA_FLAGS"] == wanted


LOOP = """
import sys
from seqjax.process import prepare_process
prepare_process()
import jax, jax.numpy as jnp
matrix, zeros = jnp.eye(384), jnp.zeros((1, 384))
loop = jax.jit(lambda x: jax.lax.fori_loop(0, 9, lambda _, x: x @ matrix + 1, x)).lower(zeros).compile()
assert float(loop(zeros)[0, 0]) == 9
print("small_call" in loop.as_text())
"""


def test_xla_takes_the_option(tmp_path):
    """In a process of its own: XLA reads it once. A compiled loop is marked by the compiler as one function."""
    environment = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    environment["XDG_CACHE_HOME"] = str(tmp_path)
    made = subprocess.run([sys.executable, "-c", LOOP], capture_output=True, text=True, env=environment, check=True)
    assert made.stdout.split() == ["True"], made.stderr


def said_by(*words, **environment) -> subprocess.CompletedProcess:
    """A command in a process of its own, in a poorer environment than ours."""
    poor = {key: value for key, value in os.environ.items() if key not in ("HOME", "XDG_CACHE_HOME")}
    program = [sys.executable, "-c", "from seqjax.cli import main; main()"]
    return subprocess.run([*program, *words], capture_output=True, env=poor | environment, timeout=120)


@pytest.mark.parametrize("words", ["--help 1>&-", "nonsense 1>&- 2>&-", "score nowhere 0<&-"])
def test_what_is_closed_is_nothing_to_write_to_or_read_from(words):
    """As some leave it who start processes: cron, services."""
    program = f"'{sys.executable}' -c 'from seqjax.cli import main; main()' {words}"
    done = subprocess.run(program, shell=True, capture_output=True, text=True, timeout=120)
    assert done.returncode == (0 if "help" in words else 2)
    assert "Traceback" not in done.stderr


def test_any_text_is_printed_where_the_locale_knows_less():
    said = said_by("--help", PYTHONIOENCODING="ascii")
    assert said.returncode == 0, said.stderr
    assert "…" in said.stdout.decode("utf-8")


def test_a_narrow_terminal_gets_help_too():
    said = said_by("train", "--help", COLUMNS="1")
    assert said.returncode == 0
    assert b"--steps" in said.stdout


def test_no_home_is_no_cache(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as it is where there is no home
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        prepare_process()
        assert jax.config.jax_compilation_cache_dir is None
    finally:
        jax.config.update("jax_compilation_cache_dir", before)

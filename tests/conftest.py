"""Set the machine up before jax is imported: four devices on the host, and a compilation cache.

XLA's collectives need more threads than a small machine has cores: without NPROC they time out.
Tests compile more than they compute: XLA is told to optimise little, to leave out its kernel generator by way of
MLIR, and to keep a program in one module of LLVM, which makes compiling three times cheaper. Small loops are compiled
whole, as commands have it.
"""

import gc
import importlib.metadata
import os
import pathlib
import tempfile

FLAGS = [
    "force_host_platform_device_count=4", "cpu_parallel_codegen_split_count=1",
    "backend_extra_options=xla_cpu_small_while_loop_byte_threshold=1048576",
]  # fmt: skip
if importlib.metadata.version("jaxlib").startswith("0.10."):  # a flag that XLA does not know ends the process
    FLAGS.append("cpu_use_fusion_emitters=false")

given = os.environ.get("XLA_FLAGS", "")  # or a file's name, which cannot be added to
os.environ["XLA_FLAGS"] = " ".join([given] * given.startswith("-") + [f"--xla_{flag}" for flag in FLAGS])
os.environ.setdefault("NPROC", "16")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", os.path.join(tempfile.gettempdir(), "seqjax-test-cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "1.0")  # writing takes twice as long
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")  # lowering need not say where each operation was written

gc.set_threshold(100_000, 20, 20)  # tracing makes many small objects: a tenth of the time was spent searching them

from jaxtyping import install_import_hook

install_import_hook(["seqjax.cells", "seqjax.ops", "seqjax.layers", "seqjax.decoding"], "beartype.beartype")

import jax
import pytest
from compile_less import PROGRAMS, compile_less

jax.config.update("jax_default_matmul_precision", "highest")
compile_less()


@pytest.fixture
def strictly():
    """JAX as careful users set it: no axis and no type of an array is promoted but where the code says so."""
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


LONG = ["notebooks", "two_processes", "resume", "cli", "models", "translate", "pair_models"]


def pytest_collection_modifyitems(items):
    """Long files are begun first, lest one worker end alone. (One worker runs a file: its tests share programs.)"""
    places = {f"test_{name}.py": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


def pytest_collection_finish(session):
    """What was imported stays: it need not be searched again."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish():
    """At the end pytest collects garbage five times: not among all that was ever compiled."""
    gc.freeze()


PAGES = 25_000  # mapped regions a process may gather; Linux allows 65,530


def pytest_runtest_teardown(item, nextitem):
    """Between files, forget what was compiled when it is much: every program keeps regions of memory mapped."""
    if nextitem is not None and nextitem.path == item.path:
        return
    maps = pathlib.Path("/proc/self/maps")
    if not maps.exists() or maps.read_bytes().count(b"\n") > PAGES:
        jax.clear_caches()
        PROGRAMS.clear()

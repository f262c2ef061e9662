"""The house itself: who may import whom, how long a file may be, and whether what the README says is so."""

import ast
import functools
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import seqjax

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "seqjax"
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = {  # who may be imported from where; `checks` and `version` by all
    "checks": set(),
    "version": set(),
    "spread": set(),
    "precision": set(),
    "cells": {"spread", "precision"},
    "ops": {"spread", "precision"},
    "decoding": {"spread", "cells", "ops"},
    "layers": {"precision", "cells", "ops", "decoding"},
    "models": {"spread", "precision", "cells", "ops", "decoding", "layers"},
    "data": set(),
    "training": {"spread", "precision", "ops"},
    "plots": {"cells", "ops"},
    "interop": set(),
    "tasks": {"cells", "ops", "decoding", "layers", "models", "data", "training", "plots", "interop"},
    "process": set(),
    "cli": {"process", "tasks", "training", "ops"},
    "__init__": {"cells"},
}
OUTSIDE = {  # libraries that only these rooms may see
    "flax": {"layers", "models", "tasks"},
    "jax": set(ROOMS) - {"data", "interop", "checks", "version"},
    "optax": {"training", "ops"},  # of ops for the loss of CTC
    "orbax": {"training"},
    "tokenizers": {"data"},
    "grain": {"data"},
    "babel": {"data"},
    "tyro": {"tasks", "cli"},
    "matplotlib": {"plots"},
    "safetensors": {"interop"},
    "torch": set(),
    "tensorflow": set(),
}
named = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """A file as a syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def room_of(path: Path) -> str:
    """The first folder or file below seqjax/."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree: ast.Module) -> set[str]:
    """Dotted names of all that is imported anywhere in a file."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports should be absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@named
def test_a_room_reaches_only_where_it_may(path):
    room = room_of(path)
    assert room in ROOMS, f"{room} is a room that DESIGN.md does not know"
    for name in imported(tree_of(path)):
        first, *rest = name.split(".")
        if first == "seqjax" and rest and (PACKAGE / rest[0]).exists() | (PACKAGE / f"{rest[0]}.py").exists():
            allowed = ROOMS[room] | {room, "checks", "version"}
            assert rest[0] in allowed, f"{room} may not import {name}"
        assert room in OUTSIDE.get(first, ROOMS), f"{room} may not import {name}"


def functions(tree: ast.Module):
    """Every function of a file, those inside others too."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def lines_of(function) -> int:
    """Lines of a function without its docstring, which may be as long as it needs to be."""
    documentation = function.body[0] if ast.get_docstring(function) else None
    told = documentation.end_lineno - documentation.lineno + 1 if documentation else 0
    return function.end_lineno - function.lineno + 1 - told


@named
def test_a_file_keeps_to_its_budget(path):
    assert path.stem not in ("utils", "helpers", "common")
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
    assert {function.name for function in functions(tree_of(path)) if lines_of(function) > 60} == set()


def test_the_median_function_is_short():
    assert statistics.median(lines_of(f) for path in FILES for f in functions(tree_of(path))) <= 12


def test_the_script_to_read_first_is_short():
    assert len((ROOT / "train.py").read_text(encoding="utf-8").splitlines()) <= 150


def undocumented(body, prefix: str = "") -> list[str]:
    """Public classes, functions and methods without a docstring."""
    found = []
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        small = any(isinstance(d, ast.Name) and d.id in ("property", "overload") for d in node.decorator_list)
        if ast.get_docstring(node) is None and not small and not is_record(node):
            found.append(prefix + node.name)
        if isinstance(node, ast.ClassDef):
            found += undocumented(node.body, f"{prefix}{node.name}.")
    return found


def is_record(node) -> bool:
    """Whether a class is a NamedTuple whose fields all say themselves what they are."""
    bases = [base.id for base in getattr(node, "bases", []) if isinstance(base, ast.Name)]
    return bases == ["NamedTuple"] and all(isinstance(field, ast.AnnAssign) for field in node.body)


@named
def test_everything_public_is_documented(path):
    tree = tree_of(path)
    assert ast.get_docstring(tree), "a file should say what it is"
    assert undocumented(tree.body) == []


def test_the_version_is_a_number_of_three_parts():
    assert re.fullmatch(r"\d+\.\d+\.\d+([a-z]+\d+)?", seqjax.__version__)


def test_the_package_is_typed():
    assert (PACKAGE / "py.typed").exists()


def test_importing_the_package_is_light():
    heavy = "flax", "optax", "orbax", "grain", "tokenizers", "matplotlib", "tyro"
    code = f"import sys, seqjax; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def blocks(language: str) -> list[str]:
    """Fenced blocks of the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_readme_gives_the_two_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "pip install -e . && python train.py" in text
    assert "pip install -e '.[test]' && pytest" in text


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = blocks("python")
    assert found
    names: dict = {"__name__": "readme"}
    for number, block in enumerate(found, start=1):
        exec(compile(block, f"README.md, python block {number}", "exec"), names)


ORACLES = {"torch", "keras", "transformers", "gensim", "torchcrf"}  # what the extra `oracle` installs


@pytest.mark.parametrize("path", sorted((ROOT / "tests").glob("*.py")), ids=lambda path: path.stem)
def test_an_oracle_that_is_not_installed_is_skipped(path):
    """The README's test command installs none: ``pytest.importorskip`` is the only way to one."""
    assert {name.split(".")[0] for name in imported(tree_of(path))} & ORACLES == set()

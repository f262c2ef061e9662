"""The notebooks are committed clean, and run from top to bottom, where the extra ``notebooks`` is installed.

A worker's notebooks run in one kernel, one after the other, each from an empty namespace: what one has imported and
compiled, the next need not.
"""

import json
import os
import pathlib

import pytest

FOLDER = pathlib.Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SECONDS = 300  # far more than any needs at toy size: what hangs is stopped

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path):
    """``(id, source)`` of each, as plain Python: magics are for people who look."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            lines = "".join(cell["source"]).splitlines()
            yield cell["id"], "\n".join("" if line.startswith("%") else line for line in lines)


AFRESH = """
import os
import matplotlib
os.chdir({folder!r})
matplotlib.rcdefaults()
get_ipython().reset()
"""  # leaves no name behind, not even these


@pytest.fixture(scope="module")
def kernel():
    """A kernel that the notebooks of this worker share."""
    for name in ("nbclient", "nbformat", "ipykernel"):
        pytest.importorskip(name, reason="the extra `notebooks` is not installed")
    import nbclient
    import nbformat

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQJAX_TOY", "1")
        flags = os.environ.get("XLA_FLAGS", "").split()
        patch.setenv("XLA_FLAGS", " ".join(flag for flag in flags if "device_count" not in flag))  # one, as at home
        client = nbclient.NotebookClient(nbformat.v4.new_notebook())
        with client.setup_kernel():
            yield client.km


def run_in_kernel(kernel, path, folder):
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(AFRESH.format(folder=str(folder))))
    nbclient.NotebookClient(notebook, km=kernel, timeout=SECONDS).execute()
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def test_the_lectures_are_numbered_from_one_without_a_gap():
    assert [path.stem[:2] for path in NOTEBOOKS] == [f"{number:02d}" for number in range(1, len(NOTEBOOKS) + 1)]


@each_notebook
def test_a_notebook_runs_from_top_to_bottom(path, kernel, tmp_path):
    outputs = run_in_kernel(kernel, path, tmp_path)
    assert any("image/png" in output.get("data", {}) for output in outputs), "no figure was shown"
    assert list(tmp_path.iterdir()) == [], "a notebook leaves no files behind"


@each_notebook
def test_a_notebook_is_committed_clean(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert len({cell["id"] for cell in cells}) == len(cells)


@each_notebook
def test_every_code_cell_follows_some_text_and_imports_only_what_seqjax_installs(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert cells[0]["cell_type"] == "markdown"
    allowed = {"os", "textwrap", "time", "jax", "numpy", "optax", "flax", "seqjax"}
    words = [line.split() for _, source in code_cells(path) for line in source.splitlines()]
    imported = {line[1].split(".")[0] for line in words if line[:1] in (["import"], ["from"])}
    assert imported <= allowed, f"{path.name} imports {imported - allowed}"

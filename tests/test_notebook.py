"""The example notebook is as it was run, and runs again at a tiny size."""

import re
from pathlib import Path

import nbclient
import nbformat

NOTEBOOK = Path(__file__).parents[1] / "docs" / "first_sweep.ipynb"
TINY = {
    '"add", 29': '"add", 7',
    "width=48": "width=8",
    "1_500": "20",
    "every:25": "every:10",
    "[0.5, 0.6, 0.7, 0.8]": "[0.7, 0.8]",
}
FIGURES = ("gj.plot.curves(", "gj.plot.heatmap(", "plt.bar(")


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def cell_with(notebook, text):
    (cell,) = [cell for cell in code_cells(notebook) if text in cell.source]
    return cell


def kinds(cell):
    """The kinds of data that a cell's outputs have."""
    return [kind for output in cell.outputs for kind in output.get("data", {})]


def text(outputs):
    return "".join(output.get("text", "") or output.data["text/plain"] for output in outputs)


def bar(notebook):
    """What the one progress bar of a notebook says, without its colours."""
    (output,) = [o for o in cell_with(notebook, "gj.sweep(").outputs if o.output_type == "display_data"]
    assert "<pre" in output.data["text/html"]
    return re.sub(r"\x1b\[[^m]*m", "", output.data["text/plain"])


def test_the_notebook_holds_what_its_cells_gave():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert [cell.execution_count for cell in code_cells(notebook)] == list(range(1, len(code_cells(notebook)) + 1))
    assert all(kinds(cell_with(notebook, figure)).count("image/png") == 1 for figure in FIGURES)
    assert bar(notebook).startswith("16/16 runs") and "key frequencies: [" in text(cell_with(notebook, "plt.").outputs)
    assert NOTEBOOK.stat().st_size < 300_000


def test_the_notebook_runs_and_shows_one_bar_and_every_figure(tmp_path, monkeypatch):
    monkeypatch.delenv("MPLBACKEND")  # so that the kernel has its own
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    whole = "".join(cell.source for cell in code_cells(notebook))
    assert all(whole.count(words) == 1 for words in TINY)
    for cell in code_cells(notebook):
        cell.outputs = []
        for words, small in TINY.items():
            cell.source = cell.source.replace(words, small)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert bar(notebook).startswith("8/8 runs")
    assert all(kinds(cell_with(notebook, figure)).count("image/png") == 1 for figure in FIGURES)
    assert (tmp_path / "first_sweep.npz").exists() and (tmp_path / "first_sweep.html").exists()

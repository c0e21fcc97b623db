"""The notebook runs from its first cell to its last on a results folder, and shows what it says."""

import os

import nbformat
import pytest
from nbclient import NotebookClient

from analysis.reading.original import import_results
from raysweep.ledger.opening import open_ledger
from tests.analysis.original_files import SAMPLE, write_files
from tests.conftest import ROOT


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_the_notebook_shows_answers_tables_and_plots(tmp_path, monkeypatch):
    import_results(open_ledger(tmp_path / "results"), [write_files(SAMPLE, tmp_path / "files")])
    monkeypatch.setenv("RAYSWEEP_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(ROOT / "notebooks" / "results.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) == 11
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    shown = [
        {kind for out in cell.outputs if out.output_type == "execute_result" for kind in out["data"]} for cell in code
    ]
    assert ["text/html" in kinds for kinds in shown] == [False] + [True] * 6 + [False] * 4
    assert ["image/png" in kinds for kinds in shown] == [False] * 7 + [True] * 4
    pages = [out["data"].get("text/html", "") for cell in code for out in cell.outputs]
    assert any("Do wavelets help 3b_cmod_L4 at 10 % of the training images?" in page for page in pages)

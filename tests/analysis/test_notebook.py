"""The notebook runs from its first cell to its last on a results folder, and shows what it says."""

import os
from dataclasses import replace

import nbformat
import pytest
from nbclient import NotebookClient

from analysis.notebook import answers, compare, run
from analysis.reading.importing import import_results
from analysis.reading.results import Results
from raysweep.ledger.opening import open_ledger
from tests.analysis.original_files import SAMPLE, write_files
from tests.analysis.sweeps import frame, question, runs_of
from tests.conftest import ROOT


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_the_notebook_shows_answers_tables_and_plots(tmp_path, monkeypatch):
    import_results(open_ledger(tmp_path / "results"), [write_files(SAMPLE, tmp_path / "files")])
    monkeypatch.setenv("RAYSWEEP_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(ROOT / "notebooks" / "results.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) == 13
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    shown = [
        {kind for out in cell.outputs if out.output_type == "execute_result" for kind in out["data"]} for cell in code
    ]
    assert ["text/html" in kinds for kinds in shown] == [False] + [True] * 12
    pages = [out["data"].get("text/html", "") for cell in code for out in cell.outputs]
    assert any("Do wavelets help 3b_cmod_L4 at 10 % of the training images?" in page for page in pages)
    assert sum("data:image/png" in page and "<figcaption>" in page for page in pages) == 4


def test_two_arms_and_one_run_are_shown_in_one_line(tmp_path):
    rows = [*runs_of("A", (60.0, 62.0), config={"L": 4}), *runs_of("C", (70.0, 72.0), config={"L": 8})]
    results = Results(frame=frame(*rows))
    found = compare("A", "C", results).frame.set_index("field")
    assert found.loc["L", ["A", "C"]].tolist() == [4, 8]
    assert found.loc["head_acc", ["A", "C", "change"]].tolist() == [61.0, 71.0, 10.0]
    assert "seed" not in found.index
    one = run("A-s1").frame.set_index("field")["value"]
    assert one["head_acc"] == 62.0
    assert '<b style="color:' in answers(replace(results, questions=[question()]))._repr_html_()


@pytest.mark.parametrize(
    ("name", "said"), [("AA", "the nearest is 'A'"), ("A", "A has 2 runs: A-s0-digits, A-s1-digits")]
)
def test_a_run_that_is_not_there_is_named_with_the_nearest(name, said):
    with pytest.raises(KeyError, match=said):
        run(name, Results(frame=frame(*runs_of("A", (60.0, 62.0)))))

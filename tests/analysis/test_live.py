"""The report that is refreshed while a sweep runs: when it is made anew, what it shows, and what it leaves alone."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time

import pytest

from analysis.report import live
from analysis.report.live import refresh
from raysweep.ledger import LedgerError, keep_code, last_change, open_ledger
from tests.conftest import ROOT

WRITTEN = ROOT / "tests" / "data" / "results_of_7efbacf"
SECTION = '<section id="live" data-alive="true" data-written="2026-01-01T00:00:00+00:00">\n{}</section>\n'


@pytest.fixture
def results(tmp_path):
    """A folder in which no run has ended, whose page is quickly made, as if nothing had changed in it for an hour."""
    folder = tmp_path / "results"
    (folder / "records").mkdir(parents=True)
    (folder / "plan.json").write_text("[]")
    settle(folder)
    return folder


def settle(folder) -> None:
    """Let all that is reported be an hour old."""
    for file in [*folder.iterdir(), folder / "records"]:
        if file.name != "report.html":
            os.utime(file, (time.time() - 3600,) * 2)


@pytest.fixture
def made(monkeypatch):
    """Counts how often a whole page was made."""
    counted, make = [], live._write_page
    monkeypatch.setattr(live, "_write_page", lambda *args: (counted.append(1), make(*args)))
    return counted


def test_the_report_shows_the_results_and_what_runs_and_nobody_has_looked(tmp_path):
    folder = tmp_path / "results"
    shutil.copytree(WRITTEN, folder)
    page = refresh(str(folder), SECTION.format("two of three")).read_text()
    assert page.count('<section id="live"') == 1
    assert "two of three" in page
    assert "data:image/png;base64," in page
    assert "2 runs (2 finished)" in page
    assert {file.name for file in folder.iterdir()} - {file.name for file in WRITTEN.iterdir()} == {
        "report.html",
        "pages",
    }


def test_between_two_results_only_the_live_section_is_replaced(results, made):
    first = refresh(str(results), SECTION.format("one")).read_text()
    second = refresh(str(results), SECTION.format("two \\1 \\g<0>")).read_text()
    assert second == first.replace("one</section>", "two \\1 \\g<0></section>")
    last = refresh(str(results)).read_text()
    assert last == first.replace(SECTION.format("one"), "")
    assert refresh(str(results)).read_text() == last
    assert len(made) == 1


def test_a_new_record_and_a_sweep_that_begins_again_make_the_page_anew(results, made):
    refresh(str(results))
    (results / "records" / "new.json").write_text("{}")
    assert f"damaged record, left out: {results}/records/new.json" in refresh(str(results)).read_text()
    settle(results)
    os.utime(results / "report.html", (time.time() - 1800,) * 2)
    refresh(str(results))
    assert len(made) == 2
    refresh(str(results), SECTION.format("again"))
    assert len(made) == 3


def test_what_came_in_the_very_moment_of_a_refresh_is_seen_by_the_next_one(results, made):
    """Where a file system counts in seconds, a second record bears the time of the first."""
    os.utime(results / "records")
    refresh(str(results))
    assert (results / "report.html").stat().st_mtime_ns < last_change(results)
    refresh(str(results))
    assert len(made) == 2


def test_a_folder_without_any_result_has_a_report_of_what_runs(tmp_path):
    (tmp_path / "plan.json").write_text("[]")
    assert "first run" in refresh(str(tmp_path), SECTION.format("first run")).read_text()


def test_an_object_store_is_refused_in_a_line():
    with pytest.raises(LedgerError, match="--out DIR` leaves a report in one"):
        refresh("memory://bucket/results")


def test_a_reader_finds_a_whole_page_at_any_time(results):
    refresh(str(results), SECTION.format("0"))
    wrong, done = [], threading.Event()

    def read() -> None:
        while not done.is_set():
            text = (results / "report.html").read_text()
            if not text.endswith("</html>\n") or text.count("</section>") < 1:
                wrong.append(len(text))

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(30):
        refresh(str(results), SECTION.format(n))
    done.set()
    reader.join()
    assert wrong == []
    assert not [file for file in results.iterdir() if file.name.endswith(".tmp")]


def command(*args: object, told: str = "") -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-m", "analysis.report.live", *map(str, args)]
    return subprocess.run(words, input=told, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_reads_the_section_from_its_input_and_loads_little_to_replace_it(results):
    refresh(str(results), SECTION.format("before"))
    ran = command(results, told=SECTION.format("Größe ✓"))
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert "Größe ✓" in (results / "report.html").read_text()
    code = f"import sys; from analysis.report.live import refresh; refresh({str(results)!r}, '')"
    code += "; assert not {'pandas', 'matplotlib', 'torch', 'ray'} & sys.modules.keys()"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_failure_is_one_line(tmp_path):
    (tmp_path / "file").write_text(json.dumps({}))
    ran = command(tmp_path / "file")
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: ")
    assert ran.stderr.count("\n") == 1


def test_a_copy_of_the_code_which_sweeps_run_from_makes_the_report(tmp_path):
    results = tmp_path / "results"
    shutil.copytree(WRITTEN, results)
    store = open_ledger(tmp_path / "elsewhere").store
    code = keep_code(store, None)
    command = [sys.executable, "-m", "analysis.report.live", str(results)]
    made = subprocess.run(
        command, cwd=code.folder, env={**os.environ, "PYTHONPATH": str(code.folder)}, capture_output=True
    )
    assert (made.returncode, made.stderr) == (0, b"")
    assert "Provenance" in (results / "report.html").read_text()
    assert (results / "pages" / "page.js").is_file()

"""The report of a whole sweep, while it runs and when it is over."""

import re
import signal
import time

import pytest

from raysweep import load_results
from raysweep.running import supervisor
from tests.analysis.report import browser
from tests.conftest import run_sweep
from tests.raysweep.sweeps import CHEAP, background, gone_within, wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SEVERAL = (*CHEAP[:-1], "0-199", "--slots", "1", "--set", "epochs=40")


def first_report(folder, process, lines):
    """Waits for the report of a sweep that runs. Returns its file."""
    page = folder / "report.html"
    wait_for(lines, "finished")
    until = time.monotonic() + 300  # on a busy machine: it has only what others leave of it
    while not page.exists():
        assert process.poll() is None, "the sweep was over before there was a report"
        assert time.monotonic() < until
        time.sleep(0.1)
    return page


def test_a_report_is_there_while_the_sweep_is_alive_and_after_ctrl_c_one_that_shows_all_and_nothing_that_runs(tmp_path):
    folder = tmp_path / "results"
    with background(*SEVERAL, "--results", folder) as (process, lines):
        page = first_report(folder, process, lines)
        during = page.read_text()
        ours = [pid for pid, _ in supervisor.descendants({process.pid})]
        process.send_signal(signal.SIGINT)
        rest = "".join(lines)
        assert process.wait(timeout=120) == 130, rest
    assert '<section id="live" data-alive="true"' in during
    assert re.search(r"\d of 200 done", during)
    assert gone_within(15, ours)
    assert "report.html is not up to date" not in rest
    after = page.read_text()
    assert '<section id="live"' not in after
    n = len(load_results(folder))
    assert f"{n} runs ({n} finished)" in after
    assert not [file.name for file in folder.iterdir() if file.name.endswith(".tmp")]


@pytest.mark.skipif(browser.path() is None, reason="no Chromium on this machine (Debian's package chromium)")
def test_the_page_of_a_sweep_reloads_itself_as_runs_end_and_keeps_what_was_unfolded_and_sorted(tmp_path):
    folder = tmp_path / "results"
    with background(*SEVERAL, "--results", folder) as (process, lines):
        file = first_report(folder, process, lines)
        with browser.opened(file) as watched:
            page = watched.page
            page.locator("#every-run summary").click()
            seed = page.locator("#run-table th", has_text=re.compile("^seed$"))
            seed.click()
            seed.click()

            def seeds() -> list[int]:
                runs = page.locator("#run-table tbody tr td:first-child").all_text_contents()
                return [int(run.split("-s")[1].split("-")[0]) for run in runs]

            first = seeds()
            assert first == sorted(first, reverse=True)
            until = time.monotonic() + 420
            while len(seeds()) <= len(first):
                assert process.poll() is None, "the sweep was over before the page showed more of it"
                assert time.monotonic() < until
                page.wait_for_timeout(1000)
            assert seeds() == sorted(seeds(), reverse=True)
            assert seed.get_attribute("aria-sort") == "descending"
            assert page.locator("#live").is_visible()
            assert watched.said == []
            assert watched.foreign == []
        process.send_signal(signal.SIGINT)
        rest = "".join(lines)
        assert process.wait(timeout=120) == 130, rest


def test_a_finished_sweep_has_a_report_and_the_same_command_again_leaves_it_as_it_is(tmp_path):
    folder = tmp_path / "results"
    page = folder / "report.html"
    ran = run_sweep(*CHEAP, "--results", folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    first = page.read_text()
    assert "1 runs (1 finished)" in first
    assert '<section id="live"' not in first
    again = run_sweep(*CHEAP, "--results", folder)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "0 to do" in again.stdout
    assert page.read_text() == first


def test_a_report_that_cannot_be_written_fails_no_sweep(tmp_path):
    """Its name is taken by a folder."""
    folder = tmp_path / "results"
    (folder / "report.html").mkdir(parents=True)
    with background(*CHEAP, "--results", folder) as (process, lines):
        said = "".join(lines)
        assert process.wait(timeout=120) == 0, said
    assert said.count("report.html is not up to date (") == 1
    assert "Traceback" not in said
    assert len(load_results(folder)) == 1

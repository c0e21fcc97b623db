"""The report of a whole sweep, while it runs and when it is over."""

import re
import time

import pytest

from raysweep import load_results
from raysweep.running import supervisor
from tests.raysweep.sweeps import CHEAP, background, gone_within, wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SEVERAL = (*CHEAP[:-1], "0,1,2,3,4,5", "--slots", "1", "--set", "epochs=40")


def test_a_report_is_there_while_the_sweep_is_alive_and_the_last_one_shows_all_runs_and_none_that_runs(tmp_path):
    folder = tmp_path / "results"
    page = folder / "report.html"
    with background(*SEVERAL, "--results", folder) as (process, lines):
        wait_for(lines, "finished")
        until = time.monotonic() + 60
        while not page.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        assert process.poll() is None, "the sweep was over before there was a report"
        during = page.read_text()
        ours = [pid for pid, _ in supervisor.descendants({process.pid})]
        rest = "".join(lines)
        assert process.wait(timeout=300) == 0, rest
    assert "report.html is not up to date" not in rest
    assert '<section id="live" data-alive="true"' in during
    assert re.search(r"\d of 6 done", during)
    after = page.read_text()
    assert '<section id="live"' not in after
    assert f"{len(load_results(folder))} runs (6 finished)" in after
    assert not (folder / "looks.jsonl").exists() or after.count("looked at") == 0
    assert not [file.name for file in folder.iterdir() if file.name.endswith(".tmp")]
    assert gone_within(15, ours)


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

"""Refreshing the report beside a sweep: when a process starts, what it is told, and that it stands in nobody's way."""

import contextlib
import os
import sys
import time
from pathlib import Path

import pytest

from raysweep.ledger import FAILED, FINISHED, STOPPED
from raysweep.ledger.opening import open_ledger
from raysweep.live import report_process
from raysweep.live.report_process import LiveReport, start
from tests.raysweep.live.sweep import Sweep, planned

NOTES = """
import os, sys, time
with open(sys.argv[1] + "/starts", "a") as starts:
    starts.write(f"{time.monotonic()} {os.getpid()}\\n")
live = sys.stdin.read()
with open(f"{sys.argv[1]}/told-{os.getpid()}", "w") as told:
    told.write(live)
"""
"""Stands for the command that makes a report: it notes when it starts, and what it reads."""

RUN = planned("a")


def command(code: str):
    return lambda location: [sys.executable, "-c", code, location]


def started(folder: Path) -> list[float]:
    """When refreshes have begun."""
    with contextlib.suppress(FileNotFoundError):
        return [float(line.split()[0]) for line in (folder / "starts").read_text().splitlines()]
    return []


@pytest.fixture(autouse=True)
def _as_often_as_may_be(monkeypatch):
    """However long it takes on a busy machine until the small processes of these tests have ended."""
    monkeypatch.setattr(report_process, "PAUSE_FACTOR", 0)


@pytest.fixture
def begun(monkeypatch):
    """When processes were started, each by the time before it was."""
    times = []
    monkeypatch.setattr(report_process, "start", lambda *args: (times.append(time.monotonic()), start(*args))[1])
    return times


def wait_until(holds, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_many_runs_that_end_at_once_are_one_refresh_and_one_more_when_the_pause_is_over(tmp_path, begun):
    report = LiveReport(open_ledger(tmp_path), command(NOTES), every=1.5)
    with report.refreshed():
        report.ended(RUN, FINISHED)
        wait_until(lambda: started(tmp_path))
        for _ in range(50):
            report.ended(RUN, FAILED)
        wait_until(lambda: len(started(tmp_path)) == 2)
    first, second = begun
    assert second - first >= 1.49


def test_a_refresh_that_takes_long_is_repeated_less_often(tmp_path, monkeypatch, begun):
    """For at most a third of the time, here."""
    monkeypatch.setattr(report_process, "PAUSE_FACTOR", 3)
    report = LiveReport(open_ledger(tmp_path), command("import time; time.sleep(0.2)"), every=0.1)
    with report.refreshed():
        for n in (1, 2):
            report.ended(RUN, FINISHED)
            wait_until(lambda n=n: len(begun) == n)
    first, second = begun
    assert second - first >= 0.6


def test_a_run_that_goes_on_later_has_left_nothing_to_report(tmp_path):
    report = LiveReport(open_ledger(tmp_path), command(NOTES), every=60)
    with report.refreshed():
        for status in (STOPPED, ""):
            report.ended(RUN, status)
        time.sleep(0.5)
    assert started(tmp_path) == []


def test_while_no_run_ends_the_live_table_is_refreshed_all_the_same(tmp_path):
    with LiveReport(open_ledger(tmp_path), command(NOTES), every=0.3).refreshed():
        wait_until(lambda: len(started(tmp_path)) >= 2)


def test_the_refresh_is_told_what_runs_and_at_last_that_nothing_does(tmp_path):
    sweep = Sweep(tmp_path, [RUN])
    ledger = open_ledger(tmp_path)
    report = LiveReport(ledger, command(NOTES), every=60)

    def told() -> list[str]:
        return sorted((file.read_text() for file in tmp_path.glob("told-*")), key=len)

    with ledger.store.locked():
        sweep.status.started(RUN)
        sweep.status._write()
        with report.refreshed():
            report.ended(RUN, FINISHED)
            wait_until(lambda: any(told()))
        sweep.status.close()
        with report.refreshed_at_last(interrupted=False):
            pass
    last, first = told()
    assert last == ""
    assert first.startswith('<section id="live" data-alive="true"')


SLOW = NOTES + "\ntime.sleep(60)"


def test_a_slow_refresh_is_not_waited_for_and_no_second_one_starts_beside_it(tmp_path):
    report = LiveReport(open_ledger(tmp_path), command(SLOW), every=0.1)
    with report.refreshed():
        report.ended(RUN, FINISHED)
        wait_until(lambda: started(tmp_path))
        before = time.monotonic()
        for _ in range(1000):
            report.ended(RUN, FINISHED)
        assert time.monotonic() - before < 0.1
        time.sleep(0.5)
        leaving = time.monotonic()
    assert time.monotonic() - leaving < 2
    assert len(started(tmp_path)) == 1
    (pid,) = [int(line.split()[1]) for line in (tmp_path / "starts").read_text().splitlines()]
    assert not Path(f"/proc/{pid}").exists()


def test_a_refresh_that_fails_is_said_once_and_the_next_one_is_tried(tmp_path):
    said = []
    broken = NOTES + "\nraise KeyError('what')"
    report = LiveReport(open_ledger(tmp_path), command(broken), every=0.1, say=said.append)
    with report.refreshed():
        for n in (1, 2, 3):
            report.ended(RUN, FINISHED)
            wait_until(lambda n=n: len(started(tmp_path)) >= n)
    with report.refreshed_at_last(interrupted=False):
        pass
    assert said == ["report.html is not up to date (KeyError: 'what'); the results are recorded all the same"]


def test_a_command_that_does_not_start_is_said_and_fails_nothing(tmp_path):
    said = []
    report = LiveReport(open_ledger(tmp_path), lambda location: [str(tmp_path / "no python")], say=said.append)
    with report.refreshed_at_last(interrupted=False):
        pass
    (line,) = said
    assert "No such file or directory" in line


def test_a_last_refresh_that_takes_too_long_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(report_process, "LAST_WITHIN_INTERRUPTED", 0.5)
    said = []
    before = time.monotonic()
    report = LiveReport(open_ledger(tmp_path), command("import time; time.sleep(60)"), say=said.append)
    with report.refreshed_at_last(interrupted=True):
        pass
    assert time.monotonic() - before < 5
    assert said == ["report.html is not up to date (it takes more than 0.5 s); the results are recorded all the same"]


def test_what_goes_wrong_beside_the_last_refresh_does_not_wait_for_it(tmp_path):
    before = time.monotonic()

    def fail() -> None:
        with LiveReport(open_ledger(tmp_path), command(SLOW)).refreshed_at_last(interrupted=False):
            wait_until(lambda: started(tmp_path))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert time.monotonic() - before < 10


PRIORITY = """
import os, sys
sys.stdin.read()
said = [os.sched_getscheduler(0) == os.SCHED_IDLE, os.getpriority(os.PRIO_PROCESS, 0), os.getsid(0) == os.getpid()]
open(sys.argv[1] + "/said.tmp", "w").write(repr(said))
os.rename(sys.argv[1] + "/said.tmp", sys.argv[1] + "/said")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of Linux")
def test_beside_training_a_refresh_has_the_lowest_priority_and_at_last_its_own(tmp_path):
    report = LiveReport(open_ledger(tmp_path), command(PRIORITY), every=60)
    with report.refreshed():
        report.ended(RUN, FINISHED)
        wait_until((tmp_path / "said").exists)
    assert (tmp_path / "said").read_text() == "[True, 19, True]"
    with report.refreshed_at_last(interrupted=False):
        pass
    own = [os.sched_getscheduler(0) == os.SCHED_IDLE, os.getpriority(os.PRIO_PROCESS, 0), True]
    assert (tmp_path / "said").read_text() == repr(own)


def test_in_an_object_store_nothing_is_refreshed_and_a_line_says_how_a_report_is_made(tmp_path):
    said = []
    ledger = open_ledger(f"memory://{tmp_path.name}", tmp_path)
    report = LiveReport(ledger, command(NOTES), every=0.1, say=said.append)
    for _ in range(2):  # the rounds of a sweep
        with report.refreshed(), report.refreshed_at_last(interrupted=False):
            report.ended(RUN, FINISHED)
            time.sleep(0.3)
    assert started(tmp_path) == []
    (line,) = said
    assert line.endswith(f"python -m analysis memory://{tmp_path.name} --out DIR writes one")

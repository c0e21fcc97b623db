"""The live table in the report: what it shows of a sweep that is alive, and that there is none of one that is over."""

import datetime
import re
from html.parser import HTMLParser

import pytest

from raysweep.ledger.opening import open_ledger
from raysweep.ledger.records import FAILED, FINISHED
from raysweep.live.section import live_section
from raysweep.live.state import FILE
from tests.raysweep.live.sweep import Sweep, epoch, planned

EVIL = "<script>alert(1)</script>"


class Rows(HTMLParser):
    """The cells of all rows of a piece of HTML, with the value of a progress bar in place of its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "progress":
            self.rows[-1][-1] += dict(attrs)["value"]

    def handle_data(self, data) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


@pytest.fixture
def alive(tmp_path):
    """A sweep of five runs that holds its folder: one finished, one failed, one trains, two wait."""
    runs = [planned(name) for name in ("done", "broken", "trains", "next", "later")]
    sweep = Sweep(tmp_path, runs)
    sweep.status.expect({run.name: (600, 500, 800) for run in runs})
    done, broken, trains, *_ = runs
    with open_ledger(tmp_path).store.locked():
        for run in (done, broken, trains):
            sweep.status.started(run)
        sweep.now += 60
        sweep.status.ended(done, FINISHED, "finished")
        sweep.status.ended(broken, FAILED, f"failed: {EVIL}")
        for number in (1, 2, 3):
            sweep.now += 30
            report = epoch("head", number, 4, 30.0, val_acc=50.0 + number, images_per_second=1520.4, data_wait=31.2)
            sweep.status.report(trains, report)
        sweep.status._estimate()
        sweep.status._write()
        yield tmp_path, sweep


def test_a_sweep_that_is_alive_is_shown_with_progress_speed_accuracy_and_expected_end(alive):
    folder, sweep = alive
    text = live_section(open_ledger(folder), lambda: sweep.now)
    head, *rows = Rows(text).rows
    (trains,) = [dict(zip(head, row, strict=True)) for row in rows if "trains" in row]
    assert (trains["phase"], trains["progress"], trains["val acc"]) == ("head 3/4", "75", "53.00")
    assert (trains["images/s"], trains["waiting for images"]) == ("1,520", "31 %")
    end = sweep.now + sweep.status.state().left["trains-s0"].seconds
    assert trains["expected end"] == f"{datetime.datetime.fromtimestamp(end):%H:%M}"
    assert "2 of 5 done: 1 failed, 1 running, 2 waiting" in text
    assert [row[0] for row in rows] == ["broken", f"failed: {EVIL}", "done", "trains", "next", "later"]


def test_the_section_says_that_the_sweep_is_alive_and_when_it_was_written(alive):
    folder, sweep = alive
    text = live_section(open_ledger(folder), lambda: sweep.now + 5)
    written = re.match(r'<section id="live" data-alive="true" data-written="([^"]*)">', text)[1]
    assert datetime.datetime.fromisoformat(written).timestamp() == sweep.now
    assert text.count("<section") == text.count("</section>") == 1


def test_what_runs_say_of_their_errors_is_text(alive):
    folder, sweep = alive
    text = live_section(open_ledger(folder), lambda: sweep.now)
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_a_sweep_that_is_silent_is_said_to_be(alive):
    folder, sweep = alive
    assert "has not been heard of since" not in live_section(open_ledger(folder), lambda: sweep.now + 60)
    assert "has not been heard of since" in live_section(open_ledger(folder), lambda: sweep.now + 600)


def test_of_many_runs_those_of_most_interest_are_shown_and_the_others_counted(tmp_path):
    runs = [planned("many", seed) for seed in range(500)]
    sweep = Sweep(tmp_path, runs, slots=400)
    with open_ledger(tmp_path).store.locked():
        for run in runs[:400]:
            sweep.status.started(run)
        sweep.status._write()
        text = live_section(open_ledger(tmp_path), lambda: sweep.now)
    assert len(Rows(text).rows) == 1 + 60 + 5
    assert "and 435 other runs" in text


def test_there_is_no_section_where_no_sweep_is_alive(alive, tmp_path_factory):
    folder, sweep = alive
    nowhere = tmp_path_factory.mktemp("nothing")
    assert live_section(open_ledger(nowhere)) == ""
    sweep.status.close()
    assert live_section(open_ledger(folder)) == "", "it has ended"


def test_a_killed_sweep_has_no_section(tmp_path):
    sweep = Sweep(tmp_path, [planned("a")])
    sweep.status._write()  # nobody holds the folder
    assert live_section(open_ledger(tmp_path), lambda: sweep.now) == ""


def test_a_damaged_status_is_no_section_and_no_error(tmp_path):
    (tmp_path / FILE).write_text("{")
    assert live_section(open_ledger(tmp_path)) == ""

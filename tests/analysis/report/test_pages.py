"""The matrix, the answers in groups, and the pages of runs."""

import json
import os
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from analysis.reading.notes import Note
from analysis.reading.results import Results
from analysis.report.page import write_page
from analysis.tables.pages import page_file
from analysis.verdicts.answers import verdicts
from raysweep.ledger.records import FAILED
from tests.analysis.sweeps import frame, question, record, runs_of


def by_size(values=((0.1, 5.0), (1.0, 1.0)), seeds=5):
    """An arm and a baseline at each train size; the arm is ahead by so much."""
    rows = []
    for size, ahead in values:
        for name, mean in (("arm", 60 + ahead), ("base", 60.0)):
            config = {"train_size": size, "n_blocks": 3 if name == "arm" else 4}
            told = f"{name}_s{100 * size:.0f}"
            for seed in range(seeds):
                accuracy = mean + 0.01 * seed + (0.02 * (seed % 2) if name == "arm" else 0)
                row = record(told, seed, config=config, final_acc=accuracy, selection="--group depth")
                curve = [{"epoch": i + 1, "val_acc": accuracy - 5 + i} for i in range(6)]
                rows.append({**row, "curves": {"phase_b": curve}})
    return rows


def asked(values):
    return [
        question(
            name=f"ahead_{size:g}",
            text=f"Is it ahead at {100 * size:g} % of the images?",
            arms=(f"arm_s{100 * size:.0f}",),
            baseline=f"base_s{100 * size:.0f}",
            metrics=("final_acc",),
        )
        for size, _ in values
    ]


VALUES = ((0.1, 5.0), (0.5, 3.0), (1.0, 1.0))


@pytest.fixture(scope="module")
def results():
    return Results(frame=frame(*by_size(VALUES)), questions=asked(VALUES), location="results")


@pytest.fixture(scope="module")
def page(results, tmp_path_factory):
    return write_page(results, verdicts(results), tmp_path_factory.mktemp("out"))


class Cells(HTMLParser):
    """The tables of a page as lists of rows of texts, by the class of the table."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.inside = [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.tables.append((dict(attrs), []))
        elif tag == "tr":
            self.tables[-1][1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][1][-1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data):
        if self.inside:
            self.tables[-1][1][-1][-1] += data


def test_questions_that_differ_in_the_train_size_are_a_row_of_the_matrix(page, results):
    ((_, rows),) = [table for table in Cells(page.read_text()).tables if table[0].get("class") == "matrix"]
    assert rows[0] == ["", "10 %", "50 %", "100 %"]
    ((told, *cells),) = rows[1:]
    assert told == "Is it ahead at ... of the images?"
    estimates = {v.question: f"{v.estimate:+.2f}" for v in verdicts(results)}
    assert [re.match(r"[+-][\d.]+\d\d", cell)[0] for cell in cells] == list(estimates.values())


def test_every_link_of_the_page_leads_somewhere(page):
    text = page.read_text()
    ids = set(re.findall(r'id="([^"]+)"', text))
    for link in re.findall(r'href="([^"]+)"', text):
        target = unquote(link)
        assert target[1:] in ids if target.startswith("#") else (page.parent / target).is_file(), link


def test_every_link_of_the_pages_of_runs_leads_somewhere(page):
    report_ids = set(re.findall(r'id="([^"]+)"', page.read_text()))
    pages = list((page.parent / "pages").glob("*.html"))
    assert len(pages) == 30
    for one in pages:
        for link in re.findall(r'(?:href|src)="([^"]+)"', one.read_text()):
            file, _, anchor = unquote(link).partition("#")
            assert (one.parent / file).is_file(), link
            assert not anchor or anchor in report_ids, link


def test_the_page_of_a_run_says_what_differs_beside_it_and_how_to_repeat_it(page):
    text = (page.parent / "pages" / page_file("arm_s10-s3-digits")).read_text()
    assert "train_size: 0.5 instead of 0.1" in text
    assert "n_blocks: 4 instead of 3" in text
    assert "python run_sweep.py --group depth --only arm_s10 --seeds 3 --results repeated" in text
    (data,) = re.findall(r'data-chart="([^"]+)"', text)
    chart = json.loads(data.replace("&quot;", '"'))
    own = chart["series"][-1]
    assert own["points"] == [[i + 1, pytest.approx(60.05 + i, abs=0.06)] for i in range(6)]
    assert [series["label"] for series in chart["series"][:-1]] == ["seed 0", "seed 1", "seed 2", "seed 4"]


def test_only_pages_that_changed_are_written_again(tmp_path):
    rows = by_size(VALUES)
    before = Results(frame=frame(*rows), questions=asked(VALUES))
    write_page(before, verdicts(before), tmp_path)
    pages = tmp_path / "pages"
    for file in pages.iterdir():
        os.utime(file, (1, 1))
    rows[0]["results"]["final_acc"] += 0.5  # of arm_s10 seed 0
    after = Results(frame=frame(*rows), questions=[])
    write_page(before, verdicts(before), tmp_path)
    assert {file.stat().st_mtime for file in pages.iterdir()} == {1}
    write_page(after, verdicts(after), tmp_path)
    assert (pages / page_file("arm_s10-s0-digits")).stat().st_mtime > 1


def test_runs_that_failed_have_pages_that_say_why(tmp_path):
    rows = [*runs_of("C", (60.0, 61.0)), record("A", 0, FAILED)]
    write_page(Results(frame=frame(*rows)), [], tmp_path)
    assert "failed: out of luck" in (tmp_path / "pages" / page_file("A-s0-digits")).read_text()


def test_names_that_no_file_can_have_get_pages_of_their_own(tmp_path):
    rows = [record("C", 0, run="a/b&<c>", final_acc=1.0), record("C", 1, run="a_b&<c>", final_acc=2.0)]
    file = write_page(Results(frame=frame(*rows)), [], tmp_path)
    assert len(list((tmp_path / "pages").glob("*.html"))) == 2
    data = json.loads(re.search(r'id="run-data">(.*?)</script>', file.read_text(), re.S)[1])
    assert {(tmp_path / "pages" / data["files"][run]).is_file() for run in data["runs"]} == {True}


def test_the_page_holds_all_runs_with_what_is_the_same_said_once(page, results):
    data = json.loads(re.search(r'id="run-data">(.*?)</script>', page.read_text(), re.S)[1])
    columns = {c["name"]: [c["of"][code] for code in c["codes"]] if "of" in c else c["values"] for c in data["columns"]}
    found = dict(zip(data["runs"], columns["final_acc"], strict=True))
    expected = dict(zip(results.frame["run"], results.frame["final_acc"], strict=True))
    assert found == pytest.approx(expected, rel=1e-6)
    assert data["common"]["status"] == "finished"
    assert "status" not in columns


def test_a_seed_that_is_there_twice_has_two_pages(tmp_path):
    rows = [record("C", 0, run="C-s0-old", final_acc=1.0), record("C", 0, run="C-s0-new", final_acc=2.0)]
    file = write_page(Results(frame=frame(*rows)), [], tmp_path)
    data = json.loads(re.search(r'id="run-data">(.*?)</script>', file.read_text(), re.S)[1])
    assert {(tmp_path / "pages" / page_file(run)).is_file() for run in data["runs"]} == {True}


def test_values_of_curves_that_are_no_numbers_leave_gaps(tmp_path):
    row = record("C", 0, final_acc=1.0)
    points = [
        {"epoch": 1, "val_acc": 1.0},
        {"epoch": 2, "val_acc": float("nan")},
        {"epoch": 3, "val_acc": float("inf")},
    ]
    file = write_page(Results(frame=frame({**row, "curves": {"phase_b": points}})), [], tmp_path)
    (data,) = re.findall(r'data-chart="([^"]+)"', file.read_text())
    assert json.loads(data.replace("&quot;", '"'))["series"][0]["points"] == [[1, 1.0], [2, None], [3, None]]


def test_style_and_script_of_pages_are_renewed_though_no_page_is(results, tmp_path):
    write_page(results, [], tmp_path)
    (tmp_path / "pages" / "page.js").write_text("old")
    write_page(results, [], tmp_path)
    assert (tmp_path / "pages" / "page.js").read_text() != "old"


def test_the_page_of_a_run_shows_what_was_noted_on_it(tmp_path):
    note = Note(run="C-s0-digits", reason="the disk <was> full", time="2026-01-02T00:00:00+00:00")
    write_page(Results(frame=frame(record("C", 0, final_acc=1.0)), notes=[note]), [], tmp_path)
    page = (tmp_path / "pages" / page_file("C-s0-digits")).read_text()
    assert "note on C-s0-digits (2026-01-02): the disk &lt;was&gt; full" in page

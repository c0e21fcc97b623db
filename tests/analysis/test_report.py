"""The report, its tables and its plots: whole files, true numbers, and something sensible of any part of a sweep."""

import csv
import io
import re
import time
from dataclasses import asdict
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from analysis.plots import all_plots
from analysis.reading.results import Results
from analysis.report.content import Content
from analysis.report.page import html_report, write_report
from analysis.suspicious import suspicious_runs
from analysis.tables.overall import all_tables
from analysis.verdicts.answers import verdicts
from analysis.verdicts.power import duration_of
from raysweep.ledger.records import FAILED
from search_spaces import airbench, cifar_scattering
from tests.analysis.original_files import SAMPLE, results_of_sample
from tests.analysis.sweeps import all_written, frame, question, record, runs_of, ten_thousand_runs


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The authors' runs of the sample, with our family's questions."""
    return results_of_sample(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def out(results, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    write_report(results, verdicts(results), folder)
    return folder


class Page(HTMLParser):
    """Checks that elements are closed in order, and collects links and texts."""

    VOID = ("meta", "img", "br", "hr", "link", "input")

    def __init__(self):
        super().__init__()
        self.open, self.links, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_report_is_one_whole_file_that_needs_no_network(out):
    page = Page()
    page.feed((out / "report.html").read_text())
    assert page.open == []
    assert page.links
    assert all(link.startswith(("#", "pages/", "data:image/png;base64,")) for link in page.links)
    assert all((out / unquote(link)).is_file() for link in page.links if link.startswith("pages/"))
    assert "http" not in "".join(re.findall(r"url\([^)]*\)|@import[^;]*", (out / "report.html").read_text()))
    text = " ".join(page.text)
    order = ["Overview", "Do wavelets help 3b_cmod_L4 at ...", "Answers", "Tables", "Plots", "Missing", "Provenance"]
    places = [text.index(part, text.index("Provenance") + 1) for part in order]  # behind the navigation
    assert places == sorted(places)


def test_every_table_is_there_in_four_forms(out):
    names = {file.stem for file in (out / "tables").iterdir()}
    assert {"results", "comparisons", "significance", "summary", "experiments", "filter_change"} <= names
    for name in names:
        assert {file.suffix for file in (out / "tables").glob(f"{name}.*")} == {".csv", ".md", ".tex", ".html"}


def test_numbers_are_in_full_in_csv_and_lead_to_their_runs(out, results):
    table = pd.read_csv(out / "tables" / "results.csv")
    assert len(table) == 12
    accuracies = {c["results"].get("finetune_acc") or c["results"]["joint_acc"] for c in SAMPLE.values()}
    assert set(table["final_acc"]) == accuracies
    comparisons = pd.read_csv(out / "tables" / "comparisons.csv")
    answered = comparisons[comparisons["n"] > 0]
    for _, row in answered.iterrows():
        runs = table[table["run"].isin(row["runs"].split())]
        if row["kind"] == "difference":
            wavelets = runs["random_init"] == False  # noqa: E712
            estimate = runs[wavelets]["final_acc"].mean() - runs[~wavelets]["final_acc"].mean()
            assert row["estimate"] == pytest.approx(estimate)
        else:
            assert len(runs) == 12
    assert len(answered) == 3


def test_the_experiments_are_told_apart(out):
    table = pd.read_csv(out / "tables" / "experiments.csv").set_index("experiment")
    assert table["init"].to_dict() == {name: "random" if "rand" in name else "wavelets" for name in table.index}
    assert set(table["kernel_size"]) == {5}
    assert set(table["final_channels"]) == {375}
    assert set(table["classifier_no_gap"]) == {375 * 4 * 4 * 10}


def test_markdown_has_a_column_for_each_cell(out):
    for file in (out / "tables").glob("*.md"):
        rows = [line for line in file.read_text().splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) <= 1


def test_plots_are_written_as_png_and_svg(out):
    names = {file.stem for file in (out / "plots").iterdir()}
    asked = {"effects", "data_efficiency", "advantage", "gain", "filter_change", "heat_map", "curves"}
    assert names == asked  # the authors' files have neither times nor several sizes of network
    for name in names:
        picture = imread(out / "plots" / f"{name}.png")
        assert picture.shape[1] >= 600
        assert picture[..., :3].std() > 0.01  # not blank
        assert (out / "plots" / f"{name}.svg").read_text().rstrip().endswith("</svg>")


def test_plots_show_the_means_and_intervals_of_the_tables(results):
    own = Results(frame=results.frame.assign(imported=None))  # the authors' means are not drawn over their own runs
    own.frame.attrs = results.frame.attrs
    plots = {plot.name: plot for plot in all_plots(own, verdicts(own))}
    accuracies = {
        size: [
            c["results"]["finetune_acc"]
            for c in SAMPLE.values()
            if not c["config"]["random_init"] and c["config"]["train_size"] == size
        ]
        for size in (0.1, 0.2)
    }
    (axes,) = plots["data_efficiency"].figure.axes
    line = next(line for line in axes.lines if line.get_label() == "wavelets, fine-tuned")
    assert list(line.get_xdata()) == [5000, 10000]
    assert list(line.get_ydata()) == pytest.approx([np.mean(values) for values in accuracies.values()])
    published = [line for line in axes.lines if line.get_color() == "0.35"]
    assert list(published[-1].get_ydata())[1:3] == [73.5, 78.4]
    heat = plots["heat_map"].figure.axes[0]
    assert [text.get_text() for text in heat.texts][:2] == [f"{np.mean(values):.1f}" for values in accuracies.values()]


def test_the_same_results_give_the_same_files(results, out, tmp_path):
    write_report(results, verdicts(results), tmp_path)
    for file in out.rglob("*"):
        if file.is_file():
            assert (tmp_path / file.relative_to(out)).read_bytes() == file.read_bytes()


AIRBENCH = {"device_name": "A100", "computed_in": "float16", "pflop": 0.36, "dataset": "cifar10"}


def airbench_runs():
    rng = np.random.default_rng(0)
    for i, name in enumerate(("baseline", "whiten", "dirac")):
        config = asdict(next(e.config for e in airbench.FAMILY.experiments if e.name == name))
        for seed in range(3):
            accuracy = {"final_acc": 94 + rng.normal(0, 0.1), "train_seconds": 14.5 - 3 * i + rng.normal(0, 0.1)}
            yield record(name, seed, config={**config, "seed": seed}, **accuracy, **AIRBENCH)


def test_the_cascade_stands_beside_the_authors(tmp_path):
    results = Results(frame=frame(*airbench_runs()), questions=all_written(airbench.FAMILY))
    write_report(results, verdicts(results), tmp_path)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "tables" / "cascade.csv").read_text())))
    assert [row["experiment"] for row in rows] == ["baseline", "whiten", "dirac"]
    assert [row["published"] for row in rows] == ["94.06 (25) / 14.5", "94.00 (200) / 8.6", "94.01 (200) / 7.3"]
    assert [row["n"] for row in rows] == ["3"] * 3
    assert {file.stem for file in (tmp_path / "plots").iterdir()} == {"effects", "time", "cost"}
    asked = {v.question: v for v in verdicts(results)}
    assert asked["airbench_whiten"].kind == "time"
    assert asked["airbench_whiten"].flags == ()
    assert asked["airbench_94"].n == 3


def test_seeds_that_trained_side_by_side_tell_of_accuracy_and_not_of_time(tmp_path):
    rows = [*airbench_runs()]
    for name in ("baseline", "whiten", "dirac"):
        of_step = next(row for row in rows if row["experiment"] == name)
        for seed in range(3, 9):
            config = {**of_step["config"], "seed": seed}
            beside = {"final_acc": 94 + 0.01 * seed, "side_by_side": 6, **AIRBENCH}
            rows.append(record(name, seed, config=config, started="2026-01-01T23:59:00+00:00", **beside))
    results = Results(frame=frame(*rows), questions=all_written(airbench.FAMILY))
    write_report(results, verdicts(results), tmp_path)
    cascade = list(csv.DictReader(io.StringIO((tmp_path / "tables" / "cascade.csv").read_text())))
    assert [row["n"] for row in cascade] == ["9"] * 3
    assert [float(row["seconds"]) for row in cascade] == pytest.approx([14.5, 11.5, 8.5], abs=0.2)
    asked = {v.question: v for v in verdicts(results)}
    assert asked["airbench_whiten"].n == 3
    assert asked["airbench_whiten"].flags == ()
    assert asked["airbench_94"].n == 9
    seconds = duration_of(results.frame)
    assert seconds[results.frame["side_by_side"].notna()].tolist() == [60 / 6] * 18  # a minute, shared


def test_a_search_has_its_table(tmp_path):
    rows = [
        record(f"only_A@{e:g}", s, config={"epochs": e}, final_acc=a + 0.02 * s, train_seconds=e, **AIRBENCH)
        for e, a in ((20.0, 93.5), (21.0, 94.3))
        for s in range(5)
    ]
    asked = [asked for asked in all_written(airbench.FAMILY) if asked.question.kind == "search"]
    tables = all_tables(Results(frame=frame(*rows), questions=asked), [])
    (search,) = [table for table in tables if table.name.startswith("search_")]
    assert search.rows["found"].tolist() == ["21"]
    assert search.rows["author"].tolist() == ["21"]


PARTS = {
    "one run": runs_of("C", [60.0]),
    "only failures": [record("C", 0, FAILED), record("A", 0, "diverged")],
    "no metric of ours": [record("C", 0, loss=1.0)],
    "no number": [record("C", 0, final_acc=float("nan"), head_acc=float("inf"))],
    "several datasets": [*runs_of("C", [60.0]), *runs_of("A", [61.0], dataset="cifar100")],
    "half of a family": [r for r in airbench_runs() if r["experiment"] != "whiten"],
    "names for a browser": [r for name in "CA" for r in runs_of(name, [60.0], set="<b>&amp;</b>")],
}


@pytest.mark.parametrize("part", PARTS)
def test_any_part_of_a_sweep_is_reported(part, tmp_path):
    results = Results(frame=frame(*PARTS[part]), questions=[question(), *all_written(airbench.FAMILY)])
    page = Page()
    page.feed(write_report(results, verdicts(results), tmp_path).read_text())
    assert page.open == []
    text = " ".join(page.text)
    assert f"{len(PARTS[part])} run" in text
    if part == "only failures":
        assert "C seed 0 failed: out of luck" in text
    if part == "names for a browser":
        assert "<b>&amp;</b>" in text


@pytest.mark.slow
def test_the_page_of_ten_thousand_runs_is_made_in_twenty_seconds():
    table = ten_thousand_runs()
    assert len(table) > 10_000
    started = time.perf_counter()
    results = Results(frame=table, questions=all_written(cifar_scattering.FAMILY))
    answers = verdicts(results)
    page = html_report(Content.of(results, answers), suspicious_runs(results))
    assert time.perf_counter() - started < 20
    assert len(page.encode()) < 15_000_000

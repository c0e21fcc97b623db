"""Runs on data that were prepared beforehand are named as such in every answer, and compared with each other alone."""

import numpy as np
import pytest

from analysis.__main__ import main
from analysis.reading.results import Results
from raysweep import load_results
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.plan import write_plan
from raysweep.ledger.questions import write_down
from tests.analysis.sweeps import WRITTEN, answered, one, question, record, runs_of

PREPARED = "short side 400, quality 95"
NAMED = f"imagenet ({PREPARED})"
COPY = {"dataset": "imagenet", "data": "copy", "prepared": PREPARED, "config": {"data_dir": "/data/copy"}}
ORIGINALS = {"dataset": "imagenet", "data": "originals", "config": {"data_dir": "/data/ImageNet"}}
RNG = np.random.default_rng(0)
VALUES = {"C": 60 + RNG.normal(0, 0.3, 5), "A": 65 + RNG.normal(0, 0.3, 5)}


def renamed(records):
    """The same with names that no other runs have."""
    return [{**entry, "run": f"{entry['run']}-copy"} for entry in records]


def on(data, name):
    return runs_of(name, VALUES[name], **data)


def test_arms_on_copies_and_on_originals_are_not_compared():
    verdicts = answered([*on(ORIGINALS, "C"), *renamed(on(COPY, "A"))], question())
    assert {v.answer for v in verdicts} == {"open"}
    assert not any(v.n for v in verdicts)


def test_arms_on_one_copy_are_compared_and_the_answer_names_it():
    v = one([*on(COPY, "C"), *on(COPY, "A")], question(dataset="imagenet"))
    assert v.answer == "yes"
    assert NAMED in v.setting
    assert f"on {NAMED}" in v.flags
    assert not any(flag.startswith("on ") for flag in one([*on(ORIGINALS, "C"), *on(ORIGINALS, "A")], question()).flags)
    assert answered([*on(COPY, "C"), *on(COPY, "A")], question(dataset="cifar10")) == []


def test_a_command_for_more_seeds_names_the_data_as_the_sweep_takes_them():
    noisy = [60.0, 61.5, 59.0, 60.5, 60.0]
    v = one([*on(COPY, "C"), *runs_of("A", noisy, **COPY)], question())
    assert v.answer == "undecided"
    assert "--dataset imagenet --data-dir /data/copy" in v.needed.command


def test_what_is_planned_on_a_copy_belongs_to_its_runs(tmp_path):
    ledger = open_ledger(tmp_path / "results")
    facts = {"facts": {"prepared": PREPARED}}
    entries = [{**entry, **facts} for entry in on(COPY, "C")]
    ledger.write(entries[0])
    write_plan(ledger, entries, [])
    (setting,) = Results.read(ledger.folder).settings
    assert (setting.dataset, setting.declared, len(setting.planned)) == (NAMED, "imagenet", 5)


def test_results_on_originals_are_none_on_a_copy_when_a_question_is_written_down():
    asked = question().question
    (entry,) = write_down([asked], [], [*on(ORIGINALS, "C"), *renamed(on(COPY, "C"))], WRITTEN)
    assert entry["seen"] == ["imagenet", NAMED]
    (entry,) = write_down([asked], [], on(ORIGINALS, "C"), WRITTEN)
    assert entry["seen"] == ["imagenet"]


def test_records_of_runs_that_failed_say_it_by_their_facts(tmp_path):
    ledger = open_ledger(tmp_path / "results")
    failed = record("C", 0, "failed", **{**COPY, "prepared": None})
    ledger.write({**failed, "results": {}, "facts": {"prepared": PREPARED}})
    assert load_results(ledger.folder, failed=True)["dataset"].tolist() == [NAMED]


@pytest.fixture
def results(tmp_path):
    """A folder with runs of both kinds."""
    ledger = open_ledger(tmp_path / "results")
    for entry in [*on(ORIGINALS, "C"), *renamed([*on(COPY, "C"), *on(COPY, "A")])]:
        ledger.write({**entry, "results": {**entry["results"], "final_acc": entry["results"]["head_acc"]}})
    return ledger.folder


def test_tables_report_pages_and_citation_name_the_copy(results, tmp_path, capsys):
    assert main([str(results), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert f"not compared with each other: {NAMED} (10 runs), imagenet (5 runs)" in " ".join(printed.split())
    for name in ("report.md", "report.html", "tables/results.csv"):
        assert NAMED in (tmp_path / "out" / name).read_text(), name
    page = next((tmp_path / "out" / "pages").glob("A-s0-*.html")).read_text()
    assert f"on {NAMED}: finished" in page
    assert "--dataset imagenet --data-dir /data/copy" in page
    assert main([str(results), "--cite"]) == 0
    assert f"on imagenet (files original), {NAMED} (files copy) with 5 seeds" in " ".join(
        capsys.readouterr().out.split()
    )

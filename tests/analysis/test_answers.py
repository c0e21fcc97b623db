"""What the terminal shows of a results folder, and what it says of bad ones."""

import json
from dataclasses import replace

import pytest
from rich.console import Console

from analysis.terminal import print_answers
from raysweep.experiment import Question
from raysweep.ledger import durable
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.plan import write_plan
from raysweep.ledger.records import FAILED
from tests.analysis.sweeps import record
from tests.conftest import run

QUESTION = Question(
    name="depth", text="Does a 5th block help?", baseline="C", arms=("A",), metrics=("head_acc", "finetune_gain")
)


@pytest.fixture
def ledger(tmp_path):
    ledger = open_ledger(tmp_path / "results")
    write_plan(ledger, [], [QUESTION])
    later = {"finished": "2100-01-01T00:00:00+00:00"}
    ledger.write(
        record("C", 0, head_acc=60.0, finetune_gain=5.0, final_acc=65.0, num_classes=10, head_acc5=90.0, **later)
    )
    ledger.write(
        record("A", 0, head_acc=58.0, finetune_gain=8.0, final_acc=66.0, num_classes=10, head_acc5=91.0, **later)
    )
    ledger.write(record("A", 1, status=FAILED))
    ledger.write(record("C", 0, dataset="imagenet", head_acc=40.0, num_classes=1000, head_acc5=66.6))
    return ledger


def printed(ledger, runs=None) -> str:
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    print_answers(ledger.folder, runs, console)
    console.file.close()
    return console.export_text()


def test_data_sets_are_never_compared_with_each_other(ledger):
    text = printed(ledger)
    assert "results of 2 datasets, which are not compared with each other: digits (3 runs), imagenet (1 run)" in text
    digits, imagenet = text.split("imagenet, 1 worker")
    assert "head_acc: undecided (n = 1), -2.00\n    A 58.00, C 60.00" in digits
    assert "finetune_gain: undecided (n = 1), +3.00\n    A 8.00, C 5.00" in digits
    assert "post hoc" not in text
    assert "open: 1 question needs results of A (depth)" in imagenet


def test_top5_is_shown_where_there_are_more_than_ten_classes(ledger):
    digits, imagenet = printed(ledger).split("imagenet, 1 worker")
    assert "top-5" not in digits
    assert "66.60" in imagenet


def test_failed_runs_are_named_with_their_error(ledger):
    assert "A seed 1 failed: out of luck" in printed(ledger)
    assert "without result: A: 1 failed (seed 1)" in printed(ledger)


def test_what_was_done_for_want_of_memory_is_said(ledger):
    (record,) = [record for record in ledger.records() if record["run"] == "C-s0-digits"]
    ledger.write({**record, "config": {**record["config"], "batch_parts": 2}})
    (failed,) = [record for record in ledger.records() if record["status"] == FAILED]
    ledger.write({**failed, "kind": "memory"})
    text = printed(ledger)
    assert "C seed 0: for want of memory its batches were cut in 2 parts" in text
    assert "A seed 1 failed (memory): out of luck" in text
    assert "for want of memory C had its batches cut in 1 of 1 runs" in text


def test_only_the_runs_of_the_plan_are_shown_after_a_sweep(ledger):
    text = printed(ledger, runs=["C-s0-digits"])
    assert "imagenet" not in text
    assert "open: 1 question needs results of A (depth)" in text


def test_questions_for_which_nothing_was_run_or_planned_are_one_line(ledger):
    """Of a sweep of one run: all that compare it with what was neither run nor planned."""
    asked = [QUESTION, *(replace(QUESTION, name=f"about_{arm}", arms=(arm,)) for arm in "EFHI")]
    asked += [Question(name="half", text="Half of it?", target=50.0, kind="target", arms=("C",), metrics=("head_acc",))]
    write_plan(ledger, [], asked)
    text = printed(ledger, runs=["C-s0-digits"])
    names = "depth, about_E, about_F, about_H, about_I"
    assert f"open: 5 questions need results of A, E, F, H, I ({names})" in " ".join(text.split())
    assert text.count("Does a 5th block help?") == 0
    assert "Half of it?" in text
    both = printed(ledger, runs=["C-s0-digits", "A-s0-digits"])
    assert both.count("Does a 5th block help?") == 1
    assert "open: 4 questions need results of E, F, H, I" in " ".join(both.split())


def test_a_question_whose_arm_is_planned_is_open_by_itself(ledger):
    planned = record("E", 0)
    write_plan(ledger, [planned], [replace(QUESTION, arms=("E",))])
    text = printed(ledger, runs=["C-s0-digits", planned["run"]])
    assert "Does a 5th block help?" in text
    assert "open: no result of E" in text


def test_the_command(ledger):
    shown = run("-m", "analysis", ledger.folder)
    assert shown.returncode == 0
    assert "Does a 5th block help?" in shown.stdout
    assert shown.stderr == ""


def test_a_question_that_is_changed_after_its_results_is_post_hoc(ledger):
    write_plan(ledger, [], [replace(QUESTION, smallest_effect=0.1)])
    assert "post hoc: changed when there were results already" in printed(ledger)
    questions = json.loads((ledger.folder / "questions.json").read_text())
    durable.write_json(ledger.folder / "questions.json", [{**questions[0], "text": "Does it?"}])
    assert "post hoc: it is not as it was written down" in printed(ledger)


def test_a_damaged_record_is_named_and_the_rest_reported(ledger):
    (ledger.folder / "records" / "C-s0-digits.json").write_text("{")
    text = printed(ledger)
    assert "damaged record, left out" in text
    assert "open: 1 question needs results of C (depth)" in text


def test_damaged_questions_are_named_and_the_rest_reported(ledger):
    (ledger.folder / "questions.json").write_text("[")
    text = printed(ledger)
    assert "questions.json is damaged" in text
    assert "58.00" in text


def test_what_is_no_number_is_named_and_the_rest_reported(ledger):
    (known,) = [r for r in ledger.records() if r["run"] == "A-s0-digits"]
    ledger.write({**known, "results": {**known["results"], "head_acc": float("nan")}})
    text = printed(ledger)
    assert "A seed 0: head_acc is nan, left out" in text
    assert "open: no head_acc of A" in text
    assert "finetune_gain: undecided (n = 1), +3.00" in text


def test_of_a_seed_that_is_there_twice_the_last_counts_and_it_is_said(ledger):
    again = record("A", 0, head_acc=62.0, finetune_gain=8.0, run="A-s0-again", finished="2100-01-02T00:00:00+00:00")
    ledger.write(again)
    text = printed(ledger)
    assert "A seed 0 is there twice: A-s0-digits is left out, A-s0-again counts" in text
    assert "head_acc: undecided (n = 1), +2.00" in text


def test_ways_in_which_the_same_seeds_were_run_are_settings_of_their_own(ledger):
    two = {"num_workers": 2, "finetune_gain": 1.0}
    ledger.write(record("A", 0, head_acc=62.0, run="A-s0-two", **two))
    ledger.write(record("C", 0, head_acc=61.0, run="C-s0-two", **two))
    text = printed(ledger)
    assert "is there twice" not in text
    assert "digits, 1 worker for each run" in text
    assert "digits, 2 workers for each run" in text
    assert "head_acc: undecided (n = 1), +1.00" in text


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: None, "does not exist"),
        (lambda folder: folder.mkdir(), "is empty: no results of a sweep"),
        (lambda folder: folder.write_text("x"), "is not a folder"),
        (
            lambda folder: (folder.mkdir(), (folder / "setup.py").write_text("")),
            "holds no results of a sweep (no folder records/, but setup.py)",
        ),
        (
            lambda folder: (folder.mkdir(), (folder / "results_1.json").write_text("{}")),
            "`python -m analysis import RESULTS",
        ),
    ],
)
def test_a_folder_without_results_is_named_in_one_line(tmp_path, make, says):
    folder = tmp_path / "folder"
    make(folder)
    shown = run("-m", "analysis", folder)
    assert shown.returncode == 2
    assert shown.stderr.startswith(f"error: {folder} ")
    assert says in shown.stderr
    assert shown.stderr.count("\n") == 1

"""Which questions a budget buys, in the order of the plan."""

from dataclasses import replace

import pytest

from raysweep.experiment import Question
from raysweep.forecasts.planning import plan_rows
from raysweep.forecasts.purchase import purchase_lines, runs_within
from raysweep.forecasts.schedule import FIRST_START_SECONDS, START_SECONDS
from raysweep.ledger.opening import open_ledger
from tests.raysweep.forecasts.plans import BASE, WHOLE, machine_of_one_slot, planned, record

ARMS = [replace(BASE, name=name) for name in ("one", "other", "third")]


def question(arm, baseline="one"):
    return Question(name=f"is_{arm}", text="?", arms=(arm,), baseline=baseline, metrics=("head_acc",))


@pytest.fixture
def plan(tmp_path):
    """Three experiments of three seeds on one slot, of which each run takes WHOLE seconds; one run is done."""
    ledger = open_ledger(tmp_path / "results")
    machine = machine_of_one_slot(tmp_path / "cache")
    runs = [run for i, arm in enumerate(ARMS) for run in planned(ledger, arm, seeds=(0, 1, 2), patience=50 + i)]
    record(ledger, runs[0])
    return plan_rows(runs, ledger, machine), machine


def lines(plan, seconds, *questions, of_slots=False):
    rows, machine = plan
    return list(purchase_lines(rows, questions, machine, seconds / 3600, of_slots))


def test_runs_count_that_will_have_ended(plan):
    rows, machine = plan
    end = FIRST_START_SECONDS + 3 * (WHOLE + START_SECONDS)
    assert len(runs_within(rows, machine, end + 0.1, of_slots=False)) == 4, "three, and the one that is done"
    assert len(runs_within(rows, machine, end - 0.1, of_slots=False)) == 3
    assert len(runs_within(rows, machine, 3 * WHOLE + 0.1, of_slots=True)) == 4
    assert len(runs_within(rows, machine, 3 * WHOLE - 0.1, of_slots=True)) == 3


def test_questions_get_all_of_their_runs_or_a_part(plan):
    asked = question("other"), question("third"), question("absent")
    said = lines(plan, 6.5 * WHOLE, *asked)
    assert said[0].endswith("pays for all runs of 1 of 2 questions: is_other")
    assert said[1] == "  for a part: is_third (1 of 3 seeds)"
    assert lines(plan, 0.5 * WHOLE, *asked)[0].endswith("pays for all runs of 0 of 2 questions")
    assert "2 of 2 questions: is_other, is_third" in lines(plan, 9 * WHOLE, *asked, of_slots=True)[0]


def test_a_question_about_other_data_is_none(plan):
    assert "0 of 0 questions" in lines(plan, 9 * WHOLE, replace(question("other"), dataset="mnist"))[0]

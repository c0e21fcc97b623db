"""What is read out of a results folder for the choice of the next seeds."""

import math
from dataclasses import replace

import pytest
from scipy import stats

from analysis.seeding import next_seeds
from raysweep.experiment import Candidate, Cost, Filter, Question, Situation
from raysweep.ledger import open_ledger, write_plan
from tests.analysis.sweeps import runs_of, timed

DEPTH = Question(name="depth", text="?", baseline="C", arms=("A",), metrics=("head_acc",), family="f", better="higher")


def situation(folder, *questions, names="AC", records=(), lost=(), configs=None, **more):
    ledger = open_ledger(folder)
    for record in records:
        ledger.write(record)
    write_plan(ledger, [], questions)
    seeds = tuple(range(20))
    return Situation(
        location=str(folder),
        dataset="digits",
        questions=questions,
        candidates=[
            Candidate(
                name=name,
                config=(configs or {}).get(name, {}),
                cost=Cost(operations=1.0),
                runs={seed: f"{name}-s{seed}-digits" for seed in seeds},
            )
            for name in names
        ],
        seeds=seeds,
        done=frozenset((r["experiment"], r["seed"]) for r in records if r["status"] == "finished"),
        lost=frozenset(lost),
        most_seeds=20,
        slots=2,
        **more,
    )


def prospects(*args, **more):
    return next_seeds(situation(*args, **more)).prospects


def test_a_folder_without_results_begins_with_the_first_seed(tmp_path):
    found = next_seeds(situation(tmp_path, DEPTH))
    assert [(one.experiment, one.seed) for one in found.chosen] == [("A", 0), ("C", 0)]
    assert [(p.question, p.answer, p.n, p.outcome) for p in found.prospects] == [("depth", "open", 0, "undecided")]


def test_an_answer_ends_its_question(tmp_path):
    """Five differences of about three, which scipy's test calls significant."""
    a, c = [3.1, 2.9, 3.2, 3.0, 3.3], [0.0, 0.1, -0.1, 0.05, 0.0]
    assert stats.ttest_rel(a, c).pvalue < 0.05
    found = next_seeds(situation(tmp_path, DEPTH, records=runs_of("A", a) + runs_of("C", c)))
    assert found.chosen == ()
    assert [(p.outcome, p.answer, p.n) for p in found.prospects] == [("answered", "yes", 5)]


def test_each_metric_and_each_arm_has_its_own_answer(tmp_path):
    asked = replace(DEPTH, arms=("A", "B"), metrics=("head_acc", "finetune_gain"))
    names = [p.question for p in prospects(tmp_path, asked, names="ABC")]
    assert names == ["depth head_acc A", "depth finetune_gain A", "depth head_acc B", "depth finetune_gain B"]
    assert {p.experiments for p in prospects(tmp_path, asked, names="ABC")} == {("A", "C"), ("B", "C")}


def test_a_question_whose_arm_cannot_be_run_is_left_out(tmp_path):
    assert prospects(tmp_path, DEPTH, names="AB") == ()
    assert prospects(tmp_path, replace(DEPTH, dataset="cifar10")) == ()


def test_a_trend_needs_the_runs_of_all_sizes_and_a_target_those_of_one_arm(tmp_path):
    configs = {"A": {"train_size": 0.1}, "B": {"train_size": 0.2}, "C": {"train_size": 1.0}}
    arm = Filter(label="all", fields={})
    trend = replace(DEPTH, kind="trend", baseline="", arms=(arm,))
    (prospect,) = prospects(tmp_path, trend, names="ABC", configs=configs)
    assert prospect.experiments == ("A", "B", "C")
    target = replace(DEPTH, kind="target", baseline="", target=90.0)
    (prospect,) = prospects(tmp_path / "t", target)
    assert prospect.experiments == ("A",)


def test_what_more_seeds_cannot_bring_is_out_of_reach(tmp_path):
    """Runs that have no value of the metric."""
    records = runs_of("A", [1.0], metric="other") + runs_of("C", [1.0], metric="other")
    found = next_seeds(situation(tmp_path, DEPTH, records=records))
    assert found.chosen == ()
    assert found.prospects[0].outcome == "out of reach"
    assert "no head_acc of C and A" in found.prospects[0].why


def test_refused_comparisons_are_out_of_reach(tmp_path):
    asked = Question(
        name="speed", text="?", kind="time", baseline="C", arms=("A",), metrics=("train_seconds",), better="lower",
        equal="final_acc", family="f",
    )  # fmt: skip
    records = timed("A", [1.0, 1.1], [90, 91]) + timed("C", [2.0, 2.1], [90, 91], device="H100")
    (prospect,) = prospects(tmp_path, asked, records=records)
    assert prospect.outcome == "out of reach"
    assert prospect.why.startswith("refused: ")


def test_expected_pairs_follow_the_variance_seen(tmp_path):
    calm = runs_of("A", [1.0, 1.3, 1.1]) + runs_of("C", [0.0, 0.1, 0.3])
    wild = runs_of("A", [9.0, -6.3, 1.1]) + runs_of("C", [0.0, 0.1, 0.3])
    (little,) = prospects(tmp_path / "calm", DEPTH, records=calm)
    (much,) = prospects(tmp_path / "wild", DEPTH, records=wild)
    assert (little.n, little.answer) == (3, "undecided") or little.outcome == "answered"
    assert much.pairs is not None
    assert much.pairs[1] > 3


def test_only_the_runs_of_the_plan_count(tmp_path):
    """Others of the same experiments in the folder, with another --set, are of no use to it."""
    others = runs_of("A", [3.0, 3.1, 3.2], dataset="cifar10") + runs_of("C", [0.0, 0.1, 0.0], dataset="cifar10")
    here = situation(tmp_path, DEPTH)
    for record in others:
        open_ledger(tmp_path).write(record)
    (prospect,) = next_seeds(here).prospects
    assert (prospect.n, prospect.answer) == (0, "open")


@pytest.mark.parametrize("kind", ["difference", "equivalence", "interaction"])
def test_each_kind_of_question_is_followed(tmp_path, kind):
    arms = ("A", "B", "D") if kind == "interaction" else ("A",)
    asked = replace(DEPTH, kind=kind, arms=arms)
    records = [
        record
        for name, base in zip("ABCD", (1.0, 1.5, 1.2, 2.2), strict=True)
        for record in runs_of(name, [base, base + 0.9 * ("AD".find(name) + 1), base - 1.1])
    ]
    (prospect,) = prospects(tmp_path, asked, names="ABCD", records=records)
    assert prospect.n == 3
    assert prospect.experiments == (("A", "B", "C", "D") if kind == "interaction" else ("A", "C"))
    assert prospect.outcome == "answered" or not math.isnan(prospect.pairs[1])

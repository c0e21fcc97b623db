"""A search round by round on a ledger on disk, with a fake trainable in place of training."""

import pytest

from raysweep.experiment import Experiment, Family, Search
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.records import FAILED, FINISHED
from raysweep.planning.runs import make_runs
from raysweep.planning.search import rounds
from tests.fake_trainable import FakeConfig

SEARCH = Search(over="seconds", limits=(1.0, 9.0))
SLOW = Experiment(name="slow", config=FakeConfig(seconds=4.0), trainable="tests.fake_trainable")
FAMILY = Family(name="fakes", dataset="none", experiments=(SLOW,), groups=(), questions=(), grid=lambda axes: ([], []))


@pytest.fixture
def ledger(tmp_path):
    return open_ledger(tmp_path)


def make(ledger, experiment, seeds):
    return make_runs([experiment], ledger, family=FAMILY, overrides={}, seeds=seeds, group="searching")


def finish(ledger, run, status=FINISHED, metric="metric"):
    """What a launcher leaves of a run whose metric is its searched value."""
    results = {metric: run.config.seconds} if status == FINISHED else {}
    ledger.write({**run.record(), "status": status, "results": results, "curves": {}})


def search(ledger, decide, seeds=(0, 1, 2), experiments=(SLOW,)):
    starts = [run for experiment in experiments for run in make(ledger, experiment, [0])]
    return rounds(starts, SEARCH, "metric", seeds, ledger, decide, lambda e, s: make(ledger, e, s))


def named(runs):
    return sorted((run.experiment.name, run.config.seed) for run in runs)


def decided(results, start):
    """Two runs at the start, then two at half of it."""
    for value in (start, start / 2):
        if len(results.get(value, ())) < 2:
            return value, 2
    return None


def test_each_round_sees_the_results_of_the_one_before(ledger):
    steps = search(ledger, decided)
    first = next(steps)
    assert named(first) == [("slow@4", 0), ("slow@4", 1)]
    assert {run.group for run in first} == {"searching"}
    for run in first:
        finish(ledger, run)
    second = next(steps)
    assert named(second) == [("slow@2", 0), ("slow@2", 1), ("slow@4", 0), ("slow@4", 1)]
    for run in second:
        finish(ledger, run)
    assert named(next(steps)) == named(second), "at the end, all that it rests on"
    assert next(steps, None) is None


def test_a_search_that_was_cut_off_goes_on(ledger):
    (start, *_) = next(search(ledger, decided))
    finish(ledger, start)
    again = next(search(ledger, decided))
    assert named(again) == [("slow@4", 0), ("slow@4", 1)]


def test_runs_of_another_experiment_are_used_with_their_seeds(ledger):
    other = Experiment(name="other", config=FakeConfig(seconds=2.0), trainable="tests.fake_trainable")
    for run in make(ledger, other, [7, 8]):
        finish(ledger, run)
    steps = search(ledger, lambda results, start: (2.0, 3) if len(results.get(2.0, ())) < 3 else None)
    runs = next(steps)
    assert named(runs) == [("slow@2", 0), ("slow@2", 7), ("slow@2", 8)]
    ledger.adopt([run.record() for run in runs])
    assert {run.name for run in runs} & ledger.finished() == {run.name for run in runs if run.config.seed in (7, 8)}
    adopted = [record for record in ledger.records() if record["experiment"] == "slow@2"]
    assert {record["same_as"].split("-")[0] for record in adopted} == {"other"}
    assert {record["group"] for record in adopted} == {"searching"}


def test_a_failed_run_leaves_its_experiment_open_and_the_others_go_on(ledger):
    other = Experiment(name="other", config=FakeConfig(seconds=8.0, crash="never"), trainable="tests.fake_trainable")
    steps = search(ledger, decided, experiments=(SLOW, other))
    for run in next(steps):
        finish(ledger, run, FAILED if named([run]) == [("slow@4", 1)] else FINISHED)
    second = next(steps)
    assert named(second) == [("other@4", 0), ("other@4", 1), ("other@8", 0), ("other@8", 1), ("slow@4", 0)]
    for run in second:
        finish(ledger, run)
    assert named(next(steps)) == named(second)
    assert next(steps, None) is None


def test_runs_that_finished_without_the_metric_end_their_search(ledger):
    steps = search(ledger, decided)
    for run in next(steps):
        finish(ledger, run, metric="metrik")
    assert named(next(steps)) == [], "asking for them again would never end"
    assert next(steps, None) is None

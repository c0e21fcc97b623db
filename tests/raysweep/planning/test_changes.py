"""What a plan says about results that are there already."""

import dataclasses

import pytest

from raysweep.experiment import Experiment, Family
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.records import FAILED, FINISHED
from raysweep.planning.changes import describe_changes
from raysweep.planning.runs import make_runs
from tests.fake_trainable import FakeConfig

BASE = Experiment(name="base", config=FakeConfig(epochs=20), trainable="tests.fake_trainable", seeds=(0, 1))
FAMILY = Family(name="fakes", dataset="none", experiments=(BASE,), groups=(), questions=(), grid=lambda axes: ([], []))


@pytest.fixture
def ledger(tmp_path):
    """Where two seeds of `base` have finished."""
    ledger = open_ledger(tmp_path)
    for run in plan(ledger, BASE):
        ledger.write({**run.record(), "status": FINISHED, "results": {}, "curves": {}})
    return ledger


def plan(ledger, experiment, seeds=None):
    return make_runs([experiment], ledger, family=FAMILY, overrides={}, seeds=seeds)


def said(ledger, runs):
    return describe_changes(runs, list(ledger.records()))


def with_config(**fields):
    return dataclasses.replace(BASE, config=dataclasses.replace(BASE.config, **fields))


def test_what_is_there_is_kept(ledger):
    assert said(ledger, plan(ledger, BASE)) == ["kept: 2 runs"]
    renamed = dataclasses.replace(BASE, name="other")
    assert said(ledger, plan(ledger, renamed)) == ["kept: 2 runs"], "the same runs under another name"


def test_further_seeds_and_more_epochs_extend(ledger):
    assert said(ledger, plan(ledger, BASE, [0, 1, 2])) == [
        "kept: 2 runs",
        "extended: 1 run: base seed 2 (another seed)",
    ]
    assert said(ledger, plan(ledger, with_config(epochs=30), [0])) == [
        "extended: 1 run: base seed 0 (epochs 20 -> 30)",
        "orphaned: 2 runs: " + ", ".join(run.name for run in plan(ledger, BASE)),
    ]


def test_a_change_names_its_fields(ledger):
    (line, _) = said(ledger, plan(ledger, with_config(epochs=10, seconds=2.0), [1]))
    assert line == "changed: 1 run: base seed 1 (seconds 1.0 -> 2.0, epochs 20 -> 10)"


def test_a_new_experiment_is_new_and_a_failed_run_is_no_result(ledger):
    other = dataclasses.replace(with_config(seconds=3.0), name="other")
    assert said(ledger, plan(ledger, other)) == ["new: 2 runs"]
    for run in plan(ledger, other):
        ledger.write({**run.record(), "status": FAILED, "results": {}, "curves": {}})
    assert said(ledger, plan(ledger, other)) == ["new: 2 runs"]

"""The queue of trials without Ray, on a placement of this machine."""

import dataclasses

from raysweep.ledger.opening import open_ledger
from raysweep.ledger.records import FAILED, FINISHED, Ledger
from raysweep.live.status import Status
from raysweep.planning.resources import Resources
from raysweep.planning.rules import Rules
from raysweep.planning.runs import make_runs
from raysweep.running.placement import LocalPlacement
from raysweep.running.queue import TrialQueue
from tests.raysweep.fakes import FAMILY, fake
from tests.raysweep.live.sweep import RecordingView


def queue_of(ledger: Ledger, **rules) -> TrialQueue:
    """An empty queue on one CPU."""
    placement = LocalPlacement(ledger, Resources(cpus=1, gpus=0))
    return TrialQueue(ledger, placement, Rules(**rules), Status(ledger, RecordingView(), slots=1))


def test_of_a_stopped_trial_only_the_runs_that_did_not_end_wait_again(tmp_path):
    """Of its three seeds, one has finished, one has failed after the trial was asked to stop, one has not begun."""
    ledger = open_ledger(tmp_path)
    three = dataclasses.replace(fake("three", 0), runs_per_trial=3)
    runs = make_runs([three], ledger, family=FAMILY, overrides={}, seeds=[0, 1, 2])
    queue = queue_of(ledger)
    queue.add(runs)
    spec = queue.suggest("t1")
    (bundle,) = queue.admission.running
    bundle.asked_to_stop = True
    ending = {"error": None, "results": {}, "curves": {}, "provenance": {}, "trial": spec.trial}
    for run, status in zip(runs, (FINISHED, FAILED), strict=False):
        ledger.write({**run.record(), **ending, "status": status})
    queue.trial_ended("t1")
    assert [run.name for one in queue.admission.waiting for run in one.runs] == [runs[2].name]
    again = queue.suggest("t2")
    ledger.write({**runs[2].record(), **ending, "status": FAILED, "trial": again.trial})
    (bundle,) = queue.admission.running
    bundle.asked_to_stop = True
    queue.trial_ended("t2")
    assert not queue.admission.waiting


def test_a_budget_is_used_up_only_while_there_is_something_to_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("raysweep.running.queue.POLL_EVERY", 0.0)
    queue = queue_of(open_ledger(tmp_path), deadline=0.0)
    queue.poll()
    assert capsys.readouterr().out == ""
    queue.add(make_runs([fake("a", 0), fake("b", 1)], queue.ledger, family=FAMILY, overrides={}))
    queue.poll()
    # The first one has been admitted, and has no processes yet.
    assert capsys.readouterr().out == "the budget is used up; 1 run not started: b seed 0\n"

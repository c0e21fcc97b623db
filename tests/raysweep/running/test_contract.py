"""Trainables that break their contract in the workers of a real Ray cluster."""

import pytest

from raysweep.experiment import Experiment, Family
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.records import FAILED, FINISHED
from raysweep.planning.resources import Resources
from raysweep.planning.runs import make_runs
from raysweep.running.cluster import own_cluster
from raysweep.running.placement import LocalPlacement
from tests.conftest import ROOT
from tests.faulty_trainable import FaultyConfig

FAULTS = {"": "whole", "lacks a field": "lacks", "wrong type": "type", "tensor": "tensor", "no end": "endless"}
TRAINABLE = "tests.faulty_trainable"
FAMILY = Family(name="faulty", dataset="none", experiments=(), groups=(), questions=(), grid=lambda values: ([], []))


@pytest.mark.ray
def test_reports_that_break_the_contract_fail_their_run_with_a_line_and_no_traceback(tmp_path, monkeypatch, capfd):
    """Each experiment has a group of its own, since the third failure of a kind ends a group."""
    ledger, runs = open_ledger(tmp_path), []
    for fault, name in FAULTS.items():
        experiment = Experiment(name=name, config=FaultyConfig(fault=fault), trainable=TRAINABLE, seeds=(0,))
        runs += make_runs([experiment], ledger, family=FAMILY, overrides={}, group=name)
    resources = Resources(cpus=2, gpus=0)
    monkeypatch.chdir(ROOT)
    with own_cluster(resources):
        from raysweep.running.launcher import launch

        launch(runs, ledger, LocalPlacement(ledger, resources))
    records = {record["experiment"]: record for record in ledger.records()}
    assert (records["whole"]["status"], records["whole"]["curves"]) == (FINISHED, {})
    assert {name: records[name]["error"] for name in FAULTS.values() if name != "whole"} == {
        "lacks": f"{TRAINABLE}: event 'epoch': it lacks 'images_per_second'",
        "type": f"{TRAINABLE}: event 'epoch': epochs is 'ten', not a finite number",
        "tensor": f"{TRAINABLE}: event 'result': results.head_acc is a torch.Tensor, not a plain value of Python "
        "(its .item() is)",
        "endless": f"{TRAINABLE}: train: its reports end without 'result' or 'stopped'",
    }
    failed = [records[name] for name in FAULTS.values() if name != "whole"]
    assert {(record["status"], record["kind"], record["restarts"]) for record in failed} == {(FAILED, "error", 0)}
    shown = "".join(capfd.readouterr())
    assert f"failed: {records['lacks']['error']}" in shown
    assert "Traceback" not in shown

"""The plan as rows and as JSON."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from raysweep.experiment import Experiment
from raysweep.forecasts.costs import RAY_BYTES
from raysweep.forecasts.machine import Machine, machine_of
from raysweep.forecasts.planning import plan_as_json, plan_rows, total_of
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.records import DIVERGED, FINISHED
from raysweep.planning.resources import Resources
from raysweep.planning.runs import in_bundles
from tests.conftest import ROOT
from tests.fake_trainable import FakeConfig
from tests.raysweep.forecasts.plans import BASE, SHARE, WHOLE, experiment_with, planned, record


@pytest.fixture
def ledger(tmp_path):
    return open_ledger(tmp_path / "results")


@pytest.fixture
def machine(tmp_path):
    return Machine(
        slots=2,
        slots_of=lambda _: 1,
        share_of=lambda _: SHARE,
        memory_of=lambda _: 2 * 10**9,
        device="cpu",
        cache=tmp_path / "cache",
    )


def test_states_are_done_goes_on_new_changed_and_extended(ledger, machine):
    (done,) = planned(ledger)
    record(ledger, done)
    (begun,) = planned(ledger, seeds=(1,))
    ledger.runs.folder(begun.name).mkdir(parents=True)
    (ledger.runs.folder(begun.name) / "last.pt").write_text("finetune 9")
    (hopeless,) = planned(ledger, seeds=(2,))
    ledger.write({**hopeless.record(), "status": DIVERGED, "results": {}, "curves": {}})
    other = replace(BASE, name="other")
    runs = [done, begun, hopeless, *planned(ledger, seeds=(3,)), *planned(ledger, patience=9)]
    runs += planned(ledger, other, width=2)
    rows = plan_rows(runs, ledger, machine)
    assert [row.state for row in rows] == ["done", "goes on", "diverged", "extended", "changed", "new"]
    assert [row.to_do for row in rows] == [False, True, False, True, True, True]
    assert rows[4].how == "patience 100 -> 9"
    assert rows[1].forecast.remaining
    assert rows[1].forecast.seconds == pytest.approx(3 + 125.5), "set-up and one epoch of ten"


def test_json_has_an_object_for_each_run_in_order(ledger, machine):
    (done,) = planned(ledger)
    record(ledger, done)
    rows = plan_rows(planned(ledger, seeds=(5, 4)), ledger, machine)
    first, second = json.loads(json.dumps(plan_as_json(rows)))
    assert (first["seed"], second["seed"]) == (5, 4)
    assert first["seconds"] == pytest.approx(WHOLE)
    expected = {
        "experiment": "base",
        "priority": 0,
        "state": "extended",
        "num_workers": 1,
        "n_params_extractor": 40_000_000,
        "n_params_classifier": 234,
        "flops_forward": 100,
        "flops_train": 300,
        "memory_bytes": 10**9 + RAY_BYTES,
        "final_channels": None,
        "seconds_are": "whole",
        "basis": "measured",
        "memory_risk": "none",
        "remedy": None,
    }
    assert {name: first[name] for name in expected} == expected
    assert [(p["phase"], p["flops_train"], p["train_images"]) for p in first["phases"]] == [
        ("head", 200, 1000),
        ("finetune", 300, 1000),
    ]


def test_a_trainable_without_cost_and_phases_is_planned_without_them(ledger, machine):
    users = Experiment(name="users", config=FakeConfig(), trainable="tests.fake_trainable")
    (row,) = plan_rows(planned(ledger, users), ledger, machine)
    (plain,) = plan_as_json([row])
    for name in ("flops_forward", "memory_bytes", "seconds", "seconds_low", "memory_risk", "seconds_per_epoch"):
        assert plain[name] is None
    assert (plain["basis"], plain["phases"]) == ("unknown", [])
    assert total_of([row], machine).unknown == 1


@pytest.mark.parametrize(
    ("width", "fields", "risk", "remedy"),
    [
        (1, {}, "none", ""),
        (2, {}, "likely", "global_avg_pool=True (another experiment)"),  # 2 GB of 2 GB, within 15 %
        (3, {}, "certain", "global_avg_pool=True (another experiment)"),  # a quarter of 3 GB
        (3, {"global_avg_pool": True}, "none", ""),
        (12, {"global_avg_pool": True}, "certain", "mixing_horizon=27 (another experiment)"),  # half of 3 GB
        (40, {}, "certain", "none of the known remedies fits by itself"),
    ],
)
def test_memory_is_risked_within_a_margin_and_the_first_remedy_that_fits_is_named(
    ledger, machine, width, fields, risk, remedy
):
    (row,) = plan_rows(planned(ledger, width=width, **fields), ledger, machine)
    assert (row.risk, row.remedy) == (risk, remedy)


def test_without_known_memory_no_risk_is_said(ledger, machine):
    (row,) = plan_rows(planned(ledger, width=40), ledger, replace(machine, memory_of=lambda _: None))
    assert row.risk is None


def test_the_total_is_of_what_is_to_do_and_counts_a_run_once(ledger, machine):
    (done,) = planned(ledger)
    record(ledger, done)
    twice = planned(ledger, seeds=(0, 1)) + planned(ledger, replace(BASE, name="same"), seeds=(0, 1))
    rows = plan_rows(twice, ledger, machine)
    assert [row.to_do for row in rows] == [False, True, False, True]
    found = total_of(rows, machine)
    assert found.work == pytest.approx(WHOLE)
    assert found.seconds == pytest.approx(WHOLE + 15 + 1)  # Ray, and a trial


def test_runs_of_one_trial_follow_each_other(ledger):
    series = replace(BASE, runs_per_trial=2)
    runs = planned(ledger, series, seeds=(0, 1, 2)) + planned(ledger, replace(BASE, name="b"), seeds=(0, 1))
    assert [[run.config.seed for run in part] for part in in_bundles(runs)] == [[0, 1], [2], [0], [1]]


def test_a_machine_is_shared_out_as_the_sweep_does(ledger, tmp_path):
    cpus = machine_of(Resources(cpus=4, gpus=0), None, tmp_path)
    (run,) = planned(ledger)
    assert (cpus.share_of(run).threads, cpus.share_of(run).at_once, cpus.slots) == (1, 4, 4)
    (timed,) = planned(ledger, replace(BASE, timed=True))
    assert (cpus.share_of(timed).threads, cpus.share_of(timed).at_once) == (4, 1)
    assert cpus.memory_of(timed) == pytest.approx(4 * cpus.memory_of(run), rel=1e-6)
    halves = machine_of(Resources(cpus=16, gpus=2), 0.5, tmp_path)
    assert (halves.share_of(run).threads, halves.share_of(run).at_once) == (4, 4)


def test_a_failed_run_is_to_do_again(ledger, machine):
    (run,) = planned(ledger)
    ledger.write({**run.record(), "status": "failed", "results": {}, "curves": {}})
    assert plan_rows([run], ledger, machine)[0].to_do
    ledger.write({**run.record(), "status": FINISHED, "results": {}, "curves": {}})
    assert not plan_rows([run], ledger, machine)[0].to_do


def test_planning_loads_neither_ray_nor_torch():
    code = (
        "import sys; import raysweep.forecasts.planning, raysweep.forecasts.plan_view, raysweep.forecasts.calibration; "
        "sys.exit(bool({'ray', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_configuration_with_a_remedy_stays_the_users(ledger, machine):
    """A remedy is computed on a copy."""
    (run,) = planned(ledger, experiment_with(width=3))
    plan_rows([run], ledger, machine)
    assert run.config.global_avg_pool is False

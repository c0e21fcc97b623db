"""The launcher on a real Ray cluster, with a trainable that does nothing."""

import dataclasses
import subprocess
from pathlib import Path

import pytest

from raysweep.cluster import Resources, own_cluster
from raysweep.experiment import Experiment, Family
from raysweep.ledger import DIVERGED, FAILED, FINISHED, Ledger
from raysweep.plan import PlanError, make_runs
from tests.fake_trainable import FakeConfig

FAMILY = Family(name="fakes", dataset="none", experiments=(), groups=(), questions=(), grid=lambda values: ([], []))


def fake(name: str, priority: int, **fields) -> Experiment:
    return Experiment(
        name=name,
        config=FakeConfig(**fields),
        trainable="tests.fake_trainable",
        priority=priority,
        num_workers=1,
        seeds=(0,),
    )


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Four experiments of different width, and two that fail in different ways, on two CPUs."""
    from tests.conftest import ROOT

    ledger = Ledger(tmp_path_factory.mktemp("results"))
    small = [fake("first", 0), fake("second", 0, crash="killed_once"), fake("fails", 3, crash="exception")]
    small.append(fake("diverges", 4, crash="diverges"))
    wide = [fake("wide", 1), fake("wide_again", 2)]
    runs = make_runs(small, ledger, family=FAMILY, overrides={}, num_workers=1)
    runs += make_runs(wide, ledger, family=FAMILY, overrides={}, num_workers=2)
    runs.sort(key=lambda run: run.experiment.priority)
    resources = Resources(cpus=2, gpus=0)
    with pytest.MonkeyPatch.context() as patch, own_cluster(resources):
        patch.chdir(ROOT)
        from raysweep.launcher import launch

        launch(runs, ledger, resources)
    assert ledger.settled() == {run.name for run in runs if run.experiment.name != "fails"}
    return {record["experiment"]: record for record in ledger.records()}


@pytest.mark.ray
def test_every_run_is_recorded_once_with_its_outcome(records):
    outcomes = {name: record["status"] for name, record in records.items()}
    assert outcomes == {
        "first": FINISHED,
        "second": FINISHED,
        "wide": FINISHED,
        "wide_again": FINISHED,
        "fails": FAILED,
        "diverges": DIVERGED,
    }


@pytest.mark.ray
def test_a_killed_worker_is_replaced_and_an_exception_is_not_retried(records):
    assert records["second"]["restarts"] == 1
    assert records["fails"]["restarts"] == 0
    assert records["fails"]["error"] == "ValueError: the fake was told to fail"


@pytest.mark.ray
def test_runs_are_admitted_in_order_and_never_share_a_slot(records):
    """`fails` is small and could start while `wide` waits for two slots; it must not."""
    wide, wide_again = records["wide"]["results"], records["wide_again"]["results"]
    for small in ("first", "second"):
        assert records[small]["results"]["ended"] <= wide["started"]
    assert wide["ended"] <= wide_again["started"]
    assert records["fails"]["started"] >= records["wide_again"]["started"]


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """Trials of several seeds each: one plain, one that loses a worker at every seed, one whose odd seed fails."""
    from tests.conftest import ROOT

    ledger = Ledger(tmp_path_factory.mktemp("results"))
    names = {"plain": ("", range(4)), "killed": ("killed_once", range(2)), "odd": ("odd_seeds", range(3))}
    experiments = [
        dataclasses.replace(fake(name, i, seconds=0.1, crash=crash), seeds=tuple(seeds), runs_per_trial=3)
        for i, (name, (crash, seeds)) in enumerate(names.items())
    ]
    runs = make_runs(experiments, ledger, family=FAMILY, overrides={})
    resources = Resources(cpus=1, gpus=0)
    with pytest.MonkeyPatch.context() as patch, own_cluster(resources):
        patch.chdir(ROOT)
        from raysweep.launcher import launch

        launch(runs, ledger, resources)
    return {(record["experiment"], record["seed"]): record for record in ledger.records()}


@pytest.mark.ray
def test_seeds_of_a_trial_share_a_process_and_have_records_of_their_own(series):
    pids = [series["plain", seed]["results"]["pid"] for seed in range(4)]
    assert pids[0] == pids[1] == pids[2] != pids[3]
    ends = [series["plain", seed]["results"]["ended"] for seed in range(4)]
    assert ends == sorted(ends)


@pytest.mark.ray
def test_a_cut_off_series_goes_on_with_the_seeds_that_are_missing(series):
    assert [series["killed", seed]["restarts"] for seed in range(2)] == [1, 2]
    assert {series["killed", seed]["status"] for seed in range(2)} == {FINISHED}


@pytest.mark.ray
def test_a_failing_seed_leaves_the_others_of_its_trial_alone(series):
    assert [series["odd", seed]["status"] for seed in range(3)] == [FINISHED, FAILED, FINISHED]
    assert series["odd", 1]["error"] == "ValueError: the fake was told to fail"


@pytest.mark.ray
def test_provenance_says_what_computed_the_numbers(records):
    provenance = records["first"]["provenance"]
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
    head = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    assert (provenance["revision"] or "").rstrip("+") == head
    assert provenance["ray_version"]
    assert provenance["torch_version"]


def test_a_run_wider_than_the_cluster_is_refused(tmp_path):
    runs = make_runs([fake("wide", 0)], Ledger(tmp_path), family=FAMILY, overrides={}, num_workers=3)
    with pytest.raises(PlanError, match="wide needs 3 CPUs for its 3 workers; the cluster has 2"):
        Resources(cpus=2, gpus=0).require_room(runs, None)
    with pytest.raises(PlanError, match="wide needs 3 GPUs"):
        Resources(cpus=64, gpus=2).require_room(runs, None)
    with pytest.raises(PlanError, match="3 workers of one run cannot share a GPU"):
        Resources(cpus=64, gpus=2).require_room(runs, 0.5)
    Resources(cpus=64, gpus=0).require_room(runs, 0)


def test_workers_share_the_cpus_of_a_gpu_machine(tmp_path):
    (run,) = make_runs([fake("one", 0)], Ledger(tmp_path), family=FAMILY, overrides={})
    assert Resources(cpus=64, gpus=8).per_worker(run, None) == {"GPU": 1.0, "CPU": 8}
    assert Resources(cpus=64, gpus=8).per_worker(run, 0.5) == {"GPU": 0.5, "CPU": 4}
    assert Resources(cpus=8, gpus=8).per_worker(run, 0.5) == {"GPU": 0.5, "CPU": 0.5}
    assert Resources(cpus=2, gpus=0).per_worker(run, None) == {"CPU": 1}


def test_a_timed_run_has_the_cpus_of_a_node_to_itself(tmp_path):
    timed = dataclasses.replace(fake("one", 0), timed=True)
    (run,) = make_runs([timed], Ledger(tmp_path), family=FAMILY, overrides={})
    (pair,) = make_runs([timed], Ledger(tmp_path), family=FAMILY, overrides={}, num_workers=2)
    machine, nodes = Resources(cpus=5, gpus=0), Resources(cpus=12, gpus=0, node_cpus=4)
    assert (machine.per_worker(run, None), machine.slots_of(run, None)) == ({"CPU": 5}, 5)
    assert (machine.per_worker(pair, None), machine.slots_of(pair, None)) == ({"CPU": 2}, 4)
    assert (nodes.per_worker(run, None), nodes.slots_of(run, None)) == ({"CPU": 4}, 4)
    assert Resources(cpus=64, gpus=8).slots_of(run, None) == 1


def test_the_own_number_of_workers_needs_as_many_gpus(tmp_path):
    experiment = Experiment(
        name="A", config=FakeConfig(), trainable="tests.fake_trainable", num_workers=8, seeds=(0, 1)
    )
    for gpus, expected in ((0, 1), (4, 1), (8, 8)):
        runs = make_runs([experiment], Ledger(tmp_path), family=FAMILY, overrides={}, gpus=gpus)
        assert [run.num_workers for run in runs] == [expected] * 2

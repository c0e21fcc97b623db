"""The launcher on a real Ray cluster, with a trainable that does nothing."""

import dataclasses
import os
from pathlib import Path

import pytest

from raysweep.experiment import Experiment
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.records import DIVERGED, FAILED, FINISHED, Ledger
from raysweep.messages import PlanError
from raysweep.planning.resources import Resources
from raysweep.planning.runs import make_runs
from raysweep.running.cluster import own_cluster, prepare_own_environment
from raysweep.running.placement import LocalPlacement
from tests.fake_trainable import FakeConfig
from tests.raysweep.fakes import FAMILY, fake


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Four experiments of different width, and four that fail in different ways, on two CPUs."""
    from tests.conftest import ROOT

    ledger = open_ledger(tmp_path_factory.mktemp("results"))
    small = [fake("first", 0), fake("second", 0, crash="killed_once"), fake("fails", 3, crash="exception")]
    small.append(fake("diverges", 4, crash="diverges"))
    small += [fake("memory", 5, crash="memory"), fake("memory_always", 6, crash="memory_always")]
    wide = [fake("wide", 1), fake("wide_again", 2)]
    runs = make_runs(small, ledger, family=FAMILY, overrides={}, num_workers=1)
    runs += make_runs(wide, ledger, family=FAMILY, overrides={}, num_workers=2)
    runs.sort(key=lambda run: run.experiment.priority)
    resources = Resources(cpus=2, gpus=0)
    with pytest.MonkeyPatch.context() as patch, own_cluster(resources):
        patch.chdir(ROOT)
        from raysweep.running.launcher import launch

        launch(runs, ledger, LocalPlacement(ledger, resources))
    assert ledger.settled() == {run.name for run in runs if run.experiment.name not in ("fails", "memory_always")}
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
        "memory": FINISHED,
        "memory_always": FAILED,
    }


@pytest.mark.ray
def test_without_memory_a_run_is_cut_into_parts_and_then_fails_with_remedies(records):
    assert records["memory"]["config"]["batch_parts"] == 4
    assert records["memory"]["attempt"] == 3
    assert records["memory_always"]["kind"] == "memory"
    remedy = "remedies: batch_size=4 (each is another experiment)"
    assert records["memory_always"]["error"] == f"MemoryError: not enough for anything; {remedy}"
    assert {records[name]["kind"] for name in ("first", "second", "wide")} == {""}
    assert (records["fails"]["kind"], records["diverges"]["kind"]) == ("error", "diverged")


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

    ledger = open_ledger(tmp_path_factory.mktemp("results"))
    names = {"plain": ("", range(4)), "killed": ("killed_once", range(2)), "odd": ("odd_seeds", range(3))}
    experiments = [
        dataclasses.replace(fake(name, i, seconds=0.1, crash=crash), seeds=tuple(seeds), runs_per_trial=3)
        for i, (name, (crash, seeds)) in enumerate(names.items())
    ]
    runs = make_runs(experiments, ledger, family=FAMILY, overrides={})
    resources = Resources(cpus=1, gpus=0)
    with pytest.MonkeyPatch.context() as patch, own_cluster(resources):
        patch.chdir(ROOT)
        from raysweep.running.launcher import launch

        launch(runs, ledger, LocalPlacement(ledger, resources))
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


@pytest.fixture
def on_two_cpus(tmp_path):
    """What launches runs of fakes under rules on a cluster of two CPUs. Returns the ledger."""
    from tests.conftest import ROOT

    prepare_own_environment()  # before a test imports Ray
    ledger = open_ledger(tmp_path)

    def start(experiments, **rules) -> Ledger:
        runs = make_runs(experiments, ledger, family=FAMILY, overrides={}, group="fakes")
        resources = Resources(cpus=2, gpus=0)
        with pytest.MonkeyPatch.context() as patch, own_cluster(resources):
            patch.chdir(ROOT)
            from raysweep.planning.rules import Rules
            from raysweep.running.launcher import launch

            launch(runs, ledger, LocalPlacement(ledger, resources), Rules(**rules))
        return ledger

    return start


@pytest.mark.ray
@pytest.mark.slow
def test_the_third_failure_of_a_kind_ends_its_group(on_two_cpus, capsys):
    experiments = [fake(f"fails{i}", i, crash="exception") for i in range(3)] + [fake(f"never{i}", 9) for i in range(2)]
    ledger = on_two_cpus(experiments)
    statuses = {record["experiment"]: record["status"] for record in ledger.records()}
    assert {statuses[f"fails{i}"] for i in range(3)} == {FAILED}
    assert "3 runs of group fakes have failed alike" in capsys.readouterr().out
    assert "never1" not in statuses


@pytest.mark.ray
@pytest.mark.slow
def test_ray_starts_early_only_what_is_known_to_end_in_time(on_two_cpus, tmp_path):
    """`small` is known to be short from an earlier seed, `long` to be long; `wide` waits for both CPUs."""
    import datetime

    known = {"long": 90, "small": 1}
    experiments = [fake("long", 0, seconds=75), fake("wide", 1, seconds=1, epochs=2), fake("small", 2, seconds=1)]
    experiments[1] = dataclasses.replace(experiments[1], timed=True)  # both CPUs
    ledger = open_ledger(tmp_path)
    for run in make_runs(experiments, ledger, family=FAMILY, overrides={}, seeds=[1]):
        end = datetime.datetime.now(datetime.UTC)
        times = {
            "started": (end - datetime.timedelta(seconds=known.get(run.experiment.name, 1))).isoformat(),
            "finished": end.isoformat(),
        }
        ending = {"status": FINISHED, "kind": "", "error": None, "results": {}, "curves": {}, "provenance": {}}
        ledger.write({**run.record(), **ending, **times, "attempt": 1})
    on_two_cpus(experiments, backfill=True)
    ran = {r["experiment"]: r["results"] for r in ledger.records() if r["seed"] == 0}
    assert ran["small"]["ended"] < ran["long"]["ended"] <= ran["wide"]["started"]


@pytest.mark.ray
@pytest.mark.slow
def test_five_hundred_trials_leave_the_driver_as_it_was(on_two_cpus, monkeypatch):
    """Its memory and open files after 100 trials and after 500; the trials end in the order of the plan."""
    from raysweep.running.queue import TrialQueue

    seen = []
    before = TrialQueue.trial_ended

    def count(self, *args, **more):
        before(self, *args, **more)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        seen.append((pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd"))))
        if len(seen) % 50 == 0:
            print(f"{len(seen)} trials: {seen[-1][0] / 2**20:.0f} MB, {seen[-1][1]} files", flush=True)

    monkeypatch.setattr(TrialQueue, "trial_ended", count)
    ledger = on_two_cpus([fake(f"f{i:03d}", i, seconds=0.2) for i in range(500)])
    assert len(seen) == 500
    started = sorted((record["results"]["started"], record["experiment"]) for record in ledger.records())
    places = [int(name[1:]) for _, name in started]
    # Two run at a time, so a neighbour may begin its work first.
    assert all(abs(place - i) <= 1 for i, place in enumerate(places))
    memory, files = zip(*seen, strict=True)
    print(f"RSS {memory[99] / 2**20:.0f} -> {memory[-1] / 2**20:.0f} MB, files {files[99]} -> {files[-1]}")
    assert max(memory[400:]) < max(memory[:100]) + 40 * 2**20
    assert max(files[400:]) <= max(files[:100]) + 20


@pytest.mark.ray
def test_provenance_says_what_computed_the_numbers(records):
    provenance = records["first"]["provenance"]
    assert provenance["ray_version"]
    assert provenance["torch_version"]


def test_a_run_wider_than_the_cluster_is_refused(tmp_path):
    runs = make_runs([fake("wide", 0)], open_ledger(tmp_path), family=FAMILY, overrides={}, num_workers=3)
    with pytest.raises(PlanError, match="wide needs 3 CPUs for its 3 workers; the cluster has 2"):
        Resources(cpus=2, gpus=0).require_room(runs, None)
    with pytest.raises(PlanError, match="wide needs 3 GPUs"):
        Resources(cpus=64, gpus=2).require_room(runs, None)
    with pytest.raises(PlanError, match="3 workers of one run cannot share a GPU"):
        Resources(cpus=64, gpus=2).require_room(runs, 0.5)
    Resources(cpus=64, gpus=0).require_room(runs, 0)


def test_workers_share_the_cpus_of_a_gpu_machine(tmp_path):
    (run,) = make_runs([fake("one", 0)], open_ledger(tmp_path), family=FAMILY, overrides={})
    assert Resources(cpus=64, gpus=8).per_worker(run, None) == {"GPU": 1.0, "CPU": 8}
    assert Resources(cpus=64, gpus=8).per_worker(run, 0.5) == {"GPU": 0.5, "CPU": 4}
    assert Resources(cpus=8, gpus=8).per_worker(run, 0.5) == {"GPU": 0.5, "CPU": 0.5}
    assert Resources(cpus=2, gpus=0).per_worker(run, None) == {"CPU": 1}


def test_a_timed_run_has_the_cpus_of_a_node_to_itself(tmp_path):
    timed = dataclasses.replace(fake("one", 0), timed=True)
    (run,) = make_runs([timed], open_ledger(tmp_path), family=FAMILY, overrides={})
    (pair,) = make_runs([timed], open_ledger(tmp_path), family=FAMILY, overrides={}, num_workers=2)
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
        runs = make_runs([experiment], open_ledger(tmp_path), family=FAMILY, overrides={}, gpus=gpus)
        assert [run.num_workers for run in runs] == [expected] * 2

"""What trials hold on this machine and on a cluster."""

from raysweep.admission.policy import RunBundle
from raysweep.ledger.opening import open_ledger
from raysweep.planning.resources import Resources
from raysweep.planning.runs import make_runs
from raysweep.running.placement import SLOT, ClusterPlacement, LocalPlacement
from tests.raysweep.fakes import FAMILY, fake


def planned(folder, num_workers: int = 1):
    (run,) = make_runs([fake("one", 0)], open_ledger(folder), family=FAMILY, overrides={}, num_workers=num_workers)
    return run


def test_two_trials_of_this_machine_never_hold_the_same_gpu(tmp_path):
    placement = LocalPlacement(open_ledger(tmp_path), Resources(cpus=4, gpus=2, gpu_names=("GPU-a", "GPU-b")))
    first, second, third = (RunBundle([planned(tmp_path)], 1) for _ in range(3))
    for bundle, trial in ((first, "first"), (second, "second")):
        placement.trial_starts(trial)
        assert placement.has_room(bundle)
        placement.let_in(bundle, trial)
    gates = tmp_path / "ray" / "gates"
    assert [(gates / trial).read_text() for trial in ("first", "second")] == ['["GPU-a"]', '["GPU-b"]']
    assert not placement.has_room(third)
    placement.release(first)
    assert placement.has_room(third)


def test_no_more_trials_start_at_once_than_there_are_cores(tmp_path, monkeypatch):
    monkeypatch.setattr("raysweep.running.placement.CPU_CORES", 2)
    placement = LocalPlacement(open_ledger(tmp_path), Resources(cpus=8, gpus=0))
    gate = placement.trial_starts("first")
    placement.trial_starts("second")
    assert not placement.may_start()
    open(gate + ".here", "w").close()
    assert placement.may_start(), "the first has come to its gate"
    placement.trial_starts("third")
    assert not placement.may_start()
    placement.trial_ended("second")
    assert placement.may_start()


def test_a_cluster_holds_trials_back_by_its_slots_or_by_their_number(tmp_path):
    resources = Resources(cpus=16, gpus=8)
    run = planned(tmp_path, num_workers=4)
    by_slots, by_number = ClusterPlacement(resources), ClusterPlacement(resources, max_concurrent=2)
    assert (by_slots.slots, by_slots.slots_of(run), by_slots.asked_of_ray(4)) == (8, 4, {SLOT: 4})
    assert (by_number.slots, by_number.slots_of(run)) == (2, 1)
    assert by_number.asked_of_ray(1) == {}
    assert by_slots.trial_starts("trial") == ""
    assert by_slots.per_worker(run) == {"GPU": 1.0, "CPU": 2}


def test_a_share_of_a_gpu_that_the_user_names_is_not_worked_out_anew(tmp_path):
    resources = Resources(cpus=16, gpus=2)
    bundle = RunBundle([planned(tmp_path)], 0.5)
    given, seen = (
        LocalPlacement(open_ledger(tmp_path), resources, 0.5),
        LocalPlacement(open_ledger(tmp_path), resources),
    )
    assert given.slots_of(bundle.runs[0]) == 0.5
    assert (given.release(bundle), seen.release(bundle)) == (False, True)

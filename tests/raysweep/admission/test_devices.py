"""Which GPUs trials get, and how many trials may share one, against values worked out by hand."""

import pytest

from raysweep.admission.devices import Devices
from raysweep.admission.gpu_sharing import gpu_share
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.records import FINISHED
from raysweep.planning.runs import make_runs
from tests.raysweep.fakes import FAMILY, fake

GB = 10**9


def test_each_trial_gets_gpus_of_its_own_named_as_in_cuda_visible_devices():
    devices = Devices(("2", "3", "GPU-5f", "7"))
    assert devices.take("a", 2, 1) == ["2", "3"]
    assert devices.take("b", 1, 1) == ["GPU-5f"]
    assert not devices.suffice(2, 1)
    devices.release("a")
    assert devices.take("c", 2, 1) == ["2", "3"]


def test_shares_fill_one_gpu_before_they_use_another():
    devices = Devices(("0", "1"))
    assert [devices.take(i, 1, 0.5) for i in range(3)] == [["0"], ["0"], ["1"]]
    assert not devices.suffice(1, 1)
    assert devices.suffice(1, 0.5)
    devices.release(2)
    assert devices.take("whole", 1, 1) == ["1"]


def test_three_thirds_fill_a_gpu():
    devices = Devices(("0",))
    for i in range(3):
        assert devices.take(i, 1, 1 / 3) == ["0"]
    assert not devices.suffice(1, 1 / 3)
    for i in range(3):
        devices.release(i)
    assert devices.suffice(1, 1)


def test_with_two_gpus_each_the_first_ones_of_all_workers_come_first():
    """A worker finds its first GPU at the index of its local rank."""
    assert Devices(("0", "1", "2", "3")).take("a", 2, 2) == ["0", "2", "1", "3"]


@pytest.mark.parametrize(
    ("peak", "expected"),
    [(10 * GB, 1 / 6), (40 * GB, 1), (1 * GB, 1 / 8), (35 * GB, 1 / 2), (80 * GB, 1)],
)
def test_runs_share_a_gpu_by_the_memory_that_one_of_them_needed(tmp_path, peak, expected):
    """Of 80 GB, 72 are filled, and a context takes 0.63 GB: 10 + 0.63 GB fit 6 times, 35 + 0.63 GB twice."""
    first, second = make_runs([fake("small", 0)], open_ledger(tmp_path), family=FAMILY, overrides={}, seeds=[0, 1])
    results = {"peak_memory_bytes": peak, "device_memory_bytes": 80 * GB}
    records = [{**first.record(), "status": FINISHED, "results": results}]
    assert gpu_share(second, records) == pytest.approx(expected)


def test_a_run_that_is_timed_wide_or_was_never_measured_has_a_gpu_to_itself(tmp_path):
    import dataclasses

    ledger, results = open_ledger(tmp_path), {"peak_memory_bytes": GB, "device_memory_bytes": 80 * GB}
    timed = dataclasses.replace(fake("timed", 0), timed=True)
    (run,) = make_runs([timed], ledger, family=FAMILY, overrides={})
    (other,) = make_runs([fake("other", 0, batch_size=64)], ledger, family=FAMILY, overrides={})
    (wide,) = make_runs([fake("wide", 0)], ledger, family=FAMILY, overrides={}, num_workers=2)
    for one in (run, wide):
        assert gpu_share(one, [{**one.record(), "status": FINISHED, "results": results}]) == 1
    assert gpu_share(other, [{**run.record(), "status": FINISHED, "results": results}]) == 1
    assert gpu_share(other, [{**other.record(), "status": FINISHED, "results": {"peak_memory_bytes": GB}}]) == 1

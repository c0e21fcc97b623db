"""Rates are measured in processes of their own, as many as the sweep has at once, and kept."""

from dataclasses import replace

from raysweep.forecasts.calibration import calibrate
from raysweep.forecasts.rates import Shape, cached
from raysweep.ledger.opening import open_ledger
from tests.raysweep.forecasts.plans import SHARE, planned


def test_as_many_processes_measure_as_run_at_once_with_the_threads_of_a_worker(tmp_path):
    runs = planned(open_ledger(tmp_path), seeds=(0, 1))
    said = []
    share = replace(SHARE, threads=3)
    calibrate(runs, lambda _: share, tmp_path / "cache", said.append)
    assert said == ["calibrated: base on abacus, threads: 1, 2 at once"], "once for both seeds"
    found = cached(Shape.of(runs[0]), share, tmp_path / "cache")
    assert found.n == 2
    assert found.rates["threads_per_second"] == 3
    assert found.rates["head_images_per_second"] == 100
    calibrate(runs, lambda _: share, tmp_path / "cache", said.append)
    assert len(said) == 1, "nothing is measured twice"


def test_what_cannot_be_measured_is_one_line_and_stays_unknown(tmp_path):
    ledger, said = open_ledger(tmp_path), []
    runs = planned(ledger, fails="error") + planned(ledger, fails="killed") + planned(ledger)
    calibrate(runs, lambda _: SHARE, tmp_path / "cache", said.append)
    assert [line.partition(" on ")[0] for line in said] == [
        "not calibrated: base: ValueError: the fake was told to fail",
        "not calibrated: base: its process ended with code -9, perhaps for want of memory",
        "calibrated: base",
    ]
    assert cached(Shape.of(runs[0]), SHARE, tmp_path / "cache") is None


def test_a_damaged_calibration_is_none(tmp_path):
    (run,) = planned(open_ledger(tmp_path))
    calibrate([run], lambda _: SHARE, tmp_path / "cache", str)
    (file,) = (tmp_path / "cache" / "rates").iterdir()
    for content in (b"", b"[]", b'{"measured": 3}', b'{"measured": [3], "config": {}}'):
        file.write_bytes(content)
        assert cached(Shape.of(run), SHARE, tmp_path / "cache") is None

"""Times by a matrix product, where nothing was measured: sums done by hand, one measurement for each device."""

from dataclasses import replace

import pytest

from raysweep.forecasts.forecast import ROUGH_BY_PRODUCT, forecasts
from raysweep.forecasts.plan_view import rough_lines
from raysweep.forecasts.planning import plan_as_json, plan_rows
from raysweep.forecasts.rough import ProductSpeed
from raysweep.ledger.opening import open_ledger
from tests import planned_trainable
from tests.raysweep.forecasts.plans import SHARE, planned, record
from tests.raysweep.forecasts.test_planning import machine  # noqa: F401

PRODUCT = 1e6
FRACTION, BESIDE = 0.25, 0.001


@pytest.fixture
def ledger(tmp_path):
    return open_ledger(tmp_path / "results")


@pytest.fixture
def measured(monkeypatch):
    """The devices and threads for which a product was measured."""
    asked = []

    def matrix_product(device, threads):
        asked.append((device, threads))
        return PRODUCT

    reach = {"fraction": FRACTION, "seconds_per_image": BESIDE}
    monkeypatch.setattr(planned_trainable, "matrix_product", matrix_product, raising=False)
    monkeypatch.setattr(planned_trainable, "reach", lambda config, num_workers, device: reach, raising=False)
    return asked


def seconds(head, tuned, forward):
    """1000 images of training and 500 of validation in each of ten epochs of a phase, the head's features kept."""
    return 10 * 1000 * (head + tuned) + 500 * forward * (1 + 10 + 1)


def test_the_time_is_that_of_operations_at_a_part_of_the_product_and_of_images_beside(ledger, machine, measured):  # noqa: F811
    (row,) = plan_rows(planned(ledger), ledger, machine)
    one = 1 / (FRACTION * PRODUCT)
    expected = seconds(200 * one + BESIDE, 300 * one + BESIDE, 100 * one + BESIDE)
    assert (row.forecast.basis, row.forecast.by_product) == ("rough", True)
    assert row.forecast.seconds == pytest.approx(expected)
    assert row.forecast.low == pytest.approx(expected / ROUGH_BY_PRODUCT)
    assert row.forecast.high == pytest.approx(expected * ROUGH_BY_PRODUCT)
    (said,) = rough_lines([row])
    assert said == "~ rough: from operations and a measured matrix product; --calibrate measures"
    (plain,) = plan_as_json([row])
    assert (plain["basis"], plain["by_matrix_product"]) == ("rough", True)


def test_workers_share_the_work(ledger, tmp_path, measured):
    (run,) = planned(ledger)
    speed = ProductSpeed(lambda _: SHARE, tmp_path)(replace(run, num_workers=4))
    assert (speed.operations, speed.seconds_per_image) == (4 * FRACTION * PRODUCT, BESIDE / 4)


def test_a_product_is_measured_once_for_a_device_and_its_threads(ledger, tmp_path, measured):
    runs = planned(ledger) + planned(ledger, width=2)
    for share in (SHARE, SHARE, replace(SHARE, at_once=7), replace(SHARE, threads=2), replace(SHARE, gpus=2)):
        speed = ProductSpeed(lambda _, share=share: share, tmp_path)
        assert [speed(run).operations for run in runs] == [FRACTION * PRODUCT] * 2
    assert measured == [("cpu", 1), ("cpu", 2), ("cuda", 1)]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"operations_per_second": -1.0}', b'{"operations_per_second": "x"}'])
def test_a_damaged_measurement_is_done_again(ledger, tmp_path, measured, content):
    (run,) = planned(ledger)
    ProductSpeed(lambda _: SHARE, tmp_path)(run)
    (file,) = (tmp_path / "products").iterdir()
    file.write_bytes(content)
    assert ProductSpeed(lambda _: SHARE, tmp_path)(run).operations == FRACTION * PRODUCT
    assert len(measured) == 2


def test_what_was_measured_of_any_run_goes_before_the_product(ledger, machine, measured):  # noqa: F811
    (done,) = planned(ledger)
    record(ledger, done)
    rows = plan_rows(planned(ledger, seeds=(1,)) + planned(ledger, width=3), ledger, machine)
    assert [row.forecast.basis for row in rows] == ["measured", "rough"]
    assert not any(row.forecast.by_product for row in rows)
    assert not measured
    assert list(rough_lines(rows)) == ["~ rough: from operations, at the speed of other runs; --calibrate measures"]


def test_a_product_that_fails_leaves_the_time_unknown(ledger, machine, monkeypatch, measured):  # noqa: F811
    def fails(device, threads):
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(planned_trainable, "matrix_product", fails)
    (row,) = plan_rows(planned(ledger), ledger, machine)
    assert (row.forecast.basis, row.forecast.seconds) == ("unknown", None)
    assert not list(rough_lines([row]))


def test_a_trainable_without_a_product_has_no_rough_time(ledger, tmp_path):
    (run,) = planned(ledger)
    speed = ProductSpeed(lambda _: SHARE, tmp_path)
    assert speed(run) is None
    assert forecasts([run], [], lambda _: SHARE, tmp_path, product=speed)[0].basis == "unknown"

"""How long runs are said to take, against sums done by hand."""

from dataclasses import replace

import pytest

from raysweep.forecasts.forecast import forecasts
from raysweep.forecasts.rates import Shape, keep
from raysweep.ledger.opening import open_ledger
from raysweep.planning.runs import PlannedRun
from tests.raysweep.forecasts.plans import HEAD, RATES, SHARE, TUNING, WHOLE, planned, record


@pytest.fixture
def ledger(tmp_path):
    return open_ledger(tmp_path / "results")


def forecast(ledger, runs, tmp_path, **more):
    return forecasts(runs, list(ledger.records()), lambda _: SHARE, tmp_path / "cache", **more)


def calibrated(run: PlannedRun, tmp_path, rates=RATES):
    keep(Shape.of(run), SHARE, tmp_path / "cache", [rates, rates], run.record()["config"])


def test_without_any_rate_nothing_is_said(ledger, tmp_path):
    (found,) = forecast(ledger, planned(ledger), tmp_path)
    assert (found.basis, found.seconds, found.low, found.high) == ("unknown", None, None, None)


def test_a_measured_time_is_the_sum_over_setup_phases_and_epochs(ledger, tmp_path):
    (done,) = planned(ledger)
    record(ledger, done)
    (found,) = forecast(ledger, planned(ledger, seeds=(1,)), tmp_path)
    assert found.basis == "measured"
    assert found.seconds == pytest.approx(WHOLE)
    assert found.seconds_per_epoch == pytest.approx({"head": HEAD, "finetune": TUNING})
    assert found.low < WHOLE < found.high


def test_rates_hold_for_other_numbers_of_epochs_and_images(ledger, tmp_path):
    (done,) = planned(ledger)
    record(ledger, done)
    (found,) = forecast(ledger, planned(ledger, epochs=1, images=200), tmp_path)
    assert found.seconds == pytest.approx(3 + 2 + 2 + 10 + 25 + 20 + 25 + 0.5)


def test_other_devices_and_other_shapes_tell_nothing(ledger, tmp_path):
    (done,) = planned(ledger)
    record(ledger, done, device_name="abacus, threads: 2")
    (found,) = forecast(ledger, planned(ledger, seeds=(1,)), tmp_path)
    assert found.basis == "unknown"
    record(ledger, done)
    (found,) = forecast(ledger, planned(ledger, width=2), tmp_path)
    assert found.basis == "unknown"


def test_records_without_the_rates_that_are_needed_give_way_to_a_calibration(ledger, tmp_path):
    """As those of earlier versions, which had no rate of validation."""
    (done,) = planned(ledger)
    record(ledger, done, {name: rate for name, rate in RATES.items() if "validation" not in name})
    runs = planned(ledger, seeds=(1,))
    assert forecast(ledger, runs, tmp_path)[0].basis == "unknown"
    calibrated(runs[0], tmp_path, {"setup_seconds": 1.0})  # a trainable that measures no more
    assert forecast(ledger, runs, tmp_path)[0].basis == "unknown"
    calibrated(runs[0], tmp_path)
    (found,) = forecast(ledger, runs, tmp_path)
    assert (found.basis, found.seconds) == ("calibrated", pytest.approx(WHOLE))


def test_what_was_measured_goes_before_what_was_calibrated(ledger, tmp_path):
    (done,) = planned(ledger)
    record(ledger, done)
    runs = planned(ledger, seeds=(1,))
    calibrated(runs[0], tmp_path, {**RATES, "setup_seconds": 1e6})
    assert forecast(ledger, runs, tmp_path)[0].seconds == pytest.approx(WHOLE)


def test_the_lower_end_counts_the_epochs_that_early_stopping_leaves(ledger, tmp_path):
    (done,) = planned(ledger, patience=3)
    record(ledger, done)
    (found,) = forecast(ledger, planned(ledger, patience=4, seeds=(1,)), tmp_path)
    least = 3 + 2 + 5 * HEAD + 9 + 5 * TUNING + 25
    assert found.least == pytest.approx(least)
    assert found.low == pytest.approx(least / 1.1), "two standard deviations of 5 %"
    assert found.seconds == pytest.approx(WHOLE)


def test_other_seeds_say_when_runs_stop(ledger, tmp_path):
    for seed, epochs in ((0, 6), (1, 7), (2, 8)):
        (done,) = planned(ledger, seeds=(seed,), patience=3)
        record(ledger, done, head_epochs=10, finetune_epochs=epochs)
    (found,) = forecast(ledger, planned(ledger, patience=3, seeds=(3,)), tmp_path)
    assert found.epochs == {"head": 10, "finetune": 7}
    assert found.seconds == pytest.approx(WHOLE - 3 * TUNING)


def test_scattered_measurements_widen_the_interval(ledger, tmp_path):
    for seed, rate in ((0, 8.0), (1, 10.0), (2, 12.0)):
        (done,) = planned(ledger, seeds=(seed,))
        record(ledger, done, {**RATES, "finetune_images_per_second": rate})
    (found,) = forecast(ledger, planned(ledger, seeds=(3,)), tmp_path)
    assert found.seconds == pytest.approx(WHOLE), "the median"
    assert found.high == pytest.approx(WHOLE * (1 + 2 * 0.2))


@pytest.mark.parametrize(
    ("at", "left"),
    [
        (("head", 4), 3 + 2 + 6 * HEAD + 9 + 10 * TUNING + 25),
        (("finetune", 0), 3 + 10 * TUNING),
        (("finetune", 9), 3 + TUNING),
    ],
)
def test_of_a_run_that_goes_on_what_is_left_is_counted(ledger, tmp_path, at, left):
    (done,) = planned(ledger)
    record(ledger, done)
    (found,) = forecast(ledger, planned(ledger, seeds=(1,)), tmp_path, position=lambda _: at)
    assert found.remaining
    assert found.seconds == pytest.approx(left)


def test_an_unmeasured_shape_is_rated_by_its_operations(ledger, tmp_path):
    """Three times the operations at the speed of the others, within a factor of two."""
    (done,) = planned(ledger)
    record(ledger, done)

    def flops(run: PlannedRun):
        return dict.fromkeys(("head", "finetune"), (run.config.width, 2.0 * run.config.width))

    known, wide = forecast(ledger, planned(ledger, seeds=(1,)) + planned(ledger, width=3), tmp_path, flops=flops)
    assert (known.basis, wide.basis) == ("measured", "rough")
    speed = (2 * 100 * 2 * 10) ** 0.5  # the geometric mean of both phases
    each = {"head": 1000 * 6 / speed, "finetune": 1000 * 6 / speed + 500 * 3 / speed}
    assert wide.seconds_per_epoch == pytest.approx(each)
    assert (wide.low, wide.high) == (pytest.approx(wide.seconds / 2), pytest.approx(wide.seconds * 2))


@pytest.mark.parametrize("source", ["ledger", "cache"])
def test_the_speed_of_shapes_outside_of_the_plan_serves_too(ledger, tmp_path, source):
    (done,) = planned(ledger)
    if source == "ledger":
        record(ledger, done)
    else:
        calibrated(done, tmp_path)
    (wide,) = forecast(
        ledger,
        planned(ledger, width=3),
        tmp_path,
        flops=lambda run: dict.fromkeys(("head", "finetune"), (run.config.width, 2 * run.config.width)),
    )
    assert wide.basis == "rough"
    assert wide.seconds_per_epoch["head"] == pytest.approx(1000 * 6 / (2 * 100 * 2 * 10) ** 0.5)


def test_imported_and_adopted_records_are_not_measurements_of_ours(ledger, tmp_path):
    (done,) = planned(ledger)
    record(ledger, done)
    written = ledger.record(done.name)
    ledger.write({**written, "imported": "a file of somebody's"})
    assert forecast(ledger, planned(ledger, seeds=(1,)), tmp_path)[0].basis == "unknown"


def test_a_calibration_is_for_one_share_of_the_machine(ledger, tmp_path):
    runs = planned(ledger)
    calibrated(runs[0], tmp_path)
    alone = replace(SHARE, at_once=1)
    (found,) = forecasts(runs, [], lambda _: alone, tmp_path / "cache")
    assert found.basis == "unknown"


def test_the_size_of_the_images_belongs_to_the_shape(ledger, tmp_path):
    """Also where the configuration leaves it to the data, and so says the same of any."""
    (done,) = planned(ledger)
    record(ledger, replace(done, facts={**done.facts, "image_size": 32}))
    (run,) = planned(ledger, seeds=(1,))
    same, larger = (replace(run, facts={**run.facts, "image_size": size}) for size in (32, 224))
    assert [found.basis for found in forecast(ledger, [same, larger], tmp_path)] == ["measured", "unknown"]


def test_what_was_measured_on_originals_says_nothing_of_prepared_data(ledger, tmp_path):
    (run,) = planned(ledger)
    calibrated(run, tmp_path)
    copy = replace(run, facts={**run.facts, "prepared": "short side 256, quality 95"})
    first, second = forecast(ledger, [run, copy], tmp_path)
    assert first.seconds
    assert second.basis == "unknown"

"""When a sweep ends, against schedules drawn by hand."""

import pytest

from raysweep.forecasts.forecast import Forecast
from raysweep.forecasts.rates import Shape
from raysweep.forecasts.schedule import Trial, total
from raysweep.planning.schedule import end_of


def forecast(seconds, *, shape="a", spread=0.0, least=None):
    return Forecast(
        basis="measured" if seconds else "unknown",
        seconds=seconds,
        least=seconds if least is None else least,
        spread=spread,
        seconds_per_epoch={},
        epochs={},
        shape=Shape(trainable="t", num_workers=1, what=shape),
    )


@pytest.mark.parametrize(
    ("trials", "slots", "end"),
    [
        ([], 2, 0),
        ([(5, 1), (3, 1), (4, 1)], 2, 7),  # the third starts at 3
        ([(5, 1), (3, 2), (1, 1)], 2, 9),  # the wide one waits until 5, and the last one, which would fit, for it
        ([(5, 1), (2, 1), (3, 2)], 2, 8),
        ([(4, 0.5), (4, 0.5), (4, 0.5)], 1, 8),  # two on one GPU
    ],
)
def test_trials_start_strictly_in_order(trials, slots, end):
    assert end_of(trials, slots) == end


def test_a_total_adds_up_work_and_starts():
    found = total([Trial(runs=[forecast(100.0), forecast(50.0)], slots=1), Trial(runs=[forecast(10.0)], slots=1)], 1)
    assert found.work == 160
    assert found.seconds == 160 + 15 + 2, "Ray starts, and two trials, which waited, begin"
    assert found.low <= found.seconds <= found.high


def test_what_is_unknown_is_counted_and_left_out():
    found = total(
        [Trial(runs=[forecast(100.0)], slots=1), Trial(runs=[forecast(None)], slots=1)],
        1,
        start_seconds=0,
        first_seconds=0,
    )
    assert (found.work, found.seconds, found.unknown) == (100, 100, 1)
    assert total([], 2).seconds == 0


def test_errors_of_different_shapes_cancel_and_those_of_one_do_not():
    def width(shapes):
        trials = [Trial(runs=[forecast(100.0, shape=shape, spread=0.3)], slots=1) for shape in shapes]
        found = total(trials, 1, start_seconds=0, first_seconds=0, common=0)
        return found.high - found.low

    assert width("abcdefghi") == pytest.approx(width("aaaaaaaaa") / 3, rel=0.25)


def test_nine_of_ten_draws_lie_within_the_interval():
    """A logarithm with a standard deviation of 0.2: the ends are 1.645 of them away."""
    found = total([Trial(runs=[forecast(100.0, spread=0.2)], slots=1)], 1, start_seconds=0, first_seconds=0, common=0)
    assert found.low == pytest.approx(100 * 2.718 ** (-1.645 * 0.2), rel=0.08)
    assert found.high == pytest.approx(100 * 2.718 ** (1.645 * 0.2), rel=0.08)


def test_runs_that_may_stop_early_pull_the_lower_end_down():
    found = total([Trial(runs=[forecast(100.0, least=20.0)], slots=1)], 1, start_seconds=0, first_seconds=0, common=0)
    assert found.low == pytest.approx(24, abs=4)
    assert found.high == found.seconds == 100

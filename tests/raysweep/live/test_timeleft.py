"""How long runs and a sweep still take, by epochs, similar runs and predictions, against sums by hand."""

import math

import pytest

from raysweep.ledger.records import FINISHED
from raysweep.live.formatting import format_clock_time, format_estimate
from raysweep.live.state import DONE_BEFORE, WAITING
from raysweep.live.timeleft import TimeEstimate, until_done
from tests.raysweep.live.sweep import PHASES, Sweep, epoch, planned


def test_the_rest_of_the_last_phase_follows_from_its_epochs(tmp_path):
    """Epochs take 10 s, 6 of 10 are done, and the next has lasted 4 s: 4 * 10 - 4 s are left."""
    run = planned("a")
    sweep = Sweep(tmp_path, [run])
    sweep.status.started(run)
    for number in range(1, 7):
        sweep.status.report(run, epoch("finetune", number, 10, 10.0, val_acc=float(number)))
    sweep.now += 4
    left = sweep.left(run)
    assert left.seconds == pytest.approx(36)
    assert left.low < 36 < left.high < 45
    sweep.now += 1000  # while an epoch lasts too long, those after it are left
    assert sweep.left(run).seconds == pytest.approx(30)


def test_patience_may_end_a_phase_early(tmp_path):
    """The second epoch was the best, and three without a better one end the phase: after four, at least one is left."""

    run = planned("a", phases=[PHASES[0], {**PHASES[1], "patience": 3}])
    sweep = Sweep(tmp_path, [run])
    sweep.status.started(run)
    for number, val_acc in enumerate((10.0, 30.0, 20.0, 20.0), start=1):
        sweep.status.report(run, epoch("finetune", number, 10, 10.0, val_acc=val_acc))
    left = sweep.left(run)
    assert 0.8 * 10 < left.low <= 10
    assert left.seconds == pytest.approx(60)


def test_a_phase_to_come_is_scaled_by_its_images_until_one_of_its_epochs_was_seen(tmp_path):
    """Of the head phase, 2 of 4 epochs of 5 s are left. Fine-tuning has 3 to 10 epochs over twice as many images."""
    first, second = planned("a", 0), planned("a", 1)
    sweep = Sweep(tmp_path, [first, second])
    for run in (first, second):
        sweep.status.started(run)
        for number in (1, 2):
            sweep.status.report(run, epoch("head", number, 4, 5.0))
    left = sweep.left(first)
    assert left.seconds == pytest.approx(2 * 5 + 10 * 2 * 5)
    assert left.low < 2 * 5 + 3 * 2 * 5
    assert left.high > 2 * 5 + 10 * 2 * 5 * 2.5
    sweep.status.report(second, epoch("finetune", 1, 10, 22.0))
    assert sweep.left(first).seconds == pytest.approx(2 * 5 + 10 * 22)


def test_epochs_on_cached_features_do_not_tell_how_long_a_phase_on_images_takes(tmp_path):
    """Of the head phase, 2 of 4 epochs of 0.2 s are left, but fine-tuning may still take hours."""
    phases = [{**PHASES[0], "cached": True}, {**PHASES[1], "cached": False}]
    first = planned("first", phases=phases)
    sweep = Sweep(tmp_path, [first])
    sweep.status.started(first)
    for number in (1, 2):
        sweep.status.report(first, epoch("head", number, 4, 0.2))
    left = sweep.left(first)
    assert left.seconds == pytest.approx(0.4)
    assert left.high == math.inf
    assert format_estimate(left) == "unknown"


def test_a_prediction_holds_until_similar_runs_have_ended_and_without_either_nothing_is_known(tmp_path):
    alike, waits, other = planned("a", 0), planned("a", 1), planned("b")
    sweep = Sweep(tmp_path, [alike, waits, other])
    sweep.status.expect({waits.name: (100.0, 80.0, 150.0)})
    assert sweep.left(waits) == TimeEstimate(100.0, 80.0, 150.0)
    assert sweep.left(other) is None
    assert math.isinf(sweep.status.state().total.high)
    sweep.status.started(alike)
    sweep.now += 60
    sweep.status.ended(alike, FINISHED, "finished")
    assert sweep.left(waits).seconds == 60


def test_runs_that_finished_before_the_sweep_count_as_done_and_tell_how_long_similar_runs_take(tmp_path):
    before, waits = planned("a", 0), planned("a", 1)
    sweep = Sweep(tmp_path, [])
    times = {"started": "2026-01-01T10:00:00+00:00", "finished": "2026-01-01T10:01:30+00:00"}
    record = {"status": FINISHED, "attempt": 1, **times}
    sweep.status.add([before, waits], {before.name: record})
    assert [sweep.row(run).state for run in (before, waits)] == [DONE_BEFORE, WAITING]
    assert sweep.left(waits).seconds == 90


def lists_by_hand(running, waiting, slots):
    """When the last run ends, simulated second by second."""
    jobs, queue, now = [[need, seconds] for need, seconds in running], list(waiting), 0
    while jobs or queue:
        while queue and sum(need for need, _ in jobs) + queue[0][0] <= slots:
            jobs.append(list(queue.pop(0)))
        now += 1
        jobs = [[need, seconds - 1] for need, seconds in jobs if seconds > 1]
    return now


@pytest.mark.parametrize("slots", [2, 3, 5])
def test_a_sweep_ends_when_its_runs_started_in_order_have_ended(slots):
    running, waiting = [(1, 7), (1, 12)], [(2, 5), (1, 9), (1, 3), (2, 4), (1, 1)]

    def known(runs):
        return [(need, TimeEstimate(seconds, seconds / 2, 2 * seconds)) for need, seconds in runs]

    total = until_done(known(running), known(waiting), slots)
    expected = lists_by_hand(running, waiting, slots)
    assert total == TimeEstimate(expected, expected / 2, 2 * expected)


def test_with_runs_of_unknown_duration_a_sweep_ends_no_sooner_than_with_the_others_alone():
    total = until_done([(1, TimeEstimate(10, 8, 12))], [(1, None), (1, TimeEstimate(5, 4, 6))], 1)
    assert (total.seconds, total.low, total.high) == (15, 12, math.inf)


def test_runs_can_be_urgent_when_they_are_added_and_later(tmp_path):
    late, early = planned("a"), planned("b")
    sweep = Sweep(tmp_path, [late])
    sweep.status.add([early], urgent=True)
    assert [sweep.row(run).urgent for run in (late, early)] == [False, True]
    sweep.status.add([late], urgent=True)
    assert sweep.row(late).urgent


def test_a_moment_that_no_calendar_has_is_said_by_its_distance():
    now = 1.7e9
    assert format_clock_time(now + 1e15, now) == "3.17e+07 years from now"
    assert "years" not in format_clock_time(now + 300 * 86400, now)

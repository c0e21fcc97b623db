"""The policy by which bundles start and stop, on a simulated clock, against orders worked out by hand."""

import pytest

from raysweep.admission.policy import START_SECONDS, Admission, RunBundle
from raysweep.ledger.opening import open_ledger
from raysweep.planning.runs import make_runs
from tests.raysweep.fakes import FAMILY, fake


class Sweep:
    """Admission with a clock that tests set; the durations of experiments named in `known` are told to it."""

    def __init__(self, folder, slots: float, *, known=(), **options) -> None:
        self.folder, self.now, self.lasts = folder, 0.0, {}
        self.admission = Admission(
            slots,
            clock=lambda: self.now,
            seconds_of=lambda run: self.lasts[run.experiment.name] if run.experiment.name in known else None,
            **options,
        )

    def add(self, name: str, slots: float, seconds: float, *, urgent: bool = False) -> RunBundle:
        (run,) = make_runs([fake(name, 0)], open_ledger(self.folder), family=FAMILY, overrides={})
        self.lasts[name] = seconds
        bundle = RunBundle([run], slots, urgent=urgent)
        self.admission.add([bundle])
        return bundle

    def start(self) -> list[str]:
        """Start all bundles that may start now, and return their experiments."""
        started = []
        while one := self.admission.next():
            started.append(one.runs[0].experiment.name)
        return started


def test_nothing_starts_before_an_earlier_one(tmp_path):
    sweep = Sweep(tmp_path, 2)
    first, wide = sweep.add("first", 1, 10), sweep.add("wide", 2, 10)
    sweep.add("small", 1, 1)
    assert sweep.start() == ["first"]
    sweep.admission.release(first)
    assert sweep.start() == ["wide"]
    sweep.admission.release(wide)
    assert sweep.start() == ["small"]


@pytest.mark.parametrize(
    ("known", "small", "started"),
    [
        (("first", "small"), 50, ["small"]),  # it ends before the first one
        (("first", "small"), 500, []),  # it would end after the first one
        (("first",), 50, []),  # its duration is not known
        (("small",), 50, []),  # the duration of the first one is not known
    ],
)
def test_backfill_starts_only_what_cannot_delay_an_earlier_one(tmp_path, known, small, started):
    sweep = Sweep(tmp_path, 2, known=known, backfill=True)
    sweep.add("first", 1, 200)
    sweep.add("wide", 2, 10)
    sweep.add("small", 1, small)
    assert sweep.start() == ["first", *started]


def test_a_backfilled_bundle_that_takes_too_long_is_stopped_for_the_earlier_one(tmp_path):
    sweep = Sweep(tmp_path, 2, known=("first", "small"), backfill=True)
    first, wide, small = sweep.add("first", 1, 200), sweep.add("wide", 2, 10), sweep.add("small", 1, 50)
    assert sweep.start() == ["first", "small"]
    assert sweep.admission.to_stop() == []
    sweep.now = 100.0 + START_SECONDS
    sweep.admission.release(first)
    assert sweep.admission.to_stop() == [small]
    assert sweep.admission.to_stop() == [], "it is asked once"
    sweep.admission.trial_ended(small, left=small.runs)
    assert sweep.start() == ["wide"]
    sweep.admission.release(wide)
    assert sweep.start() == ["small"]


def test_urgent_bundles_go_first_and_no_more_bundles_are_stopped_than_they_need(tmp_path):
    sweep = Sweep(tmp_path, 3)
    a, b, c = (sweep.add(name, 1, 10) for name in "abc")
    sweep.add("d", 1, 10)
    assert sweep.start() == ["a", "b", "c"]
    urgent = sweep.add("urgent", 2, 10, urgent=True)
    assert sweep.admission.to_stop() == [c, b], "the latest first"
    sweep.admission.trial_ended(c, left=c.runs)
    assert sweep.start() == []
    sweep.admission.trial_ended(b, left=b.runs)
    assert sweep.start() == ["urgent"]
    sweep.admission.release(a)
    assert sweep.start() == ["b"], "in its old place, before c and d"
    sweep.admission.release(urgent)
    assert sweep.start() == ["c", "d"]


def test_urgent_bundles_do_not_stop_each_other(tmp_path):
    sweep = Sweep(tmp_path, 1)
    sweep.add("one", 1, 10, urgent=True)
    assert sweep.start() == ["one"]
    sweep.add("two", 1, 10, urgent=True)
    assert sweep.admission.to_stop() == []


def test_slot_seconds_add_up_over_all_bundles_that_ran_or_run(tmp_path):
    sweep = Sweep(tmp_path, 3)
    wide = sweep.add("wide", 2, 10)
    sweep.start()
    sweep.now = 5.0
    sweep.add("small", 1, 10)
    sweep.start()
    sweep.now = 8.0
    assert sweep.admission.slot_seconds == 2 * 8 + 3
    sweep.admission.release(wide)
    sweep.now = 9.0
    assert sweep.admission.slot_seconds == 2 * 8 + 4


def test_a_closed_sweep_starts_nothing_and_stops_what_runs(tmp_path):
    sweep = Sweep(tmp_path, 1)
    one = sweep.add("one", 1, 10)
    sweep.add("two", 1, 10)
    sweep.start()
    sweep.admission.close()
    assert sweep.admission.to_stop() == [one]
    sweep.admission.release(one)
    assert sweep.start() == []


def prepared(sweep: Sweep) -> list[str]:
    """Prepare all bundles that may be prepared now, and return their experiments."""
    names = []
    while one := sweep.admission.to_prepare():
        names.append(one.runs[0].experiment.name)
    return names


def test_as_many_bundles_as_could_run_are_prepared_in_order_once_all_running_ones_have_reported(tmp_path):
    sweep = Sweep(tmp_path, 2)
    running = [sweep.add(name, 1, 10) for name in ("a", "b")]
    for name in ("c", "d", "e"):
        sweep.add(name, 1, 10)
    assert sweep.start() == ["a", "b"]
    assert prepared(sweep) == []
    for one in running:
        sweep.admission.has_reported(one)
    assert prepared(sweep) == ["c", "d"]
    sweep.admission.release(running[0])
    assert sweep.start() == ["c"]
    assert prepared(sweep) == []  # c has not reported yet


def test_a_bundle_that_takes_all_slots_is_prepared_alone(tmp_path):
    sweep = Sweep(tmp_path, 2)
    sweep.admission.has_reported(sweep.add("small", 1, 10))
    sweep.add("wide", 2, 10)
    sweep.add("last", 1, 10)
    sweep.start()
    sweep.admission.has_reported(sweep.admission.running[0])
    assert prepared(sweep) == ["wide"]


def test_nothing_is_prepared_while_a_timed_run_trains(tmp_path):
    import dataclasses

    sweep = Sweep(tmp_path, 2)
    timed, _ = sweep.add("timed", 2, 10), sweep.add("next", 1, 10)
    run = timed.runs[0]
    timed.runs = [dataclasses.replace(run, experiment=dataclasses.replace(run.experiment, timed=True))]
    assert sweep.start() == ["timed"]
    sweep.admission.has_reported(timed)
    assert prepared(sweep) == []


def test_a_bundle_waits_until_the_free_slots_can_be_used_together(tmp_path):
    """Two free halves of different GPUs are one slot, but not one GPU."""
    sweep = Sweep(tmp_path, 2, fits=lambda bundle: bundle.slots < 1)
    sweep.add("whole", 1, 10)
    sweep.add("half", 0.5, 10)
    assert sweep.start() == []

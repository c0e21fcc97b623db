"""The policy of a sweep on a clock of its own, against what one works out by hand."""

import pytest

from raysweep.admission.policy import START, Admission, RunBundle
from raysweep.ledger.opening import open_ledger
from raysweep.planning.runs import make_runs
from tests.raysweep.fakes import FAMILY, fake


class Sweep:
    """Admission over bundles that take as long as they say, with a clock that is set."""

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
        """What starts now."""
        started = []
        while one := self.admission.next():
            started.append(one.runs[0].experiment.name)
        return started


def test_nothing_starts_before_an_earlier_one(tmp_path):
    sweep = Sweep(tmp_path, 2)
    first, wide = sweep.add("first", 1, 10), sweep.add("wide", 2, 10)
    sweep.add("small", 1, 1)
    assert sweep.start() == ["first"]
    sweep.admission.leave(first)
    assert sweep.start() == ["wide"]
    sweep.admission.leave(wide)
    assert sweep.start() == ["small"]


@pytest.mark.parametrize(
    ("known", "small", "started"),
    [
        (("first", "small"), 50, ["small"]),  # ends before the first does
        (("first", "small"), 500, []),  # would not
        (("first",), 50, []),  # who knows
        (("small",), 50, []),
    ],
)
def test_backfill_starts_only_what_cannot_delay_an_earlier_one(tmp_path, known, small, started):
    sweep = Sweep(tmp_path, 2, known=known, backfill=True)
    sweep.add("first", 1, 200)
    sweep.add("wide", 2, 10)
    sweep.add("small", 1, small)
    assert sweep.start() == ["first", *started]


def test_what_was_backfilled_and_overstays_makes_room(tmp_path):
    sweep = Sweep(tmp_path, 2, known=("first", "small"), backfill=True)
    first, wide, small = sweep.add("first", 1, 200), sweep.add("wide", 2, 10), sweep.add("small", 1, 50)
    assert sweep.start() == ["first", "small"]
    assert sweep.admission.to_stop() == []
    sweep.now = 100.0 + START
    sweep.admission.leave(first)
    assert sweep.admission.to_stop() == [small]
    assert sweep.admission.to_stop() == [], "it is asked once"
    sweep.admission.trial_ended(small, left=small.runs)
    assert sweep.start() == ["wide"]
    sweep.admission.leave(wide)
    assert sweep.start() == ["small"]


def test_the_urgent_go_first_and_only_as_much_is_stopped_as_they_need(tmp_path):
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
    sweep.admission.leave(a)
    assert sweep.start() == ["b"], "in its old place, before c and d"
    sweep.admission.leave(urgent)
    assert sweep.start() == ["c", "d"]


def test_the_urgent_do_not_stop_each_other(tmp_path):
    sweep = Sweep(tmp_path, 1)
    sweep.add("one", 1, 10, urgent=True)
    assert sweep.start() == ["one"]
    sweep.add("two", 1, 10, urgent=True)
    assert sweep.admission.to_stop() == []


def test_slot_seconds_are_those_of_all_that_ran(tmp_path):
    sweep = Sweep(tmp_path, 3)
    wide = sweep.add("wide", 2, 10)
    sweep.start()
    sweep.now = 5.0
    sweep.add("small", 1, 10)
    sweep.start()
    sweep.now = 8.0
    assert sweep.admission.slot_seconds == 2 * 8 + 3
    sweep.admission.leave(wide)
    sweep.now = 9.0
    assert sweep.admission.slot_seconds == 2 * 8 + 4


def test_a_closed_sweep_starts_nothing_and_stops_what_runs(tmp_path):
    sweep = Sweep(tmp_path, 1)
    one = sweep.add("one", 1, 10)
    sweep.add("two", 1, 10)
    sweep.start()
    sweep.admission.close()
    assert sweep.admission.to_stop() == [one]
    sweep.admission.leave(one)
    assert sweep.start() == []


def prepared(sweep: Sweep) -> list[str]:
    """What is to be prepared now."""
    names = []
    while one := sweep.admission.to_prepare():
        names.append(one.runs[0].experiment.name)
    return names


def test_what_comes_next_is_prepared_once_what_runs_has_begun(tmp_path):
    """As many as could run at once, in order."""
    sweep = Sweep(tmp_path, 2)
    running = [sweep.add(name, 1, 10) for name in ("a", "b")]
    for name in ("c", "d", "e"):
        sweep.add(name, 1, 10)
    assert sweep.start() == ["a", "b"]
    assert prepared(sweep) == []
    for one in running:
        sweep.admission.has_reported(one)
    assert prepared(sweep) == ["c", "d"]
    sweep.admission.leave(running[0])
    assert sweep.start() == ["c"]
    assert prepared(sweep) == []  # c has not begun


def test_a_wide_trial_is_prepared_alone(tmp_path):
    sweep = Sweep(tmp_path, 2)
    sweep.admission.has_reported(sweep.add("small", 1, 10))
    sweep.add("wide", 2, 10)
    sweep.add("last", 1, 10)
    sweep.start()
    sweep.admission.has_reported(sweep.admission.running[0])
    assert prepared(sweep) == ["wide"]


def test_nothing_is_prepared_beside_a_run_whose_time_is_a_result(tmp_path):
    import dataclasses

    sweep = Sweep(tmp_path, 2)
    timed, _ = sweep.add("timed", 2, 10), sweep.add("next", 1, 10)
    run = timed.runs[0]
    timed.runs = [dataclasses.replace(run, experiment=dataclasses.replace(run.experiment, timed=True))]
    assert sweep.start() == ["timed"]
    sweep.admission.has_reported(timed)
    assert prepared(sweep) == []


def test_a_trial_for_which_there_are_slots_waits_until_it_finds_room_in_them(tmp_path):
    """Two halves of different GPUs are no GPU."""
    sweep = Sweep(tmp_path, 2, fits=lambda bundle: bundle.slots < 1)
    sweep.add("whole", 1, 10)
    sweep.add("half", 0.5, 10)
    assert sweep.start() == []

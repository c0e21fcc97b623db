"""The state of a sweep: what the launcher tells it, what is left, and the file in which others see it."""

import errno
import json
import math
import threading
import time

import pytest

from raysweep import durable
from raysweep.experiment import Experiment
from raysweep.ledger import DIVERGED, FAILED, FINISHED, STOPPED, Ledger, LedgerError
from raysweep.live.spoken import interval
from raysweep.live.state import DONE_BEFORE, DROPPED, FILE, STARTING, STOPPING, TRAINING, WAITING, read_state
from raysweep.live.status import Status
from raysweep.live.timeleft import Interval, until_done
from raysweep.plan import Run
from tests.fake_trainable import FakeConfig

PHASES = [
    {"phase": "head", "epochs": 4, "least_epochs": 4, "train_images": 900, "validation_images": 100},
    {"phase": "finetune", "epochs": 10, "least_epochs": 3, "train_images": 1900, "validation_images": 100},
]


def planned(name: str, seed: int = 0, *, phases=PHASES, num_workers: int = 1, group: str = "fakes") -> Run:
    experiment = Experiment(name=name, config=FakeConfig(seed=seed), trainable="tests.fake_trainable", priority=1)
    facts = {"phases": phases} if phases else {}
    return Run(
        name=f"{name}-s{seed}",
        key=f"{name}{seed}",
        experiment=experiment,
        group=group,
        config=experiment.config,
        num_workers=num_workers,
        changed="",
        facts=facts,
    )


def epoch(phase: str, number: int, epochs: float, seconds: float, **more) -> dict:
    measured = {"train_loss": 0.5, "images_per_second": 1000.0, "seconds": seconds, **more}
    return {"event": "epoch", "phase": phase, "epoch": number, "epochs": epochs, **measured}


class Said:
    """A view that remembers."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, bool]] = []

    def start(self, state) -> None: ...

    def line(self, run, text, *, notable) -> None:
        self.lines.append((run.name, text, notable))

    def close(self) -> None: ...


class Sweep:
    """A status with a clock of its own."""

    def __init__(self, folder, runs, **more) -> None:
        self.now, self.said = 1e9, Said()
        more = {"slots": 1, **more}
        self.status = Status(Ledger(folder), self.said, clock=lambda: self.now, **more)
        self.status.add(runs)

    def row(self, run: Run):
        return next(row for row in self.status.state().rows if row.run == run.name)

    def left(self, run: Run) -> Interval | None:
        self.status._estimate()
        return self.status.state().left.get(run.name)


def test_a_run_goes_from_waiting_to_its_end(tmp_path):
    a, b, c, d = runs = [planned(name) for name in "abcd"]
    sweep = Sweep(tmp_path, runs)
    status = sweep.status
    assert {sweep.row(run).state for run in runs} == {WAITING}
    status.prepares(a)
    assert sweep.row(a).state == STARTING
    status.report(a, {"event": "start", "resumed_at": None, "actual_train_samples": 900})
    assert (sweep.row(a).state, sweep.row(a).started) == (TRAINING, 1e9)
    sweep.now += 5
    status.report(a, epoch("head", 1, 4, 5.0, val_acc=40.0, best_acc=40.0))
    status.report(a, epoch("head", 2, 4, 5.0, val_acc=39.0, best_acc=40.0))
    row = sweep.row(a)
    assert (row.phase, row.epoch, row.epochs, row.val_acc, row.best_acc, row.best_epoch) == ("head", 2, 4, 39, 40, 1)
    status.retries(a, "interrupted: a worker was killed; goes on from its last checkpoint")
    assert (sweep.row(a).state, sweep.row(a).retries) == (STARTING, 1)
    status.report(a, {"event": "start", "resumed_at": ["head", 2, 7]})
    status.stops(a)
    status.report(a, epoch("head", 3, 4, 5.0))
    assert sweep.row(a).state == STOPPING
    status.ended(a, "stopped with a checkpoint", STOPPED)
    assert (sweep.row(a).state, sweep.row(a).epoch) == (WAITING, 3)
    for run, ending in ((a, FINISHED), (b, FAILED), (c, DIVERGED)):
        status.starts(run)
        status.ended(run, f"{ending}: why", ending)
        assert (sweep.row(run).state, sweep.row(run).ended) == (ending, sweep.now)
    status.dropped([d])
    assert sweep.row(d).state == DROPPED
    assert [sweep.row(run).error for run in runs] == ["", "failed: why", "diverged: why", ""]


def test_lines_are_those_that_progress_printed_and_only_news_is_notable(tmp_path):
    run = planned("a")
    sweep = Sweep(tmp_path, [run])
    status = sweep.status
    status.report(run, {"event": "start", "resumed_at": None, "actual_train_samples": 900})
    status.report(run, {"event": "start", "resumed_at": ["finetune", 3, 12]})
    status.report(run, epoch("finetune", 4, 9.9, 1.0, val_acc=61.2))
    status.ended(run, "finished, 12 s of training", FINISHED)
    status.line(run, "something")
    assert [(text, notable) for _, text, notable in sweep.said.lines] == [
        ("starts: 900 training images, 1 worker", False),
        ("goes on after finetune epoch 3 and 12 steps", True),
        ("finetune 4/9.9  loss 0.5000  val acc 61.20  1000 images/s", False),
        ("finished, 12 s of training", False),
        ("something", True),
    ]


def test_a_row_whose_slots_stand_idle_does_not_age(tmp_path):
    """Stopped after 10 s of work, 100 s of waiting, 5 s more."""
    run = planned("a")
    sweep = Sweep(tmp_path, [run])
    sweep.status.starts(run)
    sweep.now += 10
    sweep.status.ended(run, "stopped", STOPPED)
    sweep.now += 100
    sweep.status.prepares(run)
    sweep.status.starts(run)
    sweep.now += 5
    sweep.status.ended(run, "finished", FINISHED)
    row = sweep.row(run)
    assert row.ended - row.started == 15


def test_the_last_phase_is_reckoned_by_its_epochs(tmp_path):
    """10 s each, 6 of 10 done, 4 s into the next: 4 * 10 - 4."""
    run = planned("a")
    sweep = Sweep(tmp_path, [run])
    sweep.status.starts(run)
    for number in range(1, 7):
        sweep.status.report(run, epoch("finetune", number, 10, 10.0, val_acc=float(number)))
    sweep.now += 4
    left = sweep.left(run)
    assert left.seconds == pytest.approx(36)
    assert left.low < 36 < left.high < 45
    sweep.now += 1000  # an epoch that does not end leaves those after it
    assert sweep.left(run).seconds == pytest.approx(30)


def test_patience_may_end_a_phase_early(tmp_path):
    """The best epoch was the second, three without a better one end the phase: after 4 epochs at least 1 is left."""

    class Patient(FakeConfig):
        patience = 3

    run = planned("a")
    run = Run(**{name: getattr(run, name) for name in run.__slots__} | {"config": Patient()})
    sweep = Sweep(tmp_path, [run])
    sweep.status.starts(run)
    for number, val_acc in enumerate((10.0, 30.0, 20.0, 20.0), start=1):
        sweep.status.report(run, epoch("finetune", number, 10, 10.0, val_acc=val_acc))
    left = sweep.left(run)
    assert 0.8 * 10 < left.low <= 10
    assert left.seconds == pytest.approx(60)


def test_a_phase_to_come_is_scaled_by_its_images_until_one_of_its_epochs_was_seen(tmp_path):
    """Head: 2 of 4 epochs of 5 s left. Fine-tuning: 10 epochs (3 at least) over twice as many images."""
    first, second = planned("a", 0), planned("a", 1)
    sweep = Sweep(tmp_path, [first, second])
    for run in (first, second):
        sweep.status.starts(run)
        for number in (1, 2):
            sweep.status.report(run, epoch("head", number, 4, 5.0))
    left = sweep.left(first)
    assert left.seconds == pytest.approx(2 * 5 + 10 * 2 * 5)
    assert left.low < 2 * 5 + 3 * 2 * 5
    assert left.high > 2 * 5 + 10 * 2 * 5 * 2.5
    sweep.status.report(second, epoch("finetune", 1, 10, 22.0))
    assert sweep.left(first).seconds == pytest.approx(2 * 5 + 10 * 22)


def test_epochs_on_kept_features_say_nothing_of_a_phase_on_images(tmp_path):
    """Head: 2 of 4 epochs of 0.2 s left; a sweep that fine-tunes for hours is not about to end."""
    phases = [{**PHASES[0], "cached": True}, {**PHASES[1], "cached": False}]
    first = planned("first", phases=phases)
    sweep = Sweep(tmp_path, [first])
    sweep.status.starts(first)
    for number in (1, 2):
        sweep.status.report(first, epoch("head", number, 4, 0.2))
    left = sweep.left(first)
    assert left.seconds == pytest.approx(0.4)
    assert left.high == math.inf
    assert interval(left) == "unknown"


def test_a_prediction_holds_until_runs_alike_have_ended_and_without_either_nothing_is_said(tmp_path):
    alike, waits, other = planned("a", 0), planned("a", 1), planned("b")
    sweep = Sweep(tmp_path, [alike, waits, other], predicted={waits.name: (100.0, 80.0, 150.0)})
    assert sweep.left(waits) == Interval(100.0, 80.0, 150.0)
    assert sweep.left(other) is None
    assert math.isinf(sweep.status.state().total.high)
    sweep.status.starts(alike)
    sweep.now += 60
    sweep.status.ended(alike, "finished", FINISHED)
    assert sweep.left(waits).seconds == 60


def test_what_finished_before_counts_as_done_and_says_how_long_runs_take(tmp_path):
    before, waits = planned("a", 0), planned("a", 1)
    sweep = Sweep(tmp_path, [])
    times = {"started": "2026-01-01T10:00:00+00:00", "finished": "2026-01-01T10:01:30+00:00"}
    record = {"status": FINISHED, "attempt": 1, **times}
    sweep.status.add([before, waits], {before.name: record})
    assert [sweep.row(run).state for run in (before, waits)] == [DONE_BEFORE, WAITING]
    assert sweep.left(waits).seconds == 90


def lists_by_hand(running, waiting, slots):
    """Slot by slot and second by second."""
    jobs, queue, now = [[need, seconds] for need, seconds in running], list(waiting), 0
    while jobs or queue:
        while queue and sum(need for need, _ in jobs) + queue[0][0] <= slots:
            jobs.append(list(queue.pop(0)))
        now += 1
        jobs = [[need, seconds - 1] for need, seconds in jobs if seconds > 1]
    return now


@pytest.mark.parametrize("slots", [2, 3, 5])
def test_a_sweep_ends_when_its_runs_have_found_slots_in_order(slots):
    running, waiting = [(1, 7), (1, 12)], [(2, 5), (1, 9), (1, 3), (2, 4), (1, 1)]

    def known(runs):
        return [(need, Interval(seconds, seconds / 2, 2 * seconds)) for need, seconds in runs]

    total = until_done(known(running), known(waiting), slots)
    expected = lists_by_hand(running, waiting, slots)
    assert total == Interval(expected, expected / 2, 2 * expected)


def test_of_unknown_runs_the_end_is_not_before_that_of_the_known():
    total = until_done([(1, Interval(10, 8, 12))], [(1, None), (1, Interval(5, 4, 6))], 1)
    assert (total.seconds, total.low, total.high) == (15, 12, math.inf)


def test_urgent_runs_go_before_the_others(tmp_path):
    """One slot, runs of 10 and 1000 s; what waits first decides nothing about the end, but rows say who is urgent."""
    late, early = planned("a"), planned("b")
    sweep = Sweep(tmp_path, [late])
    sweep.status.add([early], urgent=True)
    assert [sweep.row(run).urgent for run in (late, early)] == [False, True]
    sweep.status.add([late], urgent=True)
    assert sweep.row(late).urgent


def test_the_file_says_what_the_sweep_knows(tmp_path):
    runs = [planned("a", seed) for seed in range(3)]
    sweep = Sweep(tmp_path, runs)
    sweep.status.starts(runs[0])
    sweep.status.report(runs[0], epoch("head", 1, 4, 5.0, val_acc=40.0, best_acc=40.0))
    sweep.status._estimate()
    sweep.status._write()
    state, read = sweep.status.state(), read_state(Ledger(tmp_path))
    assert tuple(read.rows) == state.rows
    assert read.left.keys() == state.left.keys() == {runs[0].name}
    assert read.left[runs[0].name].seconds == pytest.approx(state.left[runs[0].name].seconds, abs=0.1)
    assert math.isinf(read.total.high)
    assert (read.holder, read.slots, read.ended, read.location) == (state.holder, 1, None, str(tmp_path))
    content = json.loads((tmp_path / FILE).read_text())
    (first,) = [row for row in content["rows"] if row["seed"] == 0]
    assert (first["state"], first["phase"], first["val_acc"]) == ("training", "head", 40.0)


def test_a_folder_without_a_status_or_with_a_damaged_one_is_said_in_a_line(tmp_path):
    with pytest.raises(LedgerError, match="no sweep has left its status in"):
        read_state(Ledger(tmp_path))
    for damage in ("{", "[]", "{}"):
        (tmp_path / FILE).write_text(damage)
        with pytest.raises(LedgerError, match="is damaged"):
            read_state(Ledger(tmp_path))


def test_it_is_written_while_the_sweep_goes_on_and_at_its_end_but_not_without_news(tmp_path, monkeypatch):
    written = []
    write = durable.write_bytes
    monkeypatch.setattr(durable, "write_bytes", lambda *args: (written.append(time.monotonic()), write(*args)))
    run = planned("a")
    status = Status(Ledger(tmp_path), Said(), slots=1)
    status.add([run])
    status.start()
    until = time.monotonic() + 2.6
    status.prepares(run)
    while time.monotonic() < until:
        time.sleep(0.02)
        status.report(run, epoch("head", 1, 4, 5.0))
    during = len(written)
    assert 2 <= during <= 4
    time.sleep(1.6)  # what came last, and no more
    assert len(written) <= during + 1
    status.ended(run, "finished", FINISHED)
    status.close()
    read = read_state(Ledger(tmp_path))
    assert read.ended
    assert read.rows[0].state == FINISHED
    assert not [thread for thread in threading.enumerate() if thread.name == "status"]


def test_a_full_disk_or_a_lost_store_stops_nothing(tmp_path, monkeypatch):
    run = planned("a")
    status = Status(Ledger(tmp_path), Said(), slots=1)
    status.add([run])

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(durable, "write_bytes", full)
        status.start()
        time.sleep(0.6)
        status.report(run, epoch("head", 1, 4, 5.0))
    for _ in range(100):
        if (tmp_path / FILE).exists():
            break
        time.sleep(0.1)
    assert read_state(Ledger(tmp_path)).rows[0].epoch == 1
    status.close()


def test_a_thousand_runs_and_ten_events_a_second_cost_little(tmp_path):
    """Less than a hundredth of a core: an event, and what is done once a second, which waits when it takes long."""
    runs = [planned("a", seed) for seed in range(1000)]
    sweep = Sweep(tmp_path, runs, slots=64, predicted={run.name: (600, 500, 800) for run in runs})
    for run in runs[:64]:
        sweep.status.starts(run)
    sweep.status._write()
    before = time.thread_time()
    for i in range(100):
        sweep.status.report(runs[i % 64], epoch("head", 1 + i, 400, 5.0))
    event = (time.thread_time() - before) / 100
    before = time.thread_time()
    sweep.status._estimate()
    sweep.status._write()
    once = time.thread_time() - before
    assert 10 * event < 0.003
    assert once < 0.05

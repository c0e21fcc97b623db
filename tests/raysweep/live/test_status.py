"""The state of a sweep: how reports change it, and the file in which other processes read it."""

import errno
import json
import math
import threading
import time

import pytest

from raysweep.ledger.local_folder import LocalFolder
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.records import DIVERGED, FAILED, FINISHED, STOPPED
from raysweep.ledger.store import LedgerError
from raysweep.live.state import DROPPED, FILE, STARTING, STOPPING, TRAINING, WAITING, read_state
from raysweep.live.status import Status
from tests.raysweep.live.sweep import RecordingView, Sweep, epoch, planned


def test_a_run_goes_from_waiting_to_its_end(tmp_path):
    a, b, c, d = runs = [planned(name) for name in "abcd"]
    sweep = Sweep(tmp_path, runs)
    status = sweep.status
    assert {sweep.row(run).state for run in runs} == {WAITING}
    status.admitted(a)
    assert sweep.row(a).state == STARTING
    status.report(a, {"event": "start", "resumed_at": None, "actual_train_samples": 900})
    assert (sweep.row(a).state, sweep.row(a).started) == (TRAINING, 1e9)
    sweep.now += 5
    status.report(a, epoch("head", 1, 4, 5.0, val_acc=40.0, best_acc=40.0))
    status.report(a, epoch("head", 2, 4, 5.0, val_acc=39.0, best_acc=40.0))
    row = sweep.row(a)
    assert (row.phase, row.epoch, row.epochs, row.val_acc, row.best_acc, row.best_epoch) == ("head", 2, 4, 39, 40, 1)
    status.retried(a, "interrupted: a worker was killed; goes on from its last checkpoint")
    assert (sweep.row(a).state, sweep.row(a).retries) == (STARTING, 1)
    status.report(a, {"event": "start", "resumed_at": ["head", 2, 7]})
    status.asked_to_stop(a)
    status.report(a, epoch("head", 3, 4, 5.0))
    assert sweep.row(a).state == STOPPING
    status.ended(a, STOPPED, "stopped with a checkpoint")
    assert (sweep.row(a).state, sweep.row(a).epoch) == (WAITING, 3)
    for run, ending in ((a, FINISHED), (b, FAILED), (c, DIVERGED)):
        status.started(run)
        status.ended(run, ending, f"{ending}: why")
        assert (sweep.row(run).state, sweep.row(run).ended) == (ending, sweep.now)
    status.dropped([d])
    assert sweep.row(d).state == DROPPED
    assert [sweep.row(run).error for run in runs] == ["", "failed: why", "diverged: why", ""]


def test_each_event_gives_a_line_and_only_what_the_table_does_not_show_is_notable(tmp_path):
    run = planned("a")
    sweep = Sweep(tmp_path, [run])
    status = sweep.status
    status.report(run, {"event": "start", "resumed_at": None, "actual_train_samples": 900})
    status.report(run, {"event": "start", "resumed_at": ["finetune", 3, 12]})
    status.report(run, epoch("finetune", 4, 9.9, 1.0, val_acc=61.2))
    status.ended(run, FINISHED, "finished, 12 s of training")
    status.line(run, "something")
    status.report(run, {"event": "start"})
    assert [(text, notable) for _, text, notable in sweep.view.lines] == [
        ("starts: 900 training images, 1 worker", False),
        ("goes on after finetune epoch 3 and 12 steps", True),
        ("finetune 4/9.9  loss 0.5000  val acc 61.20  1000 images/s", False),
        ("finished, 12 s of training", False),
        ("something", True),
        ("starts: 1 worker", False),
    ]


def test_the_time_between_two_trials_of_a_run_does_not_count(tmp_path):
    """The run is stopped after 10 s, waits for 100 s, and takes 5 s more."""
    run = planned("a")
    sweep = Sweep(tmp_path, [run])
    sweep.status.started(run)
    sweep.now += 10
    sweep.status.ended(run, STOPPED, "stopped")
    sweep.now += 100
    sweep.status.admitted(run)
    sweep.status.started(run)
    sweep.now += 5
    sweep.status.ended(run, FINISHED, "finished")
    row = sweep.row(run)
    assert row.ended - row.started == 15


def test_the_status_file_holds_the_state_of_the_sweep(tmp_path):
    runs = [planned("a", seed) for seed in range(3)]
    sweep = Sweep(tmp_path, runs)
    sweep.status.started(runs[0])
    sweep.status.report(runs[0], epoch("head", 1, 4, 5.0, val_acc=40.0, best_acc=40.0))
    sweep.status._estimate()
    sweep.status._write()
    state, read = sweep.status.state(), read_state(open_ledger(tmp_path))
    assert tuple(read.run_states) == state.run_states
    assert read.left.keys() == state.left.keys() == {runs[0].name}
    assert read.left[runs[0].name].seconds == pytest.approx(state.left[runs[0].name].seconds, abs=0.1)
    assert math.isinf(read.total.high)
    assert (read.holder, read.slots, read.ended, read.location) == (state.holder, 1, None, str(tmp_path))
    content = json.loads((tmp_path / FILE).read_text())
    (first,) = [row for row in content["rows"] if row["seed"] == 0]
    assert (first["state"], first["phase"], first["val_acc"]) == ("training", "head", 40.0)


def test_a_missing_or_damaged_status_is_an_error_of_one_line(tmp_path):
    with pytest.raises(LedgerError, match="no sweep has left its status in"):
        read_state(open_ledger(tmp_path))
    for damage in ("{", "[]", "{}"):
        (tmp_path / FILE).write_text(damage)
        with pytest.raises(LedgerError, match="is damaged"):
            read_state(open_ledger(tmp_path))


def test_the_status_is_written_during_the_sweep_and_at_its_end_but_only_when_it_has_changed(tmp_path, monkeypatch):
    written = []
    put = LocalFolder.put
    monkeypatch.setattr(LocalFolder, "put", lambda *args: (written.append(time.monotonic()), put(*args)))
    run = planned("a")
    status = Status(open_ledger(tmp_path), RecordingView(), slots=1)
    status.add([run])
    status.start()
    until = time.monotonic() + 2.6
    status.admitted(run)
    while time.monotonic() < until:
        time.sleep(0.02)
        status.report(run, epoch("head", 1, 4, 5.0))
    during = len(written)
    assert 2 <= during <= 4
    time.sleep(1.6)  # the last change is written, and nothing more
    assert len(written) <= during + 1
    status.ended(run, FINISHED, "finished")
    status.close()
    read = read_state(open_ledger(tmp_path))
    assert read.ended
    assert read.run_states[0].state == FINISHED
    assert not [thread for thread in threading.enumerate() if thread.name == "status"]


def test_a_full_disk_or_a_lost_store_stops_nothing(tmp_path, monkeypatch):
    run = planned("a")
    status = Status(open_ledger(tmp_path), RecordingView(), slots=1)
    status.add([run])

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(LocalFolder, "put", full)
        status.start()
        time.sleep(0.6)
        status.report(run, epoch("head", 1, 4, 5.0))
    for _ in range(100):
        if (tmp_path / FILE).exists():
            break
        time.sleep(0.1)
    assert read_state(open_ledger(tmp_path)).run_states[0].epoch == 1
    status.close()


def test_a_thousand_runs_and_ten_events_a_second_cost_little(tmp_path):
    """Ten events take less than 3 ms; estimating and writing, which pause for 300 times as long, less than 50 ms."""
    runs = [planned("a", seed) for seed in range(1000)]
    sweep = Sweep(tmp_path, runs, slots=64)
    sweep.status.expect({run.name: (600, 500, 800) for run in runs})
    for run in runs[:64]:
        sweep.status.started(run)
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

"""A results folder in an object store: a server of its own that speaks S3, and clients as users have them."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from raysweep.experiment import Question
from raysweep.ledger import durable
from raysweep.ledger.filters import read_filters
from raysweep.ledger.object_store import DEAD
from raysweep.ledger.opening import load_results, open_ledger, open_to_watch
from raysweep.ledger.plan import read_questions, write_plan
from raysweep.ledger.records import SupersededError
from raysweep.ledger.store import HeldError, LedgerError
from raysweep.live.status import Status
from raysweep.live.view import LinesView
from raysweep.live.watch import observe
from tests.conftest import ROOT, run, run_sweep
from tests.raysweep.ledger.recorded import record
from tests.raysweep.live.sweep import planned
from tests.raysweep.sweeps import background, numbers, wait_for

ALONE = {"checkpoint": ("last.pt", "best.pt"), "first_here": True, "meet": lambda: None}
"""What the only worker of a run says of itself."""

DEPTH = Question(name="depth", text="Does a 5th block help?", baseline="C", arms=("A",), metrics=("head_acc",))

HOLD = """
import sys
from raysweep.ledger import open_ledger
with open_ledger(sys.argv[1]).store.locked():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def machines(url, tmp_path):
    """Two machines that see the same results."""
    return [open_ledger(url, tmp_path / name) for name in ("one", "other")]


def test_what_one_machine_records_the_other_reads(machines, url):
    one, other = machines
    one.write(record("C-s42-0"))
    assert list(other.records()) == list(one.records()) == [record("C-s42-0")]
    assert other.record("C-s42-0") == record("C-s42-0")
    write_plan(one, [record()], [DEPTH])
    assert [question["name"] for question in read_questions(other)] == ["depth"]
    assert list(load_results(url)["run"]) == ["C-s42-0"]
    other.remove("C-s42-0")
    assert one.record("C-s42-0") is None
    assert list(one.records()) == []


def test_a_replaced_attempt_is_refused_on_whichever_machine(machines):
    one, other = machines
    assert (one.begin("C-s42-0"), other.begin("C-s42-0")) == (1, 2)
    with pytest.raises(SupersededError, match="attempt 1 was replaced by attempt 2"):
        one.write(record(attempt=1))
    other.write(record(attempt=2))
    assert one.record("C-s42-0")["attempt"] == 2


def test_attempts_begun_at_once_have_numbers_of_their_own(url, tmp_path):
    numbers = []
    ledgers = [open_ledger(url, tmp_path / str(i)) for i in range(8)]

    def begin_often(one):
        numbers.extend(one.begin("C-s42-0") for _ in range(5))

    threads = [threading.Thread(target=begin_often, args=[one]) for one in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 41))


def test_damage_in_the_store_is_named_and_set_aside(machines):
    one, other = machines
    one.write(record("C-s42-0"))
    one.write(record("D-s42-0"))
    one.store.put("records/C-s42-0.json", b'{"run": "C-s42-0"')
    assert [r["run"] for r in other.records()] == ["D-s42-0"]
    assert other.set_aside() == [f"{one.location}/damaged/C-s42-0.json"]
    assert list(one.set_aside()) == []
    one.store.put("records/C-s42-0.json", b"[]")
    assert one.set_aside() == [f"{one.location}/damaged/C-s42-0.json.1"], "another machine has used the name"
    assert one.store.get("damaged/C-s42-0.json") == b'{"run": "C-s42-0"'
    assert one.finished() == {"D-s42-0"}


def test_one_sweep_at_a_time_wherever(machines, url, monkeypatch):
    one, _ = machines
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, url], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(HeldError, match=f"in use by process {holder.pid} on"), one.store.locked():
            pass
        holder.kill()
    with pytest.raises(HeldError), one.store.locked():  # nobody knows yet that it is dead
        pass
    monkeypatch.setattr("raysweep.ledger.object_store.DEAD", 0.0)
    with one.store.locked():
        pass
    monkeypatch.undo()


@pytest.mark.parametrize("in_the_background", [False, True])
def test_a_holder_that_stood_still_gives_way(machines, monkeypatch, in_the_background):
    """Also as a job in the background, whose shell has had Ctrl-C ignored."""
    monkeypatch.setattr("raysweep.ledger.object_store.HEARTBEAT", 0.05)
    one, other = machines

    def hold() -> None:
        with one.store.locked():
            other.store.put("lock/2", b"{}")
            time.sleep(10)

    handlers = {
        signal.SIGINT: signal.SIG_IGN if in_the_background else signal.default_int_handler,
        signal.SIGTERM: signal.default_int_handler,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        with pytest.raises(KeyboardInterrupt):
            hold()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_no_object_is_written_outside_of_the_copy(machines, tmp_path):
    one, other = machines
    one.store.put("records/../../../outside.json", b"{}")
    one.store.put("runs/C-s42-0/checkpoint.json", json.dumps({"../../outside.pt": "best.pt.1"}).encode())
    one.store.put("runs/C-s42-0/best.pt.1", b"")
    other.store.fetch("records/")
    with other.runs.at_work("C-s42-0", 0, **ALONE):
        pass
    assert not list(tmp_path.rglob("outside*"))


def test_a_stop_reaches_a_worker_and_its_checkpoint_the_store(machines, monkeypatch):
    """Pairs of files that a trainable replaces one after the other arrive as pairs."""
    monkeypatch.setattr("raysweep.ledger.run_folders.LOOK_EVERY", 0.01)
    one, other = machines
    folder = one.runs.folder("C-s42-0")
    with one.runs.at_work("C-s42-0", 0, **ALONE):
        for i in range(60):
            durable.write_bytes(folder / "best.pt", str(i).encode())
            durable.write_bytes(folder / "last.pt", str(i).encode())
            (folder / "pulse-0").write_text(f"{i}\n")
            if i % 20 == 7:
                with other.runs.at_work("C-s42-0", 1, **ALONE):
                    there = other.runs.folder("C-s42-0")
                    names = sorted(file.name for file in there.glob("*.pt"))
                    if names == ["best.pt", "last.pt"]:
                        best, last = (int((there / name).read_bytes()) for name in names)
                        assert best in (last, last + 1)
        other.runs.ask_to_stop("C-s42-0")
        deadline = time.monotonic() + 10
        while not (folder / "stop").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (folder / "stop").exists()
        other.runs.let_go_on("C-s42-0")
    with other.runs.at_work("C-s42-0", 0, **ALONE):
        assert (other.runs.folder("C-s42-0") / "last.pt").read_bytes() == b"59"
    names = [name.rpartition("/")[2].partition(".pt")[0] for name in one.store._listed("runs/C-s42-0/")]
    assert sorted(names) == ["best", "checkpoint.json", "last"]


def test_a_checkpoint_is_what_the_trainable_says_that_it_is(machines):
    one, other = machines
    alone = {**ALONE, "checkpoint": ("weights.bin", "optimizer.bin")}
    with one.runs.at_work("C-s42-0", 0, **alone):
        for name in ("weights.bin", "optimizer.bin", "last.pt"):
            durable.write_bytes(one.runs.folder("C-s42-0") / name, name.encode())
    with other.runs.at_work("C-s42-0", 0, **alone):
        there = {file.name: file.read_text() for file in other.runs.folder("C-s42-0").iterdir() if file.is_file()}
    assert there == {name: name for name in alone["checkpoint"]}


def test_the_filters_of_a_run_are_read_from_anywhere(machines):
    one, other = machines
    with one.runs.at_work("C-s42-0", 0, **ALONE):
        np.savez(one.runs.folder("C-s42-0") / "filters.npz", moved=[1.5])
    assert read_filters(other.store, "C-s42-0")["moved"] == [1.5]


def test_a_file_url_is_a_folder(tmp_path):
    assert open_ledger(f"file://{tmp_path}").folder == tmp_path


def test_bad_places_are_refused_in_one_line(server, url):
    with pytest.raises(LedgerError, match="Protocol not known: nowhere"):
        open_ledger("nowhere://bucket/results")
    with pytest.raises(OSError, match="bucket does not exist"):
        open_ledger("s3://no-such-bucket/results").begin("C-s42-0")


@pytest.mark.ray
@pytest.mark.slow
def test_a_sweep_goes_on_on_another_machine(url, tmp_path, monkeypatch):
    """Killed in fine-tuning; the machine that goes on has nothing but the store."""
    from raysweep.running import supervisor
    from tests.raysweep.sweeps import gone_within

    flags = ("--group", "cifar", "--only", "3b_cmod_L4_s100", "--seeds", "42", "--set", "lr_epochs=2", "epochs=6")
    with background(*flags, "--results", url) as (process, lines):
        wait_for(lines, "finetune 2/6")
        time.sleep(3)  # until the checkpoint is in the store
        ours = [pid for pid, _ in supervisor.descendants({process.pid})]
        process.kill()
        process.wait()
    assert gone_within(15, ours)
    monkeypatch.setenv("RAYSWEEP_CACHE", str(tmp_path / "elsewhere"))
    refused = run_sweep(*flags, "--results", url)
    assert refused.returncode == 2
    assert "is in use by process" in refused.stderr
    time.sleep(DEAD)
    again = run_sweep(*flags, "--results", url)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "goes on after finetune" in again.stdout
    ledger = open_ledger(url, tmp_path / "seen")
    (finished,) = ledger.finished()
    assert list(json.loads(ledger.store.get(f"runs/{finished}/checkpoint.json"))) == ["best.pt"]
    whole = run_sweep(*flags, "--results", tmp_path / "whole")
    assert whole.returncode == 0, whole.stdout
    assert numbers(url) == numbers(tmp_path / "whole")
    shown = run("-m", "analysis", url)
    assert "3b_cmod_L4_s100" in shown.stdout


def test_a_sweep_is_watched_through_a_copy_of_ones_own(url):
    """What a watcher fetches must not get in the way of what the sweep on the same machine is about to share."""
    theirs = open_ledger(url)
    with theirs.store.locked():
        status = Status(theirs, LinesView(), slots=1)
        status.add([planned("a")])
        status.start()
        with open_to_watch(url) as ours:
            for _ in range(100):
                with contextlib.suppress(LedgerError):
                    seen = observe(ours)
                    break
                time.sleep(0.1)
            assert ours.folder != theirs.folder
            assert seen.is_alive
            assert [row.experiment for row in seen.state.run_states] == ["a"]
            status.close()
            assert observe(ours).notice.startswith(f"{url}: ended at ")
    with open_to_watch(url) as ours:
        assert ours.store.holder() is None

"""A ledger when writes fail or tear, processes die, the disk is full, and many write at once."""

import contextlib
import errno
import itertools
import multiprocessing
import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from raysweep.ledger.opening import open_ledger
from raysweep.ledger.plan import write_plan
from raysweep.ledger.records import FINISHED, Ledger, SupersededError
from raysweep.ledger.store import LedgerError
from tests.raysweep.ledger.recorded import record

NAMES = ("A-s42-0", "B-s42-1", "C-s42-2")


def sweep_of_three(ledger, confirm=lambda name: None):
    """What a sweep does with its ledger: set aside what is damaged, do what is missing, leave the table."""
    ledger.set_aside()
    write_plan(ledger, [{"run": name} for name in NAMES], [])
    for i, name in enumerate(NAMES):
        if name not in ledger.finished():
            ledger.write(record(name, attempt=ledger.begin(name), results={"head_acc": 60.0 + i}))
            confirm(name)
    ledger.write_frame()


def sweep_with_a_fault(folder, k: int, how: str) -> tuple[list[str], bool]:
    """Run the sweep in a process whose k-th write, fsync or rename goes wrong.

    Returns the runs whose record was confirmed before, and whether there was a k-th call at all.
    """
    readable, writable = os.pipe()
    child = os.fork()
    if not child:
        count = 0

        def faulty(real):
            def call(*args, **kwargs):
                nonlocal count
                count += 1
                if count != k:
                    return real(*args, **kwargs)
                if real is write:
                    write(args[0], bytes(args[1])[: len(args[1]) // 2])
                if how == "die":
                    os._exit(9)
                raise OSError(errno.ENOSPC, "No space left on device")

            return call

        write = os.write
        os.write, os.fsync, os.replace = faulty(os.write), faulty(os.fsync), faulty(os.replace)
        with contextlib.suppress(OSError):
            sweep_of_three(open_ledger(folder), lambda name: write(writable, name.encode() + b"\n"))
        os._exit(9 if count >= k else 0)
    os.close(writable)
    with open(readable) as stream:
        confirmed = stream.read().split()
    _, status = os.waitpid(child, 0)
    return confirmed, status != 0


def outcome(ledger):
    return [{name: value for name, value in record.items() if name != "attempt"} for record in ledger.records()]


@pytest.mark.parametrize("how", ["fail", "die"])
def test_whichever_write_fails_nothing_recorded_is_lost(tmp_path, how):
    whole = open_ledger(tmp_path / "whole")
    sweep_of_three(whole)
    for k in itertools.count(1):
        ledger = open_ledger(tmp_path / str(k))
        confirmed, happened = sweep_with_a_fault(ledger.folder, k, how)
        before = {name: ledger.record(name) for name in ledger.finished()}
        assert set(confirmed) <= before.keys(), f"call {k}"
        sweep_of_three(ledger)
        assert outcome(ledger) == outcome(whole), f"call {k}"
        assert {name: ledger.record(name) for name in before} == before, "a finished run was done again"
        if not happened:
            break
    assert k > 30, "writes, fsyncs and renames were all met"


def write_many(folder, process, count):
    ledger = open_ledger(folder)
    for i in range(count):
        name = f"C-s{i}-{process}"
        ledger.write(record(name, attempt=ledger.begin(name)))


@pytest.mark.parametrize(("processes", "count"), [(4, 25), pytest.param(10, 200, marks=pytest.mark.slow)])
def test_processes_may_record_at_once(tmp_path, processes, count):
    context = multiprocessing.get_context("spawn")
    started = [context.Process(target=write_many, args=(tmp_path, i, count)) for i in range(processes)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert len(list(open_ledger(tmp_path).records())) == processes * count
    assert not list((tmp_path / "records").glob(".*"))


def test_processes_may_begin_the_same_run_at_once(tmp_path):
    readable, writable = os.pipe()
    for _ in range(8):
        if not os.fork():
            numbers = [open_ledger(tmp_path).begin("C-s42-0") for _ in range(10)]
            os.write(writable, b"".join(b"%d\n" % number for number in numbers))
            os._exit(0)
    os.close(writable)
    with open(readable) as stream:
        assert sorted(map(int, stream)) == list(range(1, 81))
    for _ in range(8):
        os.wait()


def test_of_two_drivers_never_both_hold_the_folder(tmp_path):
    """Each tries until it has won 200 times; the holder makes a file that must not be there, and takes it away."""
    readable, writable = os.pipe()
    for _ in range(2):
        if not os.fork():
            won = 0
            while won < 200:
                with contextlib.suppress(LedgerError), open_ledger(tmp_path).store.locked():
                    os.close(os.open(tmp_path / "held", os.O_CREAT | os.O_EXCL))
                    won += 1
                    os.write(writable, b".")
                    (tmp_path / "held").unlink()
            os.write(writable, b"done")
            os._exit(0)
    os.close(writable)
    with open(readable) as stream:
        said = stream.read()
    for _ in range(2):
        assert os.wait()[1] == 0
    assert said.count("done") == 2
    assert said.count(".") == 400


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KB, in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting a small file system takes root ({mounted.stderr.strip()})")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_said_and_leaves_earlier_results_intact(small_disk):
    ledger, written = open_ledger(small_disk), []

    def write(seed: int) -> None:
        record = {"run": f"C-s{seed}-0", "key": str(seed), "status": FINISHED, "config": {"text": "x" * 3000}}
        ledger.write({**record, "results": {"acc": seed}})
        written.append(seed)

    with pytest.raises(OSError, match="No space left") as caught:
        list(map(write, range(1000)))
    assert caught.value.errno == errno.ENOSPC
    assert len(written) > 10
    assert sorted(record["results"]["acc"] for record in ledger.records()) == written
    assert ledger.damaged == []
    assert not list(small_disk.rglob("*.tmp"))
    (small_disk / "records" / "C-s0-0.json").unlink()
    write(1000)
    assert 1000 in {record["results"]["acc"] for record in ledger.records()}


class CrashAndReplay(RuleBasedStateMachine):
    """Attempts at three runs that begin, end, come late and are cut short; the ledger is opened anew at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.attempts = dict.fromkeys(NAMES, 0)
        self.known: dict[str, int] = {}

    @property
    def ledger(self) -> Ledger:
        return open_ledger(self.folder.name)

    @rule(name=st.sampled_from(NAMES))
    def begins(self, name):
        self.attempts[name] += 1
        assert self.ledger.begin(name) == self.attempts[name]

    @rule(name=st.sampled_from(NAMES))
    def ends(self, name):
        if self.attempts[name]:
            self.ledger.write(record(name, attempt=self.attempts[name]))
            self.known[name] = self.attempts[name]

    @rule(name=st.sampled_from(NAMES), late=st.integers(1, 3))
    def ends_late(self, name, late):
        if late < self.attempts[name]:
            with pytest.raises(SupersededError):
                self.ledger.write(record(name, attempt=self.attempts[name] - late))

    @rule(name=st.sampled_from(NAMES))
    def dies_while_it_writes(self, name):
        (self.ledger.folder / "records").mkdir(parents=True, exist_ok=True)
        (self.ledger.folder / "records" / f".{name}.json.1.tmp").write_text('{"run": "')

    @rule(name=st.sampled_from(NAMES), keep=st.floats(0, 0.99))
    def is_damaged(self, name, keep):
        file = self.ledger.folder / "records" / f"{name}.json"
        if name in self.known:
            content = file.read_bytes()
            file.write_bytes(content[: int(keep * len(content))])
            del self.known[name]
            assert [Path(file).name.split(".json")[0] for file in self.ledger.set_aside()] == [name]

    @rule(name=st.sampled_from(NAMES))
    def is_forgotten(self, name):
        self.ledger.remove(name)
        self.known.pop(name, None)

    @invariant()
    def the_records_are_those_that_ended_last(self):
        assert {r["run"]: r["attempt"] for r in self.ledger.records()} == self.known

    def teardown(self):
        self.folder.cleanup()


CrashAndReplay.TestCase.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
test_crash_and_replay = CrashAndReplay.TestCase

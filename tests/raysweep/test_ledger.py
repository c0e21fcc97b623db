import contextlib
import errno
import itertools
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile

import pandas as pd
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from raysweep import load_results
from raysweep.ledger import FAILED, FINISHED, Ledger, LedgerError, SupersededError, run_key
from tests.conftest import ROOT
from trainables.scattering import ScatteringConfig


def record(name="C-s42-0", status=FINISHED, **more):
    return {
        "run": name,
        "key": f"key of {name}",
        "experiment": name.split("-")[0],
        "group": "depth",
        "dataset": "digits",
        "seed": 42,
        "status": status,
        "error": None,
        "config": {"n_blocks": 4, "train_size": 0.5, "dataset": "digits", "seed": 42},
        "results": {"head_acc": 61.5, "train_size": 0.5},
        "curves": {"phase_a": [{"epoch": 1, "val_acc": 61.5}]},
        "provenance": {"torch_version": "2.14.1"},
        **more,
    }


def key(**changes):
    identity = {"num_workers": 1, "data": "abc", "numerics": 1}
    config = {name: changes.pop(name) for name in list(changes) if name not in identity}
    return run_key("trainables.scattering", ScatteringConfig(**config), **{**identity, **changes})


def test_keys_follow_what_can_change_the_numbers():
    same = key()
    assert same == key(save_dir="elsewhere", print_freq=0, workers=7, data_dir="/moved")
    different = [
        key(seed=1),
        key(epochs=99),
        key(dataset="cifar10"),
        key(train_size=0.5),
        key(num_workers=2),
        key(data="other"),
        key(numerics=2),
    ]
    assert len({same, *different}) == len(different) + 1


def test_a_record_is_read_back_as_a_row(tmp_path):
    ledger = Ledger(tmp_path / "results")
    ledger.write(record())
    ledger.write(record())
    ledger.write(record("A-s42-1", status=FAILED, error="out of luck", results={}))
    frame = load_results(tmp_path / "results")
    assert len(frame) == 1
    row = frame.iloc[0]
    assert (row["experiment"], row["group"], row["dataset"], row["seed"]) == ("C", "depth", "digits", 42)
    assert (row["n_blocks"], row["head_acc"], row["status"], row["torch_version"]) == (4, 61.5, FINISHED, "2.14.1")
    assert row["curves"]["phase_a"][0]["val_acc"] == 61.5
    both = load_results(tmp_path / "results", failed=True)
    assert set(both["status"]) == {FINISHED, FAILED}
    assert ledger.finished() == {"C-s42-0"}


def test_a_damaged_record_is_named_and_the_others_are_read(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.write(record("C-s42-0"))
    ledger.write(record("A-s42-1"))
    file = tmp_path / "records" / "A-s42-1.json"
    for content in (file.read_bytes()[:100], b"", b"[]", b'"text"', b'{"run": "A"}', b"\xff\xfe"):
        file.write_bytes(content)
        assert ledger.finished() == {"C-s42-0"}
        assert ledger.damaged == [str(file)]


def test_every_flipped_bit_and_every_truncation_is_detected(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.write(record("C-s42-0"))
    ledger.write(record("A-s42-1"))
    file = tmp_path / "records" / "A-s42-1.json"
    whole = file.read_bytes()
    meaning = json.loads(whole)
    for i in range(8 * len(whole)):
        content = bytearray(whole)
        content[i // 8] ^= 1 << i % 8
        file.write_bytes(content)
        try:
            harmless = json.loads(content) == meaning  # one kind of white space for another
        except ValueError:
            harmless = False
        assert (ledger.record("A-s42-1") is not None) == harmless, f"bit {i}"
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert ledger.finished() == {"C-s42-0"}
    assert ledger.set_aside() == [tmp_path / "damaged" / "A-s42-1.json"]
    assert not file.exists()
    file.write_bytes(whole[:9])
    assert ledger.set_aside() == [tmp_path / "damaged" / "A-s42-1.json.1"]


def test_what_a_replaced_attempt_would_record_is_refused(tmp_path):
    ledger = Ledger(tmp_path)
    assert [ledger.begin("C-s42-0"), ledger.begin("C-s42-0"), ledger.begin("A-s42-1")] == [1, 2, 1]
    with pytest.raises(SupersededError, match="C-s42-0: attempt 1 was replaced by attempt 2"):
        ledger.write(record(attempt=1, status=FAILED))
    ledger.write(record(attempt=2))
    with pytest.raises(SupersededError):
        ledger.write(record(attempt=1, status=FAILED))
    assert ledger.finished() == {"C-s42-0"}
    ledger.remove("C-s42-0")
    assert ledger.begin("C-s42-0") == 3, "none of before may record after --redo"


def test_an_attempt_that_a_crash_cut_short_counts(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.begin("C-s42-0")
    with (tmp_path / "attempts" / "C-s42-0").open("a") as stream:
        stream.write("2026-11-24T0")
    assert ledger.begin("C-s42-0") == 3


NAMES = ("A-s42-0", "B-s42-1", "C-s42-2")


def sweep_of_three(ledger, confirm=lambda name: None):
    """What a sweep does with its ledger: set aside what is damaged, do what is missing, leave the table."""
    ledger.set_aside()
    ledger.write_plan([{"run": name} for name in NAMES], [])
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
            sweep_of_three(Ledger(folder), lambda name: write(writable, name.encode() + b"\n"))
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
    whole = Ledger(tmp_path / "whole")
    sweep_of_three(whole)
    for k in itertools.count(1):
        ledger = Ledger(tmp_path / str(k))
        confirmed, happened = sweep_with_a_fault(ledger.folder, k, how)
        before = {name: ledger.record(name) for name in ledger.finished()}
        assert set(confirmed) <= before.keys(), f"call {k}"
        sweep_of_three(ledger)
        assert outcome(ledger) == outcome(whole), f"call {k}"
        assert {name: ledger.record(name) for name in before} == before, "a finished run was done again"
        if not happened:
            break
    assert k > 30, "writes, fsyncs and renames were all met"


def test_the_table_is_a_function_of_the_records(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.write(record("C-s42-0", curves={"phase_a": [{"epoch": 1, "val_acc": 61.5}]}))
    ledger.write(record("A-s42-1", status=FAILED, error="out of luck", results={}))
    ledger.write_frame()
    first = (tmp_path / "results.parquet").read_bytes()
    for file in (tmp_path / "records").iterdir():
        file.touch()
    Ledger(tmp_path).write_frame()
    assert (tmp_path / "results.parquet").read_bytes() == first
    frame = pd.read_parquet(tmp_path / "results.parquet")
    assert list(frame["run"]) == ["A-s42-1", "C-s42-0"]
    assert json.loads(frame["curves"][1]) == {"phase_a": [{"epoch": 1, "val_acc": 61.5}]}


def test_a_folder_without_results(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no results of a sweep"):
        load_results(tmp_path)
    Ledger(tmp_path).write(record(status=FAILED))
    assert list(load_results(tmp_path)["experiment"]) == []


def test_redo_forgets_a_run(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.write(record("C-s42-0"))
    folder = ledger.run_folder("C-s42-0")
    folder.mkdir(parents=True)
    (folder / "last.pt").touch()
    ledger.remove("C-s42-0")
    assert not folder.exists()
    assert not ledger.finished()


def write_many(folder, process, count):
    ledger = Ledger(folder)
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
    assert len(list(Ledger(tmp_path).records())) == processes * count
    assert not list((tmp_path / "records").glob(".*"))


def test_processes_may_begin_the_same_run_at_once(tmp_path):
    readable, writable = os.pipe()
    for _ in range(8):
        if not os.fork():
            numbers = [Ledger(tmp_path).begin("C-s42-0") for _ in range(10)]
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
                with contextlib.suppress(LedgerError), Ledger(tmp_path).locked():
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
    ledger, written = Ledger(small_disk), []

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
        return Ledger(self.folder.name)

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
            assert [path.name.split(".json")[0] for path in self.ledger.set_aside()] == [name]

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


HOLD = """
import sys
from raysweep.ledger import Ledger
with Ledger(sys.argv[1]).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_sweep_at_a_time_holds_a_folder_and_death_lets_go(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(LedgerError, match=f"is in use by process {holder.pid} on"), Ledger(tmp_path).locked():
        pass
    holder.kill()
    holder.communicate()
    with Ledger(tmp_path).locked():
        pass


def test_questions_of_several_sweeps_stay(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.write_plan([], [{"name": "depth", "text": "old"}, {"name": "other", "text": "?"}])
    ledger.write_plan([{"run": "x"}], [{"name": "depth", "text": "new"}])
    assert [q["text"] for q in ledger.read_json("questions.json")] == ["new", "?"]
    assert json.loads((tmp_path / "plan.json").read_text()) == [{"run": "x"}]


def test_importing_raysweep_and_analysis_loads_neither_ray_nor_torch():
    code = (
        "import sys, raysweep, analysis, analysis.report, search_spaces; search_spaces.families(); "
        "sys.exit(bool({'ray', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0

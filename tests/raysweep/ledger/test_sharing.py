"""A results folder that a group shares: what one user makes the other may read and write, whatever the umask."""

import os
import threading
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from raysweep.ledger.inbox import offer
from raysweep.ledger.opening import load_results, open_ledger
from raysweep.ledger.plan import write_plan
from raysweep.ledger.predictions import keep_predictions
from raysweep.ledger.store import HeldError
from tests.raysweep.ledger.recorded import record
from tests.users import closed, two_users
from trainables.files import make_folder, open_to_group, write_atomically

users = pytest.fixture(two_users)

FILL = """
import sys, time
from tests.raysweep.ledger.test_sharing import fill
fill(sys.argv[1], sys.argv[2], range(int(sys.argv[3]), int(sys.argv[4])))
"""


def fill(folder: str, user: str, seeds: range) -> None:
    """What a sweep does with its results folder, once for each seed; the first run is one that both go on with."""
    for seed in seeds:
        ledger = open_ledger(folder)
        with _held(ledger):
            assert ledger.set_aside() == []
            runs = ["both-s0-0", f"{user}-s{seed}-0"]
            write_plan(ledger, [{"run": name} for name in runs], [])
            for name in runs:
                attempt = ledger.begin(name)
                checkpoint = ledger.runs.folder(name) / "last.pt"
                before = checkpoint.read_bytes() if checkpoint.exists() else b""
                write_atomically(checkpoint, lambda stream, more=before + b".": stream.write(more) and None)
                (checkpoint.parent / ".last.pt.tmp").write_bytes(b"of a killed process")
                ledger.write(record(name, attempt=attempt), partial(_predictions, ledger, name))
            offer(ledger.store, ["--group", "depth"], "0123456789abcdef")
            ledger.write_frame()


def _predictions(ledger, name):
    """Keep what a run has left of its predictions, for its record."""
    left = ledger.runs.folder(name) / "predictions.npz"
    arrays = {"classes": [1, 2], "labels": [1, 0], "metrics": ["final_acc"]}
    write_atomically(left, lambda stream: np.savez(stream, **arrays))
    return {"predictions": keep_predictions(ledger.store, name, left, data="d", results={"final_acc": 50.0})}


def _held(ledger):
    """Hold the folder, once the other user lets go of it."""
    stack = ExitStack()
    until = time.monotonic() + 60
    while True:
        try:
            stack.enter_context(ledger.store.locked())
            return stack
        except HeldError:
            assert time.monotonic() < until
            time.sleep(0.01)


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A results folder that is shared, with a group that is not the user's own where that is possible."""
    folder = tmp_path / "results"
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, -1, 4242)
    folder.chmod(0o2770)
    before = os.umask(0o077)
    yield folder
    os.umask(before)


def test_all_that_is_made_is_open_to_the_group_whatever_the_umask(shared):
    fill(shared, "alice", range(3))
    open_ledger(shared).store.move("records/both-s0-0.json", "damaged/both-s0-0.json")
    there = {path.relative_to(shared).parts[0] for path in shared.rglob("*")}
    assert {"records", "predictions", "attempts", "runs", "inbox", "damaged"} <= there
    assert {"lock", "plan.json", "results.parquet"} <= there
    assert [line for line in closed(shared) if ".last.pt.tmp" not in line] == []


def test_folders_that_were_made_before_it_was_shared_are_opened_by_their_owner(shared):
    shared.chmod(0o700)
    fill(shared, "alice", range(1))
    assert closed(shared)
    shared.chmod(0o2770)
    with open_ledger(shared).store.locked():
        pass
    assert [line for line in closed(shared) if "/" not in line] == []


def test_what_is_not_shared_stays_as_the_umask_has_it(tmp_path):
    before = os.umask(0o077)
    try:
        fill(tmp_path / "results", "alice", range(1))
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "results").rglob("*")} == {0}


def test_files_that_belong_to_others_are_left_alone(shared):
    if os.geteuid() != 0:
        pytest.skip("giving a file away takes root")
    file = shared / "notes.txt"
    file.touch(mode=0o600)
    os.chown(file, 65501, 65501)
    with open_ledger(shared).store.locked():
        pass
    open_to_group(file)
    assert (file.stat().st_mode & 0o777, file.stat().st_gid) == (0o600, 65501)


def test_a_file_system_without_modes_is_no_hindrance(shared, monkeypatch):
    def refused(*args, **kwargs):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refused)
    monkeypatch.setattr(os, "chown", refused)
    fill(shared, "alice", range(1))
    make_folder(shared / "runs" / "other")
    assert open_ledger(shared).finished() == {"alice-s0-0", "both-s0-0"}


def test_two_users_fill_one_folder_from_both_sides(users):
    """At once: each has to wait for the other again and again, and goes on from what the other has left."""
    results = users.results(0o2770)
    ended = {}

    def filling(user, name, seeds):
        ended[name] = user.run("-c", FILL, results, name, *seeds)

    sides = [
        threading.Thread(target=filling, args=(users.alice, "alice", (0, 8))),
        threading.Thread(target=filling, args=(users.bob, "bob", (0, 8))),
    ]
    for side in sides:
        side.start()
    for side in sides:
        side.join()
    assert [process.returncode for process in ended.values()] == [0, 0], [p.stderr for p in ended.values()]
    frame = load_results(results)
    expected = {"both-s0-0", *(f"{name}-s{seed}-0" for name in ("alice", "bob") for seed in range(8))}
    assert set(frame["run"]) == expected
    assert not (results / "damaged").exists()
    assert (results / "runs" / "both-s0-0" / "last.pt").read_bytes() == b"." * 16
    assert len((results / "attempts" / "both-s0-0").read_text().splitlines()) == 16
    assert [line for line in closed(results) if ".last.pt.tmp" not in line] == []


SWEEP = ("run_sweep.py", "--group", "depth", "--only", "C", "--set", "epochs=0", "lr_epochs=1", "train_size=0.2")


@pytest.mark.ray
@pytest.mark.slow
def test_sweeps_of_two_users_fill_one_folder(users):
    results = users.results(0o2770)
    for user, seeds in ((users.alice, "0"), (users.bob, "0,1"), (users.alice, "0,1,2")):
        ended = user.run(*SWEEP, "--seeds", seeds, "--results", results)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "damaged" not in ended.stdout
    frame = load_results(results)
    assert sorted(frame["seed"]) == [0, 1, 2]
    assert len(list((results / "attempts").iterdir())) == 3, "none was done twice"
    assert not (results / "damaged").exists()
    assert closed(results) == []

"""What cannot be read is named, and neither moved nor done again: it may be sound."""

import contextlib
import errno
import json
import os
import pickle
import resource
import shutil
from pathlib import Path

import pytest

import run_sweep
from analysis.__main__ import main as analyse
from raysweep.ledger.inbox import answer, offer, offers
from raysweep.ledger.opening import load_results, open_ledger
from raysweep.ledger.reading import UnreadableError
from raysweep.ledger.store import this_process
from raysweep.live.state import FILE
from raysweep.running.cluster import prepare_own_environment
from tests.conftest import ROOT, run
from tests.raysweep.ledger.recorded import record
from tests.users import two_users

users = pytest.fixture(two_users)


def link_loop(path: Path) -> str:
    path.symlink_to(path)
    return "Too many levels of symbolic links"


def link_to_nothing(path: Path) -> str:
    path.symlink_to("/nowhere/at/all")
    return "it is a link to nothing"


def failing_disk(path: Path) -> str:
    path.symlink_to("/proc/self/mem")  # opens, and cannot be read at its beginning
    return "Input/output error"


def folder(path: Path) -> str:
    path.mkdir()
    return "Is a directory"


WAYS = [link_loop, link_to_nothing, failing_disk, folder]


def spoil(path: Path, how=link_loop) -> str:
    """Put something that cannot be read in place of a file or folder. Returns the system's words for it."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    return how(path)


def tree(folder: Path) -> dict[str, object]:
    """All that lies in a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        if path.is_file() and path.stat().st_size
        else path.lstat().st_mode
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("how", WAYS)
def test_a_record_that_cannot_be_read_is_not_taken_for_damaged(tmp_path, how):
    ledger = open_ledger(tmp_path)
    ledger.write(record("C-s42-0"))
    ledger.write(record("A-s42-1"))
    (tmp_path / "records" / "B-s42-2.json").write_text("damaged indeed")
    words = spoil(tmp_path / "records" / "A-s42-1.json", how)
    before = tree(tmp_path)
    for call in (
        ledger.set_aside,
        ledger.finished,
        ledger.settled,
        ledger.write_frame,
        lambda: ledger.record("A-s42-1"),
    ):
        with pytest.raises(UnreadableError) as caught:
            call()
        assert str(caught.value) == f"cannot read {tmp_path}/records/A-s42-1.json ({words})"
    assert tree(tmp_path) == before
    assert [one["run"] for one in ledger.readable_records()] == ["C-s42-0"]
    assert ledger.damaged == [f"{tmp_path}/records/B-s42-2.json"]
    with pytest.warns(UserWarning, match="left out: cannot read .*A-s42-1.json"):
        assert list(load_results(tmp_path)["run"]) == ["C-s42-0"]


def test_all_that_cannot_be_read_is_counted_in_one_line(tmp_path):
    ledger = open_ledger(tmp_path)
    for seed in range(3):
        spoil(tmp_path / "records" / f"C-s{seed}-0.json")
    with pytest.raises(UnreadableError) as caught:
        list(ledger.records())
    line = f"cannot read {tmp_path}/records/C-s0-0.json (Too many levels of symbolic links), nor 2 other files of these"
    assert str(caught.value) == f"{line} results"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value), "it reaches other processes as it is"


@pytest.fixture(scope="module")
def planned():
    """The name of the run that SWEEP would do, and a results folder in which it is half done."""
    said = run("run_sweep.py", *SWEEP, "--plan", "--json")
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)[0]["run"]


SWEEP = ("--group", "depth", "--only", "C", "--set", "epochs=0", "lr_epochs=1")


@pytest.fixture
def half_done(tmp_path, planned):
    """Results in which a run has begun, and another has ended."""
    ledger = open_ledger(tmp_path / "results")
    ledger.begin(planned)
    ledger.write(record("other-s0-0"))
    (tmp_path / "results" / "runs" / planned).mkdir(parents=True)
    for name in ("plan.json", "questions.json", "families.json"):
        (tmp_path / "results" / name).write_text("[]")
    (tmp_path / "results" / "lock").touch()
    return tmp_path / "results"


@pytest.mark.parametrize(
    "name",
    [
        *("records/other-s0-0.json", "records/another-s0-0.json", "records", "lock", "inbox"),
        *("plan.json", "questions.json", "families.json"),
        *("attempts/RUN", "runs/RUN/last.pt", "runs/RUN/results.json", "runs/RUN"),
    ],
)
def test_a_sweep_ends_before_it_changes_anything(half_done, planned, name, capsys, monkeypatch):
    monkeypatch.setattr("raysweep.plan_runner._launcher", lambda *_: pytest.fail("a run was started"))
    file = half_done / name.replace("RUN", planned)
    words = spoil(file)
    before = tree(half_done)
    with pytest.raises(SystemExit) as exit:
        run_sweep.main([*SWEEP, "--results", str(half_done)])
    assert exit.value.code == 1
    assert capsys.readouterr().err == f"error: cannot read {file} ({words})\n"
    after = tree(half_done)
    after.pop("lock", None), before.pop("lock", None)  # which says who looked last
    assert {name: content for name, content in after.items() if name.split("/")[0] != "code"} == before


def test_nothing_of_a_run_is_forgotten_of_which_a_part_stays(half_done, planned, users):
    """`--redo`, where the checkpoint is another user's: the record stays with it."""
    ledger = open_ledger(half_done)
    kept = users.folder / "kept"
    shutil.copytree(half_done, kept)
    open_ledger(kept).write(record(planned))
    (kept / "runs" / planned / "last.pt").touch()
    for path in (kept, *kept.rglob("*")):
        os.chown(path, users.bob.uid, users.bob.uid)
    os.chown(kept / "runs" / planned, 0, 0)
    script = "import sys; from raysweep.ledger import open_ledger; open_ledger(sys.argv[1]).remove(sys.argv[2])"
    ended = users.bob.run("-c", script, kept, planned)
    assert "cannot be removed" in ended.stderr
    assert open_ledger(kept).record(planned) is not None
    ledger.remove(planned)
    assert not (half_done / "runs" / planned).exists()


def test_a_plan_says_what_it_cannot_read(half_done, planned, capsys):
    for name in ("records/other-s0-0.json", f"runs/{planned}/last.pt"):
        spoil(half_done / name)
        with pytest.raises(SystemExit) as exit:
            run_sweep.main([*SWEEP, "--plan", "--results", str(half_done)])
        assert exit.value.code == 1
        assert f"cannot read {half_done / name}" in capsys.readouterr().err
        (half_done / name).unlink()


def unbroken(text):
    """Text without the blanks at which a console may have broken it, where paths are long."""
    return "".join(text.split())


@pytest.mark.parametrize("name", ["records/A-s0-0.json", "records", "plan.json", "questions.json", "families.json"])
def test_the_analysis_reports_the_rest(tmp_path, name, capsys):
    ledger = open_ledger(tmp_path)
    ledger.write(record("C-s42-0"))
    for document in ("plan.json", "questions.json", "families.json"):
        (tmp_path / document).write_text("[]")
    words = spoil(tmp_path / name)
    before = tree(tmp_path)
    assert analyse([str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert unbroken(f"cannot be read, left out: {tmp_path / name} ({words})") in unbroken(printed.out)
    assert printed.err == f"error: {tmp_path / name} cannot be read; what was printed leaves it out\n"
    assert ("61.5" in printed.out) == (name != "records")
    assert tree(tmp_path) == before


def test_the_import_of_results_does_not_pass_over_what_it_cannot_read(tmp_path, capsys):
    spoil(tmp_path / "records" / "A-s0-0.json")
    assert analyse(["import", str(tmp_path), str(ROOT / "tests" / "data" / "original_results.json")]) == 1
    assert f"error: cannot read {tmp_path}/records/A-s0-0.json" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "records").iterdir()] == ["A-s0-0.json"]


STATUS = {
    **{"location": "results", "holder": this_process(), "slots": 1, "started": 1.0, "written": 2.0, "ended": None},
    **{"estimated": 2.0, "total": None, "left": {}, "rows": [{"run": "C", "experiment": "C", "group": "", "seed": 42}]},
}


def test_the_status_is_shown_of_what_can_be_read(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # room for the path
    open_ledger(tmp_path).write(record("C-s42-0"))
    (tmp_path / FILE).write_text(json.dumps(STATUS))
    spoil(tmp_path / "lock")
    with pytest.raises(SystemExit) as exit:
        run_sweep.main(["--status", "--results", str(tmp_path)])
    assert exit.value.code == 1
    printed = capsys.readouterr()
    assert "whether a sweep runs is not known" in printed.out
    assert printed.err == f"error: cannot read {tmp_path}/lock (Too many levels of symbolic links)\n"
    spoil(tmp_path / FILE)
    spoil(tmp_path / "records" / "A-s42-0.json")
    with pytest.raises(SystemExit):
        run_sweep.main(["--status", "--results", str(tmp_path)])
    printed = capsys.readouterr()
    assert "whether a sweep runs is not known; recorded runs: 1 finished (1 unreadable)" in printed.out
    assert printed.err.startswith(f"error: cannot read {tmp_path}/{FILE}")


def test_a_command_that_cannot_be_read_is_left_there(tmp_path):
    ledger = open_ledger(tmp_path)
    spoil(tmp_path / "inbox" / "1732437000.123456-1.json")
    (tmp_path / "inbox" / "1732437000.123456-2 (conflicted copy).json").write_text("a copy")
    offer(ledger.store, ["--group", "depth"], "0123456789abcdef")
    found, unreadable = offers(ledger)
    assert [one.argv for one in found] == [("--group", "depth")]
    assert len(unreadable) == 1
    assert unreadable[0].startswith(f"cannot read {tmp_path}/inbox/1732437000.123456-1.json")
    answer(ledger.store, found[0])
    assert len(list((tmp_path / "inbox").iterdir())) == 2
    spoil(tmp_path / "inbox")
    assert offers(ledger)[0] == []


def test_a_process_without_a_file_to_open_takes_nothing_for_missing(tmp_path):
    ledger = open_ledger(tmp_path)
    for seed in range(5):
        ledger.write(record(f"C-s{seed}-0"))
    before, limits = tree(tmp_path), resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, limits[1]))
    try:
        with contextlib.suppress(OSError):
            while True:
                opened.append(os.open("/", os.O_RDONLY))
        for call in (ledger.set_aside, ledger.finished, lambda: ledger.record("C-s0-0")):
            with pytest.raises(UnreadableError, match="Too many open files"):
                call()
    finally:
        for one in opened:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert tree(tmp_path) == before


def test_an_object_that_cannot_be_read_is_named_and_the_others_are_fetched(tmp_path, monkeypatch):
    ledger = open_ledger("memory://bucket/unreadable", tmp_path)
    for name in ("A-s0-0", "C-s0-0"):
        ledger.write(record(name))
    assert ledger.finished() == {"A-s0-0", "C-s0-0"}
    ledger.write(record("A-s0-0", results={"head_acc": 70.125}))
    real = ledger.store._store.cat_file

    def refused(path, **more):
        if path.endswith("A-s0-0.json"):
            raise PermissionError(errno.EACCES, "Access Denied")
        return real(path, **more)

    monkeypatch.setattr(ledger.store._store, "cat_file", refused)
    with pytest.raises(UnreadableError, match=r"cannot read memory://bucket/unreadable/records/A-s0-0.json \(.*Denied"):
        ledger.finished()
    assert [one["run"] for one in ledger.readable_records()] == ["C-s0-0"], "an old copy is not the record"


def test_a_trial_that_cannot_read_what_is_done_trains_nothing(monkeypatch, tmp_path):
    prepare_own_environment()  # before Ray is imported, for the clusters of later tests
    from raysweep.running import driver
    from raysweep.running.failures import DISK
    from tests.raysweep.live.sweep import planned as planned_run

    reports, one = [], planned_run("C")
    monkeypatch.setattr(driver, "_name_the_cluster", lambda spec: None)
    monkeypatch.setattr(driver, "_attempt", lambda *_: pytest.fail("it was trained"))
    monkeypatch.setattr(driver.tune, "report", reports.append)
    spoil(tmp_path / "records" / f"{one.name}.json")
    spec = driver.TrialSpec(
        **{"trial": "C-1", "runs": (one,), "per_worker": {"CPU": 1}, "asked_of_ray": {}, "results": str(tmp_path)},
        **{"folder": str(tmp_path), "gate": "", "without": frozenset()},
    )
    driver.run_trial({"spec": spec})
    assert [(report["kind"], report["status"]) for report in reports] == [(DISK, "failed")]
    assert "cannot read" in reports[0]["text"]
    assert not (tmp_path / "attempts").exists()


def write_one(folder, name):
    open_ledger(folder).write(record(name))


def test_a_record_of_another_user_is_not_moved(users):
    """In a folder that all may write to but that is not shared: Alice's files are her own."""
    results = users.results(0o777)
    write = "import sys; from tests.raysweep.ledger.test_unreadable import *; write_one(*sys.argv[1:])"
    assert users.alice.run("-c", write, results, "A-s42-1").returncode == 0
    (results / "records").chmod(0o777)
    assert users.bob.run("-c", write, results, "C-s42-0").returncode == 0
    before = tree(results)
    file = results / "records" / "A-s42-1.json"
    ended = users.bob.run("run_sweep.py", *SWEEP, "--results", results)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: cannot read {file} (Permission denied: ")
    assert ended.stderr.endswith(" owns it, mode 600)\n")
    analysed = users.bob.run("-m", "analysis", results)
    assert analysed.returncode == 1
    assert "61.5" in analysed.stdout
    assert str(file) in analysed.stderr
    assert tree(results) == before

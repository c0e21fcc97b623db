"""What `--tidy` takes away from the finished runs of a results folder, and what it says."""

import pytest

import run_sweep
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.records import DIVERGED, FAILED, FINISHED
from tests.raysweep.ledger.recorded import record
from tests.test_run_sweep import refused


@pytest.fixture
def ledger(tmp_path):
    """Two finished runs of C, one of A, one that failed, one that is cut off, and one that another run stands for."""
    ledger = open_ledger(tmp_path / "results")
    for name, status in (("C-s1", FINISHED), ("C-s2", FINISHED), ("A-s1", FINISHED), ("A-s2", FAILED), ("E-s1", None)):
        folder = ledger.runs.folder(name)
        folder.mkdir(parents=True)
        for file, size in (("last.pt", 3_000_000), ("best.pt", 1000), ("results.json", 100)):
            (folder / file).write_bytes(bytes(size))
        if status:
            ledger.write(record(name, status, trainable="trainables.scattering"))
    ledger.write(record("D-s1", trainable="trainables.scattering", same_as="C-s1"))
    ledger.write(record("H-s1", status=DIVERGED, trainable="trainables.scattering"))
    return ledger


def files(ledger) -> dict[str, list[str]]:
    return {
        folder.name: sorted(file.name for file in folder.iterdir())
        for folder in sorted((ledger.folder / "runs").iterdir())
    }


def tidied(capsys, ledger, *more: str) -> list[str]:
    assert run_sweep.main(["--tidy", "--results", str(ledger.folder), *more]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_plan_says_what_would_be_freed_and_changes_nothing(capsys, ledger):
    before = files(ledger)
    assert tidied(capsys, ledger, "--plan") == [
        "  C: 6.0 MB of 2 finished runs",
        "  A: 3.0 MB of 1 finished run",
        f"would free 9.0 MB of 3 finished runs in {ledger.folder}",
    ]
    assert files(ledger) == before
    assert not (ledger.folder / "lock").exists()


def test_only_finished_runs_lose_their_last_checkpoint(capsys, ledger):
    assert tidied(capsys, ledger)[-1] == f"freed 9.0 MB of 3 finished runs in {ledger.folder}"
    whole, tidy = ["best.pt", "last.pt", "results.json"], ["best.pt", "results.json"]
    assert files(ledger) == {"A-s1": tidy, "A-s2": whole, "C-s1": tidy, "C-s2": tidy, "E-s1": whole}
    assert tidied(capsys, ledger) == [f"nothing to free in {ledger.folder}"]


def test_a_run_without_its_best_or_of_an_unknown_trainable_is_left_alone(capsys, ledger):
    (ledger.runs.folder("C-s1") / "best.pt").unlink()
    ledger.write(record("C-s2", trainable="gone.away"))
    ledger.write(record("A-s1", trainable="gone.away"))
    assert tidied(capsys, ledger) == [
        "  left alone: 2 finished runs (there is no trainable gone.away)",
        f"nothing to free in {ledger.folder}",
    ]
    assert "last.pt" in files(ledger)["C-s1"]


def test_a_trainable_says_which_of_its_files_are_kept(capsys, ledger, tmp_path, monkeypatch):
    (tmp_path / "own_files.py").write_text(
        'TRAITS = {"checkpoints": ("weights.bin", "optimizer.bin"), "kept": ("weights.bin",)}\n'
        "def check(config, num_workers): ...\ndef train(config): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    folder = ledger.runs.folder("C-s1")
    for name in ("weights.bin", "optimizer.bin"):
        (folder / name).write_bytes(b"x")
    ledger.write(record("C-s1", trainable="own_files"))
    tidied(capsys, ledger)
    assert files(ledger)["C-s1"] == ["best.pt", "last.pt", "results.json", "weights.bin"]


def test_a_folder_in_use_or_without_results_is_refused(capsys, ledger, tmp_path):
    with ledger.store.locked():
        assert f"{ledger.folder} is in use by process" in refused(capsys, "--tidy", "--results", ledger.folder)
        assert tidied(capsys, ledger, "--plan")[-1].startswith("would free 9.0 MB")
    assert "holds no results of a sweep" in refused(capsys, "--tidy", "--results", tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    assert "not with --group" in refused(capsys, "--tidy", "--group", "depth", "--results", ledger.folder)

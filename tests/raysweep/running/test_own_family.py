"""The family of a file outside the project through Ray: its runs, their resumption, its questions, and a hand-over."""

import shutil
import signal
from pathlib import Path

import pytest
from scipy.stats import ttest_rel
from statsmodels.stats.multitest import multipletests

from raysweep import load_results
from tests.conftest import ROOT, run_sweep
from tests.raysweep.sweeps import background, numbers, wait_for

pytestmark = pytest.mark.ray

LONG = ("--only", "linear", "--seeds", "0", "--set", "epochs=60")


def verdict(frame) -> str:
    """The answer to the question about recall, by scipy's paired t-tests of both questions and Holm's correction."""
    values = {m: frame.pivot(index="seed", columns="experiment", values=m) for m in ("final_acc", "recall")}
    tests = [
        ttest_rel(values[m][arm], values[m]["linear"]) for m, arm in (("final_acc", "hidden"), ("recall", "weighted"))
    ]
    _, corrected, *_ = multipletests([test.pvalue for test in tests], method="holm")
    return "undecided" if corrected[1] > 0.05 else "yes" if tests[1].statistic > 0 else "no"


@pytest.fixture
def space(tmp_path):
    """The example, copied to a folder and a name that nobody knows."""
    return Path(shutil.copy(ROOT / "examples" / "breast_cancer.py", tmp_path / "tumours.py"))


def test_a_family_in_a_file_of_ones_own_is_swept_and_its_questions_are_answered(space, tmp_path):
    args = ("--space", space, "--group", "cancer", "--seeds", "0-4", "--results", tmp_path / "results")
    done = run_sweep(*args)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "15 runs of breast_cancer, 0 finished before, 15 to do" in done.stdout
    frame = load_results(tmp_path / "results")
    assert len(frame) == 15
    assert set(frame["dataset"]) == {"breast_cancer"}
    assert frame["final_acc"].between(85, 100).all()
    recall = frame.groupby("experiment")["recall"].mean()
    assert recall["weighted"] > recall["linear"] + 1
    before, after = done.stdout.split("Does a weight find more of the malignant tumours?", 1)
    assert "Does a hidden layer classify more tumours correctly?" in before
    assert after.strip().startswith(f"recall: {verdict(frame)}")
    (code,) = set(frame["code"])
    assert (tmp_path / "results" / "code" / code / "space" / "tumours.py").read_bytes() == space.read_bytes()
    again = run_sweep(*args)
    assert "15 runs of breast_cancer, 15 finished before, 0 to do" in again.stdout, again.stderr


@pytest.mark.slow
def test_a_run_of_ones_own_goes_on_where_ctrl_c_has_stopped_it(space, tmp_path):
    args = ("--space", space, "--group", "cancer", *LONG)
    calm = run_sweep(*args, "--results", tmp_path / "calm")
    assert calm.returncode == 0, calm.stderr
    with background(*args, "--results", tmp_path / "results") as (process, lines):
        wait_for(lines, "train 2/60")
        process.send_signal(signal.SIGINT)
        rest = "".join(lines)
        assert process.wait(timeout=60) == 130, rest
    assert "stopped with a checkpoint" in rest
    ran = run_sweep(*args, "--results", tmp_path / "results")
    assert "goes on after train epoch" in ran.stdout, ran.stdout + ran.stderr
    assert numbers(tmp_path / "results") == numbers(tmp_path / "calm")


@pytest.mark.slow
def test_a_file_that_the_running_sweep_has_never_heard_of_is_handed_over_to_it(space, tmp_path):
    """Its folder and its module are unknown to the processes of the sweep, which were started for another file."""
    (tmp_path / "another folder").mkdir()
    other = shutil.copy(space, tmp_path / "another folder" / "other_tumours.py")
    results = ("--results", tmp_path / "results")
    with background("--space", space, "--group", "cancer", *LONG, *results) as (process, lines):
        wait_for(lines, "train 2/60")
        urgent = ("--group", "cancer", "--only", "hidden", "--seeds", "7", "--preempt", *results)
        handed = run_sweep("--space", other, *urgent)
        assert "it has taken it over" in handed.stdout, handed.stdout + handed.stderr
        rest = "".join(lines)
        assert process.wait(timeout=300) == 0, rest
    assert "refused" not in rest
    trained = load_results(tmp_path / "results").set_index("experiment")["trainable"]
    assert trained.to_dict() == {"linear": "tumours", "hidden": "other_tumours"}

import math

import pandas as pd
import pytest
from rich.console import Console

from analysis.comparison import compare
from analysis.report import print_answers
from raysweep.ledger import FAILED, FINISHED, Ledger
from tests.conftest import run

QUESTION = {
    "name": "depth",
    "text": "Does a 5th block help?",
    "baseline": "C",
    "arms": ["A"],
    "metrics": ["head_acc", "finetune_gain"],
}


def frame(**columns) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_differences_are_paired_by_seed():
    results = frame(
        experiment=["C", "C", "C", "A", "A", "A"],
        seed=[0, 1, 2, 2, 1, 7],
        head_acc=[10.0, 20.0, 30.0, 33.0, 21.0, 99.0],
        finetune_gain=[1.0] * 6,
    )
    head, gain = compare(QUESTION, results)
    assert (head.arm_mean, head.baseline_mean, head.difference, head.n_seeds) == (27.0, 25.0, 2.0, 2)
    assert head.std == pytest.approx(math.sqrt(2.0))  # of 1 and 3, divisor n - 1
    assert (gain.difference, gain.n_seeds) == (0.0, 2)


def test_of_a_seed_that_was_run_twice_the_last_counts():
    results = frame(experiment=["C", "A", "A"], seed=[0, 0, 0], head_acc=[1.0, 2.0, 4.0], finetune_gain=[0.0] * 3)
    head, _ = compare(QUESTION, results)
    assert (head.difference, head.n_seeds) == (3.0, 1)


def test_one_seed_has_no_spread():
    results = frame(experiment=["C", "A"], seed=[0, 0], head_acc=[60.0, 62.5], finetune_gain=[1.0, 3.0])
    head, _ = compare(QUESTION, results)
    assert (head.difference, head.std, head.n_seeds) == (2.5, None, 1)


def test_missing_arms_metrics_and_seeds_are_named():
    results = frame(experiment=["C"], seed=[0], head_acc=[60.0], finetune_gain=[1.0])
    assert {c.missing for c in compare(QUESTION, results)} == {"no result of A"}
    results = frame(experiment=["C", "A"], seed=[0, 0], head_acc=[60.0, 61.0])
    head, gain = compare(QUESTION, results)
    assert head.missing is None
    assert gain.missing == "no finetune_gain of C and A"
    results = frame(experiment=["C", "A"], seed=[0, 1], head_acc=[60.0, 61.0], finetune_gain=[1.0, 1.0])
    assert {c.missing for c in compare(QUESTION, results)} == {"no seed in common"}


def record(experiment, seed, status=FINISHED, dataset="digits", **results):
    name = f"{experiment}-s{seed}-{dataset}"
    return {
        "run": name,
        "key": f"key-{name}",
        "experiment": experiment,
        "group": "depth",
        "dataset": dataset,
        "seed": seed,
        "num_workers": 1,
        "priority": 0,
        "data": dataset,
        "finished": "2026-01-01",
        "set": "",
        "status": status,
        "error": "out of luck" if status == FAILED else None,
        "config": {},
        "results": results,
        "curves": {},
        "provenance": {},
    }


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "results")
    ledger.write_plan([], [QUESTION])
    ledger.write(record("C", 0, head_acc=60.0, finetune_gain=5.0, final_acc=65.0, num_classes=10, head_acc5=90.0))
    ledger.write(record("A", 0, head_acc=58.0, finetune_gain=8.0, final_acc=66.0, num_classes=10, head_acc5=91.0))
    ledger.write(record("A", 1, status=FAILED))
    ledger.write(record("C", 0, dataset="imagenet", head_acc=40.0, num_classes=1000, head_acc5=66.6))
    return ledger


def printed(ledger, runs=None) -> str:
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    print_answers(ledger.folder, runs, console)
    console.file.close()
    return console.export_text()


def test_data_sets_are_never_compared_with_each_other(ledger):
    text = printed(ledger)
    digits, imagenet = text.split("imagenet, 1 worker")
    assert "head_acc -2.00, 1 seed: A 58.00, C 60.00" in digits
    assert "finetune_gain +3.00, 1 seed: A 8.00, C 5.00" in digits
    assert "open: no result of A" in imagenet


def test_top5_is_shown_where_there_are_more_than_ten_classes(ledger):
    digits, imagenet = printed(ledger).split("imagenet, 1 worker")
    assert "top-5" not in digits
    assert "66.60" in imagenet


def test_failed_runs_are_named_with_their_error(ledger):
    assert "A seed 1 failed: out of luck" in printed(ledger)


def test_what_was_done_for_want_of_memory_is_said(ledger):
    (record,) = [record for record in ledger.records() if record["run"] == "C-s0-digits"]
    ledger.write({**record, "config": {**record["config"], "batch_parts": 2}})
    (failed,) = [record for record in ledger.records() if record["status"] == FAILED]
    ledger.write({**failed, "kind": "memory"})
    text = printed(ledger)
    assert "C seed 0: for want of memory its batches were cut in 2 parts" in text
    assert "A seed 1 failed (memory): out of luck" in text


def test_only_the_runs_of_the_plan_are_shown_after_a_sweep(ledger):
    text = printed(ledger, runs=["C-s0-digits"])
    assert "imagenet" not in text
    assert "open: no result of A" in text


def test_the_command(ledger, tmp_path):
    shown = run("-m", "analysis", ledger.folder)
    assert shown.returncode == 0
    assert "Does a 5th block help?" in shown.stdout
    nothing = run("-m", "analysis", tmp_path / "nothing")
    assert nothing.returncode == 2
    assert nothing.stderr == f"error: {tmp_path / 'nothing'} holds no results of a sweep\n"


def test_a_damaged_record_is_named_and_the_rest_reported(ledger):
    (ledger.folder / "records" / "C-s0-digits.json").write_text("{")
    text = printed(ledger)
    assert "damaged record, left out" in text
    assert "open: no result of C" in text

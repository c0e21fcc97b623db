"""Answers say where the best epoch was picked on the test set, what it is worth, and what would be answered without."""

import numpy as np
import pytest
from scipy import stats

from analysis.reading.results import Results
from analysis.statistics import correlation_interval, superiority
from analysis.tables.comparisons import comparisons_table
from analysis.tables.scattering import spoken_correlation
from analysis.verdicts.answers import verdicts
from analysis.verdicts.wording import remarks
from raysweep.ledger import open_ledger
from raysweep.ledger.plan import write_plan
from tests.analysis.sweeps import answered, one, question, record, runs_of

ASKED = question(metrics=("final_acc",))


def run_of(name, seed, epochs, validation="test set", **more):
    """A run whose last phase had these accuracies, the best of which was recorded."""
    curves = {
        "phase_a": [{"epoch": 1, "val_acc": 10.0}],
        "phase_b": [{"epoch": i, "val_acc": a} for i, a in enumerate(epochs)],
    }
    made = record(name, seed, final_acc=max(epochs), finetune_acc=max(epochs), validation=validation, **more)
    return {**made, "curves": curves, "finished": "2100-01-01T00:00:00+00:00"}


def read(tmp_path, records):
    ledger = open_ledger(tmp_path / "results")
    write_plan(ledger, [], [ASKED.question])
    for made in records:
        ledger.write(made)
    return Results.read(ledger.folder)


def test_what_the_choice_of_an_epoch_is_worth_is_said_by_arm(tmp_path):
    records = [run_of("C", s, [50.0, 60.0 + s, 59.0, 58.0, 59.0, 60.0]) for s in range(2)]
    records += [run_of("A", s, [61.0, 62.0 + s, 61.0]) for s in range(2)]
    results = read(tmp_path, records)
    c = [np.mean([60.0 + s, 59, 58, 59, 60]) for s in range(2)]
    a = [np.mean([61.0, 62.0 + s, 61.0]) for s in range(2)]
    assert sorted(results.frame["final_acc_last5"]) == pytest.approx(sorted([*c, *a]))
    (v,) = verdicts(results)
    worth = np.mean([60.5, 60.5]) - np.mean(c), np.mean([62.5, 62.5]) - np.mean(a)
    said = "the best epoch was picked on the test set, worth C {:+.2f}, A {:+.2f} over the mean of the last five epochs"
    assert said.format(*worth) in v.flags


def test_an_epoch_that_was_picked_on_held_out_images_is_no_choice_and_differing_ones_are_flagged(tmp_path):
    held_out = [run_of(name, s, [60.0 + s, 59.0], "held out") for name in "CA" for s in range(2)]
    (v,) = verdicts(read(tmp_path / "same", held_out))
    assert not any("best epoch" in flag for flag in v.flags)
    mixed = [run_of(name, s, [60.0, 59.0], way) for name, way in (("C", "test set"), ("A", "held out")) for s in (0, 1)]
    (v,) = verdicts(read(tmp_path / "mixed", mixed))
    assert "best epoch picked on: C test set, A held out" in v.flags
    assert any(flag.startswith("the best epoch of C was picked on the test set, worth C +0.50") for flag in v.flags)


def test_an_answer_that_the_choice_makes_is_said_with_the_one_without(tmp_path):
    """One lucky epoch in each run of A: by the last five epochs there is no difference."""
    noise = [0.1, -0.1, 0.05, 0.0, -0.05, 0.08, -0.02, 0.03]
    records = [run_of("C", s, [60.0 + e] * 6) for s, e in enumerate(noise)]
    records += [run_of("A", s, [63.0 + e, *[60.0 + e] * 5]) for s, e in enumerate(noise[::-1])]
    (v,) = verdicts(read(tmp_path, records))
    assert v.answer == "yes"
    assert v.last_epochs.answer == "equivalent"
    assert "over the last five epochs instead of the best one: final_acc_last5: equivalent (within 0.5)" in " ".join(
        remarks(v)
    )
    assert list(comparisons_table([v]).rows["answer_last5"]) == ["equivalent"]


def test_early_stops_of_some_arms_alone_confound_them():
    def run(name, seed, epochs):
        config = {"joint": False, "epochs": 100, "lr_epochs": 20}
        return record(name, seed, head_acc=60.0 + seed, head_epochs=epochs, config=config)

    v = one([*(run("C", s, 20) for s in range(3)), *(run("A", s, 12) for s in range(3))], question())
    assert v.confounded
    assert v.isolated_by == ""  # no other run would tell
    assert "stopped before the epoch limit: C 0 of 3, A 3 of 3 runs" in v.flags
    assert not one([*(run("C", s, 20) for s in range(3)), *(run("A", s, 20) for s in range(3))], question()).confounded


@pytest.mark.parametrize(
    ("one_side", "other", "said"),
    [
        ({"device": "cpu"}, {"device": "cuda"}, "device: C cpu, A cuda"),
        ({"device": "cuda", "device_name": "A"}, {"device": "cuda", "device_name": "B"}, "device: C A, A B"),
        ({"device": "cuda", "tf32": True}, {"device": "cuda", "tf32": False}, "TF32: C with, A without"),
        ({"device": "cpu", "device_name": "x, threads: 1"}, {"device": "cpu", "device_name": "x, threads: 2"}, ""),
    ],
)
def test_accuracies_of_different_devices_are_flagged(one_side, other, said):
    v = one(runs_of("C", [60.0, 61.0], **one_side) + runs_of("A", [61.0, 62.0], **other), question())
    assert list(v.flags) == [said] * bool(said)


def test_a_family_reaches_over_all_settings_and_datasets_of_a_folder():
    base, arm = [60.0, 61.0, 60.5, 60.2], [61.0, 62.5, 61.2, 61.3]
    rows = runs_of("C", base) + runs_of("A", arm)
    alone = one(rows, question())
    rows += runs_of("C", base, set="epochs=3") + runs_of("A", arm, set="epochs=3")
    rows += runs_of("C", base, dataset="cifar10") + runs_of("A", arm, dataset="cifar10")
    found = answered(rows, question())
    assert [v.tests for v in found] == [3, 3, 3]
    assert {v.p for v in found} == {alone.p}
    assert {v.p_corrected for v in found} == {min(1.0, 3 * alone.p)}


def test_the_answers_of_some_runs_are_corrected_with_those_of_the_others(tmp_path):
    """A sweep prints the answers of its own runs; what other settings of the folder asked counts all the same."""
    ledger = open_ledger(tmp_path / "results")
    write_plan(ledger, [], [question().question])
    base, arm = [60.0, 61.0, 60.5, 60.2], [61.0, 62.5, 61.2, 61.3]
    own = runs_of("C", base) + runs_of("A", arm)
    others = [{**made, "set": "epochs=3", "run": f"{made['run']}-3", "key": f"{made['key']}-3"} for made in own]
    for made in own + others:
        ledger.write(made)
    (v,) = verdicts(Results.read(ledger.folder, [made["run"] for made in own]))
    assert (v.tests, v.p_corrected) == (2, min(1.0, 2 * v.p))
    assert [one.tests for one in verdicts(Results.read(ledger.folder))] == [2, 2]


def test_correlations_of_few_pairs_are_not_shown():
    assert spoken_correlation(0.9, 7) == ""
    low, high = stats.pearsonr(range(9), [0, 2, 1, 3, 5, 4, 8, 6, 7]).confidence_interval(0.95)
    r = float(np.corrcoef(range(9), [0, 2, 1, 3, 5, 4, 8, 6, 7])[0, 1])
    assert correlation_interval(r, 9) == pytest.approx((low, high))
    assert spoken_correlation(r, 9) == f"{r:+.2f} [{low:+.2f}, {high:+.2f}]"


def test_effect_sizes_stand_in_the_table():
    v = one(runs_of("C", [60.0, 60.0, 60.0, 60.0]) + runs_of("A", [61.0, 62.0, 60.0, 59.0]), question())
    (row,) = comparisons_table([v]).rows.to_dict("records")
    assert row["effect_size"] == pytest.approx(np.mean([1, 2, 0, -1]) / np.std([1, 2, 0, -1], ddof=1))
    assert row["superiority"] == superiority([1.0, 2.0, 0.0, -1.0]) == 0.625

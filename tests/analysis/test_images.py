"""What predictions add to answers and reports, from files of a results folder on."""

import io
import time

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from analysis.images import predictions
from analysis.images.compared import APART, NONE, OWN, UNFIT
from analysis.images.crossed import crossed_interval
from analysis.reading.results import Results
from analysis.report.page import write_report
from analysis.tables.images import image_tables
from analysis.terminal import print_results
from analysis.verdicts.answers import verdicts
from analysis.verdicts.images import without_images
from analysis.verdicts.wording import basis
from raysweep.experiment import Filter
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.predictions import keep_predictions
from tests.analysis.sweeps import frame, question, record, runs_of

SEEDS, IMAGES = 4, 240
ASKED = question(metrics=("final_acc",))


@pytest.fixture(autouse=True)
def _nothing_read():
    predictions.predictions_of.cache_clear()
    predictions.labels_of.cache_clear()


def draws(accuracy, n_seeds=SEEDS, n_images=IMAGES, n_classes=4, seed=0):
    """Labels [I], and classes [S, I] that are right with such a probability."""
    draw = np.random.default_rng(seed)
    labels = np.random.default_rng(99).integers(0, n_classes, n_images)
    wrong = (labels + draw.integers(1, n_classes, (n_seeds, n_images))) % n_classes
    return labels, np.where(draw.random((n_seeds, n_images)) < accuracy, labels, wrong)


def accuracy_of(classes, labels):
    return 100 * int((classes == labels).sum()) / len(labels)


def kept(folder, experiment, classes, labels, told=lambda seed: "test set", **more):
    """Records of an experiment, a seed for each row of the classes, whose predictions are kept in a folder."""
    ledger, records, metrics = open_ledger(folder), [], more.pop("of", ("final_acc",))
    for seed, found in enumerate(classes):
        results = {"final_acc": accuracy_of(found, labels), "test_samples": len(labels)}
        results |= dict.fromkeys(metrics, results["final_acc"])
        entry = record(experiment, seed, **results, **more)
        file = folder / "left.npz"
        np.savez(file, classes=found, labels=labels, metrics=metrics, images=told(seed))
        entry["predictions"] = keep_predictions(ledger.store, entry["run"], file, data="d", results=results)
        records.append(entry)
    return records


def answered(folder, records, *questions):
    return verdicts(Results(frame=frame(*records), questions=questions or (ASKED,), location=str(folder)))


def two_arms(folder, **more):
    labels, worse = draws(0.6, seed=1)
    _, better = draws(0.75, seed=2)
    return (
        labels,
        worse,
        better,
        [*kept(folder, "C", worse, labels, **more), *kept(folder, "A", better, labels, **more)],
    )


def test_an_answer_says_its_interval_over_seeds_and_images(tmp_path):
    labels, worse, better, records = two_arms(tmp_path)
    (v,) = answered(tmp_path, records)
    differences = 100 * ((better == labels).astype(float) - (worse == labels))
    assert v.estimate == pytest.approx(differences.mean())
    low, high = crossed_interval(differences, floor=100 / IMAGES / 6**0.5)
    assert v.over_images.interval == pytest.approx((min(low, v.interval_fixed[0]), max(high, v.interval_fixed[1])))
    said = f"over seeds and 240 test images [{v.over_images.interval[0]:+.2f}, {v.over_images.interval[1]:+.2f}]"
    assert said in basis(v)
    assert without_images([v]) == ""


def test_an_equivalence_has_one_and_other_kinds_and_metrics_have_none(tmp_path):
    *_, records = two_arms(tmp_path, head_acc=50.0, finetune_gain=1.0)
    asked = [
        question(name="e", kind="equivalence", metrics=("final_acc",)),
        question(name="h", metrics=("head_acc",)),
        question(name="g", metrics=("finetune_gain",)),
        question(name="t", kind="target", metrics=("final_acc",), target=50.0, baseline=""),
    ]
    found = {v.question: v.over_images for v in answered(tmp_path, records, *asked)}
    assert found["e"].interval
    assert (found["h"], found["g"], found["t"]) == (None, None, None)


def test_filters_compare_the_same_images_seed_by_seed(tmp_path):
    """Two runs of each seed, told apart by a field beside the factor, are averaged."""
    labels, worse = draws(0.5, seed=3)
    _, better = draws(0.7, seed=4)
    records = []
    for name, classes, n_blocks in (("C", worse, 4), ("A", better, 5)):
        for i, L in enumerate((4, 8)):
            moved = np.roll(classes, i, axis=0)
            records += kept(tmp_path, f"{name}{L}", moved, labels, config={"n_blocks": n_blocks, "L": L})
    five, four = (Filter(label=f"{n} blocks", fields={"n_blocks": n}) for n in (5, 4))
    (v,) = answered(
        tmp_path, records, question(arms=(five,), baseline=four, metrics=("final_acc",), factor=("n_blocks",))
    )
    right = [(c == labels).astype(float) for c in (better, np.roll(better, 1, 0), worse, np.roll(worse, 1, 0))]
    differences = 50 * (right[0] + right[1] - right[2] - right[3])
    assert v.estimate == pytest.approx(differences.mean())
    low, high = crossed_interval(differences, floor=100 / IMAGES / 6**0.5)
    assert v.over_images.interval == pytest.approx((min(low, v.interval_fixed[0]), max(high, v.interval_fixed[1])))


def test_a_run_that_was_adopted_has_the_predictions_of_the_one_that_was_trained(tmp_path):
    *_, records = two_arms(tmp_path)
    (before,) = answered(tmp_path, records)
    adopted = [{**r, "run": f"again-{r['run']}", "same_as": r["run"]} for r in records]
    (v,) = answered(tmp_path, adopted)
    assert v.over_images.interval == before.over_images.interval


def test_one_seed_has_no_interval_and_says_nothing(tmp_path):
    labels, classes = draws(0.6, n_seeds=1)
    (v,) = answered(tmp_path, [r for name in "CA" for r in kept(tmp_path, name, classes, labels)])
    assert (v.answer, v.over_images.interval, v.over_images.n_images) == ("undecided", None, IMAGES)
    assert "over seeds and" not in basis(v)
    (old,) = answered(tmp_path, [*runs_of("C", [60.0], "final_acc"), *runs_of("A", [61.0], "final_acc")])
    assert without_images([v, old]) == ""


def test_what_has_none_is_said_once_with_the_reason(tmp_path):
    labels, classes = draws(0.6, seed=5)
    _, others = draws(0.7, seed=6)
    old = [*runs_of("C", [60.0, 61.0, 62.0], "final_acc"), *runs_of("A", [61.0, 62.5, 64.0], "final_acc")]
    asked = [question(name=name, arms=(name,), metrics=("final_acc",)) for name in "AB"]
    found = answered(tmp_path, [*old, *runs_of("B", [61.0, 62.0, 63.0], "final_acc")], *asked)
    assert without_images(found) == f"No interval over test images: 2 answers ({NONE})."

    def reason(of_arm, of_baseline):
        records = kept(tmp_path, "A", others, labels, of_arm), kept(tmp_path, "C", classes, labels, of_baseline)
        (v,) = answered(tmp_path, [*records[0], *records[1]])
        assert v.interval
        assert v.over_images.interval is None
        return v.over_images.missing

    def held_out(seed):
        return f"held out, seed {seed}"

    assert reason(held_out, held_out) == OWN
    assert reason(held_out, lambda seed: "test set") == APART
    assert reason(lambda seed: "test set", lambda seed: f"half of them, seed {seed}") == APART


@pytest.mark.parametrize("damage", ["gone", "cut", "others", "labels"])
def test_lost_and_damaged_files_leave_the_answer_as_it_would_be_without(tmp_path, damage):
    *_, records = two_arms(tmp_path)
    file = tmp_path / "predictions" / f"{records[0]['run']}.npz"
    if damage == "gone":
        file.unlink()
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-40])
    if damage == "others":
        file.write_bytes((tmp_path / "predictions" / f"{records[-1]['run']}.npz").read_bytes())
    if damage == "labels":
        next((tmp_path / "predictions").glob("labels-*")).unlink()
    (v,) = answered(tmp_path, records)
    assert v.interval
    assert (v.over_images.interval, v.over_images.missing) == (None, UNFIT)


def test_the_terminal_and_the_report_say_both_and_leave_tables(tmp_path):
    labels, worse, better, records = two_arms(tmp_path)
    records += [*runs_of("B", [61.0, 62.0, 63.0, 64.0], "final_acc")]
    asked = [question(name=name, arms=(name,), metrics=("final_acc",)) for name in "AB"]
    results = Results(frame=frame(*records), questions=asked, location=str(tmp_path))
    console = Console(file=io.StringIO(), width=300)
    print_results(results, console)
    printed = console.file.getvalue()
    assert printed.count("over seeds and 240 test images [") == 1
    assert printed.count("No interval over test images: 1 answer (") == 1
    answers = verdicts(results)
    write_report(results, answers, tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "tables" / "comparisons.csv").set_index("arm")
    assert table.loc["A", ["ci95_images_lo", "ci95_images_hi"]].tolist() == pytest.approx(
        answers[0].over_images.interval
    )
    assert table.loc["B", ["ci95_images_lo", "ci95_images_hi"]].isna().all()
    for name in ("report.md", "report.html"):
        text = (tmp_path / "out" / name).read_text()
        assert "over seeds and 240 test images" in text
        assert text.count("No interval over test images: 1 answer (") == 1
        for title in (
            "Accuracy by class",
            "Classes that are taken for others",
            "How many images",
            "Images that two arms",
        ):
            assert title in text
    by_class = pd.read_csv(tmp_path / "out" / "tables" / "classes.csv").set_index("arm")
    for c in range(4):
        assert by_class.loc["A", str(c)] == pytest.approx(100 * (better == labels)[:, labels == c].mean())
    confusion = pd.read_csv(tmp_path / "out" / "tables" / "confusion.csv").set_index(["arm", "label", "predicted"])
    for label in range(4):
        for predicted in range(4):
            expected = ((labels == label) & (worse == predicted)).sum(1).mean()
            assert confusion.loc[("C", label, predicted), "images"] == pytest.approx(expected)
    agreement = pd.read_csv(tmp_path / "out" / "tables" / "agreement.csv").iloc[0]
    right, right_before = better == labels, worse == labels
    assert agreement["disagree"] == pytest.approx(100 * (right != right_before).mean())
    assert agreement["arm_right"] == pytest.approx(100 * (right & ~right_before).mean())
    images = pd.read_csv(tmp_path / "out" / "tables" / "disagreements.csv").set_index("image")
    difference = 100 * (right.mean(0) - right_before.mean(0))
    assert images["difference"].to_dict() == pytest.approx({i: d for i, d in enumerate(difference) if d})
    assert images["difference"].abs().is_monotonic_decreasing
    assert images["label"].to_dict() == {i: labels[i] for i in images.index}


def test_of_many_classes_a_table_shows_the_extremes_and_the_worst_confusions(tmp_path):
    labels = np.repeat(np.arange(100), 10)
    classes = np.tile(labels, (2, 1))
    classes[:, labels == 7] = 8
    records = [r for name in "CA" for r in kept(tmp_path, name, classes, labels)]
    by_class, confusion, agreement, images = image_tables(answered(tmp_path, records))
    assert [column.name for column in by_class.columns] == ["arm", "n", "accuracy", "lowest", "highest"]
    assert by_class.rows[["7", "lowest", "highest"]].iloc[0].tolist() == [0, 0, 100]
    assert confusion.rows[["label", "predicted", "images", "share"]].to_numpy().tolist() == [[7, 8, 10, 100]] * 2
    assert agreement.rows["disagree"].tolist() == [0]
    assert images.rows.empty


def test_an_answer_of_forty_runs_and_ten_thousand_images_takes_less_than_two_seconds(tmp_path):
    labels, worse = draws(0.6, 20, 10_000, 10, seed=7)
    _, better = draws(0.62, 20, 10_000, 10, seed=8)
    records = [*kept(tmp_path, "C", worse, labels), *kept(tmp_path, "A", better, labels)]
    results = Results(frame=frame(*records), questions=(ASKED,), location=str(tmp_path))
    started = time.perf_counter()
    (v,) = verdicts(results)
    assert v.over_images.interval
    assert time.perf_counter() - started < 2

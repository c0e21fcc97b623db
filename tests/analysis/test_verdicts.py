"""What is answered, and what is said with it, on results made by hand; those for a fixed n are scipy's."""

import math
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
from scipy import stats

from analysis import anytime
from analysis.verdicts.wording import answer, basis, headline
from raysweep.experiment import Filter
from tests.analysis.sweeps import TIME, answered, one, question, record, runs_of, timed


def test_a_difference_is_decided_by_the_paired_test_that_holds_at_any_look():
    base, arm = [60.0, 61.0, 59.5, 60.2, 60.8, 60.3], [62.0, 63.5, 61.0, 62.5, 62.4, 62.2]
    v = one(runs_of("C", base) + runs_of("A", arm), question())
    expected = stats.ttest_rel(arm, base)
    assert v.answer == "yes"
    assert v.estimate == pytest.approx(fmean(arm) - fmean(base))
    assert v.interval_fixed == pytest.approx(tuple(expected.confidence_interval()))
    assert v.p_fixed == pytest.approx(expected.pvalue)
    differences = [a - b for a, b in zip(arm, base, strict=True)]
    assert v.interval == pytest.approx(anytime.interval(differences))
    assert (v.p, v.p_corrected, v.tests, v.n) == (pytest.approx(anytime.two_sided(differences)), v.p, 1, 6)
    assert (v.p_sign_flip, v.p_sign_flip_least) == (0.03125, 0.03125)
    assert v.means == {"C": pytest.approx(fmean(base)), "A": pytest.approx(fmean(arm))}
    assert len(v.runs) == 12
    assert answer(v) == "yes, by at least what matters (0.5)"
    assert "fixed n: paired t-test p <0.0001 [" in basis(v)
    assert "sign-flip p 0.0312" in basis(v)
    lower = one(runs_of("C", base) + runs_of("A", arm), question(better="lower"))
    assert lower.answer == "no"


def test_pairs_are_those_of_the_seeds_that_both_have():
    records = [*runs_of("C", [10.0, 20.0, 30.0]), record("A", 2, head_acc=33.0), record("A", 1, head_acc=21.0)]
    v = one([*records, record("A", 7, head_acc=99.0)], question())
    assert (v.n, v.estimate, v.seeds) == (2, 2.0, (1, 2))
    assert v.std == pytest.approx(math.sqrt(2.0))  # of 1 and 3, divisor n - 1


def test_one_seed_is_undecided_and_shows_its_difference():
    v = one(runs_of("C", [60.0], seconds=1800.0) + runs_of("A", [62.5], seconds=5400.0), question())
    assert (v.answer, v.estimate, v.interval, v.std) == ("undecided", 2.5, None, None)
    assert headline(v) == "head_acc: undecided (n = 1), +2.50"
    assert v.needed.seeds == 2
    assert v.needed.hours == pytest.approx(4.0)
    assert v.needed.command == "python run_sweep.py --only C,A --seeds 1,2 --results results"


def test_what_is_too_small_to_matter_is_equivalent():
    noise = [0.1, -0.1, 0.05, -0.02, -0.04, 0.02, 0.08, -0.07, 0.03, -0.05]
    base = [60.0 + i / 3 for i in range(len(noise))]

    def with_effect(effect):
        return one(runs_of("C", base) + runs_of("A", [b + effect + e for b, e in zip(base, noise, strict=True)]), asked)

    asked = question()
    assert answer(with_effect(0.0)) == "equivalent (within 0.5)"
    assert answer(with_effect(0.2)) == "yes, by less than what matters (0.5)"
    assert answer(with_effect(0.5)) == "yes, size open"
    assert answer(with_effect(-0.5)) == "no, size open"
    assert answer(with_effect(0.9)) == "yes, by at least what matters (0.5)"


def test_an_equivalence_is_its_own_question():
    asked = question(kind="equivalence", smallest_effect=0.5)
    base = [60.0, 61.0, 59.5, 60.2, 60.8]
    same = one(runs_of("C", base) + runs_of("A", [b + 0.02 * i for i, b in enumerate(base)]), asked)
    assert (same.answer, same.p < 0.05) == ("equivalent", True)
    other = one(runs_of("C", base) + runs_of("A", [b + 2 + 0.1 * i for i, b in enumerate(base)]), asked)
    assert other.answer == "no"
    open_ = one(runs_of("C", base) + runs_of("A", [b + i for i, b in enumerate(base)]), asked)
    assert open_.answer == "undecided"


def test_p_values_are_corrected_over_the_tests_of_a_family():
    rng = np.random.default_rng(0)
    base = rng.normal(60, 0.3, 5)
    arms = {name: base + shift + rng.normal(0, 0.3, 5) for name, shift in (("A", 0.5), ("B", 0.6), ("D", 0.0))}
    records = runs_of("C", base) + [r for name, values in arms.items() for r in runs_of(name, values)]
    asked = [question(name=name, arms=(name,), family="f") for name in arms]
    alone = [one(records, q).p for q in asked]
    found = answered(records, *asked)
    assert [v.p for v in found] == pytest.approx(alone)
    order = np.argsort(alone)
    holm = np.maximum.accumulate([min(1, (3 - rank) * alone[i]) for rank, i in enumerate(order)])
    assert [found[i].p_corrected for i in order] == pytest.approx(list(holm))
    # A test that is planned but has no runs yet counts; one that nobody plans does not.
    planned = [{"run": "E-s0", "experiment": "E", "seed": 0, "dataset": "digits", "data": "digits", "set": ""}]
    more = answered(records, *asked, question(name="E", arms=("E",), family="f"), plan=planned)
    assert [v.tests for v in more[:3]] == [4] * 3
    assert more[-1].answer == "open"
    fewer = answered(records, *asked, question(name="X", arms=("X",), family="f"))
    assert [v.tests for v in fewer[:3]] == [3] * 3


def test_missing_arms_metrics_and_seeds_are_named():
    assert one([record("C", 0, head_acc=60.0)], question()).reason == "no result of A"
    with_other = [record("C", 0, final_acc=60.0), record("A", 0, final_acc=60.0)]
    assert one(with_other, question()).reason == "no head_acc of C and A"
    assert one(runs_of("C", [60.0]) + runs_of("A", [61.0], first=1), question()).reason == "no seed in common"


def test_failed_diverged_and_missing_runs_are_counted():
    plan = [
        {"run": f"{n}-{s}", "experiment": n, "seed": s, "dataset": "digits", "data": "digits", "set": ""}
        for n in "CA"
        for s in range(4)
    ]
    records = [
        *runs_of("C", [60.0, 61.0, 60.5]),
        *runs_of("A", [61.0]),
        record("A", 1, "diverged"),
        record("A", 2, "failed"),
    ]
    v = one(records, question(), plan=plan)
    assert v.lost == ("C: 1 missing (seed 3)", "A: 1 diverged (seed 1), 1 failed (seed 2), 1 missing (seed 3)")


def test_the_trend_is_the_mean_slope_per_doubling():
    rows = [
        record(name, seed, config={"train_size": size}, finetune_gain=gain, actual_train_samples=1000 * size)
        for name, size, gains in (("H", 0.1, (5.0, 5.2, 4.9)), ("I", 0.4, (7.1, 7.0, 7.2)), ("C", 1.6, (9.0, 9.3, 9.1)))
        for seed, gain in enumerate(gains)
    ]
    asked = question(
        kind="trend",
        baseline="",
        arms=(
            "H",
            "I",
            "C",
        ),
        metrics=("finetune_gain",),
        factor=("train_size",),
    )
    v = one(rows, asked)
    slopes = [(9.0 - 5.0) / 4, (9.3 - 5.2) / 4, (9.1 - 4.9) / 4]  # least squares over -2, 0, 2 doublings
    assert v.estimate == pytest.approx(fmean(slopes))
    assert v.p_fixed == pytest.approx(stats.ttest_1samp(slopes, 0).pvalue)
    assert v.p == pytest.approx(anytime.two_sided(slopes))
    assert (v.answer, v.flags) == ("yes", ())


def test_the_trend_of_a_difference_between_filters():
    rows = [
        record(f"{init}{size}", seed, config={"random": init, "train_size": size}, final_acc=acc + seed * size)
        for size, wavelets, random in ((0.1, 74.0, 70.0), (0.2, 78.0, 76.0), (0.4, 81.0, 81.0))
        for init, acc in ((False, wavelets), (True, random))
        for seed in range(3)
    ]
    arms = [Filter(label=label, fields={"random": init}) for label, init in (("wavelets", False), ("random", True))]
    asked = question(
        kind="trend",
        baseline=arms[1],
        arms=[arms[0]],
        metrics=("final_acc",),
        better="lower",
        factor=(
            "random",
            "train_size",
        ),
    )
    v = one(rows, asked)
    assert v.estimate == pytest.approx(-2.0)
    assert (v.n, v.answer) == (3, "undecided")  # three equal slopes have no variance: the sign-flip test decides
    assert v.p == 0.25
    assert v.means == {"wavelets": pytest.approx(77.66666 + 0.2333333), "random": pytest.approx(75.66666 + 0.2333333)}


def test_an_interaction_is_what_both_do_beyond_each():
    values = {"base": [90, 91], "one": [91, 92], "other": [92, 94], "both": [95, 98]}
    rows = [r for name, accs in values.items() for r in runs_of(name, map(float, accs), "final_acc")]
    asked = question(
        kind="interaction",
        baseline="base",
        arms=(
            "one",
            "other",
            "both",
        ),
        metrics=("final_acc",),
    )
    v = one(rows, asked)
    # By seed: 95 - 91 - 92 + 90 = 2 and 98 - 92 - 94 + 91 = 3.
    assert v.estimate == pytest.approx(2.5)
    assert v.std == pytest.approx(0.5**0.5)
    assert v.interval_fixed == pytest.approx(stats.t.interval(0.95, 1, loc=2.5, scale=0.5))
    assert v.interval is None  # of two seeds there is none that holds at any look
    assert one([r for r in rows if r["experiment"] != "other"], asked).reason == "no result of other"


def test_an_interaction_whose_arms_differ_in_more_is_answered_in_each_of_several_settings():
    rows = [
        record(name, seed, final_acc=90.0 + i + seed, config={"lr": i}, set=way, run=f"{name}-{seed}-{way}")
        for way in ("", "epochs=3")
        for i, name in enumerate(("base", "one", "other", "both"))
        for seed in range(3)
    ]
    asked = question(kind="interaction", baseline="base", arms=("one", "other", "both"), metrics=("final_acc",))
    found = answered(rows, asked)
    assert [(v.confounded, v.estimate) for v in found] == [(True, 0.0)] * 2


def test_time_is_compared_at_equal_accuracy():
    asked = question(**TIME, smallest_effect=0.02)
    slow_seconds, fast_seconds = [10.0, 10.2, 9.9, 10.1, 10.0, 10.1], [8.0, 8.1, 8.0, 8.1, 8.05, 8.0]
    before = [94.0, 94.1, 93.9, 94.0, 94.05, 93.95]
    slow = timed("C", slow_seconds, before)
    fast = one(slow + timed("A", fast_seconds, [94.02, 94.08, 93.95, 94.0, 94.04, 93.99]), asked)
    assert (fast.answer, fast.size) == ("yes", "by at least what matters")
    ratios = np.log(np.divide(fast_seconds, slow_seconds))
    assert fast.estimate == pytest.approx(math.expm1(ratios.mean()))
    low, high = stats.t.interval(0.95, 5, loc=ratios.mean(), scale=stats.sem(ratios))
    assert fast.interval_fixed == pytest.approx((math.expm1(low), math.expm1(high)))
    low, high = anytime.interval(list(ratios))
    assert fast.interval == pytest.approx((math.expm1(low), math.expm1(high)))
    after = [92.0, 92.2, 91.9, 92.1, 92.0, 92.05]
    worse = one(slow + timed("A", fast_seconds, after), asked)
    assert worse.answer == "no"
    assert worse.reason == "not at the same accuracy, final_acc -1.96"
    assert worse.tests == 2  # of times and of accuracy
    difference = anytime.interval(list(np.subtract(after, before)))
    assert "final_acc -1.96 [{:+.2f}, {:+.2f}]".format(*difference) in basis(worse)
    unclear = one(slow + timed("A", fast_seconds, [95.0, 93.0, 94.5, 93.4, 94.1, 93.8]), asked)
    assert unclear.answer == "undecided"
    assert "not shown" in unclear.reason


def test_times_of_different_devices_are_refused():
    v = one(timed("C", [10.0] * 3, [94.0] * 3) + timed("A", [8.0] * 3, [94.0] * 3, device="H100"), question(**TIME))
    assert (v.answer, v.reason) == ("refused", "times of different devices (C A100, A H100)")


def test_a_target_is_reached_where_the_test_says_so():
    asked = question(
        kind="target",
        baseline="",
        arms=(
            "mirror",
            "muon",
            "none",
        ),
        target=94.0,
        metrics=("final_acc",),
    )
    above = [94.2, 94.3, 94.25, 94.22, 94.28, 94.24]
    rows = runs_of("mirror", above, "final_acc") + runs_of("muon", [93.9, 94.2, 94.0], "final_acc")
    reached, unclear = answered(rows, asked)
    assert (reached.arm, reached.answer) == ("mirror", "yes")
    assert reached.p_fixed == pytest.approx(stats.ttest_1samp(above, 94).pvalue)
    assert reached.p == pytest.approx(anytime.two_sided(above, 94.0))
    assert (unclear.arm, unclear.answer) == ("muon", "undecided")


def test_questions_that_came_after_their_results_are_post_hoc():
    rows = runs_of("C", [60.0, 61.0]) + runs_of("A", [60.0, 63.0])
    assert not any("post hoc" in flag for flag in one(rows, question()).flags)
    edited = replace(question(), altered=True)
    assert "post hoc: it is not as it was written down" in one(rows, edited).flags
    late = replace(question(), written="2026-01-03T00:00:00+00:00")
    assert "post hoc: written down on 2026-01-03, after results" in one(rows, late).flags
    seen = replace(question(), seen=("digits",), replaces=("x",))
    assert "post hoc: changed when there were results already" in one(rows, seen).flags
    assert not one(rows, replace(question(), seen=("cifar10",))).flags


def test_runs_that_no_setting_has_together_are_compared_across_settings():
    rows = runs_of("C", [60.0, 61.0]) + runs_of("A", [60.0, 63.0], set="epochs=3", config={"epochs": 3})
    (first, second, across) = answered(rows, question())
    assert (first.reason, second.reason) == ("no result of A", "no result of C")
    assert across.setting == "digits, across settings"
    assert (across.n, across.estimate) == (2, 1.0)
    assert across.flags == ("also differs in epochs (C none, A 3)",)
    other_files = runs_of("C", [60.0, 61.0]) + runs_of("A", [60.0, 63.0], data="other files")
    refused = answered(other_files, question())[-1]
    assert (refused.answer, refused.reason) == ("refused", "not the same data")


def test_different_datasets_are_never_compared():
    rows = runs_of("C", [60.0]) + runs_of("A", [60.0], dataset="imagenet")
    assert {v.answer for v in answered(rows, question())} == {"open"}


def test_what_one_image_hides_counts_as_variance():
    """One image of 360 better in each of three seeds is no proof; the same accuracy in each is one, at five seeds."""
    images = {"test_samples": 360}
    base = [330, 331, 329]
    better = runs_of("C", [100 * n / 360 for n in base], **images) + runs_of(
        "A", [100 * (n + 1) / 360 for n in base], **images
    )
    assert one(better, question(smallest_effect=0.1)).answer == "undecided"
    same = [46.24] * 5
    equal = one(runs_of("C", same, **images) + runs_of("A", same, **images), question(kind="equivalence"))
    floor = 100 / 360 / math.sqrt(6)  # of the difference of two counts, each rounded
    assert equal.answer == "equivalent"
    assert equal.p_fixed == pytest.approx(stats.t.sf(0.5 / (floor / math.sqrt(5)), 4))


def test_runs_that_filters_have_lost_are_counted_by_experiment():
    rows = [
        record(
            f"e{size}", seed, "failed" if (size, seed) == (2, 1) else "finished", config={"k": 1, "size": size}, acc=1.0
        )
        for size in (1, 2)
        for seed in (0, 1)
    ]
    rows = [row | {"results": {"final_acc": 60.0 + row["seed"] + row["config"]["size"]}} for row in rows]
    plan = [{**row, "run": row["run"]} for row in rows] + [
        {
            "run": "x",
            "experiment": "e4",
            "seed": 0,
            "dataset": "digits",
            "data": "digits",
            "set": "",
            "config": {"k": 1},
        }
    ]
    arm = Filter(label="all", fields={"k": 1})
    asked = question(kind="trend", baseline="", arms=(arm,), over="size", metrics=("final_acc",))
    v = one(rows, asked, plan=plan)
    assert v.lost == ("all: 1 failed (seed 1), 1 missing (seed 0)",)


def test_the_run_that_isolates_the_factor_is_compared_across_settings():
    rows = runs_of("C", [60.0, 61.0], config={"L": 4, "h": None}) + runs_of("E", [61.0, 62.5], config={"L": 8, "h": 27})
    asked = question(arms=("E",), factor=("L",))
    (confounded,) = answered(rows, asked)
    assert confounded.confounded
    assert confounded.isolated_by == "python run_sweep.py --only E --seeds 0,1 --set h=none --results results"
    alone = runs_of("E", [60.5, 61.5], config={"L": 8, "h": None}, set="h=None", run="E-alone")
    *_, isolated = answered([*rows, *alone], asked)
    assert isolated.setting == "digits, across settings"
    assert (isolated.estimate, isolated.confounded, isolated.flags) == (0.5, False, ())

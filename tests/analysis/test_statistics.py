"""Intervals, interactions and claims against scipy and against examples worked by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.comparison import claims, compare, target_verdict
from analysis.statistics import runs_needed, t_interval


def results(**values: list[float]) -> pd.DataFrame:
    rows = [
        {"experiment": name, "seed": seed, "final_acc": value}
        for name, column in values.items()
        for seed, value in enumerate(column)
    ]
    return pd.DataFrame(rows)


def test_intervals_are_scipys():
    values = [93.9, 94.1, 94.05, 93.8]
    expected = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert t_interval(values) == pytest.approx(expected)
    assert t_interval([94.0]) is None


@pytest.mark.parametrize("target", [93.5, 93.95, 94.0])
def test_the_runs_needed_are_the_first_whose_interval_leaves_out_the_target(target):
    values = [93.9, 94.1, 94.05, 93.8, 94.0]
    needed = runs_needed(values, target)
    distance = abs(np.mean(values) - target)

    def half(n: int) -> float:
        return stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n)

    assert half(needed) < distance <= half(needed - 1)


def test_claims_need_their_interval():
    assert target_verdict([94.3, 94.2, 94.4], 94) == ">= 94"
    assert target_verdict([93.3, 93.2, 93.4], 94) == "< 94"
    assert target_verdict([94.3], 94) == "needs n >= 2"
    assert target_verdict([94.1, 93.9, 94.3], 94).startswith("needs n = ")
    assert target_verdict([94.1, 93.9], 94) == "too near to tell"
    assert target_verdict([94.5, 94.5], 94) == ">= 94"


def test_only_experiments_with_results_are_claimed_about():
    question = {"kind": "target", "target": 94.0, "arms": ["mirror", "muon"], "metrics": ["final_acc"]}
    (claim,) = claims(question, results(mirror=[94.2, 94.3, 94.25]))
    assert (claim.experiment, claim.verdict) == ("mirror", ">= 94")


def test_an_interaction_is_what_both_do_beyond_each():
    frame = results(base=[90, 91], one=[91, 92], other=[92, 94], both=[95, 98])
    question = {
        "kind": "interaction",
        "baseline": "base",
        "arms": ["one", "other", "both"],
        "metrics": ["final_acc"],
    }
    (answer,) = compare(question, frame)
    # By seed: 95 - 91 - 92 + 90 = 2 and 98 - 92 - 94 + 91 = 3.
    assert answer.difference == pytest.approx(2.5)
    assert answer.std == pytest.approx(0.5**0.5)
    assert answer.interval == pytest.approx(stats.t.interval(0.95, 1, loc=2.5, scale=0.5))
    assert answer.n_seeds == 2
    (missing,) = compare(question, frame[frame["experiment"] != "other"])
    assert missing.missing == "no result of other"


def test_the_interval_of_a_difference_is_that_of_the_paired_t_test():
    rng = np.random.default_rng(0)
    base, arm = rng.normal(93, 0.2, 6), rng.normal(94, 0.2, 6)
    question = {"baseline": "base", "arms": ["arm"], "metrics": ["final_acc"]}
    (answer,) = compare(question, results(base=list(base), arm=list(arm)))
    low, high = stats.ttest_rel(arm, base).confidence_interval()
    assert answer.interval == pytest.approx((low, high))

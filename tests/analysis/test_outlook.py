"""What further pairs are expected to do, against scipy's statistics and distributions."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis.anytime import critical
from analysis.verdicts.outlook import (
    DRAWS,
    Sample,
    chance_within,
    decided_after,
    half_width,
    quantiles_of,
    way_gone,
)

VALUES = (0.4, 1.1, 0.1, 0.9, 0.6, 0.8, 0.2, 1.0)
SAMPLE = Sample(n=8, mean=float(np.mean(VALUES)), deviation=float(np.std(VALUES, ddof=1)), margin=1.0, level=0.05)


def chance_of_the_next(sample, decides) -> float:
    """The probability that one more pair decides, by integration over its predictive distribution (Gelman et al.,
    section 3.2: Student's, n - 1 degrees of freedom, scale s sqrt(1 + 1 / n)) with scipy's own tests."""
    scale = sample.deviation * math.sqrt(1 + 1 / sample.n)
    points = (np.arange(2000) + 0.5) / 2000
    following = stats.t.ppf(points, sample.n - 1, loc=sample.mean, scale=scale)
    return float(np.mean([decides([*VALUES, value]) for value in following]))


def differs(values) -> bool:
    return abs(stats.ttest_1samp(values, 0).statistic) > critical(len(values), 0.05)


def is_within(values, margin) -> bool:
    sides = stats.ttest_1samp(values, -margin).statistic, -stats.ttest_1samp(values, margin).statistic
    return min(sides) > critical(len(values), 0.05, one_side=True)


def is_beyond(values, margin) -> bool:
    size = np.mean(values)
    beyond = stats.ttest_1samp([math.copysign(1, size) * v for v in values], margin).statistic
    return beyond > critical(len(values), 0.05)


@pytest.mark.parametrize(
    ("decides", "margin", "test"),
    [
        ("difference", 1.0, lambda values: differs(values) or is_within(values, 1.0)),
        ("equivalence", 1.2, lambda values: is_within(values, 1.2) or is_beyond(values, 1.2)),
        ("side", 1.0, differs),
    ],
)
def test_the_chance_that_the_next_pair_decides_is_that_of_the_predictive_distribution(decides, margin, test):
    expected = chance_of_the_next(SAMPLE, test)
    found = chance_within(decided_after(replace(SAMPLE, decides=decides, margin=margin), 1), 1)
    assert found == pytest.approx(expected, abs=3 * math.sqrt(0.25 / DRAWS))
    assert 0.02 < expected < 0.98, "a chance that says something"


def test_the_expected_half_width_is_that_of_the_interval_that_holds_at_any_look():
    assert half_width(SAMPLE, 9) == pytest.approx(critical(9, 0.05) * SAMPLE.deviation / 3)
    assert half_width(SAMPLE, 2) == math.inf or half_width(SAMPLE, 2) > 100 * SAMPLE.deviation
    assert half_width(SAMPLE, 1) == math.inf
    assert way_gone(SAMPLE, 1) == 1.0


def test_a_pair_that_leads_half_of_the_way_counts_half_and_one_that_leads_all_of_it_counts_one():
    now, then = half_width(SAMPLE, 5), half_width(SAMPLE, 6)
    half = replace(SAMPLE, mean=now - 2 * (now - then), margin=0.0)
    assert way_gone(half, 5) == pytest.approx((now - then) / (half_width(half, 5) - half.mean))
    assert way_gone(half, 5) == pytest.approx(0.5)
    assert way_gone(replace(half, mean=then - 1e-9), 5) < 1
    assert way_gone(replace(half, mean=then + 1e-9), 5) == 1


def test_equality_is_nearer_than_a_difference_where_the_mean_is_small():
    assert replace(SAMPLE, mean=0.1).enough == pytest.approx(0.9)
    assert replace(SAMPLE, mean=0.7).enough == pytest.approx(0.7)
    assert replace(SAMPLE, mean=0.7, decides="equivalence").enough == pytest.approx(0.3)
    assert replace(SAMPLE, mean=-1.4, decides="equivalence").enough == pytest.approx(0.4)
    assert replace(SAMPLE, mean=-0.2, decides="side").enough == pytest.approx(0.2)


def test_without_variance_the_sign_flip_test_decides():
    """Its smallest p-value, 2^(1 - n), is 0.03125 for six pairs."""
    same = replace(SAMPLE, n=2, deviation=0.0)
    assert set(decided_after(same, 10)) == {4.0}
    assert set(decided_after(same, 3)) == {math.inf}


def test_small_effects_take_more_pairs_than_large_ones_and_the_draws_are_the_same_again():
    large, small = (replace(SAMPLE, mean=mean, margin=0.01) for mean in (0.5, 0.2))
    assert quantiles_of(decided_after(large, 60))[1] < quantiles_of(decided_after(small, 60))[1]
    decided_after.cache_clear()
    assert decided_after(small, 60) is not decided_after(large, 60)
    first = decided_after(small, 60)
    decided_after.cache_clear()
    assert decided_after(small, 60) == first

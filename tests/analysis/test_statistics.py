"""Intervals and tests that count one look, against scipy and statsmodels."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from analysis import statistics
from analysis.statistics import (
    bca_interval,
    equivalence_test,
    holm,
    mean_interval,
    one_sided_test,
    sign_flip,
    smallest_sign_flip,
    t_interval,
    t_test,
)

VALUES = [93.9, 94.1, 94.05, 93.8]


def test_intervals_are_scipys():
    expected = stats.t.interval(0.95, 3, loc=np.mean(VALUES), scale=stats.sem(VALUES))
    assert t_interval(VALUES) == pytest.approx(expected)
    assert mean_interval(VALUES) == t_interval(VALUES)
    assert t_interval([94.0]) is None


def test_the_t_test_is_scipys():
    assert t_test(VALUES, 94.0) == pytest.approx(stats.ttest_1samp(VALUES, 94.0).pvalue)
    assert t_test([94.0]) is None
    for above in (93.7, 94.2):
        expected = stats.ttest_1samp(VALUES, above, alternative="greater").pvalue
        assert one_sided_test(VALUES, above) == pytest.approx(expected)


@pytest.mark.parametrize("margin", [0.1, 0.3, 1.0])
def test_equivalence_is_that_of_statsmodels(margin):
    rng = np.random.default_rng(0)
    one, other = rng.normal(93, 0.3, 8), rng.normal(93.1, 0.3, 8)
    expected, *_ = ttost_paired(one, other, -margin, margin)
    assert equivalence_test(list(one - other), margin) == pytest.approx(expected)


@pytest.mark.parametrize("pairs", [2, 3, 5, 6, 9])
def test_the_sign_flip_test_is_scipys_exact_permutation_test(pairs):
    rng = np.random.default_rng(pairs)
    values = rng.normal(0.5, 1, pairs).round(1)
    expected = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    ).pvalue
    assert sign_flip(list(values)) == pytest.approx(expected)


def test_the_smallest_p_of_the_sign_flip_test_is_that_of_pairs_on_one_side():
    assert [smallest_sign_flip(n) for n in (3, 5, 6)] == [0.25, 0.0625, 0.03125]
    for n in (1, 2, 3, 5, 6, 30, 36):
        assert sign_flip([1.0 + i / 7 for i in range(n)]) == smallest_sign_flip(n)
    assert sign_flip([0.0, 0.0]) == 1.0


def test_with_many_pairs_the_drawn_sign_flips_agree_with_the_t_test():
    values = list(np.random.default_rng(1).normal(0.3, 1, 60))
    assert sign_flip(values) == pytest.approx(t_test(values), abs=0.01)


def test_holm_is_that_of_statsmodels():
    rng = np.random.default_rng(0)
    for n in (1, 2, 7):
        p = rng.uniform(0, 0.1, n)
        assert holm(list(p)) == pytest.approx(multipletests(p, method="holm")[1])
    # Tests whose runs are still missing count as not significant.
    assert holm([0.01, 0.02], tests=5) == pytest.approx(multipletests([0.01, 0.02, 1, 1, 1], method="holm")[1][:2])


def test_values_without_variance_claim_no_more_than_their_number_allows():
    assert t_test([0.5, 0.5]) == 0.5
    assert equivalence_test([0.0, 0.0], 0.5) == 0.25
    assert equivalence_test([0.0] * 5, 0.5) == pytest.approx(0.03125)
    assert equivalence_test([0.7] * 5, 0.5) == 1.0


def test_the_bootstrap_is_scipys_at_a_level_for_small_samples():
    values = list(np.random.default_rng(2).exponential(1, 25))
    level = 2 * stats.norm.cdf(np.sqrt(25 / 24) * stats.t.ppf(0.975, 24)) - 1
    expected = stats.bootstrap((values,), np.mean, confidence_level=level, method="BCa", n_resamples=50_000, rng=0)
    assert bca_interval(values) == pytest.approx(tuple(expected.confidence_interval), abs=0.02)
    assert mean_interval(values) == bca_interval(values)
    low, high = bca_interval(values)
    assert high - np.mean(values) > np.mean(values) - low  # follows the skew
    assert bca_interval(values) == bca_interval(values)


@pytest.mark.parametrize(
    ("n", "trials"),
    [(2, 4000), (5, 4000), *(pytest.param(n, 1500, marks=pytest.mark.slow) for n in (20, 40))],
)
def test_intervals_cover_the_mean_as_often_as_they_say(n, trials, monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 1000)
    rng = np.random.default_rng(n)
    intervals = [mean_interval(list(rng.normal(93, 0.3, n))) for _ in range(trials)]
    covered = np.mean([low <= 93 <= high for low, high in intervals])
    assert 0.93 <= covered <= 0.97

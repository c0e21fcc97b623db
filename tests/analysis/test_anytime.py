"""Tests and intervals that hold at any look, against numerical integrals of their definitions and by simulation."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from analysis import anytime
from analysis.anytime import (
    SCALES,
    SKEW_ALLOWANCE,
    WEIGHTS,
    beyond,
    critical,
    equivalence,
    interval,
    one_sided,
    two_sided,
)

VALUES = [0.3, 1.1, 0.7, -0.2, 0.9, 1.4]


def ratio(values, effects):
    """The likelihood ratio of Student's t where the mean is off by an effect with a density, over no effect."""
    t, n = stats.ttest_1samp(values, 0).statistic, len(values)
    null = stats.t.pdf(t, n - 1)

    def at(delta):
        return effects(delta) * stats.nct.pdf(t, n - 1, delta * math.sqrt(n)) / null

    return integrate.quad(at, -12, 0, limit=200)[0], integrate.quad(at, 0, 12, limit=200)[0]


@pytest.mark.parametrize("values", [VALUES, [-v for v in VALUES], [0.5, 0.9, 0.6]])
def test_the_evidence_is_the_likelihood_ratio_of_students_t_over_a_mixture_of_effects(values, monkeypatch):
    monkeypatch.setattr(anytime, "SCALES", (1.5, 0.7))
    monkeypatch.setattr(anytime, "WEIGHTS", (0.8, 0.2))

    def effects(delta):
        return 0.8 * stats.norm.pdf(delta, 0, 1.5) + 0.2 * stats.norm.pdf(delta, 0, 0.7)

    below, above = ratio(values, effects)
    assert math.exp(anytime._log_evidence(values)) == pytest.approx(below + above, rel=1e-6)
    assert math.exp(anytime._log_evidence(values, one_side=True)) == pytest.approx(2 * above, rel=1e-6)


@pytest.mark.parametrize("values", [VALUES, [-v for v in VALUES], [0.2, 0.9, 0.4], [-1.0, -1.1, -0.9, 3.5]])
def test_skewed_noise_is_integrated_over_its_scales(values):
    def likelihood(scale):
        inside = min(values) >= -scale
        return inside * math.prod(math.exp(-v / scale - 1) / scale for v in values) / scale

    least = max(1e-3, -min(values))
    expected = sum(integrate.quad(likelihood, a, b)[0] for a, b in ((least, 2 * least), (2 * least, 1e3)))
    assert math.exp(anytime._log_exponential(values)) == pytest.approx(expected, rel=1e-5)


def test_evidence_is_taken_back_where_skewed_noise_explains_the_values_better():
    close = [-1.0, -0.9, -0.95, -0.8, -0.85]  # as the smallest of an exponential distribution lie
    assert anytime._skewness(close) < 0
    symmetric = [-1.9, -2.4, -1.1, -3.2, -2.0, -0.6, -2.9, -1.6]
    assert anytime._skewness(symmetric) == min(0.0, math.log(SKEW_ALLOWANCE) + anytime._skewness_ratio(symmetric))


def test_p_values_know_no_unit_and_no_sign():
    for scale in (1e-6, 3.7, 1e8):
        assert two_sided([scale * v for v in VALUES]) == pytest.approx(two_sided(VALUES), rel=1e-6)
    assert two_sided([-v for v in VALUES]) == pytest.approx(two_sided(VALUES))
    assert two_sided([5 + v for v in VALUES], 5.0) == pytest.approx(two_sided(VALUES))
    assert two_sided([1.0]) is None
    assert 0 < two_sided([1.0, 1.2]) <= 1


def test_an_interval_holds_the_means_that_the_test_does_not_reject():
    rng = np.random.default_rng(0)
    for n in (5, 8, 20, 40):
        values = list(rng.normal(3, 1, n))
        low, high = interval(values)
        assert two_sided(values, low) == pytest.approx(0.05, rel=1e-4)
        assert two_sided(values, high) == pytest.approx(0.05, rel=1e-4)
        inside = [two_sided(values, mean) > 0.05 for mean in np.linspace(low, high, 41)[1:-1]]
        outside = [two_sided(values, low - step) < 0.05 for step in (0.1, 1, 10, 1000)]
        assert all(inside)
        assert all(outside)
        narrow = stats.t.interval(0.95, n - 1, np.mean(values), stats.sem(values))
        assert low < narrow[0] < narrow[1] < high
    assert interval([1.0, 1.1]) is None


def test_the_critical_t_is_where_normal_evidence_is_enough():
    for n, level in ((4, 0.05), (12, 0.05 / 6), (30, 0.001)):
        t = critical(n, level)
        g = 1 + n * np.array(SCALES) ** 2
        evidence = np.dot(WEIGHTS, g**-0.5 * ((1 + t * t / (n - 1)) / (1 + t * t / (n - 1) / g)) ** (n / 2))
        assert evidence == pytest.approx(1 / level, rel=1e-6)
        assert t > stats.t.ppf(1 - level / 2, n - 1)
        assert critical(n, level, one_side=True) < t


def test_a_large_effect_is_seen_by_few_seeds():
    """Wavelets are twenty points better in five seeds that differ by a fifth of a point: in a family of 50, too."""
    assert two_sided([20.1, 19.8, 20.0, 20.3, 19.9]) < 0.05 / 50


def test_equivalence_and_its_opposite_are_one_sided_tests():
    values = [0.1, -0.2, 0.05, 0.15, -0.1, 0.0]
    assert equivalence(values, 1.0) == max(one_sided(values, -1.0), one_sided([-v for v in values], -1.0))
    assert equivalence(values, 1.0) < 0.05 < equivalence(values, 0.1)
    large = [v + 3 for v in values]
    assert beyond(large, 1.0) == pytest.approx(min(1.0, 2 * one_sided(large, 1.0)))
    assert beyond(large, 1.0) < 0.05 < beyond(values, 1.0)


def test_values_without_variance_claim_no_more_than_their_number_allows():
    assert two_sided([0.5, 0.5]) == 0.5
    assert two_sided([0.0, 0.0]) == 1.0
    assert one_sided([0.5] * 6, 0.0) == 0.5**6
    assert equivalence([0.0] * 5, 0.5) == pytest.approx(0.03125)
    assert interval([0.75] * 6) == (0.75, 0.75)
    # What one test image hides counts as variance, spread evenly.
    hidden = two_sided([0.7] * 6, floor=0.1)
    spread = 0.7 + 0.1 * np.linspace(-1, 1, 6) / np.std(np.linspace(-1, 1, 6), ddof=1)
    assert hidden == pytest.approx(two_sided(list(spread)))


NOISE = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "heavy tails": lambda rng, shape: rng.standard_t(4, shape),
    "skewed": lambda rng, shape: rng.exponential(size=shape) - 1,
}


@pytest.mark.parametrize("noise", NOISE)
def test_looking_after_each_seed_costs_nothing(noise):
    """Without an effect, 400 series that are looked at after each of 2 to 20 seeds."""
    rng = np.random.default_rng(1)
    series = NOISE[noise](rng, (400, 20))
    ever = sum(any(two_sided(list(s[:n])) <= 0.05 for n in range(2, 21)) for s in series)
    assert ever / len(series) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / len(series))

"""The moderated t-test, against hand computations by the formulas of Smyth (2004) and limma."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

from analysis.pooling.moderated import moderated_estimates, prior_of, trigamma_inverse

CELLS = [
    [1.2, 2.1, 1.6],
    [0.3, -0.4, 0.9],
    [2.2, 2.4, 2.3],
    [5.0, 1.0, 2.0, 3.5],
    [0.1, 0.2],
    [1.0, 1.9, 1.1, 1.4, 0.6],
]
"""Differences by seed, of six comparisons."""


def by_hand(cells):
    """Smyth 2004, section 6.2 and equation 3, a line for each formula; the trigamma equation solved by bisection."""
    d = np.array([len(cell) - 1 for cell in cells], dtype=float)
    s2 = np.array([np.var(cell, ddof=1) for cell in cells])
    z = np.log(s2)
    e = z - digamma(d / 2) + np.log(d / 2)
    g = len(cells)
    right = np.mean((e - e.mean()) ** 2 * g / (g - 1) - polygamma(1, d / 2))
    half = brentq(lambda y: polygamma(1, y) - right, 1e-3, 1e6, xtol=1e-15, rtol=1e-14)
    d0 = 2 * half
    s02 = np.exp(e.mean() + digamma(d0 / 2) - np.log(d0 / 2))
    posterior = (d0 * s02 + d * s2) / (d0 + d)
    t = np.array([np.mean(cell) for cell in cells]) / np.sqrt(posterior / (d + 1))
    p = 2 * stats.t.sf(np.abs(t), np.minimum(d0 + d, d.sum()))  # limma's eBayes has no more than all cells together
    return d0, s02, posterior, p


def test_d0_s0_and_p_are_those_of_the_published_formulas():
    d0, s02, posterior, p = by_hand(CELLS)
    assert 0.5 < d0 < 20, "an example in which the prior counts and does not decide"
    prior, found = moderated_estimates(CELLS, [0.0] * len(CELLS))
    assert prior.degrees == pytest.approx(d0, rel=1e-8)
    assert prior.variance == pytest.approx(s02, rel=1e-8)
    assert (prior.cells, prior.pooled_degrees) == (6, 14)
    n = np.array([len(cell) for cell in CELLS])
    np.testing.assert_allclose([e.error**2 * k for e, k in zip(found, n, strict=True)], posterior, rtol=1e-8)
    np.testing.assert_allclose([e.p() for e in found], p, rtol=1e-8)
    low, high = found[0].interval()
    assert found[0].p(low) == pytest.approx(0.05, rel=1e-8) == found[0].p(high)


@pytest.mark.parametrize("value", [1e-9, 1e-6, 1e-3, 0.1, 1.0, 7.5, 1e3, 1e6, 1e9])
def test_the_inverse_of_trigamma_inverts_it(value):
    assert float(polygamma(1, trigamma_inverse(value))) == pytest.approx(value, rel=1e-6)


def test_cells_that_vary_alike_share_one_variance():
    """Then d0 is infinite, and the t of a cell has the degrees of all of them, as that of a pooled variance."""
    cells = [[0.0, 1.0, 2.0], [5.0, 6.1, 7.0], [2.0, 3.0, 3.9], [1.0, 1.4]]
    prior, found = moderated_estimates(cells, [0.0] * 4)
    residuals = np.concatenate([np.subtract(cell, np.mean(cell)) for cell in cells])
    pooled = (residuals**2).sum() / 7
    assert math.isinf(prior.degrees)
    assert prior.variance == pytest.approx(pooled)
    t = np.mean(cells[1]) / math.sqrt(pooled / 3)
    assert found[1].p() == pytest.approx(2 * stats.t.sf(t, 7))


def test_a_cell_of_one_seed_takes_the_variance_of_the_others():
    prior, found = moderated_estimates([*CELLS, [3.0]], [0.0] * 7)
    assert prior == moderated_estimates(CELLS, [0.0] * 6)[0]
    assert found[-1].error == pytest.approx(math.sqrt(prior.variance))
    assert found[-1].degrees == prior.degrees


def test_there_is_no_prior_of_two_cells_or_where_most_do_not_vary():
    assert moderated_estimates(CELLS[:2], [0.0] * 2) is None
    assert moderated_estimates([*CELLS[:2], [1.0]], [0.0] * 3) is None
    assert prior_of([0.0, 0.0, 1.0], [2.0, 2.0, 2.0]) is None
    # One cell without variance counts as 1e-5 of the median, as in limma.
    assert prior_of([0.0, 1.0, 2.0], [2.0] * 3) == prior_of([1e-5, 1.0, 2.0], [2.0] * 3)


def test_a_cell_varies_by_what_one_image_hides_at_least():
    floor = 0.4
    cells = [[1.0, 1.0], [2.0, 2.1], [3.0, 3.05], [0.5, 0.4]]
    assert all(e.error >= floor / math.sqrt(2) for e in moderated_estimates(cells, [floor] * 4)[1])


def test_the_prior_is_that_of_which_variances_were_drawn():
    rng = np.random.default_rng(5)
    d0, s02, cells = 6.0, 0.25, 4000
    sigma2 = d0 * s02 / rng.chisquare(d0, cells)
    values = rng.normal(0, np.sqrt(sigma2)[:, None], (cells, 3))
    prior = prior_of(values.var(axis=1, ddof=1).tolist(), [2.0] * cells)
    assert prior.degrees == pytest.approx(d0, rel=0.15)
    assert prior.variance == pytest.approx(s02, rel=0.05)


def test_few_seeds_show_more_by_all_cells_together():
    """By simulation: 14 cells at two seeds each, an effect of two standard deviations, and hardly more false alarms."""
    rng = np.random.default_rng(7)
    shown = {"moderated": 0, "own": 0}
    wrong = 0
    for _ in range(60):
        sigma = np.sqrt(8 * 0.5 / rng.chisquare(8, 14))
        noise = rng.normal(0, sigma[:, None], (14, 2))
        _, null = moderated_estimates(noise.tolist(), [0.0] * 14)
        wrong += sum(e.p() <= 0.05 for e in null)
        effects = noise + 2 * sigma[:, None]
        _, found = moderated_estimates(effects.tolist(), [0.0] * 14)
        shown["moderated"] += sum(e.p() <= 0.05 for e in found)
        shown["own"] += int((stats.ttest_1samp(effects, 0, axis=1).pvalue <= 0.05).sum())
    assert wrong / 840 <= 0.08
    assert shown["moderated"] > 2.5 * shown["own"]

"""Random effects over cells, against metafor's documented example, statsmodels and scipy."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from scipy.optimize import minimize_scalar
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.oneway import anova_oneway

from analysis.pooling.estimate import Estimate
from analysis.pooling.pooled import pooled_effect
from analysis.pooling.random_effects import (
    equal_weights,
    hartung_knapp,
    heterogeneity,
    outlying,
    p_of_equal_means,
    variance_between,
)

BCG = np.array(
    [
        *([4, 119, 11, 128], [6, 300, 29, 274], [3, 228, 11, 209], [62, 13536, 248, 12619], [33, 5036, 47, 5761]),
        *([180, 1361, 372, 1079], [8, 2537, 10, 619], [505, 87886, 499, 87892], [29, 7470, 45, 7232]),
        *([17, 1699, 65, 1600], [186, 50448, 141, 27197], [5, 2493, 3, 2338], [27, 16886, 29, 17825]),
    ],
    dtype=float,
)
"""13 trials of a vaccine against tuberculosis (Colditz et al. 1994), the example of metafor's README: of the treated
and of the others, who fell ill and who did not."""


def log_risk_ratios():
    """As metafor's escalc(measure="RR") has them."""
    a, b, c, d = BCG.T
    return (np.log(a / (a + b)) - np.log(c / (c + d))).tolist(), (1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)).tolist()


def test_the_documented_example_of_metafor():
    """README of metafor, `rma(yi, vi, data=dat, test="knha")`: tau^2 0.3132, I^2 92.22 %, Q 152.2330, estimate -0.7145,
    se 0.1808, tval -3.9522, df 12, pval 0.0019, ci -1.1084 to -0.3206; `predict(res, transf=exp)`: 0.14 to 1.76."""
    y, v = log_risk_ratios()
    assert (round(y[0], 4), round(v[0], 4)) == (-0.8893, 0.3256)
    found = heterogeneity(y, v, 0.5)
    assert found.tau**2 == pytest.approx(0.3132, abs=5e-5)
    assert found.tau == pytest.approx(0.5597, abs=5e-5)
    assert found.share == pytest.approx(0.9222, abs=5e-5)
    assert found.q == pytest.approx(152.2330, abs=5e-5)
    mean = hartung_knapp(y, v, found.tau**2)
    assert mean.mean == pytest.approx(-0.7145, abs=5e-5)
    assert mean.error == pytest.approx(0.1808, abs=5e-5)
    assert mean.mean / mean.error == pytest.approx(-3.9522, abs=5e-5)
    assert mean.degrees == 12
    assert mean.p() == pytest.approx(0.0019, abs=5e-5)
    assert mean.interval() == pytest.approx((-1.1084, -0.3206), abs=5e-5)
    further = Estimate(mean.mean, math.hypot(found.tau, mean.error), 12).interval()
    assert [round(math.exp(end), 2) for end in further] == [0.14, 1.76]


def test_the_interval_is_that_of_statsmodels_for_its_variance_between():
    y, v = log_risk_ratios()
    theirs = combine_effects(np.array(y), np.array(v), method_re="pm", use_t=True, atol=1e-12)
    ours = hartung_knapp(y, v, theirs.tau2)
    assert ours.mean == pytest.approx(theirs.mean_effect_re, rel=1e-9)
    assert ours.error == pytest.approx(theirs.sd_eff_w_re_hksj, rel=1e-9)
    assert ours.interval() == pytest.approx(theirs.conf_int(use_t=True)[3], rel=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_the_variance_between_has_the_highest_restricted_likelihood(seed):
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.05, 2.0, 9)
    y = rng.normal(1.0, np.sqrt(v + (0.0, 0.2, 2.0)[seed % 3]))

    def minus_log_likelihood(tau2):
        w = 1 / (v + tau2)
        mean = (w * y).sum() / w.sum()
        return -0.5 * (np.log(w).sum() - np.log(w.sum()) - (w * (y - mean) ** 2).sum())

    found = variance_between(y.tolist(), v.tolist())
    best = minimize_scalar(minus_log_likelihood, bounds=(0, 20), method="bounded", options={"xatol": 1e-10})
    assert minus_log_likelihood(found) <= min(best.fun, minus_log_likelihood(0.0)) + 1e-9
    assert found >= 0


def test_cells_that_weigh_equally_are_tested_by_student():
    """Whatever their variance and that between them are; so is one seed each, of which no variance is known."""
    y = [1.0, 2.5, 0.3, 1.7, 2.2]
    expected = stats.ttest_1samp(y, 0)
    for estimate in (hartung_knapp(y, [0.3] * 5, 0.0), hartung_knapp(y, [0.3] * 5, 1.4), equal_weights(y)):
        assert estimate.p() == pytest.approx(expected.pvalue)
        assert estimate.interval() == pytest.approx(tuple(expected.confidence_interval()))


def test_the_test_of_equal_effects_is_brown_s_and_forsythe_s():
    rng = np.random.default_rng(1)
    cells = [rng.normal(mean, scale, n) for mean, scale, n in ((0, 1, 4), (1, 2, 3), (0.5, 0.3, 6), (2, 1, 5))]
    expected = anova_oneway(cells, use_var="bf").pvalue
    assert p_of_equal_means([cell.tolist() for cell in cells]) == pytest.approx(expected)
    assert p_of_equal_means([*(cell.tolist() for cell in cells), [99.0]]) == pytest.approx(expected)
    assert p_of_equal_means([[1.0, 1.0], [1.0, 1.0]]) == 1.0
    assert p_of_equal_means([[1.0, 1.0], [2.0, 2.0]]) == 0.0


def test_of_one_seed_each_a_cell_stands_out_by_its_externally_studentized_residual():
    y = [1.0, 2.5, 0.3, 1.7, 2.2, 9.0, 1.1]
    influence = sm.OLS(y, np.ones(len(y))).fit().get_influence()
    raw = 2 * stats.t.sf(np.abs(influence.resid_studentized_external), len(y) - 2)
    found = outlying(y)
    assert found[5] == (pytest.approx(9.0 - np.mean([*y[:5], y[6]])), pytest.approx(7 * raw[5]))
    assert [p <= 0.05 for _, p in found] == [False] * 5 + [True, False]


def test_with_known_noise_a_cell_is_compared_with_the_mean_of_the_others():
    y, noise = [1.0, 1.2, 0.9, 1.1, 3.0], [Estimate(0, 0.1, 8.0)] * 5
    noise[4] = Estimate(0, 0.5, 4.0)
    distance, p = outlying(y, noise)[4]
    mean = stats.ttest_1samp(y[:4], 0)  # the others weigh equally
    error = np.std(y[:4], ddof=1) / 2
    variance = 0.25 + error**2
    degrees = variance**2 / (0.25**2 / 4 + error**4 / mean.df)
    assert distance == pytest.approx(3.0 - 1.05)
    raw = 2 * stats.t.sf(distance / math.sqrt(variance), degrees)
    assert p >= raw
    assert p in [pytest.approx(factor * raw) for factor in range(1, 6)]  # Holm's


def test_seeds_are_pooled_by_their_moderated_variances():
    cells = {"a": [1.0, 1.4], "b": [2.0, 2.2], "c": [0.2, 0.9], "d": [1.5]}
    found = pooled_effect(cells)
    assert (found.cells, found.seeds, found.above) == (4, (1, 2), 4)
    assert found.noise == pytest.approx(math.sqrt(np.mean([np.var(c, ddof=1) for c in list(cells.values())[:3]])))
    means = [np.mean(c) for c in cells.values()]
    variances = [found.noise**2 / len(c) for c in cells.values()]  # d0 is infinite: one variance for all
    expected = hartung_knapp(means, variances, found.heterogeneity.tau**2)
    assert (found.estimate.mean, found.estimate.error) == pytest.approx((expected.mean, expected.error))


def test_one_seed_each_says_nothing_of_heterogeneity():
    found = pooled_effect({name: [value] for name, value in zip("abcd", (1.0, 2.0, 2.5, 0.4), strict=True)})
    assert (found.heterogeneity, found.noise) == (None, None)
    assert found.spread == pytest.approx(np.std([1.0, 2.0, 2.5, 0.4], ddof=1))
    low, high = found.prediction
    half = stats.t.ppf(0.975, 3) * found.spread * math.sqrt(1 + 1 / 4)
    assert (high - low) / 2 == pytest.approx(half)
    assert pooled_effect({"a": [1.0], "b": [2.0]}) is None
    assert pooled_effect({"a": [1.0], "b": [1.0], "c": [1.0]}) is None, "nothing varies"
    assert pooled_effect({"a": [1.0], "b": [1.0], "c": [1.0]}, floor=0.1).estimate.error == pytest.approx(0.1 / 3**0.5)


@pytest.mark.parametrize(("cells", "seeds", "tau"), [(5, 2, 0.0), (5, 3, 1.0), (12, 1, 0.5), (12, 2, 0.3)])
def test_the_interval_covers_the_mean_effect(cells, seeds, tau):
    """Of 100 simulated grids with unequal variances; and a false "this cell differs" is nearly as rare."""
    rng = np.random.default_rng(cells + seeds)
    covered = false_alarms = 0
    grids = 100
    for _ in range(grids):
        sigma = np.sqrt(10 / rng.chisquare(10, cells)) if seeds > 1 else np.ones(cells)
        effects = 1.0 + rng.normal(0, tau, cells)
        drawn = effects[:, None] + rng.normal(0, sigma[:, None], (cells, seeds))
        found = pooled_effect({str(i): values.tolist() for i, values in enumerate(drawn)})
        low, high = found.estimate.interval()
        covered += low <= 1.0 <= high
        false_alarms += bool(found.differing)
    error = math.sqrt(0.05 * 0.95 / grids)
    assert covered / grids >= 0.95 - 2.5 * error
    if tau == 0 or seeds == 1:
        assert false_alarms / grids <= 0.05 + 2.5 * error

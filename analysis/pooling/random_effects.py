"""A random-effects mean over cells, with its Hartung-Knapp interval, the heterogeneity, and the cells that stand out.

Cells are taken as drawn from all those that there could be: the effect of cell g is mu + u_g, with u_g of variance
tau^2, and its estimate adds the noise of its seeds, of variance v_g. What is answered is about mu, so the interval
grows with what cells differ by, and shrinks with their number more than with that of seeds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from analysis.pooling.estimate import Estimate
from analysis.statistics import deviation_of, holm


@dataclass(frozen=True, kw_only=True, slots=True)
class Heterogeneity:
    """What is known of how much the effects of cells differ beyond the noise of their seeds."""

    tau: float
    """Standard deviation of the effects, in their unit."""
    share: float
    """I^2: the part of an estimate's variance that comes of it, from 0 to 1."""
    q: float
    """Cochran's Q: sum of (estimate - weighted mean)^2 / v_g."""
    p: float
    """p-value of all cells having the same effect."""


def weighted_mean(means: Sequence[float], weights: Sequence[float]) -> float:
    """The mean of estimates with these weights."""
    return sum(w * y for w, y in zip(weights, means, strict=True)) / sum(weights)


def hartung_knapp(means: Sequence[float], variances: Sequence[float], between: float) -> Estimate:
    """The mean of two or more estimates with weights w_g = 1 / (v_g + tau^2), and its error by Hartung and Knapp.

    The squared error is sum w_g (y_g - mean)^2 / ((k - 1) sum w_g), with k - 1 degrees of freedom (Hartung and Knapp
    2001, Statistics in Medicine 20; Sidik and Jonkman 2002, ibid. 21). With equal v_g it is Student's t-test of the k
    estimates, whatever v_g and tau^2 (`between`) are.
    """
    weights = [1 / (v + between) for v in variances]
    mean = weighted_mean(means, weights)
    spread = sum(w * (y - mean) ** 2 for w, y in zip(weights, means, strict=True))
    degrees = len(means) - 1
    return Estimate(mean, math.sqrt(spread / (degrees * sum(weights))), degrees)


def equal_weights(means: Sequence[float], floor: float = 0.0) -> Estimate | None:
    """The mean of estimates whose variances are not known, such as those of one seed each: they weigh equally.

    It is Student's t-test of the estimates, and Hartung's and Knapp's for equal variances. `floor` is the least
    standard deviation of an estimate. None where neither that nor the estimates show a spread.
    """
    spread = max(floor, stdev(means))
    degrees = len(means) - 1
    return Estimate(fmean(means), spread / math.sqrt(len(means)), degrees) if spread else None


def variance_between(means: Sequence[float], variances: Sequence[float]) -> float:
    """tau^2 by restricted maximum likelihood, from estimates and their variances v_g > 0; at least 0.

    By Fisher scoring from Hedges' estimate on (Viechtbauer 2005, Journal of Educational and Behavioral Statistics 30):
    tau^2 grows by (y'PPy - tr P) / tr PP, where P = W - W11'W / sum w. REML is nearly unbiased, and beside Paule's and
    Mandel's estimator what is advised with Hartung-Knapp intervals (Langan et al. 2019, Research Synthesis Methods 10).
    """
    scale = fmean(variances)
    between = max(0.0, stdev(means) ** 2 - scale)
    for _ in range(MOST_STEPS):
        weights = [1 / (v + between) for v in variances]
        mean = weighted_mean(means, weights)
        one, two, three = (sum(w**power for w in weights) for power in (1, 2, 3))
        square = sum((w * (y - mean)) ** 2 for w, y in zip(weights, means, strict=True))
        step = (square - (one - two / one)) / (two - 2 * three / one + (two / one) ** 2)
        after = max(0.0, between + step)
        if abs(after - between) <= 1e-12 * (after + scale):
            return after
        between = after
    return between


MOST_STEPS = 200
"""A few suffice: scoring converges at once where variances are equal, and quickly where they are not."""


def heterogeneity(means: Sequence[float], variances: Sequence[float], p: float) -> Heterogeneity:
    """How much cells differ, given the variances of their estimates and the p-value of their being equal.

    I^2 is tau^2 / (tau^2 + s^2) with the typical variance s^2 = (k - 1) sum w / ((sum w)^2 - sum w^2) of Higgins and
    Thompson (2002, Statistics in Medicine 21).
    """
    between = variance_between(means, variances)
    weights = [1 / v for v in variances]
    total, mean = sum(weights), weighted_mean(means, weights)
    q = sum(w * (y - mean) ** 2 for w, y in zip(weights, means, strict=True))
    typical = (len(means) - 1) * total / (total**2 - sum(w**2 for w in weights))
    return Heterogeneity(tau=math.sqrt(between), share=between / (between + typical), q=q, p=p)


def p_of_equal_means(cells: Sequence[Sequence[float]], floor: float = 0.0) -> float:
    """p-value of Brown's and Forsythe's test that cells of two values or more have one mean; others are left out.

    It allows for unequal variances, with the degrees of freedom of Mehrotra (1997, Communications in Statistics 26).
    The chi-square of Q would be too small: it takes variances from few values for known. By simulation of grids
    of equal cells with two seeds each, Welch's test with moderated variances rejects 11 to 24 % at 5 %, and this one
    0.4 to 2.4 %.
    `floor` is the least standard deviation of a cell.
    """
    from scipy.stats import f

    seen = [cell for cell in cells if len(cell) > 1]
    total = sum(map(len, seen))
    mean = sum(map(sum, seen)) / total
    parts = [(len(cell) / total, deviation_of(cell, floor) ** 2, len(cell) - 1) for cell in seen]
    within = sum((1 - h) * s2 for h, s2, _ in parts)
    if within == 0:
        return 0.0 if any(fmean(cell) != mean for cell in seen) else 1.0
    ratio = sum(len(cell) * (fmean(cell) - mean) ** 2 for cell in seen) / within
    numerator = sum(s2**2 for _, s2, _ in parts) + sum(h * s2 for h, s2, _ in parts) ** 2
    numerator -= 2 * sum(h * s2**2 for h, s2, _ in parts)
    denominator = sum(((1 - h) * s2) ** 2 / d for h, s2, d in parts)
    return float(f.sf(ratio, within**2 / numerator, within**2 / denominator))


def outlying(
    means: Sequence[float], noise: Sequence[Estimate] | None = None, floor: float = 0.0
) -> list[tuple[float, float]]:
    """How far each of three or more cells is from the mean of the others, and the p-value, corrected by Holm.

    With `noise`, the cells' estimates with the errors that their seeds give them, it is asked whether the effect of a
    cell is another than the mean effect of the others; degrees of freedom are Satterthwaite's. Without, seeds and cells
    cannot be told apart, and it is asked whether a cell is beyond the spread of the others (an externally studentized
    residual; Cook and Weisberg 1982, 2.2), of which `floor` is the least standard deviation.
    """
    found = []
    for i, own in enumerate(means):
        others = [mean for j, mean in enumerate(means) if j != i]
        if noise is None:
            spread = max(floor, stdev(others))
            away = Estimate(own - fmean(others), spread * math.sqrt(1 + 1 / len(others)), len(others) - 1)
        else:
            rest = [estimate.error**2 for j, estimate in enumerate(noise) if j != i]
            mean = hartung_knapp(others, rest, variance_between(others, rest))
            away = Estimate(own - mean.mean, *_together(noise[i], mean))
        found.append((away.mean, away.p() if away.error > 0 else float(away.mean == 0)))
    corrected = holm([p for _, p in found])
    return [(distance, p) for (distance, _), p in zip(found, corrected, strict=True)]


def _together(one: Estimate, other: Estimate) -> tuple[float, float]:
    """The error of the difference of two independent estimates, with Satterthwaite's degrees of freedom."""
    parts = [(estimate.error**2, estimate.degrees) for estimate in (one, other)]
    variance = sum(part for part, _ in parts)
    per_degree = sum(part**2 / degrees for part, degrees in parts)
    return math.sqrt(variance), variance**2 / per_degree if per_degree else math.inf

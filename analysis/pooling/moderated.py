"""The moderated t-test: variances of several cells pooled by empirical Bayes (Smyth 2004).

Smyth, "Linear models and empirical Bayes methods for assessing differential expression in microarray experiments",
Statistical Applications in Genetics and Molecular Biology 3 (2004), article 3: what limma computes. The variance of a
cell g is taken as drawn from a scaled inverse chi-square distribution, so that 1 / sigma_g^2 has that of
chi2(d0) / (d0 s0^2). Its d0 and s0 are estimated from the variances of all cells, and each cell's own variance is drawn
towards s0^2 as if d0 more values had been seen. With two or three seeds that says much more than a cell by itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from analysis.pooling.estimate import Estimate
from analysis.statistics import deviation_of

LEAST_CELLS = 3
"""Cells with a variance of their own from which on a prior is estimated."""

SMALLEST = 1e-5
"""A variance counts as at least this part of the median one, as in limma: the logarithm of zero would decide all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prior:
    """What the variances of all cells say about that of one."""

    degrees: float
    """d0: how many degrees of freedom it is worth; `math.inf` where cells vary no more than chance makes them."""
    variance: float
    """s0^2."""
    cells: int
    """How many cells it was estimated from."""
    pooled_degrees: float
    """Degrees of freedom of all cells together. No estimate has more."""

    def posterior(self, variance: float, degrees: float) -> tuple[float, float]:
        """A cell's moderated variance (d0 s0^2 + d s^2) / (d0 + d), and its degrees of freedom.

        They are d0 + d, and at most those of all cells together, as in limma. A cell without a variance of its own has
        `degrees` 0 and that of the prior.
        """
        if math.isinf(self.degrees) or degrees == 0:
            mixed = self.variance
        else:
            mixed = (self.degrees * self.variance + degrees * variance) / (self.degrees + degrees)
        return mixed, min(self.degrees + degrees, self.pooled_degrees)


def prior_of(variances: Sequence[float], degrees: Sequence[float]) -> Prior | None:
    """The prior by the moments of the logarithms of variances s_g^2 with d_g degrees of freedom (Smyth 2004, 6.2).

    With e_g = log s_g^2 - digamma(d_g / 2) + log(d_g / 2), d0 solves
    trigamma(d0 / 2) = sum (e_g - mean e)^2 / (G - 1) - mean trigamma(d_g / 2), and
    s0^2 = exp(mean e + digamma(d0 / 2) - log(d0 / 2)). Where the right side is not positive, d0 is infinite, and s0^2
    the variance of all cells together: limma's choice since 2017, here weighted by degrees of freedom, for then the t
    of a cell has Student's distribution exactly. Cells without degrees of freedom are left out. None for fewer than
    three others, and where more than half of the variances are zero.
    """
    from scipy.special import digamma, polygamma

    known = [(s2, d) for s2, d in zip(variances, degrees, strict=True) if d > 0]
    middle = median(s2 for s2, _ in known) if len(known) >= LEAST_CELLS else 0.0
    if middle <= 0:
        return None
    known = [(max(s2, SMALLEST * middle), d) for s2, d in known]
    e = [math.log(s2) - float(digamma(d / 2)) + math.log(d / 2) for s2, d in known]
    mean = fmean(e)
    excess = sum((x - mean) ** 2 for x in e) / (len(e) - 1) - fmean(float(polygamma(1, d / 2)) for _, d in known)
    total = sum(d for _, d in known)
    if excess > 0:
        d0 = 2 * trigamma_inverse(excess)
        s0 = math.exp(mean + float(digamma(d0 / 2)) - math.log(d0 / 2))
    else:
        d0, s0 = math.inf, sum(d * s2 for s2, d in known) / total
    return Prior(degrees=d0, variance=s0, cells=len(known), pooled_degrees=total)


def trigamma_inverse(value: float) -> float:
    """The y with trigamma(y) = value > 0, by Newton's method on 1 / trigamma (Smyth 2004, appendix).

    1 / trigamma is convex and nearly linear, so that the steps from 1 / 2 + 1 / value on converge without a search.
    """
    from scipy.special import polygamma

    if value > 1e7:  # trigamma(y) goes to 1 / y^2
        return 1 / math.sqrt(value)
    if value < 1e-6:  # to 1 / y
        return 1 / value
    y = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, y))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, y))
        y += step
        if abs(step) < 1e-12 * y:
            break
    return y


def moderated_estimates(
    cells: Sequence[Sequence[float]], floors: Sequence[float]
) -> tuple[Prior, list[Estimate]] | None:
    """The prior, and for each cell the mean of its values with the error of the moderated t.

    A floor is what the resolution of a metric hides of the standard deviation of a cell's values. A cell of one value
    takes the variance of the prior. None where there is no prior.
    """
    degrees = [len(values) - 1.0 for values in cells]
    variances = [
        deviation_of(values, floor) ** 2 if len(values) > 1 else math.nan
        for values, floor in zip(cells, floors, strict=True)
    ]
    prior = prior_of(variances, degrees)
    if prior is None:
        return None
    found = []
    for values, s2, d, floor in zip(cells, variances, degrees, floors, strict=True):
        variance, total = prior.posterior(s2, d)
        found.append(Estimate(fmean(values), math.sqrt(max(variance, floor**2) / len(values)), total))
    return prior, found

"""An estimate with its standard error and degrees of freedom, and the t-tests and intervals that follow from them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean
from statistics import correlation as pearson

from analysis.statistics import CONFIDENCE, Interval, deviation_of


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate whose distance from the truth, over its standard error, has Student's distribution."""

    mean: float
    error: float
    """The standard error; more than 0."""
    degrees: float
    """Degrees of freedom of the error; `math.inf` for one that is known."""

    def p(self, null: float = 0.0) -> float:
        """Two-sided p-value of the truth being `null`."""
        return 2 * self._above(abs(self.mean - null))

    def p_within(self, margin: float) -> float:
        """p-value of two one-sided tests that the truth is within `margin` of zero: the larger of the two."""
        return max(self._above(margin - self.mean), self._above(margin + self.mean))

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Two-sided interval of the truth."""
        from scipy.stats import t

        half = float(t.ppf((1 + confidence) / 2, self.degrees)) * self.error
        return self.mean - half, self.mean + half

    def _above(self, distance: float) -> float:
        """Probability that an estimate exceeds the truth by more than a distance."""
        from scipy.stats import t

        return float(t.sf(distance / self.error, self.degrees))


def unpaired(arm: Sequence[float], baseline: Sequence[float], floor: float = 0.0) -> Estimate | None:
    """The difference of two means without regard to pairs, by Welch's test (Welch 1947, Biometrika 34).

    `floor` is what the resolution of a metric hides of the standard deviation of either. None for fewer than two values
    of one, and where neither varies.
    """
    if min(len(arm), len(baseline)) < 2:
        return None
    parts = [deviation_of(values, floor) ** 2 / len(values) for values in (arm, baseline)]
    variance = sum(parts)
    if variance == 0:
        return None
    per_degree = sum(part**2 / (len(values) - 1) for part, values in zip(parts, (arm, baseline), strict=True))
    return Estimate(fmean(arm) - fmean(baseline), math.sqrt(variance), variance**2 / per_degree)


LEAST_PAIRS = 8
"""Pairs from which on a correlation is worth a figure: with fewer its interval covers nearly all that there is."""


def correlation(one: Sequence[float], other: Sequence[float]) -> tuple[float, Interval] | None:
    """Pearson's correlation of pairs with its 95 % interval, by Fisher's transformation (Fisher 1921, Metron 1).

    None for fewer than 8 pairs, and where one side does not vary.
    """
    if len(one) < LEAST_PAIRS or not deviation_of(one) or not deviation_of(other):
        return None
    r = max(-1.0, min(1.0, pearson(one, other)))
    if abs(r) == 1:
        return r, (r, r)
    half = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) / math.sqrt(len(one) - 3)
    return r, (math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half))

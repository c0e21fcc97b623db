"""What further pairs would do for an undecided answer: how much they narrow its interval, and when they decide it.

What is not known yet, the true mean and variance, is drawn from their posterior given the pairs so far, without prior
knowledge (p(mean, sd) ~ 1 / sd): sd^2 = (n - 1) s^2 / chi^2(n - 1), mean ~ N(average, sd^2 / n); see Gelman et al.,
"Bayesian Data Analysis" (3rd ed.), section 3.2. Each draw goes on with pairs of its own until the test decides. From
such draws follow how many more pairs it takes, and whether any number of them is likely to do: the predictive power by
which trials are stopped for futility (Spiegelhalter, Freedman and Blackburn, "Monitoring clinical trials: conditional
or predictive power?", Controlled Clinical Trials 7, 1986). Giving up so never makes a wrong claim more likely.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from analysis.anytime import critical

DRAWS = 1000
LOW, HIGH = 0.05, 0.95
"""Quantiles between which the number of further pairs is expected."""

Decides = Literal["difference", "equivalence", "side"]
"""What decides an answer. difference: an interval on one side of zero, or within the margin; equivalence: one within or
beyond the margin; side: one on one side of zero."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """The pairs of an answer so far, of which there are two or more, and what decides it."""

    n: int
    mean: float
    """Of the differences; where a target is asked about, less the target."""
    deviation: float
    """Their standard deviation (divisor n - 1)."""
    margin: float
    """The smallest effect that matters, on the same scale."""
    level: float
    """At which a claim is tested."""
    decides: Decides = "difference"

    @property
    def enough(self) -> float:
        """The half-width of the interval with which the present mean would be an answer."""
        within, beyond = self.margin - abs(self.mean), abs(self.mean)
        if self.decides == "side":
            return beyond
        return abs(within) if self.decides == "equivalence" else max(beyond, within)


def width_factor(n: int, level: float) -> float:
    """Half the width of the interval of a mean of `n` values whose standard deviation is 1, at any look and with noise
    that is not skewed; infinite for so few values that they have none."""
    return critical(n, level) / math.sqrt(n)


def half_width(sample: Sample, n: int) -> float:
    """The half-width to be expected with `n` pairs, if they vary as those so far."""
    return width_factor(n, sample.level) * sample.deviation if n > 1 else math.inf


def way_gone(sample: Sample, n: int) -> float:
    """By which part of the way to an answer one more pair than `n` narrows the interval, at most 1."""
    now, then = half_width(sample, n), half_width(sample, n + 1)
    if not math.isfinite(now):  # so few pairs have no interval: each brings it nearer
        return 1.0
    return 1.0 if now - sample.enough <= now - then else (now - then) / (now - sample.enough)


@lru_cache(maxsize=10_000)
def decided_after(sample: Sample, most: int) -> tuple[float, ...]:
    """Of each draw, sorted: after how many more pairs it is decided; infinite where `most` more do not do.

    The same sample has the same draws.
    """
    import numpy as np

    if most < 1:
        return (math.inf,) * DRAWS
    if sample.deviation == 0:  # then the sign-flip test decides, whose smallest p-value is 2^(1 - n)
        more = max(1, math.ceil(1 - math.log2(sample.level)) - sample.n)
        return (float(more) if more <= most else math.inf,) * DRAWS
    draw, degrees = np.random.default_rng(sample.n), sample.n - 1
    sigma = sample.deviation * np.sqrt(degrees / draw.chisquare(degrees, (DRAWS, 1)))
    mu = sample.mean + sigma / math.sqrt(sample.n) * draw.standard_normal((DRAWS, 1))
    values = mu + sigma * draw.standard_normal((DRAWS, most))
    n = sample.n + np.arange(1, most + 1)
    means = (sample.n * sample.mean + values.cumsum(axis=1)) / n
    squares = degrees * sample.deviation**2 + sample.n * sample.mean**2 + (values**2).cumsum(axis=1)
    deviations = np.sqrt(np.maximum(0, squares - n * means**2) / (n - 1))
    decided = _decided(sample, n, means, deviations)
    after = np.where(decided.any(axis=1), 1 + decided.argmax(axis=1), math.inf)
    return tuple(map(float, np.sort(after)))


def quantiles_of(after: tuple[float, ...]) -> tuple[float, float, float]:
    """(low, median, high) of sorted draws."""
    last = len(after) - 1
    return after[round(LOW * last)], after[round(0.5 * last)], after[round(HIGH * last)]


def chance_within(after: tuple[float, ...], pairs: float) -> float:
    """The part of the draws that is decided after so many pairs."""
    return sum(one <= pairs for one in after) / len(after)


def _decided(sample: Sample, n: Any, means: Any, deviations: Any) -> Any:
    """Where the test would decide, of arrays [draws, pairs]."""
    import numpy as np

    both = np.array([width_factor(int(k), sample.level) for k in n])
    one = np.array([critical(int(k), sample.level, one_side=True) / math.sqrt(k) for k in n])
    size, margin = np.abs(means), sample.margin
    within = size + one * deviations < margin  # two one-sided tests, each at the level
    if sample.decides == "side":
        return size > both * deviations
    if sample.decides == "equivalence":
        return within | (size - both * deviations > margin)
    return within | (size > both * deviations)

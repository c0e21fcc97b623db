"""How many runs the tests that hold at any look need, as functions of plain numbers.

They are those after which one look would do: who looks after each run is done no later, and mostly sooner.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from analysis.anytime import critical
from analysis.statistics import ALPHA, CONFIDENCE, deviation_of, half_width

POWER = 0.8
"""Probability with which the predicted number of seeds shows an effect."""
MOST_RUNS = 100_000


@dataclass(frozen=True, slots=True)
class SampleSize:
    """How many runs a test needs, and the power that it then has."""

    n: int
    power: float | None
    """The power; None where it cannot be said."""


def seeds_for_difference(
    deviation: float, effect: float, level: float = ALPHA, power: float = POWER
) -> SampleSize | None:
    """Pairs with which `anytime.two_sided` at `level` sees a true difference of `effect` with `power`.

    `deviation` is the standard deviation of the differences. None where it takes more than 100,000.
    """
    return fewest(lambda n: difference_power(n, deviation, effect, level), power)


def seeds_for_one_side(
    deviation: float, effect: float, level: float = ALPHA, power: float = POWER
) -> SampleSize | None:
    """Pairs with which `anytime.one_sided` at `level` sees a true mean that is `effect` above its bound."""
    return fewest(lambda n: one_sided_power(n, deviation, effect, level), power)


def seeds_for_equivalence(
    deviation: float, margin: float, level: float = ALPHA, power: float = POWER
) -> SampleSize | None:
    """Pairs with which `anytime.equivalence` at `level` shows that a true difference of zero is within `margin`."""
    return fewest(lambda n: equivalence_power(n, deviation, margin, level), power)


def difference_power(n: int, deviation: float, effect: float, level: float = ALPHA) -> float:
    """Probability that one look at `n` normal differences shows a true `effect`, in its direction."""
    if n < 2:
        return 0.0
    if deviation == 0:
        return float(2.0 ** (1 - n) <= level)  # as the test of values without variance
    return _above(critical(n, level), n, effect / deviation)


def one_sided_power(n: int, deviation: float, effect: float, level: float = ALPHA) -> float:
    """Probability that one look at `n` normal values shows that their mean is above a bound, `effect` below it."""
    if n < 2:
        return 0.0
    if deviation == 0:
        return float(0.5**n <= level)
    return _above(critical(n, level, one_side=True), n, effect / deviation)


def equivalence_power(n: int, deviation: float, margin: float, level: float = ALPHA) -> float:
    """Probability that one look at `n` normal differences shows equivalence where the true difference is zero."""
    if n < 2:
        return 0.0
    if deviation == 0:
        return float(0.5**n <= level)
    import numpy as np
    from scipy.integrate import quad
    from scipy.stats import chi2, norm

    degrees, width = n - 1, margin * math.sqrt(n) / deviation
    threshold = critical(n, level, one_side=True)
    most = degrees * (width / threshold) ** 2  # of chi2 = (n - 1) s^2 / sigma^2; beyond it the two tests never agree

    def integrand(x: float) -> float:
        return float((2 * norm.cdf(width - threshold * math.sqrt(x / degrees)) - 1) * chi2.pdf(x, degrees))

    low, high = chi2.ppf([1e-10, 1 - 1e-10], degrees)
    if most <= low:
        return 0.0
    return float(np.clip(quad(integrand, low, min(high, most), limit=200)[0], 0, 1))


def runs_needed(values: Sequence[float], target: float, confidence: float = CONFIDENCE) -> int | None:
    """Runs after which the interval would leave out `target`, if mean and variance stay as they are.

    None where that cannot be said: fewer than two values, or a mean so near that it takes more than 100,000 runs.
    """
    if len(values) < 2:
        return None
    distance, deviation = abs(fmean(values) - target), deviation_of(values)

    def leaves_out(n: int) -> float:
        return float(deviation == 0 or 0 < half_width(deviation, n, confidence) < distance)

    found = fewest(leaves_out, 1.0)
    return found.n if found else None


def fewest(power_of: Callable[[int], float], power: float) -> SampleSize | None:
    """The smallest number from two on whose power is enough; it grows with the number."""
    low, high = 1, 2
    while power_of(high) < power:
        low, high = high, 2 * high
        if high > MOST_RUNS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(middle) >= power else (middle, high)
    return SampleSize(high, power_of(high))


def _above(threshold: float, n: int, effect: float) -> float:
    """Probability that Student's t of `n` values is above a threshold, where their mean is `effect` deviations."""
    from scipy.stats import nct

    if not math.isfinite(threshold):
        return 0.0
    return float(nct.sf(threshold, n - 1, abs(effect) * math.sqrt(n)))

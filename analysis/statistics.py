"""Intervals, tests and the number of runs that they need, as functions of plain lists of numbers.

Differences paired by seed are tested by Student's t; beside it stands the exact sign-flip test, whose smallest possible
p-value says what so few pairs can show at all. Equivalence is shown by two one-sided tests (Schuirmann 1987), families
of tests are corrected by Holm's step-down method, and intervals of 20 or more values are bootstrapped (BCa, Efron 1987,
with the levels widened for small samples as in Hesterberg 2015).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, stdev
from typing import Any

CONFIDENCE = 0.95
ALPHA = 0.05
"""Probability of a wrong "yes" in a family of questions."""
POWER = 0.8
"""Probability with which the predicted number of seeds shows the smallest effect that matters."""
MOST_RUNS = 100_000

BOOTSTRAP_FROM = 20
"""Number of values from which on their mean's interval is bootstrapped."""
RESAMPLES = 4_000

MOST_EXACT = 36
"""Pairs up to which every assignment of signs is counted, as two halves of 2^18 sums."""
RANDOM_FLIPS = 20_000
"""Assignments of signs drawn where there are more pairs than that."""

Interval = tuple[float, float]


def mean_interval(values: Sequence[float], confidence: float = CONFIDENCE, floor: float = 0.0) -> Interval | None:
    """Two-sided interval of the mean: Student's below 20 values, then BCa; None for fewer than two values."""
    if len(values) < BOOTSTRAP_FROM or deviation_of(values, floor) <= floor:
        return t_interval(values, confidence, floor)
    return bca_interval(values, confidence)


def t_interval(values: Sequence[float], confidence: float = CONFIDENCE, floor: float = 0.0) -> Interval | None:
    """Two-sided Student interval of the mean; None for fewer than two values, which show no variance."""
    if len(values) < 2:
        return None
    half = half_width(deviation_of(values, floor), len(values), confidence)
    return fmean(values) - half, fmean(values) + half


def deviation_of(values: Sequence[float], floor: float = 0.0) -> float:
    """Standard deviation (divisor n - 1) of two or more values, at least `floor`; 0 where they differ by rounding.

    Accuracies are counts of images: what varies by less than one of them varies unseen. The floor is what that hides.
    """
    deviation = stdev(values)
    return max(floor, deviation if deviation > ROUNDING * max(map(abs, values)) else 0.0)


ROUNDING = 1e-9
"""Relative size of differences that come of floating-point arithmetic alone."""


def bca_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Bias-corrected and accelerated bootstrap interval of the mean of at least two values that are not all equal.

    The bootstrap takes the variance with divisor n and normal quantiles; the level is widened so that, without skew,
    the interval is as wide as Student's (Hesterberg, "What teachers should know about the bootstrap", 2015, eq. 5).
    The same values have the same interval.
    """
    return _bca_interval(tuple(values), confidence)


@lru_cache(maxsize=10_000)
def _bca_interval(values: tuple[float, ...], confidence: float) -> Interval:
    """Tables and plots ask for the same one several times."""
    import numpy as np
    from scipy.stats import bootstrap, norm

    n = len(values)
    quantile = math.sqrt(n / (n - 1)) * _quantile((1 + confidence) / 2, n - 1)
    found = bootstrap(
        (np.asarray(values, dtype=float),),
        np.mean,
        confidence_level=float(2 * norm.cdf(quantile) - 1),
        n_resamples=RESAMPLES,
        method="BCa",
        rng=np.random.default_rng(n),
        batch=max(1, 2_000_000 // n),
    ).confidence_interval
    return float(found.low), float(found.high)


def t_test(values: Sequence[float], mean: float = 0.0, floor: float = 0.0) -> float | None:
    """Two-sided p-value of Student's test of a mean; None for fewer than two values.

    Values that are all the same show no variance, and no t: then `floor` stands for it, or, without one, the sign-flip
    test decides.
    """
    if len(values) < 2:
        return None
    deviation = deviation_of(values, floor)
    if deviation == 0:
        return sign_flip([value - mean for value in values])
    from scipy.stats import t

    statistic = (fmean(values) - mean) / (deviation / math.sqrt(len(values)))
    return float(2 * t.sf(abs(statistic), len(values) - 1))


def equivalence_test(values: Sequence[float], margin: float, floor: float = 0.0) -> float | None:
    """p-value of two one-sided tests that the mean is within `margin` of zero: the larger of the two."""
    upper = one_sided_test(values, -margin, floor)
    lower = one_sided_test([-value for value in values], -margin, floor)
    return None if upper is None or lower is None else max(upper, lower)


def one_sided_test(values: Sequence[float], above: float, floor: float = 0.0) -> float | None:
    """p-value of Student's one-sided test that the mean is above a value; None for fewer than two values.

    Values that are all the same are judged by `floor`, or, without one, by the sign-flip test: (1/2)^n where they are
    above.
    """
    if len(values) < 2:
        return None
    deviation = deviation_of(values, floor)
    if deviation == 0:
        return 0.5 ** len(values) if fmean(values) > above else 1.0
    from scipy.stats import t

    return float(t.sf((fmean(values) - above) / (deviation / math.sqrt(len(values))), len(values) - 1))


def sign_flip(differences: Sequence[float]) -> float:
    """Two-sided p-value of the sign-flip test: how many assignments of signs give a sum at least as far from zero.

    Exact up to 36 pairs; beyond that, 20,000 assignments are drawn (always the same ones) and the observed one counts.
    """
    import numpy as np

    values = np.asarray(differences, dtype=float)
    least = abs(values.sum()) * (1 - 1e-9) - 1e-12  # equal sums differ by rounding
    if len(values) > MOST_EXACT:
        signs = np.random.default_rng(len(values)).integers(0, 2, (RANDOM_FLIPS, len(values)), dtype=np.int8)
        sums = (2.0 * signs - 1.0) @ values
        return float((1 + (np.abs(sums) >= least).sum()) / (RANDOM_FLIPS + 1))
    left, right = _signed_sums(values[: len(values) // 2]), np.sort(_signed_sums(values[len(values) // 2 :]))
    above = len(right) - np.searchsorted(right, least - left, side="left")
    below = np.searchsorted(right, -least - left, side="right")
    total = (above + below).sum() if least > 0 else len(left) * len(right)
    return float(total / (len(left) * len(right)))


def smallest_sign_flip(pairs: int) -> float:
    """The smallest p-value that the sign-flip test can give: 0.25 for 3 pairs, 0.0625 for 5, 0.03125 for 6."""
    return min(1.0, 2.0 ** (1 - pairs))


def holm(p_values: Sequence[float], tests: int | None = None) -> list[float]:
    """Holm's corrected p-values, in the order given, of a family of `tests` (by default as many as there are).

    A family may be larger than its known p-values: tests whose runs are still missing count as not significant.
    """
    m = max(tests or 0, len(p_values))
    corrected, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (m - rank) * p_values[index]))
        corrected[index] = running
    return corrected


@dataclass(frozen=True, slots=True)
class SampleSize:
    """How many runs a test needs, and the power that it then has."""

    n: int
    power: float | None
    """The power; None where it cannot be said."""


def seeds_for_difference(
    deviation: float, effect: float, level: float = ALPHA, power: float = POWER
) -> SampleSize | None:
    """Pairs with which the two-sided paired t-test at `level` sees a true difference of `effect` with `power`.

    `deviation` is the standard deviation of the differences. None where it takes more than 100,000.
    """
    return _fewest(lambda n: t_power(n, deviation, effect, level), power)


def seeds_for_equivalence(
    deviation: float, margin: float, level: float = ALPHA, power: float = POWER
) -> SampleSize | None:
    """Pairs with which two one-sided tests at `level` show that a true difference of zero is within `margin`."""
    return _fewest(lambda n: equivalence_power(n, deviation, margin, level), power)


def t_power(n: int, deviation: float, effect: float, level: float = ALPHA) -> float:
    """Probability that the two-sided t-test of `n` differences shows a true `effect`, in its direction."""
    if n < 2:
        return 0.0
    if deviation == 0:
        return float(2.0 ** (1 - n) <= level)  # as t_test
    from scipy.stats import nct

    return float(nct.sf(_quantile(1 - level / 2, n - 1), n - 1, abs(effect) * math.sqrt(n) / deviation))


def equivalence_power(n: int, deviation: float, margin: float, level: float = ALPHA) -> float:
    """Probability that two one-sided tests of `n` differences show equivalence where the true difference is zero."""
    if n < 2:
        return 0.0
    if deviation == 0:
        return float(0.5**n <= level)
    import numpy as np
    from scipy.integrate import quad
    from scipy.stats import chi2, norm

    degrees, width = n - 1, margin * math.sqrt(n) / deviation
    quantile = _quantile(1 - level, degrees)
    most = degrees * (width / quantile) ** 2  # of chi2 = (n - 1) s^2 / sigma^2; beyond it the two tests never agree

    def integrand(x: float) -> float:
        return float((2 * norm.cdf(width - quantile * math.sqrt(x / degrees)) - 1) * chi2.pdf(x, degrees))

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

    found = _fewest(leaves_out, 1.0)
    return found.n if found else None


def half_width(deviation: float, n: int, confidence: float) -> float:
    """Half the width of the two-sided Student interval of a mean of `n` values; infinite for fewer than two."""
    if n < 2:
        return math.inf
    return _quantile((1 + confidence) / 2, n - 1) * deviation / math.sqrt(n)


def _fewest(power_of: Callable[[int], float], power: float) -> SampleSize | None:
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


def _signed_sums(values: Any) -> Any:
    """The sums of all assignments of signs, as an array."""
    import numpy as np

    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums - value, sums + value])
    return sums


@lru_cache(maxsize=1000)
def _quantile(probability: float, degrees: int) -> float:
    """A quantile of Student's distribution, kept because a search asks for the same ones again and again."""
    from scipy.stats import t

    return float(t.ppf(probability, degrees))

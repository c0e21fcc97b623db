"""Intervals and tests that count one look at a fixed number of values, as functions of plain lists of numbers.

They stand beside the tests that decide (see `analysis.anytime`). Differences paired by seed are tested by Student's t;
beside it stands the exact sign-flip test, whose smallest possible p-value says what so few pairs can show at all.
Equivalence is shown by two one-sided tests (Schuirmann 1987), families of tests are corrected by Holm's step-down
method, and intervals of 20 or more values in tables are bootstrapped (BCa, Efron 1987, with the levels widened for
small samples as in Hesterberg 2015).
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import fmean, stdev
from typing import Any

CONFIDENCE = 0.95
ALPHA = 0.05
"""Probability of a wrong "yes" in a family of questions."""

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


def superiority(differences: Sequence[float]) -> float:
    """The part of differences that are above zero, with half of those that are zero."""
    return fmean(0.5 if value == 0 else float(value > 0) for value in differences)


def correlation_interval(correlation: float, n: int, confidence: float = CONFIDENCE) -> Interval | None:
    """Two-sided interval of Pearson's correlation of `n` pairs by Fisher's z; None for fewer than four pairs."""
    if n < 4 or abs(correlation) >= 1:
        return None
    from scipy.stats import norm

    half = float(norm.ppf((1 + confidence) / 2)) / math.sqrt(n - 3)
    return math.tanh(math.atanh(correlation) - half), math.tanh(math.atanh(correlation) + half)


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


def half_width(deviation: float, n: int, confidence: float) -> float:
    """Half the width of the two-sided Student interval of a mean of `n` values; infinite for fewer than two."""
    if n < 2:
        return math.inf
    return _quantile((1 + confidence) / 2, n - 1) * deviation / math.sqrt(n)


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
